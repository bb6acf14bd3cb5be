// Whether a connection that has been accepted may stay: how many there may be in all, and of one client address.
//
// Nobody's address is looked at while that is not needed: as long as there are fewer connections in all than one address may have,
// no address has too many. From half as many on, each connection that comes is counted by its address, and with it one of those
// that are there already; so all are counted by the time that it matters. To ask for an address is a call to the
// kernel or several; for thousands at once it would be a pause that is felt.

import type { Slot } from '../event-layer/event-layer.js';
import { growTypedArray } from '../util/typed-array.js';
import { AddressCounts } from './address-counts.js';

/** The most rejected connections that get a response at the same time. Others are reset, so that rejected clients cannot take many connections. */
const maxRejectionResponses = 64;

/** While more than this part of them is left, a server that was full counts as full: one that is full comes and goes by one all the time. */
const fullHysteresis = 0.9;

/** The connections that there are, and who is to know when they are too many. */
export interface ConnectionSource {
  /** How many slots there are: all are below it. */
  readonly slots: number;
  /** Whether the slot is a connection of this server. */
  has(slot: Slot): boolean;
  /** See `EventLayer.peer`. */
  peer(slot: Slot): string;
  /** There are as many as there may be in all, and one more has come. Told again only after some of them have left. */
  onFull(): void;
}

/** What becomes of a connection: it stays, is answered with a status and closed, or is reset. */
export type Verdict = 'accepted' | 429 | 503 | 'reset';

export class Admission {
  readonly #source: ConnectionSource;
  readonly #maxConnections: number;
  readonly #maxPerAddress: number;
  /** Connections that stay. */
  #count = 0;
  /** `full` has been told, and not enough have left since. */
  #isFull = false;
  /** Connections that may not, until they are gone. */
  readonly #rejected = new Set<Slot>();
  #addresses: AddressCounts | undefined;
  /** By slot, the row of its address; 0 is none. */
  #rows = new Uint32Array(0);
  /** Slots below this one have been counted. */
  #counted = 0;

  /** @param most connections in all @param mostPerAddress connections of one client address */
  constructor(population: ConnectionSource, most: number, mostPerAddress: number) {
    this.#source = population;
    this.#maxConnections = most;
    this.#maxPerAddress = mostPerAddress;
  }

  /** How many stay. */
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

  /** A connection is gone. */
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

  /** Counts one of those that were there before addresses were looked at. */
  #countEarlierConnection(addresses: AddressCounts): void {
    const population = this.#source;
    while (this.#counted < population.slots) {
      const slot = this.#counted++;
      const isCounted = slot < this.#rows.length && this.#rows[slot] !== 0;
      if (isCounted || !population.has(slot) || this.#rejected.has(slot)) continue;
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
