// Small blocks of memory, cut out of larger ones. Connections that are in the middle of a request head need one each; as arrays of their
// own they would take twice as much and more. A larger one of which no block is in use any more is given back.

/** Sizes of blocks that share memory are powers of two, from the smallest to the largest. */
export const smallestBlock = 64;
const largestBlock = 16 * 1024;
const slabBytes = 64 * 1024;

/** Stands for no block: none begins at this offset. */
const none = 0xffff;

/** Memory that is cut into blocks of one size; one that is larger than `largestBlock` has it for itself. */
export class Slab {
  readonly bytes: Uint8Array;
  readonly blockSize: number;
  #used = 0;
  /** Its place in `#roomy`; -1 if it has no room. */
  #place = -1;
  /** Blocks from this offset on have never been used. */
  #fresh = 0;
  /** The offset of a free block, in whose first two bytes that of the next one stands, and so on up to `none`. */
  #free = none;
  /** Those of its size that have room. */
  readonly #roomy: Slab[];

  private constructor(bytes: number, blockSize: number, roomy: Slab[]) {
    this.bytes = new Uint8Array(bytes);
    this.blockSize = blockSize;
    this.#roomy = roomy;
    this.#enter();
  }

  static readonly #bySize = new Map<number, Slab[]>();

  /** Memory with room for a block, to be taken with `take`. @param size bytes: a power of two, `smallestBlock` or more */
  static for(size: number): Slab {
    if (size > largestBlock) return new Slab(size, size, []);
    let roomy = Slab.#bySize.get(size);
    if (roomy === undefined) {
      roomy = [];
      Slab.#bySize.set(size, roomy);
    }
    return roomy.at(-1) ?? new Slab(slabBytes, size, roomy);
  }

  /** Takes a block. @returns its offset in `bytes` */
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

  /** Gives a block back. */
  give(at: number): void {
    this.bytes[at] = this.#free & 0xff;
    this.bytes[at + 1] = this.#free >> 8;
    this.#free = at;
    this.#used--;
    if (this.#place === -1) this.#enter();
    // The last one of its size stays, for the next head that comes in part.
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
