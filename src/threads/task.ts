// What a thread runs (a task) and what it parks on (a wait). Everything in this folder, and every primitive of the
// connection, is written in these two types.

/** What a parked thread waits for. */
export type WaitKind = 'dry' | 'flooded' | 'timer' | 'promise' | 'channel' | 'join';

/**
 * The value that a primitive yields to park its thread. There is one frozen instance for each kind, so parking allocates
 * nothing. The primitive that yields it has already arranged to be resumed; the scheduler only records the kind.
 */
export class Wait {
  readonly kind: WaitKind;
  /** Stands for the kind, from 1 on: what a parked thread keeps of it. */
  readonly number: number;
  /** Only a wait has this field, and looking whether a value has it cannot throw, as `instanceof` can for a Proxy. */
  readonly #isWait = true;
  static readonly #kinds: (WaitKind | undefined)[] = [undefined];

  private constructor(kind: WaitKind) {
    this.kind = kind;
    this.number = Wait.#kinds.push(kind) - 1;
  }

  /** Whether a value, of any kind, is a wait. Never throws. */
  static is(value: unknown): value is Wait {
    return typeof value === 'object' && value !== null && #isWait in value && value.#isWait;
  }

  /** @returns the kind that the number stands for; `undefined` for 0 */
  static kindOf(number: number): WaitKind | undefined {
    return Wait.#kinds[number];
  }

  /** Waiting for bytes from the peer. */
  static readonly dry = new Wait('dry');
  /** Waiting for the peer to take bytes. */
  static readonly flooded = new Wait('flooded');
  /** Waiting for a point in time. */
  static readonly timer = new Wait('timer');
  /** Waiting for a promise to settle. */
  static readonly promise = new Wait('promise');
  /** Waiting for another thread through a `Channel` or a `Semaphore`. */
  static readonly channel = new Wait('channel');
  /** Waiting for another thread to be over. */
  static readonly join = new Wait('join');
}

/**
 * A computation that may park: what a generator function returns. It is evaluated by `yield*` inside another task, or by
 * a thread of its own with `spawn` or `run`.
 *
 * ```ts
 * function* twice(ms: number): Task<string> {
 *   yield* sleep(ms);
 *   yield* sleep(ms);
 *   return 'done';
 * }
 * ```
 */
export interface Task<T> {
  [Symbol.iterator](): Iterator<Wait, T, void>;
}

/** True for what a generator function returns, and for nothing else that a handler may sensibly return. */
export function isTask(value: unknown): value is Task<unknown> {
  return (
    typeof value === 'object' &&
    value !== null &&
    Symbol.iterator in value &&
    'next' in value &&
    typeof value.next === 'function'
  );
}

/**
 * A task that parks on one thing, written by hand: it takes much less memory than a generator, and threads wait by the hundred
 * thousand.
 */
export abstract class WaitingTask<T> implements Task<T>, Iterator<Wait, T, void> {
  /** Parks, with `parked`, or is done. Called again whenever the thread is resumed. */
  abstract next(): IteratorResult<Wait, T>;
  /** It is not waited for any more: the thread is unwound. */
  protected abstract leave(): void;

  [Symbol.iterator](): this {
    return this;
  }

  return(): IteratorResult<Wait, T> {
    this.leave();
    return { done: true, value: undefined as T }; // nobody looks at what an unwound task returns
  }

  throw(error: unknown): never {
    this.leave();
    throw error;
  }

  get [Symbol.toStringTag](): string {
    return 'Task';
  }
}

/** What `next` of a `WaitingTask` answers with to park: one frozen object for each kind. */
export const parked = {
  dry: Object.freeze({ done: false, value: Wait.dry }),
  flooded: Object.freeze({ done: false, value: Wait.flooded }),
  timer: Object.freeze({ done: false, value: Wait.timer }),
  channel: Object.freeze({ done: false, value: Wait.channel }),
} as const;
