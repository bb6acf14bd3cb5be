// How much of the current turn each connection has had, so that one that has sent very much waits for the next turn, after the others. One
// count for all kinds of work, whoever does it: requests answered with or without a thread, chunks of a body decoded.

import type { Slot } from '../event-layer/event-layer.js';
import { growTypedArray } from '../util/typed-array.js';

/** A chunk of a request body is the unit of work; a request counts as so many. */
export const requestWork = 128;
/** A connection that has worked for so many milliseconds at a stretch, in handlers that take long, has had its share as well. */
const maxStretch = 2;

// A row has the number of the turn in its upper bits, and the work done in that turn in the lower ones: room for 16,383 requests.
const workBits = 21;
const mostWork = 2 ** workBits - 1;
const turnMask = 2 ** (31 - workBits) - 1; // so that a row is a small integer to the engine

export class TurnShares {
  readonly #now: () => number;
  #turn = 0;
  #rows = new Int32Array(64);
  /** The connection that is at work, and since when. */
  #slot: Slot = -1;
  #since = 0;

  /** @param now milliseconds of the event layer */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** A turn begins. */
  next(): void {
    // Counted in few bits. A count that is left from as many turns ago only makes one share smaller.
    this.#turn = (this.#turn + 1) & turnMask;
    this.#slot = -1;
  }

  /** Work has been done for a connection in this turn. */
  spend(slot: Slot, work: number): void {
    if (slot >= this.#rows.length) this.#rows = growTypedArray(this.#rows, new Int32Array(2 * slot));
    this.#rows[slot] = (this.#turn << workBits) | Math.min(this.#spent(slot) + work, mostWork);
  }

  /**
   * Whether a connection has had its share of this turn: what else it has sent is for the next one.
   * @param most how much work that is
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
