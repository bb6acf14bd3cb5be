// Output that has to wait, of one connection: copied out of the shared output memory, into few buffers of its own, so that a
// flooded connection keeps its own bytes alive and nobody else's.

const smallest = 1024;
const largest = 16 * 1024;

export class Outbox {
  /** Bytes held. */
  length = 0;
  /** Buffers, the last one filled up to `#filled`, the first one taken from up to `#taken`. */
  #buffers: Buffer[] = [];
  #filled = 0;
  #taken = 0;

  /** Copies the bytes. Buffers double from 1 to 16 KiB; larger pieces get a buffer of their size. */
  add(bytes: Uint8Array): void {
    this.length += bytes.length;
    for (let from = 0; from < bytes.length; ) {
      let tail = this.#buffers.at(-1);
      if (tail === undefined || this.#filled === tail.length) {
        const doubled = Math.min(2 * (tail?.length ?? 0), largest);
        tail = Buffer.allocUnsafeSlow(Math.max(smallest, doubled, bytes.length - from));
        this.#buffers.push(tail);
        this.#filled = 0;
      }
      const part = bytes.subarray(from, from + tail.length - this.#filled);
      tail.set(part, this.#filled);
      this.#filled += part.length;
      from += part.length;
    }
  }

  /** Copies bytes from the front to where they can be sent from, and keeps them until `drop`. @returns how many: as many as there are, or as there is room for */
  copyTo(target: Uint8Array, offset: number): number {
    let at = offset;
    for (let i = 0; i < this.#buffers.length && at < target.length; i++) {
      const buffer = this.#buffers[i];
      const from = i === 0 ? this.#taken : 0;
      const to = i === this.#buffers.length - 1 ? this.#filled : buffer.length;
      at += buffer.copy(target, at, from, Math.min(to, from + target.length - at));
    }
    return at - offset;
  }

  /** Forgets bytes at the front: they have been sent. */
  drop(bytes: number): void {
    this.length -= bytes;
    this.#taken += bytes;
    while (this.#buffers.length > 0 && this.#taken >= this.#buffers[0].length) {
      this.#taken -= this.#buffers[0].length;
      this.#buffers.shift();
    }
  }

  /** Everything, in order. The outbox is of no use afterwards. */
  take(): Buffer[] {
    const last = this.#buffers.length - 1;
    return this.#buffers.map((buffer, i) =>
      buffer.subarray(i === 0 ? this.#taken : 0, i === last ? this.#filled : buffer.length),
    );
  }
}
