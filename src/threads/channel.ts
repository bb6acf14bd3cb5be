// Threads that wait for one another: a bounded queue of values, and a bound on how many threads do something at once.

import { show } from '../util/inspect.js';
import { ThreadError } from './errors.js';
import { parked, type Task, type Wait, WaitingTask } from './task.js';
import { runningThread, type Thread } from './thread.js';

/** Below this many empty places it is not worth moving the values of a channel to the front of their array. */
const fewPlaces = 32;

/**
 * A bounded queue between threads. A sender parks while it is full, a receiver while it is empty. Values come out in the
 * order in which they went in; each is received once. Senders go in the order in which they came, and so do receivers.
 *
 * ```ts
 * const inbox = new Channel<string>(16);
 * for (let message; (message = yield* inbox.receive()) !== undefined; ) yield* out.write(message);
 * ```
 */
export class Channel<T extends NonNullable<unknown> | null> {
  /** How many values it holds at most. */
  readonly capacity: number;
  /** The value that it holds, if it is one; a queue as long as it holds more, and until that is empty. */
  #held: T | Queue<T> | undefined;
  #closed = false;
  /** @internal The first of those who are parked in `send`. */
  firstSender: Waiter<unknown> | undefined;
  /** @internal The first of those who are parked in `receive`. */
  firstReceiver: Waiter<unknown> | undefined;

  /** @throws {ThreadError} `ERR_RANGE` if the capacity is no whole number of 1 or more */
  constructor(capacity: number) {
    if (!Number.isInteger(capacity) || capacity < 1) {
      throw new ThreadError(
        'ERR_RANGE',
        `Channel: capacity is ${show(capacity)}; expected a whole number of 1 or more`,
      );
    }
    this.capacity = capacity;
  }

  /** Values waiting to be received. */
  get length(): number {
    if (this.#held instanceof Queue) return this.#held.length;
    return this.#held === undefined ? 0 : 1;
  }

  /** Whether `close` has been called. What is in the channel can still be received. */
  get closed(): boolean {
    return this.#closed;
  }

  /**
   * Parks while the channel is full, then puts the value in.
   * @throws {ThreadError} `ERR_CHANNEL_CLOSED`, also if it is closed while the thread is parked; `ERR_VALUE` for `undefined`
   */
  send(value: T): Task<void> {
    return new Sending(this, value);
  }

  /**
   * Puts the value in if there is room, ahead of threads that are parked in `send`. May be called from anywhere, also
   * outside threads.
   * @returns whether there was room
   * @throws {ThreadError} `ERR_CHANNEL_CLOSED`, or `ERR_VALUE` for `undefined`, which says that a channel has ended
   */
  trySend(value: T): boolean {
    this.check(value);
    const held = this.#held;
    if (held === undefined) {
      this.#held = value;
    } else if (held instanceof Queue) {
      if (held.length >= this.capacity) return false;
      held.push(value);
    } else {
      if (this.capacity === 1) return false;
      this.#held = new Queue(held, value);
    }
    this.firstReceiver?.advance();
    return true;
  }

  /** Parks while the channel is empty. @returns the oldest value, or `undefined` when the channel is closed and empty */
  receive(): Task<T | undefined> {
    return new Receiving(this);
  }

  /**
   * Takes the oldest value, ahead of threads that are parked in `receive`. May be called from anywhere, also outside threads.
   * @returns it, or `undefined` when there is none
   */
  tryReceive(): T | undefined {
    const held = this.#held;
    if (held === undefined) return undefined;
    if (!(held instanceof Queue)) {
      this.#held = undefined;
      this.firstSender?.advance();
      return held;
    }
    const value = held.shift();
    if (held.length === 0) this.#held = undefined;
    this.firstSender?.advance();
    return value;
  }

  /** @internal Whether a sender may continue: also when the channel is closed, to get its error. */
  get mayBeSentTo(): boolean {
    return this.#closed || this.length < this.capacity;
  }

  /** @internal Whether a receiver may continue: also when the channel is closed, to get `undefined`. */
  get mayBeReceivedFrom(): boolean {
    return this.#closed || this.#held !== undefined;
  }

  /** Nothing can be sent from now on; what is in the channel can still be received. Parked senders get `ERR_CHANNEL_CLOSED`. */
  close(): void {
    this.#closed = true;
    this.firstSender?.advance();
    this.firstReceiver?.advance();
  }

  /** @internal @throws {ThreadError} if that cannot be sent */
  check(value: T): void {
    if (value === undefined) {
      throw new ThreadError(
        'ERR_VALUE',
        'Channel: undefined cannot be sent; a receiver gets it when the channel is closed',
      );
    }
    if (this.#closed) throw new ThreadError('ERR_CHANNEL_CLOSED', 'Channel: it is closed; nothing can be sent');
  }
}

/**
 * Bounds how many threads do something at once. Permits go to waiting threads in the order in which they came.
 *
 * ```ts
 * const four = new Semaphore(4);
 * const rows = yield* four.use(query());
 * ```
 */
export class Semaphore {
  readonly #permits: number;
  #available: number;
  /** @internal The first of those who are parked in `acquire`. */
  firstWaiting: Waiter<unknown> | undefined;

  /** @throws {ThreadError} `ERR_RANGE` if the number of permits is no whole number of 1 or more */
  constructor(permits: number) {
    if (!Number.isInteger(permits) || permits < 1) {
      throw new ThreadError(
        'ERR_RANGE',
        `Semaphore: permits is ${show(permits)}; expected a whole number of 1 or more`,
      );
    }
    this.#permits = permits;
    this.#available = permits;
  }

  /** The number of permits that are free. */
  get available(): number {
    return this.#available;
  }

  /** Parks until a permit is free, and takes it. The caller must `release` it. */
  acquire(): Task<void> {
    return new Acquiring(this);
  }

  /** @internal Takes a permit that is free. */
  take(): void {
    this.#available--;
  }

  /** Gives a permit back. @throws {ThreadError} `ERR_RANGE` if all are free */
  release(): void {
    if (this.#available === this.#permits) {
      throw new ThreadError('ERR_RANGE', `Semaphore: release was called with all ${this.#permits} permits given back`);
    }
    this.#available++;
    this.firstWaiting?.advance();
  }

  /** Runs a task while holding a permit. */
  *use<T>(task: Task<T>): Task<T> {
    yield* this.acquire();
    try {
      return yield* task;
    } finally {
      this.release();
    }
  }
}

/** Values of a channel, the oldest first. */
class Queue<T> {
  /** The values, from `#head` on; the places before have been emptied. (`shift` moves every value of a long array.) */
  readonly #values: (T | undefined)[];
  #head = 0;

  constructor(first: T, second: T) {
    this.#values = [first, second];
  }

  get length(): number {
    return this.#values.length - this.#head;
  }

  push(value: T): void {
    this.#values.push(value);
  }

  shift(): T | undefined {
    const value = this.#values[this.#head];
    this.#values[this.#head++] = undefined;
    if (this.#head >= fewPlaces && this.#head * 2 >= this.#values.length) {
      this.#values.splice(0, this.#head);
      this.#head = 0;
    }
    return value;
  }
}

/**
 * A thread's place in a line, and the task that waits there.
 *
 * A line is the threads that are parked for the same thing, in the order in which they came. Only the first may continue, and it then calls
 * `advance` for the next: so no thread is overtaken, one event wakes one thread, and a wake-up cannot be lost with the thread
 * that got it. A channel or semaphore holds the first place of its line, and places hold one another, in a ring: so a line in
 * which no thread waits takes no memory.
 */
abstract class Waiter<T> extends WaitingTask<T> {
  /** The thread that waits here; undefined until one does. */
  #waiting: Thread<unknown> | 'over' | undefined;
  /** The place before, and for the first the last; undefined outside the line. */
  #previous: Waiter<unknown> | undefined;
  /** The place behind, and for the last the first; undefined outside the line. */
  #next: Waiter<unknown> | undefined;

  /** Its name, for the error of a call outside threads. */
  protected abstract readonly primitive: string;
  /** The first place of the line that this one belongs to. */
  protected abstract get first(): Waiter<unknown> | undefined;
  protected abstract set first(place: Waiter<unknown> | undefined);
  /** Whether there is something for this one. */
  protected abstract readonly isReady: boolean;
  /** Takes it. */
  protected abstract complete(): T;
  /** Before anything else: @throws if what is asked for is impossible */
  protected check(): void {}

  /** The thread that waits here, if one does. */
  protected get thread(): Thread<unknown> | undefined {
    return this.#waiting === 'over' ? undefined : this.#waiting;
  }

  next(): IteratorResult<Wait, T> {
    if (this.#waiting === 'over') return { done: true, value: undefined as T }; // the result has been given already
    if (this.#waiting === undefined) {
      this.check();
      this.dropCancelled();
      if (this.first !== undefined || !this.isReady) {
        this.#waiting = runningThread(this.primitive);
        this.enterLine();
        return parked.channel;
      }
    } else {
      if (this.first !== this || !this.isReady) return parked.channel;
      this.leaveLine();
    }
    this.#waiting = 'over';
    try {
      return { done: true, value: this.complete() };
    } finally {
      this.first?.advance();
    }
  }

  /** What it may have been woken for is for the next. */
  protected leave(): void {
    if (this.#waiting === 'over') return;
    const hasWaited = this.#waiting !== undefined;
    this.#waiting = 'over';
    if (!hasWaited) return;
    this.leaveLine();
    this.first?.advance();
  }

  /** To be called of the first of a line: wakes it if there is something for it. */
  advance(): void {
    if (!this.isReady) return;
    this.dropCancelled();
    const thread = this.first?.thread;
    thread?.scheduler.resume(thread);
  }

  /**
   * Takes those from the front of the line who are being unwound and will not come back from here: their children come first, which
   * may take a while.
   */
  protected dropCancelled(): void {
    for (let place = this.first; place !== undefined; place = this.first) {
      const state = place.thread?.state;
      if (state !== 'closing' && state !== 'over') return;
      place.leaveLine();
    }
  }

  protected enterLine(): void {
    const first = this.first ?? this;
    const last = first.#previous ?? this;
    this.#previous = last;
    this.#next = first;
    last.#next = this;
    first.#previous = this;
    this.first = first;
  }

  protected leaveLine(): void {
    const before = this.#previous;
    const behind = this.#next;
    if (before === undefined || behind === undefined) return;
    if (this.first === this) this.first = behind === this ? undefined : behind;
    before.#next = behind;
    behind.#previous = before;
    this.#previous = undefined;
    this.#next = undefined;
  }
}

class Sending<T extends NonNullable<unknown> | null> extends Waiter<void> {
  readonly #channel: Channel<T>;
  readonly #value: T;

  constructor(channel: Channel<T>, value: T) {
    super();
    this.#channel = channel;
    this.#value = value;
  }

  protected get primitive(): string {
    return 'Channel.send';
  }

  protected get first(): Waiter<unknown> | undefined {
    return this.#channel.firstSender;
  }

  protected set first(place: Waiter<unknown> | undefined) {
    this.#channel.firstSender = place;
  }

  protected get isReady(): boolean {
    return this.#channel.mayBeSentTo;
  }

  protected override check(): void {
    this.#channel.check(this.#value);
  }

  protected complete(): void {
    this.#channel.trySend(this.#value);
  }
}

class Receiving<T extends NonNullable<unknown> | null> extends Waiter<T | undefined> {
  readonly #channel: Channel<T>;

  constructor(channel: Channel<T>) {
    super();
    this.#channel = channel;
  }

  protected get primitive(): string {
    return 'Channel.receive';
  }

  protected get first(): Waiter<unknown> | undefined {
    return this.#channel.firstReceiver;
  }

  protected set first(place: Waiter<unknown> | undefined) {
    this.#channel.firstReceiver = place;
  }

  protected get isReady(): boolean {
    return this.#channel.mayBeReceivedFrom;
  }

  protected complete(): T | undefined {
    return this.#channel.tryReceive();
  }
}

class Acquiring extends Waiter<void> {
  readonly #semaphore: Semaphore;

  constructor(semaphore: Semaphore) {
    super();
    this.#semaphore = semaphore;
  }

  protected get primitive(): string {
    return 'Semaphore.acquire';
  }

  protected get first(): Waiter<unknown> | undefined {
    return this.#semaphore.firstWaiting;
  }

  protected set first(place: Waiter<unknown> | undefined) {
    this.#semaphore.firstWaiting = place;
  }

  protected get isReady(): boolean {
    return this.#semaphore.available > 0;
  }

  protected complete(): void {
    this.#semaphore.take();
  }
}
