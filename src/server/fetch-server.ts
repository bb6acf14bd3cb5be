// The second argument of `fetch`: what is known of a request beside itself, and the server. Its members are those of Bun's server and of Deno's information, so
// that code which was written for these finds what it expects. All of them are computed when they are asked for.

import type { ReloadOptions } from '../connection/listener.js';
import type { TlsInfo } from '../event-layer/tls-info.js';
import type { Request } from '../http/fetch/request.js';
import { type IncomingRequest, incomingRequest } from '../http/incoming-request.js';
import type { RequestInfo } from '../http/settings.js';
import { type SocketAddress, socketAddressOf } from '../http/socket-address.js';
import { show } from '../util/inspect.js';
import { longestDelay } from '../util/options.js';
import type { Sendable, UpgradeArguments, UpgradeOptions } from '../websocket/handlers.js';

/** Where a client is, as Deno has it. */
export interface RemoteAddress {
  /** What `path` is there for, if it is `unix`. */
  readonly transport: 'tcp' | 'unix';
  /** The IP address; empty for a Unix-domain socket, and if it is first asked for when the client has gone. */
  readonly hostname: string;
  /** The TCP port; 0 where it is not known. */
  readonly port: number;
  /** Of a Unix-domain socket: the server's path. */
  readonly path?: string | undefined;
}

/** What a handler can replace in its server, besides its certificates: see `Server.reload`. */
export interface ServerReloadOptions extends Partial<ReloadOptions> {
  /** As for `serve`: requests that come from now on go there. */
  fetch?: ((request: never, info: never) => unknown) | undefined;
  /** As for `serve`. */
  error?: ((error: unknown) => unknown) | undefined;
}

/** The members of a server that its handlers have, too. Names and meanings are Bun's. */
export interface ServerMembers<Data = unknown> {
  /** Its URL: `http://127.0.0.1:8080/`, or `http+unix:` with the percent-encoded path of a Unix-domain socket as the host. */
  readonly url: URL;
  /** The TCP port, or `undefined` for a Unix-domain socket. */
  readonly port: number | undefined;
  /** The host name or address that it listens on, or `undefined` for a Unix-domain socket. */
  readonly hostname: string | undefined;
  /** Always empty: there is nothing that it would distinguish. */
  readonly id: string;
  /** Always false: there is no other mode of working for development. */
  readonly development: boolean;
  /** How many requests are in progress, without those whose head is incomplete. */
  readonly pendingRequests: number;
  /** How many WebSockets by handlers there are. */
  readonly pendingWebSockets: number;
  /**
   * Answers a request with the opening handshake of a WebSocket, whatever its handler returns afterwards. A handshake that is wrong is answered with
   * 400, 403 or 426. Needs the option `websocket` of `serve`.
   * @returns false if the request does not ask for a WebSocket: then its handler answers it. Also if it has been answered or upgraded already, or its client is
   *   gone
   * @throws {TypeError} for options that are wrong, a request that is not this server's, and without the option `websocket`
   */
  upgrade(request: Request | globalThis.Request, ...options: UpgradeArguments<Data>): boolean;
  /**
   * Sends a message to all WebSockets that have subscribed to a topic. Needs the option `websocket` of `serve`.
   * @param compress whether it is compressed, whatever its size, where `perMessageDeflate` has been agreed on. Default: from its `threshold` on
   * @returns its bytes, frame included; -1 if one of them is slow; 0 if it has been dropped for one, or there are none
   * @throws {TypeError} for what cannot be sent, and without the option `websocket`
   */
  publish(topic: string, data: Sendable, compress?: boolean): number;
  /** How many WebSockets have subscribed to a topic. Needs the option `websocket` of `serve`. @throws {TypeError} without it */
  subscriberCount(topic: string): number;
  /** The client's address; null for a Unix-domain socket, and if it is first asked for when the client has gone. @throws {TypeError} for a request that is not the server's */
  requestIP(request: Request | globalThis.Request): SocketAddress | null;
  /**
   * How long the client of a request may pause while it sends the body, and while it reads the response, in place of `bodyTimeout` and `writeTimeout`. In
   * **seconds**, as in Bun; 0 for as long as it likes. A handler may take any time in any case.
   * @throws {TypeError} for a request that is not the server's, and for what is no number of seconds
   */
  timeout(request: Request | globalThis.Request, seconds: number): void;
  /**
   * Makes `close()` wait for a promise until its deadline: for work that goes on after the response, or after the client has left. If it is rejected, `onError` is
   * called, once, with the request if a handler has called this.
   * @throws {TypeError} for a task and for a function, which would never run
   */
  waitUntil(work: unknown): void;
  /**
   * Replaces `fetch` and `error` for requests that come from now on, and the certificates of `tls` for connections that do. Everything is checked first.
   * @throws (rejects) as `serve` does: then nothing has changed
   */
  reload(options: ServerReloadOptions): Promise<void>;
  /** `close()` with Bun's name. @param closeActiveConnections whether requests in progress are unwound at once. Default false */
  stop(closeActiveConnections?: boolean): Promise<void>;
  /** Undoes `unref`. */
  ref(): void;
  /** From now on the server does not keep the process running while it has no connection, as `unref` of a server of `node:net`. */
  unref(): void;
}

/** What a handler can know of its request, and do with its server. @typeParam Data what `ws.data` is, for WebSockets by handlers */
export interface FetchInfo<Data = unknown> extends RequestInfo, ServerMembers<Data> {
  /** The client's address, as Deno has it. */
  readonly remoteAddr: RemoteAddress;
  /** Is fulfilled when the response has been written as a whole; rejected if it was broken off, with the reason of `request.signal` if the client has left. As in Deno. */
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
    const address = socketAddressOf(this.peer); // on a Unix-domain socket, too, if a proxy names it
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
  const most = longestDelay / 1000;
  if (typeof seconds !== 'number' || !(seconds >= 0 && seconds <= most))
    throw new TypeError(`timeout: seconds is ${show(seconds)}; expected a number from 0 to ${most}`);
  source.limitPauses(seconds === 0 ? Infinity : seconds * 1000);
}
