// A stream() body that is not sent is started and unwound, so that its `finally` blocks give back what its handler took.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Response } from '#sluice/http/fetch/response.js';
import { type BodyTask, stream } from '#sluice/http/stream.js';
import type { Fetch } from '#sluice/server/serve.js';
import { sleep } from '#sluice/threads/sleep.js';
import { currentThread } from '#sluice/threads/thread.js';
import { uninterruptible } from '#sluice/threads/uninterruptible.js';
import { until } from '#sluice/threads/until.js';
import { get, leave, World } from '../support/world.js';

/** What handlers have taken, and how far their bodies have come. */
class Pool {
  readonly events: string[] = [];
  #taken = 0;

  get isWhole(): boolean {
    return this.#taken === 0;
  }

  /** Takes something, as a handler does before it returns. @returns a body that gives it back */
  body(): BodyTask {
    const { events } = this;
    this.#taken++;
    const giveBack = () => {
      this.#taken--;
      events.push('released');
    };
    return function* (out) {
      try {
        events.push('started');
        for (;;) {
          yield* out.write('tick');
          events.push('wrote');
          yield* sleep(1000);
        }
      } finally {
        yield* sleep(50);
        giveBack();
      }
    };
  }
}

const close = 'connection: close';
const head = (target: string, ...fields: string[]) => get(target, ...fields).replace('GET', 'HEAD');

async function open(fetch: Fetch): Promise<World> {
  return World.open({ fetch });
}

test('HEAD: the body is unwound at its first write, and the next request waits until its finally blocks are done', async () => {
  const pool = new Pool();
  const world = await open((request) => {
    pool.events.push(request.method);
    return request.method === 'HEAD' ? stream(pool.body()) : new Response('next');
  });
  const client = world.exchange(head('/') + get('/', close), 'HEAD', 'GET');
  await world.pass();
  assert.deepEqual(pool.events, ['HEAD', 'started', 'released', 'GET']);
  const { responses, ending } = await client;
  assert.deepEqual(
    [responses.map(({ status, body }) => [status, body]), ending],
    [
      [
        [200, ''],
        [200, 'next'],
      ],
      'FIN',
    ],
  );
  assert.deepEqual(world.errors, []);
  await world.close();
});

for (const status of [204, 205, 304]) {
  test(`a body with status ${status}, which has none, is unwound`, async () => {
    const pool = new Pool();
    const world = await open(() => stream(pool.body(), { status }));
    const client = world.exchange(get('/', close));
    await world.pass();
    assert.deepEqual(pool.events, ['started', 'released']);
    assert.deepEqual(
      (await client).responses.map((response) => [response.status, response.body]),
      [[status, '']],
    );
    assert.deepEqual(world.errors, []);
    await world.close();
  });
}

test('a body whose head cannot be sent is unwound, and its client gets a 500', async () => {
  const pool = new Pool();
  const world = await open(() => stream(pool.body(), { headers: { 'content-length': 'many' } }));
  const client = world.exchange(get('/'));
  await world.pass();
  assert.deepEqual(pool.events, ['started', 'released']);
  assert.equal((await client).responses[0]?.status, 500);
  assert.equal(world.errors.length, 1);
  await world.close();
});

test('a body behind a response that its client does not read is unwound when the client leaves', async () => {
  const pool = new Pool();
  // More than the network and the client's reader take, and less than would make it wait itself.
  const flood = new Uint8Array(120 * 1024);
  const world = await World.open(
    {
      fetch: (request) => (request.url.endsWith('/flood') ? new Response(flood) : stream(pool.body())),
    },
    { latency: 0.01, pieces: 'whole', capacity: 1024 },
  );
  const client = world.client(function* (connection) {
    yield* connection.writer.write(get('/flood') + get('/'));
    yield* sleep(100);
    connection.reset();
  });
  await world.pass();
  await client;
  assert.deepEqual(pool.events, ['started', 'released']);
  await world.close();
});

test('a body that an async handler returns after its client has left is unwound', async () => {
  const pool = new Pool();
  let answer: (response: Response) => void = () => {};
  const world = await open(
    () =>
      new Promise<Response>((resolve) => {
        answer = resolve;
      }),
  );
  const client = leave(world, 'RST');
  await world.pass();
  await client;
  answer(stream(pool.body()));
  await world.pass();
  assert.deepEqual(pool.events, ['started', 'released']);
  await world.close();
});

test('a body that a handler returns after it has unwound its own thread is unwound', async () => {
  const pool = new Pool();
  const world = await open(() => {
    currentThread()?.unwind('enough');
    return stream(pool.body());
  });
  const client = world.exchange(get('/'));
  await world.pass();
  await client;
  assert.deepEqual(pool.events, ['started', 'released']);
  await world.close();
});

test('what a handler throws after it has unwound its own thread is reported', async () => {
  const error = new Error('from the handler');
  const world = await open(() => {
    currentThread()?.unwind('enough');
    throw error;
  });
  const client = world.exchange(get('/'));
  await world.pass();
  assert.equal((await client).responses[0]?.status, 500);
  assert.deepEqual(world.errors, [error]);
  await world.close();
});

test('an error in a body that is not sent is reported, and the connection goes on', async () => {
  const error = new Error('from the body');
  const world = await open(() =>
    stream(function* () {
      throw error;
    }),
  );
  const client = world.exchange(head('/') + head('/', close), 'HEAD', 'HEAD');
  await world.pass();
  assert.deepEqual(
    (await client).responses.map(({ status }) => status),
    [200, 200],
  );
  assert.deepEqual(world.errors, [error, error]);
  await world.close();
});

for (const error of [new Error('from the body'), undefined]) {
  test(`a body that is not sent and ${error ? 'fails' : 'ends'} before its first write runs an uninterruptible finally block to its end`, async () => {
    const events: string[] = [];
    const world = await open(() =>
      stream(function* () {
        try {
          if (error !== undefined) throw error;
        } finally {
          yield* uninterruptible(function* () {
            yield* sleep(50);
            events.push('released');
          });
        }
      }),
    );
    const client = world.exchange(head('/', close), 'HEAD');
    await world.pass();
    await client;
    assert.deepEqual([events, world.errors], [['released'], error === undefined ? [] : [error]]);
    await world.close();
  });
}

test('close waits for the finally blocks of a body that is not sent', async () => {
  const pool = new Pool();
  const world = await open((request) => {
    assert.equal(request.method, 'HEAD');
    return stream(function* (out) {
      try {
        yield* out.write('never');
      } finally {
        yield* sleep(3000);
        pool.events.push('released');
      }
    });
  });
  const client = world.exchange(head('/'), 'HEAD');
  await world.pass(100);
  const closed = world.server.close({ deadline: 10 }).then(() => pool.events.push('closed'));
  await world.pass();
  await closed;
  assert.deepEqual(pool.events, ['released', 'closed']);
  await client;
  await world.close();
});

test('a write in a finally block of a body that is not sent sends nothing and goes on', async () => {
  const events: string[] = [];
  const world = await open(() =>
    stream(function* (out) {
      try {
        yield* out.flush();
        events.push('flushed');
      } finally {
        yield* out.write('bye');
        yield* out.flush();
        events.push('done');
      }
    }),
  );
  const client = world.exchange(head('/', close), 'HEAD');
  await world.pass();
  await client;
  assert.deepEqual(events, ['done']);
  await world.close();
});

test('the readable form of a stream() body starts and unwinds it when it is cancelled unread', async () => {
  const pool = new Pool();
  await stream(pool.body()).body?.cancel('not wanted');
  assert.deepEqual(pool.events, ['started', 'released']);

  const response = stream(pool.body());
  const copy = response.clone();
  await Promise.all([response.body?.cancel(), copy.body?.cancel()]);
  assert.ok(pool.isWhole);
});

test('cancelling the readable form rejects with what a finally block throws', async () => {
  const error = new Error('cannot be given back');
  const response = stream(function* (out) {
    try {
      for (;;) yield* out.write('x');
    } finally {
      yield* until(Promise.reject(error));
    }
  });
  const reader = response.body?.getReader();
  await reader?.read();
  await assert.rejects(async () => reader?.cancel('enough'), error);
});
