// Parking on the clock.

import { ThreadError } from './errors.js';
import { type Task, Wait } from './task.js';
import { runningThread, sleepTimer } from './thread.js';

/**
 * Parks the thread for a time.
 * @param ms milliseconds, never fewer; 0 lets everything else that is ready run first; `Infinity` parks until unwound
 * @throws {ThreadError} `ERR_RANGE` if `ms` is negative or not a number
 */
export function* sleep(ms: number): Task<void> {
  if (!(ms >= 0)) throw new ThreadError('ERR_RANGE', `sleep: ms is ${ms}; expected a number from 0 to Infinity`);
  const thread = runningThread('sleep');
  if (ms === 0) {
    thread.scheduler.resumeNextTurn(thread);
    yield Wait.timer;
    return;
  }
  if (ms === Infinity) for (;;) yield Wait.timer;
  thread.sleepTimer = thread.scheduler.armIn(ms, thread, sleepTimer);
  try {
    while (thread.sleepTimer !== 0) yield Wait.timer;
  } finally {
    if (thread.sleepTimer !== 0) {
      thread.scheduler.timers.cancel(thread.sleepTimer);
      thread.sleepTimer = 0;
    }
  }
}
