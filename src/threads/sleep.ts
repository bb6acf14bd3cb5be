// Parking on the clock.

import { ThreadError } from './errors.js';
import { parked, type Task, type Wait, WaitingTask } from './task.js';
import { runningThread, sleepTimer, type Thread } from './thread.js';

/**
 * Parks the thread for a time.
 * @param ms milliseconds, never fewer; 0 lets everything else that is ready run first; `Infinity` parks until unwound
 * @throws {ThreadError} `ERR_RANGE` if `ms` is negative or not a number
 */
export function sleep(ms: number): Task<void> {
  return new Sleep(ms);
}

class Sleep extends WaitingTask<void> {
  readonly #ms: number;
  /** The thread that sleeps, once it does. */
  #thread: Thread<unknown> | undefined;
  #isOver = false;

  constructor(ms: number) {
    super();
    this.#ms = ms;
  }

  next(): IteratorResult<Wait, void> {
    if (this.#isOver) return { done: true, value: undefined };
    const thread = this.#thread;
    if (thread === undefined) {
      this.#fallAsleep();
    } else if (thread.sleepTimer === 0 && this.#ms !== Infinity) {
      this.#isOver = true;
      return { done: true, value: undefined };
    }
    return parked.timer;
  }

  protected leave(): void {
    const thread = this.#thread;
    if (!this.#isOver && thread !== undefined && thread.sleepTimer !== 0) {
      thread.scheduler.timers.cancel(thread.sleepTimer);
      thread.sleepTimer = 0;
    }
    this.#isOver = true;
  }

  #fallAsleep(): void {
    const ms = this.#ms;
    if (!(ms >= 0)) throw new ThreadError('ERR_RANGE', `sleep: ms is ${ms}; expected a number from 0 to Infinity`);
    const thread = runningThread('sleep');
    this.#thread = thread;
    if (ms === 0) thread.scheduler.resumeNextTurn(thread);
    else if (ms !== Infinity) thread.sleepTimer = thread.scheduler.armIn(ms, thread, sleepTimer);
  }
}
