// A scheduler that keeps a list of the threads that it has run, and counts how often it was asked to run one.

import { type Clock, Scheduler } from '#sluice/threads/scheduler.js';
import type { Thread } from '#sluice/threads/thread.js';

export class WatchedScheduler extends Scheduler {
  /** Threads that have been resumed, and so started. Threads that are over stay until they are deleted. */
  readonly threads = new Set<Thread<unknown>>();
  /** Times that a thread was resumed. */
  resumptions = 0;

  constructor(clock: Clock, report: (error: unknown) => void) {
    super(clock, report);
  }

  override resume(thread: Thread<unknown>): void {
    this.threads.add(thread);
    this.resumptions++;
    super.resume(thread);
  }

  override resumeNextTurn(thread: Thread<unknown>): void {
    this.resumptions++;
    super.resumeNextTurn(thread);
  }
}
