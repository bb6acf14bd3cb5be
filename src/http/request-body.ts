// The body of a request, of a known length or in pieces, such as chunks. A thread reads it with `read`. Promises and streams, for plain and async handlers,
// are served by child threads.

import { type BufferShare, noMemory } from '../connection/buffered-bytes.js';
import type { Duplex } from '../connection/duplex.js';
import type { Reader } from '../connection/reader.js';
import { ConnectionError } from '../event-layer/event-layer.js';
import { UnwoundError } from '../threads/errors.js';
import { sleep } from '../threads/sleep.js';
import type { Task } from '../threads/task.js';
import { Thread } from '../threads/thread.js';
import { AbortError } from '../util/abort-error.js';
import { ByteBuilder } from '../util/byte-builder.js';
import { isInstance } from '../util/inspect.js';
import { BodyStream } from './body-stream.js';
import { HttpError } from './errors.js';
import type { IncomingBody } from './fetch/body.js';
import type { BodyLimits } from './limits.js';

/** The most bytes that one read combines from several pieces. */
const maxReadSize = 64 * 1024;
/** Below this number of bytes, a loop copies faster than `set`. */
const shortCopy = 32;

/** Errors with which reading a body has failed: because of the client, or because the request has ended. */
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
 * The error of a read whose thread was unwound. If the client has disconnected, it is that reason. Otherwise the handler has failed or ended while a read was
 * in progress. Then no code may handle the rejection, so the error is registered as one that does not end the process.
 */
function unwoundRead(error: UnwoundError): unknown {
  const { cause } = error;
  if (isInstance(cause, AbortError)) return cause;
  const failure = notReadable(cause ?? error);
  bodyFailures.add(failure);
  return failure;
}

/** The framing of a body without a known length: finds the content between other bytes. */
export interface BodyFraming {
  /**
   * Fast path: advances to the next piece of content if all bytes before it have arrived and are in the usual form. Never waits.
   * @param received bytes of content so far
   * @returns the size of the piece, of which at least one byte has arrived; 0 if `next` must be called: nothing has been consumed then
   */
  step(received: number): number;
  /**
   * Advances to the next piece of content.
   * @param more waits until more input has arrived
   * @returns the size of the piece; 0 at the end of the body
   * @throws {HttpError} if the framing is broken or a limit is exceeded
   */
  next(received: number, more: () => Task<void>): Task<number>;
}

/** The exchange of the request, as far as its body uses it. */
export interface BodyHost {
  readonly duplex: Duplex;
  readonly reader: Reader;
  /** The thread of the exchange. */
  readonly thread: Thread<unknown> | undefined;
  /** Counts work for the client; see `TurnShares`. */
  spend(work: number): void;
  /** The client has used its share of the turn. */
  readonly isSpent: boolean;
  /** Sends `100 Continue` (RFC 9110 §15.2.1). */
  sendContinue(): void;
}

export class RequestBody implements IncomingBody {
  readonly #host: BodyHost;
  #limits: BodyLimits;
  readonly #framing: BodyFraming | undefined;
  /** Bytes left of the current piece, or of a body of known length. */
  #remaining: number;
  #state: 'unread' | 'reading' | 'complete' | 'broken' = 'unread';
  /** Bytes of the body read so far. */
  #received = 0;
  /** The client expects `100 Continue`, which has not been sent. False once the body is being read. */
  #continueExpected: boolean;
  /** How long reads have waited for the client in total, in milliseconds. */
  #waited = 0;
  /** Pieces not yet counted in the client's share of the turn. */
  #pieces = 0;
  /** The share of `maxBufferedBytes`, if the body is read as a whole. */
  #share: BufferShare | undefined;
  /** The child thread that reads for a promise or a stream. */
  #reading: Thread<unknown> | undefined;
  #used = false;
  #stream: BodyStream | undefined;
  /** The whole body is read for a promise. */
  #readWhole = false;
  /** The rest has been discarded, or is being discarded. */
  #dropped = false;
  #failure: unknown;
  /** The reason if its request was aborted. */
  #aborted: unknown;

  /**
   * @param length bytes of content; ignored if there is a framing
   * @param expectsContinue the client may wait for `100 Continue` before it sends the body
   */
  constructor(
    host: BodyHost,
    length: number,
    framing: BodyFraming | undefined,
    expectsContinue: boolean,
    limits: BodyLimits,
  ) {
    this.#host = host;
    this.#limits = limits;
    this.#framing = framing;
    this.#remaining = framing === undefined ? length : 0;
    this.#continueExpected = expectsContinue;
    if (framing === undefined && length === 0) this.#state = 'complete';
  }

  /** How long the client may pause, in milliseconds. */
  limitPauses(bodyTimeout: number): void {
    const { bodySize, bodyRate, turnWork } = this.#limits;
    this.#limits = { bodySize, bodyRate, turnWork, bodyTimeout };
  }

  /** @throws {HttpError} if its content-length is over the limit, or the server has no memory for another body */
  checkLength(): void {
    if (this.#framing === undefined && this.#remaining > this.#limits.bodySize)
      throw this.#fail(bodyTooLarge(this.#limits.bodySize));
    const { buffers } = this.#host.duplex;
    if (!buffers.isFull || this.#state === 'complete') return;
    buffers.refused++;
    throw this.#fail(noMemoryLeft());
  }

  /** Marks the body as broken. @returns the error, for `throw` */
  #fail(error: unknown): unknown {
    this.#state = 'broken';
    this.#failure = error;
    if (typeof error === 'object' && error !== null) bodyFailures.add(error);
    return error;
  }

  /** Bytes of content that have not been read; `Infinity` where that is not known, because it comes in chunks. */
  get unread(): number {
    return this.#framing === undefined ? this.#remaining : Infinity;
  }

  /** The error if reading has failed. */
  get failure(): unknown {
    return this.#failure;
  }

  get used(): boolean {
    return this.#used || this.#isStreamed;
  }

  /** A handler is reading it as a stream. */
  get #isStreamed(): boolean {
    return this.#stream?.isBeingRead ?? false;
  }

  /** It has been read to the end. */
  get complete(): boolean {
    return this.#state === 'complete';
  }

  /** The client is waiting for `100 Continue`: it has not sent any of the body. */
  get isContinueAwaited(): boolean {
    return this.#continueExpected && this.#state === 'unread' && this.#host.reader.buffered === 0;
  }

  /** Sends `100 Continue` if the client waits for it. Must not be called after the head of the response has been sent. */
  acceptBody(): void {
    if (this.isContinueAwaited) this.#begin();
  }

  /** Whether the body will certainly not be read to the end: the handler does not read it, and more than `most` bytes are left. */
  isTooLongToDiscard(most: number): boolean {
    if (this.#state === 'broken') return true;
    return !this.#readWhole && !this.#isStreamed && this.#framing === undefined && this.#remaining > most;
  }

  /** Its request was aborted: later reads fail with this reason. */
  abort(reason: unknown): void {
    this.#aborted = reason;
  }

  /** A handler may have started to read it as a stream: the first read of `for await` comes a little later, so this is certain only in the next turn. */
  get mayBeRead(): boolean {
    return (this.#stream?.isLocked ?? false) && !this.#isStreamed && !this.#readWhole;
  }

  /**
   * Called after the response: a handler that has started to read the body may read it to the end. Parks until it has, or has stopped.
   * @param ahead how many bytes are read before the handler asks for them
   */
  *finishReading(ahead: number): Task<void> {
    for (let reading = this.#reading; reading !== undefined; reading = this.#reading) yield* settled(reading.join());
    const { buffers } = this.#host.duplex;
    if (this.#stream !== undefined) yield* this.#stream.readRest(ahead, this.#limits.bodyTimeout, buffers);
  }

  /** The child thread that is reading it, if any. */
  get reading(): Thread<unknown> | undefined {
    return this.#reading;
  }

  /**
   * Reads the content that has arrived, of one or more pieces; waits while there is none.
   * @returns bytes that the caller owns, at most `maxReadSize` if they come from several pieces; `undefined` at the end of the body
   * @throws {HttpError} if the framing is broken or the limit is exceeded
   * @throws {ConnectionError} if the client has disconnected
   */
  *read(): Task<Uint8Array<ArrayBuffer> | undefined> {
    yield* this.#yieldTurn();
    return (yield* this.#awaitContent()) ? this.#takeOwned() : undefined;
  }

  /** Takes content that has arrived: at least one byte. @returns as `read` */
  #takeOwned(): Uint8Array<ArrayBuffer> {
    const { reader } = this.#host;
    if (this.#remaining >= reader.buffered) {
      const part = reader.takeOwned(this.#remaining);
      this.#count(part.length);
      return part;
    }
    const bytes = new Uint8Array(Math.min(reader.buffered, maxReadSize));
    let filled = 0;
    do filled += this.#take(bytes, filled);
    while (filled < bytes.length && this.#hasMore());
    return 2 * filled >= bytes.length ? bytes.subarray(0, filled) : bytes.slice(0, filled);
  }

  /** Copies content of the current piece that has arrived. @returns the number of bytes */
  #take(to: Uint8Array, at: number): number {
    const { reader } = this.#host;
    const { bytes, start } = reader;
    const count = Math.min(this.#remaining, reader.buffered, to.length - at);
    if (count < shortCopy) for (let i = 0; i < count; i++) to[at + i] = bytes[start + i];
    else to.set(bytes.subarray(start, start + count), at);
    this.#consume(count);
    return count;
  }

  /** Whether more content has arrived. Advances to the next piece, up to `turnWork` times. */
  #hasMore(): boolean {
    if (this.#remaining > 0) return this.#host.reader.buffered > 0;
    return this.#pieces < this.#limits.turnWork && this.#step();
  }

  /** Parks until the next turn if the client has used its share of this one. */
  *#yieldTurn(): Task<void> {
    if (this.#pieces === 0) return;
    const host = this.#host;
    host.spend(this.#pieces);
    this.#pieces = 0;
    if (host.isSpent) yield* sleep(0);
  }

  /** Waits until content has arrived. @returns false at the end of the body @throws as `read` */
  *#awaitContent(): Task<boolean> {
    this.#used = true;
    if (this.#state === 'complete') return false;
    if (this.#state === 'broken') throw this.#failure;
    const { reader } = this.#host;
    if (this.#state === 'unread') this.#begin();
    try {
      if (this.#remaining === 0 && !this.#step() && !(yield* this.#nextPiece())) {
        this.#state = 'complete';
        return false;
      }
      while (reader.buffered === 0) {
        yield* this.#awaitInput();
      }
    } catch (error) {
      throw this.#fail(asRefusal(error));
    }
    return true;
  }

  /** Consumes content that has arrived. */
  #consume(bytes: number): void {
    this.#host.reader.consume(bytes);
    this.#count(bytes);
  }

  /** Counts content that has been taken. */
  #count(bytes: number): void {
    this.#remaining -= bytes;
    this.#received += bytes;
    if (this.#framing === undefined && this.#remaining === 0) this.#state = 'complete';
  }

  /** Reads the rest of the body. @returns a copy @throws as `read` */
  *readAll(): Task<Uint8Array<ArrayBuffer>> {
    const { reader, duplex } = this.#host;
    const { buffers } = duplex;
    if (this.#framing === undefined && this.#remaining > buffers.limit) throw this.#fail(bodyTooLarge(buffers.limit));
    const all = new ByteBuilder(this.#framing === undefined ? this.#remaining : undefined);
    const share = reader.openShare();
    this.#share = share;
    while (yield* this.#awaitContent()) {
      do {
        const count = Math.min(this.#remaining, reader.buffered);
        const growth = all.growth(count);
        if (growth > 0) yield* this.#takeMemory(share, growth);
        all.add(reader.bytes, reader.start, count);
        this.#consume(count);
      } while (this.#hasMore());
      yield* this.#yieldTurn();
    }
    share.complete();
    return all.toBytes();
  }

  /** Takes memory for a body that is read as a whole; waits while the limit does not allow it. @throws {HttpError} if it is refused */
  *#takeMemory(share: BufferShare, bytes: number): Task<void> {
    const { reader, duplex } = this.#host;
    const { buffers } = duplex;
    if (share.bytes + bytes > buffers.limit) throw this.#fail(bodyTooLarge(buffers.limit));
    if (share.grow(bytes)) return;
    try {
      yield* reader.awaitMemory(share);
    } catch (error) {
      throw this.#fail(asRefusal(error));
    }
  }

  /** The memory of the body is no longer counted. */
  release(): void {
    this.#share?.release();
  }

  /** Discards the rest if it is at most `most` bytes. @returns whether the end of the body has been reached */
  *discard(most: number): Task<boolean> {
    this.#dropped = true;
    if (this.#framing === undefined && this.#remaining > most) return false;
    const enough = this.#received + most;
    const { reader } = this.#host;
    for (;;) {
      if (this.#received > enough || this.#state === 'broken') return false;
      if (!(yield* this.#awaitContent())) return true;
      do this.#consume(Math.min(this.#remaining, reader.buffered));
      while (this.#received <= enough && this.#hasMore());
      yield* this.#yieldTurn();
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

  /** Takes content without a child thread if some has arrived, so that a stream does not need a turn for each piece. */
  #takeNow(): Uint8Array<ArrayBuffer> | undefined {
    const isReadable = this.#state === 'reading' && this.#reading === undefined && !this.#dropped;
    return isReadable && !this.#host.duplex.closed && this.#hasMore() ? this.#takeOwned() : undefined;
  }

  /** Runs a task in a child of the exchange's thread. @returns a promise of its result */
  #inThread<T>(task: () => Task<T>): Promise<T> {
    this.#used = true;
    return new Promise((resolve, reject) => {
      const host = this.#host;
      const parent = host.thread;
      const over = parent === undefined || parent.state === 'over' || parent.state === 'closing';
      if (over || host.duplex.closed || this.#dropped) {
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
    // RFC 9110 §10.1.1: a server may omit it if it has already received some of the content.
    if (this.#continueExpected && this.#host.reader.buffered === 0) this.#host.sendContinue();
    this.#continueExpected = false;
  }

  /** Advances to the next piece of content without waiting. */
  #step(): boolean {
    const framing = this.#framing;
    if (framing === undefined) return false;
    return this.#startPiece(framing.step(this.#received));
  }

  /** Waits for the next piece of content. @returns false at the end of the body */
  *#nextPiece(): Task<boolean> {
    const framing = this.#framing;
    if (framing === undefined) return false;
    return this.#startPiece(yield* framing.next(this.#received, () => this.#awaitInput()));
  }

  #startPiece(size: number): boolean {
    if (size === 0) return false;
    this.#remaining = size;
    this.#pieces++;
    return true;
  }

  /**
   * Waits until more input has arrived. All waits together may take `bodyTimeout`, and a second more for every `bodyRate` bytes received. Time in which
   * the handler does not read does not count.
   * @throws {HttpError} at the end of the input
   */
  *#awaitInput(): Task<void> {
    const { reader, duplex } = this.#host;
    const { bodyTimeout, bodyRate } = this.#limits;
    const { scheduler } = duplex;
    const since = scheduler.now;
    reader.deadline = since + bodyTimeout + (this.#received * 1000) / bodyRate - this.#waited;
    try {
      if (!(yield* reader.more())) throw new HttpError(400, 'RFC 9112 §8: the body ends before its framing says so');
    } finally {
      reader.deadline = Infinity;
      this.#waited += scheduler.now - since;
    }
  }
}

/** Waits for a task and ignores its error: the handler's promise is rejected with the same error. */
function* settled(task: Task<unknown>): Task<void> {
  try {
    yield* task;
  } catch {
    // Reported through the promise.
  }
}

/** The error for the request when reading from the connection has failed. */
function asRefusal(error: unknown): unknown {
  if (!(error instanceof ConnectionError)) return error;
  if (error.code === noMemory) return noMemoryLeft();
  return error.code === 'ERR_READ_TIMEOUT'
    ? new HttpError(408, 'RFC 9110 §15.5.9: the body has not arrived in time')
    : error;
}

function noMemoryLeft(): HttpError {
  return new HttpError(503, 'RFC 9110 §15.6.4: maxBufferedBytes is reached: there is no memory for the body');
}

export function bodyTooLarge(limit: number): HttpError {
  return new HttpError(413, `RFC 9110 §15.5.14: a body of more than ${limit} bytes`);
}
