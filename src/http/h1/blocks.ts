// Small blocks of memory for incomplete heads, allocated from larger slabs. A separate typed array for each head would take more than twice the
// memory. A slab without used blocks is released.

/** Sizes of blocks that share memory are powers of two, from the smallest to the largest. */
export const smallestBlock = 64;
const largestBlock = 16 * 1024;
const slabBytes = 64 * 1024;

/** In place of an offset: no block. */
const none = 0xffff;

/** Memory for blocks of one size. A block larger than `largestBlock` has its own slab. */
export class Slab {
  readonly bytes: Uint8Array;
  readonly blockSize: number;
  #used = 0;
  /** Its index in `#roomy`; -1 if all its blocks are used. */
  #place = -1;
  /** Blocks from this offset on have never been used. */
  #fresh = 0;
  /** The offset of the first free block. The first two bytes of a free block are the offset of the next one, or `none`. */
  #free = none;
  /** The slabs with blocks of this size that have free blocks. */
  readonly #roomy: Slab[];

  private constructor(bytes: number, blockSize: number, roomy: Slab[]) {
    this.bytes = new Uint8Array(bytes);
    this.blockSize = blockSize;
    this.#roomy = roomy;
    this.#enter();
  }

  static readonly #bySize = new Map<number, Slab[]>();

  /** A slab with a free block, for `take`. @param size of the block in bytes: a power of two, at least `smallestBlock` */
  static for(size: number): Slab {
    if (size > largestBlock) return new Slab(size, size, []);
    let roomy = Slab.#bySize.get(size);
    if (roomy === undefined) {
      roomy = [];
      Slab.#bySize.set(size, roomy);
    }
    return roomy.at(-1) ?? new Slab(slabBytes, size, roomy);
  }

  /** Allocates a block. @returns its offset in `bytes` */
  take(): number {
    const { bytes } = this;
    let at = this.#free;
    if (at === none) {
      at = this.#fresh;
      this.#fresh += this.blockSize;
    } else {
      this.#free = bytes[at] | (bytes[at + 1] << 8);
    }
    this.#used++;
    if (this.#free === none && this.#fresh === bytes.length) this.#leave();
    return at;
  }

  /** Frees a block. */
  give(at: number): void {
    this.bytes[at] = this.#free & 0xff;
    this.bytes[at + 1] = this.#free >> 8;
    this.#free = at;
    this.#used--;
    if (this.#place === -1) this.#enter();
    // Keep the last slab of this size for the next incomplete head.
    if (this.#used === 0 && this.#roomy.length > 1) this.#leave();
  }

  #enter(): void {
    this.#place = this.#roomy.length;
    this.#roomy.push(this);
  }

  #leave(): void {
    const last = this.#roomy.pop();
    if (last !== undefined && last !== this) {
      this.#roomy[this.#place] = last;
      last.#place = this.#place;
    }
    this.#place = -1;
  }
}
