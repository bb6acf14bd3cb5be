// What is done to a socket by its descriptor. Where that is one of the ring's own, the system calls do not know it: then the ring
// does it, or makes an ordinary descriptor for the moment.

import type { Slot } from '../event-layer.js';
import type { Libc } from '../linux/libc.js';
import { map, type Region, unmap } from '../linux/memory.js';
import type { Slots } from '../linux/slots.js';
import { lingerNot, SHUT_WR, SO_LINGER, SOL_SOCKET } from '../linux/sockets.js';
import type { Operations } from './operations.js';
import type { Ring } from './ring.js';

export class Direct {
  readonly #libc: Libc;
  readonly #ring: Ring;
  readonly #operations: Operations;
  readonly #slots: Slots;
  /** Where the kernel reads that closing is to send RST. */
  readonly #linger: Region;
  /** What the last `installing` has brought: a descriptor, or a negative error number. */
  installed = -1;

  constructor(libc: Libc, ring: Ring, operations: Operations, slots: Slots) {
    this.#libc = libc;
    this.#ring = ring;
    this.#operations = operations;
    this.#slots = slots;
    this.#linger = map(libc, 4096);
    this.#linger.bytes.set(lingerNot);
  }

  /** Sends FIN. */
  shutDown(slot: Slot): void {
    const descriptor = this.#slots.descriptors[slot];
    if (!this.#operations.isDirect(slot)) {
      this.#libc.shutdown(descriptor, SHUT_WR);
      return;
    }
    // The ring's own shutdown runs on a thread of the kernel. It is used when no descriptor is available.
    const ordinary = this.#install(descriptor);
    if (ordinary < 0) {
      this.#operations.shutDown(descriptor);
      return;
    }
    this.#libc.shutdown(ordinary, SHUT_WR);
    this.#libc.close(ordinary);
  }

  /** The address of one end of the connection, as the contract wants it; empty if it is not known. @param ask `peerName` or `localName` */
  nameOf(slot: Slot, ask: (libc: Libc, fd: number) => string): string {
    const descriptor = this.#slots.descriptors[slot];
    if (!this.#operations.isDirect(slot)) return ask(this.#libc, descriptor);
    const ordinary = this.#install(descriptor);
    if (ordinary < 0) return '';
    const name = ask(this.#libc, ordinary);
    this.#libc.close(ordinary);
    return name;
  }

  /** Has closing send RST. */
  lingerNot(descriptor: number, isDirect: boolean): void {
    if (isDirect) this.#operations.setLinger(descriptor, this.#linger.address);
    else this.#libc.setsockopt(descriptor, SOL_SOCKET, SO_LINGER, lingerNot, lingerNot.length);
  }

  close(): void {
    unmap(this.#libc, this.#linger);
  }

  /** Makes an ordinary descriptor of one of the ring's, for what only those are good for. @returns it, or a negative error number */
  #install(descriptor: number): number {
    this.#operations.install(descriptor);
    this.installed = -1;
    this.#ring.enter(0);
    return this.installed;
  }
}
