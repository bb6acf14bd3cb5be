// The errors that threads raise themselves, and the chain of tasks that an error carries.

/** Base of the errors that `threads/` raises; `code` is stable, the message is for people. */
export class ThreadError extends Error {
  override readonly name: string = 'ThreadError';
  readonly code: string;

  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** Raised by `join` when the thread that was joined had been unwound. `cause` is the reason given to `unwind`. */
export class UnwoundError extends ThreadError {
  override readonly name = 'UnwoundError';

  constructor(thread: string, reason: unknown) {
    super('ERR_UNWOUND', `${thread} was unwound before it returned: ${describe(reason)}`, { cause: reason });
  }
}

/** Raised by `timeout` when the task was not done in time. */
export class TimeoutError extends ThreadError {
  override readonly name = 'TimeoutError';

  constructor(message: string, code = 'ERR_TIMEOUT') {
    super(code, message);
  }
}

/** One line for a message about a value of any kind, such as what was thrown, which need not be an `Error`. Never throws. */
export function describe(value: unknown): string {
  try {
    if (value instanceof Error) return value.message;
    return typeof value === 'object' && value !== null ? Object.prototype.toString.call(value) : String(value);
  } catch {
    return 'a value that cannot be described';
  }
}

const marker = '\n    in task ';

/**
 * A stack of this many characters is appended to no more. An error object that is made once and thrown again and again (a
 * rejected promise that every request waits for, say) would grow for ever otherwise.
 */
const longestStack = 16_384;

/**
 * The tasks an error came through, innermost first, as they were appended to its stack: `name (file:line:column)` for a
 * task inside a thread, `name (thread 7)` for the border of a thread.
 */
export function tasksOf(error: unknown): string[] {
  if (!(error instanceof Error) || typeof error.stack !== 'string') return [];
  return error.stack
    .split(marker)
    .slice(1)
    .map((line) => line.split('\n', 1)[0] ?? '');
}

/** Appends one line to the error's chain of tasks. Errors whose stack cannot be written keep it as it is. */
export function addTask(error: unknown, line: string): void {
  try {
    if (!(error instanceof Error) || typeof error.stack !== 'string' || error.stack.length > longestStack) return;
    Reflect.set(error, 'stack', error.stack + marker + line);
  } catch {
    // A stack behind an accessor that throws. The error is passed on all the same.
  }
}

/**
 * Appends the tasks that are suspended around the caller: an error that came from outside the thread (a promise, another
 * thread) has a stack of its own, which does not show who was waiting for it. Costs a stack capture; called for errors only.
 * @param below the function whose own frame, and those above it, are left out
 */
export function addSuspendedTasks(error: unknown, below: (...args: never[]) => unknown): void {
  if (!(error instanceof Error) || Error.captureStackTrace === undefined) return;
  const here: { stack?: string } = {};
  Error.captureStackTrace(here, below);
  if (typeof here.stack !== 'string') return; // an `Error.prepareStackTrace` of the application's makes something else of it
  for (const line of here.stack.split('\n').slice(1)) {
    const frame = line.trim().replace(/^at /, '');
    if (frame.startsWith('Thread.drive ')) return; // the bottom of this thread (thread.ts): below it is the scheduler
    if (frame.includes('<anonymous>')) continue; // the engine's own `next` between two generators
    addTask(error, frame);
  }
}

/** For callers that no compiler has looked at, too. @throws {ThreadError} `ERR_RANGE` if it is no length of time in milliseconds */
export function checkMilliseconds(primitive: string, ms: unknown): void {
  if (typeof ms === 'number' && ms >= 0) return;
  const found = typeof ms === 'string' ? JSON.stringify(ms) : describe(ms);
  throw new ThreadError('ERR_RANGE', `${primitive}: ms is ${found}; expected a number from 0 to Infinity`);
}
