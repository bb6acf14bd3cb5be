// What one client may have of a turn, over sockets on every event layer: however much it sends, the others have theirs.

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { Network } from '#sluice/connection/network.js';
import type { EventLayer } from '#sluice/event-layer/event-layer.js';
import { Response } from '#sluice/http/fetch/response.js';
import { type ServeOptions, serve } from '#sluice/server/serve.js';
import { layers } from '../support/layers.js';
import { RawClient } from '../support/raw-client.js';
import { Traffic } from '../support/traffic.js';

const get = 'GET / HTTP/1.1\r\nhost: x\r\n\r\n';

/** Sends requests at once to a server. @returns how many were answered in each turn of its */
async function requestsPerTurn(t: TestContext, layer: EventLayer, requests: string[], options: Partial<ServeOptions>) {
  const traffic = new Traffic(layer);
  const network = new Network(traffic);
  const turns: number[] = [];
  let answered = 0;
  traffic.onTurnBegin = (looked) => {
    if (!looked) return;
    turns.push(answered);
    answered = 0;
  };
  const { fetch = () => new Response('x') } = options;
  const server = await serve({
    ...options,
    network,
    port: 0,
    hostname: '127.0.0.1',
    globals: false,
    fetch(request, info) {
      answered++;
      return fetch(request, info);
    },
  });
  t.after(async () => {
    await server.close({ deadline: 0 });
    await network.layer.close();
  });
  const client = await RawClient.open(server.port);
  client.send(requests.join(''));
  await client.until((text) => text.split('HTTP/1.1 200').length > requests.length);
  client.socket.destroy();
  return [...turns, answered];
}

for (const { name, make, skip } of layers) {
  test(`maxPipelined holds for a turn, in however many pieces the requests come, ${name}`, {
    skip,
  }, async (t) => {
    const padded = get.replace('\r\n\r\n', `\r\nx: ${'v'.repeat(1000)}\r\n\r\n`);
    for (const request of [get, padded]) {
      const turns = await requestsPerTurn(t, make(), Array(1000).fill(request), { maxPipelined: 10 });
      assert.ok(Math.max(...turns) <= 10, `${turns} requests were answered, turn by turn`);
    }
  });

  test(`handlers that take long end a client's turn sooner, ${name}`, { skip }, async (t) => {
    const fetch = () => {
      for (const end = performance.now() + 3; performance.now() < end; );
      return new Response('x');
    };
    const turns = await requestsPerTurn(t, make(), Array(20).fill(get), { fetch });
    assert.ok(Math.max(...turns) <= 3, `${turns} requests were answered, turn by turn`);
  });
}
