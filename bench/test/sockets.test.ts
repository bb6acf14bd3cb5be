import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { type Exchange, scriptFor } from '../load/messages.js';
import { Server } from '../load/server.js';
import { compileSockets, Sockets } from '../load/sockets.js';
import { findPeers, type Peer } from '../peers.js';
import { end, start, versionOf } from '../processes.js';

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

test('orders that reach the clients together, or in parts, are obeyed one by one', { skip: !hasCompiler }, async () => {
  const texts = { handshake: 'hello', publisher: 'hello', message: 'x', answer: 'x' };
  const head = 'HTTP/1.1 101 Switching Protocols\r\n\r\n';
  const place = mkdtempSync(join(tmpdir(), 'sluice-bench-'));
  for (const [name, text] of Object.entries(texts)) writeFileSync(join(place, name), text);
  const server = createServer((socket) => {
    socket.once('data', () => {
      socket.write(head);
      socket.on('data', (bytes) => socket.write(bytes));
    });
    socket.on('error', () => {}); // the clients are killed
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  assert.ok(typeof address === 'object' && address !== null);
  const clients = start([compileSockets(), 'echo', String(address.port), '2', '3', '0', '101', place], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  try {
    const { stdin, stdout } = clients;
    assert.ok(stdin !== null && stdout !== null);
    const lines = createInterface(stdout)[Symbol.asyncIterator]();
    const line = async (): Promise<unknown> => (await lines.next()).value;
    assert.equal(await line(), 'ready');
    stdin.write('run\nstop\n');
    assert.equal(await line(), '6', 'two connections have sent three messages each');
    stdin.write('run\nst');
    setTimeout(() => stdin.write('op\n'), 20);
    assert.ok(Number(await line()) >= 6);
    stdin.write('run\nrun\n');
    assert.equal(await line(), 'problem: the order run is unknown, or comes too soon');
  } finally {
    await end(clients);
    server.close();
    rmSync(place, { recursive: true });
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
