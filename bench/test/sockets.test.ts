import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Exchange, scriptFor } from '../load/messages.js';
import { Server } from '../load/server.js';
import { Sockets } from '../load/sockets.js';
import { findPeers, type Peer } from '../peers.js';
import { versionOf } from '../processes.js';

function peer(name: string): Peer {
  const found = findPeers([name], undefined, undefined).peers.find((each) => each.name === name);
  assert.ok(found, `${name} is there`);
  return found;
}

const hasCompiler = versionOf('cc', '--version') !== undefined;
const json = JSON.stringify(Array.from({ length: 60 }, (_, id) => ({ id, name: `item ${id}` })));

test('messages are echoed, compressed and not, and counted', { skip: !hasCompiler }, async () => {
  for (const exchange of [
    { kind: 'echo', text: 'Hello' },
    { kind: 'echo', text: json, deflate: true },
  ] satisfies Exchange[]) {
    const server = await Server.start(peer('ws'), { deflate: exchange.deflate ?? false });
    try {
      const load = await Sockets.start(server, { exchange, connections: 4, pipelined: 2 });
      for (let i = 0; i < 2; i++) {
        const { cpu, throughput } = await load.window(0.1);
        assert.ok(cpu > 0 && throughput > 10, `${cpu} µs a message, ${throughput} messages a second`);
      }
      await load.end();
    } finally {
      await server.stop();
    }
  }
});

test('a message is published to all WebSockets', { skip: !hasCompiler }, async () => {
  const server = await Server.start(peer('ws'));
  try {
    const exchange: Exchange = { kind: 'publish', text: 'news', to: 'sockets' };
    const load = await Sockets.start(server, { exchange, connections: 20 });
    const { throughput } = await load.window(0.1);
    assert.ok(throughput > 20, `${throughput} messages a second`);
    await load.end();
  } finally {
    await server.stop();
  }
});

test('a server that echoes something else is refused, at once or later', { skip: !hasCompiler }, async () => {
  const server = await Server.start(peer('broken'));
  try {
    await assert.rejects(scriptFor(server, { kind: 'echo', text: 'wrong' }), /a message has the text "WRONG"/);
    const load = await Sockets.start(server, { exchange: { kind: 'echo', text: 'Hello' }, connections: 4 });
    await assert.rejects(load.window(0.3), /an answer is not what was expected/);
    await load.end();
  } finally {
    await server.stop();
  }
});

test('a server that does not compress is refused', async () => {
  const server = await Server.start(peer('ws'));
  try {
    await assert.rejects(
      scriptFor(server, { kind: 'echo', text: json, deflate: true }),
      /answered with the extensions ""/,
    );
  } finally {
    await server.stop();
  }
});
