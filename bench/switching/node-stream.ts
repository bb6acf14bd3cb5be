// On node:stream: a Readable that is pushed to; read in a straight line by async iteration, and by a listener, which keeps the
// place by hand again.

import { Readable } from 'node:stream';
import { type Done, matchEnd, nextTurn, type Way } from './reader.js';

async function iterate(stream: Readable, done: Done): Promise<void> {
  let length = 0;
  let seen = 0;
  for await (const piece of stream as AsyncIterable<Uint8Array>) {
    length += piece.length;
    seen = matchEnd(seen, piece);
    if (seen < 4) continue;
    done(length);
    length = 0;
    seen = 0;
  }
}

function listen(stream: Readable, done: Done): void {
  let length = 0;
  let seen = 0;
  stream.on('data', (piece: Uint8Array) => {
    length += piece.length;
    seen = matchEnd(seen, piece);
    if (seen < 4) return;
    done(length);
    length = 0;
    seen = 0;
  });
}

function over(read: (stream: Readable, done: Done) => unknown): Way['start'] {
  return async (count, done) => {
    const streams = Array.from({ length: count }, () => new Readable({ read() {} }));
    for (const stream of streams) read(stream, done);
    await nextTurn();
    return async (piece) => {
      for (const stream of streams) stream.push(piece);
      await nextTurn();
    };
  };
}

export const nodeStream: Way = { name: 'node-stream', title: 'node:stream, for await', start: over(iterate) };
export const nodeStreamEvents: Way = { name: 'node-stream-data', title: "node:stream, on 'data'", start: over(listen) };
