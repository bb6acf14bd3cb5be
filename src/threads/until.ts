// Parking on a promise.

import { addSuspendedTasks } from './errors.js';
import { parked, type Task, type Wait, WaitingTask } from './task.js';
import { runningThread, type Thread } from './thread.js';

/**
 * Parks the thread until a promise settles.
 *
 * ```ts
 * const response = yield* until((signal) => fetch(url, { signal }));
 * ```
 *
 * @param source a promise, or a function that makes one. The function is given a signal that is aborted, with the reason of
 *   the unwinding, when the thread is unwound before the promise has settled; what the promise does then is of no interest.
 * @returns what the promise is fulfilled with
 * @throws what it is rejected with, or what the function throws, with the tasks that waited for it appended to its stack
 */
export function until<T>(source: PromiseLike<T> | ((signal: AbortSignal) => PromiseLike<T> | T)): Task<T> {
  return new Until(source);
}

class Until<T> extends WaitingTask<T> {
  /** Undefined until the task is run. */
  #promise: Settling | undefined;
  readonly #source: PromiseLike<T> | ((signal: AbortSignal) => PromiseLike<T> | T);

  constructor(source: PromiseLike<T> | ((signal: AbortSignal) => PromiseLike<T> | T)) {
    super();
    this.#source = source;
  }

  next(): IteratorResult<Wait, T> {
    this.#promise ??= settling(this.#source, runningThread('until'));
    const { state, value } = this.#promise;
    if (state === 'pending') return parked.promise;
    if (state === 'rejected') {
      addSuspendedTasks(value, this.next);
      throw value;
    }
    return { done: true, value: value as T }; // set together with the state 'fulfilled'
  }

  protected leave(): void {
    const promise = this.#promise;
    if (promise === undefined || promise.state !== 'pending') return;
    promise.state = 'left';
    promise.controller?.abort(promise.thread.reason);
  }
}

/** What is known of a promise that a thread waits for. */
interface Settling {
  readonly thread: Thread<unknown>;
  readonly controller: AbortController | undefined;
  state: 'pending' | 'fulfilled' | 'rejected' | 'left';
  value: unknown;
}

function settling<T>(
  source: PromiseLike<T> | ((signal: AbortSignal) => PromiseLike<T> | T),
  thread: Thread<unknown>,
): Settling {
  let controller: AbortController | undefined;
  let promise: PromiseLike<T> | T;
  if (typeof source === 'function') {
    controller = new AbortController();
    promise = source(controller.signal);
  } else {
    promise = source;
  }
  const settling: Settling = { thread, controller, state: 'pending', value: undefined };
  const settle = (state: 'fulfilled' | 'rejected', value: unknown) => {
    if (settling.state === 'left') return;
    settling.state = state;
    settling.value = value;
    thread.scheduler.resume(thread);
  };
  Promise.resolve(promise).then(
    (value) => settle('fulfilled', value),
    (error) => settle('rejected', error),
  );
  return settling;
}
