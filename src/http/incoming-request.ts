// A request in progress, for every version of HTTP: the source of a light `Request`.

import type { TlsInfo } from '../event-layer/tls-info.js';
import { AbortError } from '../util/abort-error.js';
import { isInstance, show } from '../util/inspect.js';
import { isLightRequest, type Request, type RequestSource, sourceOf } from './fetch/request.js';
import type { RequestBody } from './request-body.js';
import { urlOf } from './request-url.js';
import { type SocketAddress, socketAddressOf } from './socket-address.js';

/** The reason of `request.signal` and of unwinding when the client has disconnected. Its name is `AbortError`, its code `ERR_CLIENT_LEFT`. */
export class ClientLeftError extends AbortError {
  constructor(message: string, options?: ErrorOptions) {
    super('ERR_CLIENT_LEFT', message, options);
  }
}

/** The exchange of a request in progress, or what remains of it. */
export interface RequestOwner {
  /** The client's address. */
  readonly peer: string;
  /** What is known of the connection's TLS session. */
  readonly tls?: TlsInfo | undefined;
  /** `request.signal` has been read: the owner must call `abort` when the client disconnects. @returns the reason if it has already */
  onSignalRequested(request: IncomingRequest): unknown;
}

export function withoutWebSockets(method: string): TypeError {
  return new TypeError(
    `${method}: serve was called without websocket; expected the handlers of WebSockets in that option`,
  );
}

/** What a server knows of a request. @throws {TypeError} if it is not one that a server has received */
export function incomingRequest(where: string, request: Request | globalThis.Request): IncomingRequest {
  const source = isLightRequest(request) ? sourceOf(request) : undefined;
  if (!isInstance(source, IncomingRequest))
    throw new TypeError(`${where}: the request is ${show(request)}; expected the one that the handler has got`);
  return source;
}

export abstract class IncomingRequest implements RequestSource {
  readonly body: RequestBody | null;
  /** Its handler has returned a response, or has failed. Known only where requests may be upgraded. */
  isAnswered = false;
  #owner: RequestOwner | undefined;
  #url: string | undefined;
  #peer = '';
  #controller: AbortController | undefined;
  #reason: unknown;

  constructor(owner: RequestOwner, body: RequestBody | null) {
    this.#owner = owner;
    this.body = body;
  }

  abstract readonly method: string;
  /** The request target as received. */
  abstract readonly target: string;
  /** All fields as received: lowercased names, each followed by its value. */
  abstract readonly fields: string[];
  /** Its connection may be taken over: the version allows it (RFC 9110 §7.8), and there is no body to read first. */
  abstract readonly mayUpgrade: boolean;
  /** The borrowed memory with the head is about to be reused, and the exchange is over: copies the bytes in the cheapest way, for code that has kept the request. */
  abstract copyBorrowed(): void;
  /** The same, but the exchange continues, perhaps for a long time: decodes the head, so that no other memory is held for it. */
  abstract detachBorrowed(): void;

  // What a handler's second argument can do: see `FetchInfo`. Some of it needs a server that has WebSockets.

  requestIP(request: Request | globalThis.Request): SocketAddress | null {
    return socketAddressOf(incomingRequest('requestIP', request).peer);
  }

  get pendingWebSockets(): number {
    return 0;
  }

  upgrade(): never {
    throw withoutWebSockets('upgrade');
  }

  publish(): never {
    throw withoutWebSockets('publish');
  }

  subscriberCount(): never {
    throw withoutWebSockets('subscriberCount');
  }

  /** Host and port as received, or those of the server. */
  protected abstract readonly host: string;
  protected abstract readonly scheme: 'http' | 'https';

  /** The client's address; empty if first read after the request has ended. */
  get peer(): string {
    if (this.#peer === '') this.#peer = this.#owner?.peer ?? '';
    return this.#peer;
  }

  /** What is known of the connection's TLS session; undefined if it has none, or the request has ended. */
  get tls(): TlsInfo | undefined {
    return this.#owner?.tls;
  }

  /** Its handler may still answer it, and its client is there. */
  get isAnswerable(): boolean {
    return !this.isAnswered && this.#owner !== undefined && this.#reason === undefined;
  }

  /** Set when another object takes over the request; undefined when the request is over. */
  set owner(owner: RequestOwner | undefined) {
    this.#owner = owner;
  }

  /** RFC 9110 §7.1: the target URI. */
  get url(): string {
    this.#url ??= urlOf(this.target, this.host, this.scheme);
    return this.#url;
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      this.#reason ??= this.#owner?.onSignalRequested(this);
      if (this.#reason !== undefined) this.#controller.abort(this.#reason);
    }
    return this.#controller.signal;
  }

  /** Why the request was aborted, if it was. */
  get aborted(): unknown {
    return this.#reason;
  }

  /** Aborts `request.signal`, once. */
  abort(reason: unknown): void {
    if (this.#reason !== undefined) return;
    this.#reason = reason;
    this.body?.abort(reason);
    this.#controller?.abort(reason);
  }

  /** Its signal is in use, or its body may still be read: it must be kept until the response is complete. */
  get isNeeded(): boolean {
    const { body } = this;
    const isRead = body === null || (body.used && body.complete && body.reading === undefined);
    return !isRead || this.#controller !== undefined || this.#reason !== undefined;
  }
}
