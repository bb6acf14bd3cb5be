// Values as JSON, with errors that say what cannot be expressed.

import { isInstance, show } from './inspect.js';

/**
 * @param what it is, for the message: `send: data`
 * @throws {TypeError} for what JSON has no text for; `cause` is what JSON, or a `toJSON` of the value, has thrown
 */
export function toJson(what: string, value: unknown): string {
  let text: unknown;
  let cause: unknown;
  try {
    // Bytes would become an object with a number for each.
    if (!(ArrayBuffer.isView(value) || isInstance(value, ArrayBuffer))) text = JSON.stringify(value);
  } catch (error) {
    cause = error;
  }
  if (typeof text === 'string') return text;
  const reason = isInstance(cause, Error) ? ` (${firstLine(cause.message)})` : '';
  throw new TypeError(
    `${what} is ${show(value)}; expected a value that JSON can express${reason}`,
    cause === undefined ? undefined : { cause },
  );
}

/** What JSON says of a circle has several lines. */
function firstLine(message: unknown): string {
  const [line = ''] = String(message).split('\n');
  return line;
}
