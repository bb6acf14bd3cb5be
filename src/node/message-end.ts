// Finds where the message of a request ends (RFC 9112 §6.3), among bytes that are passed on as they are. Node's own parser reads the same bytes: what is not in
// the strict form of the RFC has no end here, so that nothing behind it is ever taken for another request.

const CR = 13;
const LF = 10;
const SEMICOLON = 59;
/** Chunks of 2^48 bytes or more have no end either. */
const mostSizeDigits = 12;

/** The end of the body of one request. */
export interface MessageEnd {
  /** The whole message has been seen. */
  readonly isComplete: boolean;
  /** Looks at further bytes. @returns up to where they belong to the message: `end`, or less once it is complete */
  advance(bytes: Uint8Array, start: number, end: number): number;
}

/** @param unread bytes of a body of known length; `Infinity` for one in chunks */
export function messageEnd(unread: number): MessageEnd {
  return unread === Infinity ? new ChunkedEnd() : new KnownEnd(unread);
}

class KnownEnd implements MessageEnd {
  #left: number;

  constructor(length: number) {
    this.#left = length;
  }

  get isComplete(): boolean {
    return this.#left === 0;
  }

  advance(_bytes: Uint8Array, start: number, end: number): number {
    const count = Math.min(this.#left, end - start);
    this.#left -= count;
    return start + count;
  }
}

/** What comes next in a body in chunks (RFC 9112 §7.1). */
type ChunkedState =
  | 'size'
  | 'extension'
  | 'sizeLF'
  | 'data'
  | 'dataCR'
  | 'dataLF'
  | 'lineStart'
  | 'trailer'
  | 'trailerLF'
  | 'lastLF'
  | 'complete'
  | 'endless';

class ChunkedEnd implements MessageEnd {
  #state: ChunkedState = 'size';
  #size = 0;
  #digits = 0;

  get isComplete(): boolean {
    return this.#state === 'complete';
  }

  advance(bytes: Uint8Array, start: number, end: number): number {
    let at = start;
    while (at < end && this.#state !== 'complete') {
      if (this.#state === 'endless') return end;
      if (this.#state === 'data') {
        const count = Math.min(this.#size, end - at);
        this.#size -= count;
        at += count;
        if (this.#size === 0) this.#state = 'dataCR';
      } else this.#state = this.#after(bytes[at++]);
    }
    return at;
  }

  /** @returns the state after one byte */
  #after(byte: number): ChunkedState {
    switch (this.#state) {
      case 'size':
        return this.#afterSize(byte);
      case 'extension':
        return byte === CR ? 'sizeLF' : byte === LF ? 'endless' : 'extension';
      case 'sizeLF':
        return byte === LF ? this.#chunk() : 'endless';
      case 'dataCR':
        return byte === CR ? 'dataLF' : 'endless';
      case 'dataLF':
        return byte === LF ? 'size' : 'endless';
      case 'lineStart':
        return byte === CR ? 'lastLF' : byte === LF ? 'endless' : 'trailer';
      case 'trailer':
        return byte === CR ? 'trailerLF' : byte === LF ? 'endless' : 'trailer';
      case 'trailerLF':
        return byte === LF ? 'lineStart' : 'endless';
      default:
        return byte === LF ? 'complete' : 'endless';
    }
  }

  #afterSize(byte: number): ChunkedState {
    const digit = hexDigit(byte);
    if (digit !== -1) {
      this.#size = this.#size * 16 + digit;
      return ++this.#digits > mostSizeDigits ? 'endless' : 'size';
    }
    if (this.#digits === 0) return 'endless';
    if (byte === CR) return 'sizeLF';
    return byte === SEMICOLON ? 'extension' : 'endless';
  }

  /** The line of a chunk's size is over. */
  #chunk(): ChunkedState {
    this.#digits = 0;
    return this.#size === 0 ? 'lineStart' : 'data';
  }
}

/** The value of a hexadecimal digit; -1 for any other byte. */
function hexDigit(byte: number): number {
  if (byte >= 48 && byte <= 57) return byte - 48;
  const lower = byte | 32;
  return lower >= 97 && lower <= 102 ? lower - 87 : -1;
}
