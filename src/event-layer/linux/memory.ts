// Memory that the kernel is given addresses of: mapped pages, outside of JavaScript's heap, which neither move nor are freed.
// A region that its owner no longer needs gives its pages back to the system and keeps its addresses, so that no view of it
// can ever reach memory that is not there; the next owner of that size gets it.

import { check, type Libc } from './libc.js';

const PROT_READ_WRITE = 3;
const MAP_PRIVATE_ANONYMOUS = 0x22;
const MADV_DONTNEED = 4;

export interface Region {
  readonly address: number;
  /** The same memory; a Buffer for its fast ways with strings. */
  readonly bytes: Buffer;
}

const free = new Map<number, Region[]>();

/** Maps memory, all zeros. @param bytes a multiple of 4096 @throws {ConnectionError} `ENOMEM` */
export function map(libc: Libc, bytes: number): Region {
  const region = free.get(bytes)?.pop();
  if (region !== undefined) return region;
  const address = check(libc, 'mmap', libc.mmap(0, bytes, PROT_READ_WRITE, MAP_PRIVATE_ANONYMOUS, -1, 0));
  return { address, bytes: Buffer.from(libc.view(address, bytes)) };
}

/** Gives a region back. The kernel must be done with it, too. */
export function unmap(libc: Libc, region: Region): void {
  const { length } = region.bytes;
  libc.madvise(region.address, length, MADV_DONTNEED);
  const regions = free.get(length);
  if (regions === undefined) free.set(length, [region]);
  else regions.push(region);
}
