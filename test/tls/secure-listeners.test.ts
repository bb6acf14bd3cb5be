// Listeners and clients with the option `secure`: plain and secure ones on one network, each connection through its own transport.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Connection } from '#sluice/connection/connection.js';
import { listen, type TcpServer } from '#sluice/connection/listen.js';
import type { ConnectionError, Slot } from '#sluice/event-layer/event-layer.js';
import { Response } from '#sluice/http/fetch/response.js';
import { stream } from '#sluice/http/stream.js';
import { usedTransports } from '#sluice/observe/inspect.js';
import { sleep } from '#sluice/threads/sleep.js';
import type { Task } from '#sluice/threads/task.js';
import { get, post, received, World } from '../support/world.js';
import { recordType, ToyPeer, toyTls } from './toy-peer.js';

const plainWorld = (simulated?: ConstructorParameters<typeof World>[0]): World => new World(simulated, 'plain');

/** Starts a server for a protocol of its own. It must be closed before the world. */
function listenIn(world: World, handler: (connection: Connection) => Task<void>, tls = toyTls()): Promise<TcpServer> {
  const { network } = world;
  return listen({ port: 0, hostname: '127.0.0.1', network, secure: tls.secure }, handler);
}

async function closeAll(world: World, ...servers: TcpServer[]): Promise<void> {
  const closing = Promise.all(servers.map((server) => server.close()));
  await world.pass();
  await closing;
  await world.close();
}

function* failureOf(task: Task<unknown>): Task<ConnectionError> {
  try {
    yield* task;
  } catch (error) {
    return error as ConnectionError; // as the tests that use it compare
  }
  throw new Error('it has not failed');
}

for (const pieces of ['whole', 'random', 1] as const)
  test(`plain and secure listeners side by side on one network, bytes in pieces: ${pieces}`, async () => {
    const world = plainWorld({ latency: 0.01, pieces });
    const tls = toyTls();
    const fetch = (name: string) => (request: Request) =>
      request.method === 'POST' ? request.text().then((text) => new Response(name + text)) : new Response(name);
    const plain = await world.serve({ fetch: fetch('plain') });
    const secure = await world.serve({ fetch: fetch('secure'), secure: tls.secure });
    assert.match(plain.url.href, /^http:\/\/127\.0\.0\.1:/);
    assert.match(secure.url.href, /^https:\/\/127\.0\.0\.1:/);
    const ask = (port: number | undefined, own: ReturnType<typeof toyTls> | undefined) =>
      world.client(
        function* ({ reader, writer }) {
          yield* writer.write(get('/') + post('/', 'x'.repeat(5000)) + get('/', 'connection: close'));
          return Buffer.from(yield* reader.readAll(100_000)).toString('latin1');
        },
        { port, secure: own?.secure },
      );
    const asked = Array.from({ length: 10 }, (_, i) =>
      i % 2 === 0 ? ask(plain.port, undefined) : ask(secure.port, tls),
    );
    await world.pass(60_000);
    for (const [i, text] of (await Promise.all(asked)).entries()) {
      const name = i % 2 === 0 ? 'plain' : 'secure';
      assert.equal(text.match(/HTTP\/1\.1 200/g)?.length, 3);
      assert.equal(text.match(new RegExp(`\r\n\r\n${name}`, 'g'))?.length, 3);
      assert.ok(text.includes('x'.repeat(5000)));
    }
    await world.close();
  });

test('what is on the wire is records, and not the plain bytes', async () => {
  const world = plainWorld();
  await world.serve({ fetch: () => new Response('the content of the response'), secure: toyTls().secure });
  const result = world.client(function* (connection) {
    const peer = new ToyPeer(connection);
    yield* peer.handshake();
    yield* connection.writer.write(peer.seal(get('/', 'connection: close')));
    const wire = Buffer.from(yield* connection.reader.peek(100)).toString('latin1');
    return { wire, records: yield* peer.rest() };
  });
  await world.pass(60_000);
  const { wire, records } = await result;
  assert.ok(!wire.includes('HTTP') && !wire.includes('content'));
  assert.deepEqual(
    records.map(({ type }) => type),
    [recordType.content, recordType.alert],
  );
  assert.match(records[0].body.toString(), /^HTTP\/1\.1 200 OK\r\n.*the content of the response$/s);
  assert.deepEqual([...records[1].body], [1, 0]);
  await world.close();
});

test('16 pipelined requests that are answered in one turn make one record', async () => {
  const world = plainWorld();
  await world.serve({ fetch: () => new Response('hello'), secure: toyTls().secure });
  const records = world.client(function* (connection) {
    const peer = new ToyPeer(connection);
    yield* peer.handshake();
    yield* connection.writer.write(peer.seal(get('/').repeat(15) + get('/', 'connection: close')));
    return yield* peer.rest();
  });
  await world.pass(60_000);
  const [content, end, ...others] = await records;
  assert.equal(content.body.toString().match(/hello/g)?.length, 16);
  assert.equal(end.type, recordType.alert);
  assert.deepEqual(others, []);
  await world.close();
});

test('ALPN: the server chooses the first of its protocols that the client offers', async () => {
  const world = plainWorld();
  const servers = toyTls('h2', 'http/1.1');
  const clients = toyTls('acme', 'http/1.1', 'h2');
  const chosen: unknown[] = [];
  const server = await listenIn(
    world,
    function* ({ reader, slot }) {
      chosen.push(servers.transport.protocol(slot));
      yield* reader.read();
      chosen.push(servers.transport.protocol(slot));
    },
    servers,
  );
  const { port } = server;
  const client = world.client(
    function* ({ writer, slot }) {
      chosen.push(clients.transport.protocol(slot));
      yield* writer.write('x');
    },
    { port, secure: clients.secure },
  );
  await world.pass(60_000);
  await client;
  assert.deepEqual(chosen, ['h2', 'h2', 'h2']);
  await closeAll(world, server);
});

test('ALPN: with no protocol in common, connect fails with ERR_TLS_ALPN, and other clients go on', async () => {
  const world = plainWorld();
  const server = await world.serve({ fetch: () => new Response('hello'), secure: toyTls().secure });
  const { port } = server;
  const other = world.client(
    function* (connection) {
      yield* connection.writer.write(get('/'));
      yield* sleep(1000);
      yield* connection.writer.write(get('/', 'connection: close'));
      return yield* received(connection);
    },
    { port, secure: toyTls().secure },
  );
  const failed = world.run(() => failureOf(world.connect({ port, secure: toyTls('h2', 'acme').secure })));
  await world.pass(60_000);
  const { code, message } = await failed;
  assert.equal(code, 'ERR_TLS_ALPN');
  assert.match(message, /no application protocol in common/);
  assert.equal((await other).responses.length, 2);
  assert.equal(server.connections.total, 0);
  await world.close();
});

test('a client with TLS of a plain server, and the reverse: connect fails, and the server goes on', async () => {
  const world = plainWorld();
  const plain = await world.serve({ fetch: () => new Response('plain') });
  const secure = await world.serve({ fetch: () => new Response('secure'), secure: toyTls().secure });
  const failed = world.run(() => failureOf(world.connect({ port: plain.port, secure: toyTls().secure })));
  const text = world.client(
    function* ({ reader, writer }) {
      yield* writer.write(get('/'));
      return Buffer.from(yield* reader.readAll(1000));
    },
    { port: secure.port },
  );
  await world.pass(60_000);
  assert.equal((await failed).code, 'ERR_TLS_PROTOCOL');
  assert.match((await text).toString('latin1'), /^HTTP\/1\.1 400 /);
  await world.close();
});

test('a thread that connects is resumed when the handshake is complete, and not before', async () => {
  const world = plainWorld({ latency: 0.01, pieces: 'whole' });
  let answers = false;
  // It speaks no TLS by itself: it sends the handshake of the toy when the test says so.
  const server = await listen(
    { port: 0, hostname: '127.0.0.1', network: world.network },
    function* ({ reader, writer }) {
      yield* reader.read();
      yield* sleep(500);
      answers = true;
      yield* writer.write(Buffer.concat([Uint8Array.of(22, 3, 3, 0, 12), Buffer.from('toy http/1.1')]));
      yield* reader.read();
    },
  );
  const client = world.client(
    function* () {
      return { answers, at: world.now };
    },
    { port: server.port, secure: toyTls().secure },
  );
  await world.pass(60_000);
  const result = await client;
  assert.equal(result.answers, true);
  assert.ok(result.at >= 500);
  await closeAll(world, server);
});

test('connectTimeout includes the handshake', async () => {
  const world = plainWorld();
  const server = await listen({ port: 0, hostname: '127.0.0.1', network: world.network }, function* ({ reader }) {
    while ((yield* reader.read()) !== undefined);
  });
  const tls = toyTls();
  const failed = world.run(() =>
    failureOf(world.connect({ port: server.port, secure: tls.secure, connectTimeout: 300 })),
  );
  await world.pass(60_000);
  assert.equal((await failed).code, 'ERR_CONNECT_TIMEOUT');
  await closeAll(world, server);
});

test('a handler of listen starts when the handshake is complete: what it writes first arrives before what it writes later', async () => {
  const world = plainWorld();
  let startedAt = 0;
  const server = await listenIn(world, function* ({ reader, writer }) {
    startedAt = world.now;
    yield* writer.write('a greeting; ');
    yield* writer.write('x'.repeat(200_000));
    yield* reader.read();
    yield* writer.write('; the answer');
  });
  const { port } = server;
  const client = world.run(function* () {
    const connection = yield* world.connect({ port });
    yield* sleep(1000);
    assert.deepEqual(server.connections, { idle: 1, reading: 0, handling: 0, writing: 0, closing: 0, total: 1 });
    assert.deepEqual([...server.threads()], []);
    assert.equal(server.buffered.held, 0);
    const peer = new ToyPeer(connection);
    yield* peer.handshake();
    yield* connection.writer.write(peer.seal('?'));
    return Buffer.concat(
      (yield* peer.rest()).filter(({ type }) => type === recordType.content).map(({ body }) => body),
    );
  });
  await world.pass(60_000);
  assert.equal((await client).toString(), `a greeting; ${'x'.repeat(200_000)}; the answer`);
  assert.ok(startedAt >= 1000, `it started at ${startedAt}`);
  assert.equal(server.buffered.held, 0);
  await closeAll(world, server);
});

for (const how of ['silence', 'garbage', 'FIN', 'reset'] as const)
  test(`a handler of listen does not start for a client whose handshake ends by ${how}`, async () => {
    const world = plainWorld();
    let started = 0;
    const server = await listenIn(world, function* () {
      started++;
    });
    const client = world.client(
      function* (connection) {
        const { reader, writer } = connection;
        if (how === 'garbage') yield* writer.write('no TLS at all\r\n');
        else yield* writer.write(new ToyPeer(connection).hello().subarray(0, 6));
        yield* sleep(10);
        if (how === 'FIN') yield* writer.end();
        else if (how === 'reset') connection.reset();
        else yield* reader.readAll(1000);
      },
      { port: server.port },
    );
    await world.pass(100);
    assert.equal(server.connections.idle, how === 'silence' ? 1 : 0);
    const before = world.now;
    const closing = server.close();
    await world.pass(5000);
    await closing;
    await client;
    assert.ok(world.now - before < 10_000);
    assert.equal(started, 0);
    await world.close();
  });

for (const side of ['client', 'server'] as const)
  test(`the ${side} ends its side first: bytes go on in the other direction`, async () => {
    const world = plainWorld({ latency: 0.01, pieces: 'random' });
    const tls = toyTls();
    const texts: string[] = [];
    function* endFirst({ reader, writer }: Connection): Task<void> {
      yield* writer.write('first');
      yield* writer.end();
      texts.push(Buffer.from(yield* reader.readAll(1_000_000)).toString());
    }
    function* endSecond({ reader, writer }: Connection): Task<void> {
      texts.push(Buffer.from(yield* reader.readAll(1000)).toString());
      yield* writer.write('second'.repeat(50_000));
    }
    const server = await listenIn(world, side === 'server' ? endFirst : endSecond, tls);
    const client = world.client(side === 'client' ? endFirst : endSecond, { port: server.port, secure: tls.secure });
    await world.pass(60_000);
    await client;
    assert.deepEqual(texts, ['first', 'second'.repeat(50_000)]);
    await closeAll(world, server);
  });

test('a server that closes does not wait for clients that have connected and say nothing', async () => {
  const world = plainWorld();
  const server = await world.serve({ fetch: () => new Response('hello'), secure: toyTls().secure });
  const silent = Array.from({ length: 5 }, () =>
    world.client(
      function* ({ reader }) {
        return yield* reader.read();
      },
      { port: server.port },
    ),
  );
  await world.pass(2000);
  assert.equal(server.connections.total, 5);
  const before = world.now;
  const closing = server.close();
  await world.pass(5000);
  for (const client of silent) assert.equal(await client, undefined);
  await closing;
  assert.equal(server.connections.total, 0);
  assert.ok(world.now - before < 10_000);
  await world.close();
});

test('a server that closes sends close_notify to an idle client', async () => {
  const world = plainWorld();
  const server = await world.serve({ fetch: () => new Response('hello'), secure: toyTls().secure });
  const records = world.client(
    function* (connection) {
      const peer = new ToyPeer(connection);
      yield* peer.handshake();
      yield* connection.writer.write(peer.seal(get('/')));
      return yield* peer.rest();
    },
    { port: server.port },
  );
  await world.pass(2000);
  const closing = server.close();
  await world.pass(5000);
  await closing;
  assert.deepEqual(
    (await records).map(({ type, body }) => [type, type === recordType.alert ? body[1] : 'content']),
    [
      [recordType.content, 'content'],
      [recordType.alert, 0],
    ],
  );
  await world.close();
});

for (const how of ['FIN', 'reset'] as const)
  test(`${how} of a client within the handshake ends its connection, and others go on`, async () => {
    const world = plainWorld();
    const tls = toyTls();
    const server = await world.serve({ fetch: () => new Response('hello'), secure: tls.secure });
    const { port } = server;
    const leaving = Array.from({ length: 10 }, (_, sent) =>
      world.client(
        function* (connection) {
          const hello = new ToyPeer(connection).hello();
          yield* connection.writer.write(hello.subarray(0, sent));
          yield* sleep(10);
          if (how === 'reset') connection.reset();
          else yield* connection.writer.end();
          yield* sleep(1000);
        },
        { port },
      ),
    );
    const staying = world.client(
      function* (connection) {
        yield* sleep(500);
        yield* connection.writer.write(get('/', 'connection: close'));
        return yield* received(connection);
      },
      { port, secure: tls.secure },
    );
    await world.pass(800);
    assert.equal(server.connections.total, 0);
    assert.equal(server.buffered.held, 0);
    await world.pass(60_000);
    await Promise.all(leaving);
    assert.equal((await staying).responses.length, 1);
    await world.close();
  });

test('slots that are used again have a session of their own, whichever kind of connection had them before', async () => {
  const world = plainWorld({ latency: 0.01, pieces: 'random' });
  const tls = toyTls();
  const plain = await world.serve({ fetch: () => new Response('plain') });
  const secure = await world.serve({
    fetch: () =>
      stream(function* (writer) {
        yield* writer.write('secure');
      }),
    secure: tls.secure,
  });
  const slots = new Set<Slot>();
  for (let round = 0; round < 30; round++) {
    const isSecure = round % 3 !== 0;
    const options = isSecure ? { port: secure.port, secure: tls.secure } : { port: plain.port };
    const client = world.client(function* (connection) {
      slots.add(connection.slot);
      yield* connection.writer.write(get('/', ...(round % 2 === 0 ? ['connection: close'] : [])));
      if (round % 2 === 0) return yield* received(connection);
      yield* connection.reader.read();
      connection.reset();
      return undefined;
    }, options);
    await world.pass(20_000);
    const result = await client;
    if (result !== undefined) assert.equal(result.responses[0].body.toString(), isSecure ? 'secure' : 'plain');
  }
  assert.ok(slots.size <= 4, `${slots.size} slots`);
  await world.close();
});

test('a listener with an address in use gives its transport back', async () => {
  const world = plainWorld();
  const tls = toyTls();
  const server = await listenIn(world, function* () {}, tls);
  await assert.rejects(
    listen({ port: server.port, hostname: '127.0.0.1', network: world.network, secure: tls.secure }, function* () {}),
    { code: 'EADDRINUSE' },
  );
  await closeAll(world, server);
  assert.equal(usedTransports(world.network), 0);
});
