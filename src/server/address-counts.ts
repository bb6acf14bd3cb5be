// The number of connections of each client address: a hash table in typed arrays, with a row of five numbers for each address. A server with 100,000
// clients at 100,000 addresses should not need a string and an entry of a Map for each.

import { randomInt } from 'node:crypto';
import { growTypedArray } from '../util/typed-array.js';

const smallest = 16;

/** No row. `leave` accepts it for a connection that was not counted. */
const none = 0;

export class AddressCounts {
  // Each row is an address; row 0 is unused. Free rows are linked through `#next`, starting at `#free`.
  #high = new Uint32Array(smallest);
  #low = new Uint32Array(smallest);
  #counts = new Uint32Array(smallest);
  /** The next row of the same bucket. */
  #next = new Uint32Array(smallest);
  /** The first row of each bucket; as many as there are rows. */
  #buckets = new Uint32Array(smallest);
  #free: number = none;
  #used = 1;
  /** Random, so that clients cannot choose addresses that share a bucket. */
  readonly #seed = randomInt(2 ** 32);

  /** Counts a connection. @param peer from `EventLayer.peer` @returns the row of its address, for `count` and `leave`; 0 if it has no address */
  enter(peer: string): number {
    const key = keyOf(peer);
    if (key === undefined) return none;
    const [high, low] = key;
    let row = this.#buckets[this.#bucketOf(high, low)];
    while (row !== none && (this.#high[row] !== high || this.#low[row] !== low)) row = this.#next[row];
    if (row === none) row = this.#add(high, low);
    this.#counts[row]++;
    return row;
  }

  /** The number of connections of the row's address. */
  count(row: number): number {
    return this.#counts[row];
  }

  /** A connection that was counted in the row has closed. */
  leave(row: number): void {
    if (row === none || --this.#counts[row] > 0) return;
    const bucket = this.#bucketOf(this.#high[row], this.#low[row]);
    if (this.#buckets[bucket] === row) {
      this.#buckets[bucket] = this.#next[row];
    } else {
      let before = this.#buckets[bucket];
      while (this.#next[before] !== row) before = this.#next[before];
      this.#next[before] = this.#next[row];
    }
    this.#next[row] = this.#free;
    this.#free = row;
  }

  #add(high: number, low: number): number {
    if (this.#free === none && this.#used === this.#next.length) this.#grow();
    const row = this.#free === none ? this.#used++ : this.#free;
    if (row === this.#free) this.#free = this.#next[row];
    this.#high[row] = high;
    this.#low[row] = low;
    this.#counts[row] = 0;
    this.#link(row);
    return row;
  }

  #link(row: number): void {
    const bucket = this.#bucketOf(this.#high[row], this.#low[row]);
    this.#next[row] = this.#buckets[bucket];
    this.#buckets[bucket] = row;
  }

  #bucketOf(high: number, low: number): number {
    let hash = Math.imul(high ^ this.#seed, 0x85ebca6b) ^ low;
    hash = Math.imul(hash ^ (hash >>> 15), 0xc2b2ae35);
    return (hash ^ (hash >>> 16) ^ this.#seed) & (this.#buckets.length - 1);
  }

  /** Called when every row is in use. */
  #grow(): void {
    const rows = 2 * this.#next.length;
    this.#high = growTypedArray(this.#high, new Uint32Array(rows));
    this.#low = growTypedArray(this.#low, new Uint32Array(rows));
    this.#counts = growTypedArray(this.#counts, new Uint32Array(rows));
    this.#next = new Uint32Array(rows);
    this.#buckets = new Uint32Array(rows);
    for (let row = 1; row < this.#used; row++) this.#link(row);
  }
}

/**
 * The key of a client address: an IPv4 address, or the first 64 bits of an IPv6 address, because an IPv6 client usually has a whole /64 network
 * (RFC 6177, RFC 7421).
 * @param peer `127.0.0.1:5678` or `[::1]:5678` @returns 64 bits, or undefined if it is not an address
 */
export function keyOf(peer: string): [high: number, low: number] | undefined {
  if (peer.charCodeAt(0) === 91) return keyOfIPv6(peer);
  let low = 0;
  let part = 0;
  let parts = 1;
  for (let at = 0; at < peer.length; at++) {
    const character = peer.charCodeAt(at);
    if (character === 58) return parts === 4 ? [0, ((low << 8) | part) >>> 0] : undefined;
    if (character === 46) {
      low = (low << 8) | part;
      part = 0;
      parts++;
    } else part = part * 10 + character - 48;
  }
  return undefined;
}

function keyOfIPv6(peer: string): [high: number, low: number] | undefined {
  const end = peer.indexOf(']');
  if (end === -1) return undefined;
  const [front, back] = peer.slice(1, end).split('::');
  const groups = front === '' ? [] : front.split(':');
  if (back !== undefined) {
    // Groups after `::` are in the first half only if there are many. An IPv4 address at the end counts as two groups.
    const behind = back === '' ? [] : back.split(':');
    const length = behind.length + (back.includes('.') ? 1 : 0);
    while (groups.length + length < 8) groups.push('0');
    groups.push(...behind);
  }
  if (groups.length < 4) return undefined;
  const [a, b, c, d] = groups.map((group) => Number.parseInt(group, 16));
  return [((a << 16) | b) >>> 0, ((c << 16) | d) >>> 0];
}
