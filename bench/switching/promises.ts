// As an async function that awaits a promise of the next piece.

import { matchEnd, nextTurn, type Way } from './reader.js';

class Pieces {
  #resolve: ((piece: Uint8Array) => void) | undefined;

  next(): Promise<Uint8Array> {
    return new Promise((resolve) => {
      this.#resolve = resolve;
    });
  }

  feed(piece: Uint8Array): void {
    this.#resolve?.(piece);
  }
}

async function readHead(pieces: Pieces): Promise<number> {
  let length = 0;
  for (let seen = 0; seen < 4; ) {
    const piece = await pieces.next();
    length += piece.length;
    seen = matchEnd(seen, piece);
  }
  return length;
}

export const promises: Way = {
  name: 'promises',
  title: 'async function over promises',
  async start(count, done) {
    const sources = Array.from({ length: count }, () => new Pieces());
    for (const pieces of sources) {
      const read = async () => {
        for (;;) done(await readHead(pieces));
      };
      read();
    }
    return async (piece) => {
      for (const pieces of sources) pieces.feed(piece);
      await nextTurn();
    };
  },
};
