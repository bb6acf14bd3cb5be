// Threads that wait for one another: a bounded queue of values, and a bound on how many threads do something at once.

import { ThreadError } from './errors.js';
import { type Task, Wait } from './task.js';
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
  readonly #senders = new Line(() => this.#closed || this.length < this.capacity);
  readonly #receivers = new Line(() => this.#closed || this.length > 0);

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
  *send(value: T): Task<void> {
    this.#check(value);
    if (!this.#senders.clear) yield* this.#senders.stand('Channel.send');
    try {
      this.trySend(value);
    } finally {
      this.#senders.advance();
    }
  }

  /**
   * Puts the value in if there is room, and goes before those who are parked in `send`. May be called from anywhere, also
   * outside threads.
   * @returns whether there was room
   * @throws {ThreadError} `ERR_CHANNEL_CLOSED`, or `ERR_VALUE` for `undefined`, which says that a channel has ended
   */
  trySend(value: T): boolean {
    this.#check(value);
    if (this.length >= this.capacity) return false;
    this.#values.push(value);
    this.#receivers.advance();
    return true;
  }

  /** Parks while the channel is empty. @returns the oldest value, or `undefined` when the channel is closed and empty */
  *receive(): Task<T | undefined> {
    if (!this.#receivers.clear) yield* this.#receivers.stand('Channel.receive');
    const value = this.tryReceive();
    this.#receivers.advance();
    return value;
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
    this.#senders.advance();
    return value;
  }

  /** Nothing can be sent from now on; what is in the channel can still be received. Parked senders get `ERR_CHANNEL_CLOSED`. */
  close(): void {
    this.#closed = true;
    this.#senders.advance();
    this.#receivers.advance();
  }

  #check(value: T): void {
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
  readonly #waiting = new Line(() => this.#available > 0);

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
  *acquire(): Task<void> {
    if (!this.#waiting.clear) yield* this.#waiting.stand('Semaphore.acquire');
    this.#available--;
    this.#waiting.advance();
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

/** A thread's place in a line. */
interface Place {
  readonly thread: Thread<unknown>;
  inLine: boolean;
  before: Place | undefined;
  behind: Place | undefined;
}

/**
 * Threads parked for the same thing, in the order in which they came. Only the first may go, and whoever has gone calls
 * `advance` for the next: so nobody is overtaken, one event wakes one thread, and a wake-up cannot be lost with the thread
 * that got it.
 */
class Line {
  /** Whether there is something for the first. */
  readonly #open: () => boolean;
  #first: Place | undefined;
  #last: Place | undefined;

  constructor(open: () => boolean) {
    this.#open = open;
  }

  /** Whoever comes now may go at once: there is something, and nobody waits for it. */
  get clear(): boolean {
    this.#dropLeaving();
    return this.#first === undefined && this.#open();
  }

  /** Parks until this thread is the first and there is something for it, which it must take before it parks again. */
  *stand(primitive: string): Task<void> {
    const place: Place = { thread: runningThread(primitive), inLine: true, before: this.#last, behind: undefined };
    if (this.#last === undefined) this.#first = place;
    else this.#last.behind = place;
    this.#last = place;
    let goes = false;
    try {
      do yield Wait.channel;
      while (this.#first !== place || !this.#open());
      goes = true;
    } finally {
      this.#remove(place);
      if (!goes) this.advance(); // it is unwound: what it may have been woken for is for the next
    }
  }

  /** Wakes the first if there is something for it. */
  advance(): void {
    if (this.#first === undefined || !this.#open()) return;
    this.#dropLeaving();
    const thread = this.#first?.thread;
    thread?.scheduler.resume(thread);
  }

  /** Takes those from the front who are being unwound and will not come back from here: their children come first, which may take a while. */
  #dropLeaving(): void {
    for (let place = this.#first; place !== undefined; place = place.behind) {
      if (place.thread.state !== 'closing' && place.thread.state !== 'over') return;
      this.#remove(place);
    }
  }

  #remove(place: Place): void {
    if (!place.inLine) return;
    place.inLine = false;
    if (place.before === undefined) this.#first = place.behind;
    else place.before.behind = place.behind;
    if (place.behind === undefined) this.#last = place.before;
    else place.behind.before = place.before;
  }
}
