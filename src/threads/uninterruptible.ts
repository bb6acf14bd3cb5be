// Work that unwinding must not cut short.

import type { Task, Wait } from './task.js';
import { iteratorOf, runningThread, type TaskSource, type Thread } from './thread.js';

/**
 * Runs a task that unwinding does not cut short: if the thread is unwound meanwhile, the task runs to its end, the code after it too,
 * and the thread is unwound where it next parks. Children that the task spawns are not unwound before that, either.
 *
 * For `finally` blocks that park, and for whatever must not be left half done:
 *
 * ```ts
 * try {
 *   return yield* work(connection);
 * } finally {
 *   yield* uninterruptible(function* () {
 *     yield* until(connection.rollback());
 *     connection.release();
 *   });
 * }
 * ```
 *
 * A `finally` block that is entered because the thread is unwound always runs to its end. But one that is entered because its `try` block
 * has ended is code like any other: without this, unwinding leaves it at the place where it is parked.
 *
 * The task has as long as any unwinding: after `scheduler.unwindLimit` milliseconds (5,000), counted from `unwind`, the thread is reported
 * and abandoned.
 *
 * @param task a task, or a generator function without parameters
 * @returns what the task returns
 * @throws what the task throws
 */
export function uninterruptible<T>(task: TaskSource<T>): Task<T> {
  return new Uninterruptible(task);
}

/** What an unwound task returns is not looked at. */
const over: IteratorResult<Wait, never> = { done: true, value: undefined as never };

class Uninterruptible<T> implements Task<T>, Iterator<Wait, T, void> {
  /** What runs, from the first step on. */
  #running: Iterator<Wait, T, void> | undefined;
  readonly #source: TaskSource<T>;
  /** The thread, while unwinding it waits for this task. Undefined within another such task, which it waits for anyway. */
  #thread: Thread<unknown> | undefined;

  constructor(source: TaskSource<T>) {
    this.#source = source;
  }

  [Symbol.iterator](): this {
    return this;
  }

  next(): IteratorResult<Wait, T> {
    return this.#step('next');
  }

  /** Only a thread that is past its unwinding limit does this, or one that is unwound before the first step. */
  return(): IteratorResult<Wait, T> {
    return this.#running === undefined ? over : this.#step('return');
  }

  throw(error: unknown): IteratorResult<Wait, T> {
    if (this.#running === undefined) throw error;
    return this.#step('throw', error);
  }

  #step(how: 'next' | 'return' | 'throw', error?: unknown): IteratorResult<Wait, T> {
    let isOver = true;
    try {
      this.#running ??= this.#start();
      const result = this.#resume(this.#running, how, error);
      isOver = result.done === true;
      return result;
    } finally {
      if (isOver) this.#end();
    }
  }

  #resume(running: Iterator<Wait, T, void>, how: 'next' | 'return' | 'throw', error: unknown): IteratorResult<Wait, T> {
    if (how === 'next') return running.next();
    if (how === 'return') return running.return?.() ?? over;
    if (running.throw === undefined) throw error;
    return running.throw(error);
  }

  #start(): Iterator<Wait, T, void> {
    const thread = runningThread('uninterruptible');
    if (thread.enterUninterruptible()) this.#thread = thread;
    const source = this.#source;
    return iteratorOf(typeof source === 'function' ? source() : source, 'uninterruptible was given');
  }

  #end(): void {
    this.#thread?.leaveUninterruptible();
    this.#thread = undefined;
  }
}
