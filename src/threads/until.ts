// Parking on a promise.

import { addSuspendedTasks } from './errors.js';
import { type Task, Wait } from './task.js';
import { runningThread } from './thread.js';

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
export function* until<T>(source: PromiseLike<T> | ((signal: AbortSignal) => PromiseLike<T> | T)): Task<T> {
  const thread = runningThread('until');
  let controller: AbortController | undefined;
  let promise: PromiseLike<T> | T;
  if (typeof source === 'function') {
    controller = new AbortController();
    promise = source(controller.signal);
  } else {
    promise = source;
  }
  const answer: { state: 'pending' | 'fulfilled' | 'rejected' | 'left'; value: unknown } = {
    state: 'pending',
    value: undefined,
  };
  const settle = (state: 'fulfilled' | 'rejected', value: unknown) => {
    if (answer.state === 'left') return;
    answer.state = state;
    answer.value = value;
    thread.scheduler.resume(thread);
  };
  Promise.resolve(promise).then(
    (value) => settle('fulfilled', value),
    (error) => settle('rejected', error),
  );
  try {
    while (answer.state === 'pending') yield Wait.promise;
  } finally {
    if (answer.state === 'pending') {
      answer.state = 'left';
      controller?.abort(thread.reason);
    }
  }
  if (answer.state === 'rejected') {
    addSuspendedTasks(answer.value, until);
    throw answer.value;
  }
  return answer.value as T; // set by settle, together with the state 'fulfilled'
}
