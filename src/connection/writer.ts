// Writing to a connection. What is written is copied into the event layer's output before the call returns, so its memory is
// the caller's again at once. The thread parks, flooded, when the high-water mark is reached: no more than that is ever queued
// for a client that does not take it.

import { highWaterMark } from '../event-layer/event-layer.js';
import { type Task, Wait } from '../threads/task.js';
import { Side } from './side.js';

/** Larger writes go out in pieces of this size, so that a piece never overshoots the high-water mark by more. */
const pieceBytes = 16 * 1024;
/** Strings up to this length are encoded straight into the output: UTF-8 takes at most 3 bytes for each UTF-16 unit. */
const shortString = Math.floor(pieceBytes / 3);

/** Where a piece of a string ends that begins at `start`: not between the two halves of a character. */
function endOfPiece(text: string, start: number): number {
  const end = Math.min(start + shortString, text.length);
  return end < text.length && (text.charCodeAt(end - 1) & 0xfc00) === 0xd800 ? end - 1 : end;
}

/** For callers that no compiler has looked at: what is neither would be sent as nothing. @throws {TypeError} */
export function checkData(data: unknown): void {
  if (typeof data === 'string' || data instanceof Uint8Array) return;
  const found = typeof data === 'object' && data !== null ? Object.prototype.toString.call(data) : String(data);
  throw new TypeError(`write: the data is ${found}; expected a string or a Uint8Array`);
}

export class Writer extends Side {
  /**
   * The longest that a write may stay parked without the peer taking a single byte, in milliseconds, before it throws
   * `ERR_WRITE_TIMEOUT`. Default `Infinity`.
   */
  timeout = Infinity;
  #flushing = false;
  /** Bytes queued when the thread was parked. */
  #queuedThen = 0;
  /** Bytes queued when its deadline was set, or last put off. */
  #queuedLast = 0;

  /** True when writing would park. */
  get flooded(): boolean {
    return this.connection.flooded;
  }

  /** True after `end`. */
  get finished(): boolean {
    return this.connection.finished;
  }

  get isIdle(): boolean {
    return !this.occupied && !this.#flushing;
  }

  /**
   * Writes bytes, or a string as UTF-8. Parks while the peer is flooded.
   * @throws {ConnectionError} `ERR_ENDED` after `end`; `ECONNRESET`, `EPIPE`, … if the connection is closed; `ERR_WRITE_TIMEOUT`
   */
  *write(data: string | Uint8Array): Task<void> {
    checkData(data);
    if (typeof data === 'string' && data.length <= shortString) {
      if (this.flooded) yield* this.drain();
      this.put(data);
      return;
    }
    // Piece by piece, a string too: encoded as a whole it would be in memory for as long as the peer takes.
    for (let start = 0, end = 0; start < data.length; start = end) {
      end = typeof data === 'string' ? endOfPiece(data, start) : start + pieceBytes;
      if (this.flooded) yield* this.drain();
      this.put(typeof data === 'string' ? data.slice(start, end) : data.subarray(start, end));
    }
  }

  /** Parks until the kernel has taken everything written so far. @throws as `write` */
  *flush(): Task<void> {
    const connection = this.connection;
    if (connection.closed) throw connection.closedError();
    if (connection.network.layer.queued(connection.slot) === 0) return;
    connection.network.layer.notifyFlushed(connection.slot);
    this.#flushing = true;
    try {
      yield* this.#parkWhile(() => this.#flushing);
    } finally {
      this.#flushing = false;
    }
  }

  /** Ends our side: FIN goes out after everything written. Reading goes on. Calling it again changes nothing. */
  *end(): Task<void> {
    this.finish();
  }

  /** @internal What `end` does; it never parks. */
  finish(): void {
    const connection = this.connection;
    if (connection.finished || connection.closed) return;
    connection.finished = true;
    connection.network.layer.finish(connection.slot);
  }

  /** @internal Parks until the peer is no longer flooded. */
  *drain(): Task<void> {
    const { network, slot, queuedBytes, closed } = this.connection;
    // The layer tells by itself only of a queue that has been above its high-water mark.
    if (queuedBytes < highWaterMark && !closed) network.layer.notifyFlushed(slot);
    yield* this.#parkWhile(() => this.flooded);
  }

  /** @internal Queues up to 16 KiB, or a string of up to 5,461 units, without parking. The caller has seen that the peer is not flooded. */
  put(data: string | Uint8Array): void {
    const { connection } = this;
    const at = connection.reserve(typeof data === 'string' ? data.length * 3 : data.length);
    if (typeof data === 'string') {
      connection.commit(at + connection.output.write(data, at));
    } else {
      connection.output.set(data, at);
      connection.commit(at + data.length);
    }
  }

  /** @internal The layer says that everything is with the kernel. */
  flushed(): void {
    this.#flushing = false;
    this.wake();
  }

  protected isLate(): boolean {
    const { network, slot, writeRate } = this.connection;
    const { now } = network.scheduler;
    const queued = network.layer.queued(slot);
    if (queued >= this.#queuedLast) return true;
    this.#queuedLast = queued;
    // What the peer has taken is worth time; but at any rate it is to take something in each period of the timeout.
    const worth = writeRate > 0 ? ((this.#queuedThen - queued) * 1000) / writeRate : Infinity;
    const until = this.parkedSince + this.timeout + worth;
    this.parkedUntil = Math.min(until, now + this.timeout);
    return until <= now;
  }

  *#parkWhile(waiting: () => boolean): Task<void> {
    const { connection } = this;
    const thread = this.enter('writing to');
    while (!connection.closed && waiting()) {
      this.#queuedThen = connection.network.layer.queued(connection.slot);
      this.#queuedLast = this.#queuedThen;
      this.park(thread, thread.scheduler.now + this.timeout);
      try {
        yield Wait.flooded;
      } finally {
        this.leave();
      }
      if (this.late)
        throw connection.fail(
          'ERR_WRITE_TIMEOUT',
          `the peer has taken nothing, or too little, in ${this.timeout} ms and more`,
        );
    }
    if (connection.closed) throw connection.closedError();
  }
}
