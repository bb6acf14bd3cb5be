// An HTTP/1.1 request over the bytes of its head. Method, URL and fields are computed on access, from the head as one string, which is decoded on first use.
// The bytes are borrowed: before their memory is reused, they are copied or decoded. So a handler may keep the request for any time.

import { Buffer } from 'node:buffer';
import { copyBytes } from '../../util/fast-bytes.js';
import { IncomingRequest, type RequestOwner } from '../incoming-request.js';
import type { HeadLimits } from '../limits.js';
import type { RequestBody } from '../request-body.js';
import type { RequestServer } from '../request-server.js';
import { trim } from './characters.js';
import { Head } from './head.js';

/** The length of the request line after the target. */
const versionLength = ' HTTP/1.1\r\n'.length;

/** Heads of up to this many bytes are copied into shared memory, which costs less than a string that may never be used. */
const smallHead = 128;
const poolBytes = 8 * 1024;
let pool: Uint8Array = Buffer.allocUnsafeSlow(poolBytes);
let poolWords = new DataView(pool.buffer);
let pooled = 0;
const none = new Uint8Array(0);

export class H1Request extends IncomingRequest {
  /** The head as Latin-1, from the request line on; undefined until first used. Until then it is `#bytes[#start … #end-1]`. */
  #text: string | undefined;
  #bytes: Uint8Array;
  #start: number;
  #end: number;
  // Offsets in the text, from the parser.
  readonly #targetStart: number;
  readonly #targetEnd: number;
  readonly #hostStart: number;
  readonly #hostEnd: number;
  readonly server: RequestServer;

  /**
   * @param head has been parsed from `bytes`, from `start` on; the bytes are borrowed until `copyBorrowed` or `detachBorrowed` is called
   */
  constructor(
    owner: RequestOwner,
    head: Head,
    bytes: Uint8Array,
    start: number,
    body: RequestBody | null,
    server: RequestServer,
  ) {
    super(owner, body);
    const { methodStart } = head;
    this.#bytes = bytes;
    this.#start = start + methodStart;
    this.#end = start + head.length;
    this.#targetStart = head.targetStart - methodStart;
    this.#targetEnd = head.targetEnd - methodStart;
    this.#hostStart = head.hostStart - methodStart;
    this.#hostEnd = head.hostEnd - methodStart;
    this.server = server;
  }

  /** The head as Latin-1, from the request line on. */
  get text(): string {
    this.#text ??= latin1(this.#bytes, this.#start, this.#end);
    return this.#text;
  }

  /** The memory of the head is about to be used for something else, and the exchange is over, or nearly: hardly anything will be asked for any more. */
  copyBorrowed(): void {
    if (this.#text !== undefined || this.#end - this.#start > smallHead) {
      this.detachBorrowed();
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

  /** The memory of the head is about to be used for something else, and the exchange goes on, perhaps for long: the shared memory is not for those. */
  detachBorrowed(): void {
    this.#text ??= latin1(this.#bytes, this.#start, this.#end);
    this.#bytes = none;
  }

  get method(): string {
    return this.text.slice(0, this.#targetStart - 1);
  }

  get target(): string {
    return this.text.slice(this.#targetStart, this.#targetEnd);
  }

  get mayUpgrade(): boolean {
    return (this.body?.complete ?? true) && this.text.startsWith(' HTTP/1.1\r\n', this.#targetEnd);
  }

  protected get host(): string {
    return this.#hostEnd > this.#hostStart ? this.text.slice(this.#hostStart, this.#hostEnd) : this.server.defaultHost;
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
}

/** A request of which only the text has been kept. It has no body: that has been read. @param limits it was within them */
export function requestFromText(owner: RequestOwner, text: string, limits: HeadLimits & RequestServer): H1Request {
  const bytes = Buffer.from(text, 'latin1');
  const head = new Head();
  head.parse(bytes, 0, bytes.length, limits);
  return new H1Request(owner, head, bytes, 0, null, limits); // the bytes are its own
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
