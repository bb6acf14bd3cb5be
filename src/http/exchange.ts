// One request and its response, while they are in progress: what a light `Request` is made over. Everything a handler may ask
// for is computed when it asks, from the head as one string; that is made when it is first needed, of the bytes where they stand. They are
// lent, so before their memory is another's they are kept in one form or the other: thus the handler, or whatever it has given the
// request to, may keep it for as long as it likes.

import { Buffer } from 'node:buffer';
import { AbortError } from '../util/abort-error.js';
import { copyBytes } from '../util/fast-bytes.js';
import { trim } from './characters.js';
import type { RequestSource } from './fetch/request.js';
import { Head, type HeadLimits } from './head.js';
import type { RequestBody } from './incoming-body.js';

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

/** What stands in a request line behind the target. */
const versionLength = ' HTTP/1.1\r\n'.length;

/** What a request in progress belongs to. */
export interface RequestOwner {
  /** The client's address. */
  readonly peer: string;
  /** Somebody wants to know when the client leaves: the exchange is told from now on. @returns why it has left, if it has */
  onSignalRequested(exchange: Exchange): unknown;
}

/** Heads of up to this many bytes are kept as bytes, in memory that many share: that costs less than a string, if nobody asks for it. */
const smallHead = 128;
const poolBytes = 8 * 1024;
let pool: Uint8Array = Buffer.allocUnsafeSlow(poolBytes);
let poolWords = new DataView(pool.buffer);
let pooled = 0;
const none = new Uint8Array(0);

export class Exchange implements RequestSource {
  /** The head as Latin-1, from the request line on, once it was needed; until then it stands in `#bytes[#start … #end-1]`. */
  #text: string | undefined;
  #bytes: Uint8Array;
  #start: number;
  #end: number;
  readonly #body: RequestBody | null;
  #owner: RequestOwner | undefined;
  // Where things stand in the text that the head knows already. The rest is soon found.
  readonly #targetStart: number;
  readonly #targetEnd: number;
  readonly #hostStart: number;
  readonly #hostEnd: number;
  readonly #defaultHost: string;
  #url: string | undefined;
  #peer = '';
  #controller: AbortController | undefined;
  #reason: unknown;

  /**
   * @param head has been parsed from `bytes`, from `start` on, which are lent until `keep` or `detachText` is called
   * @param defaultHost host and port for the URL of a request that names none
   */
  constructor(
    owner: RequestOwner,
    head: Head,
    bytes: Uint8Array,
    start: number,
    body: RequestBody | null,
    defaultHost: string,
  ) {
    const { methodStart } = head;
    this.#bytes = bytes;
    this.#start = start + methodStart;
    this.#end = start + head.length;
    this.#body = body;
    this.#owner = owner;
    this.#targetStart = head.targetStart - methodStart;
    this.#targetEnd = head.targetEnd - methodStart;
    this.#hostStart = head.hostStart - methodStart;
    this.#hostEnd = head.hostEnd - methodStart;
    this.#defaultHost = defaultHost;
  }

  /** The head as Latin-1, from the request line on. */
  get text(): string {
    this.#text ??= latin1(this.#bytes, this.#start, this.#end);
    return this.#text;
  }

  /** The bytes of the head are about to be another's, and the exchange is over, or nearly: hardly anybody will ask for anything any more. */
  copyBorrowed(): void {
    if (this.#text !== undefined || this.#end - this.#start > smallHead) {
      this.detachText();
      return;
    }
    const size = this.#end - this.#start;
    if (pooled + size > poolBytes) {
      pool = Buffer.allocUnsafeSlow(poolBytes);
      poolWords = new DataView(pool.buffer);
      pooled = 0;
    }
    copyBytes(this.#bytes, this.#start, poolWords, pooled, size);
    this.#bytes = pool;
    this.#start = pooled;
    pooled += size;
    this.#end = pooled;
  }

  /** The bytes of the head are about to be another's, and the exchange goes on, perhaps for long: the shared memory is not for those. */
  detachText(): void {
    this.#text ??= latin1(this.#bytes, this.#start, this.#end);
    this.#bytes = none;
  }

  get body(): RequestBody | null {
    return this.#body;
  }

  get method(): string {
    return this.text.slice(0, this.#targetStart - 1);
  }

  /** The client's address, if it is first asked for while the request is in progress. */
  get peer(): string {
    if (this.#peer === '') this.#peer = this.#owner?.peer ?? '';
    return this.#peer;
  }

  /** Says what it belongs to from now on; undefined when the request is over. */
  set origin(origin: RequestOwner | undefined) {
    this.#owner = origin;
  }

  /** The request target as it was sent. */
  get target(): string {
    return this.text.slice(this.#targetStart, this.#targetEnd);
  }

  /** RFC 9110 §7.1: the target URI. */
  get url(): string {
    if (this.#url === undefined) {
      const isNamed = this.#hostEnd > this.#hostStart;
      const host = isNamed ? this.text.slice(this.#hostStart, this.#hostEnd) : this.#defaultHost;
      this.#url = urlOf(this.target, host);
    }
    return this.#url;
  }

  get fields(): string[] {
    const { text, target } = this;
    const fields: string[] = [];
    for (let at = this.#targetEnd + versionLength; ; ) {
      const end = text.indexOf('\r\n', at);
      if (end === at) break;
      const colon = text.indexOf(':', at);
      fields.push(text.slice(at, colon).toLowerCase(), trim(text, colon + 1, end));
      at = end + 2;
    }
    if (!target.startsWith('/') && target !== '*') {
      // RFC 9112 §3.2.2: where the target names a host, that replaces what the Host field says.
      const { host } = new URL(target);
      for (let i = 0; i < fields.length; i += 2) if (fields[i] === 'host') fields[i + 1] = host;
    }
    return fields;
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

  /** Somebody watches its signal, or may still read its body: it has to be there until the response is whole. */
  get isNeeded(): boolean {
    const { body } = this;
    const isRead = body === null || (body.used && body.complete && body.reading === undefined);
    return !isRead || this.#controller !== undefined || this.#reason !== undefined;
  }
}

/** The exchange of a request of which only the text has been kept. It has no body: that has been read. @param limits it was within them */
export function reparseExchange(
  origin: RequestOwner,
  text: string,
  limits: HeadLimits & { readonly defaultHost: string },
): Exchange {
  const bytes = Buffer.from(text, 'latin1');
  const head = new Head();
  head.parse(bytes, 0, bytes.length, limits);
  return new Exchange(origin, head, bytes, 0, null, limits.defaultHost); // the bytes are its own
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

/** What `toString('latin1')` of a Buffer calls in Node, and in some others; it has been there from the first, and is in no types. */
interface Sliceable {
  latin1Slice(from: number, to: number): string;
}

/** Bytes as the string in which each is one character (the "isomorphic decoding" of fields in the fetch standard). */
function latin1(bytes: Uint8Array, from: number, to: number): string {
  const buffer = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  return 'latin1Slice' in buffer ? (buffer as Sliceable).latin1Slice(from, to) : buffer.toString('latin1', from, to);
}
