// One request and its response, while they are in progress: what a light `Request` is made over. Everything a handler may ask
// for is computed when it asks. The head is read in place until `detach`, which makes one string of it: what the handler, or
// whatever it has given the request to, asks for later comes from there.

import { Buffer } from 'node:buffer';
import { ThreadError } from '../threads/errors.js';
import { trim } from './characters.js';
import type { RequestSource } from './fetch/request.js';
import type { Head } from './head.js';
import type { RequestBody } from './incoming-body.js';

/** The reason of `request.signal`, and of the unwinding of a thread, when the client has left. */
export class ClientLeftError extends ThreadError {
  override readonly name = 'ClientLeftError';

  constructor(message: string, options?: ErrorOptions) {
    super('ERR_CLIENT_LEFT', message, options);
  }
}

/** Targets that a URL parser leaves as they are: no dot segments, nothing to encode. Others go through `URL`. */
const plainTarget = /^\/(?!\.)(?:[\w\-~!$&()*+,;=:@?]|\/(?!\.)|\.)*$/;
/** Hosts likewise: lower case, no default port, and no number at the end, which would be read as an address. */
const plainHost = /^(?:[a-z0-9-]+\.)*[a-z][a-z0-9-]*(?::(?!0|80$)[1-9][0-9]{0,4})?$/;

/** Who has sent a request. */
export interface Origin {
  readonly peer: string;
}

export class Exchange implements RequestSource {
  readonly body: RequestBody | null;
  #origin: Origin | undefined;
  /** Where the head stands, until it is detached. */
  #bytes: Uint8Array | undefined;
  readonly #start: number;
  #text: string | undefined;
  // Where things stand in the head. The head itself may be at its next request by the time that somebody asks.
  readonly #length: number;
  readonly #methodStart: number;
  readonly #methodEnd: number;
  readonly #targetStart: number;
  readonly #targetEnd: number;
  readonly #fieldsStart: number;
  readonly #hostStart: number;
  readonly #hostEnd: number;
  readonly #defaultHost: string;
  #url: string | undefined;
  #controller: AbortController | undefined;
  #reason: unknown;

  /**
   * @param bytes where the head stands, from `start` on; to be left alone until `detach`
   * @param defaultHost host and port for the URL of a request that names none
   */
  constructor(
    origin: Origin,
    head: Head,
    bytes: Uint8Array,
    start: number,
    body: RequestBody | null,
    defaultHost: string,
  ) {
    this.#origin = origin;
    this.#bytes = bytes;
    this.#start = start;
    this.#length = head.length;
    this.#methodStart = head.methodStart;
    this.#methodEnd = head.methodEnd;
    this.#targetStart = head.targetStart;
    this.#targetEnd = head.targetEnd;
    this.#fieldsStart = head.fieldsStart;
    this.#hostStart = head.hostStart;
    this.#hostEnd = head.hostEnd;
    this.body = body;
    this.#defaultHost = defaultHost;
  }

  get method(): string {
    return this.#part(this.#methodStart, this.#methodEnd);
  }

  /** The client's address, as long as the request is in progress. */
  get peer(): string {
    return this.#origin?.peer ?? '';
  }

  /** Says who has sent it from now on; undefined when the request is over. */
  set origin(origin: Origin | undefined) {
    this.#origin = origin;
  }

  /** The request target as it was sent. */
  get target(): string {
    return this.#part(this.#targetStart, this.#targetEnd);
  }

  /** RFC 9110 §7.1: the target URI. */
  get url(): string {
    this.#url ??= this.#makeUrl();
    return this.#url;
  }

  get fields(): string[] {
    const text = this.detach();
    const fields: string[] = [];
    for (let at = this.#fieldsStart; ; ) {
      const end = text.indexOf('\r\n', at);
      if (end === at) return this.#withTargetHost(fields);
      const colon = text.indexOf(':', at);
      fields.push(text.slice(at, colon).toLowerCase(), trim(text, colon + 1, end));
      at = end + 2;
    }
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
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

  /** Makes the request independent of the buffer that its head stands in. @returns the head as Latin-1 */
  detach(): string {
    if (this.#text === undefined) {
      const bytes = this.#bytes as Uint8Array; // set until the text is made
      this.#text = latin1(bytes, this.#start, this.#start + this.#length);
      this.#bytes = undefined;
    }
    return this.#text;
  }

  #part(from: number, to: number): string {
    return this.detach().slice(from, to);
  }

  /** RFC 9112 §3.2.2: where the target names a host, that replaces what the Host field says. */
  #withTargetHost(fields: string[]): string[] {
    if (this.target.startsWith('/') || this.target === '*') return fields;
    const { host } = new URL(this.target);
    for (let i = 0; i < fields.length; i += 2) if (fields[i] === 'host') fields[i + 1] = host;
    return fields;
  }

  #makeUrl(): string {
    const { target } = this;
    if (!target.startsWith('/') && target !== '*') return new URL(target).href;
    const host = this.#hostEnd > this.#hostStart ? this.#part(this.#hostStart, this.#hostEnd) : this.#defaultHost;
    const path = target === '*' ? '/*' : target;
    const url = `http://${host}${path}`;
    return plainTarget.test(path) && plainHost.test(host) ? url : new URL(url).href;
  }
}

/** What `toString('latin1')` of a Buffer calls in Node, and in some others; it has been there from the first, and is in no types. */
interface Sliceable {
  latin1Slice(from: number, to: number): string;
}

/** Bytes as the string in which each is one character (the "isomorphic decoding" of fields in the fetch standard). */
function latin1(bytes: Uint8Array, from: number, to: number): string {
  const buffer = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  return 'latin1Slice' in buffer ? (buffer as Sliceable).latin1Slice(from, to) : buffer.toString('latin1', from, to);
}
