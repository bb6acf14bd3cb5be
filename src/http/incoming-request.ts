// A request in progress, for every version of HTTP: the source of a light `Request`.

import type { TlsInfo } from '../event-layer/tls-info.js';
import { AbortError } from '../util/abort-error.js';
import { isInstance, show } from '../util/inspect.js';
import { isLightRequest, type Request, type RequestSource, requestFrom, sourceOf } from './fetch/request.js';
import { ResponseError } from './outgoing.js';
import type { RequestBody } from './request-body.js';
import type { RequestServer } from './request-server.js';
import { urlOf } from './request-url.js';
import type { Forwarded } from './trusted-proxies.js';

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
  /** The response has ended: `end` of the request is not called any more. Owners that call `end` lack this. */
  readonly hasResponded?: boolean;
  /** Why the client disconnected before the response was complete, if it did. */
  readonly leftReason?: unknown;
  /** `request.signal` has been read: the owner must call `abort` when the client disconnects. @returns the reason if it has already */
  onSignalRequested(request: IncomingRequest): unknown;
  /** How long the client may pause, for this request. Milliseconds, or Infinity. Owners of requests that are over lack it. */
  limitPauses?(milliseconds: number): void;
}

/** The promises `completed` of requests, for those whose `completed` has been read. */
const completions = new WeakMap<IncomingRequest, Completion>();
/** How many of these are pending. While there are none, requests are not looked up in the map when they end. */
let watched = 0;

interface Completion {
  readonly promise: Promise<void>;
  readonly settle: (isComplete: boolean) => void;
}

/** The source of a request that a server has received; undefined for any other. */
export function findIncomingRequest(request: unknown): IncomingRequest | undefined {
  const source = isLightRequest(request) ? sourceOf(request) : undefined;
  return isInstance(source, IncomingRequest) ? source : undefined;
}

/** The same. @throws {TypeError} if it is not a request that a server has received */
export function incomingRequest(where: string, request: Request | globalThis.Request): IncomingRequest {
  const source = findIncomingRequest(request);
  if (source === undefined)
    throw new TypeError(`${where}: the request is ${show(request)}; expected the one that the handler has got`);
  return source;
}

export abstract class IncomingRequest implements RequestSource {
  readonly body: RequestBody | null;
  /** Its handler has returned a response, or has failed. Set only while requests may be upgraded. */
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
  /**
   * The borrowed memory with the head is about to be reused, and the exchange is over: copies the bytes in the cheapest way, for code that has kept the request.
   */
  abstract copyBorrowed(): void;
  /** The same, but the exchange continues, perhaps for a long time: decodes the head, so that no other memory is held for it. */
  abstract detachBorrowed(): void;

  /** The server that has received it. */
  abstract readonly server: RequestServer;
  /** Host and port as received, or those of the server. */
  protected abstract readonly host: string;

  /** The client's address; empty if first read after the request has ended. */
  get peer(): string {
    if (this.#peer === '') {
      const own = this.#owner?.peer ?? '';
      this.#peer = this.forwarded(own)?.peer ?? own;
    }
    return this.#peer;
  }

  /** What is known of the connection's TLS session; undefined if it has none, or the request has ended. */
  get tls(): TlsInfo | undefined {
    return this.#owner?.tls;
  }

  /** How long the client may pause while it sends the body, or reads the response. Milliseconds, or Infinity. */
  limitPauses(milliseconds: number): void {
    this.#owner?.limitPauses?.(milliseconds);
  }

  /** See `FetchInfo.completed`. */
  get completed(): Promise<void> {
    let completion = completions.get(this);
    if (completion === undefined) {
      completion = newCompletion(() => this.#reason ?? new ResponseError('the response was not written to its end'));
      completions.set(this, completion);
      const owner = this.#owner;
      if (owner === undefined || owner.hasResponded === true) {
        this.#reason ??= owner?.leftReason;
        completion.settle(this.#reason === undefined);
      } else {
        watched++;
        this.#reason ??= owner.onSignalRequested(this); // it keeps the request until the response is complete
      }
    }
    return completion.promise;
  }

  /** See `FetchInfo.waitUntil`. */
  waitUntil(work: unknown): void {
    this.server.waitUntil(work, { request: requestFrom(this), peer: this.peer });
  }

  /** Its handler may still answer it, and its client is connected. */
  get isAnswerable(): boolean {
    return !this.isAnswered && this.#owner !== undefined && this.#reason === undefined;
  }

  /** Set when another object takes over the request; undefined when the request is over. */
  set owner(owner: RequestOwner | undefined) {
    this.#owner = owner;
  }

  /** The request is over. @param isComplete its response has been written as a whole */
  end(isComplete: boolean): void {
    this.#owner = undefined;
    if (watched > 0) settleCompletion(this, isComplete);
  }

  /** RFC 9110 §7.1: the target URI. */
  get url(): string {
    this.#url ??= this.makeUrl();
    return this.#url;
  }

  // Not with `#`: methods that are private so take 8 bytes of each object.
  private makeUrl(): string {
    const { scheme, proxies } = this.server;
    const forwarded = proxies === undefined ? undefined : this.forwarded(this.#owner?.peer ?? '');
    return urlOf(this.target, forwarded?.host ?? this.host, forwarded?.scheme ?? scheme);
  }

  /** The client as trusted proxies describe it. @param own the address of the connection's peer; empty if unknown */
  private forwarded(own: string): Forwarded | undefined {
    const { proxies, isLocal } = this.server;
    return proxies?.clientOf(own, isLocal && own === '', this.fields);
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
    const isWatched = watched > 0 && completions.has(this);
    return !isRead || this.#controller !== undefined || this.#reason !== undefined || isWatched;
  }
}

/** @param reason why the response is not complete */
function newCompletion(reason: () => unknown): Completion {
  let settle: Completion['settle'] = () => {};
  const promise = new Promise<void>((resolve, reject) => {
    settle = (isComplete) => (isComplete ? resolve() : reject(reason()));
  });
  promise.catch(() => {}); // not an unhandled rejection where no code waits for the promise
  return { promise, settle };
}

function settleCompletion(request: IncomingRequest, isComplete: boolean): void {
  const completion = completions.get(request);
  if (completion === undefined) return;
  watched--;
  completion.settle(isComplete);
}
