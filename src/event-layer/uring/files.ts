// The ring's own table of descriptors. Connections that are accepted into it take none of the process's, and spare the kernel
// looking one up for each operation (io_uring_register_files_sparse(3)). Where the kernel has no such table, or it is full,
// connections get ordinary descriptors.

import type { Libc } from '../linux/libc.js';
import type { Ring } from './ring.js';

const REGISTER_FILES2 = 13;
const REGISTER_PROBE = 8;
const RSRC_SPARSE = 1;
const RLIMIT_NOFILE = 7;
/** The latest of the operations that such connections need: making an ordinary descriptor of one of these (Linux 6.8). */
const OP_FIXED_FD_INSTALL = 54;
const OP_SUPPORTED = 1;

export class Files {
  /** Connections in the table. */
  open = 0;
  /** Accepts in flight that will take a place. */
  reserved = 0;
  readonly #size: number;

  /** @param most the size of the table, at most; 0 is to do without */
  constructor(libc: Libc, ring: Ring, most: number) {
    this.#size = most > 0 && isSupported(ring) ? register(libc, ring, most) : 0;
  }

  /** Whether one more connection may be accepted into it. The kernel drops those for which it finds no room. */
  get hasRoom(): boolean {
    return this.open + this.reserved < this.#size;
  }
}

/** Makes the table, no larger than the process's own may be. @returns its size; 0 if there is none */
function register(libc: Libc, ring: Ring, most: number): number {
  const limits = new BigUint64Array(2);
  if (libc.getrlimit(RLIMIT_NOFILE, new Uint8Array(limits.buffer)) < 0) return 0;
  const size = limits[0] > BigInt(most) ? most : Number(limits[0]);
  const argument = new Uint32Array(8); // struct io_uring_rsrc_register
  argument[0] = size;
  argument[1] = RSRC_SPARSE;
  return ring.register(REGISTER_FILES2, new Uint8Array(argument.buffer), 32) < 0 ? 0 : size;
}

function isSupported(ring: Ring): boolean {
  const count = 64;
  const probe = new Uint8Array(16 + 8 * count); // struct io_uring_probe, and a struct io_uring_probe_op for each operation
  if (ring.register(REGISTER_PROBE, probe, count) < 0) return false;
  return (probe[16 + 8 * OP_FIXED_FD_INSTALL + 2] & OP_SUPPORTED) !== 0;
}
