// Tasks and async contexts: a generator does not keep the context in which it was created, so a task can be bound to one.

import { show } from '../util/inspect.js';
import { type AsyncContext, captureContext } from './context.js';
import { ThreadError } from './errors.js';
import { isTask, type Task, Wait } from './task.js';
import { runningThread } from './thread.js';

/**
 * Binds a task to the async context of the caller, as `AsyncResource.bind` does a function. `AsyncLocalStorage.run` is over before a task
 * that was created in it begins; this keeps its store for the task:
 *
 * ```ts
 * fetch: (request) => storage.run(userOf(request), () => bindContext(handle(request)));
 * ```
 *
 * @returns a task that returns or throws what the given one does. Behind it, the thread is in the context in which it was before
 * @throws {ThreadError} `ERR_NOT_A_TASK` if it is not given a task
 */
export function bindContext<T>(task: Task<T>): Task<T> {
  if (!isTask(task)) {
    const hint = 'expected a task: what a generator function (function*) returns';
    throw new ThreadError('ERR_NOT_A_TASK', `bindContext: the task is ${show(task)}; ${hint}`);
  }
  return inContext(captureContext(), task);
}

function* inContext<T>(context: AsyncContext, task: Task<T>): Task<T> {
  const thread = runningThread('bindContext');
  const outer = captureContext();
  thread.context = context;
  yield Wait.context;
  try {
    return yield* task;
  } finally {
    thread.context = outer;
    yield Wait.context;
  }
}
