// Bytes that wait, first in, first out. They are copied into few buffers of the queue's own, so a queue keeps its own bytes alive and no others.
//
// Buffers of the largest size are used again, by all queues. A download to a client that is slower than its server passes through a queue, and new
// buffers for all of it would make the engine look for unused ones so often that this costs several times what copying does.

const smallest = 1024;
const largest = 16 * 1024;

/** Buffers of the largest size that no queue uses, at most 2 MiB. */
const spare: Buffer[] = [];
const mostSpare = 128;

function bufferOf(bytes: number): Buffer {
  return (bytes === largest ? spare.pop() : undefined) ?? Buffer.allocUnsafeSlow(bytes);
}

function release(buffer: Buffer): void {
  if (buffer.length === largest && spare.length < mostSpare) spare.push(buffer);
}

export class ByteQueue {
  /** Bytes held. */
  length = 0;
  /** The first one is read from `#taken` on, the last one is filled up to `#filled`. */
  #buffers: Buffer[] = [];
  #filled = 0;
  #taken = 0;

  /** Copies the bytes. Buffers double from 1 to 16 KiB. */
  add(bytes: Uint8Array): void {
    this.length += bytes.length;
    for (let from = 0; from < bytes.length; ) {
      let tail = this.#buffers.at(-1);
      if (tail === undefined || this.#filled === tail.length) {
        tail = bufferOf(Math.min(largest, Math.max(smallest, 2 * (tail?.length ?? 0), bytes.length - from)));
        this.#buffers.push(tail);
        this.#filled = 0;
      }
      const part = bytes.subarray(from, from + tail.length - this.#filled);
      tail.set(part, this.#filled);
      this.#filled += part.length;
      from += part.length;
    }
  }

  /** Copies bytes from the front to `target`, from `offset` on, and keeps them until `drop`. @returns how many: as many as there are, or as there is room for */
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

  /** Removes so many bytes from the front; there must be as many. */
  drop(bytes: number): void {
    this.length -= bytes;
    this.#taken += bytes;
    while (this.#buffers.length > 0 && this.#taken >= this.#buffers[0].length) {
      this.#taken -= this.#buffers[0].length;
      release(this.#buffers[0]);
      this.#buffers.shift();
    }
    if (this.length > 0) return;
    if (this.#buffers.length > 0 && this.#buffers[0].length > smallest) {
      release(this.#buffers[0]);
      this.#buffers.length = 0;
    }
    this.#filled = 0;
    this.#taken = 0;
  }

  /** Removes bytes from the front, at most so many. @returns a copy */
  take(most: number): Uint8Array {
    const bytes = new Uint8Array(Math.min(most, this.length));
    this.copyTo(bytes, 0);
    this.drop(bytes.length);
    return bytes;
  }

  /** Removes everything. @returns the queue's own buffers, without copying them */
  takeBuffers(): Buffer[] {
    const last = this.#buffers.length - 1;
    const taken = this.#buffers.map((buffer, i) =>
      buffer.subarray(i === 0 ? this.#taken : 0, i === last ? this.#filled : buffer.length),
    );
    this.#buffers = [];
    this.length = 0;
    this.#filled = 0;
    this.#taken = 0;
    return taken;
  }
}
