// The table of connections: a row of a few numbers for each, and nothing else as long as it is idle. Output has columns of its own
// (output.ts), and so have the layers; they grow with this one.

import { growTypedArray } from '../../util/typed-array.js';
import { ConnectionError, type Slot } from '../event-layer.js';

// What is known of a slot, as bits of `flags`.
/** It is connected. */
export const open = 1;
/** A connection is being made. */
export const connecting = 2;
/** `queued` has reached the high-water mark, and `drained` has not been told since. */
export const flooded = 4;
/** `finish` has been called. */
export const finishing = 8;
/** FIN has been sent. */
export const finished = 16;
/** `ended` has been told. */
export const ended = 32;
/** It is gone: only `closed` is told any more. */
export const dropped = 64;
/** There may be output, or a FIN, to hand over at the end of the turn. */
export const dirty = 128;
/** Sending has changed something that is to be told. */
export const needsNotify = 256;
/** Reading is paused. */
export const paused = 512;
/** Output waits until the socket is writable. */
export const blocked = 1024;
/** The peer has left, and a later turn will tell so: see ../departures.ts. */
export const departing = 2048;

// What is exported is loaded from where importers find it, here too; these are constants to the engine.
const openOrConnecting = open | connecting;
const openOrDropped = open | dropped;
const isOpen = open;

/** Rows that a table has room for at first. */
export const firstRows = 64;

export class Slots {
  /** -1 is none. */
  descriptors = new Int32Array(firstRows);
  flags = new Uint16Array(firstRows);
  /** Counts the tenants of a slot, so that what the kernel says late of one is not taken for the next one's. */
  generations = new Uint32Array(firstRows);
  /** Who has accepted it; 0 for one made by `connect`. */
  listeners = new Uint32Array(firstRows);
  /** Slots that have a tenant. */
  taken = 0;
  /** Rows that have ever had a tenant. */
  rows = 0;
  readonly #free: Slot[] = [];
  /** Told how many rows there is room for, when that has grown. */
  readonly #grown: (rows: number) => void;

  constructor(grown: (rows: number) => void) {
    this.#grown = grown;
  }

  /** Gives out a slot, the one left last first. */
  allocate(descriptor: number, flags: number): Slot {
    const slot = this.#free.pop() ?? this.rows++;
    if (slot >= this.flags.length) this.#grow();
    this.descriptors[slot] = descriptor;
    this.flags[slot] = flags;
    this.taken++;
    return slot;
  }

  release(slot: Slot): void {
    this.flags[slot] = 0;
    this.generations[slot]++;
    this.listeners[slot] = 0;
    this.#free.push(slot);
    this.taken--;
  }

  /** Rows that are free. */
  get freeRows(): number {
    return this.#free.length;
  }

  isTaken(slot: Slot): boolean {
    return slot < this.rows && (this.flags[slot] & openOrConnecting) !== 0;
  }

  /** Events are still told of it. */
  isTold(slot: Slot): boolean {
    return (this.flags[slot] & openOrDropped) === isOpen;
  }

  /** @throws {ConnectionError} `ERR_SLOT` */
  check(slot: Slot): void {
    if (this.isTaken(slot)) return;
    throw new ConnectionError('ERR_SLOT', `slot ${slot} has no connection: its caller has missed that it closed`);
  }

  #grow(): void {
    const rows = 2 * this.flags.length;
    this.descriptors = growTypedArray(this.descriptors, new Int32Array(rows));
    this.flags = growTypedArray(this.flags, new Uint16Array(rows));
    this.generations = growTypedArray(this.generations, new Uint32Array(rows));
    this.listeners = growTypedArray(this.listeners, new Uint32Array(rows));
    this.#grown(rows);
  }
}
