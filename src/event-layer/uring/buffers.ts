// The buffers that the kernel receives into: one ring of them for all connections (io_uring_register_buf_ring(3)). A buffer is
// the kernel's until a completion names it, ours until it is given back, and goes back in the turn in which it came.

import { failure, type Libc } from '../linux/libc.js';
import { map, type Region, unmap } from '../linux/memory.js';
import type { Ring } from './ring.js';

const REGISTER_PBUF_RING = 22;
/** The group that receives name. There is one. */
export const bufferGroup = 1;

const entryWords = 4;
/** The offset of the ring's tail, in units of 16 bits. */
const tailAt = 7;

export class Buffers {
  /** All buffers, one behind the other. */
  readonly bytes: Buffer;
  readonly size: number;
  readonly count: number;
  /** Buffers that are not the kernel's. */
  taken: number;
  readonly #libc: Libc;
  readonly #memory: Region;
  readonly #ringMemory: Region;
  readonly #words: Int32Array;
  readonly #halves: Uint16Array;
  /** The address of each buffer: the lower and the upper 32 bits. */
  readonly #addresses: Int32Array;
  #tail = 0;

  /** @param count a power of 2 @throws {ConnectionError} `ENOMEM`, … */
  constructor(libc: Libc, ring: Ring, count: number, size: number) {
    this.#libc = libc;
    this.count = count;
    this.taken = count;
    this.size = size;
    this.#memory = map(libc, count * size);
    this.#ringMemory = map(libc, Math.max(count * 16, 4096));
    this.bytes = this.#memory.bytes;
    const { buffer, byteOffset } = this.#ringMemory.bytes;
    this.#words = new Int32Array(buffer, byteOffset, count * entryWords);
    this.#halves = new Uint16Array(buffer, byteOffset, count * entryWords * 2);
    this.#addresses = new Int32Array(count * 2);
    for (let id = 0; id < count; id++) {
      const address = this.#memory.address + id * size;
      this.#addresses[id * 2] = address | 0;
      this.#addresses[id * 2 + 1] = address / 0x100000000;
    }
    const registration = Buffer.alloc(40); // struct io_uring_buf_reg
    registration.writeBigUInt64LE(BigInt(this.#ringMemory.address), 0);
    registration.writeUInt32LE(count, 8);
    registration.writeUInt16LE(bufferGroup, 12);
    const result = ring.register(REGISTER_PBUF_RING, registration, 1);
    if (result < 0) {
      this.close();
      throw failure('IORING_REGISTER_PBUF_RING', -result);
    }
    for (let id = 0; id < count; id++) this.give(id);
    this.publish();
  }

  /** Gives a buffer back, as far as we are concerned; the kernel sees it after `publish`. */
  give(id: number): void {
    this.taken--;
    const at = (this.#tail & (this.count - 1)) * entryWords;
    this.#words[at] = this.#addresses[id * 2];
    this.#words[at + 1] = this.#addresses[id * 2 + 1];
    this.#words[at + 2] = this.size;
    this.#halves[at * 2 + 6] = id; // the half above it, in the first entry, is the tail
    this.#tail = (this.#tail + 1) & 0xffff;
  }

  publish(): void {
    this.#halves[tailAt] = this.#tail; // the kernel looks at it within `enter`, as it does at the queues
  }

  /** Call it only when no receive is in flight. */
  close(): void {
    unmap(this.#libc, this.#memory);
    unmap(this.#libc, this.#ringMemory);
  }
}
