// Measures what it costs to take in a request head that comes at one byte a turn: a whole server on a layer without sockets. The
// head lacks its last byte, so it is taken in to its end and never answered.

import { serve } from 'sluice';
import { FeedLayer } from '../switching/feed-layer.js';
import type { Order, Took } from './protocol.js';

const layer = new FeedLayer();
await serve({
  ...{ path: 'fed', network: layer.network() },
  fetch: () => {
    throw new Error('a head has ended that was not to');
  },
  onError(error) {
    throw error;
  },
});

/** Fields of 400 bytes each, and one that makes up the rest: a server takes 100 at most. */
function headOf(bytes: number): Uint8Array {
  const beginning = 'GET / HTTP/1.1\r\nHost: localhost\r\n';
  const field = `X-Field: ${'v'.repeat(389)}\r\n`;
  let text = beginning;
  while (text.length + 2 * field.length < bytes) text += field;
  text += `X: ${'v'.repeat(bytes - text.length - 7)}\r\n\r\n`;
  return new TextEncoder().encode(text);
}

process.on('message', ({ bytes, heads }: Order) => {
  const head = headOf(bytes);
  if (head.length !== bytes) throw new Error(`a head of ${bytes} bytes has ${head.length}`);
  const began = process.hrtime.bigint();
  for (let i = 0; i < heads; i++) {
    const slot = layer.accept();
    for (let at = 0; at < head.length - 1; at++) layer.receiveOn(slot, head.subarray(at, at + 1));
    layer.close(slot);
  }
  const took = Number(process.hrtime.bigint() - began);
  process.send?.({ time: took / (heads * (bytes - 1)) } satisfies Took);
});
process.on('disconnect', () => process.exit());
process.send?.('ready');
