// A task made of stages. One stage runs at a time, and decides which runs next. A generator that calls another with `yield*` stays in memory while the
// other runs. Where the other waits for a long time, such as the handler of a request, each waiting thread would need that memory. So here the
// caller ends first, and continues with the result in a new generator.

import { isInstance } from '../util/inspect.js';
import { clarified, UnwindSignal } from './errors.js';
import type { Task, Wait } from './task.js';

const over: IteratorResult<Wait, void> = { done: true, value: undefined };

/** What runs: the task's own code, or the task that it has returned; or the thread is being unwound, and nothing follows what runs. */
const Stage = { own: 0, other: 1, last: 2 } as const;
type Stage = (typeof Stage)[keyof typeof Stage];

export abstract class StagedTask implements Task<void>, Iterator<Wait, void, void> {
  #running: Iterator<Wait, unknown, void> | undefined;
  #stage: Stage = Stage.own;

  /** The task's own code, from its beginning. @returns a task that runs next, before `proceed`; undefined at the end */
  protected abstract start(): Task<Task<unknown> | undefined>;
  /** The task's own code, after the task that it has returned. @param result what that task has returned @returns as `start` */
  protected abstract proceed(result: unknown): Task<Task<unknown> | undefined>;
  /** The task's own code for an error of its own, or of the task that it has returned. @returns undefined to end with the error; else code that returns as `start` does */
  protected recover(_error: unknown): Task<Task<unknown> | undefined> | undefined {
    return undefined;
  }
  /** The task ends. Must not throw. @param failure what was thrown, if anything */
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

  /** Runs stage after stage until the task parks or ends. */
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

  /** The stage that runs next. @param value what the one before has returned */
  private following(value: unknown): Task<unknown> | undefined {
    if (this.#stage === Stage.last) return undefined;
    if (this.#stage === Stage.other) {
      this.#stage = Stage.own;
      return this.proceed(value);
    }
    this.#stage = Stage.other;
    return value as Task<unknown> | undefined; // the task's own code has returned it
  }
}
