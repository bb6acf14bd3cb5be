// Where the events of one client go: one thread at a time sends, and what sends may be parked in the middle of an event.

import { ConnectionError } from '../event-layer/event-layer.js';
import { ResponseBody } from '../http/response-body.js';
import type { BodyWriter } from '../http/stream.js';
import type { Scheduler } from '../threads/scheduler.js';
import { runningThread, type Thread } from '../threads/thread.js';
import { retryLine } from './event-format.js';

/** An empty comment: a sign of life for proxies, which no client acts on. */
const heartbeat = ':\n\n';

/** Has the place of what sends when an event has been sent in part and will not be completed. */
const cut = {};

export class EventOutput {
  readonly scheduler: Scheduler;
  protected readonly out: BodyWriter;
  /** What is in the middle of an event, or waits for the client to take output. */
  #sender: object | undefined;
  /** Threads that wait for it to be done. */
  #line: Set<Thread<unknown>> | undefined;
  /** When something was sent last, in whole milliseconds of the scheduler. */
  #sentAt: number;

  constructor(out: BodyWriter, scheduler: Scheduler) {
    this.out = out;
    this.scheduler = scheduler;
    this.#sentAt = scheduler.millisecond;
  }

  /** Nothing can be sent now. */
  get isOccupied(): boolean {
    return this.#sender !== undefined;
  }

  /**
   * Begins to send, or goes on.
   * @returns false if something else is sending: the running thread is resumed when that is done, and asks again
   * @throws {ConnectionError} `ERR_EVENT_CUT`
   */
  enter(sender: object): boolean {
    if (this.#sender === cut)
      throw new ConnectionError(
        'ERR_EVENT_CUT',
        'an event has been sent in part, and its thread was unwound: nothing can be sent behind it',
      );
    if (this.#sender !== undefined && this.#sender !== sender) {
      this.#line ??= new Set();
      this.#line.add(runningThread('send'));
      return false;
    }
    this.#sender = sender;
    return true;
  }

  /** It is done, or has been unwound, also while it was in the line. @param isPartial it has sent an event in part */
  leave(sender: object, isPartial: boolean): void {
    const line = this.#line;
    if (this.#sender !== sender) {
      line?.delete(runningThread('send'));
      return;
    }
    this.#sender = isPartial ? cut : undefined;
    this.noteSent();
    this.#line = undefined;
    if (line !== undefined) for (const thread of line) thread.scheduler.resume(thread);
  }

  noteSent(): void {
    this.#sentAt = this.scheduler.millisecond;
  }

  /**
   * Sends a comment if nothing has been sent for that long, the client has room, and no event has been sent in part.
   * @param period milliseconds @returns when to call it again, in milliseconds from now; 0 if the client is gone
   */
  beat(period: number): number {
    const { out } = this;
    if (out instanceof ResponseBody && (out.isOver || out.duplex.closed)) return 0;
    const left = this.#sentAt + period - this.scheduler.millisecond;
    if (left > 0) return left;
    if (!this.isOccupied) out.tryWrite(heartbeat);
    this.noteSent();
    return period;
  }

  /** Sends how long the client is to wait before it reconnects, unless that would become part of an event that has been cut. */
  sendRetry(retry: number): void {
    if (!this.isOccupied && this.out instanceof ResponseBody) this.out.put(`${retryLine('events', retry)}\n`);
  }
}
