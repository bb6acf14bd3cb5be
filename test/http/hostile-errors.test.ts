// Whatever is thrown, and wherever: the client gets a 500 or a reset, `onError` is called once, and the connection ends.

import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import { listen } from '#sluice/connection/listen.js';
import { Response } from '#sluice/http/fetch/response.js';
import { stream } from '#sluice/http/stream.js';
import type { Fetch, ServeOptions } from '#sluice/server/serve.js';
import { sleep } from '#sluice/threads/sleep.js';
import type { Task } from '#sluice/threads/task.js';
import { spawn } from '#sluice/threads/thread.js';
import { until } from '#sluice/threads/until.js';
import { get, received, World } from '../support/world.js';
import { hostileValues } from '../util/hostile-values.js';

interface Place {
  handler: (make: () => unknown) => (...args: Parameters<Fetch>) => unknown;
  /** What the client gets. */
  gets: 500 | 'reset';
}

const failsAs = (gets: Place['gets'], handler: Place['handler']): Place => ({ gets, handler });

const fail = (error: unknown): never => {
  throw error;
};

/** A stream of the platform's. @param pull is given its controller */
const readable = (pull: (controller: ReadableStreamDefaultController<Uint8Array>) => void) =>
  new ReadableStream<Uint8Array>({ pull }, { highWaterMark: 0 });

const thenable = (settle: (rejected: (error: unknown) => void) => void) =>
  Object.fromEntries([['then', (_: unknown, rejected: (error: unknown) => void) => settle(rejected)]]);

const places: Readonly<Record<string, Place>> = {
  'thrown by a plain handler': failsAs(500, (make) => () => {
    throw make();
  }),
  'thrown by an async handler': failsAs(500, (make) => async () => {
    throw make();
  }),
  'thrown by an async handler, later': failsAs(500, (make) => async () => {
    await Promise.resolve();
    throw make();
  }),
  'thrown by a thread': failsAs(
    500,
    (make) =>
      function* () {
        yield* sleep(1);
        throw make();
      },
  ),
  'thrown by the finally block of a thread': failsAs(
    500,
    (make) =>
      function* () {
        try {
          yield* sleep(1);
          return new Response();
        } finally {
          fail(make());
        }
      },
  ),
  'rejected, and waited for by a thread': failsAs(
    500,
    (make) =>
      function* () {
        yield* until(Promise.reject(make()));
      },
  ),
  'thrown by a child of a thread': failsAs(
    500,
    (make) =>
      function* () {
        spawn(function* () {
          throw make();
        });
        yield* sleep(10);
      },
  ),
  'thrown by a child that is joined': failsAs(
    500,
    (make) =>
      function* () {
        yield* spawn(function* () {
          yield* sleep(1);
          throw make();
        }).join();
      },
  ),
  'yielded by a thread': failsAs(
    500,
    (make) =>
      function* () {
        yield make();
      },
  ),
  'returned by an iterator in place of a result': failsAs(500, (make) => () => ({
    next: () => make(),
    [Symbol.iterator]() {
      return this;
    },
  })),
  'returned by a thread': failsAs(
    500,
    (make) =>
      function* () {
        yield* sleep(1);
        return make();
      },
  ),
  'thrown by the body of a stream': failsAs(
    'reset',
    (make) => () =>
      stream(function* (out) {
        yield* out.write('a');
        throw make();
      }),
  ),
  'written to the body of a stream': failsAs(
    'reset',
    (make) => () =>
      stream(function* (out) {
        const data = make();
        if (typeof data === 'string') throw data;
        yield* out.write(data as Uint8Array);
      }),
  ),
  "the error of a platform's stream": failsAs(
    'reset',
    (make) => () => new Response(readable((controller) => controller.error(make()))),
  ),
  "given by a platform's stream": failsAs(
    'reset',
    (make) => () =>
      new Response(
        readable((controller) => {
          const chunk = make();
          if (typeof chunk === 'string') throw chunk;
          controller.enqueue(chunk as Uint8Array);
        }),
      ),
  ),
};

async function open(options: Omit<ServeOptions, 'fetch'> & { fetch: unknown }): Promise<World> {
  return World.open(options as ServeOptions); // what the handlers return is wrong on purpose
}

for (const [place, { handler, gets }] of Object.entries(places))
  test(`a value that cannot be looked at, ${place}: reported once, and the connection ends`, async () => {
    for (const [name, make] of Object.entries(hostileValues)) {
      const world = await open({ fetch: handler(make) });
      const client = world.exchange(get('/'), 'GET');
      await world.pass();
      const { responses, ending } = await client;
      if (gets === 500) assert.deepEqual([responses.map(({ status }) => status), ending], [[500], 'FIN'], name);
      else assert.deepEqual([responses.length, ending], [0, 'reset'], name);
      assert.equal(world.errors.length, 1, `${name}: calls of onError`);
      await world.close();
    }
  });

test('an onError that throws what cannot be looked at, or returns it, or rejects with it, harms nothing', async () => {
  const printed = mock.method(console, 'error', () => {});
  const reported: ((make: () => unknown) => () => unknown)[] = [
    (make) => () => {
      throw make();
    },
    (make) => () => make(),
    (make) => async () => {
      throw make();
    },
    // A promise of another library.
    (make) => () => thenable((rejected) => rejected(make())),
  ];
  try {
    for (const onError of reported)
      for (const [name, make] of Object.entries(hostileValues)) {
        const fetch = () => {
          throw new Error('the handler');
        };
        const world = await open({ fetch, onError: onError(make) });
        const client = world.exchange(get('/'), 'GET');
        await world.pass();
        assert.deepEqual(
          (await client).responses.map(({ status }) => status),
          [500],
          name,
        );
        await world.close();
      }
    const texts = printed.mock.calls.map((call) => call.arguments);
    assert.ok(texts.length >= 3 * (Object.keys(hostileValues).length - 1), `${texts.length} printed`);
    for (const args of texts) assert.ok(args.length === 1 && typeof args[0] === 'string', 'one string for each');
  } finally {
    printed.mock.restore();
  }
});

test('a handler of listen that throws what cannot be looked at has its connection reset', async () => {
  for (const [name, make] of Object.entries(hostileValues)) {
    const world = new World();
    const { network } = world;
    const errors: unknown[] = [];
    const server = await listen({ network, port: 0, onError: (error) => errors.push(error) }, function* ({ reader }) {
      yield* reader.read();
      throw make();
    });
    const client = world.client(
      function* (connection) {
        yield* connection.writer.write('x');
        return yield* connection.reader.read();
      },
      { port: server.port },
    );
    const ended = assert.rejects(client, { code: 'ECONNRESET' }, name);
    await world.pass();
    await ended;
    assert.equal(errors.length, 1, name);
    assert.equal(server.connections.total, 0, name);
    const closing = server.close();
    await world.close();
    await closing;
  }
});

test('close drops what is left after the unwinding limit, however long threads take, and does not wait for them for ever', async () => {
  const world = new World();
  const { network } = world;
  const errors: unknown[] = [];
  // Each thread takes the whole of the unwinding limit, and each is waited for by the one above.
  function* nested(depth: number): Task<void> {
    try {
      if (depth > 0) spawn(() => nested(depth - 1));
      yield* sleep(Infinity);
    } finally {
      yield* sleep(Infinity);
    }
  }
  network.scheduler.report = () => {};
  const server = await listen({ network, port: 0, onError: (error) => errors.push(error) }, function* () {
    yield* nested(5);
  });
  let gone = Infinity;
  const client = world.client(
    function* (connection) {
      try {
        yield* connection.reader.read();
      } catch {
        gone = world.now;
      }
    },
    { port: server.port },
  );
  await world.pass(100);
  const begun = world.layer.now();
  let closed = Infinity;
  const closing = server.close({ deadline: 1_000 }).then(() => {
    closed = world.layer.now();
  });
  await world.pass();
  await Promise.all([client, closing]);
  assert.ok(gone - begun <= 1_000 + 5_200, `the connection has gone after ${gone - begun} ms`);
  assert.ok(closed - begun <= 1_000 + 2 * 5_200, `closed after ${closed - begun} ms`);
  const codes = errors.map((error) => (error as { code?: unknown }).code);
  assert.equal(codes.filter((code) => code === 'ERR_UNWIND_LIMIT').length, codes.length);
});

for (const framing of ['in chunks', 'with its length declared'] as const) {
  const headers: Record<string, string> = framing === 'in chunks' ? {} : { 'content-length': '200000' };

  test(`a piece that says that it is longer than it is is not sent, ${framing}`, async () => {
    const piece = Object.defineProperty(Buffer.from('short'), 'length', { value: 1_000 });
    const fetch = () =>
      stream(
        function* (out) {
          yield* out.write(piece);
        },
        { headers },
      );
    const world = await World.open({ fetch });
    const client = world.exchange(get('/'), 'GET');
    await world.pass();
    const { responses, ending } = await client;
    assert.deepEqual([responses.length, ending], [0, 'reset']);
    assert.deepEqual(world.errors.map(String), ['TypeError: write: the data has a length of 1000, and 5 bytes']);
    await world.close();
  });

  test(`a piece whose memory is given away while its client is flooded is not taken for complete, ${framing}`, async () => {
    for (const written of [0, 100_000]) {
      const last = new Uint8Array(200_000 - written);
      const fetch = () =>
        stream(
          function* (out) {
            if (written > 0) yield* out.write(new Uint8Array(written));
            yield* out.write(last);
          },
          { headers },
        );
      const world = await World.open({ fetch }, { latency: 0.01, capacity: 1_000 });
      const client = world.client(function* (connection) {
        yield* connection.writer.write(get('/'));
        yield* sleep(100);
        structuredClone(last.buffer, { transfer: [last.buffer] });
        return yield* received(connection, ['GET']);
      });
      await world.pass();
      const { responses, ending } = await client;
      assert.deepEqual([responses.length, ending], [0, 'reset'], `${written} bytes before it`);
      assert.equal(world.errors.length, 1);
      await world.close();
    }
  });
}

test('a thread handler that exhausts the stack is answered with 500, and onError says why', async () => {
  function* endless(): Task<Response> {
    return yield* endless();
  }
  const world = await World.open({ fetch: endless });
  const exchange = world.exchange(get('/'));
  await world.pass();
  const { responses } = await exchange;
  assert.equal(responses[0]?.status, 500);
  assert.deepEqual(
    world.errors.map((error) => Reflect.get(Object(error), 'code')),
    ['ERR_TOO_DEEP'],
  );
  await world.close();
});
