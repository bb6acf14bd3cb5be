// The crowd, against a server in this process: its processes serve one crowd after the other.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { kinds } from '../crowd/protocol.js';
import { Crowd, endSpareCrowds } from '../load/crowd.js';
import type { Server } from '../load/server.js';
import { wait } from '../processes.js';

test('a crowd that has left takes all its connections along, and its process is the next one as new', async () => {
  const server = createServer((request, response) => {
    if (request.url === '/flood') response.end(new Uint8Array(4 << 20));
    else if (request.headers.accept !== undefined) response.end('slow');
    else response.end('hello');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const connections = () => new Promise((resolve) => server.getConnections((_, count) => resolve(count)));
  try {
    for (const kind of kinds) {
      if (kind === 'stream') continue; // for which this server has nothing
      const crowd = new Crowd({ port } as Server); // all that a crowd looks at
      await crowd.open(kind, 40);
      const [report] = await crowd.report();
      assert.equal(report?.open, 40, kind);
      assert.deepEqual(report.failures, {}, kind);
      await crowd.leave();
      for (let i = 0; i < 100 && (await connections()) !== 0; i++) await wait(20);
      assert.equal(await connections(), 0, kind);
    }
  } finally {
    await endSpareCrowds();
    server.closeAllConnections();
    server.close();
  }
});
