// Scenario 7's task: read request heads that arrive in pieces, and say how long each is. The ways to write it differ only in
// where the place is kept between two pieces; all look for the end of the head with the same few lines.

/** Told the length of each head. */
export type Done = (length: number) => void;

/** One of the ways. */
export interface Way {
  name: string;
  title: string;
  /** Starts so many readers. @returns what gives each of them the next piece, and resolves when all of them wait again */
  start(count: number, done: Done): Promise<(piece: Uint8Array) => Promise<void>>;
}

const CR = 13;
const LF = 10;

/**
 * How much of CR LF CR LF has been seen at the end of a piece, given how much had been before it.
 * @returns 4 when the head ends in this piece; it is the last byte of the piece then
 */
export function matchEnd(seen: number, piece: Uint8Array): number {
  let matched = seen;
  for (const byte of piece) {
    if (byte === (matched % 2 === 0 ? CR : LF)) matched++;
    else matched = byte === CR ? 1 : 0;
  }
  return matched;
}

/** Resolves when whatever waits in the queue of microtasks has run. */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
