// Parking on the clock.

import { checkMilliseconds } from './errors.js';
import { parked, type Task, type Wait, WaitingTask } from './task.js';
import { currentThread, runningThread, sleepTimer } from './thread.js';

/**
 * Parks the thread for a time.
 * @param ms milliseconds, never fewer; 0 lets everything else that is ready run first; `Infinity` parks until unwound
 * @throws {ThreadError} `ERR_RANGE` if `ms` is negative or not a number
 */
export function sleep(ms: number): Task<void> {
  checkMilliseconds('sleep', ms);
  return new Sleep(ms);
}

/** It does not keep the thread that sleeps: whenever it is called, that thread is the one that runs. */
class Sleep extends WaitingTask<void> {
  /** The milliseconds until it starts; then its state. One field for both saves memory: the time is not needed again. */
  #stage: number | 'asleep' | 'for ever' | 'over';

  constructor(ms: number) {
    super();
    this.#stage = ms;
  }

  next(): IteratorResult<Wait, void> {
    if (typeof this.#stage === 'number') this.#stage = fallAsleep(this.#stage);
    else if (this.#stage === 'asleep' && runningThread('sleep').sleepTimer === 0) this.#stage = 'over';
    return this.#stage === 'over' ? { done: true, value: undefined } : parked.timer;
  }

  protected leave(): void {
    const thread = this.#stage === 'asleep' ? currentThread() : undefined;
    if (thread !== undefined && thread.sleepTimer !== 0) {
      thread.scheduler.timers.cancel(thread.sleepTimer);
      thread.sleepTimer = 0;
    }
    this.#stage = 'over';
  }
}

function fallAsleep(ms: number): 'asleep' | 'for ever' {
  const thread = runningThread('sleep');
  if (ms === Infinity) return 'for ever';
  if (ms === 0) thread.scheduler.resumeNextTurn(thread);
  else thread.sleepTimer = thread.scheduler.armIn(ms, thread, sleepTimer);
  return 'asleep';
}
