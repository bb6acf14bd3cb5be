// The messages that have come in part, of all sockets that share a limit on memory. When they hold as much as they may, the one that holds the most is refused:
// clients that stall in the middle of large messages must not take the memory that small ones need.

import type { BufferedBytes } from '../connection/buffered-bytes.js';

/** A socket with such a message. */
export interface Unfinished {
  /** Bytes of memory that its message takes. */
  readonly held: number;
  /** Its message is refused, and gives its memory back. */
  refuseMessage(): void;
}

/** Their share of the limit: less than what makes a server full, so that by themselves they stop neither request bodies nor output. */
const share = 3 / 4;

export class UnfinishedMessages {
  readonly #buffers: BufferedBytes;
  /** The most bytes that all of them may hold. */
  readonly #most: number;
  /** By the magnitude of what they hold, so that the largest is found without a search; within one, the oldest first. */
  readonly #byMagnitude: Set<Unfinished>[] = [];
  /** Bytes that all of them hold. */
  #held = 0;

  constructor(buffers: BufferedBytes) {
    this.#buffers = buffers;
    this.#most = buffers.limit * share;
  }

  /** What a message holds has changed. */
  changed(socket: Unfinished, before: number, after: number): void {
    this.#held += after - before;
    this.#buffers.add(after - before);
    const [from, to] = [magnitudeOf(before), magnitudeOf(after)];
    if (from === to) return;
    if (before > 0) this.#byMagnitude[from]?.delete(socket);
    if (after > 0) this.#at(to).add(socket);
  }

  /**
   * Makes room for more of a message, refusing others that hold as much or more.
   * @param held what it holds already @returns false if there is none: it is one of the largest itself
   */
  makeRoom(socket: Unfinished, held: number, more: number): boolean {
    if (!this.#hasRoom(held + more - this.#held)) return false; // not even if it were the only one
    while (!this.#hasRoom(more)) {
      const largest = this.#largest(socket);
      if (largest === undefined || magnitudeOf(largest.held) < magnitudeOf(held + more)) return false;
      largest.refuseMessage();
    }
    return true;
  }

  #hasRoom(more: number): boolean {
    return this.#held + more <= this.#most && this.#buffers.hasRoom(more);
  }

  /** The one that holds the most, besides this. */
  #largest(but: Unfinished): Unfinished | undefined {
    for (let magnitude = this.#byMagnitude.length - 1; magnitude > 0; magnitude--)
      for (const socket of this.#byMagnitude[magnitude]) if (socket !== but) return socket;
    return undefined;
  }

  #at(magnitude: number): Set<Unfinished> {
    while (this.#byMagnitude.length <= magnitude) this.#byMagnitude.push(new Set());
    return this.#byMagnitude[magnitude];
  }
}

/** The number of its binary digits. */
function magnitudeOf(bytes: number): number {
  return 32 - Math.clz32(bytes);
}

const all = new WeakMap<BufferedBytes, UnfinishedMessages>();

export function unfinishedMessages(buffers: BufferedBytes): UnfinishedMessages {
  let messages = all.get(buffers);
  if (messages === undefined) {
    messages = new UnfinishedMessages(buffers);
    all.set(buffers, messages);
  }
  return messages;
}
