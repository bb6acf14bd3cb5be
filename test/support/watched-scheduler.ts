// A scheduler that counts how often it was asked to run a thread.

import { Scheduler } from '#sluice/threads/scheduler.js';
import type { Thread } from '#sluice/threads/thread.js';

export class WatchedScheduler extends Scheduler {
  /** Times that a thread was resumed. */
  resumptions = 0;

  override resume(thread: Thread<unknown>): void {
    this.resumptions++;
    super.resume(thread);
  }

  override resumeNextTurn(thread: Thread<unknown>): void {
    this.resumptions++;
    super.resumeNextTurn(thread);
  }
}
