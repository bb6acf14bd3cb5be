// What a reader and a writer have in common: the place where one thread may be parked, and until when.

import { ConnectionError } from '../event-layer/event-layer.js';
import { runningThread, type Thread } from '../threads/thread.js';
import type { Duplex } from './duplex.js';

export abstract class ParkingSpot {
  /** @internal When the thread parked here is to be looked at, in milliseconds of the scheduler; `Infinity` when none is, or it has no deadline. */
  parkedUntil = Infinity;
  /** @internal */
  readonly duplex: Duplex;
  /** The deadline has passed while the thread was parked. */
  protected timedOut = false;
  #parked: Thread<unknown> | undefined;

  /** @internal */
  constructor(duplex: Duplex) {
    this.duplex = duplex;
  }

  /** @internal Nothing is lost if it is dropped. */
  abstract get isIdle(): boolean;

  /** A thread is parked here. */
  protected get occupied(): boolean {
    return this.#parked !== undefined;
  }

  /**
   * Since when a thread is parked here, in milliseconds of the scheduler. The fraction, which the thread has not kept, counts as a
   * whole one, so that no deadline that counts from here is early.
   */
  protected get parkedSince(): number {
    return this.#parked === undefined ? Infinity : this.#parked.waitingSince + 1;
  }

  /** The running thread is about to park here. @param doing for the error: `reading from` @throws {ConnectionError} `ERR_BUSY` if another one is parked here */
  protected enter(doing: string): Thread<unknown> {
    const thread = runningThread(doing);
    if (this.#parked !== undefined) {
      throw new ConnectionError('ERR_BUSY', `${this.#parked} is ${doing} this connection already; only one thread can`);
    }
    return thread;
  }

  /** To be called right before the `yield`. */
  protected park(thread: Thread<unknown>, until: number): void {
    this.#parked = thread;
    this.timedOut = false;
    if (until === Infinity) return;
    this.parkedUntil = until;
    this.duplex.updateDeadline();
  }

  /** To be called in the `finally` of the `yield`. */
  protected leave(): void {
    this.#parked = undefined;
    if (this.parkedUntil === Infinity) return;
    this.parkedUntil = Infinity;
    this.duplex.updateDeadline();
  }

  /** @internal Resumes the thread that is parked here, which looks again at what it waits for. */
  wake(): void {
    const thread = this.#parked;
    if (thread !== undefined) thread.scheduler.resume(thread);
  }

  /** @internal The same, but in the next turn: for callers in whose midst no thread may run. */
  wakeNextTurn(): void {
    const thread = this.#parked;
    if (thread !== undefined) thread.scheduler.resumeNextTurn(thread);
  }

  /** @internal The connection's deadline has passed, perhaps for this side. */
  expire(): void {
    if (this.parkedUntil > this.duplex.scheduler.due || !this.hasTimedOut()) return;
    this.timedOut = true;
    this.parkedUntil = Infinity;
    this.wake();
  }

  /** The deadline has passed. @returns false if it has been put off instead */
  protected abstract hasTimedOut(): boolean;
}
