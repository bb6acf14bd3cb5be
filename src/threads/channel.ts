// Threads that wait for one another: a bounded queue of values, and a bound on how many threads do something at once.

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
  /** Its values, from `#head` on; the places before have been emptied. (`shift` moves every value of a long array.) */
  readonly #values: (T | undefined)[] = [];
  #head = 0;
  #closed = false;
  // Made when they are first asked for: most channels are received from by threads, and sent to by trySend.
  #senders: Line | undefined;
  #receivers: Line | undefined;

  /** @throws {ThreadError} `ERR_RANGE` if the capacity is no whole number of 1 or more */
  constructor(capacity: number) {
    if (!Number.isInteger(capacity) || capacity < 1) {
      throw new ThreadError('ERR_RANGE', `Channel: capacity is ${capacity}; expected a whole number of 1 or more`);
    }
    this.capacity = capacity;
  }

  /** Values waiting to be received. */
  get length(): number {
    return this.#values.length - this.#head;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /**
   * Parks while the channel is full, then puts the value in.
   * @throws {ThreadError} `ERR_CHANNEL_CLOSED`, also if it is closed while the thread is parked; `ERR_VALUE` for `undefined`
   */
  send(value: T): Task<void> {
    this.#senders ??= new Line();
    return new Sending(this, this.#senders, value);
  }

  /**
   * Puts the value in if there is room, and goes before those who are parked in `send`. May be called from anywhere, also
   * outside threads.
   * @returns whether there was room
   * @throws {ThreadError} `ERR_CHANNEL_CLOSED`, or `ERR_VALUE` for `undefined`, which says that a channel has ended
   */
  trySend(value: T): boolean {
    this.check(value);
    if (this.length >= this.capacity) return false;
    this.#values.push(value);
    this.#receivers?.advance();
    return true;
  }

  /** Parks while the channel is empty. @returns the oldest value, or `undefined` when the channel is closed and empty */
  receive(): Task<T | undefined> {
    this.#receivers ??= new Line();
    return new Receiving(this, this.#receivers);
  }

  /**
   * Takes the oldest value, and goes before those who are parked in `receive`. May be called from anywhere, also outside threads.
   * @returns it, or `undefined` when there is none
   */
  tryReceive(): T | undefined {
    if (this.length === 0) return undefined;
    const value = this.#values[this.#head];
    this.#values[this.#head++] = undefined;
    if (this.#head === this.#values.length || (this.#head >= fewPlaces && this.#head * 2 >= this.#values.length)) {
      this.#values.splice(0, this.#head);
      this.#head = 0;
    }
    this.#senders?.advance();
    return value;
  }

  /** @internal Whether a sender may go: also when the channel is closed, to be told so. */
  get mayBeSentTo(): boolean {
    return this.#closed || this.length < this.capacity;
  }

  /** @internal Whether a receiver may go: also when the channel is closed, to be told so. */
  get mayBeReceivedFrom(): boolean {
    return this.#closed || this.length > 0;
  }

  /** Nothing can be sent from now on; what is in the channel can still be received. Parked senders get `ERR_CHANNEL_CLOSED`. */
  close(): void {
    this.#closed = true;
    this.#senders?.advance();
    this.#receivers?.advance();
  }

  /** @internal @throws {ThreadError} if that cannot be sent */
  check(value: T): void {
    if (value === undefined) {
      throw new ThreadError(
        'ERR_VALUE',
        'Channel: undefined cannot be sent; it tells a receiver that the channel is closed',
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
  readonly #waiting: Line = new Line();

  /** @throws {ThreadError} `ERR_RANGE` if the number of permits is no whole number of 1 or more */
  constructor(permits: number) {
    if (!Number.isInteger(permits) || permits < 1) {
      throw new ThreadError('ERR_RANGE', `Semaphore: permits is ${permits}; expected a whole number of 1 or more`);
    }
    this.#permits = permits;
    this.#available = permits;
  }

  /** Permits that nobody holds. */
  get available(): number {
    return this.#available;
  }

  /** Parks until a permit is free, and takes it. Whoever took it must `release` it. */
  acquire(): Task<void> {
    return new Acquiring(this, this.#waiting);
  }

  /** @internal Takes a permit that is free. */
  take(): void {
    this.#available--;
  }

  /** Gives a permit back. @throws {ThreadError} `ERR_RANGE` if nobody holds one */
  release(): void {
    if (this.#available === this.#permits) {
      throw new ThreadError('ERR_RANGE', `Semaphore: release was called with all ${this.#permits} permits given back`);
    }
    this.#available++;
    this.#waiting.advance();
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

/**
 * Threads parked for the same thing, in the order in which they came. Only the first may go, and whoever has gone calls
 * `advance` for the next: so nobody is overtaken, one event wakes one thread, and a wake-up cannot be lost with the thread
 * that got it.
 */
class Line {
  #first: Place<unknown> | undefined;
  #last: Place<unknown> | undefined;

  /** Whether whoever comes now may go at once, if there is something for it: nobody waits. */
  get isEmpty(): boolean {
    this.#dropLeaving();
    return this.#first === undefined;
  }

  isFirst(place: Place<unknown>): boolean {
    return this.#first === place;
  }

  join(place: Place<unknown>): void {
    place.before = this.#last;
    if (this.#last === undefined) this.#first = place;
    else this.#last.behind = place;
    this.#last = place;
    place.inLine = true;
  }

  /** Wakes the first if there is something for it. */
  advance(): void {
    if (this.#first === undefined || !this.#first.mayGo) return;
    this.#dropLeaving();
    const thread = this.#first?.thread;
    thread?.scheduler.resume(thread);
  }

  leave(place: Place<unknown>): void {
    if (!place.inLine) return;
    place.inLine = false;
    if (place.before === undefined) this.#first = place.behind;
    else place.before.behind = place.behind;
    if (place.behind === undefined) this.#last = place.before;
    else place.behind.before = place.before;
    place.before = undefined;
    place.behind = undefined;
  }

  /** Takes those from the front who are being unwound and will not come back from here: their children come first, which may take a while. */
  #dropLeaving(): void {
    for (let place = this.#first; place !== undefined; place = this.#first) {
      const state = place.thread?.state;
      if (state !== 'closing' && state !== 'over') return;
      this.leave(place);
    }
  }
}

/** A thread's place in a line, and the task that waits there. */
abstract class Place<T> extends WaitingTask<T> {
  /** Who waits, once somebody does. */
  thread: Thread<unknown> | undefined;
  inLine = false;
  before: Place<unknown> | undefined;
  behind: Place<unknown> | undefined;
  readonly #line: Line;
  #isOver = false;

  constructor(line: Line) {
    super();
    this.#line = line;
  }

  /** For the error of who calls it outside threads. */
  protected abstract readonly primitive: string;
  /** Whether there is something for this one. */
  abstract readonly mayGo: boolean;
  /** Takes it. */
  protected abstract go(): T;
  /** Before anything else: whether what is asked for can be had at all. @throws if it cannot */
  protected check(): void {}

  next(): IteratorResult<Wait, T> {
    const line = this.#line;
    if (this.#isOver) return { done: true, value: undefined as T }; // nobody looks at it twice
    if (this.thread === undefined) {
      this.check();
      if (!line.isEmpty || !this.mayGo) {
        this.thread = runningThread(this.primitive);
        line.join(this);
        return parked.channel;
      }
    } else {
      if (!line.isFirst(this) || !this.mayGo) return parked.channel;
      line.leave(this);
    }
    this.#isOver = true;
    try {
      return { done: true, value: this.go() };
    } finally {
      line.advance();
    }
  }

  /** What it may have been woken for is for the next. */
  protected leave(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    if (this.thread === undefined) return;
    this.#line.leave(this);
    this.#line.advance();
  }
}

class Sending<T extends NonNullable<unknown> | null> extends Place<void> {
  readonly #channel: Channel<T>;
  readonly #value: T;

  constructor(channel: Channel<T>, line: Line, value: T) {
    super(line);
    this.#channel = channel;
    this.#value = value;
  }

  protected get primitive(): string {
    return 'Channel.send';
  }

  get mayGo(): boolean {
    return this.#channel.mayBeSentTo;
  }

  protected override check(): void {
    this.#channel.check(this.#value);
  }

  protected go(): void {
    this.#channel.trySend(this.#value);
  }
}

class Receiving<T extends NonNullable<unknown> | null> extends Place<T | undefined> {
  readonly #channel: Channel<T>;

  constructor(channel: Channel<T>, line: Line) {
    super(line);
    this.#channel = channel;
  }

  protected get primitive(): string {
    return 'Channel.receive';
  }

  get mayGo(): boolean {
    return this.#channel.mayBeReceivedFrom;
  }

  protected go(): T | undefined {
    return this.#channel.tryReceive();
  }
}

class Acquiring extends Place<void> {
  readonly #semaphore: Semaphore;

  constructor(semaphore: Semaphore, line: Line) {
    super(line);
    this.#semaphore = semaphore;
  }

  protected get primitive(): string {
    return 'Semaphore.acquire';
  }

  get mayGo(): boolean {
    return this.#semaphore.available > 0;
  }

  protected go(): void {
    this.#semaphore.take();
  }
}
