// What the fuzzing has found, made small; each of these has failed once.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { differ } from './differential.js';
import { readByNode } from './node.js';
import { Tally, tryScenario } from './properties.js';
import { scenarioOf } from './scenario.js';
import { exchange } from './server.js';

const host = 'host: a\r\n\r\n';

test('a client that has left is answered no further request once that unwinds, though its thread has not parked since', async () => {
  // The first request parks, so that the FIN is known by the time that the second is started, which is over without parking.
  const text = `POST /text HTTP/1.1\r\ntransfer-encoding: chunked\r\n${host}0\r\n\r\nHEAD /stream HTTP/1.1\r\n${host}POST /text HTTP/1.1\r\ncontent-length: 2\r\n${host}ab`;
  const { outcomes } = await exchange([[{ text, pause: 1 }]], { ending: 'leaves' });
  const [{ requests, responses }] = outcomes;
  assert.deepEqual(
    requests.map(({ method, target }) => `${method} ${target}`),
    ['POST /text', 'HEAD /stream'],
  );
  assert.deepEqual(
    responses.map(({ status }) => status),
    [200, 200],
  );
  await tryScenario(scenarioOf(text, { ending: 'leaves' }), new Tally());
});

test('a tab behind chunked is white space, also beside Upgrade, with which node:http takes the message to have no body', async () => {
  const text = `POST /text HTTP/1.1\r\nconnection: Upgrade\r\ntransfer-encoding: chunked\t\r\nupgrade: x\r\n${host}1\r\na\r\n0\r\n\r\n`;
  const { outcomes } = await exchange([[{ text, pause: 1 }]], { ending: 'patient', readAll: true });
  const [ours] = outcomes;
  assert.deepEqual(
    ours.requests.map(({ body }) => body),
    ['a'],
  );
  assert.equal(differ(text, ours, await readByNode(text)), 'node differs: a tab behind chunked, beside Upgrade');
});
