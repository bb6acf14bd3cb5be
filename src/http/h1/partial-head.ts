// A request head of which only the beginning has come: the bytes, and how far they have been parsed. It stands for its
// connection until the rest is there, in place of a thread, since such connections are what a server has by the ten thousand
// when its clients are slow or hostile: the bytes of small ones stand in memory that all share.

import { Slab, smallestBlock } from './blocks.js';
import type { Head } from './head.js';

/** Fewer bytes than this are sooner copied in a loop than by a call. */
const shortCopy = 32;

export class PartialHead {
  /** Bytes of memory that all of them hold together. */
  static held = 0;
  readonly head: Head;
  /** What has come stands in `bytes[start … end-1]`. */
  start = 0;
  end = 0;
  #slab: Slab | undefined;

  constructor(head: Head) {
    this.head = head;
  }

  /** The memory that its block is part of. */
  get bytes(): Uint8Array {
    return this.#slab?.bytes ?? empty;
  }

  /** Bytes of memory that it holds. */
  get size(): number {
    return this.#slab?.blockSize ?? 0;
  }

  /** Appends a copy. */
  add(bytes: Uint8Array, from: number, to: number): void {
    const needed = this.end - this.start + to - from;
    if (needed > this.size) this.#grow(needed);
    const own = this.bytes;
    let { end } = this;
    if (to - from < shortCopy) for (let at = from; at < to; at++) own[end++] = bytes[at];
    else {
      own.set(bytes.subarray(from, to), end);
      end += to - from;
    }
    this.end = end;
  }

  /** Gives the memory back. The bytes may not be looked at any more. */
  free(): void {
    this.#slab?.give(this.start);
    PartialHead.held -= this.size;
    this.#slab = undefined;
  }

  #grow(needed: number): void {
    const { bytes, start, end } = this;
    const before = this.#slab;
    let size = before?.blockSize ?? smallestBlock;
    while (size < needed) size *= 2;
    PartialHead.held += size - this.size;
    const slab = Slab.for(size);
    this.#slab = slab;
    this.start = slab.take();
    this.end = this.start + end - start;
    slab.bytes.set(bytes.subarray(start, end), this.start);
    before?.give(start);
  }
}

const empty = new Uint8Array(0);
