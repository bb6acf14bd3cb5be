// Every limit of `serve`: at it, one below and one above; and that nothing that a client sends or leaves lying gets beyond it by more
// than one receive buffer.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pieceSize } from '#sluice/event-layer/event-layer.js';
import { Response } from '#sluice/http/fetch/response.js';
import { stream } from '#sluice/http/stream.js';
import type { ServeOptions } from '#sluice/server/serve.js';
import { sleep } from '#sluice/threads/sleep.js';
import { field } from '../support/response-parser.js';
import { get, post, received, World } from '../support/world.js';

const hello = () => new Response('hello');
const readBody = async (request: Request) => new Response(String((await request.arrayBuffer()).byteLength));
const whole = { latency: 0.01, pieces: 'whole', capacity: 2 ** 20 } as const;
const last = get('/', 'connection: close');
const chunked = (body: string): string =>
  `POST / HTTP/1.1\r\nhost: a\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n${body}`;

/** A limit on what a client sends, and a request that comes to so many of what is limited. */
interface SizeLimit {
  options: Partial<ServeOptions>;
  limit: number;
  request(size: number): string;
  /** What is answered beyond it. */
  status: number;
  /** The beginning of a request that has no end, and what it goes on with. */
  endless: [begin: string, more: string];
}

const sizeLimits: Record<string, SizeLimit> = {
  maxTargetSize: {
    options: { maxTargetSize: 100 },
    limit: 100,
    request: (size) => get(`/${'t'.repeat(size - 1)}`, 'connection: close'),
    status: 414,
    endless: ['GET /', 't'],
  },
  maxHeadSize: {
    options: { maxHeadSize: 1000 },
    limit: 1000,
    request: (size) => {
      const rest = get('/', 'connection: close', 'x: ');
      return rest.replace('x: ', `x: ${'y'.repeat(size - rest.length)}`);
    },
    status: 431,
    endless: ['GET / HTTP/1.1\r\nx: ', 'y'],
  },
  'maxHeadSize, of empty lines before a head': {
    options: { maxHeadSize: last.length + 600 },
    limit: 300,
    request: (size) => '\r\n'.repeat(size) + last,
    status: 431,
    endless: ['', '\r\n'],
  },
  maxFields: {
    options: { maxFields: 7 },
    limit: 7,
    request: (size) => get('/', 'connection: close', ...Array.from({ length: size - 2 }, (_, i) => `x${i}: y`)),
    status: 431,
    endless: ['GET / HTTP/1.1\r\n', 'x: y\r\n'],
  },
  maxBodySize: {
    options: { maxBodySize: 1000 },
    limit: 1000,
    request: (size) => post('/', 'b'.repeat(size), 'connection: close'),
    status: 413,
    endless: [post('/', '').replace('length: 0', 'length: 1000000000'), 'b'],
  },
  'maxBodySize, in chunks': {
    options: { maxBodySize: 1000 },
    limit: 1000,
    request: (size) =>
      chunked(
        `3e0\r\n${'b'.repeat(0x3e0)}\r\n${(size - 0x3e0).toString(16)}\r\n${'b'.repeat(size - 0x3e0)}\r\n0\r\n\r\n`,
      ),
    status: 413,
    endless: [chunked(''), '1\r\nb\r\n'],
  },
  'maxChunkExtensionSize, of one chunk': {
    options: { maxChunkExtensionSize: 50 },
    limit: 50,
    request: (size) => chunked(`5;${'e'.repeat(size - 1)}\r\nhello\r\n0\r\n\r\n`),
    status: 431,
    endless: [chunked('5;'), 'e'],
  },
  'maxChunkExtensionSize, of all chunks together': {
    options: { maxChunkExtensionSize: 50 },
    limit: 50,
    request: (size) => chunked(`5;${'e'.repeat(38)}\r\nhello\r\n000;${'e'.repeat(size - 40)}\r\n\r\n`),
    status: 431,
    endless: [chunked(''), '1;e\r\nb\r\n'],
  },
  maxTrailerSize: {
    options: { maxTrailerSize: 50 },
    limit: 50,
    request: (size) => chunked(`0\r\na: b\r\nx: ${'y'.repeat(size - 11)}\r\n\r\n`),
    status: 431,
    endless: [chunked('0\r\nx: '), 'y'],
  },
  'maxTrailerSize, of many trailers': {
    options: { maxTrailerSize: 50 },
    limit: 10,
    request: (size) => chunked(`0\r\n${'x: \r\n'.repeat(size)}\r\n`),
    status: 431,
    endless: [chunked('0\r\n'), 'x: \r\n'],
  },
};

for (const [name, { options, limit, request, status, endless }] of Object.entries(sizeLimits)) {
  for (const pieces of ['whole', 1] as const) {
    test(`${name}: what is as large as may be, or one less, is answered, what is one more is refused (pieces: ${pieces})`, async () => {
      const world = await World.open({ fetch: readBody, ...options }, { latency: 0.01, pieces });
      const clients = [limit - 1, limit, limit + 1].map((size) => world.exchange(request(size)));
      await world.pass();
      const answers = await Promise.all(clients);
      assert.deepEqual(
        answers.map(({ responses }) => responses.map((response) => response.status)),
        [[200], [200], [status]],
      );
      assert.deepEqual(world.errors, []);
      await world.close();
    });
  }

  test(`${name}: of a request without end, no more than a receive buffer is taken beyond the limit`, async () => {
    const world = await World.open({ fetch: readBody, ...options }, whole);
    const [begin, more] = endless;
    const most = begin.length + (limit + 1) * more.length + pieceSize;
    const client = world.client(function* (connection) {
      yield* connection.writer.write(begin);
      for (let i = 0; i < 100 && !connection.closed && connection.reader.buffered === 0; i++)
        yield* connection.writer.write(more.repeat(10_000));
      return yield* received(connection);
    });
    client.catch(() => {}); // its connection may be reset while it still writes
    await world.pass();
    const taken = world.traffic.receivedBytes;
    assert.ok(taken > 0 && taken <= most, `${taken} bytes were taken; the most is ${most}`);
    await world.close();
  });
}

/** What a client has asked for, in which turns. */
async function turnsOf(fetch: ServeOptions['fetch'], requests: string, maxPipelined: number): Promise<number[]> {
  const counts = new Map<number, number>();
  const world: World = await World.open(
    {
      maxPipelined,
      fetch: (request, info) => {
        const turn = world.layer.turns;
        counts.set(turn, (counts.get(turn) ?? 0) + 1);
        return fetch(request, info);
      },
    },
    whole,
  );
  const client = world.exchange(requests + last);
  await world.pass();
  assert.equal((await client).ending, 'FIN');
  await world.close();
  return [...counts.values()];
}

for (const [kind, fetch, request] of [
  ['a plain handler', hello, get('/')],
  ['a response that needs a thread', () => new Response('x'.repeat(5000)), get('/')],
  [
    'a thread handler',
    function* () {
      return hello();
    },
    get('/'),
  ],
  ['requests with a body', hello, post('/', 'abc')],
] as [string, ServeOptions['fetch'], string][]) {
  test(`maxPipelined: so many requests are answered in one turn, and no more (${kind})`, async () => {
    // The last request is one of those that are counted.
    assert.deepEqual(await turnsOf(fetch, request.repeat(3), 5), [4]);
    assert.deepEqual(await turnsOf(fetch, request.repeat(4), 5), [5]);
    assert.deepEqual(await turnsOf(fetch, request.repeat(5), 5), [5, 1]);
    assert.deepEqual(await turnsOf(fetch, request.repeat(11), 5), [5, 5, 2]);
    assert.deepEqual(await turnsOf(fetch, request.repeat(2), 1), [1, 1, 1]);
  });
}

for (const [kind, fetch] of [
  ['a plain handler', hello],
  ['an async handler', async () => hello()],
] as const) {
  test(`maxRequests: the response to the last says so, and nothing behind it is answered (${kind})`, async () => {
    let asked = 0;
    const counting = () => {
      asked++;
      return fetch();
    };
    const world = await World.open({ fetch: counting, maxRequests: 3 });
    const closing = async (count: number): Promise<(string | undefined)[]> => {
      asked = 0;
      const client = world.client(function* (connection) {
        yield* connection.writer.write(get('/').repeat(count));
        yield* connection.writer.end();
        return yield* received(connection);
      });
      await world.pass();
      return (await client).responses.map((response) => field(response, 'connection'));
    };
    assert.deepEqual(await closing(2), [undefined, undefined]);
    assert.deepEqual(await closing(3), [undefined, undefined, 'close']);
    assert.deepEqual(await closing(4), [undefined, undefined, 'close']);
    assert.equal(asked, 3);
    await world.close();
  });
}

test('maxRequests is counted for each connection separately, also where one has the slot of another', async () => {
  const world = await World.open({ fetch: hello, maxRequests: 2 });
  for (let i = 0; i < 5; i++) {
    const client = world.exchange(get('/') + get('/'));
    await world.pass();
    assert.equal((await client).responses.length, 2);
  }
  await world.close();
});

test('maxQueuedBytes: a write parks when so much waits for the client, and not before', async () => {
  const date = 'Thu, 01 Jan 2026 00:00:00 GMT';
  const head = `HTTP/1.1 200 OK\r\ncontent-length: 1000\r\ndate: ${date}\r\nconnection: close\r\n\r\n`.length;
  for (const room of [9, 10, 11]) {
    let written = 0;
    const world = await World.open({
      maxQueuedBytes: head + room,
      fetch: () =>
        stream(
          function* (out) {
            for (; written < 1000; written++) yield* out.write('x');
          },
          { headers: { 'content-length': '1000' } },
        ),
    });
    const client = world.exchange(last);
    let first: number | undefined;
    world.traffic.onTurnEnd = () => {
      if (written > 0) first ??= written;
    };
    await world.pass();
    assert.equal(first, room, 'bytes of the body that were written before the first park');
    assert.equal((await client).responses[0].body.length, 1000);
    await world.close();
  }
});

for (const maxQueuedBytes of [1, 1000, 15_000, 65_535, 65_536, 65_537, 1_000_000]) {
  test(`maxQueuedBytes: ${maxQueuedBytes} and a piece are never exceeded, and everything arrives`, async () => {
    const size = 3_000_000;
    const bodies: Record<string, () => Response> = {
      '/text': () => new Response('x'.repeat(size)),
      '/bytes': () => new Response(new Uint8Array(size).fill(120)),
      '/stream': () =>
        stream(function* (out) {
          for (let i = 0; i < size; i += 100_000) yield* out.write('x'.repeat(100_000));
        }),
      '/readable': () => new Response(new Blob(['x'.repeat(size)]).stream()),
    };
    const world = await World.open(
      { maxQueuedBytes, fetch: (request) => bodies[new URL(request.url).pathname]() },
      { latency: 1, pieces: 'whole', capacity: 50_000 },
    );
    for (const path of Object.keys(bodies)) {
      const client = world.exchange(get(path, 'connection: close'));
      await world.pass();
      assert.equal((await client).responses[0]?.body.length, size, path);
    }
    const queued = world.traffic.mostQueued;
    assert.ok(queued >= maxQueuedBytes && queued <= maxQueuedBytes + pieceSize, `${queued} bytes were queued`);
    await world.close();
  });
}

test('maxQueuedBytes: requests that need no thread are answered as long as so much does not wait, and not longer', async () => {
  const size = 1000;
  for (const maxQueuedBytes of [1, 3000, 10_000]) {
    const world = await World.open(
      { maxQueuedBytes, maxPipelined: 100, fetch: () => new Response('x'.repeat(size)) },
      { ...whole, capacity: 1024 },
    );
    const client = world.exchange(get('/').repeat(50) + last);
    await world.pass();
    assert.equal((await client).responses.length, 51);
    const queued = world.traffic.mostQueued;
    assert.ok(queued >= maxQueuedBytes && queued < maxQueuedBytes + size + 200, `${queued} bytes were queued`);
    await world.close();
  }
});

/** A client that stays until `leave` is called, and then says what it has received. */
function staying(world: World, localAddress = '127.0.0.1') {
  let leave = () => {};
  const client = world.client(
    function* (connection) {
      leave = () => world.network.scheduler.armIn(0, { timerFired: () => connection.reset() }, 0);
      return yield* received(connection);
    },
    { localAddress },
  );
  return { leave: () => leave(), statuses: async () => (await client).responses.map(({ status }) => status), client };
}

test('maxConnections: one more gets 503 and is closed; when one has left, the next may stay', async () => {
  const world = await World.open({ fetch: hello, maxConnections: 3 });
  const clients = [staying(world), staying(world)];
  await world.pass(10);
  assert.equal(world.server.connections.idle, 2);
  clients.push(staying(world));
  await world.pass(10);
  assert.equal(world.server.connections.idle, 3);
  const fourth = world.exchange(last);
  await world.pass(10);
  const [answer] = (await fourth).responses;
  assert.deepEqual([answer.status, field(answer, 'connection')], [503, 'close']);
  assert.equal((await fourth).ending, 'FIN');
  assert.deepEqual(
    { ...world.server.connections, closing: 0 },
    { idle: 3, reading: 0, handling: 0, writing: 0, closing: 0, total: 3 },
  );
  clients[0].leave();
  await world.pass(10);
  const fifth = world.exchange(last);
  await world.pass(10);
  assert.equal((await fifth).responses[0].status, 200);
  assert.match(
    String(world.errors),
    /^ConnectionError: serve: there are 3 connections, as many as maxConnections allows: /,
  );
  await world.close();
  assert.deepEqual(await clients[1].statuses(), []);
});

test('maxConnections: connections over the limit are soon gone, however many come and whatever they do', async () => {
  const world = await World.open({ fetch: hello, maxConnections: 10 });
  const come = () =>
    world
      .client(function* (connection) {
        yield* sleep(60_000);
        return connection.reason?.code;
      })
      .catch((error) => error.code); // reset before it knew that it was there
  const clients = Array.from({ length: 1000 }, come);
  await world.pass(100);
  const { idle, closing } = world.server.connections;
  assert.deepEqual([idle, closing], [10, 64], 'those that stay, and those that were answered');
  await world.pass(1200);
  assert.equal(world.server.connections.total, 10);
  await world.pass();
  const codes = await Promise.all(clients);
  assert.equal(codes.filter((code) => code === 'ECONNRESET').length, 1000 - 10 - 64);
  await world.close();
});

test('maxConnectionsPerAddress: one more of an address gets 429 and is closed; others may come', async () => {
  const world = await World.open({ fetch: hello, maxConnectionsPerAddress: 3 });
  const clients = Array.from({ length: 3 }, () => staying(world, '192.0.2.1'));
  await world.pass(10);
  const one = staying(world, '192.0.2.1');
  const other = staying(world, '192.0.2.2');
  await world.pass(2000);
  assert.deepEqual(await one.statuses(), [429]);
  assert.equal(world.server.connections.idle, 4);
  clients[2].leave();
  await world.pass(10);
  const next = staying(world, '192.0.2.1');
  await world.pass(10);
  assert.equal(world.server.connections.idle, 4);
  await world.close();
  assert.deepEqual(await Promise.all([other.statuses(), next.statuses()]), [[], []]);
});

test('maxConnectionsPerAddress: a client of IPv6 is its network of 64 bits', async () => {
  const world = await World.open({ fetch: hello, maxConnectionsPerAddress: 2 });
  const clients = [1, 2, 3].map((host) => staying(world, `2001:db8::${host}`));
  clients.push(staying(world, '2001:db8:0:1::1'));
  await world.pass(2000);
  assert.equal(world.server.connections.idle, 3);
  await world.close();
  assert.equal((await Promise.all(clients.map((client) => client.statuses()))).flat().join(), '429');
});

test('a Unix-domain socket has no client addresses, and only the limit in all', async () => {
  const world = await World.open({
    fetch: hello,
    maxConnectionsPerAddress: 1,
    path: '/run/a.sock',
    port: undefined,
    hostname: undefined,
  });
  const clients = [1, 2, 3].map(() =>
    world.client((connection) => received(connection), { path: '/run/a.sock', port: undefined }),
  );
  await world.pass(10);
  assert.equal(world.server.connections.idle, 3);
  await world.close();
  await Promise.all(clients);
});

test('every limit and every time is finite: Infinity is refused, and the message says what may be', async () => {
  const names = [
    ...['maxHeadSize', 'maxTargetSize', 'maxFields', 'maxBodySize', 'maxChunkExtensionSize', 'maxTrailerSize'],
    ...[
      'maxBufferedBytes',
      'maxQueuedBytes',
      'maxPipelined',
      'maxRequests',
      'maxConnections',
      'maxConnectionsPerAddress',
    ],
    ...[
      'idleTimeout',
      'headTimeout',
      'bodyTimeout',
      'minBodyRate',
      'writeTimeout',
      'minWriteRate',
      'leaveTimeout',
      'lingerTimeout',
    ],
  ];
  for (const name of names) {
    for (const value of [Infinity, Number.NaN, -1]) {
      const expected = new RegExp(
        `^RangeError: serve: ${name} is ${value}; expected a (whole )?number from [0-9.]+ to [0-9]+$`,
      );
      await assert.rejects(World.open({ fetch: hello, [name]: value }), (error) => expected.test(String(error)));
    }
    await assert.rejects(World.open({ fetch: hello, [name]: '1' }), TypeError);
  }
  const world = await World.open({ fetch: hello });
  await assert.rejects(
    world.server.close({ deadline: Infinity }),
    /close: deadline is Infinity; expected a number from 0 to 86400000/,
  );
  await world.close();
});
