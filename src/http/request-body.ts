// The body of a request, read as its framing says: so many bytes, or piece by piece.
// A thread reads it with `read`; promises and streams, for handlers that are ordinary code, come from child threads that do.

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

/** The most bytes that are put together for one read of a body's stream. */
const maxReadSize = 64 * 1024;
/** Fewer bytes than this are sooner copied in a loop than by a call. */
const shortCopy = 32;

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

/** How the content of a body stands among the bytes that its reader has, if not as so many bytes. */
export interface BodyFraming {
  /**
   * Goes on to the next piece of content, if it is certain at a glance where that stands. Never waits.
   * @param received bytes of content so far
   * @returns the size of the piece, of which at least one byte has come; 0 if it is not certain: nothing has been read then, and `next` finds out
   */
  step(received: number): number;
  /**
   * The same, waiting for what has not come.
   * @param more waits until more has come
   * @returns the size of the piece; 0 at the end of the body
   * @throws {HttpError} if the framing is broken or a limit is exceeded
   */
  next(received: number, more: () => Task<void>): Task<number>;
}

/** What a body belongs to: the exchange of its request. */
export interface BodyHost {
  /** What it is read from. */
  readonly duplex: Duplex;
  readonly reader: Reader;
  /** The thread that works for the request. */
  readonly thread: Thread<unknown> | undefined;
  /** Work has been done for the client in this turn; see `TurnShares`. */
  spend(work: number): void;
  /** The client has had its share of the turn. */
  readonly isSpent: boolean;
  /** Tells the client to send the body (RFC 9110 §15.2.1: 100). */
  sendContinue(): void;
}

export class RequestBody implements IncomingBody {
  readonly #host: BodyHost;
  readonly #limits: BodyLimits;
  readonly #framing: BodyFraming | undefined;
  /** Bytes left of the body, or of the piece of it that is being read. */
  #remaining: number;
  #state: 'unread' | 'reading' | 'complete' | 'broken' = 'unread';
  /** Bytes of the body read so far. */
  #received = 0;
  /** Set until the client has been told to go on, or it has sent some of the body unasked. */
  #continueExpected: boolean;
  /** How long its reader has waited for the client, in milliseconds. */
  #waited = 0;
  /** Pieces that were started and are not counted in the client's share of the turn yet. */
  #pieces = 0;
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

  /**
   * @param length bytes of content; of no account if there is a framing
   * @param expectsContinue the client waits for `100 Continue` before it sends the body
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

  /** @throws {HttpError} if its content-length is over the limit, or the server has no memory for another body */
  checkLength(): void {
    if (this.#framing === undefined && this.#remaining > this.#limits.bodySize)
      throw this.#fail(bodyTooLarge(this.#limits.bodySize));
    const { buffers } = this.#host.duplex;
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
  get isContinueAwaited(): boolean {
    return this.#continueExpected && this.#state === 'unread' && this.#host.reader.buffered === 0;
  }

  /** Tells the client to go on, if it waits for that. To be called before the head of the response goes out, or not at all. */
  acceptBody(): void {
    if (this.isContinueAwaited) this.#begin();
  }

  /** Whether it is certain that it will not be read to its end: the handler does not read it, and there is too much left for `discard`. */
  isTooLongToDiscard(most: number): boolean {
    if (this.#state === 'broken') return true;
    return !this.#readWhole && !this.#isStreamed && this.#framing === undefined && this.#remaining > most;
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
    const { buffers } = this.#host.duplex;
    if (this.#stream !== undefined) yield* this.#stream.readRest(ahead, this.#limits.bodyTimeout, buffers);
  }

  /** A child thread that still reads it, if there is one. */
  get reading(): Thread<unknown> | undefined {
    return this.#reading;
  }

  /**
   * The content that has come, of as many pieces as that is; waits while there is none.
   * @returns bytes that are the caller's to keep, at most `mostAtOnce` if they had to be put together; `undefined` at the end of the body
   * @throws {HttpError} if the framing is broken or the limit is exceeded
   * @throws {ConnectionError} if the client is gone
   */
  *read(): Task<Uint8Array<ArrayBuffer> | undefined> {
    yield* this.#yieldTurn();
    return (yield* this.#awaitContent()) ? this.#takeOwned() : undefined;
  }

  /** Content that has come, and of which there is some. @returns as `read` */
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

  /** Copies content that has come, of the piece at hand. @returns how many bytes */
  #take(to: Uint8Array, at: number): number {
    const { reader } = this.#host;
    const { bytes, start } = reader;
    const count = Math.min(this.#remaining, reader.buffered, to.length - at);
    if (count < shortCopy) for (let i = 0; i < count; i++) to[at + i] = bytes[start + i];
    else to.set(bytes.subarray(start, start + count), at);
    this.#consume(count);
    return count;
  }

  /** Whether there is more content to take now, without waiting. Goes on to the next piece, up to `turnWork` times. */
  #hasMore(): boolean {
    if (this.#remaining > 0) return this.#host.reader.buffered > 0;
    return this.#pieces < this.#limits.turnWork && this.#step();
  }

  /** Lets others have their turn when the connection has had its share of this one. */
  *#yieldTurn(): Task<void> {
    if (this.#pieces === 0) return;
    const host = this.#host;
    host.spend(this.#pieces);
    this.#pieces = 0;
    if (host.isSpent) yield* sleep(0);
  }

  /** Waits until some of the content is there. @returns false at its end. @throws as `read` */
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

  /** Takes so many bytes of the content, of those that have come. */
  #consume(bytes: number): void {
    this.#host.reader.consume(bytes);
    this.#count(bytes);
  }

  /** So many bytes of the content have been taken. */
  #count(bytes: number): void {
    this.#remaining -= bytes;
    this.#received += bytes;
    if (this.#framing === undefined && this.#remaining === 0) this.#state = 'complete';
  }

  /** The whole of the rest. @returns a copy. @throws as `read` */
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

  /** Takes memory for the whole of the body, for which it may have to wait. @throws {HttpError} if there is none */
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

  /** The memory that the whole of it takes is not counted for its connection any more. */
  release(): void {
    this.#share?.release();
  }

  /** Reads and drops the rest, if it is not more than `most` bytes. @returns whether the body has been read to its end */
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

  /** What a read need not wait for, once the body is being read: so that a stream does not take a turn for each piece. */
  #takeNow(): Uint8Array<ArrayBuffer> | undefined {
    const isReadable = this.#state === 'reading' && this.#reading === undefined && !this.#dropped;
    return isReadable && !this.#host.duplex.closed && this.#hasMore() ? this.#takeOwned() : undefined;
  }

  /** Runs a task in a child of the connection's thread, and is fulfilled with what it returns. */
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

  /** Goes on to the next piece of content without waiting. */
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
   * Waits until more has come. A body that is waited for has `bodyTimeout`, and a second more for every `bodyRate` bytes that have come;
   * the time in which nobody asks for it is the handler's, and does not count.
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

/** Waits for a task whose failure the handler is told of: its promise is rejected with it. */
function* settled(task: Task<unknown>): Task<void> {
  try {
    yield* task;
  } catch {
    // see above
  }
}

/** What an error in reading from the connection means for the request. */
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
