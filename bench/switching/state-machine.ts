// By hand: what is to be remembered is in fields, and each piece is a call.

import { type Done, matchEnd, type Way } from './reader.js';

class StateMachine {
  #seen = 0;
  #length = 0;
  readonly #done: Done;

  constructor(done: Done) {
    this.#done = done;
  }

  feed(piece: Uint8Array): void {
    this.#length += piece.length;
    this.#seen = matchEnd(this.#seen, piece);
    if (this.#seen < 4) return;
    this.#done(this.#length);
    this.#seen = 0;
    this.#length = 0;
  }
}

export const stateMachine: Way = {
  name: 'state-machine',
  title: 'state machine by hand',
  async start(count, done) {
    const machines = Array.from({ length: count }, () => new StateMachine(done));
    return async (piece) => {
      for (const machine of machines) machine.feed(piece);
    };
  },
};
