// The heads of which only the beginning has come, by slot. Each stands for its connection, in place of a thread, until the rest is there.

import type { BufferedBytes } from '../../connection/buffered-bytes.js';
import type { Slot } from '../../event-layer/event-layer.js';
import type { Head } from './head.js';
import { PartialHead } from './partial-head.js';

export class PartialHeads {
  /** How many there are. */
  count = 0;
  readonly #bySlot: (PartialHead | undefined)[] = [];
  readonly #buffers: BufferedBytes;

  /** @param buffers where their memory is counted */
  constructor(buffers: BufferedBytes) {
    this.#buffers = buffers;
  }

  has(slot: Slot): boolean {
    return this.#bySlot[slot] !== undefined;
  }

  /** Takes the one of a slot away, to go on with it. */
  take(slot: Slot): PartialHead | undefined {
    const partial = this.#bySlot[slot];
    if (partial === undefined) return undefined;
    this.#bySlot[slot] = undefined;
    this.count--;
    return partial;
  }

  /** Keeps one for a slot that has none. */
  put(slot: Slot, partial: PartialHead): void {
    this.#bySlot[slot] = partial;
    this.count++;
  }

  /** Starts one, of the first bytes of a head. @returns undefined if there is no memory for it */
  start(head: Head, bytes: Uint8Array, start: number, end: number): PartialHead | undefined {
    const partial = new PartialHead(head);
    if (this.add(partial, bytes, start, end)) return partial;
    this.free(partial);
    return undefined;
  }

  /** Adds a copy of what has come to one that was taken. @returns whether there is memory for it */
  add(partial: PartialHead, bytes: Uint8Array, start: number, end: number): boolean {
    const before = partial.size;
    partial.add(bytes, start, end);
    const growth = partial.size - before;
    if (growth > 0) this.#buffers.add(growth);
    return growth === 0 || !this.#buffers.isExceeded;
  }

  /** Gives back the memory of one that was taken. */
  free(partial: PartialHead): void {
    this.#buffers.add(-partial.size);
    partial.free();
  }

  /** Drops the one of a slot. @returns its head, which is as far as it has come */
  drop(slot: Slot): Head | undefined {
    const partial = this.take(slot);
    if (partial === undefined) return undefined;
    this.free(partial);
    return partial.head;
  }
}
