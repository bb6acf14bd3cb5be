// A bounded queue between threads.

import { ThreadError } from './errors.js';
import { type Task, Wait } from './task.js';
import { runningThread, type Thread } from './thread.js';

/**
 * A bounded queue between threads. A sender parks while it is full, a receiver while it is empty. Values come out in the
 * order in which they went in; each is received once.
 *
 * ```ts
 * const inbox = new Channel<string>(16);
 * for (let message; (message = yield* inbox.receive()) !== undefined; ) yield* out.write(message);
 * ```
 */
export class Channel<T extends NonNullable<unknown> | null> {
  /** How many values it holds at most. */
  readonly capacity: number;
  readonly #values: T[] = [];
  #closed = false;
  readonly #senders = new Parked();
  readonly #receivers = new Parked();

  /** @throws {ThreadError} `ERR_RANGE` if the capacity is no whole number of 1 or more */
  constructor(capacity: number) {
    if (!Number.isInteger(capacity) || capacity < 1) {
      throw new ThreadError('ERR_RANGE', `Channel: capacity is ${capacity}; expected a whole number of 1 or more`);
    }
    this.capacity = capacity;
  }

  /** Values waiting to be received. */
  get length(): number {
    return this.#values.length;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Parks while the channel is full, then puts the value in. @throws {ThreadError} `ERR_CHANNEL_CLOSED` */
  *send(value: T): Task<void> {
    while (!this.trySend(value)) yield* this.#senders.park('Channel.send');
  }

  /**
   * Puts the value in if there is room. May be called from anywhere, also outside threads.
   * @returns whether there was room
   * @throws {ThreadError} `ERR_CHANNEL_CLOSED`, or `ERR_VALUE` for `undefined`, which says that a channel has ended
   */
  trySend(value: T): boolean {
    if (value === undefined) {
      throw new ThreadError(
        'ERR_VALUE',
        'Channel: undefined cannot be sent; it tells a receiver that the channel is closed',
      );
    }
    if (this.#closed) throw new ThreadError('ERR_CHANNEL_CLOSED', 'Channel: it is closed; nothing can be sent');
    if (this.#values.length >= this.capacity) return false;
    this.#values.push(value);
    this.#receivers.wakeOne();
    return true;
  }

  /** Parks while the channel is empty. @returns the oldest value, or `undefined` when the channel is closed and empty */
  *receive(): Task<T | undefined> {
    while (this.#values.length === 0 && !this.#closed) yield* this.#receivers.park('Channel.receive');
    return this.tryReceive();
  }

  /** @returns the oldest value, or `undefined` when there is none */
  tryReceive(): T | undefined {
    const value = this.#values.shift();
    if (value !== undefined) this.#senders.wakeOne();
    return value;
  }

  /** Nothing can be sent from now on; what is in the channel can still be received. Parked senders get `ERR_CHANNEL_CLOSED`. */
  close(): void {
    this.#closed = true;
    this.#senders.wakeAll();
    this.#receivers.wakeAll();
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
  #permits: number;
  readonly #waiting = new Parked();

  /** @throws {ThreadError} `ERR_RANGE` if the number of permits is no whole number of 1 or more */
  constructor(permits: number) {
    if (!Number.isInteger(permits) || permits < 1) {
      throw new ThreadError('ERR_RANGE', `Semaphore: permits is ${permits}; expected a whole number of 1 or more`);
    }
    this.#permits = permits;
  }

  /** Permits that nobody holds. */
  get available(): number {
    return this.#permits;
  }

  /** Parks until a permit is free, and takes it. Whoever took it must `release` it. */
  *acquire(): Task<void> {
    // Who comes while others wait goes behind them, even if a permit is free: it is meant for the first of them.
    if (this.#permits === 0 || this.#waiting.size > 0) {
      do yield* this.#waiting.park('Semaphore.acquire');
      while (this.#permits === 0);
    }
    this.#permits--;
    if (this.#permits > 0) this.#waiting.wakeOne();
  }

  /** Gives a permit back. */
  release(): void {
    this.#permits++;
    this.#waiting.wakeOne();
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

/** Threads parked on one condition, in order. A wake-up is a hint to look again; it is passed on if its receiver is unwound. */
class Parked {
  readonly #threads = new Set<Thread<unknown>>();
  /** Threads that have been woken and have not run yet. */
  readonly #woken = new Set<Thread<unknown>>();

  get size(): number {
    return this.#threads.size + this.#woken.size;
  }

  *park(what: string): Task<void> {
    const thread = runningThread(what);
    this.#threads.add(thread);
    let resumed = false;
    try {
      yield Wait.channel;
      resumed = true;
    } finally {
      this.#threads.delete(thread);
      if (this.#woken.delete(thread) && !resumed) this.wakeOne();
    }
  }

  wakeOne(): void {
    for (const thread of this.#threads) {
      this.#threads.delete(thread);
      this.#woken.add(thread);
      thread.scheduler.resume(thread);
      return;
    }
  }

  wakeAll(): void {
    const { size } = this.#threads;
    for (let i = 0; i < size; i++) this.wakeOne();
  }
}
