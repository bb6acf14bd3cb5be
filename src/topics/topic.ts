// Topics: publish and subscribe within a process.
//
//   publish ─► #outbox ─► delivery, in a separate thread: every subscription is given what is new, in order
//                              │
//                              ├─► it has room: a copy of the frame, in the output of its connection. No thread runs, nothing is allocated
//                              └─► it has none: its backlog, as the policy says; its thread takes what waits when there is room
//
// A message that comes from elsewhere, another process say, would enter at `#add`, with the id that it has there.

import { ThreadError } from '../threads/errors.js';
import { defaultScheduler, type Scheduler } from '../threads/scheduler.js';
import { sleep } from '../threads/sleep.js';
import { parked, type Task, waitUntil } from '../threads/task.js';
import { currentThread, runningThread, Thread } from '../threads/thread.js';
import { isInstance, show } from '../util/inspect.js';
import { toJson } from '../util/json.js';
import { checkOneLine } from '../util/one-line.js';
import { checkOptions, isOptions, type OptionRules } from '../util/options.js';
import { History } from './history.js';
import { Published, type WireMessage } from './published.js';
import {
  type BaseSubscription,
  type Follower,
  FollowerSubscription,
  type Policy,
  type SubscribedTopic,
  Subscription,
} from './subscription.js';

/** Options of `topic`. */
export interface TopicOptions<M> {
  /**
   * What becomes of a message for a subscriber that is too slow, for which `maxWaiting` messages wait already:
   *
   * - `dropOldest`: the message that has waited longest is dropped. The default.
   * - `dropNewest`: the message is dropped.
   * - `latest`: a message replaces the one that waits with the same `key`, at any time. If there is none, as `dropOldest`.
   * - `disconnect`: the subscription ends: an event stream is reset, so that its client connects again; `receive` throws `ERR_TOO_SLOW`.
   * - `park`: `publish` is a task, and waits.
   */
  policy?: Policy | undefined;
  /** How many messages may wait for a subscriber, besides the output that is queued for its connection. Default 64. */
  maxWaiting?: number | undefined;
  /** What a message is about, for the policy `latest`. Compared with `===`. */
  key?: ((message: M) => unknown) | undefined;
  /** How many messages are kept for subscribers that come later; or how many and how many bytes of their content. Default 0. */
  history?: number | { messages?: number | undefined; bytes?: number | undefined } | undefined;
  /**
   * The content of a message on the wire. Default: strings and bytes as they are, anything else as JSON. Event streams take strings only. It is called by `publish`, which
   * throws what it throws, whether or not anything follows the topic. False: messages are for threads of this process only, are not encoded, and may be anything.
   */
  encode?: ((message: M) => string | Uint8Array) | false | undefined;
  /** The type of the events in event streams, or a function that gives it for each message. Default: none. */
  event?: string | ((message: M) => string | undefined) | undefined;
}

/** Options of `publish`. */
export interface PublishOptions {
  /**
   * Identifies the message, for `Last-Event-ID`; without CR, LF and NUL. It should be the source's own where there is one: then subscribers can go on
   * after a restart. Default: a random prefix for each topic, and a number.
   */
  id?: string | undefined;
}

/** Where a subscription begins. */
export interface SubscribeOptions {
  /** Behind the message with this id: what has been missed comes first. If that is not known, or not kept any more, `missed` is true. */
  after?: string | undefined;
  /** All of the history comes first, unless `after` is given and known. Default false. */
  replay?: boolean | undefined;
}

/** What a topic has done, and for how many. */
export interface TopicCounts {
  /** Number of subscriptions. */
  subscribers: number;
  /** Number of messages that have been published. */
  published: number;
  /** Number of messages in the history. */
  kept: number;
  /** Number of messages dropped for subscribers that were too slow: one for each message and subscriber. */
  dropped: number;
  /** Number of subscriptions that have ended because they were too slow. */
  disconnected: number;
}

const mostMessages = 2 ** 30;

const policies: readonly Policy[] = ['park', 'dropOldest', 'dropNewest', 'latest', 'disconnect'];

const rules: OptionRules = {
  policy: {
    accepts: (value) => policies.some((policy) => policy === value),
    expected: `one of ${policies.map((policy) => `"${policy}"`).join(', ')}`,
  },
  maxWaiting: { whole: [1, mostMessages] },
  key: { type: 'function' },
  history: {
    accepts: (value) => typeof value === 'number' || isOptions(value),
    expected: 'a number or an object',
  },
  encode: { accepts: (value) => typeof value === 'function' || value === false, expected: 'a function or false' },
  event: {
    accepts: (value) => typeof value === 'string' || typeof value === 'function',
    expected: 'a string or a function',
  },
};
const historyRules: OptionRules = {
  messages: { whole: [0, mostMessages] },
  bytes: { whole: [0, Number.MAX_SAFE_INTEGER] },
};
const publishRules: OptionRules = { id: { type: 'string' } };
/** Of `SubscribeOptions`. */
export const subscribeRules: OptionRules = {
  after: { accepts: (value) => typeof value === 'string', expected: 'a string' },
  replay: { type: 'boolean' },
};

const defaultWaiting = 64;

/**
 * A part of a delivery that is done without a pause: so many subscribers, or so many milliseconds. The system calls for their output follow at the end of
 * the turn, and take several times as long.
 */
const subscribersAtOnce = 512;
const timeAtOnce = 2;
/** Subscribers between two looks at the clock. */
const subscribersPerLook = 64;
/** So many messages may be on their way to the subscribers. More are delivered before `publish` returns. */
const mostOnTheirWay = 1024;

/** What topics of all policies have in common. */
export abstract class BaseTopic<M> implements SubscribedTopic {
  /** For messages and listings. */
  readonly name: string;
  /** See `TopicOptions`. */
  readonly policy: Policy;
  /** See `TopicOptions`. */
  readonly maxWaiting: number;
  /** True after `close`. */
  closed = false;
  readonly #options: TopicOptions<M>;
  readonly #history: History<M> | undefined;
  /** What ids begin with: none of an earlier process is taken for one of these. */
  readonly #idPrefix = `${Math.random().toString(36).slice(2, 8)}-`;
  readonly #subscriptions: BaseSubscription<M>[] = [];
  /** The number of the last message. */
  #sequence = 0;
  /** Messages that some subscriptions have not been given yet. */
  readonly #outbox: Published<M>[] = [];
  /** The subscription that is given its messages next, while they are delivered. Each round visits all, from the first on. */
  #position = 0;
  /** The number of the last message when the round began: at its end all subscriptions have got as far. */
  #roundEnd = 0;
  #isDelivering = false;
  /** A thread delivers, or is about to. */
  #hasThread = false;
  #dropped = 0;
  #disconnected = 0;
  /** How many subscriptions have a backlog that is full. */
  #full = 0;
  /** Threads that wait to publish. */
  readonly #publishers = new Set<Thread<unknown>>();

  /** @internal */
  constructor(name: string, options: TopicOptions<M>) {
    this.name = name;
    this.policy = options.policy ?? 'dropOldest';
    this.maxWaiting = options.maxWaiting ?? defaultWaiting;
    this.#options = options;
    this.#history = historyOf(options.history);
  }

  /** What it has done so far, and for how many subscribers. */
  get counts(): TopicCounts {
    return {
      subscribers: this.#subscriptions.length,
      published: this.#sequence,
      kept: this.#history?.length ?? 0,
      dropped: this.#dropped,
      disconnected: this.#disconnected,
    };
  }

  /** The id of the last message; empty if there is none. A caller that takes a snapshot of the state can subscribe `after` it, if there is a history. */
  lastId = '';

  /** The messages of the history, the oldest first. */
  get history(): M[] {
    return this.#history?.messages.map(({ value }) => value) ?? [];
  }

  /** Whether everything behind the message with that id is in the history. */
  canResume(id: string): boolean {
    if (typeof id !== 'string') throw new TypeError(`canResume: the id is ${show(id)}; expected a string`);
    return this.#history?.has(id) ?? false;
  }

  /**
   * Subscribes. It ends when the running thread is over, if it is called in one.
   * @throws {ThreadError} `ERR_TOPIC_CLOSED`
   */
  subscribe(options: SubscribeOptions = {}): Subscription<M> {
    const thread = currentThread();
    const { missed, backlog } = this.#begin('subscribe', options);
    const subscription = new Subscription<M>(this, thread?.scheduler ?? defaultScheduler(), missed, backlog);
    this.#join(subscription);
    if (thread !== undefined) subscription.closeWith(thread);
    return subscription;
  }

  /** @internal Pipes messages to a follower. @throws {TypeError} if they are not encoded @throws {ThreadError} `ERR_TOPIC_CLOSED` */
  attach<F>(follower: Follower<F>, options: SubscribeOptions): FollowerSubscription<M, F> {
    const { backlog } = this.#begin('follow', options);
    if (this.#options.encode === false)
      throw new TypeError(
        `follow: the topic ${this.name} has the option encode: false, for threads only; expected a topic whose messages are encoded`,
      );
    const subscription = new FollowerSubscription<M, F>(this, follower, backlog);
    this.#join(subscription);
    return subscription;
  }

  #begin(where: string, options: SubscribeOptions): { missed: boolean; backlog: Published<M>[] } {
    checkOptions(where, options, subscribeRules);
    this.checkOpen(where);
    const { after = '', replay = false } = options;
    const since = after === '' ? undefined : this.#history?.since(after);
    const missed = after !== '' && since === undefined;
    return { missed, backlog: since ?? (replay ? (this.#history?.messages ?? []) : []) };
  }

  #join(subscription: BaseSubscription<M>): void {
    subscription.sequence = this.#sequence;
    subscription.index = this.#subscriptions.length;
    this.#subscriptions.push(subscription);
  }

  /** @internal */
  remove(subscription: BaseSubscription<M>): void {
    const { index } = subscription;
    if (index === -1) return;
    subscription.index = -1;
    const last = this.#subscriptions.pop();
    if (last === undefined || last === subscription) return;
    this.#subscriptions[index] = last;
    last.index = index;
    // It has moved to where this delivery has been already.
    if (this.#isDelivering && index < this.#position) this.#deliverTo(last);
  }

  /** @internal */
  countDropped(): void {
    this.#dropped++;
  }

  /** @internal */
  countDisconnected(): void {
    this.#disconnected++;
  }

  /** @internal */
  fullnessChanged(isFull: boolean): void {
    if (this.policy !== 'park') return;
    this.#full += isFull ? 1 : -1;
    this.#resumePublishers();
  }

  #resumePublishers(): void {
    if (this.publishingParks) return;
    for (const thread of this.#publishers) thread.scheduler.resume(thread);
  }

  /** Under the policy `park`: a publisher has to wait. */
  protected get publishingParks(): boolean {
    return !this.closed && (this.#full > 0 || this.#outbox.length >= this.maxWaiting);
  }

  protected *waitToPublish(): Task<void> {
    const thread = runningThread('publish');
    this.#publishers.add(thread);
    try {
      yield* waitUntil(() => !this.publishingParks, parked.channel);
    } finally {
      this.#publishers.delete(thread);
    }
  }

  protected checkOpen(where: string): void {
    if (this.closed) throw new ThreadError('ERR_TOPIC_CLOSED', `${where}: the topic ${this.name} is closed`);
  }

  /** Publishes at once. */
  protected add(value: M, options: PublishOptions): void {
    if (value === undefined)
      throw new TypeError(
        'publish: the message is undefined, which receive returns at the end; expected another value',
      );
    checkOptions('publish', options, publishRules);
    const { id } = options;
    if (id !== undefined) checkOneLine('publish: id', id);
    this.checkOpen('publish');
    this.#add(value, id);
  }

  #add(value: M, givenId: string | undefined): void {
    const { key, event } = this.#options;
    const sequence = this.#sequence + 1;
    const id = givenId ?? this.#idPrefix + sequence;
    const type = typeof event === 'function' ? event(value) : event;
    if (type !== undefined) checkOneLine('publish: event', type);
    const isIdSent = givenId !== undefined || this.#history !== undefined;
    // Always, so that whether it is thrown does not depend on who follows by then.
    const wire: WireMessage = { id: isIdSent ? id : undefined, event: type, content: this.#encode(value) };
    const message = new Published(sequence, id, value, key?.(value), wire);
    this.#sequence = sequence;
    this.lastId = id;
    this.#history?.add(message);
    if (this.#subscriptions.length === 0) return;
    this.#outbox.push(message);
    if (!this.#isDelivering) this.#startDelivery();
    else if (this.#outbox.length > mostOnTheirWay) this.#deliverAll();
  }

  #encode(value: M): string | Uint8Array {
    const { encode } = this.#options;
    if (encode === false) return '';
    const content: unknown = encode === undefined ? value : encode(value);
    if (typeof content === 'string' || isInstance(content, Uint8Array)) return content;
    if (encode !== undefined)
      throw new TypeError(`publish: encode returned ${show(content)}; expected a string or a Uint8Array`);
    return toJson('publish: the message', content);
  }

  #startDelivery(): void {
    this.#isDelivering = true;
    this.#position = 0;
    this.#roundEnd = this.#sequence;
    if (this.#hasThread) return;
    this.#hasThread = true;
    const scheduler = this.#subscriptions[0]?.scheduler ?? defaultScheduler();
    const thread = new Thread(() => this.#delivery(scheduler), `topic ${this.name}`, undefined, scheduler);
    scheduler.resume(thread);
  }

  /** Delivers in parts, so that other work goes on in between. */
  *#delivery(scheduler: Scheduler): Task<void> {
    while (this.#isDelivering) {
      const end = scheduler.moment + timeAtOnce;
      if (this.#deliver(subscribersAtOnce, () => scheduler.moment > end)) yield* sleep(0);
    }
    this.#hasThread = false;
  }

  /**
   * Goes on with giving each subscription what is new to it.
   * @param most subscriptions at most @param isLate whether to stop @returns whether there is more to do
   */
  #deliver(most: number, isLate: () => boolean): boolean {
    let left = most;
    while (this.#position < this.#subscriptions.length) {
      if (left === 0 || (left !== most && left % subscribersPerLook === 0 && isLate())) return true;
      left--;
      this.#deliverTo(this.#subscriptions[this.#position++]);
    }
    return this.#endRound();
  }

  #deliverAll(): void {
    while (this.#isDelivering) this.#deliver(Infinity, () => false);
  }

  #deliverTo(subscription: BaseSubscription<M>): void {
    const outbox = this.#outbox;
    const first = outbox[0]?.sequence ?? 0;
    for (let at = Math.max(0, subscription.sequence + 1 - first); at < outbox.length; at++) {
      if (subscription.closed) return;
      subscription.take(outbox[at]);
    }
  }

  /** Every subscription has been visited. @returns whether some have not got what was published meanwhile */
  #endRound(): boolean {
    const first = this.#outbox[0]?.sequence ?? 0;
    this.#outbox.splice(0, this.#roundEnd + 1 - first);
    this.#position = 0;
    this.#roundEnd = this.#sequence;
    this.#isDelivering = this.#outbox.length > 0;
    this.#resumePublishers();
    return this.#isDelivering;
  }

  /**
   * Ends the topic: nothing can be published. Subscribers get what waits, and then the end: `receive` returns `undefined`, event streams that follow it go on
   * in their handlers.
   */
  close(): void {
    if (this.closed) return;
    this.#deliverAll();
    this.closed = true;
    for (const subscription of [...this.#subscriptions]) subscription.topicClosed();
    this.#resumePublishers();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** A topic whose policy is not `park`: publishing never waits. */
export class Topic<M> extends BaseTopic<M> {
  /**
   * Publishes a message to every subscriber. It is encoded before this returns, and delivered in the course of this turn and the next ones. May be called from
   * anywhere, also outside threads.
   * @throws {TypeError} for a message that cannot be encoded, whether or not anything follows the topic, or an id with CR, LF or NUL; nothing is published then
   * @throws {ThreadError} `ERR_TOPIC_CLOSED`
   */
  publish(message: M, options: PublishOptions = {}): void {
    this.add(message, options);
  }
}

/** A topic with the policy `park`: publishing waits for the slowest subscriber. */
export class ParkingTopic<M> extends BaseTopic<M> {
  /** Publishes a message to every subscriber, as soon as fewer than `maxWaiting` messages wait for each. Parks until then. Throws as `Topic.publish`. */
  *publish(message: M, options: PublishOptions = {}): Task<void> {
    this.checkOpen('publish');
    if (this.publishingParks) yield* this.waitToPublish();
    this.add(message, options);
  }

  /** The same without waiting. May be called from anywhere. @returns false if it would have to wait: nothing is published then */
  tryPublish(message: M, options: PublishOptions = {}): boolean {
    this.checkOpen('publish');
    if (this.publishingParks) return false;
    this.add(message, options);
    return true;
  }
}

function historyOf<M>(history: TopicOptions<M>['history']): History<M> | undefined {
  if (history === undefined || history === 0) return undefined;
  const bounds = typeof history === 'number' ? { messages: history } : history;
  checkOptions('topic: history', bounds, historyRules);
  const { messages = Infinity, bytes = Infinity } = bounds;
  if (messages === Infinity && bytes === Infinity)
    throw new TypeError('topic: history has neither messages nor bytes; expected one of them, as a bound');
  return new History(messages, bytes);
}

/**
 * Makes a topic: messages that are published to it reach every subscriber, in the same order.
 *
 * ```ts
 * const prices = topic<Price>('prices', { policy: 'latest', key: ({ symbol }) => symbol });
 * prices.publish({ symbol: 'ABC', price: 7 });
 * ```
 *
 * @param name for messages and listings
 * @throws {TypeError | RangeError} for wrong options, naming the option
 */
export function topic<M>(name: string, options: TopicOptions<M> & { policy: 'park' }): ParkingTopic<M>;
export function topic<M>(name: string, options?: TopicOptions<M> & { policy?: Exclude<Policy, 'park'> }): Topic<M>;
export function topic<M>(name: string, options: TopicOptions<M> = {}): BaseTopic<M> {
  if (typeof name !== 'string' || name === '')
    throw new TypeError(`topic: the name is ${show(name)}; expected a string that is not empty`);
  checkOptions('topic', options, rules);
  const { event, policy, key } = options;
  if (typeof event === 'string') checkOneLine('topic: event', event);
  if (policy === 'latest' && key === undefined)
    throw new TypeError('topic: key is undefined; expected a function, which the policy "latest" needs');
  if (policy !== 'latest' && key !== undefined)
    throw new TypeError(`topic: policy is ${show(policy)}; expected "latest", since only that uses the option key`);
  return options.policy === 'park' ? new ParkingTopic(name, options) : new Topic(name, options);
}
