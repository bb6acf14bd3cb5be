// The limits on connections: in all, and for each client address.
//
// Looking an address up costs one or more system calls, so it is avoided while possible: as long as there are fewer connections in all than one address may
// have, no address can exceed its limit. From half of that number on, each new connection is counted by its address, and with it one of the
// connections that are already open. So all are counted in time, without a pause for thousands of lookups at once.

import type { Slot } from '../event-layer/event-layer.js';
import { growTypedArray } from '../util/typed-array.js';
import { AddressCounts } from './address-counts.js';

/** The most rejected connections that get a response at the same time. Others are reset, so that rejected clients cannot take many connections. */
const maxRejectionResponses = 64;

/** A full server counts as full until this share of the limit is left, because the number of connections of a full server varies all the time. */
const fullHysteresis = 0.9;

/** The server whose connections are counted. */
export interface ConnectionSource {
  /** All slots are below this number. */
  readonly slots: number;
  /** Whether the slot is a connection of this server. */
  has(slot: Slot): boolean;
  /** See `EventLayer.peer`. */
  peer(slot: Slot): string;
  /** The limit on all connections is reached, and one more was accepted. Called again only after enough of them have closed. */
  onFull(): void;
}

/** A connection is accepted, answered with a status and closed, or reset. */
export type Verdict = 'accepted' | 429 | 503 | 'reset';

export class Admission {
  readonly #source: ConnectionSource;
  readonly #maxConnections: number;
  readonly #maxPerAddress: number;
  /** Connections that were accepted and are open. */
  #count = 0;
  /** `onFull` has been called, and not enough connections have closed since. */
  #isFull = false;
  /** Connections that were rejected, until they close. */
  readonly #rejected = new Set<Slot>();
  #addresses: AddressCounts | undefined;
  /** The row of each slot's address; 0 for none. */
  #rows = new Uint32Array(0);
  /** Slots below this one have been counted. */
  #counted = 0;

  /** @param most connections in all @param mostPerAddress connections of one client address */
  constructor(source: ConnectionSource, most: number, mostPerAddress: number) {
    this.#source = source;
    this.#maxConnections = most;
    this.#maxPerAddress = mostPerAddress;
  }

  /** How many accepted connections are open. */
  get connections(): number {
    return this.#count;
  }

  /** A connection has been accepted. */
  enter(slot: Slot): Verdict {
    if (this.#count >= this.#maxConnections) {
      if (!this.#isFull) this.#source.onFull();
      this.#isFull = true;
      return this.#reject(slot, 503);
    }
    if (this.#addresses === undefined && this.#count >= Math.floor(this.#maxPerAddress / 2)) {
      this.#addresses = new AddressCounts();
      this.#counted = 0;
    }
    const addresses = this.#addresses;
    if (addresses !== undefined) {
      const row = this.#countAddress(addresses, slot);
      if (addresses.count(row) > this.#maxPerAddress) {
        this.#removeAddress(addresses, slot);
        return this.#reject(slot, 429);
      }
      this.#countEarlierConnection(addresses);
    }
    this.#count++;
    return 'accepted';
  }

  /** The address of a connection that has entered is known only now. @returns 429 or `reset` if there are too many of it */
  identify(slot: Slot): Verdict {
    const addresses = this.#addresses;
    const isCounted = slot < this.#rows.length && this.#rows[slot] !== 0;
    if (addresses === undefined || isCounted || this.#rejected.has(slot)) return 'accepted';
    const row = this.#countAddress(addresses, slot);
    if (addresses.count(row) <= this.#maxPerAddress) return 'accepted';
    this.#removeAddress(addresses, slot);
    this.#count--;
    return this.#reject(slot, 429);
  }

  /** A connection has closed. */
  leave(slot: Slot): void {
    if (this.#rejected.delete(slot)) return;
    this.#count--;
    if (this.#count <= this.#maxConnections * fullHysteresis) this.#isFull = false;
    const addresses = this.#addresses;
    if (addresses === undefined) return;
    this.#removeAddress(addresses, slot);
    if (this.#count >= Math.floor(this.#maxPerAddress / 4)) return;
    this.#addresses = undefined;
    this.#rows = new Uint32Array(0);
  }

  #reject(slot: Slot, status: 429 | 503): Verdict {
    this.#rejected.add(slot);
    return this.#rejected.size > maxRejectionResponses ? 'reset' : status;
  }

  #countAddress(addresses: AddressCounts, slot: Slot): number {
    if (slot >= this.#rows.length)
      this.#rows = growTypedArray(this.#rows, new Uint32Array(Math.max(2 * this.#rows.length, slot + 1, 64)));
    const row = addresses.enter(this.#source.peer(slot));
    this.#rows[slot] = row;
    return row;
  }

  /** Counts one of the connections that were accepted before addresses were counted. */
  #countEarlierConnection(addresses: AddressCounts): void {
    const source = this.#source;
    while (this.#counted < source.slots) {
      const slot = this.#counted++;
      const isCounted = slot < this.#rows.length && this.#rows[slot] !== 0;
      if (isCounted || !source.has(slot) || this.#rejected.has(slot)) continue;
      this.#countAddress(addresses, slot);
      return;
    }
  }

  #removeAddress(addresses: AddressCounts, slot: Slot): void {
    if (slot >= this.#rows.length) return;
    addresses.leave(this.#rows[slot]);
    this.#rows[slot] = 0;
  }
}
