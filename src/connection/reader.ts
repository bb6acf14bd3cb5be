// Reading from a connection. The thread parks, dry, only when what it asks for has not come yet.
//
// Bytes stand in one of two places: in the event layer's buffer, which is lent for the duration of the turn's call and read
// in place; or, when the thread has parked with bytes unread, in a buffer of the reader's own, to which later bytes are
// appended. A reader that has nothing unread holds no buffer.

import { ConnectionError } from '../event-layer/event-layer.js';
import { parked, type Task, type Wait, WaitingTask } from '../threads/task.js';
import { ByteBuilder } from '../util/byte-builder.js';
import { show } from '../util/inspect.js';
import { type BufferedBytes, type BufferShare, maxWait, noMemory } from './buffered-bytes.js';
import type { Duplex } from './duplex.js';
import { ParkingSpot } from './parking-spot.js';

/** This many unread bytes pause the reading from the socket until a thread asks for more. */
export const readAhead = 64 * 1024;
/** At this many or fewer, reading from the socket goes on. */
const resumeAt = 16 * 1024;

const nothing = new Uint8Array(0);
const smallestBuffer = 256;
/** Buffers for more than is read ahead are multiples of this: reading is paused by then, so little more comes. */
const largeBufferStep = 16 * 1024;

const LF = 10;
const CR = 13;

/** Reads what the peer sends. Parks only while what is asked for has not arrived. One thread at a time may read: a second one that would park gets `ERR_BUSY`. */
export class Reader extends ParkingSpot {
  /** @internal The buffer that the unread bytes stand in, from `start` up to `limit`. Protocol code parses in place and then calls `consume`. */
  bytes: Uint8Array = nothing;
  /** @internal */
  start = 0;
  /** @internal */
  limit = 0;
  /**
   * The longest that a read may stay parked, in milliseconds, before it throws `ERR_READ_TIMEOUT`. Counted from the beginning of each park.
   * Default `Infinity`.
   */
  timeout = Infinity;
  /** @internal A point in time, in milliseconds of the scheduler, at which a parked read throws `ERR_READ_TIMEOUT`, whatever has come meanwhile. */
  deadline = Infinity;
  #isBorrowed = false;
  #paused = false;
  #ended = false;
  /** Where the buffer of our own is counted, once there was one; and as how many bytes. */
  #buffers: BufferedBytes | undefined;
  #counted = 0;

  /** Bytes that can be read without parking. */
  get buffered(): number {
    return this.limit - this.start;
  }

  /** True when the peer has ended and everything it sent has been read. */
  get ended(): boolean {
    return this.#ended && this.start === this.limit;
  }

  /** @internal */
  get isIdle(): boolean {
    return !this.occupied && this.start === this.limit && !this.#ended && !this.#paused;
  }

  /** @internal True when the peer has sent FIN, read or not. */
  get finished(): boolean {
    return this.#ended;
  }

  /**
   * The next bytes, as many as are there; parks while there are none.
   * @returns a view that is valid until the thread next parks or reads, whichever comes first: copy what is to be kept. `undefined` at the end of input
   * @throws {ConnectionError} if the connection is closed (`ECONNRESET`, …) or nothing came in time (`ERR_READ_TIMEOUT`)
   */
  read(): Task<Uint8Array | undefined> {
    return new Reading(this);
  }

  /** @internal What `read` returns when there is something. */
  take(): Uint8Array {
    const view = this.#view();
    this.consume(view.length);
    return view;
  }

  /**
   * @internal As many of the unread bytes as there are, and no more than `most`, which are then the caller's to keep: the reader's own buffer
   * where they fill half of it or more, and else a copy.
   */
  takeOwned(most: number): Uint8Array<ArrayBuffer> {
    const count = Math.min(this.buffered, most);
    const isWhole = count === this.buffered && !this.#isBorrowed && 2 * count >= this.bytes.length;
    const view = this.#view(count);
    const own = isWhole ? (view as Uint8Array<ArrayBuffer>) : copy(view); // buffers of our own are plain ones
    this.consume(count); // of all there are, so the reader lets go of the buffer
    return own;
  }

  /**
   * Exactly `count` bytes.
   * @returns a copy, yours to keep
   * @throws {ConnectionError} `ERR_ENDED` if the input ends before, what had come staying unread; else as `read`
   */
  *readExactly(count: number): Task<Uint8Array> {
    checkCount('readExactly', 'count', count);
    // Small counts are waited for in one piece, so that nothing is consumed if the input ends.
    if (count <= readAhead) {
      while (this.buffered < count) if (!(yield* this.more())) throw endedEarly(`${count} bytes`, this.buffered);
      const bytes = copy(this.bytes.subarray(this.start, this.start + count));
      this.consume(count);
      return bytes;
    }
    // Large ones are moved as they come. The count is often what the peer says: no more memory is taken than for what it has sent.
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
   * The bytes up to a delimiter, which is consumed and not returned. A client that drips bytes costs O(1) for each.
   * @param delimiter at least one byte; a string stands for its UTF-8 bytes
   * @param limit the most bytes that may come before the delimiter
   * @returns a copy, yours to keep; `undefined` if the input ends without another byte
   * @throws {ConnectionError} `ERR_LIMIT` if there are more bytes than that, `ERR_ENDED` if the input ends without the delimiter; else as `read`
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
      searched = Math.max(0, length); // a delimiter may have begun in the last bytes
      if (!(yield* this.more())) {
        if (this.buffered === 0) return undefined;
        throw endedEarly('the delimiter', this.buffered);
      }
    }
  }

  /**
   * A line of text, without its LF or CRLF; at the end of input also a last line that has none.
   * @param limit the most bytes that the line may have, its end not counted
   * @returns the line, decoded as UTF-8; `undefined` at the end of input
   * @throws {ConnectionError} `ERR_LIMIT` if the line is longer; else as `read`
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
      if (!(yield* this.more()))
        return this.buffered === 0 ? undefined : this.#line(this.buffered, this.buffered, limit);
    }
  }

  /**
   * At least `count` bytes without consuming them; fewer only at the end of input.
   * @param count at most 65,536: as much as is read ahead
   * @returns a view of all that is there, valid until the thread next parks or reads
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

  /** Consumes `count` bytes unseen, without holding them. @returns how many there were: fewer only at the end of input. @throws {ConnectionError} as `read` */
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
   * Everything up to the end of input.
   * @param limit the most bytes that may come
   * @returns a copy, yours to keep
   * @throws {ConnectionError} `ERR_LIMIT` if there are more; else as `read`
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
      return all.toBytes();
    } finally {
      share.release();
    }
  }

  /** @internal The share of what is to be gathered from here. */
  openShare(): BufferShare {
    return this.duplex.buffers.open(() => this.wakeNextTurn(), this);
  }

  /** @internal Moves so many of the unread bytes to others, for which memory may have to be waited for. @throws {ConnectionError} `ERR_MAX_BUFFERED_BYTES` if there is none */
  *gather(all: ByteBuilder, count: number, share: BufferShare): Task<void> {
    const growth = all.growth(count);
    if (growth > 0 && !share.grow(growth)) yield* this.awaitMemory(share);
    all.add(this.bytes, this.start, count);
    this.consume(count);
  }

  /** @internal Parks until a share that waits has got its memory. The socket is not read meanwhile. @throws {ConnectionError} `ERR_MAX_BUFFERED_BYTES` if it gets none */
  awaitMemory(share: BufferShare): Task<void> {
    return new WaitForMemory(this, share);
  }

  /**
   * @internal Parks until there are more unread bytes than now.
   * @returns false if the input has ended instead
   */
  more(): Task<boolean> {
    return new More(this);
  }

  /** @internal Readies everything for the running thread to park here. @throws {ConnectionError} if it cannot, or the connection is closed */
  beginWaiting(): void {
    const { duplex } = this;
    const thread = this.enter('reading from');
    if (duplex.closed) throw duplex.closedError();
    this.copyBorrowed(); // the thread that lets the lent bytes go may be another than the one they were lent to
    if (this.buffered > 0 && this.#buffers?.isExceeded) {
      this.#buffers.refused++;
      throw outOfMemory(duplex); // what is unread would have to be kept, and more to come
    }
    if (this.#paused) this.#resumeReading();
    this.park(thread, Math.min(this.deadline, thread.scheduler.now + this.timeout));
  }

  /** @internal The same for memory, until which nothing more is to come. @param until a point in time, in milliseconds of the scheduler */
  beginWaitingForMemory(until: number): void {
    const { duplex } = this;
    const thread = this.enter('reading from');
    if (duplex.closed) throw duplex.closedError();
    this.copyBorrowed();
    if (!this.#paused) this.#pauseReading();
    this.park(thread, until);
  }

  /** @internal The thread is parked here no more. */
  endWaiting(): void {
    this.leave();
  }

  /** @internal The thread was parked for too long. */
  get isPastDeadline(): boolean {
    return this.timedOut;
  }

  /** @internal @throws {ConnectionError} if the thread was parked for too long */
  checkInTime(): void {
    if (this.timedOut) throw this.duplex.fail('ERR_READ_TIMEOUT', 'the peer has not sent what was waited for in time');
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
    // Also while nobody asks for more: so that a FIN behind what has been read is seen.
    if (this.#paused && this.buffered <= resumeAt) this.#resumeReading();
  }

  /** @internal Bytes have come: they may be read in place until `keep` is called. */
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

  /** @internal The lent buffer goes back to the layer: what has not been read is moved to a buffer of our own. */
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

  /** @internal Bytes of memory that unread input takes. */
  get held(): number {
    return this.#counted;
  }

  /** @internal Drops unread input that was kept, of a connection that is about to be closed. Calls nothing of the layer. */
  discard(): void {
    if (this.#isBorrowed) return;
    this.bytes = nothing;
    this.start = 0;
    this.limit = 0;
    if (this.#counted > 0) this.#count(0);
  }

  /** @internal The connection is gone. What is still unread is soon read, or dropped with the thread, and not counted any more. */
  closed(): void {
    if (this.#counted > 0) this.#count(0);
  }

  /** The buffer of our own has so many bytes from now on. */
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
  end(): void {
    this.#ended = true;
  }

  protected hasTimedOut(): boolean {
    return true;
  }

  /** What is unread, or the first `count` bytes of it, as a plain Uint8Array on every layer: a `Buffer`, which some lend, has methods of the same name that do something else. */
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

  /** Makes the bytes stand in a buffer of our own with room for `more` behind them. */
  #makeRoom(more: number): void {
    if (!this.#isBorrowed && this.limit + more <= this.bytes.length) return;
    const unread = this.limit - this.start;
    const needed = unread + more;
    // Moving to the front is worth it only if it frees half the buffer: so each byte is moved a bounded number of times.
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

/** How large a buffer for so many bytes is. */
function bufferSize(bytes: number): number {
  if (bytes > readAhead) return Math.ceil(bytes / largeBufferStep) * largeBufferStep;
  return Math.max(smallestBuffer, 2 ** Math.ceil(Math.log2(bytes)));
}

/** Parks, dry, until what is asked for is there, or the input has ended. */
abstract class Dry<T> extends WaitingTask<T> {
  protected readonly reader: Reader;
  #isParked = false;

  constructor(reader: Reader) {
    super();
    this.reader = reader;
  }

  protected abstract readonly isThere: boolean;
  /** What the task returns. @param isThere else the input has ended */
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

/** `read` */
class Reading extends Dry<Uint8Array | undefined> {
  protected get isThere(): boolean {
    return this.reader.buffered > 0;
  }

  protected result(isThere: boolean): Uint8Array | undefined {
    return isThere ? this.reader.take() : undefined;
  }
}

/** `more` */
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
  return duplex.fail(noMemory, 'there is no memory for what was to be read: maxBufferedBytes is reached');
}

/** Parks until a share has got the memory that it waits for. */
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
      // What has come is kept while it waits. Where that is too much, it cannot wait; but one of them can, or none would be left to go on.
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

/** Where `mark` begins in `bytes[from … end-1]`, or -1. */
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
  return new ConnectionError('ERR_ENDED', `the input ended before ${expected} had come; there were ${found} bytes`);
}

function overLimit(method: string, limit: number): ConnectionError {
  return new ConnectionError('ERR_LIMIT', `${method}: more than the limit of ${limit} bytes`);
}
