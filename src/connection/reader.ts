// Reading from a connection. The thread parks, dry, only if the requested bytes have not arrived yet.
//
// Unread bytes are in one of two buffers. The event layer's buffer is borrowed during the call of `received`, and read in place. Bytes that are still
// unread when that call ends are copied into a buffer of the reader, and later bytes are appended to it. A reader without unread bytes has no
// buffer.

import { ConnectionError } from '../event-layer/event-layer.js';
import { parked, type Task, type Wait, WaitingTask } from '../threads/task.js';
import { ByteBuilder } from '../util/byte-builder.js';
import { show } from '../util/inspect.js';
import { type BufferedBytes, type BufferShare, maxWait, noMemory } from './buffered-bytes.js';
import type { Duplex } from './duplex.js';
import { ParkingSpot } from './parking-spot.js';

/** At this many unread bytes, reading from the socket pauses until a thread needs more. */
export const readAhead = 64 * 1024;
/** At this many unread bytes or fewer, reading from the socket resumes. */
const resumeAt = 16 * 1024;

const nothing = new Uint8Array(0);
const smallestBuffer = 256;
/** Buffers larger than `readAhead` are multiples of this, in bytes: reading is paused by then, so they grow little. */
const largeBufferStep = 16 * 1024;

const LF = 10;
const CR = 13;

/** Reads what the peer sends. Parks only while the requested bytes have not arrived. One thread at a time may read: a second one that would park gets `ERR_BUSY`. */
export class Reader extends ParkingSpot {
  /** @internal The buffer with the unread bytes, from `start` up to `limit`. Protocol code parses in place and then calls `consume`. */
  bytes: Uint8Array = nothing;
  /** @internal */
  start = 0;
  /** @internal */
  limit = 0;
  /**
   * The longest time for which a read may park, in milliseconds, before it throws `ERR_READ_TIMEOUT`; each park counts separately.
   * Default `Infinity`.
   */
  timeout = Infinity;
  /** @internal When a parked read throws `ERR_READ_TIMEOUT`, even if bytes keep arriving; in milliseconds of the scheduler's clock. */
  deadline = Infinity;
  #isBorrowed = false;
  #paused = false;
  /** The peer has ended its input; `cut` if it has not ended its TLS session before. */
  #ended: false | 'ended' | 'cut' = false;
  /** Counts the reader's buffer; set with the first one. `#counted` is its size as counted there. */
  #buffers: BufferedBytes | undefined;
  #counted = 0;

  /** Bytes that can be read without parking. */
  get buffered(): number {
    return this.limit - this.start;
  }

  /** True when the peer has ended and everything that it sent has been read. */
  get ended(): boolean {
    return this.#ended !== false && this.start === this.limit;
  }

  /** @internal */
  get isIdle(): boolean {
    return !this.occupied && this.start === this.limit && !this.#ended && !this.#paused;
  }

  /** @internal True when the peer has sent FIN; input before it may still be unread. */
  get finished(): boolean {
    return this.#ended !== false;
  }

  /**
   * Reads all bytes that have arrived; parks while there are none.
   * @returns a view that is valid only until the thread next parks or reads: copy bytes that you keep. `undefined` at the end of input
   * @throws {ConnectionError} if the connection is closed (`ECONNRESET`, …) or nothing arrived in time (`ERR_READ_TIMEOUT`)
   */
  read(): Task<Uint8Array | undefined> {
    return new Reading(this);
  }

  /** @internal The result of `read` when there are unread bytes. */
  take(): Uint8Array {
    const view = this.#view();
    this.consume(view.length);
    return view;
  }

  /**
   * @internal Takes the unread bytes, at most `most`. The caller owns the result: the reader's buffer if they fill half of it or more, else a
   * copy.
   */
  takeOwned(most: number): Uint8Array<ArrayBuffer> {
    const count = Math.min(this.buffered, most);
    const isWhole = count === this.buffered && !this.#isBorrowed && 2 * count >= this.bytes.length;
    const view = this.#view(count);
    const own = isWhole ? (view as Uint8Array<ArrayBuffer>) : copy(view); // the reader's buffers are plain Uint8Arrays
    this.consume(count); // if these are all unread bytes, this also releases the buffer
    return own;
  }

  /**
   * Reads exactly `count` bytes.
   * @returns a copy that the caller owns
   * @throws {ConnectionError} `ERR_ENDED` if the input ends before; the bytes stay unread if `count` is at most 65,536. Else as `read`
   */
  *readExactly(count: number): Task<Uint8Array> {
    checkCount('readExactly', 'count', count);
    // For small counts, wait until all bytes have arrived, so that nothing is consumed if the input ends.
    if (count <= readAhead) {
      while (this.buffered < count) if (!(yield* this.more())) throw endedEarly(`${count} bytes`, this.buffered);
      const bytes = copy(this.bytes.subarray(this.start, this.start + count));
      this.consume(count);
      return bytes;
    }
    // For large counts, move bytes as they arrive. The peer often chooses the count, so memory is taken only for what it has sent.
    const share = this.openShare();
    try {
      const all = new ByteBuilder(count);
      while (all.length < count) {
        if (this.buffered === 0 && !(yield* this.more())) throw endedEarly(`${count} bytes`, all.length);
        yield* this.gather(all, Math.min(this.buffered, count - all.length), share);
      }
      return all.toBytes();
    } finally {
      share.release();
    }
  }

  /**
   * Reads up to a delimiter, which is consumed and not returned. Each byte costs O(1), also if bytes arrive one by one.
   * @param delimiter at least one byte; a string is encoded as UTF-8
   * @param limit the most bytes before the delimiter
   * @returns a copy that the caller owns; `undefined` if the input ends without another byte
   * @throws {ConnectionError} `ERR_LIMIT` if there are more bytes, `ERR_ENDED` if the input ends without the delimiter; else as `read`
   */
  *readUntil(delimiter: Uint8Array | string, limit: number): Task<Uint8Array | undefined> {
    const mark = typeof delimiter === 'string' ? new TextEncoder().encode(delimiter) : delimiter;
    if (mark.length === 0)
      throw new ConnectionError('ERR_RANGE', 'readUntil: delimiter is empty; expected one byte or more');
    checkCount('readUntil', 'limit', limit);
    for (let searched = 0; ; ) {
      const found = indexOf(this.bytes, mark, this.start + searched, this.limit);
      const length = found === -1 ? this.buffered - mark.length + 1 : found - this.start;
      if (length > limit) throw overLimit('readUntil', limit);
      if (found !== -1) {
        const bytes = copy(this.bytes.subarray(this.start, found));
        this.consume(length + mark.length);
        return bytes;
      }
      searched = Math.max(0, length); // the last bytes may be the start of a delimiter
      if (!(yield* this.more())) {
        if (this.buffered === 0) return undefined;
        throw endedEarly('the delimiter', this.buffered);
      }
    }
  }

  /**
   * Reads a line of text, without its LF or CRLF. The last line of the input needs no line end.
   * @param limit the most bytes of the line, without its end
   * @returns the line, decoded as UTF-8; `undefined` at the end of input
   * @throws {ConnectionError} `ERR_LIMIT` if the line is longer; `ERR_TLS_CUT` if the last line has no line end and the peer has not ended its TLS session;
   *   else as `read`
   */
  *readLine(limit: number): Task<string | undefined> {
    checkCount('readLine', 'limit', limit);
    for (let searched = 0; ; ) {
      const found = this.bytes.subarray(this.start + searched, this.limit).indexOf(LF);
      if (found !== -1) {
        const length = searched + found;
        return this.#line(length, length + 1, limit);
      }
      searched = this.buffered;
      if (searched > limit + 1) throw overLimit('readLine', limit); // one more: it may be the CR
      if (!(yield* this.more())) {
        if (this.buffered === 0) return undefined;
        this.#checkEnd();
        return this.#line(this.buffered, this.buffered, limit);
      }
    }
  }

  /**
   * Waits for at least `count` bytes, without consuming them; there are fewer only at the end of input.
   * @param count at most 65,536
   * @returns a view of all unread bytes, valid until the thread next parks or reads
   * @throws {ConnectionError} as `read`
   */
  *peek(count: number): Task<Uint8Array> {
    checkCount('peek', 'count', count);
    if (count > readAhead)
      throw new ConnectionError(
        'ERR_RANGE',
        `peek: count is ${show(count)}; expected a whole number from 0 to ${readAhead}`,
      );
    while (this.buffered < count) if (!(yield* this.more())) break;
    return this.#view();
  }

  /** Discards `count` bytes as they arrive. @returns how many there were: fewer only at the end of input @throws {ConnectionError} as `read` */
  *skip(count: number): Task<number> {
    checkCount('skip', 'count', count);
    let skipped = 0;
    while (skipped < count) {
      if (this.buffered === 0 && !(yield* this.more())) break;
      const part = Math.min(this.buffered, count - skipped);
      this.consume(part);
      skipped += part;
    }
    return skipped;
  }

  /**
   * Reads everything up to the end of input.
   * @param limit the most bytes
   * @returns a copy that the caller owns
   * @throws {ConnectionError} `ERR_LIMIT` if there are more; `ERR_TLS_CUT` if the peer has not ended its TLS session; else as `read`
   */
  *readAll(limit: number): Task<Uint8Array> {
    checkCount('readAll', 'limit', limit);
    const share = this.openShare();
    try {
      const all = new ByteBuilder();
      while (this.buffered > 0 || (yield* this.more())) {
        if (all.length + this.buffered > limit) throw overLimit('readAll', limit);
        yield* this.gather(all, this.buffered, share);
      }
      this.#checkEnd();
      return all.toBytes();
    } finally {
      share.release();
    }
  }

  /** @internal Opens a share of the memory limit, for bytes that are collected from this reader. */
  openShare(): BufferShare {
    return this.duplex.buffers.open(() => this.wakeNextTurn(), this);
  }

  /**
   * @internal Moves `count` unread bytes to `all`; parks while the limit on memory does not allow that.
   * @throws {ConnectionError} `ERR_MAX_BUFFERED_BYTES` if it is refused
   */
  *gather(all: ByteBuilder, count: number, share: BufferShare): Task<void> {
    const growth = all.growth(count);
    if (growth > 0 && !share.grow(growth)) yield* this.awaitMemory(share);
    all.add(this.bytes, this.start, count);
    this.consume(count);
  }

  /** @internal Parks until a waiting share has its memory. The socket is not read meanwhile. @throws {ConnectionError} `ERR_MAX_BUFFERED_BYTES` if it is refused */
  awaitMemory(share: BufferShare): Task<void> {
    return new WaitForMemory(this, share);
  }

  /**
   * @internal Parks until more bytes have arrived.
   * @returns false if the input has ended instead
   */
  more(): Task<boolean> {
    return new More(this);
  }

  /** @internal Prepares the running thread to park here. @throws {ConnectionError} if it cannot, or the connection is closed */
  beginWaiting(): void {
    const { duplex } = this;
    const thread = this.enter('reading from');
    if (duplex.closed) throw duplex.closedError();
    this.copyBorrowed(); // this may not be the thread for which the bytes were borrowed
    if (this.buffered > 0 && this.#buffers?.isExceeded) {
      this.#buffers.refused++;
      throw outOfMemory(duplex); // unread bytes would have to be kept, and more would arrive
    }
    if (this.#paused) this.#resumeReading();
    this.park(thread, Math.min(this.deadline, thread.scheduler.now + this.timeout));
  }

  /** @internal The same, to wait for memory; pauses reading from the socket. @param until when to give up, in milliseconds of the scheduler's clock */
  beginWaitingForMemory(until: number): void {
    const { duplex } = this;
    const thread = this.enter('reading from');
    if (duplex.closed) throw duplex.closedError();
    this.copyBorrowed();
    if (!this.#paused) this.#pauseReading();
    this.park(thread, until);
  }

  /** @internal The thread is no longer parked here. */
  endWaiting(): void {
    this.leave();
  }

  /** @internal The thread was parked past its deadline. */
  get isPastDeadline(): boolean {
    return this.timedOut;
  }

  /** @internal @throws {ConnectionError} if the thread was parked past its deadline */
  checkInTime(): void {
    if (this.timedOut)
      throw this.duplex.recordFault('ERR_READ_TIMEOUT', 'the peer has not sent what was waited for in time');
  }

  /** @internal Marks unread bytes as read. */
  consume(count: number): void {
    this.start += count;
    if (this.start === this.limit) {
      this.bytes = nothing;
      this.start = 0;
      this.limit = 0;
      this.#isBorrowed = false;
      if (this.#counted > 0) this.#count(0);
    }
    // Also while no thread reads: so that a FIN after the bytes that have been read is noticed.
    if (this.#paused && this.buffered <= resumeAt) this.#resumeReading();
  }

  /** @internal Bytes have arrived: they are read in place until `copyBorrowed` is called. */
  setBorrowed(buffer: Uint8Array, start: number, end: number): void {
    if (this.start === this.limit) {
      this.bytes = buffer;
      this.start = start;
      this.limit = end;
      this.#isBorrowed = true;
      return;
    }
    this.#makeRoom(end - start);
    this.bytes.set(buffer.subarray(start, end), this.limit);
    this.limit += end - start;
  }

  /** @internal The layer is about to reuse the borrowed buffer: copies unread bytes into the reader's buffer. */
  copyBorrowed(): void {
    if (this.#isBorrowed) {
      this.#isBorrowed = false;
      const unread = this.bytes.subarray(this.start, this.limit);
      this.bytes = nothing;
      this.start = 0;
      this.limit = 0;
      this.#makeRoom(unread.length);
      this.bytes.set(unread);
      this.limit = unread.length;
    }
    const most = this.#buffers?.isFull ? 1 : readAhead;
    if (this.buffered >= most && !this.#paused && !this.occupied && !this.duplex.closed) this.#pauseReading();
  }

  /** @internal Bytes of memory that unread input takes. See `UnreadInput`. */
  get held(): number {
    return this.#counted;
  }

  /** @internal Drops copied unread input, because the connection is about to be closed. Does not call the layer. */
  discard(): void {
    if (this.#isBorrowed) return;
    this.bytes = nothing;
    this.start = 0;
    this.limit = 0;
    if (this.#counted > 0) this.#count(0);
  }

  /** @internal The connection has closed. Unread input is no longer counted: the thread soon reads it, or drops it when it ends. */
  closed(): void {
    if (this.#counted > 0) this.#count(0);
  }

  /** The size of the reader's buffer is now `bytes`. */
  #count(bytes: number): void {
    if (this.duplex.closed) bytes = 0;
    this.#buffers ??= this.duplex.buffers;
    const counted = this.#counted;
    this.#counted = bytes;
    if (bytes !== counted) this.#buffers.add(bytes - counted);
  }

  #pauseReading(): void {
    this.#paused = true;
    this.duplex.pauseReading();
  }

  /** @internal The peer has sent FIN. */
  end(isCut: boolean): void {
    this.#ended = isCut ? 'cut' : 'ended';
  }

  /** The end of input is the end of what is being read. @throws {ConnectionError} `ERR_TLS_CUT` if that may be missing */
  #checkEnd(): void {
    if (this.#ended !== 'cut') return;
    const message = 'the peer has ended the connection and not its TLS session (close_notify): input may be missing';
    throw this.duplex.recordFault('ERR_TLS_CUT', message);
  }

  protected hasTimedOut(): boolean {
    return true;
  }

  /** The first `count` unread bytes, as a plain Uint8Array. Some layers pass a `Buffer`, whose `slice` behaves differently. */
  #view(count = this.buffered): Uint8Array {
    return new Uint8Array(this.bytes.buffer, this.bytes.byteOffset + this.start, count);
  }

  #resumeReading(): void {
    this.#paused = false;
    this.duplex.resumeReading();
  }

  #line(length: number, consumed: number, limit: number): string {
    const text = length > 0 && this.bytes[this.start + length - 1] === CR ? length - 1 : length;
    if (text > limit) throw overLimit('readLine', limit);
    const line = new TextDecoder().decode(this.bytes.subarray(this.start, this.start + text));
    this.consume(consumed);
    return line;
  }

  /** Moves the unread bytes to a buffer of the reader, if needed, with room for `more` bytes after them. */
  #makeRoom(more: number): void {
    if (!this.#isBorrowed && this.limit + more <= this.bytes.length) return;
    const unread = this.limit - this.start;
    const needed = unread + more;
    // Move to the front only if that frees half of the buffer, so that each byte is moved a bounded number of times.
    if (!this.#isBorrowed && needed <= this.bytes.length / 2) {
      this.bytes.copyWithin(0, this.start, this.limit);
    } else {
      const bytes = new Uint8Array(bufferSize(needed));
      bytes.set(this.bytes.subarray(this.start, this.limit));
      this.bytes = bytes;
      this.#isBorrowed = false;
      this.#count(bytes.length);
    }
    this.start = 0;
    this.limit = unread;
  }
}

/** The size of a buffer for `bytes` bytes. */
function bufferSize(bytes: number): number {
  if (bytes > readAhead) return Math.ceil(bytes / largeBufferStep) * largeBufferStep;
  return Math.max(smallestBuffer, 2 ** Math.ceil(Math.log2(bytes)));
}

/** Parks, dry, until the requested bytes have arrived, or the input has ended. */
abstract class Dry<T> extends WaitingTask<T> {
  protected readonly reader: Reader;
  #isParked = false;

  constructor(reader: Reader) {
    super();
    this.reader = reader;
  }

  protected abstract readonly isThere: boolean;
  /** The result of the task. @param isThere false if the input has ended */
  protected abstract result(isThere: boolean): T;

  next(): IteratorResult<Wait, T> {
    const { reader } = this;
    if (this.#isParked) {
      this.#isParked = false;
      reader.endWaiting();
      reader.checkInTime();
    }
    const { isThere } = this;
    if (isThere || reader.finished) return { done: true, value: this.result(isThere) };
    reader.beginWaiting();
    this.#isParked = true;
    return parked.dry;
  }

  protected leave(): void {
    if (this.#isParked) this.reader.endWaiting();
    this.#isParked = false;
  }
}

/** The task of `read`. */
class Reading extends Dry<Uint8Array | undefined> {
  protected get isThere(): boolean {
    return this.reader.buffered > 0;
  }

  protected result(isThere: boolean): Uint8Array | undefined {
    return isThere ? this.reader.take() : undefined;
  }
}

/** The task of `more`. */
class More extends Dry<boolean> {
  readonly #before: number;

  constructor(reader: Reader) {
    super(reader);
    this.#before = reader.buffered;
  }

  protected get isThere(): boolean {
    return this.reader.buffered !== this.#before;
  }

  protected result(isThere: boolean): boolean {
    return isThere;
  }
}

function outOfMemory(duplex: Duplex): ConnectionError {
  return duplex.recordFault(noMemory, 'there is no memory for what was to be read: maxBufferedBytes is reached');
}

/** Parks until a waiting share has its memory. */
class WaitForMemory extends WaitingTask<void> {
  readonly #reader: Reader;
  readonly #share: BufferShare;
  readonly #until: number;
  #isParked = false;

  constructor(reader: Reader, share: BufferShare) {
    super();
    this.#reader = reader;
    this.#share = share;
    this.#until = reader.duplex.scheduler.now + maxWait;
  }

  next(): IteratorResult<Wait, void> {
    const reader = this.#reader;
    const share = this.#share;
    if (this.#isParked) {
      this.#isParked = false;
      reader.endWaiting();
      if (reader.isPastDeadline && share.wanted > 0) share.refuse();
    } else {
      // Unread bytes are kept meanwhile. When the limit is exceeded, only the first waiting share may wait; otherwise none could continue.
      const { buffers } = reader.duplex;
      reader.copyBorrowed();
      if (buffers.isExceeded && !buffers.isFirst(share)) share.refuse();
    }
    if (share.isRefused) throw outOfMemory(reader.duplex);
    if (share.wanted === 0) return { done: true, value: undefined };
    reader.beginWaitingForMemory(this.#until);
    this.#isParked = true;
    return parked.dry;
  }

  protected leave(): void {
    if (this.#isParked) this.#reader.endWaiting();
    this.#isParked = false;
  }
}

/** Unlike `slice`, also copies if the bytes are a `Buffer`. */
function copy(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const own = new Uint8Array(bytes.length);
  own.set(bytes);
  return own;
}

/** The index of `mark` in `bytes[from … end-1]`, or -1. */
function indexOf(bytes: Uint8Array, mark: Uint8Array, from: number, end: number): number {
  const last = end - mark.length;
  for (let at = from; at <= last; at++) {
    const next = bytes.subarray(at, last + 1).indexOf(mark[0]);
    if (next === -1) return -1;
    at += next;
    let same = 1;
    while (same < mark.length && bytes[at + same] === mark[same]) same++;
    if (same === mark.length) return at;
  }
  return -1;
}

function checkCount(method: string, name: string, value: number): void {
  if (!Number.isInteger(value) || value < 0) {
    throw new ConnectionError(
      'ERR_RANGE',
      `${method}: ${name} is ${show(value)}; expected a whole number of 0 or more`,
    );
  }
}

function endedEarly(expected: string, found: number): ConnectionError {
  return new ConnectionError('ERR_ENDED', `the input ended before ${expected} had arrived; there were ${found} bytes`);
}

function overLimit(method: string, limit: number): ConnectionError {
  return new ConnectionError('ERR_LIMIT', `${method}: more than the limit of ${limit} bytes`);
}
