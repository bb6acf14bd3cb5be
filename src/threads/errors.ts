// The errors that threads raise themselves, and the chain of tasks that an error carries.

import { describe, isInstance, propertyOf, show } from '../util/inspect.js';

/** An error that threads and tasks raise themselves. */
export class ThreadError extends Error {
  override readonly name: string = 'ThreadError';
  /** One of the codes in `docs/errors.md`, such as `ERR_TIMEOUT`. It is stable; messages are not. */
  readonly code: string;

  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** Raised by `join` when the thread that was joined had been unwound. `cause` is the reason given to `unwind`. */
export class UnwoundError extends ThreadError {
  override readonly name: string = 'UnwoundError';

  constructor(thread: string, reason: unknown) {
    super('ERR_UNWOUND', `${thread} was unwound before it returned: ${describe(reason)}`, { cause: reason });
  }
}

/** The exception that unwinds a thread where its frames cannot be made to return; see unwinder.ts. */
export class UnwindSignal extends UnwoundError {}

/** Raised by `timeout` when the task was not done in time. */
export class TimeoutError extends ThreadError {
  override readonly name = 'TimeoutError';

  constructor(message: string, code = 'ERR_TIMEOUT') {
    super(code, message);
  }
}

/**
 * What the end of the stack means where tasks are nested: each `yield*` takes a part of it whenever the thread is resumed, as a call does.
 * @returns a {@link ThreadError} `ERR_TOO_DEEP` with the engine's error as its cause; any other error as it is
 */
export function clarified(error: unknown): unknown {
  const message = isInstance(error, RangeError) ? propertyOf(error, 'message') : undefined;
  if (typeof message !== 'string' || !/call stack/i.test(message)) return error;
  return new ThreadError(
    'ERR_TOO_DEEP',
    'the stack is exhausted: tasks are nested too deep in yield* (1,000 levels are safe), or a function calls itself without end; ' +
      'yield* spawn(task).join() continues on a stack of its own',
    { cause: error },
  );
}

/** Two errors that are the same object are one failure, which has come by several ways: two threads waited for one promise, say. */
export function isSameFailure(error: unknown, other: unknown): boolean {
  return typeof error === 'object' && error === other;
}

const marker = '\n    in task ';

/**
 * A stack of this many characters is appended to no more. An error object that is made once and thrown again and again (a
 * rejected promise that every request waits for, say) would grow for ever otherwise.
 */
const longestStack = 16_384;

/**
 * The tasks that an error came through, innermost first, as they were appended to its stack. Never throws.
 * @param error any value; one that is not an `Error` came through none
 * @returns `name (file:line:column)` for a task inside a thread, `name (thread 7)` for the end of a thread
 */
export function tasksOf(error: unknown): string[] {
  const stack = stackOf(error);
  if (stack === undefined) return [];
  return stack
    .split(marker)
    .slice(1)
    .map((line) => line.split('\n', 1)[0] ?? '');
}

/** Appends one line to the error's chain of tasks. Errors whose stack cannot be read or written keep it as it is. Never throws. */
export function addTask(error: unknown, line: string): void {
  const stack = stackOf(error);
  if (stack === undefined || stack.length > longestStack) return;
  try {
    Reflect.set(error as Error, 'stack', stack + marker + line); // it has a stack, so it is an Error
  } catch {
    // An accessor that throws. The error is passed on nevertheless.
  }
}

/** The stack of an error; undefined where there is none, or it cannot be read. Never throws. */
function stackOf(error: unknown): string | undefined {
  const stack = isInstance(error, Error) ? propertyOf(error, 'stack') : undefined;
  return typeof stack === 'string' ? stack : undefined;
}

/** Frames at the bottom of a thread (thread.ts): below them is the scheduler. */
const bottom = /^(Thread\.(drive|refuse)|Unwinder\.\S+) /;
/** Frames of tasks that only wait or pass on. */
const primitives = /^(Join|Uninterruptible)\./;

/**
 * Appends the tasks that are suspended around the caller: an error that came from outside the thread (a promise, another
 * thread) has its own stack, which does not show who was waiting for it. Costs a stack capture; called for errors only.
 * Never throws.
 * @param below the function whose own frame, and those above it, are left out
 */
export function addSuspendedTasks(error: unknown, below: (...args: never[]) => unknown): void {
  if (!isInstance(error, Error) || Error.captureStackTrace === undefined) return;
  const here = {};
  Error.captureStackTrace(here, below);
  const stack = propertyOf(here, 'stack');
  if (typeof stack !== 'string') return; // an `Error.prepareStackTrace` of the application's makes something else of it, or throws
  for (const line of stack.split('\n').slice(1)) {
    const frame = line.trim().replace(/^at /, '');
    if (bottom.test(frame)) return;
    if (primitives.test(frame)) continue;
    if (frame.includes('<anonymous>')) continue; // the engine's own `next` between two generators
    addTask(error, frame);
  }
}

/** For callers that no compiler has looked at, too. @throws {ThreadError} `ERR_RANGE` if it is no length of time in milliseconds */
export function checkMilliseconds(primitive: string, ms: unknown): void {
  if (typeof ms === 'number' && ms >= 0) return;
  throw new ThreadError('ERR_RANGE', `${primitive}: ms is ${show(ms)}; expected a number from 0 to Infinity`);
}
