// Fairness between connections: how much work each has caused in the current turn. A connection that has used its share continues in the next turn, after
// the others. One count covers all kinds of work: requests with or without a thread, and decoded chunks of bodies.

import type { Slot } from '../event-layer/event-layer.js';
import { growTypedArray } from '../util/typed-array.js';

/** The work of a request. The unit is a chunk of a request body. */
export const requestWork = 128;
/** A connection whose handlers have run for this many milliseconds without a break has also used its share. */
const maxStretch = 2;

// The upper bits of a row are the number of the turn, the lower ones the work in that turn: up to 16,383 requests.
const workBits = 21;
const mostWork = 2 ** workBits - 1;
const turnMask = 2 ** (31 - workBits) - 1; // so that V8 stores a row as a small integer

export class TurnShares {
  readonly #now: () => number;
  #turn = 0;
  #rows = new Int32Array(64);
  /** The connection that was served last, and since when. */
  #slot: Slot = -1;
  #since = 0;

  /** @param now the event layer's clock, in milliseconds */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** A turn starts. */
  next(): void {
    // The number wraps around. If a row still has the same number from the previous cycle, its connection gets a smaller share once.
    this.#turn = (this.#turn + 1) & turnMask;
    this.#slot = -1;
  }

  /** Counts work for a connection. */
  spend(slot: Slot, work: number): void {
    if (slot >= this.#rows.length) this.#rows = growTypedArray(this.#rows, new Int32Array(2 * slot));
    this.#rows[slot] = (this.#turn << workBits) | Math.min(this.#spent(slot) + work, mostWork);
  }

  /**
   * Whether a connection has used its share of this turn.
   * @param most the share
   */
  isSpent(slot: Slot, most: number): boolean {
    const spent = this.#spent(slot);
    if (spent === 0 || spent >= most) return spent > 0;
    const now = this.#now();
    if (slot === this.#slot) return now - this.#since >= maxStretch;
    this.#slot = slot;
    this.#since = now;
    return false;
  }

  #spent(slot: Slot): number {
    if (slot >= this.#rows.length) return 0;
    const row = this.#rows[slot];
    return row >> workBits === this.#turn ? row & mostWork : 0;
  }
}
