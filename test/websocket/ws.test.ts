// The corpus against a server of the ws package: where it does otherwise, there is a reason.

import { test } from 'node:test';
import { WebSocketServer } from 'ws';
import type { DeflateOptions } from '#sluice/websocket/extensions.js';
import { corpus } from './corpus/all.js';
import { type Case, type EndpointName, endpoints } from './corpus/case.js';
import { converse } from './sockets.js';

/** Cases that ws treats otherwise, and why that is no reason to do as it does. */
const differences: readonly [why: string, is: (c: Case) => boolean][] = [
  ['it refuses a frame when all of it has come', ({ name }) => name.endsWith('before the rest of the frame')],
  ['it checks UTF-8 when all of a message has come', ({ name }) => /^a text of .*, one byte in a frame$/.test(name)],
  [
    'it takes lengths that are not in the shortest form',
    ({ name }) => /^a length .*(two|eight) bytes|not the shortest/.test(name),
  ],
  ['it says of a length of 2^63 that it is too large', ({ name }) => name === 'a length of 2^63'],
  [
    'its limit for messages is one for compressed messages, too, which may be larger than their content',
    ({ name }) => name.endsWith('when they are only stored'),
  ],
  [
    'it reads no further than to the first block that says that it is the last',
    ({ name }) => name.startsWith('two streams'),
  ],
  [
    'it takes compressed data that are cut short for complete ones',
    ({ name }) =>
      /^compressed data of which the last|^a compressed message of (no bytes|empty frames)|there twice$/.test(name),
  ],
];

/** So many clients at once. */
const crowd = 30;

test('ws reads the corpus in the same way, apart from what is known', async () => {
  const open = new Map<EndpointName, { server: WebSocketServer; port: number }>();
  for (const name of Object.keys(endpoints) as EndpointName[]) {
    const { maxPayloadLength, perMessageDeflate }: { maxPayloadLength: number; perMessageDeflate?: DeflateOptions } =
      endpoints[name];
    const server = new WebSocketServer({
      port: 0,
      host: '127.0.0.1',
      maxPayload: maxPayloadLength,
      perMessageDeflate: perMessageDeflate !== undefined && {
        threshold: 0,
        serverNoContextTakeover: perMessageDeflate.serverContextTakeover !== true,
        clientNoContextTakeover: perMessageDeflate.clientContextTakeover !== true,
      },
    });
    server.on('connection', (socket) => {
      socket.on('error', () => {}); // the client sees the Close frame
      socket.on('message', (message, isBinary) => socket.send(message, { binary: isBinary }));
    });
    await new Promise((resolve) => server.once('listening', resolve));
    const address = server.address();
    open.set(name, { server, port: typeof address === 'object' && address !== null ? address.port : 0 });
  }
  const waiting = corpus.filter((c) => c.peer === 'client' && !differences.some(([, is]) => is(c)));
  const work = async (): Promise<void> => {
    for (let c: Case | undefined; (c = waiting.shift()) !== undefined; )
      (await converse(open.get(c.endpoint)?.port ?? 0, c, 'whole')).check('handlers');
  };
  try {
    await Promise.all(Array.from({ length: crowd }, work));
  } finally {
    for (const { server } of open.values()) {
      for (const client of server.clients) client.terminate();
      server.close();
    }
  }
});
