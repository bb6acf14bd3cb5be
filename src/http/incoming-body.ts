// The body of a request, read from the connection as its framing says: by length, or chunked (RFC 9112 §6 and §7).
// A thread reads it with `read`; promises and streams, for handlers that are ordinary code, come from child threads that do.

import { type BufferShare, noMemory } from '../connection/buffered-bytes.js';
import type { Connection } from '../connection/connection.js';
import { ConnectionError } from '../event-layer/event-layer.js';
import { UnwoundError } from '../threads/errors.js';
import { sleep } from '../threads/sleep.js';
import type { Task } from '../threads/task.js';
import { Thread } from '../threads/thread.js';
import { AbortError } from '../util/abort-error.js';
import { ByteBuilder } from '../util/byte-builder.js';
import { isInstance } from '../util/inspect.js';
import { BodyStream } from './body-stream.js';
import { classes, HEXDIG, hexDigits, TOKEN, VALUE } from './characters.js';
import { HttpError } from './errors.js';
import type { IncomingBody } from './fetch/body.js';
import type { Head } from './head.js';

/** Limits on a request body. */
export interface BodyLimits {
  /** The most bytes of content; more is refused with 413. */
  readonly bodySize: number;
  /** The most bytes of all chunk extensions of a body together; more is refused with 431. */
  readonly extensionSize: number;
  /** The most bytes of all trailer lines of a body, their ends included; more is refused with 431. */
  readonly trailerSize: number;
  /** How long nothing may come of a body that is being read, in milliseconds; later is refused with 408. */
  readonly bodyTimeout: number;
  /** How many bytes of content a second must come of a body that is being read, once `bodyTimeout` has passed; fewer are refused with 408. */
  readonly bodyRate: number;
  /** How much of a turn one client may have before the others have theirs: see `TurnShares`. Chunks are its unit. */
  readonly turnWork: number;
}

/** The most digits of a chunk size, leading zeros included: 64 bits. */
const sizeDigits = 16;

/** The most bytes that are put together for one read of a body's stream. */
const mostAtOnce = 64 * 1024;
/** Fewer bytes than this are sooner copied in a loop than by a call. */
const shortCopy = 32;

const CR = 13;
const LF = 10;
/** Bytes of CRLF. */
const lineEnd = 2;
const SEMICOLON = 59;
const SP = 32;
const HTAB = 9;

/** Errors that a body could not be read for: of what a client has sent or has not, or because the request ended meanwhile. */
const bodyFailures = new WeakSet<object>();

export function isBodyFailure(error: unknown): boolean {
  return typeof error === 'object' && error !== null && bodyFailures.has(error);
}

function notReadable(cause: unknown): ConnectionError {
  return new ConnectionError(
    'ERR_CLOSED',
    'the body can no longer be read: its connection is closed or its request is over',
    cause === undefined ? undefined : { cause },
  );
}

/**
 * The error of a read whose thread was unwound. If the client has left, that is the reason. Else the handler failed, or its thread ended, while
 * it read: it may not be there to handle this error, so the error is one of those that do not end the process.
 */
function unwoundRead(error: UnwoundError): unknown {
  const { cause } = error;
  if (isInstance(cause, AbortError)) return cause;
  const failure = notReadable(cause ?? error);
  bodyFailures.add(failure);
  return failure;
}

export class RequestBody implements IncomingBody {
  readonly #connection: Connection;
  readonly #limits: BodyLimits;
  readonly #chunked: boolean;
  /** Bytes left of the body, or of the chunk that is being read. */
  #left: number;
  #state: 'unread' | 'reading' | 'complete' | 'broken' = 'unread';
  /** Bytes of the body read so far. */
  #received = 0;
  /** Set until the client has been told to go on, or it has sent some of the body unasked. */
  #continueExpected: boolean;
  /** How long its reader has waited for the client, in milliseconds. */
  #waited = 0;
  /** Bytes that chunk extensions have had so far. RFC 9112 §7.1.1: it is their total that is to be limited. */
  #extensions = 0;
  /** A chunk's data have been read; its CRLF has not. */
  #inChunk = false;
  /** Chunks that were begun and are not counted in the connection's share of the turn yet. */
  #chunks = 0;
  /** Of the memory that all requests share, if the whole of it is read at once. */
  #share: BufferShare | undefined;
  /** The thread that reads for a promise or a stream. */
  #reading: Thread<unknown> | undefined;
  #used = false;
  #stream: BodyStream | undefined;
  /** All of it is being read for a promise. */
  #readWhole = false;
  /** What is left of it has been dropped, or is being dropped. */
  #dropped = false;
  #failure: unknown;
  /** Why its request was aborted, if it was. */
  #aborted: unknown;

  constructor(connection: Connection, head: Head, limits: BodyLimits) {
    this.#connection = connection;
    this.#limits = limits;
    this.#chunked = head.chunked;
    this.#left = head.chunked ? 0 : head.contentLength;
    this.#continueExpected = head.expectsContinue;
    if (!head.chunked && head.contentLength === 0) this.#state = 'complete';
  }

  /** @throws {HttpError} if its content-length is over the limit, or the server has no memory for another body */
  checkLength(): void {
    if (!this.#chunked && this.#left > this.#limits.bodySize) throw this.#fail(overLimit(this.#limits.bodySize));
    const { buffers } = this.#connection;
    if (!buffers.isFull || this.#state === 'complete') return;
    buffers.refused++;
    throw this.#fail(noMemoryLeft());
  }

  /** It cannot be read any further. @returns the error, to be thrown */
  #fail(error: unknown): unknown {
    this.#state = 'broken';
    this.#failure = error;
    if (typeof error === 'object' && error !== null) bodyFailures.add(error);
    return error;
  }

  /** Why it could not be read, if that has happened. */
  get failure(): unknown {
    return this.#failure;
  }

  get used(): boolean {
    return this.#used || this.#isStreamed;
  }

  /** A handler reads it as a stream. */
  get #isStreamed(): boolean {
    return this.#stream?.isBeingRead ?? false;
  }

  /** All of it has been read. */
  get complete(): boolean {
    return this.#state === 'complete';
  }

  /** The client waits for `100 Continue`, which has not been sent, and has not begun to send the body. */
  get awaited(): boolean {
    return this.#continueExpected && this.#state === 'unread' && this.#connection.reader.buffered === 0;
  }

  /** Tells the client to go on, if it waits for that. To be called before the head of the response goes out, or not at all. */
  invite(): void {
    if (this.awaited) this.#begin();
  }

  /** Whether it is certain that it will not be read to its end: the handler does not read it, and there is too much left for `discard`. */
  undiscardable(most: number): boolean {
    if (this.#state === 'broken') return true;
    return !this.#readWhole && !this.#isStreamed && !this.#chunked && this.#left > most;
  }

  /** Its request is aborted: who reads on is told why, and it is known for the client's doing where the handler lets it pass. */
  abort(reason: unknown): void {
    this.#aborted = reason;
  }

  /** A handler may have started to read it as a stream: `for await` makes its first read a moment later, so that is known in the next turn. */
  get mayBeRead(): boolean {
    return (this.#stream?.isLocked ?? false) && !this.#isStreamed;
  }

  /**
   * To be called when the response has been sent: a handler that has started to read the body may read to its end, in whichever way it
   * reads. Parks until it has, or has stopped. @param ahead how many bytes are read for it before it asks for them
   */
  *finishReading(ahead: number): Task<void> {
    for (let reading = this.#reading; reading !== undefined; reading = this.#reading) yield* settled(reading.join());
    const { buffers } = this.#connection;
    if (this.#stream !== undefined) yield* this.#stream.readOn(ahead, this.#limits.bodyTimeout, buffers);
  }

  /** A child thread that still reads it, if there is one. */
  get reading(): Thread<unknown> | undefined {
    return this.#reading;
  }

  /**
   * The content that has come, of as many chunks as that is; waits while there is none.
   * @returns bytes that are the caller's to keep, at most `mostAtOnce` if they had to be put together; `undefined` at the end of the body
   * @throws {HttpError} if the framing is broken or the limit is exceeded
   * @throws {ConnectionError} if the client is gone
   */
  *read(): Task<Uint8Array<ArrayBuffer> | undefined> {
    yield* this.#giveWay();
    return (yield* this.#some()) ? this.#takeOwn() : undefined;
  }

  /** Content that has come, and of which there is some. @returns as `read` */
  #takeOwn(): Uint8Array<ArrayBuffer> {
    const { reader } = this.#connection;
    if (this.#left >= reader.buffered) {
      const part = reader.takeOwned(this.#left);
      this.#count(part.length);
      return part;
    }
    const bytes = new Uint8Array(Math.min(reader.buffered, mostAtOnce));
    let filled = 0;
    do filled += this.#take(bytes, filled);
    while (filled < bytes.length && this.#hasMore());
    return 2 * filled >= bytes.length ? bytes.subarray(0, filled) : bytes.slice(0, filled);
  }

  /** Copies content that has come, of the chunk at hand. @returns how many bytes */
  #take(to: Uint8Array, at: number): number {
    const { reader } = this.#connection;
    const { bytes, start } = reader;
    const count = Math.min(this.#left, reader.buffered, to.length - at);
    if (count < shortCopy) for (let i = 0; i < count; i++) to[at + i] = bytes[start + i];
    else to.set(bytes.subarray(start, start + count), at);
    this.#consume(count);
    return count;
  }

  /** Whether there is more content to take now, without waiting. Goes on to the next chunk, up to `turnWork` times. */
  #hasMore(): boolean {
    if (this.#left > 0) return this.#connection.reader.buffered > 0;
    return this.#chunked && this.#chunks < this.#limits.turnWork && this.#stepToChunk();
  }

  /** Lets others have their turn when the connection has had its share of this one. */
  *#giveWay(): Task<void> {
    if (this.#chunks === 0) return;
    const { slot, network } = this.#connection;
    network.shares.spend(slot, this.#chunks);
    this.#chunks = 0;
    if (network.shares.isSpent(slot, this.#limits.turnWork)) yield* sleep(0);
  }

  /** Waits until some of the content is there. @returns false at its end. @throws as `read` */
  *#some(): Task<boolean> {
    this.#used = true;
    if (this.#state === 'complete') return false;
    if (this.#state === 'broken') throw this.#failure;
    const { reader } = this.#connection;
    if (this.#state === 'unread') this.#begin();
    try {
      if (this.#chunked && this.#left === 0 && !this.#stepToChunk() && !(yield* this.#nextChunk())) {
        this.#state = 'complete';
        return false;
      }
      while (reader.buffered === 0) {
        yield* this.#more();
      }
    } catch (error) {
      throw this.#fail(asRefusal(error));
    }
    return true;
  }

  /** Takes so many bytes of the content, of those that have come. */
  #consume(bytes: number): void {
    this.#connection.reader.consume(bytes);
    this.#count(bytes);
  }

  /** So many bytes of the content have been taken. */
  #count(bytes: number): void {
    this.#left -= bytes;
    this.#received += bytes;
    if (!this.#chunked && this.#left === 0) this.#state = 'complete';
  }

  /** The whole of the rest. @returns a copy. @throws as `read` */
  *readAll(): Task<Uint8Array<ArrayBuffer>> {
    const { reader, buffers } = this.#connection;
    if (!this.#chunked && this.#left > buffers.limit) throw this.#fail(overLimit(buffers.limit));
    const all = new ByteBuilder(this.#chunked ? undefined : this.#left);
    const share = reader.openShare();
    this.#share = share;
    while (yield* this.#some()) {
      do {
        const count = Math.min(this.#left, reader.buffered);
        const growth = all.growth(count);
        if (growth > 0) yield* this.#takeMemory(share, growth);
        all.add(reader.bytes, reader.start, count);
        this.#consume(count);
      } while (this.#hasMore());
      yield* this.#giveWay();
    }
    share.complete();
    return all.toBytes();
  }

  /** Takes memory for the whole of the body, for which it may have to wait. @throws {HttpError} if there is none */
  *#takeMemory(share: BufferShare, bytes: number): Task<void> {
    const { buffers, reader } = this.#connection;
    if (share.bytes + bytes > buffers.limit) throw this.#fail(overLimit(buffers.limit));
    if (share.grow(bytes)) return;
    try {
      yield* reader.awaitMemory(share);
    } catch (error) {
      throw this.#fail(asRefusal(error));
    }
  }

  /** The memory that the whole of it takes is not counted for its connection any more. */
  release(): void {
    this.#share?.release();
  }

  /** Reads and drops the rest, if it is not more than `most` bytes. @returns whether the body has been read to its end */
  *discard(most: number): Task<boolean> {
    this.#dropped = true;
    if (!this.#chunked && this.#left > most) return false;
    const enough = this.#received + most;
    const { reader } = this.#connection;
    for (;;) {
      if (this.#received > enough || this.#state === 'broken') return false;
      if (!(yield* this.#some())) return true;
      do this.#consume(Math.min(this.#left, reader.buffered));
      while (this.#received <= enough && this.#hasMore());
      yield* this.#giveWay();
    }
  }

  bytes(): Promise<Uint8Array<ArrayBuffer>> {
    this.#readWhole = true;
    return this.#inThread(() => this.readAll());
  }

  stream(): ReadableStream<Uint8Array> {
    this.#stream ??= new BodyStream({
      isComplete: () => this.complete,
      takeNow: () => this.#takeNow(),
      read: () => this.read(),
      inThread: (task) => this.#inThread(task),
    });
    return this.#stream.stream;
  }

  /** What a read need not wait for, once the body is being read: so that a stream does not take a turn for each piece. */
  #takeNow(): Uint8Array<ArrayBuffer> | undefined {
    const isReadable = this.#state === 'reading' && this.#reading === undefined && !this.#dropped;
    return isReadable && !this.#connection.closed && this.#hasMore() ? this.#takeOwn() : undefined;
  }

  /** Runs a task in a child of the connection's thread, and is fulfilled with what it returns. */
  #inThread<T>(task: () => Task<T>): Promise<T> {
    this.#used = true;
    return new Promise((resolve, reject) => {
      const connection = this.#connection;
      const parent = connection.thread;
      const over = parent === undefined || parent.state === 'over' || parent.state === 'closing';
      if (over || connection.closed || this.#dropped) {
        reject(notReadable(this.#aborted));
        return;
      }
      const thread = new Thread(task, 'request body', parent, parent.scheduler);
      this.#reading = thread;
      thread.addJoiner({
        threadOver: () => {
          if (this.#reading === thread) this.#reading = undefined;
          try {
            resolve(thread.result());
          } catch (error) {
            reject(error instanceof UnwoundError ? unwoundRead(error) : error);
          }
        },
      });
      parent.scheduler.resume(thread);
    });
  }

  #begin(): void {
    this.#state = 'reading';
    const { reader, writer } = this.#connection;
    // RFC 9110 §10.1.1: a server may omit it if it has already received some of the content.
    if (this.#continueExpected && reader.buffered === 0) writer.put('HTTP/1.1 100 Continue\r\n\r\n');
    this.#continueExpected = false;
  }

  /**
   * Goes on to the content of the next chunk where all that stands before it has come and is plain: the end of the chunk before, and a
   * size alone in its line. Small chunks are mostly framing, so this is an ordinary call that makes no object.
   * @returns false if something else stands there, or may; nothing has been read then, and `#nextChunk` finds out
   */
  #stepToChunk(): boolean {
    const { reader } = this.#connection;
    const { bytes, start, limit } = reader;
    let at = start;
    if (this.#inChunk) {
      if (limit - at < lineEnd || bytes[at] !== CR || bytes[at + 1] !== LF) return false;
      at += lineEnd;
    }
    const stop = Math.min(limit, at + sizeDigits);
    const firstDigit = at;
    let size = 0;
    for (let digit: number; at < stop && (digit = hexDigits[bytes[at]]) < 16; at++) size = size * 16 + digit;
    // At least one byte of content: of a reader that has nothing more, nothing could be taken.
    if (at === firstDigit || limit - at <= lineEnd || bytes[at] !== CR || bytes[at + 1] !== LF) return false;
    if (size === 0 || this.#received + size > this.#limits.bodySize) return false;
    reader.consume(at + lineEnd - start);
    this.#left = size;
    this.#inChunk = true;
    this.#chunks++;
    return true;
  }

  /** Reads a chunk's first line, after the end of the chunk before (RFC 9112 §7.1). @returns false at the last chunk, whose trailers have been read */
  *#nextChunk(): Task<boolean> {
    if (this.#inChunk) {
      yield* this.#line(0, chunkTooLong);
      this.#inChunk = false;
    }
    const { bodySize, extensionSize } = this.#limits;
    const tooLong = () =>
      new HttpError(
        431,
        `RFC 9112 §7.1.1: a chunk size of more than ${sizeDigits} digits, or extensions of more than ${extensionSize} bytes`,
      );
    const line = yield* this.#line(sizeDigits + extensionSize - this.#extensions, tooLong);
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
    if (this.#received + size > bodySize) throw overLimit(bodySize);
    if (size === 0) {
      yield* this.#trailers();
      return false;
    }
    this.#left = size;
    this.#inChunk = true;
    this.#chunks++;
    return true;
  }

  /** Checks trailer fields and drops them (RFC 9112 §7.1.2). */
  *#trailers(): Task<void> {
    const { trailerSize } = this.#limits;
    const tooLong = () => new HttpError(431, `RFC 6585 §5: trailers of more than ${trailerSize} bytes`);
    for (let room = trailerSize; ; ) {
      const line = yield* this.#line(Math.max(0, room - lineEnd), tooLong);
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
  *#line(limit: number, tooLong: () => HttpError): Task<string> {
    const { reader } = this.#connection;
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
      yield* this.#more();
    }
  }

  /**
   * Waits until more has come. A body that is waited for has `bodyTimeout`, and a second more for every `bodyRate` bytes that have come;
   * the time in which nobody asks for it is the handler's, and does not count.
   * @throws {HttpError} at the end of the input
   */
  *#more(): Task<void> {
    const { reader, network } = this.#connection;
    const { bodyTimeout, bodyRate } = this.#limits;
    const since = network.scheduler.now;
    reader.deadline = since + bodyTimeout + (this.#received * 1000) / bodyRate - this.#waited;
    try {
      if (!(yield* reader.more())) throw new HttpError(400, 'RFC 9112 §8: the body ends before its framing says so');
    } finally {
      reader.deadline = Infinity;
      this.#waited += network.scheduler.now - since;
    }
  }
}

/** Waits for a task whose failure the handler is told of: its promise is rejected with it. */
function* settled(task: Task<unknown>): Task<void> {
  try {
    yield* task;
  } catch {
    // see above
  }
}

/** Chunk extensions are ignored, but must be well-formed: what is not might be read otherwise by somebody else (RFC 9112 §7.1.1). */
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

/** What an error in reading from the connection means for the request. */
function asRefusal(error: unknown): unknown {
  if (!(error instanceof ConnectionError)) return error;
  if (error.code === noMemory) return noMemoryLeft();
  return error.code === 'ERR_READ_TIMEOUT'
    ? new HttpError(408, 'RFC 9110 §15.5.9: the body has not come in time')
    : error;
}

function noMemoryLeft(): HttpError {
  return new HttpError(503, 'RFC 9110 §15.6.4: maxBufferedBytes is reached: there is no memory for the body');
}

function overLimit(limit: number): HttpError {
  return new HttpError(413, `RFC 9110 §15.5.14: a body of more than ${limit} bytes`);
}
