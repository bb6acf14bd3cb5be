// Several tasks at once: all of them, the first of them, one of them against the clock. Each runs in a child thread.

import { isInstance } from '../util/inspect.js';
import {
  addSuspendedTasks,
  checkMilliseconds,
  isSameFailure,
  ThreadError,
  TimeoutError,
  UnwindSignal,
  UnwoundError,
} from './errors.js';
import { parked, type Task, waitUntil } from './task.js';
import { runningThread, spawn, type TaskSource, type Thread } from './thread.js';

/** What the tasks of a tuple return. */
type Results<S extends readonly TaskSource<unknown>[]> = {
  -readonly [K in keyof S]: S[K] extends TaskSource<infer T> ? T : never;
};

/**
 * Runs tasks side by side, each in a child thread, until all have returned.
 * @returns their results, in the order of the tasks
 * @throws what the first task to fail has thrown, after the others have been unwound
 */
export function* all<const S extends readonly TaskSource<unknown>[]>(tasks: S): Task<Results<S>> {
  const { threads, first } = yield* sideBySide('all', tasks, (over) => over.outcome !== 'returned');
  first?.result(); // throws: it did not return
  return threads.map((thread) => thread.result()) as Results<S>; // one result for each task, in order
}

/**
 * Runs tasks side by side, each in a child thread, until the first has returned or thrown.
 * @returns what that one returned, after the others have been unwound
 * @throws what that one threw, likewise
 */
export function* race<const S extends readonly TaskSource<unknown>[]>(tasks: S): Task<Results<S>[number]> {
  if (tasks.length === 0) throw new ThreadError('ERR_RANGE', 'race: no task was given; expected at least one');
  const { first } = yield* sideBySide('race', tasks, () => true);
  return first?.result() as Results<S>[number]; // the result of one of the tasks
}

/**
 * Runs a task in a child thread, for a limited time.
 * @param ms milliseconds
 * @returns what the task returns
 * @throws {TimeoutError} when it has not returned in time, after it has been unwound; else what the task throws
 */
export function* timeout<T>(ms: number, task: TaskSource<T>): Task<T> {
  checkMilliseconds('timeout', ms);
  const { scheduler } = runningThread('timeout');
  const child = spawn(task);
  if (ms === Infinity) return yield* child.join();
  let expired: TimeoutError | undefined;
  const target = {
    timerFired() {
      expired = new TimeoutError(`the task was not done within ${ms} ms`);
      child.unwind(expired);
    },
  };
  const timer = scheduler.armIn(ms, target, 0);
  try {
    return yield* child.join();
  } catch (error) {
    if (isInstance(error, UnwindSignal)) throw error;
    const unwoundByOthers = child.outcome === 'unwound' && isInstance(error, UnwoundError) && error.cause !== expired;
    if (expired === undefined || unwoundByOthers) throw error;
    // A `finally` block of it has failed: only one error can be thrown from here, and the other is told.
    if (child.outcome === 'failed') child.report(error);
    addSuspendedTasks(expired, timeout);
    throw expired;
  } finally {
    if (expired === undefined) scheduler.timers.cancel(timer);
  }
}

/** Spawns the tasks, parks until `enough` says so of the one that has just ended, unwinds the rest, and parks until all are over. */
function* sideBySide<S extends readonly TaskSource<unknown>[]>(
  what: string,
  tasks: S,
  enough: (over: Thread<unknown>) => boolean,
): Task<{ threads: Thread<unknown>[]; first: Thread<unknown> | undefined }> {
  const thread = runningThread(what);
  let left = tasks.length;
  let first: Thread<unknown> | undefined;
  const joiner = {
    threadOver(over: Thread<unknown>) {
      left--;
      if (first === undefined && enough(over)) {
        first = over;
        const reason = new ThreadError('ERR_LOST', `${over} ended first (${what})`);
        for (const other of threads) other.unwind(reason);
      }
      if (left === 0) thread.scheduler.resume(thread);
    },
  };
  const threads = tasks.map((task): Thread<unknown> => {
    const child = spawn(task);
    child.addJoiner(joiner);
    return child;
  });
  let received = false;
  try {
    yield* waitUntil(() => left === 0, parked.join);
    received = true;
  } finally {
    for (const child of threads) {
      if (child.outcome === 'failed') {
        child.setFailureReceived();
        // Only one failure can be thrown from here; the others are reported.
        const isThrown = received && (child === first || isSameFailure(child.failure, first?.failure));
        if (!isThrown) thread.report(child.failure, child);
      }
      child.removeJoiner(joiner);
    }
  }
  return { threads, first };
}
