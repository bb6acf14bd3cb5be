// Output that has to wait, of one connection: copied out of the shared output buffer, into few buffers of its own, so that a
// flooded connection keeps its own bytes alive and nobody else's. Used by portable.ts alone.

import { pieceSize } from '../event-layer.js';

const smallest = 1024;

export class Outbox {
  #full: Buffer[] = [];
  #tail: Buffer = Buffer.alloc(0);
  #filled = 0;

  /** Copies the bytes. Buffers double from 1 to 64 KiB, so at most about twice the bytes are held. */
  add(bytes: Uint8Array): void {
    let from = 0;
    while (from < bytes.length) {
      if (this.#filled === this.#tail.length) {
        const doubled = Math.min(2 * this.#tail.length, pieceSize);
        if (this.#filled > 0) this.#full.push(this.#tail);
        this.#tail = Buffer.allocUnsafeSlow(Math.max(smallest, doubled, bytes.length - from));
        this.#filled = 0;
      }
      const part = bytes.subarray(from, from + this.#tail.length - this.#filled);
      this.#tail.set(part, this.#filled);
      this.#filled += part.length;
      from += part.length;
    }
  }

  /** Everything added, in order. The outbox is of no use afterwards. */
  take(): Buffer[] {
    if (this.#filled > 0) this.#full.push(this.#tail.subarray(0, this.#filled));
    return this.#full;
  }
}
