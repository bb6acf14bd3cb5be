// Accepting: each listener has a few operations in flight that accept one connection each, and are submitted again when the turn has
// handled what they brought. So a turn accepts no more than that many, and the others wait in the kernel's queue, which is bounded. (A
// multishot accept empties that queue each time that the ring is entered, however many connections are yet to be handled.)
//
// The kernel writes the peer's address along with the connection. It is still there when the peer has left already, and asking for
// it later takes several system calls.

import type { ListenerId } from '../event-layer.js';
import { parseName } from '../linux/addresses.js';
import type { Libc } from '../linux/libc.js';
import type { Listeners, Listening } from '../linux/listening.js';
import { map, type Region, unmap } from '../linux/memory.js';
import type { Files } from './files.js';
import { accepting, kindBits, type Operations } from './operations.js';
import type { Ring } from './ring.js';

/** Bytes for an operation: its address, and the address's length. */
const entryBytes = 64;
/** The offset of the length. */
const lengthAt = 32;
/** Of an address: a sockaddr_in6. Longer ones, of Unix-domain sockets, are cut short; only their family is looked at. */
const addressBytes = 28;

/** The accepts of one listener. */
interface Accepts {
  readonly listening: Listening;
  /** `entryBytes` for each operation. */
  readonly memory: Region;
  /** Numbers of operations that are not in flight. */
  readonly idle: number[];
  /** Numbers of those that are. */
  readonly inFlight: Set<number>;
  /** Operations in flight that accept into the ring's table. */
  direct: number;
  /** Called when the listener has stopped and nothing is in flight any more. */
  stopped: (() => void) | undefined;
}

export class Accepting {
  readonly #libc: Libc;
  readonly #ring: Ring;
  readonly #operations: Operations;
  readonly #files: Files;
  readonly #listeners: Listeners;
  readonly #most: number;
  readonly #all = new Map<ListenerId, Accepts>();
  /** Listeners with operations to be submitted. */
  readonly #due = new Set<Accepts>();

  /** @param most operations in flight for each listener; at most 64 */
  constructor(libc: Libc, ring: Ring, operations: Operations, files: Files, listeners: Listeners, most: number) {
    this.#libc = libc;
    this.#ring = ring;
    this.#operations = operations;
    this.#files = files;
    this.#listeners = listeners;
    this.#most = most;
  }

  /** Accepts, or continues after `pause`. */
  start(listening: Listening): void {
    let accepts = this.#all.get(listening.id);
    if (accepts === undefined) {
      const memory = map(this.#libc, 4096);
      const idle = Array.from({ length: this.#most }, (_, i) => i);
      accepts = { listening, memory, idle, inFlight: new Set(), direct: 0, stopped: undefined };
      this.#all.set(listening.id, accepts);
    }
    this.#arm(accepts);
  }

  pause({ id }: Listening): void {
    const accepts = this.#all.get(id);
    if (accepts === undefined) return;
    for (const number of accepts.inFlight) this.#operations.cancel(accepting | (id << kindBits), number);
  }

  /** Stops accepting. Resolves when no operation is in flight. */
  async stop(listening: Listening): Promise<void> {
    const accepts = this.#all.get(listening.id);
    if (accepts === undefined) return;
    this.pause(listening);
    this.#ring.enter(0);
    if (accepts.inFlight.size > 0)
      await new Promise<void>((resolve) => {
        accepts.stopped = resolve;
      });
    this.#all.delete(listening.id);
    unmap(this.#libc, accepts.memory);
  }

  /** An operation is over, whatever it has brought. @param number the high half of its user data @returns whether it was one into the ring's table */
  completed(id: ListenerId, number: number, result: number): boolean {
    const isDirect = (number & 1) === 1;
    if (isDirect) this.#files.reserved--;
    if (isDirect && result >= 0) this.#files.open++;
    const accepts = this.#all.get(id);
    if (accepts === undefined) return isDirect;
    accepts.inFlight.delete(number);
    if (isDirect) accepts.direct--;
    accepts.idle.push(number >> 1);
    this.#due.add(accepts);
    return isDirect;
  }

  /** The address that an operation has brought, until `submit` is called. @returns undefined if it is none of the internet */
  peerOf(id: ListenerId, number: number): { hostname: string; port: number } | undefined {
    const memory = this.#all.get(id)?.memory;
    const at = (number >> 1) * entryBytes;
    return memory && parseName(memory.bytes.subarray(at, at + addressBytes));
  }

  /** Submits again what is over. Called when what that has brought is handled. */
  submit(): void {
    if (this.#due.size === 0) return;
    for (const accepts of this.#due) {
      if (accepts.listening.open && !accepts.listening.resting) this.#arm(accepts);
      else if (accepts.inFlight.size === 0) accepts.stopped?.();
    }
    this.#due.clear();
  }

  /** A connection has left the ring's table. */
  tableEntryRemoved(): void {
    this.#files.open--;
    // A listener that found the table full has fewer operations in flight than it may.
    for (const listening of this.#listeners.all()) {
      const accepts = this.#all.get(listening.id);
      if (accepts !== undefined && accepts.direct > 0 && accepts.idle.length > 0) this.#due.add(accepts);
    }
  }

  /** Submits as many as may be in flight: into the table, or as ordinary descriptors if it is full. */
  #arm(accepts: Accepts): void {
    const { listening, memory, idle, inFlight } = accepts;
    while (idle.length > 0) {
      const isDirect = this.#files.hasRoom;
      // Not both: a process that has run out of descriptors still accepts into the table.
      if (!isDirect && accepts.direct > 0) return;
      const index = idle.pop() ?? 0; // there is one
      const number = 2 * index + (isDirect ? 1 : 0);
      const at = index * entryBytes;
      memory.bytes.writeInt32LE(addressBytes, at + lengthAt);
      memory.bytes.fill(0, at, at + 2);
      inFlight.add(number);
      if (isDirect) {
        accepts.direct++;
        this.#files.reserved++;
      }
      const address = memory.address + at;
      this.#operations.accept(listening.descriptor, listening.id, number, isDirect, address, address + lengthAt);
    }
  }
}
