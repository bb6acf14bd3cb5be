// `slice` of a typed array has the engine clear the new memory before it is written: for large arrays that is a second pass over memory that is in no cache.

import { Buffer } from 'node:buffer';

/** Smaller arrays are not worth the call, in bytes. */
const smallest = 64 * 1024;

/** A copy that owns the whole of its ArrayBuffer. */
export function copyOf(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  if (bytes.length < smallest) return new Uint8Array(bytes);
  const copy = new Uint8Array(Buffer.allocUnsafeSlow(bytes.length).buffer);
  copy.set(bytes);
  return copy;
}
