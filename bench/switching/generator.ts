// As a bare generator, which is what a thread is made of: what the language itself takes for a switch.

import { type Done, matchEnd, type Way } from './reader.js';

function* readHead(): Generator<undefined, number, Uint8Array> {
  let length = 0;
  for (let seen = 0; seen < 4; ) {
    const piece = yield;
    length += piece.length;
    seen = matchEnd(seen, piece);
  }
  return length;
}

function* reader(done: Done): Generator<undefined, void, Uint8Array> {
  for (;;) done(yield* readHead());
}

export const generator: Way = {
  name: 'generator',
  title: 'bare generator',
  async start(count, done) {
    const readers = Array.from({ length: count }, () => reader(done));
    for (const each of readers) each.next();
    return async (piece) => {
      for (const each of readers) each.next(piece);
    };
  },
};
