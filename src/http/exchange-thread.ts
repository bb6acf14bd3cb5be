// The thread of an exchange. It, or a thread that a handler has spawned, may report an error after the request has ended or the connection has closed. The
// request and the peer for `onError` are found through the thread.

import type { Scheduler } from '../threads/scheduler.js';
import type { Task } from '../threads/task.js';
import { type Report, Thread } from '../threads/thread.js';
import { Ending } from '../threads/thread-state.js';
import type { Request } from './fetch/request.js';

/** The request and the client that an error belongs to. */
export interface Subject {
  readonly request?: Request | undefined;
  /** The client's address; see `RequestInfo`. */
  readonly peer: string;
}

/** What a connection has been handed over to: errors of the thread belong to it, and it is told when the thread is over. */
export interface Successor extends Subject {
  /** @internal */
  threadOver(): void;
}

export class ExchangeThread extends Thread<void> {
  /** The exchange until its last request ends; then a copy, if errors may still be reported. */
  #subject: Subject | Successor | undefined;

  constructor(task: Task<void> & Subject, scheduler: Scheduler, report: Report) {
    super(task, 'connection', undefined, scheduler, report);
    this.#subject = task;
  }

  /** The connection has another protocol from now on. */
  handOver(successor: Successor): void {
    this.#subject = successor;
  }

  /** The last request of the connection is about to end. */
  requestEnds(): void {
    const { subject } = this;
    if (subject !== undefined && 'threadOver' in subject) return;
    const isReporting = this.ending === Ending.failed || this.children.size > 0;
    this.#subject = isReporting && subject !== undefined ? { request: subject.request, peer: subject.peer } : undefined;
  }

  get subject(): Subject | undefined {
    return this.#subject;
  }

  protected override ended(): void {
    const subject = this.#subject;
    if (subject !== undefined && 'threadOver' in subject) subject.threadOver();
  }
}

/** @param thread the thread of an exchange, or one that it has spawned */
export function subjectOf(thread: Thread<unknown>): Subject | undefined {
  let root = thread;
  while (root.parent !== undefined) root = root.parent;
  return root instanceof ExchangeThread ? root.subject : undefined;
}
