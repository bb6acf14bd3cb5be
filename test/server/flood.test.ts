import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { Child } from '../support/program.js';
import { RawClient } from '../support/raw-client.js';
import type { Answer, Ask } from './flood-server.js';

const MiB = 1024 ** 2;

test('a client that asks for 1 GiB and never reads: the handler is parked, flooded, and the process grows by less than 1 MiB', async (t) => {
  const server = new Child<Ask, Answer>(new URL('flood-server.js', import.meta.url));
  const clients: RawClient[] = [];
  t.after(() => {
    server.kill();
    for (const { socket } of clients) socket.destroy();
  });
  const { port } = await server.ask({ start: true });
  const flood = async (): Promise<Answer> => {
    const client = await RawClient.open(port);
    client.socket.pause();
    clients.push(client.send('GET / HTTP/1.1\r\nhost: x\r\n\r\n'));
    for (let i = 0; i < 500; i++) {
      const before = await server.ask({ measure: true });
      await wait(100);
      const after = await server.ask({ measure: true });
      const parked = after.waits.length === clients.length && after.waits.every((kind) => kind === 'flooded');
      if (parked && after.written === before.written) return after;
    }
    return assert.fail('the handlers have not parked');
  };
  // What the engine compiles and keeps at first is not the flood's: other clients go before.
  let before = await flood();
  for (let i = 0; i < 7; i++) before = await flood();
  const after = await flood();
  const grown = after.resident - before.resident;
  const taken = after.written - before.written;
  t.diagnostic(`${taken} bytes are with the kernel, and the process has grown by ${grown} bytes`);
  assert.ok(taken < 64 * MiB, `the handler has written ${taken} bytes: more than the kernel's buffers hold`);
  assert.ok(grown < MiB, `the process has grown by ${(grown / MiB).toFixed(2)} MiB`);
  for (const { socket } of clients) socket.destroy();
  await server.ask({ close: true });
  assert.equal(await server.end(), 0);
});
