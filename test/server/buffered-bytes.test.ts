// The bound on the memory that all clients take together, over real sockets on every event layer.

import assert from 'node:assert/strict';
import net from 'node:net';
import { release } from 'node:os';
import { type TestContext, test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { Network } from '#sluice/connection/network.js';
import { type EventLayer, pieceSize } from '#sluice/event-layer/event-layer.js';
import { type ServeOptions, serve } from '#sluice/server/serve.js';
import { layers } from '../support/layers.js';
import { eventually, exchange } from '../support/raw-client.js';

const MiB = 2 ** 20;
const [major, minor] = release().split('.').map(Number);
const canLimitReceives = major > 6 || (major === 6 && minor >= 17); // io_uring

const post = (length: number) => `POST / HTTP/1.1\r\nhost: a\r\ncontent-length: ${length}\r\nconnection: close\r\n\r\n`;

async function serveOn(t: TestContext, layer: EventLayer, options: ServeOptions) {
  const server = await serve({
    ...{ network: new Network(layer), hostname: '127.0.0.1', port: 0, globals: false, onError() {} },
    ...options,
  });
  t.after(async () => {
    await server.close({ deadline: 1000 });
    await layer.close();
    assert.equal(server.buffered.held, 0, 'bytes that are counted as held');
  });
  return { server, port: server.port ?? 0 };
}

for (const { name, make, skip } of layers) {
  test(`${name}: uploads of five times maxBufferedBytes are answered or refused, within the bound, and the server serves on`, {
    skip,
  }, async (t) => {
    const { server, port } = await serveOn(t, make(), {
      maxBufferedBytes: 4 * MiB,
      async fetch(request) {
        const { byteLength } = await request.arrayBuffer();
        await wait(20); // the body is the handler's meanwhile, and counts
        return new Response(`${byteLength}`);
      },
    });
    let most = 0;
    const sampling = setInterval(() => {
      most = Math.max(most, server.buffered.held);
    }, 1);
    const body = Buffer.alloc(MiB / 2, 'x');
    const upload = Buffer.concat([Buffer.from(post(body.length)), body]);
    const answers = await Promise.all(Array.from({ length: 40 }, () => exchange(port, upload)));
    clearInterval(sampling);
    const answered = answers.filter((text) => /^HTTP\/1\.1 200 [\s\S]*\r\n524288$/.test(text)).length;
    const refused = answers.filter((text) => /^HTTP\/1\.1 503 [\s\S]*\r\nretry-after: 10\r\n/.test(text)).length;
    assert.ok(answered >= 8, `${answered} were answered, ${refused} got 503`);
    assert.ok(answered < 40 || server.buffered.refused === 0);
    assert.equal(server.buffered.refused, 40 - answered, `${refused} got 503`);
    assert.ok(most <= 4 * MiB + 40 * pieceSize, `${most} bytes were held`);
    assert.match(await exchange(port, `${post(5)}again`), /\r\n5$/);
  });

  test(`${name}: of requests behind one that takes long, each client has little in memory while maxBufferedBytes is reached`, {
    skip,
  }, async (t) => {
    const clients = 40;
    let finish = () => {};
    const finished = new Promise<void>((resolve) => {
      finish = resolve;
    });
    const { server, port } = await serveOn(t, make(), {
      maxBufferedBytes: MiB,
      async fetch() {
        await finished;
        return new Response('x');
      },
    });
    const sockets = Array.from({ length: clients }, () => net.connect(port, '127.0.0.1').resume());
    for (const socket of sockets) socket.write('GET / HTTP/1.1\r\nhost: a\r\n\r\n'.repeat(20_000));
    await eventually('all are handled', () => server.connections.handling === clients && server.buffered.held > MiB);
    await wait(100); // more may come meanwhile
    const { held } = server.buffered;
    const most = name === 'uring' && !canLimitReceives ? 3 * pieceSize : pieceSize;
    assert.ok(held <= MiB + clients * most, `${held / clients} bytes for each client`);
    for (const socket of sockets) socket.destroy();
    finish();
    await eventually('all are gone', () => server.connections.total === 0);
  });

  test(`${name}: output that its client does not read is counted, until it is read or the client is gone`, {
    skip,
  }, async (t) => {
    const { server, port } = await serveOn(t, make(), { fetch: () => new Response('x'.repeat(20 * MiB)) });
    const sockets = Array.from({ length: 2 }, () => net.connect(port, '127.0.0.1').pause());
    for (const socket of sockets) socket.write('GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n');
    // Between the marks at which writing stops and goes on, each.
    await eventually(
      'both are flooded',
      () => server.connections.writing === 2 && server.buffered.held > 2 * 16 * 1024,
    );
    assert.ok(server.buffered.held <= 2 * 2 * 64 * 1024, `${server.buffered.held} bytes`);
    sockets[0].destroy();
    await eventually('one is gone', () => server.connections.total === 1);
    assert.ok(
      server.buffered.held > 16 * 1024 && server.buffered.held <= 2 * 64 * 1024,
      `${server.buffered.held} bytes`,
    );
    sockets[1].resume();
    await eventually('the other has read all', () => server.buffered.held === 0);
    sockets[1].destroy();
  });
}
