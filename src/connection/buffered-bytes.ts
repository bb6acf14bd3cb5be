// How many bytes a server keeps in memory for its clients, all of them together, and what happens when these are as many as it may keep.
//
// Counted are buffers, not bytes: input that waits to be read, heads that came in part, bodies that are read as a whole until their request
// is over, and output that the kernel has not taken. A request that leaves nothing of this behind is not counted at all.
//
// The rule at the limit, so that memory is bounded and work goes on:
//
// - From 7/8 of it on the server is full, until no more than 3/4 is held. Requests with a body are refused, output waits for each client one piece
//   at a time, and what no thread asks for is not read ahead.
// - Beyond 7/8 a body that needs more memory waits for it, and its connection is not read. One body at a time may use the last eighth: the
//   first started of those that wait, until it is complete. If that is not enough for it, and all that hold something wait, they are
//   refused one by one, the last started first.
// - A body that has waited for `longestWait` is refused.
// - Beyond the limit heads that come in part are refused, too.
//
// So connections that hold a part of a body each do not wait for each other in a circle: one of them goes on, and each wait has an end.

import type { OptionRule } from '../util/options.js';
import { memoryLimit } from './memory-limit.js';

/** What a server keeps in memory for its clients. */
export interface BufferedCounts {
  /** Bytes of buffers: input that waits to be read, heads and bodies that have come in part, bodies of requests at work, output that waits. */
  held: number;
  /** As many as there may be: `maxBufferedBytes`. */
  limit: number;
  /** How many requests have been refused, or raw reads failed, because that was reached. */
  refused: number;
}

/** What `maxBufferedBytes` may be. */
export const bufferedRule: OptionRule = { whole: [1024 * 1024, Number.MAX_SAFE_INTEGER] };

/** How long a body waits for memory, in milliseconds. */
export const maxWait = 10_000;

/** The least that is taken for the limit if no option says otherwise. */
const minDefault = 32 * 1024 * 1024;
/** The part of the memory that is the limit if no option says otherwise: a body that is read as text may be there three times, and handlers need some. */
const defaultShare = 1 / 8;

/** The code of the error of a read for which there is no memory. */
export const noMemory = 'ERR_MAX_BUFFERED_BYTES';

let shared: BufferedBytes | undefined;

export class BufferedBytes {
  readonly limit: number;
  /** Requests refused, and raw reads that have failed. */
  refused = 0;
  #held = 0;
  #isFull = false;
  readonly #fullFrom: number;
  readonly #fullUntil: number;
  /** Those that wait for memory, in the order in which they were started. */
  readonly #waiting: BufferShare[] = [];
  /** Shares that hold something, or may: of bodies that are read, or whose request is not over. */
  #open = 0;
  /** The one that may use the last eighth. */
  #favoured: BufferShare | undefined;
  #isSettling = false;
  #lastNumber = 0;
  readonly #observers = new Set<(isFull: boolean) => void>();

  /** @param limit bytes */
  constructor(limit: number) {
    this.limit = limit;
    this.#fullFrom = Math.floor((limit / 8) * 7);
    this.#fullUntil = Math.floor((limit / 4) * 3);
  }

  /** That of all servers of the process which have no limit of their own, and of connections that were asked for by `connect`. */
  static ofProcess(): BufferedBytes {
    shared ??= new BufferedBytes(Math.max(minDefault, Math.floor(memoryLimit() * defaultShare)));
    return shared;
  }

  /** More is held than may be. */
  get isExceeded(): boolean {
    return this.#held > this.limit;
  }

  /** So much is held that no new body is read, and nothing is read ahead. */
  get isFull(): boolean {
    return this.#isFull;
  }

  get counts(): BufferedCounts {
    return { held: this.#held, limit: this.limit, refused: this.refused };
  }

  /** From now on it tells when it becomes full, and when it is so no more: where nothing else may be called. @returns what ends that */
  observe(observer: (isFull: boolean) => void): () => void {
    this.#observers.add(observer);
    return () => this.#observers.delete(observer);
  }

  /** Buffers have grown by so many bytes, or shrunk if it is less than 0. */
  add(bytes: number): void {
    this.#held += bytes;
    if (this.#isFull ? this.#held <= this.#fullUntil : this.#held >= this.#fullFrom) {
      this.#isFull = !this.#isFull;
      for (const observer of this.#observers) observer(this.#isFull);
    }
    if (bytes < 0 && this.#waiting.length > 0) this.#settle();
  }

  /**
   * Opens the share of a body whose reading starts.
   * @param wake lets its thread look again whether it has its memory, in a later turn: bytes are counted where no thread may run
   * @param unread input that waits behind the body's bytes: it is dropped if the body is refused, since its connection is closed then
   */
  open(wake: () => void, unread: UnreadInput = nothingUnread): BufferShare {
    this.#open++;
    return new BufferShare(this, ++this.#lastNumber, wake, unread);
  }

  /** @internal A share needs more. @returns whether it has got it; else it waits */
  request(share: BufferShare, bytes: number): boolean {
    if (this.#grant(share, bytes)) return true;
    share.wanted = bytes;
    this.#waiting.splice(this.#placeOf(share), 0, share);
    this.#settle();
    return share.wanted === 0 && !share.isRefused;
  }

  /** @internal The one that is to go on before all others that wait. */
  isFirst(share: BufferShare): boolean {
    return (this.#favoured ?? this.#waiting[0]) === share;
  }

  /** @internal A share does not wait any more. */
  cancel(share: BufferShare): void {
    if (share.wanted === 0) return;
    this.#waiting.splice(this.#placeOf(share), 1);
    share.wanted = 0;
  }

  /** @internal A share needs no more: others may use the last eighth. */
  complete(share: BufferShare): void {
    this.cancel(share);
    if (this.#favoured !== share) return;
    this.#favoured = undefined;
    this.#settle();
  }

  /** @internal A share holds nothing any more. @param bytes that it has held */
  close(share: BufferShare, bytes: number): void {
    this.#open--;
    this.cancel(share);
    if (this.#favoured === share) this.#favoured = undefined;
    this.add(-bytes);
    if (bytes === 0) this.#settle();
  }

  #grant(share: BufferShare, bytes: number): boolean {
    const held = this.#held + bytes;
    if (held > this.#fullFrom) {
      if (held > this.limit || (this.#favoured ?? share) !== share) return false;
      this.#favoured = share;
    }
    share.bytes += bytes;
    this.add(bytes);
    return true;
  }

  /** Gives those that wait what there is, in order. Where nothing is, and none will give anything back, the last is refused for the first. */
  #settle(): void {
    if (this.#isSettling) return;
    this.#isSettling = true;
    const waiting = this.#waiting;
    while (waiting.length > 0) {
      const ahead = this.#favoured?.wanted ? this.#favoured : undefined;
      const first = ahead ?? waiting[0];
      const { wanted } = first;
      if (this.#grant(first, wanted)) {
        this.cancel(first);
        first.wake();
        continue;
      }
      // The others give something back when they are complete, or their request is over; or else all of them wait.
      if ((this.#favoured ?? first) !== first || this.#open > waiting.length) break;
      const last = waiting.findLast((share) => share !== first && share.held > 0);
      if (last === undefined) break;
      last.refuse();
    }
    this.#isSettling = false;
  }

  /** Where a share stands among those that wait, or would. */
  #placeOf(share: BufferShare): number {
    let low = 0;
    for (let high = this.#waiting.length; low < high; ) {
      const middle = (low + high) >> 1;
      if (this.#waiting[middle].number < share.number) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** Input of a connection that no thread has read yet. */
export interface UnreadInput {
  /** Bytes of memory that it takes. */
  readonly held: number;
  /** Drops it. */
  discard(): void;
}

const nothingUnread: UnreadInput = { held: 0, discard() {} };

/** What one body holds, from its first byte until its request is over. */
export class BufferShare {
  /** Those that started later have a higher one. */
  readonly number: number;
  bytes = 0;
  /** Bytes that it waits for; 0 if it does not wait. */
  wanted = 0;
  /** It holds nothing any more, and gets nothing: its request is to be refused. */
  isRefused = false;
  #isClosed = false;
  readonly #buffers: BufferedBytes;
  readonly #wake: () => void;
  readonly #unread: UnreadInput;

  /** @internal See `BufferedBytes.open`. */
  constructor(buffers: BufferedBytes, number: number, wake: () => void, unread: UnreadInput) {
    this.#buffers = buffers;
    this.number = number;
    this.#wake = wake;
    this.#unread = unread;
  }

  /** Bytes that are given back at once if it is refused. */
  get held(): number {
    return this.bytes + this.#unread.held;
  }

  /** Takes more memory. @returns false if it has to wait for it, or is refused */
  grow(bytes: number): boolean {
    return !this.isRefused && this.#buffers.request(this, bytes);
  }

  /** @internal */
  wake(): void {
    this.#wake();
  }

  /** There is no memory for it. */
  refuse(): void {
    if (this.isRefused) return;
    this.isRefused = true;
    this.#buffers.refused++;
    this.#unread.discard();
    this.release();
    this.#wake();
  }

  /** It is complete: it holds what it has. */
  complete(): void {
    this.#buffers.complete(this);
  }

  /** It holds nothing any more. */
  release(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    const { bytes } = this;
    this.bytes = 0;
    this.#buffers.close(this, bytes);
  }
}
