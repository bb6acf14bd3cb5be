// A request while it is in progress, whichever version of HTTP carries it: what a light `Request` is made over.

import { AbortError } from '../util/abort-error.js';
import type { RequestSource } from './fetch/request.js';
import type { RequestBody } from './request-body.js';

/** The reason of `request.signal`, and of the unwinding of a thread, when the client has left. Its name is `AbortError`, its code `ERR_CLIENT_LEFT`. */
export class ClientLeftError extends AbortError {
  constructor(message: string, options?: ErrorOptions) {
    super('ERR_CLIENT_LEFT', message, options);
  }
}

/** Targets that a URL parser leaves as they are: no dot segments, nothing to encode. Others go through `URL`. */
const plainTarget = /^\/(?!\.)(?:[\w\-~!$&()*+,;=:@?]|\/(?!\.)|\.)*$/;
/** Hosts likewise: lower case, no default port, and no number at the end, which would be read as an address. */
const plainHost = /^(?:[a-z0-9-]+\.)*[a-z][a-z0-9-]*(?::(?!0|80$)[1-9][0-9]{0,4})?$/;

/** What a request in progress belongs to. */
export interface RequestOwner {
  /** The client's address. */
  readonly peer: string;
  /** The handler wants to know when the client leaves: the request is told from now on. @returns why it has left, if it has */
  onSignalRequested(request: IncomingRequest): unknown;
}

export function withoutWebSockets(method: string): TypeError {
  return new TypeError(
    `${method}: serve was called without websocket; expected the handlers of WebSockets in that option`,
  );
}

export abstract class IncomingRequest implements RequestSource {
  readonly body: RequestBody | null;
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
  /** The request target as it was sent. */
  abstract readonly target: string;
  /** All fields as received: lowercased names and values in turn. */
  abstract readonly fields: string[];
  /** Its connection may be taken over: the version allows it (RFC 9110 §7.8), and there is no body to read first. */
  abstract readonly mayUpgrade: boolean;
  /** The memory that it was made over is about to be used for something else, and the exchange is over, or nearly. */
  abstract copyBorrowed(): void;
  /** The same, and the exchange goes on, perhaps for long. */
  abstract detachBorrowed(): void;
  // What a handler's second argument can do where the server has WebSockets: see `FetchInfo`.

  upgrade(): never {
    throw withoutWebSockets('upgrade');
  }

  publish(): never {
    throw withoutWebSockets('publish');
  }

  subscriberCount(): never {
    throw withoutWebSockets('subscriberCount');
  }

  /** Host and port as the client has sent them, or the server's own. */
  protected abstract readonly host: string;

  /** The client's address, if it is first asked for while the request is in progress. */
  get peer(): string {
    if (this.#peer === '') this.#peer = this.#owner?.peer ?? '';
    return this.#peer;
  }

  /** Says what it belongs to from now on; undefined when the request is over. */
  set owner(owner: RequestOwner | undefined) {
    this.#owner = owner;
  }

  /** RFC 9110 §7.1: the target URI. */
  get url(): string {
    this.#url ??= urlOf(this.target, this.host);
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

  /** Its signal is watched, or its body may still be read: it has to be there until the response is whole. */
  get isNeeded(): boolean {
    const { body } = this;
    const isRead = body === null || (body.used && body.complete && body.reading === undefined);
    return !isRead || this.#controller !== undefined || this.#reason !== undefined;
  }
}

/** @param sent the request target as Latin-1 */
function urlOf(sent: string, host: string): string {
  const target = escaped(sent);
  if (!target.startsWith('/') && target !== '*') return new URL(target).href;
  const path = target === '*' ? '/*' : target;
  const url = `http://${host}${path}`;
  return plainTarget.test(path) && plainHost.test(host) ? url : new URL(url).href;
}

/**
 * A target in which a URL parser finds what was sent. It would take bytes beyond US-ASCII for characters, and a backslash in a path
 * for a slash, which no proxy in front does; in a query it leaves one as it is. The rest it encodes itself, as the URL standard says.
 */
function escaped(target: string): string {
  if (!unsafeInTarget.test(target)) return target;
  const query = target.indexOf('?');
  return target.replace(/[\\\x80-\xff]/g, (character, at: number) => {
    if (character === '\\' && query !== -1 && at > query) return character;
    return `%${character.charCodeAt(0).toString(16).toUpperCase()}`;
  });
}

const unsafeInTarget = /[\\\x80-\xff]/;
