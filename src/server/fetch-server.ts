// The second argument of `fetch`: information about the request, and the server. It has the members of Bun's server and of Deno's information, so that code that
// was written for these works unchanged. All of them are computed on access.

import type { ReloadOptions } from '../connection/listener.js';
import type { TlsInfo } from '../event-layer/tls-info.js';
import type { Request } from '../http/fetch/request.js';
import { type IncomingRequest, incomingRequest } from '../http/incoming-request.js';
import type { RequestInfo } from '../http/settings.js';
import { type SocketAddress, socketAddressOf } from '../http/socket-address.js';
import { show } from '../util/inspect.js';
import { longestDelay } from '../util/options.js';
import type { Sendable, UpgradeArguments, UpgradeOptions } from '../websocket/handlers.js';

/** The address of a client, in the form of Deno. */
export interface RemoteAddress {
  /** `unix` for a Unix-domain socket, whose address is `path`. */
  readonly transport: 'tcp' | 'unix';
  /** The IP address; empty for a Unix-domain socket, and if it is first read after the client has disconnected. */
  readonly hostname: string;
  /** The TCP port; 0 if it is not known. */
  readonly port: number;
  /** The server's path, for a Unix-domain socket. */
  readonly path?: string | undefined;
}

/** Options of `Server.reload`. */
export interface ServerReloadOptions extends Partial<ReloadOptions> {
  /** As for `serve`: answers requests from now on. */
  fetch?: ((request: never, info: never) => unknown) | undefined;
  /** As for `serve`. */
  error?: ((error: unknown) => unknown) | undefined;
}

/** Members of a server that the second argument of `fetch` has, too. Names and meanings are Bun's. */
export interface ServerMembers<Data = unknown> {
  /** Its URL: `http://127.0.0.1:8080/`, or `http+unix:` with the percent-encoded path of a Unix-domain socket as the host. */
  readonly url: URL;
  /** The TCP port, or `undefined` for a Unix-domain socket. */
  readonly port: number | undefined;
  /** The host name or address that it listens on, or `undefined` for a Unix-domain socket. */
  readonly hostname: string | undefined;
  /** Always empty. Bun distinguishes servers by it when it reloads code. */
  readonly id: string;
  /** Always false: there is no mode for development. */
  readonly development: boolean;
  /** The number of requests in progress, without those whose head is incomplete. */
  readonly pendingRequests: number;
  /** The number of open WebSockets by handlers. */
  readonly pendingWebSockets: number;
  /**
   * Answers a request with the opening handshake of a WebSocket, in place of what its handler returns afterwards. A wrong handshake is answered with
   * 400, 403 or 426. Needs the option `websocket` of `serve`.
   * @returns false if the request does not ask for a WebSocket: then its handler answers it. Also if it has been answered or upgraded before, or its client has
   *   disconnected
   * @throws {TypeError} for wrong options, for a request that is not from this server, and without the option `websocket`
   */
  upgrade(request: Request | globalThis.Request, ...options: UpgradeArguments<Data>): boolean;
  /**
   * Sends a message to all WebSockets that have subscribed to a topic. Needs the option `websocket` of `serve`.
   * @param compress whether it is compressed, whatever its size, where `perMessageDeflate` has been agreed on. Default: from its `threshold` on
   * @returns its bytes, frame included; -1 if one of them is slow; 0 if it has been dropped for one, or there are none
   * @throws {TypeError} for what cannot be sent, and without the option `websocket`
   */
  publish(topic: string, data: Sendable, compress?: boolean): number;
  /** The number of WebSockets that have subscribed to a topic. Needs the option `websocket` of `serve`. @throws {TypeError} without it */
  subscriberCount(topic: string): number;
  /** The client's address; null for a Unix-domain socket, and if it is first read after the client has disconnected. @throws {TypeError} for a request that is not from a server */
  requestIP(request: Request | globalThis.Request): SocketAddress | null;
  /**
   * Sets how long the client of a request may pause while it sends the body, and while it reads the response, in place of `bodyTimeout` and `writeTimeout`.
   * In **seconds**, as in Bun; 0 for no limit. The time that a handler takes has no limit in any case.
   * @throws {TypeError} for a request that is not from a server, and for an invalid number of seconds
   */
  timeout(request: Request | globalThis.Request, seconds: number): void;
  /**
   * Makes `close()` wait for a promise until its deadline: for work that continues after the response, or after the client has disconnected. If it is rejected,
   * `onError` is called once, with the request if a handler has called this.
   * @throws {TypeError} for a task and for a function, neither of which would run
   */
  waitUntil(work: unknown): void;
  /**
   * Replaces `fetch` and `error` for new requests, and the certificates of `tls` for new connections. Everything is checked first.
   * @throws (rejects) as `serve` does: then nothing has changed
   */
  reload(options: ServerReloadOptions): Promise<void>;
  /** `close()` with Bun's name. @param closeActiveConnections whether requests in progress are unwound at once. Default false */
  stop(closeActiveConnections?: boolean): Promise<void>;
  /** Undoes `unref`. */
  ref(): void;
  /** From now on the server keeps the process running only while it has connections, as `unref` of a server of `node:net`. */
  unref(): void;
}

/** The second argument of `fetch`. @typeParam Data the type of `ws.data`, for WebSockets by handlers */
export interface FetchInfo<Data = unknown> extends RequestInfo, ServerMembers<Data> {
  /** The client's address, in the form of Deno. */
  readonly remoteAddr: RemoteAddress;
  /** As in Deno: fulfilled when the whole response has been written; rejected if it was not, with the reason of `request.signal` if the client has disconnected. */
  readonly completed: Promise<void>;
}

export class FetchServer implements FetchInfo {
  readonly #source: IncomingRequest;
  readonly #server: ServerMembers;

  constructor(source: IncomingRequest, server: ServerMembers) {
    this.#source = source;
    this.#server = server;
  }

  get peer(): string {
    return this.#source.peer;
  }

  get tls(): TlsInfo | undefined {
    return this.#source.tls;
  }

  get remoteAddr(): RemoteAddress {
    const { url, port } = this.#server;
    const address = socketAddressOf(this.peer); // a proxy may name one on a Unix-domain socket, too
    if (address === null && port === undefined)
      return { transport: 'unix', hostname: '', port: 0, path: decodeURIComponent(url.host) };
    return { transport: 'tcp', hostname: address?.address ?? '', port: address?.port ?? 0 };
  }

  get completed(): Promise<void> {
    return this.#source.completed;
  }

  waitUntil(work: unknown): void {
    this.#source.waitUntil(work);
  }

  get url(): URL {
    return this.#server.url;
  }

  get port(): number | undefined {
    return this.#server.port;
  }

  get hostname(): string | undefined {
    return this.#server.hostname;
  }

  get id(): string {
    return this.#server.id;
  }

  get development(): boolean {
    return this.#server.development;
  }

  get pendingRequests(): number {
    return this.#server.pendingRequests;
  }

  get pendingWebSockets(): number {
    return this.#server.pendingWebSockets;
  }

  upgrade(request: Request | globalThis.Request, options?: UpgradeOptions): boolean {
    return this.#server.upgrade(request, options);
  }

  publish(topic: string, data: Sendable, compress?: boolean): number {
    return this.#server.publish(topic, data, compress);
  }

  subscriberCount(topic: string): number {
    return this.#server.subscriberCount(topic);
  }

  requestIP(request: Request | globalThis.Request): SocketAddress | null {
    return this.#server.requestIP(request);
  }

  timeout(request: Request | globalThis.Request, seconds: number): void {
    this.#server.timeout(request, seconds);
  }

  reload(options: ServerReloadOptions): Promise<void> {
    return this.#server.reload(options);
  }

  stop(closeActiveConnections?: boolean): Promise<void> {
    return this.#server.stop(closeActiveConnections);
  }

  ref(): void {
    this.#server.ref();
  }

  unref(): void {
    this.#server.unref();
  }
}

/** `requestIP` of a server. */
export function requestIP(request: Request | globalThis.Request): SocketAddress | null {
  return socketAddressOf(incomingRequest('requestIP', request).peer);
}

/** `timeout` of a server. */
export function setTimeoutOf(request: Request | globalThis.Request, seconds: number): void {
  const source = incomingRequest('timeout', request);
  const longest = longestDelay / 1000;
  if (typeof seconds !== 'number' || !(seconds >= 0 && seconds <= longest))
    throw new TypeError(`timeout: seconds is ${show(seconds)}; expected a number from 0 to ${longest}`);
  source.limitPauses(seconds === 0 ? Infinity : seconds * 1000);
}
