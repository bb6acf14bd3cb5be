// Writing to a connection. What is written is copied into the event layer's output, in pieces, as soon as there is room for it. The
// thread parks, flooded, when the high-water mark is reached: no more than that, and a piece, is ever queued for a client that does
// not take it. It parks in one small object, since threads wait here by the ten thousand: see `Flooded`.

import { parked, type Task, type Wait, WaitingTask } from '../threads/task.js';
import { isInstance, show } from '../util/inspect.js';
import { type Duplex, pieceBytes } from './duplex.js';
import { ParkingSpot } from './parking-spot.js';

/**
 * Where a piece of a string ends that begins at `start` and is to have no more than `most` bytes: not between the two halves of a character. Each
 * UTF-16 unit takes at most 3 bytes in UTF-8.
 */
export function endOfPiece(text: string, start: number, most: number): number {
  const end = Math.min(start + Math.floor(most / 3), text.length);
  return end < text.length && (text.charCodeAt(end - 1) & 0xfc00) === 0xd800 ? end - 1 : end;
}

const { get: lengthGetter } =
  Object.getOwnPropertyDescriptor(Object.getPrototypeOf(Uint8Array.prototype), 'length') ?? {};

/** The length of an array of bytes, whatever its own `length` says. */
function lengthOf(data: Uint8Array): unknown {
  return lengthGetter?.call(data);
}

/** For callers that no compiler has looked at: what is neither would be sent as nothing. @throws {TypeError} */
export function checkData(data: unknown): void {
  if (typeof data === 'string') return;
  if (isInstance(data, Uint8Array)) {
    // What says that it is longer than it is would be sent with whatever stands behind it in the output.
    const { length } = data;
    if (length === lengthOf(data)) return;
    throw new TypeError(`write: the data has a length of ${show(length)}, and ${lengthOf(data)} bytes`);
  }
  throw new TypeError(`write: the data is ${show(data)}; expected a string or a Uint8Array`);
}

/** Writes to the peer. Parks only while the connection is flooded. One thread at a time may write: a second one that would park gets `ERR_BUSY`. */
export class Writer extends ParkingSpot implements Sink {
  /** `timeout`; undefined is none. As a field of its own `Infinity` would make it one of 24 bytes in each writer, and not 8. */
  #timeout: number | undefined;
  /** Bytes queued when the thread was parked. */
  #queuedAtPark = 0;
  /** Bytes queued when its deadline was set, or last put off. */
  #queuedAtDeadline = 0;

  /**
   * The longest that a write may stay parked without the peer taking a single byte, in milliseconds, before it throws
   * `ERR_WRITE_TIMEOUT`. Default `Infinity`.
   */
  get timeout(): number {
    return this.#timeout ?? Infinity;
  }

  set timeout(milliseconds: number) {
    this.#timeout = milliseconds === Infinity ? undefined : milliseconds;
  }

  /** True when writing would park. */
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

  /** @internal Leads to itself; see `Outlet`. */
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

  /** Ends our side: FIN goes out after everything written. Reading goes on. Calling it again changes nothing. */
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
    if (data.length === 0) this.duplex.reserve(0); // throws where nothing can be written any more
  }

  /** @internal See `Sink`. The caller has seen that the peer is not flooded. */
  put(piece: string | Uint8Array): void {
    put(this.duplex, piece);
  }

  /** @internal Readies everything for the running thread to park here. @param all until everything is with the kernel @throws {ConnectionError} `ERR_BUSY` */
  beginWaiting(all: boolean): void {
    const { duplex } = this;
    const thread = this.enter('writing to');
    if (all) duplex.notifyFlushed();
    else duplex.notifyWritable();
    this.#queuedAtPark = duplex.queued;
    this.#queuedAtDeadline = this.#queuedAtPark;
    this.park(thread, thread.scheduler.now + this.timeout);
  }

  /** @internal The thread is parked here no more. */
  endWaiting(): void {
    this.leave();
  }

  /** @internal @throws {ConnectionError} if the thread was parked for too long, or the connection has closed */
  checkWaited(): void {
    const { duplex, timeout } = this;
    if (this.timedOut)
      throw duplex.fail('ERR_WRITE_TIMEOUT', `the peer has taken nothing, or too little, in ${timeout} ms and more`);
    if (duplex.closed) throw duplex.closedError();
  }

  protected hasTimedOut(): boolean {
    const { scheduler, queued, writeRate } = this.duplex;
    const { now, due } = scheduler;
    if (queued >= this.#queuedAtDeadline) return true;
    this.#queuedAtDeadline = queued;
    // What the peer has taken is worth time; but at any rate it is to take something in each period of the timeout.
    const worth = writeRate > 0 ? ((this.#queuedAtPark - queued) * 1000) / writeRate : Infinity;
    const until = this.parkedSince + this.timeout + worth;
    this.parkedUntil = Math.min(until, now + this.timeout);
    return until <= due;
  }
}

/** Queues up to 16 KiB, or a string of up to 5,461 units, without parking. The caller has seen that the peer is not flooded. @returns bytes */
export function put(to: Duplex, data: string | Uint8Array): number {
  const at = to.reserve(typeof data === 'string' ? data.length * 3 : data.length);
  let bytes = data.length;
  if (typeof data === 'string') bytes = to.output.utf8Write(data, at, data.length * 3);
  else to.output.set(data, at);
  to.commit(at + bytes);
  return bytes;
}

/** What `next` of a task answers with that returns nothing, and has. */
const returned: IteratorResult<Wait, void> = Object.freeze({ done: true, value: undefined });

/** What leads to a writer. */
export interface Outlet {
  /** @throws if nothing can be written to it any more */
  readonly writer: Writer;
}

/** What is written to: it is given data in pieces. */
export interface Sink extends Outlet {
  /** Data is about to be written. @throws what speaks against it */
  begin(data: string | Uint8Array): void;
  /** Queues a piece of no more than `pieceBytes`, whether it is encoded yet or not. @throws {ConnectionError} if nothing can be written any more */
  put(piece: string | Uint8Array): void;
}

/** Does something for which the peer may have to take output first: parks, flooded, for as long as that is so. */
export abstract class Flooded extends WaitingTask<void> {
  /** How it stands: while the thread is parked, where. */
  #state: 'new' | Writer | 'over' = 'new';

  /** Before anything else. @throws what speaks against it */
  protected abstract begin(): void;
  /** Goes on with it. @returns the writer whose peer has to take output first; undefined if that was all */
  protected abstract proceed(): Writer | undefined;
  /** Whether it waits for all output to be taken, or for some. */
  protected get awaitsAll(): boolean {
    return false;
  }

  next(): IteratorResult<Wait, void> {
    const stand = this.#state;
    if (stand === 'over') return returned;
    this.#state = 'over'; // and so it stays if something is thrown
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

/** `drain` */
class Draining extends Flooded {
  readonly #outlet: Outlet;

  constructor(outlet: Outlet) {
    super();
    this.#outlet = outlet;
  }

  protected begin(): void {}

  protected proceed(): Writer | undefined {
    const { writer } = this.#outlet;
    return writer.flooded ? writer : undefined;
  }
}

/** `flush` */
export class Flushing extends Flooded {
  readonly #outlet: Outlet;

  constructor(outlet: Outlet) {
    super();
    this.#outlet = outlet;
  }

  protected begin(): void {
    const { duplex } = this.#outlet.writer;
    if (duplex.closed) throw duplex.closedError();
  }

  protected proceed(): Writer | undefined {
    const { writer } = this.#outlet;
    return writer.duplex.queued > 0 ? writer : undefined;
  }

  protected override get awaitsAll(): boolean {
    return true;
  }
}

/** `write`: in pieces. Strings too: encoded as a whole they would be in memory for as long as the peer takes. */
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
    while (this.#written < data.length) {
      const { writer } = sink;
      const { writable } = writer.duplex;
      if (writable === 0) return writer;
      const start = this.#written;
      const most = Math.min(writable, pieceBytes);
      const end = typeof data === 'string' ? endOfPiece(data, start, most) : Math.min(start + most, data.length);
      this.#written = end;
      if (end - start === data.length) sink.put(data);
      else sink.put(typeof data === 'string' ? data.slice(start, end) : data.subarray(start, end));
    }
    // Its memory has been given away while the thread was parked.
    if (this.#written > data.length)
      throw new TypeError('write: the data has been detached while it was being written');
    return undefined;
  }
}
