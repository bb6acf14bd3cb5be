// Every timeout, on virtual time: when it passes, and what it must not cut off. And closing, which has one too.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Connection } from '#sluice/connection/connection.js';
import { Response } from '#sluice/http/fetch/response.js';
import { stream } from '#sluice/http/stream.js';
import type { ServeOptions } from '#sluice/server/serve.js';
import { sleep } from '#sluice/threads/sleep.js';
import type { Task } from '#sluice/threads/task.js';
import { currentThread, run } from '#sluice/threads/thread.js';
import { countsWireBytes } from '../support/transport.js';
import { type Exchanged, get, pauseReading, post, received, resumeReading, World } from '../support/world.js';

const hello = () => new Response('hello');

/** When it happened, but for the latency of the network and the tick of the timers, which are less than ten milliseconds. */
const about = (time: number) => Math.floor(time / 10) * 10;

test('idleTimeout: a new connection, and one between two requests, is closed without a word', async () => {
  const world = await World.open({ fetch: hello, idleTimeout: 5000 });
  const fresh = world.client((connection) => received(connection));
  const used = world.client(function* (connection) {
    yield* sleep(3000);
    yield* connection.writer.write(get('/'));
    yield* sleep(4000);
    yield* connection.writer.write(get('/'));
    return yield* received(connection);
  });
  await world.pass();
  assert.equal(about((await fresh).at), 5000);
  assert.equal((await used).responses.length, 2);
  assert.equal(about((await used).at), 12_000);
  await world.close();
});

test('idleTimeout does not touch a handler, however long it takes', async () => {
  const world = await World.open({
    idleTimeout: 1000,
    *fetch() {
      yield* sleep(60_000);
      return hello();
    },
  });
  const client = world.exchange(get('/', 'connection: close'));
  await world.pass();
  assert.equal((await client).responses[0].body, 'hello');
  await world.close();
});

test('headTimeout: counted from the first byte of a head to its last, however it drips', async () => {
  const world = await World.open({ fetch: hello, headTimeout: 5000, bodyTimeout: 1000 });
  const drip = (pause: number) =>
    world.client(function* (connection) {
      yield* sleep(1000);
      for (const byte of get('/', 'connection: close').slice(0, 40)) {
        if (connection.reader.buffered > 0 || connection.reader.finished) break;
        yield* connection.writer.write(byte);
        yield* sleep(pause);
      }
      yield* connection.writer.write(get('/', 'connection: close').slice(40));
      return yield* received(connection);
    });
  const slow = drip(200);
  const fast = drip(100);
  await world.pass();
  assert.deepEqual(
    (await slow).responses.map(({ status }) => status),
    [408],
  );
  assert.equal((await slow).ending, 'FIN');
  assert.deepEqual(
    (await fast).responses.map(({ status }) => status),
    [200],
  );
  assert.deepEqual(world.errors, []);
  await world.close();
});

test('headTimeout is not shortened by bodyTimeout', async () => {
  const world = await World.open({ fetch: hello, headTimeout: 10_000, bodyTimeout: 1000 });
  const client = world.client(function* (connection) {
    yield* connection.writer.write('GET / HTTP/1.1\r\n');
    yield* sleep(9000);
    yield* connection.writer.write('host: a\r\nconnection: close\r\n\r\n');
    return yield* received(connection);
  });
  await world.pass();
  assert.deepEqual(
    (await client).responses.map(({ status }) => status),
    [200],
  );
  await world.close();
});

test('bodyTimeout: counted again from each piece of a body', async () => {
  const fetch = async (request: Request) => new Response(await request.text());
  const world = await World.open({ fetch, bodyTimeout: 5000, minBodyRate: 0.01 });
  const upload = (pause: number) =>
    world.client(function* (connection) {
      yield* connection.writer.write(post('/', 'abc', 'connection: close').slice(0, -3));
      for (const byte of 'abc') {
        yield* sleep(pause);
        yield* connection.writer.write(byte);
      }
      return yield* received(connection);
    });
  const slow = upload(4900);
  const stalled = world.exchange(post('/', 'abc').slice(0, -1));
  await world.pass();
  assert.deepEqual(
    (await slow).responses.map(({ body }) => body),
    ['abc'],
  );
  assert.deepEqual(
    (await stalled).responses.map(({ status }) => status),
    [408],
  );
  assert.equal(about((await stalled).at), 5000);
  assert.deepEqual(world.errors, []);
  await world.close();
});

/** A client that takes some bytes now and then, and after a minute and a half all the rest. */
function* takingLittle(connection: Connection, pause: number): Task<Exchanged> {
  const { scheduler } = connection;
  for (const until = scheduler.now + 90_000; scheduler.now < until; ) {
    connection.pauseReading();
    yield* sleep(pause);
    connection.resumeReading();
    yield* sleep(10);
  }
  return yield* received(connection);
}

test(
  'writeTimeout: a client that takes nothing is reset, one that takes a little is not',
  countsWireBytes,
  async () => {
    const left: string[] = [];
    const world = await World.open(
      {
        fetch: (request) =>
          stream(function* (out) {
            try {
              for (let i = 0; i < 20; i++) yield* out.write('x'.repeat(10_000));
            } finally {
              left.push(`${new URL(request.url).pathname} ${about(world.now)}`);
            }
          }),
        writeTimeout: 5000,
      },
      { latency: 10, pieces: 'whole', capacity: 1024 },
    );
    const deaf = world.client(function* (connection) {
      yield* connection.writer.write(get('/deaf'));
      pauseReading(connection);
      yield* sleep(20_000);
      return connection.reason?.code;
    });
    const slow = world.client(function* (connection) {
      yield* connection.writer.write(get('/slow', 'connection: close'));
      return yield* takingLittle(connection, 4000);
    });
    await world.pass();
    assert.equal(await deaf, 'ECONNRESET');
    assert.match(
      left[0],
      /^\/deaf 92[6-9]0$/,
      'the system took the first 1024 bytes, which are worth 4.27 s more at 240 bytes a second',
    );
    assert.equal((await slow).responses[0].body.length, 200_000);
    assert.deepEqual(world.errors, []);
    await world.close();
  },
);

for (const [name, fields] of [
  ['idleTimeout and lingerTimeout', []],
  ['lingerTimeout', ['connection: close']],
] as const) {
  test(`${name}: a client that is still taking its response is not cut off`, async () => {
    const world = await World.open(
      { fetch: () => new Response('x'.repeat(60_000)), idleTimeout: 5000, lingerTimeout: 5000 },
      { latency: 10, pieces: 'whole', capacity: 1024 },
    );
    const client = world.client(function* (connection) {
      yield* connection.writer.write(get('/', ...fields));
      return yield* takingLittle(connection, 2000);
    });
    await world.pass();
    const { responses, ending } = await client;
    assert.equal(responses[0]?.body.length, 60_000);
    assert.equal(ending, 'FIN');
    await world.close();
  });
}

test('lingerTimeout: a client that has its answer and does not end is closed without a reset', async () => {
  const world = await World.open({ fetch: hello, lingerTimeout: 5000 });
  const client = world.client(function* (connection) {
    yield* connection.writer.write(get('/', 'connection: close'));
    const first = yield* received(connection);
    yield* sleep(20_000);
    return { first, isClosed: connection.closed, reason: connection.reason?.code };
  });
  await world.pass(6000);
  assert.equal(world.server.connections.total, 0);
  await world.pass();
  const { first, isClosed, reason } = await client;
  assert.equal(first.responses.length, 1);
  assert.equal(isClosed, false);
  assert.equal(reason, undefined);
  await world.close();
});

test('lingerTimeout: a client that takes nothing of its answer is reset', async () => {
  const fetch = () => new Response('x'.repeat(50_000));
  const world = await World.open({ fetch, lingerTimeout: 5000 }, { capacity: 1024 });
  const client = world.client(function* (connection) {
    pauseReading(connection);
    yield* connection.writer.write(get('/', 'connection: close'));
    yield* sleep(20_000);
    return connection.reason?.code;
  });
  await world.pass();
  assert.equal(await client, 'ECONNRESET');
  assert.equal(world.server.connections.total, 0);
  await world.close();
});

test('lingerTimeout holds though a body was being read when its handler failed', async () => {
  const world = await World.open({
    lingerTimeout: 5000,
    fetch: async (request) => {
      await Promise.all([request.text(), Promise.reject(new Error('the handler fails'))]);
      return hello();
    },
  });
  world.client(function* (connection) {
    yield* connection.writer.write(post('/', 'abc').slice(0, -1));
    const first = yield* received(connection);
    yield* sleep(1_000_000);
    return first;
  });
  await world.pass(6000);
  assert.equal(world.server.connections.total, 0);
  await world.pass();
  await world.close();
});

// Closing.

test('close: idle connections end at once, requests in flight finish, and their connections close', async () => {
  const world = await World.open({
    *fetch() {
      yield* sleep(3000);
      return hello();
    },
  });
  const idle = world.client((connection) => received(connection));
  const busy = world.exchange(get('/'));
  const streaming = world.client(function* (connection) {
    yield* connection.writer.write(get('/'));
    return yield* received(connection);
  });
  await world.pass(1000);
  const closing = world.server.close();
  await world.pass();
  await closing;
  assert.equal(about((await idle).at), 1000);
  assert.equal((await busy).responses[0].body, 'hello');
  assert.ok((await busy).responses[0].fields.some(([name, value]) => name === 'connection' && value === 'close'));
  assert.equal(about((await busy).at), 3000);
  await streaming;
  await world.close();
});

test('close: a response that was under way with keep-alive ends its connection too', async () => {
  const world = await World.open({
    fetch: () =>
      stream(function* (out) {
        yield* out.write('a');
        yield* sleep(2000);
        yield* out.write('b');
      }),
  });
  const client = world.exchange(get('/'));
  await world.pass(1000);
  let closedAt = 0;
  const closing = world.server.close({ deadline: 60_000 }).then(() => {
    closedAt = world.now;
  });
  await world.pass();
  await closing;
  assert.equal((await client).responses[0].body, 'ab');
  assert.equal(about((await client).at), 2000);
  assert.equal(about(closedAt), 2000, 'nothing is waited for');
  await world.close();
});

test('close: what has not finished at the deadline is unwound; its client gets 503, or an end that shows that something is missing', async () => {
  const finals: string[] = [];
  const world = await World.open({
    *fetch(request) {
      try {
        if (request.url.endsWith('/thread')) yield* sleep(60_000);
      } finally {
        finals.push('thread');
      }
      return stream(function* (out) {
        try {
          yield* out.write('some');
          yield* sleep(60_000);
        } finally {
          finals.push('stream');
        }
      });
    },
  });
  const thread = world.exchange(get('/thread'));
  const chunked = world.exchange(get('/stream'));
  const untilClose = world.exchange('GET /stream HTTP/1.0\r\n\r\n');
  const head = world.exchange('GET / HT');
  await world.pass(1000);
  const closing = world.server.close({ deadline: 2000 });
  await world.pass();
  await closing;
  assert.deepEqual(
    (await thread).responses.map(({ status }) => status),
    [503],
  );
  assert.equal(about((await thread).at), 3000);
  assert.deepEqual([(await chunked).responses, (await chunked).isCutShort], [[], true]);
  assert.equal((await untilClose).ending, 'reset', 'FIN would be the end of a complete body');
  assert.deepEqual(
    (await head).responses.map(({ status }) => status),
    [408],
    'half a head has 1 s for the rest',
  );
  assert.deepEqual(finals.sort(), ['stream', 'stream', 'thread', 'thread', 'thread']);
  assert.deepEqual(world.errors, []);
  await world.close();
});

test('close: again, when everything is closed, nothing is armed that would hold the process open', async () => {
  const world = await World.open({ fetch: hello });
  const client = world.exchange(get('/'));
  await world.pass(1000);
  const closing = world.server.close();
  await world.pass();
  await closing;
  assert.equal(world.server.close({ deadline: 60_000 }), closing);
  assert.equal(world.network.scheduler.timers.size, 0);
  assert.equal((await client).responses.length, 1);
  await world.close();
});

test('close: what a handler tidies up in finally is waited for, also when its client is gone', async () => {
  let tidied = 0;
  const world = await World.open({
    *fetch() {
      try {
        yield* sleep(60_000);
      } finally {
        yield* sleep(3000);
        tidied = world.now;
      }
      return hello();
    },
  });
  world.client(function* (connection) {
    yield* connection.writer.write(get('/'));
    yield* sleep(100);
    connection.reset();
  });
  await world.pass(1000);
  assert.equal(world.server.connections.total, 0);
  let closedAt = 0;
  const closing = world.server.close().then(() => {
    closedAt = world.now;
  });
  await world.pass();
  await closing;
  assert.equal(about(tidied), 3100);
  assert.equal(about(closedAt), 3100);
  await world.close();
});

test('close: an async handler that never answers does not hold it up beyond the deadline', async () => {
  const world = await World.open({ fetch: () => new Promise(() => {}) });
  const client = world.exchange(get('/'));
  await world.pass(1000);
  const closing = world.server.close({ deadline: 500 });
  await world.pass();
  await closing;
  assert.deepEqual(
    (await client).responses.map(({ status }) => status),
    [503],
  );
  await world.close();
});

test('close: a head that is larger than a piece, cut short by the deadline, is not followed by another response', async () => {
  const world = await World.open(
    { fetch: () => new Response('x'.repeat(70_000), { headers: { 'x-large': 'y'.repeat(120_000) } }) },
    { latency: 0.01, pieces: 'whole', capacity: 1024 },
  );
  let text = '';
  const client = world.client(function* (connection) {
    yield* connection.writer.write(get('/'));
    pauseReading(connection);
    yield* sleep(3050);
    if (connection.closed) return;
    resumeReading(connection);
    for (let piece: Uint8Array | undefined; (piece = yield* connection.reader.read()) !== undefined; )
      text += Buffer.from(piece).toString('latin1');
  });
  client.catch(() => {});
  await world.pass(1000);
  const closing = world.server.close({ deadline: 2000 });
  await world.pass();
  await closing;
  assert.equal(text.split('HTTP/1.1 ').length <= 2, true, 'a status line within a field');
  assert.deepEqual(world.errors, []);
  await world.close();
});

// Least rates.

/** Sends the body byte by byte, or in pieces, with a pause before each. */
function upload(world: World, pieces: number, size: number, pause: number): Promise<Exchanged> {
  return world.client(function* (connection) {
    const body = 'b'.repeat(pieces * size);
    yield* connection.writer.write(post('/', body, 'connection: close').slice(0, -body.length));
    for (let i = 0; i < pieces && !connection.reader.finished && !connection.closed; i++) {
      yield* sleep(pause);
      yield* connection.writer.write('b'.repeat(size));
    }
    return yield* received(connection);
  });
}

test('minBodyRate: a body that comes at that rate or faster is waited for, one that comes slower is refused when its time is up', async () => {
  const fetch = async (request: Request) => new Response(await request.text());
  const world = await World.open({ fetch, bodyTimeout: 1000, minBodyRate: 100 });
  const [faster, asFast, slower] = [90, 100, 110].map((pause) => upload(world, 300, 10, pause));
  await world.pass();
  assert.equal((await faster).responses[0].body.length, 3000);
  assert.equal((await asFast).responses[0].body.length, 3000);
  assert.equal((await slower).responses[0].status, 408);
  // Each piece is worth 100 ms and takes 110: after 90 of them, the 1000 ms that there are besides are not enough to wait for another.
  assert.equal(about((await slower).at), 10_010);
  assert.deepEqual(world.errors, []);
  await world.close();
});

test('minBodyRate: only the time in which the client is waited for counts', async () => {
  const world: World = await World.open({
    bodyTimeout: 1000,
    minBodyRate: 1_000_000,
    fetch: async (request) => {
      let length = 0;
      if (request.body === null) return hello();
      for await (const piece of request.body) {
        length += piece.length;
        await run(() => sleep(5000), { scheduler: world.network.scheduler });
      }
      return new Response(String(length));
    },
  });
  const client = upload(world, 1, 300_000, 500);
  await world.pass();
  assert.equal((await client).responses[0].body, '300000');
  assert.ok((await client).at > 20_000);
  await world.close();
});

test('minBodyRate: what frames a body is worth nothing: chunk extensions and trailers cannot hold a thread', async () => {
  for (const text of ['5;', '5;a="', '0\r\nx: ']) {
    const fetch = async (request: Request) => new Response(await request.text());
    const world = await World.open({ fetch, bodyTimeout: 1000 });
    const client = world.client(function* (connection) {
      yield* connection.writer.write(`POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n${text}`);
      while (!connection.reader.finished && !connection.closed) {
        yield* sleep(900);
        if (!connection.closed) yield* connection.writer.write('y');
      }
      return yield* received(connection);
    });
    await world.pass();
    assert.equal((await client).responses[0].status, 408);
    assert.ok((await client).at < 3000);
    await world.close();
  }
});

/** A client that has its system take a little of the response at a time. @param pause between two times */
function* sipping(connection: Connection, pause: number): Task<Exchanged> {
  const { layer } = connection.owner.network;
  while (!connection.closed && !connection.reader.finished) {
    layer.pauseReading(connection.slot);
    yield* sleep(pause);
    if (connection.closed) break;
    layer.resumeReading(connection.slot);
    yield* sleep(10);
  }
  return yield* received(connection);
}

/** A client that asks, and takes nothing but what its system has room for. @returns why its connection has closed */
function deafClient(world: World): Promise<string | undefined> {
  return world.client(function* (connection) {
    pauseReading(connection);
    yield* connection.writer.write(get('/'));
    yield* sleep(60_000);
    return connection.reason?.code;
  });
}

test(
  'minWriteRate: a parked write waits for writeTimeout, and a second more for every so many bytes that are taken',
  countsWireBytes,
  async () => {
    for (const [minWriteRate, seconds] of [
      [1024, 6],
      [512, 7],
      [256, 9],
    ]) {
      const world = await World.open(
        { fetch: () => new Response('x'.repeat(200_000)), writeTimeout: 5000, minWriteRate },
        { latency: 0.01, pieces: 'whole', capacity: 1024 },
      );
      const deaf = deafClient(world);
      await world.pass(seconds * 1000 - 20);
      assert.equal(world.server.connections.writing, 1, 'the system has taken 1024 bytes');
      await world.pass(40);
      assert.equal(world.server.connections.total, 0);
      await world.pass();
      assert.equal(await deaf, 'ECONNRESET');
      assert.deepEqual(world.errors, []);
      await world.close();
    }
  },
);

test('writeTimeout: what the system takes at first is worth no more time than that, however low minWriteRate is', async () => {
  const world = await World.open(
    { fetch: () => new Response('x'.repeat(200_000)), writeTimeout: 5000, minWriteRate: 1 },
    { latency: 0.01, pieces: 'whole', capacity: 1024 },
  );
  const deaf = deafClient(world);
  await world.pass(9_980);
  assert.equal(world.server.connections.writing, 1, 'in the first five seconds the system has taken 1024 bytes');
  await world.pass(40);
  assert.equal(world.server.connections.total, 0, 'in the next five none has taken any');
  await world.pass();
  assert.equal(await deaf, 'ECONNRESET');
  await world.close();
});

test('minWriteRate: a client that takes a byte a minute is reset after a while, one that takes enough is not', async () => {
  const fetch = () => new Response('x'.repeat(200_000));
  const world = await World.open({ fetch }, { latency: 1, pieces: 1, capacity: 16 });
  const miser = world.client(function* (connection) {
    yield* connection.writer.write(get('/'));
    return yield* sipping(connection, 60_000);
  });
  await world.pass(299_000);
  assert.equal(world.server.connections.writing, 1);
  await world.pass(62_000);
  assert.equal(world.server.connections.total, 0);
  await world.pass();
  assert.equal((await miser).ending, 'reset');
  assert.deepEqual(world.errors, []);
  await world.close();

  const fair = await World.open({ fetch }, { latency: 10, pieces: 'whole', capacity: 1024 });
  const client = fair.client(function* (connection) {
    yield* connection.writer.write(get('/', 'connection: close'));
    return yield* sipping(connection, 4000);
  });
  await fair.pass();
  assert.equal((await client).responses[0]?.body.length, 200_000);
  await fair.close();
});

for (const [name, fields] of [
  ['idle', []],
  ['closing', ['connection: close']],
] as const) {
  test(`minWriteRate holds for what is left of a response when its thread is over (${name})`, async () => {
    const options = { fetch: () => new Response('x'.repeat(60_000)), idleTimeout: 10_000, lingerTimeout: 10_000 };
    for (const [minWriteRate, isServed] of [
      [50, true],
      [400, false],
    ] as const) {
      const world = await World.open({ ...options, minWriteRate }, { latency: 10, pieces: 'whole', capacity: 1024 });
      const client = world.client(function* (connection) {
        yield* connection.writer.write(get('/', ...fields));
        return yield* sipping(connection, 8000);
      });
      await world.pass();
      const { responses, ending } = await client;
      assert.equal(responses.length, isServed ? 1 : 0);
      assert.equal(ending, isServed ? 'FIN' : 'reset');
      await world.close();
    }
  });
}

// Each time, shortly before it is over and shortly after.

/** How each time comes out for somebody who takes so many milliseconds of it: what its client has got. */
const inTime: Record<string, (limit: number, taken: number) => Promise<string>> = {
  idleTimeout: (limit, taken) =>
    outcome({ fetch: hello, idleTimeout: limit }, function* (connection) {
      yield* sleep(taken);
      if (!connection.reader.finished) yield* connection.writer.write(lastGet);
    }),
  headTimeout: (limit, taken) =>
    outcome({ fetch: hello, headTimeout: limit }, function* (connection) {
      yield* connection.writer.write(lastGet.slice(0, 1));
      yield* sleep(taken);
      if (!connection.reader.finished) yield* connection.writer.write(lastGet.slice(1));
    }),
  bodyTimeout: (limit, taken) =>
    outcome(
      { fetch: async (request) => new Response(await request.text()), bodyTimeout: limit },
      function* (connection) {
        yield* connection.writer.write(post('/', 'hello', 'connection: close').slice(0, -5));
        yield* sleep(taken);
        if (!connection.reader.finished) yield* connection.writer.write('hello');
      },
    ),
  writeTimeout: (limit, taken) =>
    outcome(
      {
        fetch: () => new Response('hello'.padEnd(100_000)),
        writeTimeout: limit,
        minWriteRate: 2 ** 30,
      },
      function* (connection) {
        pauseReading(connection);
        yield* connection.writer.write(lastGet);
        yield* sleep(taken);
        resumeReading(connection);
      },
    ),
  leaveTimeout: (limit, taken) =>
    outcome(
      {
        fetch: async () => {
          await run(() => sleep(taken), { scheduler: currentThread()?.scheduler });
          return hello();
        },
        leaveTimeout: limit,
      },
      function* (connection) {
        yield* connection.writer.write(lastGet);
        yield* connection.writer.end();
      },
    ),
  deadline: (limit, taken) =>
    outcome(
      {
        *fetch() {
          yield* sleep(taken);
          return hello();
        },
      },
      function* (connection) {
        yield* connection.writer.write(lastGet);
      },
      limit,
    ),
};

const lastGet = get('/', 'connection: close');

/** @param deadline of a `close` that is called once the client is there */
async function outcome(
  options: ServeOptions,
  task: (connection: Connection) => Task<void>,
  deadline?: number,
): Promise<string> {
  const world = await World.open(options, { latency: 0.01, pieces: 'whole', capacity: 1024 });
  const client = world.client(function* (connection) {
    yield* task(connection);
    return yield* received(connection);
  });
  if (deadline !== undefined) {
    await world.pass(1);
    const closing = world.server.close({ deadline });
    await world.pass();
    await closing;
  }
  await world.pass();
  const { responses, ending } = await client;
  await world.close();
  return [...responses.map(({ status, body }) => `${status} ${body.trim()}`), ending].join(', ');
}

const late: Record<string, string> = {
  idleTimeout: 'FIN',
  headTimeout: '408 Request Timeout, FIN',
  bodyTimeout: '408 Request Timeout, FIN',
  writeTimeout: 'reset',
  leaveTimeout: 'FIN',
  deadline: '503 Service Unavailable, FIN',
};

for (const [name, attempt] of Object.entries(inTime)) {
  test(`${name}: who is done shortly before it has passed is served, who is not is not`, async () => {
    assert.equal(await attempt(5000, 4980), '200 hello, FIN');
    assert.equal(await attempt(5000, 5020), late[name]);
  });
}

test('lingerTimeout: a client that has not ended is closed when it has passed, and not before', async () => {
  const world = await World.open({ fetch: hello, lingerTimeout: 5000 });
  world.client(function* (connection) {
    yield* connection.writer.write(lastGet);
    yield* received(connection);
    yield* sleep(60_000);
  });
  await world.pass(4980);
  assert.equal(world.server.connections.closing, 1);
  await world.pass(40);
  assert.equal(world.server.connections.total, 0);
  await world.pass();
  await world.close();
});

/** A client that goes on sending, whatever it receives, until its connection is gone; and when that was. */
function ceaseless(world: World, first: string, more: string): Promise<number> {
  return world.client(function* ({ writer, scheduler }) {
    try {
      for (yield* writer.write(first); ; yield* writer.write(more)) yield* sleep(100);
    } catch {
      return scheduler.now; // writing has failed: there is no peer
    }
  });
}

test('headTimeout: a client that sends nothing but empty lines is closed, too', async () => {
  const world = await World.open({ fetch: hello, headTimeout: 5000, lingerTimeout: 1000, idleTimeout: 60_000 });
  const client = ceaseless(world, '\r\n', '\r\n');
  await world.pass(4980);
  assert.equal(world.server.connections.reading, 1);
  await world.pass();
  assert.ok((await client) < 6300, `gone at ${await client}`);
  await world.close();
});

test('lingerTimeout: a client that goes on sending does not put it off', async () => {
  const world = await World.open({ fetch: hello, lingerTimeout: 5000 });
  const client = ceaseless(world, lastGet, 'x'.repeat(1000));
  await world.pass(4980);
  assert.equal(world.server.connections.closing, 1);
  await world.pass();
  assert.ok((await client) < 5300, `gone at ${await client}`);
  await world.close();
});
