// Upgrading a request in a handler, and what becomes of what the handler does besides.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { webSocket } from '#sluice/index.js';
import type { Fetch } from '#sluice/server/serve.js';
import { sleep } from '#sluice/threads/sleep.js';
import { get, received, World } from '../support/world.js';
import { close, join, ping, text } from './corpus/build.js';

const handshake =
  'connection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==';

/** @returns the status that a handshake gets */
async function statusOf(world: World, request = get('/', handshake)): Promise<number | undefined> {
  const client = world.client(function* (connection) {
    yield* connection.writer.write(request);
    yield* sleep(100);
    connection.pauseReading();
    const head = Buffer.from(yield* connection.reader.peek(1)).toString('latin1');
    connection.reset();
    return Number(head.split(' ')[1]);
  });
  await world.pass();
  return client;
}

let cancelled = 0;
const handlers: [what: string, fetch: Fetch, errors: string[]][] = [
  ['returns nothing', (request, info) => void info.upgrade(request) as undefined, []],
  [
    'rejects afterwards',
    async (request, info) => {
      info.upgrade(request);
      throw new Error('after the upgrade');
    },
    ['after the upgrade'],
  ],
  [
    'upgrades later, and returns a response with a stream',
    async (request, info) => {
      await null;
      info.upgrade(request);
      return new Response(new ReadableStream({ cancel: () => void cancelled++ }));
    },
    [],
  ],
  [
    'is a thread',
    function* (request, info) {
      yield* sleep(1);
      info.upgrade(request);
      return undefined;
    },
    [],
  ],
];
for (const [what, fetch, errors] of handlers) {
  test(`a handler that upgrades its request and ${what}: the client gets 101`, async () => {
    const before = cancelled;
    const world = await World.open({ fetch, websocket: { message() {} } });
    assert.equal(await statusOf(world), 101);
    assert.deepEqual(
      world.errors.map((error) => (error as Error).message),
      errors,
    );
    assert.equal(cancelled - before, what.includes('stream') ? 1 : 0);
    await world.close();
  });
}

for (const [what, request] of [
  ['of HTTP/1.0', get('/', handshake).replace('HTTP/1.1', 'HTTP/1.0')],
  ['with a body', `${get('/', `${handshake}\r\ncontent-length: 2`)}ab`],
] as const) {
  test(`a handshake ${what} is the client's mistake: 400, and nothing is reported`, async () => {
    const world = await World.open({
      fetch: (it) => webSocket(it, function* () {}),
    });
    const client = world.client(function* (connection) {
      yield* connection.writer.write(request);
      return yield* received(connection);
    });
    await world.pass();
    assert.deepEqual(
      (await client).responses.map(({ status }) => status),
      [400],
    );
    assert.deepEqual(world.errors, []);
    await world.close();
  });
}

/** A world with a WebSocket whose thread is parked in `receive`, and whose client says nothing more for so many milliseconds. */
async function parkedInReceive(milliseconds: number): Promise<{ world: World; client: Promise<void> }> {
  const world = await World.open({
    fetch: (request) =>
      webSocket(request, function* (socket) {
        yield* socket.receive();
      }),
  });
  const client = world.client(function* (connection) {
    yield* connection.writer.write(get('/', handshake));
    yield* sleep(milliseconds);
  });
  await world.pass(500);
  return { world, client };
}

test('active() lists the threads of WebSockets', async () => {
  const { world, client } = await parkedInReceive(1000);
  const [socket, ...others] = world.server.active();
  assert.deepEqual([socket?.wait, socket?.request, others], ['dry', undefined, []]);
  await world.pass();
  await client;
  await world.close();
});

test('messages that come together with control frames are answered in their order, and all before the closing', async () => {
  const world = await World.open({
    fetch: (request) =>
      webSocket(request, function* (socket) {
        for (let message: unknown; (message = yield* socket.receive()) !== undefined; )
          yield* socket.send(`${message}`);
      }),
  });
  const client = world.client(function* (connection) {
    yield* connection.writer.write(get('/', handshake));
    yield* connection.reader.readUntil('\r\n\r\n', 1000);
    yield* connection.writer.write(join(text('a'), text('b'), ping('1'), text('c'), close(1000)));
    const heard: string[] = [];
    for (let piece: Uint8Array | undefined; (piece = yield* connection.reader.read()) !== undefined; )
      heard.push(Buffer.from(piece).toString('latin1'));
    return heard.join('');
  });
  await world.pass();
  assert.equal(await client, '\x81\x01a\x81\x01b\x8a\x011\x81\x01c\x88\x02\x03\xe8');
  assert.deepEqual(world.errors, []);
  await world.close();
});

test('an origin option that returns a promise lets no origin in: the client gets 500, and onError is called', async () => {
  const world = await World.open({
    fetch: (request) => webSocket(request, function* () {}, { origin: (async () => false) as never }),
  });
  assert.equal(await statusOf(world, get('/', `${handshake}\r\norigin: http://elsewhere`)), 500);
  assert.match(String(world.errors[0]), /origin returned .*; expected true or false/);
  assert.equal(world.errors.length, 1);
  await world.close();
});

test('an async function in place of a generator function is reported once, and its rejection ends nothing', async () => {
  const world = await World.open({
    fetch: (request) =>
      webSocket(request, (async () => {
        throw new Error('of the promise');
      }) as never),
  });
  assert.equal(await statusOf(world), 101);
  assert.deepEqual(
    world.errors.map((error) => (error as Error).message),
    ['webSocket: the task returned [object Promise]; expected a generator function'],
  );
  await world.close();
});

test('close() ends at its deadline, also for a client that does not answer the Close frame of its thread', async () => {
  const { world, client } = await parkedInReceive(60_000);
  const began = world.layer.now();
  let took = 0;
  const closing = world.server.close({ deadline: 100 }).then(() => {
    took = world.layer.now() - began;
  });
  await world.pass();
  await closing;
  assert.ok(took < 400, `it took ${took} ms`);
  await client;
  await world.close();
});
