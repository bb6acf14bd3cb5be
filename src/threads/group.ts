// Several tasks at once: all of them, the first of them, one of them against the clock. Each runs in a child thread.

import { isInstance, show } from '../util/inspect.js';
import {
  addSuspendedTasks,
  checkMilliseconds,
  isSameFailure,
  ThreadError,
  TimeoutError,
  UnwindSignal,
  UnwoundError,
} from './errors.js';
import { parked, type Task, type Wait, WaitingTask } from './task.js';
import { runningThread, spawn, type TaskSource, type Thread, type ThreadJoiner } from './thread.js';

/** What the tasks of a tuple return. */
type Results<S extends readonly TaskSource<unknown>[]> = {
  -readonly [K in keyof S]: S[K] extends TaskSource<infer T> ? T : never;
};

/**
 * Runs tasks side by side, each in a child thread, until all have returned.
 * @param tasks an array of tasks, or of generator functions without parameters
 * @returns their results, in the order of the tasks
 * @throws what the first task to fail has thrown, after the others have been unwound
 * @throws {ThreadError} `ERR_NOT_A_TASK` if it is not an array of tasks
 */
export function* all<const S extends readonly TaskSource<unknown>[]>(tasks: S): Task<Results<S>> {
  checkTasks('all', tasks);
  const { threads, first } = yield* sideBySide('all', tasks, didNotReturn);
  first?.result(); // throws: it did not return
  return threads.map((thread) => thread.result()) as Results<S>; // one result for each task, in order
}

/**
 * Runs tasks side by side, each in a child thread, until the first has returned or thrown.
 * @param tasks an array of tasks, or of generator functions without parameters; at least one
 * @returns what that one returned, after the others have been unwound
 * @throws what that one threw, after the others have been unwound
 * @throws {ThreadError} `ERR_NOT_A_TASK` if it is not an array of tasks, `ERR_RANGE` if it is empty
 */
export function* race<const S extends readonly TaskSource<unknown>[]>(tasks: S): Task<Results<S>[number]> {
  checkTasks('race', tasks);
  if (tasks.length === 0) throw new ThreadError('ERR_RANGE', 'race: no task was given; expected at least one');
  const { first } = yield* sideBySide('race', tasks, isOver);
  return first?.result() as Results<S>[number]; // the result of one of the tasks
}

/**
 * Runs a task in a child thread, for a limited time.
 * @param ms milliseconds, 0 or more; `Infinity` for no limit
 * @param task a task, or a generator function without parameters
 * @returns what the task returns
 * @throws {TimeoutError} `ERR_TIMEOUT` when it has not returned in time, after it has been unwound; else what the task throws
 * @throws {ThreadError} `ERR_RANGE` if `ms` is negative or not a number
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
    // A `finally` block of it has failed: only one error can be thrown from here, and the other is reported.
    if (child.outcome === 'failed') child.report(error);
    addSuspendedTasks(expired, timeout);
    throw expired;
  } finally {
    if (expired === undefined) scheduler.timers.cancel(timer);
  }
}

const didNotReturn = (over: Thread<unknown>) => over.outcome !== 'returned';
const isOver = () => true;

/** Threads that run side by side, when all are over. */
interface Ended {
  readonly threads: readonly Thread<unknown>[];
  /** The first of which `isEnough` said that the others need not end by themselves, if there was one. */
  readonly first: Thread<unknown> | undefined;
}

/** For callers that no compiler has looked at. */
function checkTasks(group: string, tasks: unknown): void {
  if (!Array.isArray(tasks))
    throw new ThreadError('ERR_NOT_A_TASK', `${group}: tasks is ${show(tasks)}; expected an array of tasks`);
}

/**
 * Spawns the tasks, parks until `isEnough` returns true for the one that has just ended, unwinds the rest, and parks until all are over.
 * @param group what the caller is called, for messages
 */
function sideBySide(
  group: string,
  tasks: readonly TaskSource<unknown>[],
  isEnough: (over: Thread<unknown>) => boolean,
): Task<Ended> {
  return new SideBySide(group, tasks, isEnough);
}

class SideBySide extends WaitingTask<Ended> implements ThreadJoiner {
  readonly #group: string;
  readonly #tasks: readonly TaskSource<unknown>[];
  readonly #isEnough: (over: Thread<unknown>) => boolean;
  /** Undefined until the task is run. */
  #thread: Thread<unknown> | undefined;
  #threads: readonly Thread<unknown>[] = [];
  #left = 0;
  #first: Thread<unknown> | undefined;

  constructor(group: string, tasks: readonly TaskSource<unknown>[], isEnough: (over: Thread<unknown>) => boolean) {
    super();
    this.#group = group;
    this.#tasks = tasks;
    this.#isEnough = isEnough;
  }

  next(): IteratorResult<Wait, Ended> {
    if (this.#thread === undefined) this.#start(runningThread(this.#group));
    if (this.#left > 0) return parked.join;
    this.#settle(true);
    return { done: true, value: { threads: this.#threads, first: this.#first } };
  }

  protected leave(): void {
    this.#settle(false);
  }

  threadOver(over: Thread<unknown>): void {
    this.#left--;
    if (this.#first === undefined && this.#isEnough(over)) {
      this.#first = over;
      const reason = new ThreadError('ERR_LOST', `${over} ended first (${this.#group})`);
      for (const other of this.#threads) other.unwind(reason);
    }
    if (this.#left === 0) this.#thread?.scheduler.resume(this.#thread);
  }

  #start(thread: Thread<unknown>): void {
    this.#thread = thread;
    this.#left = this.#tasks.length;
    this.#threads = this.#tasks.map((task): Thread<unknown> => {
      const child = spawn(task);
      child.addJoiner(this);
      return child;
    });
  }

  /** Sees to the failures. @param isReceived whether the caller throws that of the first */
  #settle(isReceived: boolean): void {
    for (const child of this.#threads) {
      if (child.outcome === 'failed') {
        child.setFailureReceived();
        // Only one failure can be thrown from here; the others are reported.
        const isThrown = isReceived && (child === this.#first || isSameFailure(child.failure, this.#first?.failure));
        if (!isThrown) this.#thread?.report(child.failure, child);
      }
      child.removeJoiner(this);
    }
  }
}
