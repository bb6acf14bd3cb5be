// A task made of stages, of which one runs at a time and decides what follows. A generator that calls another stays in memory beneath it. Where a
// task waits for long in what it calls, in the handler of a request say, that would be paid for by every thread that waits. So here the
// caller ends first, and goes on with the result in a new generator.

import { isInstance } from '../util/inspect.js';
import { clarified, UnwindSignal } from './errors.js';
import type { Task, Wait } from './task.js';

const over: IteratorResult<Wait, void> = { done: true, value: undefined };

/** What runs: the task's own code, or what that has left its place to; or the thread is being unwound, and nothing follows what runs. */
const Stage = { own: 0, other: 1, last: 2 } as const;
type Stage = (typeof Stage)[keyof typeof Stage];

export abstract class StagedTask implements Task<void>, Iterator<Wait, void, void> {
  #running: Iterator<Wait, unknown, void> | undefined;
  #stage: Stage = Stage.own;

  /** The task's own code from its beginning. @returns what is to run in its place, and then `proceed`; undefined if that was all */
  protected abstract start(): Task<Task<unknown> | undefined>;
  /** Goes on. @param result what has been returned by that which has run in its place @returns as `start` */
  protected abstract proceed(result: unknown): Task<Task<unknown> | undefined>;
  /** What runs, or what it has left its place to, has thrown. @returns what goes on in its place, as `proceed` would; undefined if it is over */
  protected recover(_error: unknown): Task<Task<unknown> | undefined> | undefined {
    return undefined;
  }
  /** It is over. Must not throw. @param failure what was thrown, if something was */
  protected abstract conclude(failure: { error: unknown } | undefined): void;

  [Symbol.iterator](): this {
    return this;
  }

  next(): IteratorResult<Wait, void> {
    return this.advance((running) => running.next());
  }

  return(): IteratorResult<Wait, void> {
    this.#stage = Stage.last;
    return this.advance((running) => running.return?.() ?? over);
  }

  throw(error: unknown): IteratorResult<Wait, void> {
    return this.advance((running) => {
      if (running.throw === undefined) throw error;
      return running.throw(error);
    });
  }

  // Not with `#`: methods that are private so take 8 bytes of each object.
  private advance(
    move: (running: Iterator<Wait, unknown, void>) => IteratorResult<Wait, unknown>,
  ): IteratorResult<Wait, void> {
    try {
      this.#running ??= this.start()[Symbol.iterator]();
      return this.follow(move(this.#running));
    } catch (error) {
      return this.failed(error);
    }
  }

  /** Runs on until the task parks, or is over. */
  private follow(first: IteratorResult<Wait, unknown>): IteratorResult<Wait, void> {
    let step = first;
    while (step.done) {
      const next = this.following(step.value);
      if (next === undefined) {
        this.conclude(undefined);
        return over;
      }
      this.#running = next[Symbol.iterator]();
      step = this.#running.next();
    }
    return step;
  }

  private failed(thrown: unknown): IteratorResult<Wait, void> {
    if (isInstance(thrown, UnwindSignal)) {
      this.conclude(undefined);
      return over;
    }
    const error = clarified(thrown);
    const next = this.#stage === Stage.last ? undefined : this.recover(error);
    if (next === undefined) {
      this.conclude({ error });
      return over;
    }
    this.#stage = Stage.own;
    this.#running = next[Symbol.iterator]();
    return this.advance((running) => running.next());
  }

  /** What is to run next. @param value what that has returned which ran until now */
  private following(value: unknown): Task<unknown> | undefined {
    if (this.#stage === Stage.last) return undefined;
    if (this.#stage === Stage.other) {
      this.#stage = Stage.own;
      return this.proceed(value);
    }
    this.#stage = Stage.other;
    return value as Task<unknown> | undefined; // it was the task's own code
  }
}
