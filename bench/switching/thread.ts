// As a thread of sluice: straight-line code that reads from its connection, and parks there while it is dry.

import { type Connection, listen, type Task } from 'sluice';
import { FeedLayer } from './feed-layer.js';
import { type Done, matchEnd, type Way } from './reader.js';

function* readHead({ reader }: Connection): Task<number> {
  let length = 0;
  for (let seen = 0; seen < 4; ) {
    const piece = yield* reader.read();
    if (piece === undefined) break;
    length += piece.length;
    seen = matchEnd(seen, piece);
  }
  return length;
}

export const thread: Way = {
  name: 'thread',
  title: 'thread (sluice), on its connection',
  async start(count: number, done: Done) {
    const layer = new FeedLayer();
    await listen({ path: 'fed', network: layer.network() }, function* reader(connection) {
      for (;;) done(yield* readHead(connection));
    });
    for (let i = 0; i < count; i++) layer.accept();
    return async (piece) => layer.receive(piece);
  },
};
