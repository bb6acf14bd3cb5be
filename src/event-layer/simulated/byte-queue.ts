// Bytes that wait, in the order in which they came.

/** An empty queue keeps no larger buffer than this. */
const mostKept = 1024;

export class ByteQueue {
  /** They stand from `#start` on, `length` of them. */
  #bytes = new Uint8Array(0);
  #start = 0;
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** Puts a copy at the end. */
  put(bytes: Uint8Array): void {
    const needed = this.#length + bytes.length;
    if (this.#start + needed > this.#bytes.length) {
      // Half of it free is worth moving up for; with less, that would be done again and again.
      const room = needed * 2 <= this.#bytes.length ? this.#bytes : new Uint8Array(needed * 2);
      room.set(this.#bytes.subarray(this.#start, this.#start + this.#length));
      this.#bytes = room;
      this.#start = 0;
    }
    this.#bytes.set(bytes, this.#start + this.#length);
    this.#length = needed;
  }

  /** Takes bytes off the front, at most as many as there are. @returns a copy */
  take(count: number): Uint8Array {
    const bytes = this.#bytes.slice(this.#start, this.#start + Math.min(count, this.#length));
    this.#start += bytes.length;
    this.#length -= bytes.length;
    if (this.#length === 0) this.clear();
    return bytes;
  }

  /** Lets go of all that is in it. */
  clear(): void {
    if (this.#bytes.length > mostKept) this.#bytes = new Uint8Array(0);
    this.#start = 0;
    this.#length = 0;
  }
}
