// Strings that become one line of a line-based protocol.

import { show } from './inspect.js';

/** @param name for the message: `publish: id` @throws {TypeError} for what is no string, or contains CR, LF or NUL */
export function checkOneLine(name: string, value: unknown): string {
  if (typeof value !== 'string') throw new TypeError(`${name} is ${show(value)}; expected a string`);
  if (/[\r\n\0]/.test(value))
    throw new TypeError(`${name} is ${show(value)}; expected a string without CR, LF and NUL`);
  return value;
}
