// What a thread runs (a task) and what it parks on (a wait). Everything in this folder, and every primitive of the
// connection, is written in these two types.

import { propertyOf, show } from '../util/inspect.js';
import { ThreadError, UnwindSignal } from './errors.js';

/** What a parked thread waits for. */
export type WaitKind = 'dry' | 'flooded' | 'timer' | 'promise' | 'channel' | 'join';

/**
 * What a primitive answers with to park its thread, in one of the frozen results of `parked`, so parking allocates nothing. The
 * primitive has already arranged to be resumed; the scheduler only records the kind. A generator never yields one itself: it uses `yield*`
 * on a primitive, which answers the probe of frames.ts.
 */
export class Wait {
  readonly kind: WaitKind | 'context';
  /** Stands for the kind, from 1 on: what a parked thread keeps of it. */
  readonly number: number;
  /** Only a wait has this field, and looking whether a value has it cannot throw, as `instanceof` can for a Proxy. */
  readonly #isWait = true;
  static readonly #kinds: (WaitKind | undefined)[] = [undefined];

  private constructor(kind: WaitKind | 'context') {
    this.kind = kind;
    this.number = kind === 'context' ? 0 : Wait.#kinds.push(kind) - 1;
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
  /** @internal Yielded when the thread's async context has been replaced: the thread continues at once, in the new one. It never parks on this. */
  static readonly context = new Wait('context');
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

/** True for what a generator function returns, and for nothing else that a handler may sensibly return. Never throws. */
export function isTask(value: unknown): value is Task<unknown> {
  return (
    typeof value === 'object' &&
    typeof propertyOf(value, 'next') === 'function' &&
    typeof propertyOf(value, Symbol.iterator) === 'function'
  );
}

/**
 * What a function that should have been a generator function has returned. Of an async function it is a promise, whose failure is dropped: the error that
 * this throws stands for it, and an unhandled rejection would end the process.
 * @param what the beginning of the message: `listen: the handler returned`
 * @throws {TypeError} if it is not a task
 */
export function checkedTask(what: string, value: unknown): Task<unknown> {
  if (isTask(value)) return value;
  if (isThenable(value)) Promise.resolve(value).catch(() => {});
  throw new TypeError(`${what} ${show(value)}; expected a generator function`);
}

/** For messages about a task that was taken for its result. */
export const taskNotRun = 'a task that has not run: write yield* before it, in a generator function';

/** True for promises, and for what `await` takes for one. Never throws. */
export function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof propertyOf(value, 'then') === 'function';
}

/** What frames.ts throws into a chain of generators to find them. An exception only to what is not suspended in `yield*` on a task. */
export const probe = new UnwindSignal('a thread', 'its frames were looked for');

/** The answer of a primitive to the probe. Its value is none of the waits (hence the cast), so that it differs from a real one. */
export const probed: IteratorResult<Wait, never> = Object.freeze({ done: false, value: probe as never });

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
    return { done: true, value: undefined as T }; // the result of an unwound task is not used
  }

  throw(error: unknown): IteratorResult<Wait, T> {
    if (error === probe) return probed;
    this.leave();
    throw error;
  }

  /**
   * `await` calls this. Without it `await sleep(5)` would do nothing, and say nothing. Tasks that are generators have no such method, as
   * every generator of the process would have it.
   */
  then(_resolve: unknown, reject: (error: unknown) => void): void {
    reject(
      new ThreadError(
        'ERR_AWAITED',
        'await cannot run a task: write yield* before it, in a generator function, or give it to run(), which returns a promise. (In a generator function, yield* until(promise) waits for a promise.)',
      ),
    );
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
  promise: Object.freeze({ done: false, value: Wait.promise }),
  channel: Object.freeze({ done: false, value: Wait.channel }),
  join: Object.freeze({ done: false, value: Wait.join }),
} as const;

/** Parks for as long as a condition does not hold. Whatever makes it hold resumes the thread. */
export function waitUntil(isMet: () => boolean, park: IteratorResult<Wait, never>): Task<void> {
  return new Condition(isMet, park);
}

class Condition extends WaitingTask<void> {
  readonly #isMet: () => boolean;
  readonly #park: IteratorResult<Wait, never>;

  constructor(isMet: () => boolean, park: IteratorResult<Wait, never>) {
    super();
    this.#isMet = isMet;
    this.#park = park;
  }

  next(): IteratorResult<Wait, void> {
    return this.#isMet() ? { done: true, value: undefined } : this.#park;
  }

  protected leave(): void {}
}
