// Bytes that come in pieces and are wanted as a whole. Small pieces are put together as they come: an array for each byte of a body
// that comes in chunks of one byte would take many times the memory of the body.

import { freeBytes } from './free-bytes.js';

const largestBlock = 64 * 1024;
/**
 * Where the length is known, the array is made this many times as large when it is full. Its sizes are the length divided by powers of this, so all
 * that is copied is a third of the length. With powers of another size the last but one could be nearly the whole, which would be copied once more.
 */
const growth = 4;
/** Fewer bytes than this are sooner copied in a loop than by a call. */
const shortCopy = 32;

export class ByteBuilder {
  /** Bytes that have been added. */
  length = 0;
  /** Bytes of memory that they take. */
  capacity = 0;
  /** How many bytes it will be; undefined if that is not known. */
  readonly #expected: number | undefined;
  /** All of them full but the last one. Where the length is known there is one at most. */
  #blocks: Uint8Array<ArrayBuffer>[] = [];
  /** How far the last one is filled. */
  #filled = 0;

  /** @param expected how many bytes will be added, if that is known. Memory is taken as they come, at most four times as much as has come */
  constructor(expected?: number) {
    this.#expected = expected;
  }

  /** How many bytes of memory more it takes to add so many. */
  growth(count: number): number {
    const room = (this.#blocks.at(-1)?.length ?? 0) - this.#filled;
    if (count <= room) return 0;
    const size = this.#nextBlock(count - room, this.length + room);
    return this.#replaces(this.length + room) ? size - this.capacity : size;
  }

  /** Adds a copy of `count` bytes, from `start` on. */
  add(bytes: Uint8Array, start = 0, count = bytes.length - start): void {
    const end = start + count;
    for (let from = start; from < end; ) {
      let block = this.#blocks.at(-1);
      if (block === undefined || this.#filled === block.length) block = this.#grow(end - from);
      const part = Math.min(end - from, block.length - this.#filled);
      if (part < shortCopy) for (let i = 0; i < part; i++) block[this.#filled + i] = bytes[from + i];
      else block.set(bytes.subarray(from, from + part), this.#filled);
      this.#filled += part;
      this.length += part;
      from += part;
    }
  }

  /** All of them, in one array. Nothing may be added afterwards. */
  toBytes(): Uint8Array<ArrayBuffer> {
    const blocks = this.#blocks;
    if (blocks.length === 1 && blocks[0].length === this.length) return blocks[0];
    const whole = new Uint8Array(this.length);
    let at = 0;
    for (const block of blocks) {
      const part = block.subarray(0, this.length - at);
      whole.set(part, at);
      at += part.length;
      freeBytes(block);
    }
    this.#blocks = [whole];
    return whole;
  }

  /** Whether the next block takes the place of the others, which are `length` bytes. */
  #replaces(length: number): boolean {
    return this.#expected !== undefined && length < this.#expected;
  }

  /** How large the next block is to be, of which so many bytes are there. @param length of those before, all of them full */
  #nextBlock(more: number, length: number): number {
    if (this.#expected !== undefined && length < this.#expected) {
      let size = this.#expected;
      while (size > growth * (length + more)) size /= growth;
      return Math.floor(size);
    }
    // A single piece gets a block of its size, as it is usually all there is. Many pieces get blocks that double.
    return Math.max(more, Math.min(length, largestBlock));
  }

  /** Makes room for more, of which so many bytes are there. @returns where they go, from `#filled` on */
  #grow(more: number): Uint8Array<ArrayBuffer> {
    const { length } = this;
    const block = new Uint8Array(this.#nextBlock(more, length));
    if (this.#replaces(length)) {
      if (length > 0) {
        block.set(this.#blocks[0]);
        freeBytes(this.#blocks[0]);
      }
      this.#blocks = [block];
      this.#filled = length;
      this.capacity = block.length;
    } else {
      this.#blocks.push(block);
      this.#filled = 0;
      this.capacity += block.length;
    }
    return block;
  }
}
