// Copies of bytes. `slice` of a typed array has the engine clear the new memory before it is written: for large arrays that is a second pass over memory
// that is in no cache.

import { takeBlock } from './spare-memory.js';

/** Smaller arrays are not worth the call, in bytes. */
const smallest = 64 * 1024;

/** A copy, which may be in an ArrayBuffer that is larger and has other bytes behind it: for user code, see `owned`. */
export function copyOf(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  if (bytes.length < smallest) return new Uint8Array(bytes);
  const copy = new Uint8Array(takeBlock(bytes.length), 0, bytes.length);
  copy.set(bytes);
  return copy;
}

/** The bytes in an ArrayBuffer that they fill. */
export function owned(bytes: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  return bytes.buffer.byteLength === bytes.length ? bytes : new Uint8Array(bytes);
}
