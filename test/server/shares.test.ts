// What one client may have of a turn, over sockets on every event layer: however much it sends, the others have theirs.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { type TestContext, test } from 'node:test';
import { Network } from '#sluice/connection/network.js';
import { chooseEventLayer, examineEventLayers } from '#sluice/event-layer/choose.js';
import { Response } from '#sluice/http/fetch/response.js';
import { type ServeOptions, serve } from '#sluice/server/serve.js';
import { Traffic } from '../support/traffic.js';

const get = 'GET / HTTP/1.1\r\nhost: x\r\n\r\n';

/** Sends requests at once to a server. @returns how many were answered in each turn of its */
async function requestsPerTurn(t: TestContext, layer: string, requests: string[], options: Partial<ServeOptions>) {
  const traffic = new Traffic(chooseEventLayer(layer));
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
  const socket = connect(server.port ?? 0, '127.0.0.1');
  let responses = 0;
  socket.setEncoding('latin1').on('data', (text: string) => {
    responses += text.split('HTTP/1.1 200').length - 1;
  });
  await once(socket, 'connect');
  socket.write(requests.join(''));
  while (responses < requests.length) await once(socket, 'data');
  socket.destroy();
  return [...turns, answered];
}

for (const { name, reason } of await examineEventLayers()) {
  test(`maxPipelined holds for a turn, in however many pieces the requests come, ${name}`, {
    skip: reason,
  }, async (t) => {
    const padded = get.replace('\r\n\r\n', `\r\nx: ${'v'.repeat(1000)}\r\n\r\n`);
    for (const request of [get, padded]) {
      const turns = await requestsPerTurn(t, name, Array(1000).fill(request), { maxPipelined: 10 });
      assert.ok(Math.max(...turns) <= 10, `${turns} requests were answered, turn by turn`);
    }
  });

  test(`handlers that take long end a client's turn sooner, ${name}`, { skip: reason }, async (t) => {
    const fetch = () => {
      for (const end = performance.now() + 3; performance.now() < end; );
      return new Response('x');
    };
    const turns = await requestsPerTurn(t, name, Array(20).fill(get), { fetch });
    assert.ok(Math.max(...turns) <= 3, `${turns} requests were answered, turn by turn`);
  });
}
