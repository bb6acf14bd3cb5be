// Writing to a connection. Data is copied into the transport's output in pieces. When the queue reaches the high-water mark the thread parks, flooded,
// so at most that and one piece is queued for a peer that does not read. A parked write is one small object (`Flooded`), because tens of thousands
// of threads may be parked here.

import { parked, type Task, type Wait, WaitingTask } from '../threads/task.js';
import { isInstance, show } from '../util/inspect.js';
import { type Duplex, pieceBytes } from './duplex.js';
import { ParkingSpot } from './parking-spot.js';

/**
 * The end of a piece of a string that starts at `start` and has at most `most` bytes in UTF-8. It does not split a surrogate pair. Each UTF-16
 * unit takes at most 3 bytes.
 */
export function endOfPiece(text: string, start: number, most: number): number {
  const end = Math.min(start + Math.floor(most / 3), text.length);
  return end < text.length && (text.charCodeAt(end - 1) & 0xfc00) === 0xd800 ? end - 1 : end;
}

const { get: lengthGetter } =
  Object.getOwnPropertyDescriptor(Object.getPrototypeOf(Uint8Array.prototype), 'length') ?? {};

/** The real length of a Uint8Array, even if its `length` has been redefined. */
function lengthOf(data: Uint8Array): unknown {
  return lengthGetter?.call(data);
}

/** Checks data from callers without types. @param where the function that was called, for the message @throws {TypeError} */
export function checkData(data: unknown, where = 'write'): void {
  if (typeof data === 'string') return;
  if (isInstance(data, Uint8Array)) {
    // A redefined `length` that is too large would send memory of other connections.
    const { length } = data;
    if (length === lengthOf(data)) return;
    throw new TypeError(`${where}: the data has a length of ${show(length)}, and ${lengthOf(data)} bytes`);
  }
  throw new TypeError(`${where}: the data is ${show(data)}; expected a string or a Uint8Array`);
}

/** Writes to the peer. Parks only while the connection is flooded. One thread at a time may write: a second one that would park gets `ERR_BUSY`. */
export class Writer extends ParkingSpot implements Sink {
  /** `timeout`; undefined for `Infinity`, because storing `Infinity` would take 16 bytes more in each writer. */
  #timeout: number | undefined;
  /** Bytes queued when the thread parked. */
  #queuedAtPark = 0;
  /** Bytes queued when its deadline was set or last extended. */
  #queuedAtDeadline = 0;

  /**
   * The longest time for which a write may park while the peer takes no byte, in milliseconds, before it throws
   * `ERR_WRITE_TIMEOUT`. Default `Infinity`.
   */
  get timeout(): number {
    return this.#timeout ?? Infinity;
  }

  set timeout(milliseconds: number) {
    this.#timeout = milliseconds === Infinity ? undefined : milliseconds;
  }

  /** True if a write would park. */
  get flooded(): boolean {
    return this.duplex.writable === 0;
  }

  /** True after `end`. */
  get finished(): boolean {
    return this.duplex.finished;
  }

  /** @internal */
  get isIdle(): boolean {
    return !this.occupied;
  }

  /** @internal See `Outlet`. */
  get writer(): Writer {
    return this;
  }

  /**
   * Writes bytes, or a string as UTF-8. Parks while the peer is flooded.
   * @throws {ConnectionError} `ERR_ENDED` after `end`; `ECONNRESET`, `EPIPE`, … if the connection is closed; `ERR_WRITE_TIMEOUT`
   */
  write(data: string | Uint8Array): Task<void> {
    return new Writing(this, data);
  }

  /** Parks until the kernel has taken everything written so far. @throws as `write` */
  flush(): Task<void> {
    return new Flushing(this);
  }

  /** Ends this side: FIN follows everything written. Reading continues. Calling it again does nothing. */
  *end(): Task<void> {
    this.finish();
  }

  /** @internal What `end` does; it never parks. */
  finish(): void {
    this.duplex.finish();
  }

  /** @internal Parks until the peer is no longer flooded. */
  drain(): Task<void> {
    return new Draining(this);
  }

  /** @internal See `Sink`. */
  begin(data: string | Uint8Array): void {
    if (data.length === 0) this.duplex.reserve(0); // throws if nothing can be written
  }

  /** @internal See `Sink`. The caller has checked that the peer is not flooded. */
  put(piece: string | Uint8Array): void {
    put(this.duplex, piece);
  }

  /** @internal See `Sink`. */
  putNow(data: Uint8Array, start: number, end: number): number {
    return this.duplex.sendNow?.(data, start, end) ?? 0;
  }

  /** @internal Prepares the running thread to park here. @param all park until the kernel has taken all output @throws {ConnectionError} `ERR_BUSY` */
  beginWaiting(all: boolean): void {
    const { duplex } = this;
    const thread = this.enter('writing to');
    if (all) duplex.notifyFlushed();
    else duplex.notifyWritable();
    this.#queuedAtPark = duplex.queued;
    this.#queuedAtDeadline = this.#queuedAtPark;
    this.park(thread, thread.scheduler.now + this.timeout);
  }

  /** @internal The thread is no longer parked here. */
  endWaiting(): void {
    this.leave();
  }

  /** @internal @throws {ConnectionError} if the thread was parked past its deadline, or the connection has closed */
  checkWaited(): void {
    const { duplex, timeout } = this;
    if (this.timedOut)
      throw duplex.recordFault(
        'ERR_WRITE_TIMEOUT',
        `the peer has taken no output, or too little, for ${timeout} ms or more`,
      );
    if (duplex.closed) throw duplex.closedError();
  }

  protected hasTimedOut(): boolean {
    const { scheduler, queued, writeRate } = this.duplex;
    const { now, due } = scheduler;
    if (queued >= this.#queuedAtDeadline) return true;
    this.#queuedAtDeadline = queued;
    // The peer gets time in proportion to what it has taken, but must take something in each period of the timeout.
    const worth = writeRate > 0 ? ((this.#queuedAtPark - queued) * 1000) / writeRate : Infinity;
    const until = this.parkedSince + this.timeout + worth;
    this.parkedUntil = Math.min(until, now + this.timeout);
    return until <= due;
  }
}

/** Queues up to 16 KiB, or a string of up to 5,461 units, without parking. The caller has checked that the peer is not flooded. @returns the number of bytes */
export function put(to: Duplex, data: string | Uint8Array): number {
  const at = to.reserve(typeof data === 'string' ? data.length * 3 : data.length);
  let bytes = data.length;
  if (typeof data === 'string') bytes = to.output.utf8Write(data, at, data.length * 3);
  else to.output.set(data, at);
  to.commit(at + bytes);
  return bytes;
}

/**
 * Data of at least so many bytes is handed to the kernel from where it is, and at most so many bytes of it in a turn, so that one client does not delay
 * the others. For less, the system call would cost more than the copy.
 */
export const leastAtOnce = 128 * 1024;
export const mostAtOnce = 512 * 1024;

/** The result of `next` of a task that has returned nothing. */
const returned: IteratorResult<Wait, void> = Object.freeze({ done: true, value: undefined });

/** What is written through. */
export interface Outlet {
  /** @throws if nothing can be written to it any more */
  readonly duplex: Duplex;
  /** Where a thread parks until the duplex has room. Made when it is first asked for: most writes do without. @throws likewise */
  readonly writer: Writer;
}

/** A destination for data, which it receives in pieces: a writer, or the body of a response. */
export interface Sink extends Outlet {
  /** Data is about to be written. @throws if it may not be */
  begin(data: string | Uint8Array): void;
  /** Sends a part of the data at once, if it can: see `Transport.sendNow`. @returns how many bytes were sent */
  putNow?(data: Uint8Array, start: number, end: number): number;
  /** Queues a piece: a string or bytes, at most `pieceBytes` in UTF-8. @throws {ConnectionError} if nothing can be written */
  put(piece: string | Uint8Array): void;
}

/** A task that parks, flooded, while the peer has to take output first. */
export abstract class Flooded extends WaitingTask<void> {
  /** `new`, `over`, or the writer at which the thread is parked. */
  #state: 'new' | Writer | 'over' = 'new';

  /** Called first. @throws if the operation is not possible */
  protected abstract begin(): void;
  /** Continues. @returns the writer to park at; undefined when the operation is complete */
  protected abstract proceed(): Writer | undefined;
  /** Whether it parks until all output has been taken, instead of some. */
  protected get awaitsAll(): boolean {
    return false;
  }

  next(): IteratorResult<Wait, void> {
    const stand = this.#state;
    if (stand === 'over') return returned;
    this.#state = 'over'; // remains so if the following throws
    if (stand === 'new') {
      this.begin();
    } else {
      stand.endWaiting();
      stand.checkWaited();
    }
    const writer = this.proceed();
    if (writer === undefined) return returned;
    writer.beginWaiting(this.awaitsAll);
    this.#state = writer;
    return parked.flooded;
  }

  protected leave(): void {
    const stand = this.#state;
    if (stand !== 'new' && stand !== 'over') stand.endWaiting();
    this.#state = 'over';
  }
}

/** The task of `drain`. */
class Draining extends Flooded {
  readonly #outlet: Outlet;

  constructor(outlet: Outlet) {
    super();
    this.#outlet = outlet;
  }

  protected begin(): void {}

  protected proceed(): Writer | undefined {
    const { duplex, writer } = this.#outlet;
    return duplex.writable === 0 ? writer : undefined;
  }
}

/** The task of `flush`. */
export class Flushing extends Flooded {
  readonly #outlet: Outlet;

  constructor(outlet: Outlet) {
    super();
    this.#outlet = outlet;
  }

  protected begin(): void {
    const { duplex } = this.#outlet;
    if (duplex.closed) throw duplex.closedError();
  }

  protected proceed(): Writer | undefined {
    const outlet = this.#outlet;
    return outlet.duplex.queued > 0 ? outlet.writer : undefined;
  }

  protected override get awaitsAll(): boolean {
    return true;
  }
}

/** The task of `write`. Strings are encoded piece by piece, so that a parked write does not hold an encoded copy of the whole. */
export class Writing extends Flooded {
  readonly #sink: Sink;
  readonly #data: string | Uint8Array;
  /** How much of it has been written: bytes, or UTF-16 units. */
  #written = 0;

  constructor(sink: Sink, data: string | Uint8Array) {
    super();
    this.#sink = sink;
    this.#data = data;
  }

  /** Some of it has been written, and the rest has not. */
  protected get isPartial(): boolean {
    return this.#written > 0 && this.#written < this.#data.length;
  }

  protected begin(): void {
    checkData(this.#data);
    this.#sink.begin(this.#data);
  }

  protected proceed(): Writer | undefined {
    const sink = this.#sink;
    const data = this.#data;
    const left = data.length - this.#written;
    if (typeof data !== 'string' && left >= leastAtOnce && sink.putNow !== undefined) {
      const end = this.#written + Math.min(left, mostAtOnce);
      if (sink.duplex.writable > 0) this.#written += sink.putNow(data, this.#written, end);
    }
    while (this.#written < data.length) {
      const { writable } = sink.duplex;
      if (writable === 0) return sink.writer;
      const start = this.#written;
      const most = Math.min(writable, pieceBytes);
      const end = typeof data === 'string' ? endOfPiece(data, start, most) : Math.min(start + most, data.length);
      this.#written = end;
      if (end - start === data.length) sink.put(data);
      else sink.put(typeof data === 'string' ? data.slice(start, end) : data.subarray(start, end));
    }
    // Its buffer was transferred while the thread was parked.
    if (this.#written > data.length)
      throw new TypeError('write: the data has been detached while it was being written');
    return undefined;
  }
}
