// Memory of large bodies that have been sent, for the next ones. Memory that comes fresh from the system costs more to touch for the first time than to
// copy a body into it, and the C library gives back what is freed at the end of its heap.

import { Buffer } from 'node:buffer';

/** Blocks have powers of two of bytes, from … to. Copying a smaller body costs little; a larger block would hold too much. */
const smallestBlock = 64 * 1024;
const largestBlock = 2 * 1024 * 1024;
/** Bytes kept in all. */
const most = 4 * 1024 * 1024;

/** The block that was put last is used first: most of it is still in the processor's caches. */
const blocks = new Map<number, ArrayBuffer[]>();
let kept = 0;

/** @returns memory of at least so many bytes, with anything in it: no code but this library may see more of it than is written */
export function takeBlock(bytes: number): ArrayBuffer {
  const size = bytes > largestBlock ? bytes : Math.max(smallestBlock, 2 ** Math.ceil(Math.log2(bytes)));
  const block = blocks.get(size)?.pop();
  if (block === undefined) return Buffer.allocUnsafeSlow(size).buffer;
  kept -= size;
  return block;
}

/** Keeps a block that is no longer used by any code. @returns false if it is not kept: it is of another size, or there are enough */
export function putBlock(block: ArrayBuffer): boolean {
  const size = block.byteLength;
  const isBlock = size >= smallestBlock && size <= largestBlock && Number.isInteger(Math.log2(size));
  if (!isBlock || kept + size > most) return false;
  kept += size;
  const others = blocks.get(size);
  if (others === undefined) blocks.set(size, [block]);
  else others.push(block);
  return true;
}
