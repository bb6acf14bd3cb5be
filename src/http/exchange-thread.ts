// The thread that works for requests. Errors that no other thread receives are reported by it, or by a child, and may come when the request
// that they belong to is over, or the connection gone: what they are about is found by the thread.

import type { Scheduler } from '../threads/scheduler.js';
import type { Task } from '../threads/task.js';
import { type Report, Thread } from '../threads/thread.js';
import { Ending } from '../threads/thread-state.js';
import type { Request } from './fetch/request.js';

/** What an error is about. */
export interface Subject {
  readonly request: Request | undefined;
  /** The client's address; see `RequestInfo`. */
  readonly peer: string;
}

export class ExchangeThread extends Thread<void> {
  /** What works for its requests, until the last one has ended; then what has to be kept of it. */
  #subject: Subject | undefined;

  constructor(task: Task<void> & Subject, scheduler: Scheduler, report: Report) {
    super(task, 'connection', undefined, scheduler, report);
    this.#subject = task;
  }

  /** The connection's last request is about to end. */
  requestEnds(): void {
    const { subject } = this;
    const isReporting = this.ending === Ending.failed || this.children.size > 0;
    this.#subject = isReporting && subject !== undefined ? { request: subject.request, peer: subject.peer } : undefined;
  }

  get subject(): Subject | undefined {
    return this.#subject;
  }
}

/** @param thread that of a connection, or one that was spawned by it */
export function subjectOf(thread: Thread<unknown>): Subject | undefined {
  let root = thread;
  while (root.parent !== undefined) root = root.parent;
  return root instanceof ExchangeThread ? root.subject : undefined;
}
