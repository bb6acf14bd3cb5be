// The framing of a request body in chunks (RFC 9112 §7.1).

import type { Reader } from '../../connection/reader.js';
import type { Task } from '../../threads/task.js';
import { HttpError } from '../errors.js';
import type { BodyLimits, ChunkLimits } from '../limits.js';
import { type BodyFraming, bodyTooLarge } from '../request-body.js';
import { classes, HEXDIG, hexDigits, TOKEN, VALUE } from './characters.js';

/** The most digits of a chunk size, leading zeros included: 64 bits. */
const sizeDigits = 16;

const CR = 13;
const LF = 10;
/** Bytes of CRLF. */
const lineEnd = 2;
const SEMICOLON = 59;
const SP = 32;
const HTAB = 9;

export class ChunkedFraming implements BodyFraming {
  readonly #reader: Reader;
  readonly #limits: BodyLimits & ChunkLimits;
  /** Bytes that chunk extensions have had so far. RFC 9112 §7.1.1: it is their total that is to be limited. */
  #extensions = 0;
  /** A chunk's data have been read; its CRLF has not. */
  #inChunk = false;

  constructor(reader: Reader, limits: BodyLimits & ChunkLimits) {
    this.#reader = reader;
    this.#limits = limits;
  }

  /**
   * Goes on to the content of the next chunk where all that stands before it has come and is plain: the end of the chunk before, and a
   * size alone in its line. Small chunks are mostly framing, so this is an ordinary call that makes no object.
   */
  step(received: number): number {
    const reader = this.#reader;
    const { bytes, start, limit } = reader;
    let at = start;
    if (this.#inChunk) {
      if (limit - at < lineEnd || bytes[at] !== CR || bytes[at + 1] !== LF) return 0;
      at += lineEnd;
    }
    const stop = Math.min(limit, at + sizeDigits);
    const firstDigit = at;
    let size = 0;
    for (let digit: number; at < stop && (digit = hexDigits[bytes[at]]) < 16; at++) size = size * 16 + digit;
    // At least one byte of content: of a reader that has nothing more, nothing could be taken.
    if (at === firstDigit || limit - at <= lineEnd || bytes[at] !== CR || bytes[at + 1] !== LF) return 0;
    if (size === 0 || received + size > this.#limits.bodySize) return 0;
    reader.consume(at + lineEnd - start);
    this.#inChunk = true;
    return size;
  }

  /** Reads a chunk's first line, after the end of the chunk before (RFC 9112 §7.1). @returns its size; 0 for the last chunk, whose trailers have been read */
  *next(received: number, more: () => Task<void>): Task<number> {
    if (this.#inChunk) {
      yield* this.#line(0, chunkTooLong, more);
      this.#inChunk = false;
    }
    const { bodySize, extensionSize } = this.#limits;
    const tooLong = () =>
      new HttpError(
        431,
        `RFC 9112 §7.1.1: a chunk size of more than ${sizeDigits} digits, or extensions of more than ${extensionSize} bytes`,
      );
    const line = yield* this.#line(sizeDigits + extensionSize - this.#extensions, tooLong, more);
    let at = 0;
    let size = 0;
    while (at < line.length && (classes[line.charCodeAt(at)] & HEXDIG) !== 0) {
      size = size * 16 + Number.parseInt(line.charAt(at), 16);
      at++;
      if (size > Number.MAX_SAFE_INTEGER)
        throw new HttpError(400, 'RFC 9112 §7.1: a chunk size is beyond what can be counted');
    }
    if (at === 0) throw new HttpError(400, 'RFC 9112 §7.1: a chunk size is no hexadecimal number');
    checkExtensions(line, at);
    this.#extensions += line.length - at;
    if (at > sizeDigits || this.#extensions > extensionSize) throw tooLong();
    if (received + size > bodySize) throw bodyTooLarge(bodySize);
    if (size === 0) {
      yield* this.#trailers(more);
      return 0;
    }
    this.#inChunk = true;
    return size;
  }

  /** Checks trailer fields and drops them (RFC 9112 §7.1.2). */
  *#trailers(more: () => Task<void>): Task<void> {
    const { trailerSize } = this.#limits;
    const tooLong = () => new HttpError(431, `RFC 6585 §5: trailers of more than ${trailerSize} bytes`);
    for (let room = trailerSize; ; ) {
      const line = yield* this.#line(Math.max(0, room - lineEnd), tooLong, more);
      if (line === '') return;
      room -= line.length + lineEnd;
      const colon = line.indexOf(':');
      for (let i = 0; i < colon; i++) {
        if ((classes[line.charCodeAt(i)] & TOKEN) === 0)
          throw new HttpError(400, 'RFC 9112 §5.1: a trailer name is no token');
      }
      if (colon < 1) throw new HttpError(400, 'RFC 9112 §5: a trailer line without a name and a colon');
    }
  }

  /**
   * A line that ends with CRLF, as Latin-1, without its end. Nothing in it is a control character but HTAB.
   * @param limit the most bytes that it may have, its end not counted
   * @throws {HttpError} `tooLong` if it has more
   */
  *#line(limit: number, tooLong: () => HttpError, more: () => Task<void>): Task<string> {
    const reader = this.#reader;
    let line = '';
    for (let searched = 0; ; ) {
      const { bytes, start } = reader;
      const end = reader.limit;
      for (let at = start + searched; at < end; at++) {
        const byte = bytes[at];
        if ((classes[byte] & VALUE) !== 0) {
          if (at - start >= limit) throw tooLong();
          continue;
        }
        if (byte !== CR)
          throw new HttpError(400, 'RFC 9112 §7.1: a control character or a bare LF in the framing of a chunk');
        if (at + 1 === end) break; // the LF has not come yet
        if (bytes[at + 1] !== LF) throw new HttpError(400, 'RFC 9112 §2.2: a CR without LF');
        for (let i = start; i < at; i++) line += String.fromCharCode(bytes[i]);
        reader.consume(at + 2 - start);
        return line;
      }
      searched = Math.max(0, reader.buffered - 1); // the last byte may be the CR
      yield* more();
    }
  }
}

/** Chunk extensions are ignored, but must be well-formed: a proxy might read malformed ones differently (RFC 9112 §7.1.1). */
function checkExtensions(line: string, from: number): void {
  let at = from;
  const skipSpace = () => {
    while (at < line.length && (line.charCodeAt(at) === SP || line.charCodeAt(at) === HTAB)) at++;
  };
  const token = () => {
    const begin = at;
    while (at < line.length && (classes[line.charCodeAt(at)] & TOKEN) !== 0) at++;
    return at > begin;
  };
  const malformed = () => new HttpError(400, 'RFC 9112 §7.1.1: what follows a chunk size is no chunk extension');
  while (at < line.length) {
    skipSpace();
    if (line.charCodeAt(at) !== SEMICOLON) throw malformed();
    at++;
    skipSpace();
    if (!token()) throw malformed();
    const beforeSpace = at;
    skipSpace();
    if (line.charAt(at) !== '=') {
      at = beforeSpace;
      continue;
    }
    at++;
    skipSpace();
    if (line.charAt(at) === '"') {
      at++;
      while (at < line.length && line.charAt(at) !== '"') at += line.charAt(at) === '\\' ? 2 : 1;
      if (at >= line.length) throw malformed();
      at++;
    } else if (!token()) {
      throw malformed();
    }
  }
}

function chunkTooLong(): HttpError {
  return new HttpError(400, 'RFC 9112 §7.1: a chunk is longer than its size');
}
