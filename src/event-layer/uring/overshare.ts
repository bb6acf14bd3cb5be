// Input of a connection beyond its share of a turn. By the time that a turn is told what a connection has sent, the kernel may have filled
// all buffers for it: what is more than its share is held here, in the buffers and in order, for the turns that follow, in which it comes
// after all that is new of other connections. So these are not kept waiting by handlers that get very much at once.

import { growTypedArray } from '../../util/typed-array.js';
import type { Slot } from '../event-layer.js';
import { firstRows } from '../linux/slots.js';

/** What a completion says: see `UringLayer`. */
type Tell = (slot: Slot, generation: number, result: number, flags: number) => void;

/** Of a slot's row: some of its completions are held. The other bits count the full buffers of this turn. */
const held = 128;
const words = 4;

export class Overshare {
  /** Full buffers that are a share. */
  readonly #share: number;
  #rows = new Uint8Array(firstRows);
  /** Slots of which this turn has told something. */
  #counted: Slot[] = [];
  /** Completions, four numbers each. */
  #held: number[] = [];

  /** @param share full buffers of one connection that a turn may be told of; at most 127 */
  constructor(share: number) {
    this.#share = Math.min(share, held - 1);
  }

  get isPending(): boolean {
    return this.#held.length > 0;
  }

  grow(rows: number): void {
    this.#rows = growTypedArray(this.#rows, new Uint8Array(rows));
  }

  /** Whether what comes of a connection is to be held, because of what it has had in this turn or what is held of it already. */
  isOver(slot: Slot): boolean {
    return this.#rows[slot] >= this.#share;
  }

  /** A full buffer of the connection is told. */
  count(slot: Slot): void {
    if ((this.#rows[slot]++ & (held - 1)) === 0) this.#counted.push(slot);
  }

  hold(slot: Slot, generation: number, result: number, flags: number): void {
    this.#rows[slot] |= held;
    this.#held.push(slot, generation, result, flags);
  }

  /** Tells what is held of each connection, up to its share of this turn, and until the turn's time is over. */
  replay(tell: Tell, isTimeOver: () => boolean): void {
    const all = this.#held;
    this.#held = [];
    for (let at = 0; at < all.length; at += words) this.#rows[all[at]] &= ~held;
    let isLate = false;
    for (let at = 0; at < all.length; at += words) {
      const slot = all[at];
      if (isLate || this.isOver(slot)) {
        this.hold(slot, all[at + 1], all[at + 2], all[at + 3]);
      } else {
        tell(slot, all[at + 1], all[at + 2], all[at + 3]);
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
