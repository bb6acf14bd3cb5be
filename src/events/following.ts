// Piping a topic to an event stream. While the client has room, a message is copied into the output of its connection, framed as it is for all clients, and
// no thread runs. When the client is flooded, the thread that follows waits for it, and sends what waits.

import { pieceBytes } from '../connection/duplex.js';
import type { Writer } from '../connection/writer.js';
import type { ResponseBody } from '../http/response-body.js';
import { SharedPiece } from '../http/shared-piece.js';
import type { BodyWriter } from '../http/stream.js';
import type { ThreadError } from '../threads/errors.js';
import type { Scheduler } from '../threads/scheduler.js';
import { parked, type Task, type Wait, WaitingTask, waitUntil } from '../threads/task.js';
import { runningThread, type Thread } from '../threads/thread.js';
import { WireFormat, type WireMessage } from '../topics/published.js';
import type { Follower, FollowerSubscription } from '../topics/subscription.js';
import type { BaseTopic } from '../topics/topic.js';
import { show } from '../util/inspect.js';
import { checkOptions, isOptions, type OptionRules } from '../util/options.js';
import { formatEvent, type ServerSentEvent } from './event-format.js';
import type { EventOutput } from './event-output.js';

/** Options of `follow`. */
export interface FollowOptions {
  /** Begins behind the message with this id: what the topic's history has after it comes first. Default: `client.lastEventId`. Empty: from now on. */
  after?: string | undefined;
  /** All of the history comes first, unless `after` is known. Default false. */
  replay?: boolean | undefined;
  /**
   * The event that is sent first when more has been missed than the topic has kept; false for none. Default: `missed`, with the id that was asked for as
   * its data.
   */
  missed?: ServerSentEvent | false | undefined;
}

const rules: OptionRules = {
  after: { accepts: (value) => typeof value === 'string', expected: 'a string' },
  replay: { type: 'boolean' },
  missed: { accepts: (value) => isOptions(value) || value === false, expected: 'an event or false' },
};

const encoder = new TextEncoder();

const format = new WireFormat(frameOf, (content) => typeof content === 'string');

function frameOf({ id, event, content }: WireMessage): SharedPiece {
  if (typeof content !== 'string')
    throw new TypeError(`follow: the content of a message is ${show(content)}; expected a string, for an event stream`);
  return new SharedPiece(encoder.encode(formatEvent('follow', { id, event, data: content })));
}

/** Where a stream that follows a topic begins. */
export class FollowStart<M> {
  readonly topic: BaseTopic<M>;
  readonly after: string;
  readonly replay: boolean;
  /** What is sent first if too much has been missed. */
  readonly missed: string | undefined;

  /** @throws {TypeError} for wrong options */
  constructor(topic: BaseTopic<M>, options: FollowOptions, lastEventId: string) {
    checkOptions('follow', options, rules);
    const { after = lastEventId, replay = false, missed = { event: 'missed', data: after } } = options;
    this.topic = topic;
    this.after = after;
    this.replay = replay;
    this.missed = missed === false ? undefined : formatEvent('follow: missed', missed);
  }
}

const returned: IteratorResult<Wait, void> = Object.freeze({ done: true, value: undefined });

/** What a thread that follows has, while it does more than wait for messages. */
interface Sending {
  /** What is left of an event that has been sent in part, or does not fit in one piece. */
  rest: Uint8Array | undefined;
  /** Some of that event has been sent. */
  isPartial: boolean;
  /** Where its thread waits for the client to take output. */
  waitsAt: Writer | undefined;
}

/** `follow`, over a connection. It takes as little memory as it can: tens of thousands wait. */
export class Following<M> extends WaitingTask<void> implements Follower<SharedPiece> {
  readonly #output: EventOutput;
  readonly #body: ResponseBody;
  /** Before it has started, where to begin; then its subscription; then `over`. */
  #state: FollowStart<M> | FollowerSubscription<M, SharedPiece> | 'over';
  #thread: Thread<unknown> | undefined;
  #sending: Sending | undefined;

  constructor(start: FollowStart<M>, output: EventOutput, body: ResponseBody) {
    super();
    this.#body = body;
    this.#state = start;
    this.#output = output;
  }

  get format(): WireFormat<SharedPiece> {
    return format;
  }

  get scheduler(): Scheduler {
    return this.#output.scheduler;
  }

  next(): IteratorResult<Wait, void> {
    if (this.#state === 'over') return returned;
    if (this.#state instanceof FollowStart) this.#state = this.begin(this.#state);
    try {
      const wait = this.send(this.#state);
      if (wait !== undefined) return wait;
    } catch (error) {
      this.leave();
      throw error;
    }
    this.leave();
    return returned;
  }

  private begin({ topic, after, replay, missed }: FollowStart<M>): FollowerSubscription<M, SharedPiece> {
    this.#thread = runningThread('follow');
    const isMissed = after !== '' && !topic.canResume(after);
    const subscription = topic.attach(this, { after, replay });
    const rest = isMissed && missed !== undefined ? encoder.encode(missed) : undefined;
    this.#sending = { rest, isPartial: false, waitsAt: undefined };
    return subscription;
  }

  /** Sends what waits. @returns what the thread parks on; undefined if the topic is closed, and nothing waits */
  private send(subscription: FollowerSubscription<M, SharedPiece>): IteratorResult<Wait, void> | undefined {
    const output = this.#output;
    this.#sending ??= { rest: undefined, isPartial: false, waitsAt: undefined };
    const sending = this.#sending;
    const { waitsAt } = sending;
    if (waitsAt !== undefined) {
      sending.waitsAt = undefined;
      waitsAt.endWaiting();
      waitsAt.checkWaited();
    }
    while (sending.rest !== undefined || subscription.waiting > 0) {
      if (!output.enter(this)) return parked.channel;
      const { writable } = this.#body.duplex;
      if (writable === 0) {
        const { writer } = this.#body;
        writer.beginWaiting(false);
        sending.waitsAt = writer;
        return parked.flooded;
      }
      const rest = sending.rest ?? subscription.next()?.content;
      if (rest === undefined) break;
      const most = Math.min(writable, pieceBytes);
      this.#body.put(rest.subarray(0, most));
      sending.isPartial = rest.length > most;
      sending.rest = sending.isPartial ? rest.subarray(most) : undefined;
    }
    this.#sending = undefined;
    output.leave(this, false);
    return subscription.isOver ? undefined : parked.channel;
  }

  protected leave(): void {
    const state = this.#state;
    if (state === 'over') return;
    this.#state = 'over';
    if (state instanceof FollowStart) return;
    this.#sending?.waitsAt?.endWaiting();
    this.#output.leave(this, this.#sending?.isPartial ?? false);
    state.close();
  }

  // What the topic calls: see `Follower`.

  put(piece: SharedPiece): boolean {
    const body = this.#body;
    if (body.isOver) return true;
    const { duplex } = body;
    if (duplex.closed || duplex.finished) return true;
    const { length } = piece.chunk;
    if (this.#output.isOccupied || length > pieceBytes) return false;
    if (length > duplex.writable) {
      duplex.push?.(); // the client may only seem slow because the turn is not over
      if (length > duplex.writable) return false;
    }
    body.putShared(piece);
    this.#output.noteSent();
    return true;
  }

  wait(): void {
    const thread = this.#thread;
    if (thread !== undefined) thread.scheduler.resume(thread);
  }

  /** The thread of the connection is unwound, so that the stream ends, whichever thread follows. */
  disconnect(reason: ThreadError): void {
    let thread = this.#thread;
    while (thread?.parent !== undefined) thread = thread.parent;
    thread?.unwind(reason);
  }

  topicClosed(): void {
    this.wait();
  }
}

/** `follow`, for a stream that is read by code instead of being sent. */
export function* relay<M>({ topic, after, replay, missed }: FollowStart<M>, out: BodyWriter): Task<void> {
  const thread = runningThread('follow');
  const wake = () => thread.scheduler.resume(thread);
  const follower: Follower<SharedPiece> = {
    format,
    scheduler: thread.scheduler,
    put: () => false,
    wait: wake,
    disconnect: (reason) => thread.unwind(reason),
    topicClosed: wake,
  };
  const isMissed = after !== '' && !topic.canResume(after);
  const subscription = topic.attach(follower, { after, replay });
  try {
    if (isMissed && missed !== undefined) yield* out.write(missed);
    while (!subscription.isOver) {
      const piece = subscription.next();
      if (piece !== undefined) yield* out.write(piece.content);
      else yield* waitUntil(() => subscription.waiting > 0 || subscription.isOver, parked.channel);
    }
  } finally {
    subscription.close();
  }
}
