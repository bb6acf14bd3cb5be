// The thread of an HTTP connection. Errors that no other thread receives are reported by it, or by a child, and may come when the request
// that they belong to is over, or the connection gone: what they are about is found by the thread.

import { type Report, Thread } from '../threads/thread.js';
import { Ending } from '../threads/thread-state.js';
import type { Request } from './fetch/request.js';
import type { HttpConnection } from './http-connection.js';

/** What an error is about. */
export interface Subject {
  readonly request: Request | undefined;
  /** The client's address; see `RequestInfo`. */
  readonly peer: string;
}

export class ConnectionThread extends Thread<void> {
  /** The connection, until its last request has ended; then what has to be kept of it. */
  #subject: Subject | undefined;

  constructor(connection: HttpConnection, report: Report) {
    super(connection, 'connection', undefined, connection.network.scheduler, report);
    this.#subject = connection;
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
  return root instanceof ConnectionThread ? root.subject : undefined;
}
