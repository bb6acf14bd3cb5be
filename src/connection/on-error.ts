// Telling a user's `onError`, and the default one, which prints. Error handling ends here: none of this throws.

import { inspect } from 'node:util';
import { uncaught } from '../threads/scheduler.js';
import { describe, escapeControls, escapeControlsInLines, isInstance, propertyOf } from '../util/inspect.js';

/** The most characters that are printed of one error. */
const maxPrintedCharacters = 16_384;
/** So many errors of a chain of causes, which may be circular, are looked at for line feeds. */
const maxCauses = 8;

/** Calls an `onError`. What it throws, or rejects with if it is async, is printed, and goes no further. */
export function callOnError(onError: () => unknown): void {
  try {
    const told = onError();
    // Whatever may be a promise, of another library too. What cannot be looked at becomes a rejected promise here.
    if (typeof told === 'object' && told !== null) Promise.resolve(told).catch((error) => printError(error));
  } catch (thrown) {
    printError(thrown);
  }
}

/**
 * The default of every `onError`, and the last resort when one throws: an error with its stack, on standard error. Clients choose a part
 * of many messages (`JSON.parse` quotes what they have sent), so nothing printed acts on a terminal, and nothing begins a line of its own
 * in the log: control characters are escaped, and further lines are indented.
 * @param where printed before it
 */
export function printError(error: unknown, where = ''): void {
  try {
    console.error(where === '' ? format(error) : `${escapeControls(where)}: ${format(error)}`);
  } catch (thrown) {
    uncaught(thrown); // the application has a console of its own, and that fails
  }
}

function format(error: unknown): string {
  let text: string;
  try {
    text = inspect(error);
  } catch {
    // A getter of it throws, or its own method for printing.
    text = describe(error);
  }
  let cause = error;
  for (let depth = 0; depth < maxCauses && isInstance(cause, Error); depth++) {
    const message = propertyOf(cause, 'message');
    // The text has a cause with its lines indented.
    if (typeof message === 'string' && message !== '')
      text = text.replace(message.replaceAll('\n', `\n${'  '.repeat(depth)}`), () => escapeControls(message));
    cause = propertyOf(cause, 'cause');
  }
  if (text.length > maxPrintedCharacters)
    text = `${text.slice(0, maxPrintedCharacters)}… (${text.length - maxPrintedCharacters} more characters)`;
  return escapeControlsInLines(text).replace(/\n(?!\s)/g, '\n    ');
}
