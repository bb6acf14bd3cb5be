// Input of a connection beyond its share of a turn. Before a turn starts, the kernel may have filled all buffers with the input of one
// connection. What is more than its share is held here for later turns, in the buffers and in order, and is reported there after the new
// input of other connections. So these do not wait for handlers that get very much input at once.

import { growTypedArray } from '../../util/typed-array.js';
import type { Slot } from '../event-layer.js';
import { firstRows } from '../linux/slots.js';

/** Reports what a completion says; see `UringLayer`. */
type Report = (slot: Slot, generation: number, result: number, flags: number) => void;

/** Of a slot's row: some of its completions are held. The other bits count the full buffers of this turn. */
const held = 128;
const words = 4;

export class Overshare {
  /** The number of full buffers that are a share. */
  readonly #share: number;
  #rows = new Uint8Array(firstRows);
  /** Slots of which this turn has reported full buffers. */
  #counted: Slot[] = [];
  /** Completions, four numbers each. */
  #held: number[] = [];

  /** @param share the most full buffers of one connection that a turn reports; at most 127 */
  constructor(share: number) {
    this.#share = Math.min(share, held - 1);
  }

  get isPending(): boolean {
    return this.#held.length > 0;
  }

  grow(rows: number): void {
    this.#rows = growTypedArray(this.#rows, new Uint8Array(rows));
  }

  /** Whether input of a connection is to be held: it has had its share of this turn, or some of its input is held already. */
  isOver(slot: Slot): boolean {
    return this.#rows[slot] >= this.#share;
  }

  /** A full buffer of the connection is reported. */
  count(slot: Slot): void {
    if ((this.#rows[slot]++ & (held - 1)) === 0) this.#counted.push(slot);
  }

  hold(slot: Slot, generation: number, result: number, flags: number): void {
    this.#rows[slot] |= held;
    this.#held.push(slot, generation, result, flags);
  }

  /** Reports what is held of each connection, up to its share of this turn, and until the turn's time is over. */
  replay(report: Report, isTimeOver: () => boolean): void {
    const all = this.#held;
    this.#held = [];
    for (let at = 0; at < all.length; at += words) this.#rows[all[at]] &= ~held;
    let isLate = false;
    for (let at = 0; at < all.length; at += words) {
      const slot = all[at];
      if (isLate || this.isOver(slot)) {
        this.hold(slot, all[at + 1], all[at + 2], all[at + 3]);
      } else {
        report(slot, all[at + 1], all[at + 2], all[at + 3]);
        isLate = isTimeOver();
      }
    }
  }

  endTurn(): void {
    if (this.#counted.length === 0) return; // most turns: to empty a list takes a call of the engine's runtime
    for (const slot of this.#counted) this.#rows[slot] &= held;
    this.#counted.length = 0;
  }
}
