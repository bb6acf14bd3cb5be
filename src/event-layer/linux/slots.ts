// The table of connections of the Linux layers. Output (output.ts), epoll/ and uring/ have their own columns.

import { growTypedArray } from '../../util/typed-array.js';
import type { Slot } from '../event-layer.js';
import { firstOwnFlag, firstRows, SlotTable } from '../slots.js';

export * from '../slots.js';

/** Output waits until the socket is writable. */
export const blocked = firstOwnFlag;
/** The peer has left, and a later turn reports it: see ../departures.ts. */
export const departing = 2 * firstOwnFlag;

export class Slots extends SlotTable {
  /** -1 is none. */
  descriptors = new Int32Array(firstRows);
  /** How often a slot has been freed. The kernel may report late on a connection whose slot is in use again. */
  generations = new Uint32Array(firstRows);

  allocate(descriptor: number, flags: number): Slot {
    const slot = this.take(flags);
    this.descriptors[slot] = descriptor;
    return slot;
  }

  override free(slot: Slot): void {
    this.generations[slot]++;
    super.free(slot);
  }

  protected override grow(rows: number): void {
    super.grow(rows);
    this.descriptors = growTypedArray(this.descriptors, new Int32Array(rows));
    this.generations = growTypedArray(this.generations, new Uint32Array(rows));
  }
}
