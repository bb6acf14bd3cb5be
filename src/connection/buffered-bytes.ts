// The limit on the memory that all clients of a server take together (`maxBufferedBytes`), and what happens when it is reached.
//
// The sizes of these buffers are counted: unread input, incomplete heads, bodies that are read as a whole (until their request is over), and output
// that the kernel has not taken. A request that needs none of these buffers is not counted.
//
// The rules at the limit keep memory bounded and let work continue:
//
// - At 7/8 of the limit the server is full, until 3/4 or less is held. While it is full, it refuses requests with a body, queues output one piece at a
//   time for each client, and does not read ahead.
// - Beyond 7/8 a body that needs more memory waits for it, and its connection is not read. One body at a time may use the last eighth: of those that
//   wait, the one that started first, until it is complete. If the last eighth is not enough for it, and every body that holds memory waits, they are
//   refused one by one, starting with the one that started last.
// - A body that has waited for `maxWait` is refused.
// - Beyond the limit incomplete heads are refused, too.
//
// Therefore connections that each hold a part of a body cannot deadlock: one of them can continue, and each wait ends.

import type { OptionRule } from '../util/options.js';
import { memoryLimit } from './memory-limit.js';

/** The memory that a server holds for its clients. */
export interface BufferedCounts {
  /** Bytes of buffers: unread input, incomplete heads and bodies, bodies of requests in progress, and queued output. */
  held: number;
  /** The limit: `maxBufferedBytes`. */
  limit: number;
  /** How many requests were refused, or reads of `listen` failed, because of the limit. */
  refused: number;
}

/** The rule for `maxBufferedBytes`. */
export const bufferedRule: OptionRule = { whole: [1024 * 1024, Number.MAX_SAFE_INTEGER] };

/** How long a body may wait for memory, in milliseconds. */
export const maxWait = 10_000;

/** The smallest default limit, in bytes. */
const minDefault = 32 * 1024 * 1024;
/** The default limit, as a share of the available memory. It is small because a body that is read as text may be in memory three times, and handlers need memory, too. */
const defaultShare = 1 / 8;

/** The code of the error of a read that is refused because of the limit. */
export const noMemory = 'ERR_MAX_BUFFERED_BYTES';

let shared: BufferedBytes | undefined;

export class BufferedBytes {
  readonly limit: number;
  /** Requests and reads refused because of the limit. */
  refused = 0;
  #held = 0;
  #isFull = false;
  readonly #fullFrom: number;
  readonly #fullUntil: number;
  /** Shares that wait for memory, in the order in which they were opened. */
  readonly #waiting: BufferShare[] = [];
  /** Number of open shares: of bodies that are being read, or whose request is not over. */
  #open = 0;
  /** The share that may use the last eighth. */
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

  /** The count shared by all servers of the process without a separate limit, and by connections of `connect`. */
  static ofProcess(): BufferedBytes {
    shared ??= new BufferedBytes(Math.max(minDefault, Math.floor(memoryLimit() * defaultShare)));
    return shared;
  }

  /** The limit is exceeded. */
  get isExceeded(): boolean {
    return this.#held > this.limit;
  }

  /** See the rules above: no new bodies, no reading ahead. */
  get isFull(): boolean {
    return this.#isFull;
  }

  /** Whether so many more bytes can be held. */
  hasRoom(bytes: number): boolean {
    return this.#held + bytes <= this.limit;
  }

  get counts(): BufferedCounts {
    return { held: this.#held, limit: this.limit, refused: this.refused };
  }

  /** Calls the observer when `isFull` changes. The observer may not call anything that changes counts. @returns a function that unsubscribes */
  observe(observer: (isFull: boolean) => void): () => void {
    this.#observers.add(observer);
    return () => this.#observers.delete(observer);
  }

  /** Buffers have grown by `bytes`, or shrunk if that is negative. */
  add(bytes: number): void {
    this.#held += bytes;
    if (this.#isFull ? this.#held <= this.#fullUntil : this.#held >= this.#fullFrom) {
      this.#isFull = !this.#isFull;
      for (const observer of this.#observers) observer(this.#isFull);
    }
    if (bytes < 0 && this.#waiting.length > 0) this.#settle();
  }

  /**
   * Opens a share for a body that is about to be read.
   * @param wake makes the thread check in a later turn whether it has its memory: no thread may run while bytes are counted
   * @param unread unread input of the connection; dropped if the body is refused, because the connection is closed then
   */
  open(wake: () => void, unread: UnreadInput = nothingUnread): BufferShare {
    this.#open++;
    return new BufferShare(this, ++this.#lastNumber, wake, unread);
  }

  /** @internal A share needs more memory. @returns whether it got it; otherwise it waits */
  request(share: BufferShare, bytes: number): boolean {
    if (this.#grant(share, bytes)) return true;
    share.wanted = bytes;
    this.#waiting.splice(this.#placeOf(share), 0, share);
    this.#settle();
    return share.wanted === 0 && !share.isRefused;
  }

  /** @internal Whether the share is the first that may continue, of those that wait. */
  isFirst(share: BufferShare): boolean {
    return (this.#favoured ?? this.#waiting[0]) === share;
  }

  /** @internal The share no longer waits. */
  cancel(share: BufferShare): void {
    if (share.wanted === 0) return;
    this.#waiting.splice(this.#placeOf(share), 1);
    share.wanted = 0;
  }

  /** @internal The share needs no more memory: another one may use the last eighth. */
  complete(share: BufferShare): void {
    this.cancel(share);
    if (this.#favoured !== share) return;
    this.#favoured = undefined;
    this.#settle();
  }

  /** @internal The share is closed. @param bytes the memory that it held */
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

  /** Gives available memory to waiting shares, in order. If none can continue and none will release memory, refuses the last one in favour of the first. */
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
      // Otherwise another share is not waiting, and releases its memory when it is complete or its request is over.
      if ((this.#favoured ?? first) !== first || this.#open > waiting.length) break;
      const last = waiting.findLast((share) => share !== first && share.held > 0);
      if (last === undefined) break;
      last.refuse();
    }
    this.#isSettling = false;
  }

  /** The index of a share in `#waiting`, or where to insert it. */
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

/** The memory that one body holds, from its first byte until its request is over. */
export class BufferShare {
  /** Increases with each share that is opened. */
  readonly number: number;
  bytes = 0;
  /** Bytes that it is waiting for; 0 if it is not waiting. */
  wanted = 0;
  /** It holds no memory and gets none: its request must be refused. */
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

  /** Bytes that are released at once if it is refused. */
  get held(): number {
    return this.bytes + this.#unread.held;
  }

  /** Requests more memory. @returns false if it has to wait, or is refused */
  grow(bytes: number): boolean {
    return !this.isRefused && this.#buffers.request(this, bytes);
  }

  /** @internal */
  wake(): void {
    this.#wake();
  }

  /** Refuses it, and releases its memory. */
  refuse(): void {
    if (this.isRefused) return;
    this.isRefused = true;
    this.#buffers.refused++;
    this.#unread.discard();
    this.release();
    this.#wake();
  }

  /** The body is complete: the share keeps its memory and needs no more. */
  complete(): void {
    this.#buffers.complete(this);
  }

  /** Releases its memory. */
  release(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    const { bytes } = this;
    this.bytes = 0;
    this.#buffers.close(this, bytes);
  }
}
