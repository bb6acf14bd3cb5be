// The client of an event stream, as its handler sees it.

import { Writing } from '../connection/writer.js';
import { ConnectionError } from '../event-layer/event-layer.js';
import { ResponseBody } from '../http/response-body.js';
import type { BodyWriter } from '../http/stream.js';
import type { Scheduler } from '../threads/scheduler.js';
import type { Task, Wait } from '../threads/task.js';
import { formatComment, formatEvent, retryLine, type ServerSentEvent } from './event-format.js';

/** A client that receives an event stream. */
export interface EventClient {
  /** The id of the last event that the client has received before it reconnected, from `Last-Event-ID`. Empty if it sent none. */
  readonly lastEventId: string;
  /**
   * Sends an event. Parks while the client is flooded. One thread at a time.
   * @throws {TypeError | RangeError} for a field that cannot be sent
   * @throws {ConnectionError} `ERR_BUSY` if another thread is parked in the middle of an event; and as `Writer.write`
   */
  send(event: ServerSentEvent): Task<void>;
  /** Sends a comment, which clients ignore. Parks and throws as `send`. */
  comment(text: string): Task<void>;
}

/** An empty comment: a sign of life for proxies, which no client acts on. */
const heartbeat = ':\n\n';

export class EventOutput implements EventClient {
  readonly lastEventId: string;
  readonly #out: BodyWriter;
  readonly #scheduler: Scheduler;
  /** When something was sent last, in whole milliseconds of the scheduler. */
  #sentAt: number;
  /** An event is being sent, or has been cut: what is sent now would become a part of it. */
  #isPartial = false;

  constructor(out: BodyWriter, lastEventId: string, scheduler: Scheduler) {
    this.#out = out;
    this.lastEventId = lastEventId;
    this.#scheduler = scheduler;
    this.#sentAt = scheduler.millisecond;
  }

  send(event: ServerSentEvent): Task<void> {
    return this.#write(formatEvent('send', event));
  }

  comment(text: string): Task<void> {
    return this.#write(formatComment('comment', text));
  }

  #write(text: string): Task<void> {
    const out = this.#out;
    return out instanceof ResponseBody ? new SendingEvent(out, text, this) : out.write(text);
  }

  /** @throws {ConnectionError} `ERR_BUSY` */
  beginEvent(): void {
    if (this.#isPartial)
      throw new ConnectionError(
        'ERR_BUSY',
        'an event has been sent in part: by another thread, which is not done, or by one that was unwound; nothing can be sent in between',
      );
    this.#isPartial = true;
  }

  /** It has been sent, or nothing of it has. */
  endEvent(): void {
    this.#isPartial = false;
    this.#sentAt = this.#scheduler.millisecond;
  }

  /**
   * Sends a comment if nothing has been sent for that long, the client has room, and no event has been sent in part.
   * @param period milliseconds @returns when to call it again, in milliseconds from now
   */
  beat(period: number): number {
    const left = this.#sentAt + period - this.#scheduler.millisecond;
    if (left > 0) return left;
    if (!this.#isPartial) this.#out.tryWrite(heartbeat);
    this.#sentAt = this.#scheduler.millisecond;
    return period;
  }

  /** Sends how long the client is to wait before it reconnects, unless that would become part of an event that has been cut. */
  sendRetry(retry: number): void {
    if (!this.#isPartial && this.#out instanceof ResponseBody) this.#out.put(`${retryLine('events', retry)}\n`);
  }
}

/** Sends one event, and notes when it is whole. */
class SendingEvent extends Writing {
  readonly #client: EventOutput;
  #stage: 'new' | 'begun' | 'over' = 'new';

  constructor(out: ResponseBody, text: string, client: EventOutput) {
    super(out, text);
    this.#client = client;
  }

  override next(): IteratorResult<Wait, void> {
    if (this.#stage === 'new') {
      this.#client.beginEvent();
      this.#stage = 'begun';
    }
    const result = super.next();
    if (result.done) this.#end();
    return result;
  }

  protected override leave(): void {
    super.leave();
    if (!this.isPartial) this.#end();
  }

  #end(): void {
    if (this.#stage === 'begun') this.#client.endEvent();
    this.#stage = 'over';
  }
}
