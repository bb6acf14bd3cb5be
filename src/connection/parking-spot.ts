// What a reader and a writer share: at most one parked thread, and its deadline.

import { ConnectionError } from '../event-layer/event-layer.js';
import { runningThread, type Thread } from '../threads/thread.js';
import type { Duplex } from './duplex.js';

export abstract class ParkingSpot {
  /** @internal The deadline of the parked thread, in milliseconds of the scheduler's clock; `Infinity` if no thread is parked, or it has no deadline. */
  parkedUntil = Infinity;
  /** @internal */
  readonly duplex: Duplex;
  /** The deadline passed while the thread was parked. */
  protected timedOut = false;
  #parked: Thread<unknown> | undefined;

  /** @internal */
  constructor(duplex: Duplex) {
    this.duplex = duplex;
  }

  /** @internal It holds no state, so it can be dropped and created again. */
  abstract get isIdle(): boolean;

  /** A thread is parked here. */
  protected get occupied(): boolean {
    return this.#parked !== undefined;
  }

  /**
   * When the thread parked, in milliseconds of the scheduler's clock, rounded up: the thread stores whole milliseconds, and no deadline
   * may be early.
   */
  protected get parkedSince(): number {
    return this.#parked === undefined ? Infinity : this.#parked.waitingSince + 1;
  }

  /** The running thread is about to park here. @param doing for the message: `reading from` @throws {ConnectionError} `ERR_BUSY` if another thread is parked here */
  protected enter(doing: string): Thread<unknown> {
    const thread = runningThread(doing);
    if (this.#parked !== undefined) {
      throw new ConnectionError('ERR_BUSY', `${this.#parked} is ${doing} this connection already; only one thread can`);
    }
    return thread;
  }

  /** Must be called right before the `yield`. */
  protected park(thread: Thread<unknown>, until: number): void {
    this.#parked = thread;
    this.timedOut = false;
    if (until === Infinity) return;
    this.parkedUntil = until;
    this.duplex.updateDeadline();
  }

  /** Must be called in the `finally` block of the `yield`. */
  protected leave(): void {
    this.#parked = undefined;
    if (this.parkedUntil === Infinity) return;
    this.parkedUntil = Infinity;
    this.duplex.updateDeadline();
  }

  /** @internal Resumes the parked thread, which checks its condition again. */
  wake(): void {
    const thread = this.#parked;
    if (thread !== undefined) thread.scheduler.resume(thread);
  }

  /** @internal The same in the next turn, for callers during which no thread may run. */
  wakeNextTurn(): void {
    const thread = this.#parked;
    if (thread !== undefined) thread.scheduler.resumeNextTurn(thread);
  }

  /** @internal The connection's deadline has passed, which may be that of the other half. */
  expire(): void {
    if (!this.isOverdue()) return;
    this.timedOut = true;
    this.parkedUntil = Infinity;
    this.wake();
  }

  /** @internal The deadline of the parked thread has passed, and has not been extended. To be called when the connection's deadline has passed. */
  isOverdue(): boolean {
    return this.parkedUntil <= this.duplex.scheduler.due && this.hasTimedOut();
  }

  /** The deadline has passed. @returns false if it has been extended instead */
  protected abstract hasTimedOut(): boolean;
}
