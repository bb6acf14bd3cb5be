// Bytes that come in pieces and are wanted as a whole. Small pieces are put together as they come: an array for each byte of a body
// that comes in chunks of one byte would take many times the memory of the body.

const largest = 64 * 1024;

export class Gathered {
  /** Bytes that have been added. */
  length = 0;
  /** Bytes of memory that they take. */
  held = 0;
  /** All of them full but the last one. */
  #blocks: Uint8Array<ArrayBuffer>[] = [];
  /** How far the last one is filled. */
  #filled = 0;

  /** Adds a copy. */
  add(bytes: Uint8Array): void {
    let from = 0;
    while (from < bytes.length) {
      let block = this.#blocks.at(-1);
      if (block === undefined || this.#filled === block.length) {
        // One piece gets just what it needs, which is most often all; what comes in many, blocks that double.
        block = new Uint8Array(Math.max(bytes.length - from, Math.min(this.length, largest)));
        this.#blocks.push(block);
        this.#filled = 0;
        this.held += block.length;
      }
      const part = bytes.subarray(from, from + block.length - this.#filled);
      block.set(part, this.#filled);
      this.#filled += part.length;
      this.length += part.length;
      from += part.length;
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
