// The table of connections, as far as the layers over a system have it in common: a row of a few numbers for each, and nothing else as long
// as it is idle. Each layer adds columns, and so does each of its files; they grow with this table.

import { growTypedArray } from '../util/typed-array.js';
import { slotClosed } from './errors.js';
import type { Slot } from './event-layer.js';

// The state of a slot, as bits of `flags`. Each layer has more of them, from `firstOwnFlag` on.
/** It is connected. */
export const open = 1;
/** A connection is being made. */
export const connecting = 2;
/** `queued` has reached the high-water mark, and `drained` has not been reported since. */
export const flooded = 4;
/** `finish` has been called. */
export const finishing = 8;
/** FIN has been sent. */
export const finished = 16;
/** `ended` has been reported. */
export const ended = 32;
/** It is closed here, or has broken: only `closed` is still reported. */
export const dropped = 64;
/** There may be output, or a FIN, to send at the end of the turn. */
export const dirty = 128;
/** Sending has changed something that is to be reported. */
export const needsNotify = 256;
/** Reading is paused. */
export const paused = 512;

export const firstOwnFlag = 1024;

/** Rows that a table has room for at first. */
export const firstRows = 64;

// Constants of this module, since the engine loads an exported one from the module's table each time that it is used.
const openOrConnecting = open | connecting;
const openOrDropped = open | dropped;
const isOpen = open;

export abstract class SlotTable {
  flags = new Uint16Array(firstRows);
  /** The listener that has accepted the connection; 0 for one made by `connect`. */
  listeners = new Uint32Array(firstRows);
  /** Slots in use. */
  taken = 0;
  /** Slots that have ever been in use. */
  rows = 0;
  readonly #free: Slot[] = [];
  /** Called with the number of rows there is room for, when that has grown. */
  readonly #onGrown: (rows: number) => void;

  constructor(onGrown: (rows: number) => void) {
    this.#onGrown = onGrown;
  }

  /** Takes a slot, the one freed last first. */
  protected take(flags: number): Slot {
    const slot = this.#free.pop() ?? this.rows++;
    if (slot >= this.flags.length) this.#grow();
    this.flags[slot] = flags;
    this.taken++;
    return slot;
  }

  free(slot: Slot): void {
    this.flags[slot] = 0;
    this.listeners[slot] = 0;
    this.#free.push(slot);
    this.taken--;
  }

  /** Slots that have been in use and are free. */
  get freeRows(): number {
    return this.#free.length;
  }

  isTaken(slot: Slot): boolean {
    return slot < this.rows && (this.flags[slot] & openOrConnecting) !== 0;
  }

  /** Whether it is connected, and its events are still reported. */
  isLive(slot: Slot): boolean {
    return (this.flags[slot] & openOrDropped) === isOpen;
  }

  /** @throws {ConnectionError} `ERR_SLOT` */
  check(slot: Slot): void {
    if (!this.isTaken(slot)) throw slotClosed(slot);
  }

  /** Makes room for so many rows. */
  protected grow(rows: number): void {
    this.flags = growTypedArray(this.flags, new Uint16Array(rows));
    this.listeners = growTypedArray(this.listeners, new Uint32Array(rows));
  }

  #grow(): void {
    const rows = 2 * this.flags.length;
    this.grow(rows);
    this.#onGrown(rows);
  }
}
