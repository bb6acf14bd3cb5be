// Calls a user's `onError`; and the default `onError`, which prints. Error handling ends here, so nothing in this file throws.

import { inspect } from 'node:util';
import { uncaught } from '../threads/scheduler.js';
import { describe, escapeControls, escapeControlsInLines, isInstance, propertyOf } from '../util/inspect.js';

/** The most characters printed of one error. */
const maxPrintedCharacters = 16_384;
/** The most errors of a chain of causes whose messages are escaped: the chain may be circular. */
const maxCauses = 8;

/** Calls an `onError`. If it throws, or rejects because it is async, that error is printed. */
export function callOnError(onError: () => unknown): void {
  try {
    const result = onError();
    // It may be a promise of another library. `resolve` turns a `then` getter that throws into a rejection.
    if (typeof result === 'object' && result !== null) Promise.resolve(result).catch((error) => printError(error));
  } catch (thrown) {
    printError(thrown);
  }
}

/**
 * The default `onError`, also used when an `onError` throws: prints the error with its stack on standard error. Many messages contain input
 * of clients (`JSON.parse` quotes it), so control characters are escaped and all lines but the first are indented. Clients cannot control the
 * terminal or forge a line of the log.
 * @param where is printed before the error
 */
export function printError(error: unknown, where = ''): void {
  try {
    console.error(where === '' ? format(error) : `${escapeControls(where)}: ${format(error)}`);
  } catch (thrown) {
    uncaught(thrown); // the application has replaced the console, and that throws
  }
}

function format(error: unknown): string {
  let text: string;
  try {
    text = inspect(error);
  } catch {
    // A getter or a custom inspection method throws.
    text = describe(error);
  }
  let cause = error;
  for (let depth = 0; depth < maxCauses && isInstance(cause, Error); depth++) {
    const message = propertyOf(cause, 'message');
    // `inspect` indents the lines of a cause.
    if (typeof message === 'string' && message !== '')
      text = text.replace(message.replaceAll('\n', `\n${'  '.repeat(depth)}`), () => escapeControls(message));
    cause = propertyOf(cause, 'cause');
  }
  if (text.length > maxPrintedCharacters)
    text = `${text.slice(0, maxPrintedCharacters)}… (${text.length - maxPrintedCharacters} more characters)`;
  return escapeControlsInLines(text).replace(/\n(?!\s)/g, '\n    ');
}
