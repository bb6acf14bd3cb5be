// Memory of large arrays is no part of the engine's heap, and the engine is slow to look for what is not used any more of it: bodies of
// requests, a few at a time, can so take several times the memory that they need.

/** Smaller arrays are left to garbage collection: there the call costs more than it is worth. */
const smallest = 64 * 1024;

/** From Node 21 on: moves the memory to another buffer, of another length. */
const transfer: unknown = Reflect.get(ArrayBuffer.prototype, 'transfer');

/** Gives the memory of an array back at once, where the engine can do that. Neither the array nor its buffer may be used afterwards. */
export function freeBytes(bytes: Uint8Array<ArrayBuffer>): void {
  if (bytes.length >= smallest && typeof transfer === 'function') Reflect.apply(transfer, bytes.buffer, [0]);
}
