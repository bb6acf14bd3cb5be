// A request head of which only the beginning has come: the bytes, and how far they have been parsed. It stands for its
// connection until the rest is there, in place of a thread, since such connections are what a server has by the ten thousand
// when its clients are slow or hostile: the bytes of small ones stand in memory that all share.

import type { Head } from './head.js';

/** Sizes of shared blocks: powers of two from the smallest to the largest. Larger beginnings get memory of their own. */
const smallestBlock = 64;
const largestBlock = 2048;
const sharedBytes = 64 * 1024;

/** Free blocks by their size; each is a memory and an offset in it, one behind the other. */
const freeBlocks = new Map<number, (Uint8Array | number)[]>();
let shared = new Uint8Array(sharedBytes);
let sharedUsed = 0;

export class PartialHead {
  /** Bytes of memory that all of them hold together. */
  static held = 0;
  readonly head: Head;
  /** What has come stands in `bytes[start … end-1]`. */
  bytes: Uint8Array = shared;
  start = 0;
  end = 0;
  #size = 0;

  constructor(head: Head) {
    this.head = head;
  }

  /** Appends a copy. */
  add(bytes: Uint8Array, from: number, to: number): void {
    const needed = this.end - this.start + to - from;
    if (needed > this.#size) this.#grow(needed);
    for (let at = from; at < to; at++) this.bytes[this.end++] = bytes[at];
  }

  /** Gives the memory back. The bytes may not be looked at any more. */
  free(): void {
    giveBlock(this.#size, this.bytes, this.start);
    PartialHead.held -= this.#size;
    this.#size = 0;
  }

  #grow(needed: number): void {
    const { bytes, start, end } = this;
    let size = Math.max(smallestBlock, this.#size);
    while (size < needed) size *= 2;
    const old = bytes.subarray(start, end);
    const oldSize = this.#size;
    if (size > largestBlock) {
      this.bytes = new Uint8Array(size);
      this.start = 0;
    } else {
      this.#takeBlock(size);
    }
    this.bytes.set(old, this.start);
    this.end = this.start + old.length;
    PartialHead.held += size - oldSize;
    this.#size = size;
    giveBlock(oldSize, bytes, start);
  }

  #takeBlock(size: number): void {
    const blocks = freeBlocks.get(size);
    if (blocks !== undefined && blocks.length > 0) {
      this.start = blocks.pop() as number; // they are pushed in this order
      this.bytes = blocks.pop() as Uint8Array;
      return;
    }
    if (sharedUsed + size > sharedBytes) {
      shared = new Uint8Array(sharedBytes);
      sharedUsed = 0;
    }
    this.bytes = shared;
    this.start = sharedUsed;
    sharedUsed += size;
  }
}

function giveBlock(size: number, bytes: Uint8Array, start: number): void {
  if (size === 0 || size > largestBlock) return;
  const blocks = freeBlocks.get(size);
  if (blocks === undefined) freeBlocks.set(size, [bytes, start]);
  else blocks.push(bytes, start);
}
