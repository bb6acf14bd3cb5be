// A subscription to a topic: of a thread, which receives messages one by one, or of a follower, which messages are piped to.

import { ThreadError } from '../threads/errors.js';
import type { Scheduler } from '../threads/scheduler.js';
import { parked, type Task, type Wait, WaitingTask } from '../threads/task.js';
import { runningThread, type Thread } from '../threads/thread.js';
import { Backlog } from './backlog.js';
import type { Published, WireFormat } from './published.js';

/** What becomes of a message for a subscriber that is too slow. */
export type Policy = 'park' | 'dropOldest' | 'dropNewest' | 'latest' | 'disconnect';

/** The topic, as its subscriptions see it. */
export interface SubscribedTopic {
  readonly name: string;
  readonly policy: Policy;
  /** How many messages may wait for a subscriber. */
  readonly maxWaiting: number;
  readonly closed: boolean;
  /** A subscription ends. */
  remove(subscription: TopicSubscription): void;
  /** A message has been dropped for a subscriber that was too slow. */
  countDropped(): void;
  /** A subscriber was too slow, and its subscription ends. */
  countDisconnected(): void;
  /** A backlog is full now, or is not any more. */
  fullnessChanged(isFull: boolean): void;
}

/** What a topic knows of a subscription, whatever its messages are. */
export interface TopicSubscription {
  /** Its place in the topic's list. */
  index: number;
}

// Tens of thousands of subscriptions wait: they have no field that few of them need, and none of their methods is `#private`, which would take another one.
export abstract class BaseSubscription<M> implements TopicSubscription {
  /** @internal */
  index = -1;
  /** @internal The last message that has been given to it, by number. */
  sequence = 0;
  protected readonly topic: SubscribedTopic;
  /** Undefined while nothing waits: most subscribers are fast. */
  #backlog: Backlog<M> | undefined;

  /** @param backlog what it gets first; it may be more than may wait later on */
  constructor(topic: SubscribedTopic, backlog: Published<M>[]) {
    this.topic = topic;
    if (backlog.length > 0) this.#backlog = new Backlog(topic.maxWaiting + backlog.length, backlog);
  }

  /** @internal Where it runs. */
  abstract readonly scheduler: Scheduler;
  /** Takes a message without delay, if it can. */
  protected abstract accept(message: Published<M>): boolean;
  /** The first message waits: `shift` is to be called. */
  protected abstract wake(): void;
  /** It was too slow, and that ends it. */
  protected abstract disconnect(reason: ThreadError): void;
  /** A message has been dropped because it was too slow. */
  protected abstract countDropped(): void;
  /** @internal The topic is closed: nothing comes but what waits. */
  abstract topicClosed(): void;

  /** How many messages wait for it. */
  get waiting(): number {
    return this.#backlog?.length ?? 0;
  }

  /** Ends it: no messages come any more, and those that wait are dropped. Calling it again changes nothing. */
  close(): void {
    if (this.index === -1) return;
    this.topic.remove(this);
    this.setBacklog(undefined);
  }

  /** True after `close`, and after the topic has disconnected it. */
  get closed(): boolean {
    return this.index === -1;
  }

  /** @internal The next message, in order. */
  take(message: Published<M>): void {
    this.sequence = message.sequence;
    if (this.#backlog !== undefined) this.enqueue(this.#backlog, message);
    else if (!this.accept(message)) {
      this.#backlog = new Backlog(this.topic.maxWaiting);
      this.enqueue(this.#backlog, message);
      this.wake();
    }
  }

  private enqueue(backlog: Backlog<M>, message: Published<M>): void {
    const { policy } = this.topic;
    if (policy === 'latest' && backlog.remove(message.key)) this.drop();
    else if (backlog.isFull) {
      if (policy === 'disconnect') {
        this.tooSlow();
        return;
      }
      if (policy !== 'park') this.drop();
      if (policy === 'dropNewest') return;
      if (policy !== 'park') backlog.shift();
    }
    const wasFull = backlog.isFull;
    backlog.push(message);
    if (!wasFull && backlog.isFull) this.topic.fullnessChanged(true);
  }

  private drop(): void {
    this.countDropped();
    this.topic.countDropped();
  }

  private tooSlow(): void {
    const { name, maxWaiting } = this.topic;
    const message = `topic ${name}: the subscriber is too slow: more than ${maxWaiting} messages wait for it`;
    this.topic.countDisconnected();
    this.close();
    this.disconnect(new ThreadError('ERR_TOO_SLOW', message));
  }

  private setBacklog(backlog: Backlog<M> | undefined): void {
    if (this.#backlog?.isFull) this.topic.fullnessChanged(false);
    this.#backlog = backlog;
  }

  /** @internal The oldest message that waits. */
  protected get first(): Published<M> | undefined {
    return this.#backlog?.first;
  }

  /** @internal Takes the oldest message that waits. */
  protected shift(): Published<M> | undefined {
    const backlog = this.#backlog;
    if (backlog === undefined) return undefined;
    const wasFull = backlog.isFull;
    const message = backlog.shift();
    if (backlog.length === 0) this.#backlog = undefined;
    if (wasFull && !backlog.isFull) this.topic.fullnessChanged(false);
    return message;
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

interface Closable {
  close(): void;
}

/** The subscriptions of threads that are open. */
const open = new WeakMap<Thread<unknown>, Set<Closable>>();

/**
 * A thread's subscription to a topic. It is closed when the thread that has subscribed is over.
 *
 * ```ts
 * const subscription = news.subscribe();
 * for (let message; (message = yield* subscription.receive()) !== undefined; ) console.log(message);
 * ```
 */
export class Subscription<M> extends BaseSubscription<M> {
  /** @internal */
  readonly scheduler: Scheduler;
  /** How many messages have been dropped because it was too slow. */
  dropped = 0;
  /** More has been missed than the topic has kept: what was asked for with `after` is not known to it, or not kept any more. */
  readonly missed: boolean;
  /** The id of the message that was received last; empty before. */
  lastId = '';
  #receiver: Thread<unknown> | undefined;
  /** Those that are closed when the same thread is over. */
  #others: Set<Closable> | undefined;
  #failure: ThreadError | undefined;

  /** @internal */
  constructor(topic: SubscribedTopic, scheduler: Scheduler, missed: boolean, backlog: Published<M>[]) {
    super(topic, backlog);
    this.scheduler = scheduler;
    this.missed = missed;
  }

  /**
   * Parks until there is a message. One thread at a time.
   * @returns it; `undefined` when the subscription or its topic is closed and nothing waits any more
   * @throws {ThreadError} `ERR_TOO_SLOW` after the topic has disconnected it
   */
  receive(): Task<M | undefined> {
    return new Receiving(this);
  }

  /** The next message, if one waits. May be called from anywhere. @returns `undefined` if none does @throws as `receive` */
  tryReceive(): M | undefined {
    if (this.#failure !== undefined) throw this.#failure;
    const message = this.shift();
    if (message !== undefined) this.lastId = message.id;
    return message?.value;
  }

  /** @internal Nothing comes any more. */
  get isOver(): boolean {
    return this.waiting === 0 && (this.closed || this.topic.closed);
  }

  override close(): void {
    super.close();
    this.#others?.delete(this);
    this.wake();
  }

  /** @internal It is closed when that thread is over. A thread may have very many, one after the other. */
  closeWith(thread: Thread<unknown>): void {
    let others = open.get(thread);
    if (others === undefined) {
      const all = new Set<Closable>();
      thread.whenOver(() => {
        for (const subscription of all) subscription.close();
      });
      open.set(thread, all);
      others = all;
    }
    others.add(this);
    this.#others = others;
  }

  /** @internal @returns false if another thread waits */
  enter(thread: Thread<unknown>): boolean {
    if (this.#receiver !== undefined && this.#receiver !== thread) return false;
    this.#receiver = thread;
    return true;
  }

  /** @internal */
  leave(): void {
    this.#receiver = undefined;
  }

  protected accept(): boolean {
    return false;
  }

  protected wake(): void {
    const receiver = this.#receiver;
    if (receiver !== undefined) receiver.scheduler.resume(receiver);
  }

  protected countDropped(): void {
    this.dropped++;
  }

  protected disconnect(reason: ThreadError): void {
    this.#failure = reason;
    this.wake();
  }

  /** @internal */
  topicClosed(): void {
    this.wake();
  }
}

/** `receive` */
class Receiving<M> extends WaitingTask<M | undefined> {
  readonly #subscription: Subscription<M>;
  #stage: 'new' | 'parked' | 'over' = 'new';

  constructor(subscription: Subscription<M>) {
    super();
    this.#subscription = subscription;
  }

  next(): IteratorResult<Wait, M | undefined> {
    if (this.#stage === 'over') return { done: true, value: undefined };
    const subscription = this.#subscription;
    const thread = runningThread('Subscription.receive');
    if (!subscription.enter(thread))
      throw new ThreadError('ERR_BUSY', 'Subscription.receive: another thread is receiving already; only one can');
    this.#stage = 'parked';
    const { isOver } = subscription;
    let value: M | undefined;
    try {
      value = subscription.tryReceive();
      if (value === undefined && !isOver) return parked.channel;
    } catch (error) {
      this.leave();
      throw error;
    }
    this.leave();
    return { done: true, value };
  }

  protected leave(): void {
    if (this.#stage === 'parked') this.#subscription.leave();
    this.#stage = 'over';
  }
}

/** What messages are piped to, without a thread that is resumed for each: an event stream, a WebSocket. `F` is a message as its wire format frames it. */
export interface Follower<F> {
  readonly format: WireFormat<F>;
  readonly scheduler: Scheduler;
  /**
   * Queues a message as output, if there is room. One whose client is gone takes it and does nothing: its subscription is about to be closed. Must not
   * throw, and may be called outside of turns and threads.
   * @returns false if there is no room, or if output of another kind comes first
   */
  put(frame: F): boolean;
  /** Messages wait now: it calls `flush`, or `next`, when there is room. Called once, until none waits. */
  wait(): void;
  /** It was too slow, and its subscription is closed. */
  disconnect(reason: ThreadError): void;
  /** The topic is closed: nothing comes but what waits. */
  topicClosed(): void;
}

export class FollowerSubscription<M, F> extends BaseSubscription<M> {
  readonly #follower: Follower<F>;

  constructor(topic: SubscribedTopic, follower: Follower<F>, backlog: Published<M>[]) {
    super(topic, backlog);
    this.#follower = follower;
  }

  get scheduler(): Scheduler {
    return this.#follower.scheduler;
  }

  /** The topic is closed, and nothing waits. */
  get isOver(): boolean {
    return this.topic.closed && this.waiting === 0;
  }

  get format(): WireFormat<F> {
    return this.#follower.format;
  }

  /** Takes the oldest message that waits. @throws {TypeError} if its content does not suit the format */
  next(): F | undefined {
    return this.shift()?.in(this.format);
  }

  /** Gives the follower what waits, as far as it has room. @returns whether nothing waits any more @throws as `next` */
  flush(): boolean {
    for (let message = this.first; message !== undefined; message = this.first) {
      if (!this.#follower.put(message.in(this.format))) return false;
      this.shift();
    }
    return true;
  }

  protected accept(message: Published<M>): boolean {
    const { format } = this;
    // One that does not suit waits: its follower gets the error from `next`, and neither the publisher nor other followers do.
    return message.suits(format) && this.#follower.put(message.in(format));
  }

  protected wake(): void {
    this.#follower.wait();
  }

  protected countDropped(): void {}

  protected disconnect(reason: ThreadError): void {
    this.#follower.disconnect(reason);
  }

  topicClosed(): void {
    this.#follower.topicClosed();
  }
}
