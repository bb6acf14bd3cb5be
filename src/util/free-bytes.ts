// Memory of large arrays is no part of the engine's heap, and the engine is slow to look for what is not used any more of it: bodies of
// requests, a few at a time, can so take several times the memory that they need.

import { putBlock } from './spare-memory.js';

/** Smaller arrays are left to garbage collection: there the call costs more than it is worth. */
const smallest = 64 * 1024;

/** From Node 21 on: moves the memory to another buffer, of another length. */
const transfer: unknown = Reflect.get(ArrayBuffer.prototype, 'transfer');

/**
 * Gives the memory of an array to the next large copy, or back to the system at once, where the engine can do that. No code may use the array or
 * its buffer afterwards.
 */
export function freeBytes(bytes: Uint8Array<ArrayBuffer>): void {
  if (bytes.length < smallest || putBlock(bytes.buffer)) return;
  if (typeof transfer === 'function') Reflect.apply(transfer, bytes.buffer, [0]);
}
