// Bytes that come in pieces and are wanted as a whole. Small pieces are put together as they come: an array for each byte of a body
// that comes in chunks of one byte would take many times the memory of the body.

const largest = 64 * 1024;
/** Fewer bytes than this are sooner copied in a loop than by a call. */
const shortCopy = 32;

export class Gathered {
  /** Bytes that have been added. */
  length = 0;
  /** Bytes of memory that they take. */
  held = 0;
  /** All of them full but the last one. */
  #blocks: Uint8Array<ArrayBuffer>[] = [];
  /** How far the last one is filled. */
  #filled = 0;

  /** Adds a copy of `count` bytes, from `start` on. */
  add(bytes: Uint8Array, start = 0, count = bytes.length - start): void {
    const end = start + count;
    for (let from = start; from < end; ) {
      let block = this.#blocks.at(-1);
      if (block === undefined || this.#filled === block.length) {
        // One piece gets just what it needs, which is most often all; what comes in many, blocks that double.
        block = new Uint8Array(Math.max(end - from, Math.min(this.length, largest)));
        this.#blocks.push(block);
        this.#filled = 0;
        this.held += block.length;
      }
      const part = Math.min(end - from, block.length - this.#filled);
      if (part < shortCopy) for (let i = 0; i < part; i++) block[this.#filled + i] = bytes[from + i];
      else block.set(bytes.subarray(from, from + part), this.#filled);
      this.#filled += part;
      this.length += part;
      from += part;
    }
  }

  /** All of them, in one array. Nothing may be added afterwards. */
  whole(): Uint8Array<ArrayBuffer> {
    const blocks = this.#blocks;
    if (blocks.length === 1 && blocks[0].length === this.length) return blocks[0];
    const whole = new Uint8Array(this.length);
    let at = 0;
    for (const block of blocks) {
      const part = block.subarray(0, this.length - at);
      whole.set(part, at);
      at += part.length;
    }
    return whole;
  }
}
