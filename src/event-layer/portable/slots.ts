// The table of connections: the socket of each, and a row of a few numbers. Output has columns of its own (output.ts), which grow with
// this one.

import type { Socket } from 'node:net';
import { growTypedArray } from '../../util/typed-array.js';
import { ConnectionError, type Slot } from '../event-layer.js';

// What is known of a slot, as bits of `flags`.
/** There is (or, after `connect`, is not yet) a connection. */
export const open = 1;
/** `queued` has reached the high-water mark, and `drained` has not been told since. */
export const flooded = 2;
/** `finish` has been called. */
export const finishing = 4;
/** The FIN has been given to node:net. */
export const finished = 8;
/** `ended` has been told. */
export const ended = 16;
/** `reset` has been called: only `closed` is told any more. */
export const dropped = 32;
/** There may be output, or a FIN, to hand over at the end of the turn. */
export const dirty = 64;
/** In the next turn it is seen to what a write that is done has changed. */
export const settling = 128;
/** Reading is paused. */
export const paused = 256;
/** The peer's FIN is there and is told when reading is resumed; node:net does not wait with it. */
export const endHeld = 512;
/** It has had its share of this round of the event loop: what else it has sent is read in the next. */
export const overshare = 1024;

/** Rows that a table has room for at first. */
export const firstRows = 64;

/** The slot that a socket has, or has had: its tenant is the socket that stands in `sockets` there. */
const slotKey = Symbol('slot');
export interface TenantSocket extends Socket {
  [slotKey]?: Slot;
}

export class Slots {
  readonly sockets: (TenantSocket | undefined)[] = [];
  flags = new Uint16Array(firstRows);
  /** Who has accepted it; 0 for one made by `connect`. */
  listeners = new Uint32Array(firstRows);
  /** Slots that have a tenant. */
  taken = 0;
  readonly #free: Slot[] = [];
  /** Told how many rows there is room for, when that has grown. */
  readonly #grown: (rows: number) => void;

  constructor(grown: (rows: number) => void) {
    this.#grown = grown;
  }

  /** Gives a socket a slot, the one left last first. */
  allot(socket: TenantSocket): Slot {
    const slot = this.#free.pop() ?? this.sockets.length;
    if (slot >= this.flags.length) this.#grow();
    this.sockets[slot] = socket;
    socket[slotKey] = slot;
    this.taken++;
    return slot;
  }

  vacate(slot: Slot): void {
    this.sockets[slot] = undefined;
    this.flags[slot] = 0;
    this.listeners[slot] = 0;
    this.#free.push(slot);
    this.taken--;
  }

  /** @throws {ConnectionError} `ERR_SLOT` */
  tenant(slot: Slot): TenantSocket {
    const socket = this.sockets[slot];
    if (socket === undefined)
      throw new ConnectionError('ERR_SLOT', `slot ${slot} has no connection: its caller has missed that it closed`);
    return socket;
  }

  /** The slot whose tenant the socket is; undefined if it is that of none, any more. */
  slotOf(socket: TenantSocket): Slot | undefined {
    const slot = socket[slotKey];
    return slot !== undefined && this.sockets[slot] === socket ? slot : undefined;
  }

  /** Whether events of this socket are still told: it is its slot's tenant, and has not been reset from here. */
  isTold(socket: TenantSocket, slot: Slot): boolean {
    return this.sockets[slot] === socket && (this.flags[slot] & dropped) === 0;
  }

  #grow(): void {
    const rows = 2 * this.flags.length;
    this.flags = growTypedArray(this.flags, new Uint16Array(rows));
    this.listeners = growTypedArray(this.listeners, new Uint32Array(rows));
    this.#grown(rows);
  }
}
