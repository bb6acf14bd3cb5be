// The option `proxyProtocol` of `serve` and `listen`: over the simulated network, and over sockets on each event layer, before TLS and before plain HTTP.

import assert from 'node:assert/strict';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { createServer } from 'node:http';
import { describe, it, test } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { listen } from '#sluice/connection/listen.js';
import { Network } from '#sluice/connection/network.js';
import { Response } from '#sluice/http/fetch/response.js';
import type { RefusedRequest } from '#sluice/http/settings.js';
import { listen as listenNode } from '#sluice/node/listen.js';
import { type ServeOptions, serve } from '#sluice/server/serve.js';
import { sleep } from '#sluice/threads/sleep.js';
import { authority, local } from '../support/certificates.js';
import { layers } from '../support/layers.js';
import { RawClient } from '../support/raw-client.js';
import { type Exchanged, get, World } from '../support/world.js';
import { toyTls } from '../tls/toy-peer.js';
import { binaryHeader, textHeader } from './headers.js';

const fetch: ServeOptions['fetch'] = (_request, info) => new Response(info.peer);
const last = get('/', 'connection: close');

const bodies = ({ responses }: Exchanged) => responses.map(({ body }) => body);

async function worldOf(options: Partial<ServeOptions>, pieces: 'whole' | 'random' | number = 'whole') {
  const refused: RefusedRequest[] = [];
  const world = new World({ latency: 0.01, pieces }, 'plain');
  await world.serve({ fetch, proxyProtocol: true, onRefused: (refusal) => refused.push(refusal), ...options });
  return { world, refused };
}

for (const pieces of ['whole', 'random', 1] as const)
  test(`handlers see the client that the header names, for every request of the connection; pieces: ${pieces}`, async () => {
    const { world, refused } = await worldOf({}, pieces);
    const named = world.exchange(textHeader('192.0.2.1') + get('/') + last);
    const binary = binaryHeader(0x21, 0x11, [192, 0, 2, 9, 127, 0, 0, 1, 0, 7, 0, 80]).toString('latin1');
    const other = world.exchange(binary + last);
    const own = world.exchange(binaryHeader(0x20, 0, []).toString('latin1') + last);
    const unix = world.exchange(binaryHeader(0x21, 0x31, Buffer.alloc(216)).toString('latin1') + last);
    await world.pass();
    assert.deepEqual(bodies(await named), ['192.0.2.1:12345', '192.0.2.1:12345']);
    assert.deepEqual(bodies(await other), ['192.0.2.9:7']);
    assert.match(bodies(await own)[0] ?? '', /^127\.0\.0\.1:\d+$/);
    assert.deepEqual(bodies(await unix), ['']);
    assert.deepEqual(refused, []);
    await world.close();
  });

test('a request, TLS or not, may be in the same packet as the header, or come much later', async () => {
  const tls = toyTls();
  const world = new World({ latency: 0.01, pieces: 'random' }, 'plain');
  const server = await world.serve({ fetch, proxyProtocol: true });
  const secure = await world.serve({ fetch, proxyProtocol: true, secure: tls.secure });
  const late = world.client(
    function* ({ reader, writer }) {
      yield* writer.write(textHeader('192.0.2.1'));
      yield* sleep(50_000);
      yield* writer.write(last);
      return Buffer.from(yield* reader.readAll(1000)).toString('latin1');
    },
    { port: server.port },
  );
  await world.pass();
  assert.match(await late, /\r\n\r\n192\.0\.2\.1:12345$/);
  assert.equal(secure.url.protocol, 'https:');
  await world.close();
});

for (const [what, sent] of [
  ['no header, but a request', last],
  ['a malformed header', `PROXY TCP4 localhost 127.0.0.1 1 2\r\n${last}`],
  ['a header of an unknown version', binaryHeader(0x31, 0x11, Buffer.alloc(12)).toString('latin1') + last],
] as const)
  test(`${what}: the connection is reset without an answer, and onRefused is called once`, async () => {
    const { world, refused } = await worldOf({}, 1);
    const exchanged = world.exchange(sent);
    await world.pass();
    const { ending, responses } = await exchanged;
    assert.equal(ending, 'reset');
    assert.deepEqual(responses, []);
    assert.deepEqual(
      refused.map(({ status, code }) => [status, code]),
      [[400, 'ERR_PROXY_HEADER']],
    );
    assert.match(refused[0]?.message ?? '', /^PROXY protocol §2/);
    assert.match(refused[0]?.peer ?? '', /^127\.0\.0\.1:/, 'who has connected');
    assert.deepEqual(world.errors, []);
    await world.close();
  });

test('a header that comes too slowly, or in part, ends the connection at headTimeout', async () => {
  const { world, refused } = await worldOf({ headTimeout: 1000 });
  const ending = (text: string) =>
    world.client(function* (connection) {
      const since = world.now;
      try {
        yield* connection.writer.write(text);
        yield* connection.reader.readAll(100);
      } catch {
        // It is reset.
      }
      return Math.round(world.now - since);
    });
  const [silent, partial] = [ending(''), ending('PROXY TC')];
  await world.pass();
  assert.ok((await silent) >= 1000 && (await silent) < 1100);
  assert.ok((await partial) >= 1000 && (await partial) < 1100);
  assert.deepEqual(
    refused.map(({ code }) => code),
    ['ERR_PROXY_HEADER', 'ERR_PROXY_HEADER'],
  );
  assert.equal(world.server.buffered.held, 0);
  await world.close();
});

test('a client that only connects is not reported; one that ends within the header is', async () => {
  const { world, refused } = await worldOf({});
  const end = (text: string) =>
    world.client(function* (connection) {
      if (text !== '') yield* connection.writer.write(text);
      yield* connection.writer.end();
    });
  await Promise.all([end(''), end('PROXY'), world.pass()]);
  assert.deepEqual(
    refused.map(({ message }) => message),
    ['PROXY protocol §2: the connection ends within the header'],
  );
  await world.close();
});

test('connections are counted for the address that the header names, and not for that of the proxy', async () => {
  const { world, refused } = await worldOf({ maxConnectionsPerAddress: 2 });
  const open = (address: string) =>
    world.client(function* ({ reader, writer }) {
      yield* writer.write(textHeader(address));
      yield* sleep(10);
      yield* writer.write(last);
      return Buffer.from(yield* reader.readAll(1000))
        .toString('latin1')
        .slice(9, 12);
    });
  const all = ['192.0.2.1', '192.0.2.2', '192.0.2.3', '192.0.2.1', '192.0.2.1'].map(open);
  await world.pass();
  assert.deepEqual((await Promise.all(all)).sort(), ['200', '200', '200', '200', '429']);
  assert.deepEqual(
    refused.map(({ status, peer }) => [status, peer]),
    [[429, '192.0.2.1:12345']],
  );
  await world.close();
});

test('a handler of listen starts after the header, and sees the client that it names', async () => {
  const world = new World({ latency: 0.01, pieces: 1 }, 'plain');
  const { network } = world;
  const failures: unknown[] = [];
  const heard = (message: unknown) => failures.push((message as { reason?: { code: string } }).reason?.code);
  const channel = 'sluice.connection.close';
  subscribe(channel, heard);
  const server = await listen({ port: 0, network, proxyProtocol: true }, function* ({ peer, reader, writer }) {
    yield* writer.write(`${peer} ${yield* reader.readLine(100)}`);
  });
  const { port } = server;
  const ask = (text: string) =>
    world.client(
      function* (connection) {
        yield* connection.writer.write(text);
        try {
          return Buffer.from(yield* connection.reader.readAll(100)).toString('latin1');
        } catch {
          return 'reset';
        }
      },
      { port },
    );
  const [good, bad] = [ask(`${textHeader('2001:db8::1')}hello\n`), ask('hello\n')];
  await world.pass();
  assert.equal(await good, '[2001:db8::1]:12345 hello');
  assert.equal(await bad, 'reset');
  const closing = server.close();
  await world.pass();
  await closing;
  unsubscribe(channel, heard);
  assert.ok(failures.includes('ERR_PROXY_HEADER'));
  await world.close();
});

for (const { name, make, skip } of layers)
  describe(`the PROXY protocol over sockets, on ${name}`, { skip }, () => {
    it('before HTTP', async () => {
      const network = new Network(make());
      const server = await serve({ fetch, network, port: 0, hostname: '127.0.0.1', proxyProtocol: true });
      const client = new RawClient(server.port).send(textHeader('192.0.2.1') + last);
      assert.match(await client.whole(), /\r\n\r\n192\.0\.2\.1:12345$/);
      await server.close();
      await network.layer.close();
    });

    it('before an application for Node, whose sockets have the address that it names', async () => {
      const network = new Network(make());
      const application = createServer(({ socket: { remoteAddress, remotePort, remoteFamily } }, response) =>
        response.end(`${remoteAddress} ${remotePort} ${remoteFamily}`),
      );
      const server = await listenNode(application, { network, port: 0, hostname: '127.0.0.1', proxyProtocol: true });
      const client = new RawClient(server.port).send(textHeader('2001:db8::1') + last);
      assert.match(await client.whole(), /\r\n\r\n2001:db8::1 12345 IPv6$/);
      assert.equal(await new RawClient(server.port).send(last).whole(), '');
      await server.close();
      await network.layer.close();
    });

    it('before TLS, byte by byte; and a client without a header is refused', async () => {
      const network = new Network(make());
      const refused: RefusedRequest[] = [];
      const { key, cert } = local;
      const server = await serve({
        ...{ fetch, network, port: 0, hostname: '127.0.0.1', proxyProtocol: true, tls: { key, cert } },
        onRefused: (refusal) => refused.push(refusal),
      });
      const carrier = await RawClient.open(server.port);
      for (const byte of textHeader('192.0.2.1')) await new Promise((sent) => carrier.socket.write(byte, sent));
      carrier.socket.removeAllListeners('data').setEncoding('binary');
      const text = await new Promise<string>((resolve, reject) => {
        let got = '';
        const { socket } = carrier;
        const secured = connectTls({ socket, ca: authority.cert, servername: 'localhost' }, () => secured.write(last));
        secured
          .on('data', (data) => {
            got += data;
          })
          .on('end', () => resolve(got))
          .on('error', reject);
      });
      assert.match(text, /\r\n\r\n192\.0\.2\.1:12345$/);
      const stranger = new RawClient(server.port).send(last);
      assert.equal(await stranger.whole(), '');
      assert.deepEqual(
        refused.map(({ code }) => code),
        ['ERR_PROXY_HEADER'],
      );
      await server.close();
      await network.layer.close();
    });
  });
