// The client of an event stream, as its handler sees it.

import { Writing } from '../connection/writer.js';
import { ResponseBody } from '../http/response-body.js';
import type { BodyWriter } from '../http/stream.js';
import type { Scheduler } from '../threads/scheduler.js';
import { parked, type Task, type Wait } from '../threads/task.js';
import { BaseTopic } from '../topics/topic.js';
import { isInstance, show } from '../util/inspect.js';
import { formatComment, formatEvent, type ServerSentEvent } from './event-format.js';
import { EventOutput } from './event-output.js';
import { Following, type FollowOptions, FollowStart, relay } from './following.js';

/** A client that receives an event stream. */
export interface EventClient {
  /** The id of the last event that the client has received before it reconnected, from `Last-Event-ID`. Empty if it sent none. */
  readonly lastEventId: string;
  /**
   * Sends an event. Parks while the client is flooded, and while another thread is in the middle of an event.
   * @throws {TypeError | RangeError} for a field that cannot be sent
   * @throws {ConnectionError} `ERR_EVENT_CUT` if an earlier event was sent in part, and its thread unwound; and as `Writer.write`
   */
  send(event: ServerSentEvent): Task<void>;
  /** Sends a comment, which clients ignore. Parks and throws as `send`. */
  comment(text: string): Task<void>;
  /**
   * Sends each message of a topic as an event, until the topic is closed. While the client has room, the thread is not resumed for it. Other threads may
   * send meanwhile.
   * @throws {ThreadError} `ERR_TOPIC_CLOSED` if the topic is closed already
   * @throws {ConnectionError} as `send`
   */
  follow<M>(topic: BaseTopic<M>, options?: FollowOptions): Task<void>;
}

export class StreamClient extends EventOutput implements EventClient {
  readonly lastEventId: string;

  constructor(out: BodyWriter, scheduler: Scheduler, lastEventId: string) {
    super(out, scheduler);
    this.lastEventId = lastEventId;
  }

  send(event: ServerSentEvent): Task<void> {
    return this.write(formatEvent('send', event));
  }

  comment(text: string): Task<void> {
    return this.write(formatComment('comment', text));
  }

  follow<M>(topic: BaseTopic<M>, options: FollowOptions = {}): Task<void> {
    if (!isInstance(topic, BaseTopic)) throw new TypeError(`follow: the topic is ${show(topic)}; expected a topic`);
    const { out } = this;
    const start = new FollowStart(topic, options, this.lastEventId);
    return out instanceof ResponseBody ? new Following(start, this, out) : relay(start, out);
  }

  /** @internal Sends events that have been formatted already. */
  write(text: string): Task<void> {
    const { out } = this;
    return out instanceof ResponseBody ? new SendingEvent(out, text, this) : out.write(text);
  }
}

/** Sends one event, when nothing else does. */
class SendingEvent extends Writing {
  readonly #output: EventOutput;
  #stage: 'before' | 'sending' | 'over' = 'before';

  constructor(out: ResponseBody, text: string, output: EventOutput) {
    super(out, text);
    this.#output = output;
  }

  override next(): IteratorResult<Wait, void> {
    if (this.#stage === 'before') {
      if (!this.#output.enter(this)) return parked.channel;
      this.#stage = 'sending';
    }
    try {
      const result = super.next();
      if (result.done) this.#end();
      return result;
    } catch (error) {
      this.#end();
      throw error;
    }
  }

  protected override leave(): void {
    super.leave();
    this.#end();
  }

  #end(): void {
    if (this.#stage !== 'over') this.#output.leave(this, this.isPartial);
    this.#stage = 'over';
  }
}
