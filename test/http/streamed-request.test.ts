// What can still be asked of a request while its response is streamed, and afterwards. The server releases it meanwhile, unless
// it is still needed, and that cannot be observed.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { Hono } from 'hono';
import type { Request } from '#sluice/http/fetch/request.js';
import { ClientLeftError } from '#sluice/http/incoming-request.js';
import type { RequestInfo } from '#sluice/http/settings.js';
import { stream } from '#sluice/http/stream.js';
import { inspectConnections } from '#sluice/observe/inspect.js';
import { sleep } from '#sluice/threads/sleep.js';
import { until } from '#sluice/threads/until.js';
import { get, leave, post, received, World } from '../support/world.js';

/** The ways to answer with a stream: each a fetch function that does `before` with the request, and then streams `body`. */
const handlers = {
  plain: (before: Before, body: Body) => (request: Request) => {
    before(request);
    return stream(body(request));
  },
  async: (before: Before, body: Body) => async (request: Request) => {
    await null;
    before(request);
    return stream(body(request));
  },
  thread: (before: Before, body: Body) =>
    function* (request: Request) {
      yield* sleep(10);
      before(request);
      return stream(body(request));
    },
};
type Before = (request: Request) => void;
type Body = (request: Request) => Parameters<typeof stream>[0];

const nothing = () => {};

for (const [kind, handler] of Object.entries(handlers))
  for (const how of ['FIN', 'RST'] as const) {
    test(`${kind} handler, ${how}: a signal that was asked for before the stream is aborted when the client leaves`, async () => {
      let abortedAt = 0;
      let reason: unknown;
      let reasonInFinally: unknown;
      const fetch = handler(
        ({ signal }) =>
          signal.addEventListener('abort', () => {
            abortedAt = world.now;
            reason = signal.reason;
          }),
        (request) =>
          function* (out) {
            try {
              yield* out.write('begun');
              yield* sleep(60_000);
            } finally {
              reasonInFinally = request.signal.reason;
            }
          },
      );
      const world: World = await World.open({ fetch });
      leave(world, how);
      await world.pass();
      assert.equal(Math.floor(abortedAt / 10), 10);
      assert.ok(reason instanceof ClientLeftError);
      assert.equal(reasonInFinally, reason);
      assert.deepEqual(world.errors, []);
      await world.close();
    });

    test(`${kind} handler, ${how}: a signal that is first asked for while the stream runs is aborted when the client leaves`, async () => {
      let abortedAt = 0;
      let signal: AbortSignal | undefined;
      const fetch = handler(
        nothing,
        (request) =>
          function* (out) {
            yield* out.write('begun');
            yield* sleep(20);
            signal = request.signal;
            signal.addEventListener('abort', () => {
              abortedAt = world.now;
            });
            assert.equal(request.signal, signal);
            yield* sleep(60_000);
          },
      );
      const world: World = await World.open({ fetch });
      leave(world, how);
      await world.pass();
      assert.equal(Math.floor(abortedAt / 10), 10);
      assert.ok(signal?.reason instanceof ClientLeftError);
      assert.deepEqual(world.errors, []);
      await world.close();
    });

    test(`${kind} handler, ${how}: a signal that is first asked for when the client has left is aborted, with the reason`, async () => {
      let kept: Request | undefined;
      let inFinally: unknown;
      const fetch = handler(
        (request) => {
          kept = request;
        },
        (request) =>
          function* (out) {
            try {
              yield* out.write('begun');
              yield* sleep(60_000);
            } finally {
              inFinally = request.clone().signal.reason;
            }
          },
      );
      const world: World = await World.open({ fetch });
      leave(world, how);
      await world.pass();
      assert.ok(inFinally instanceof ClientLeftError);
      assert.equal(kept?.signal.reason, inFinally);
      await world.close();
    });

    test(`${kind} handler, ${how}: a signal that is first asked for long after the client has left is aborted, with the reason`, async () => {
      let kept: Request | undefined;
      const fetch = handler(
        (request) => {
          kept = request;
        },
        () =>
          function* (out) {
            yield* out.write('begun');
            yield* sleep(60_000);
          },
      );
      const world: World = await World.open({ fetch });
      leave(world, how);
      await world.pass();
      await world.close();
      assert.ok(kept?.signal.aborted);
      assert.ok(kept.signal.reason instanceof ClientLeftError);
      assert.equal(kept.url, 'http://a/');
    });
  }

test('a body that is made by an ordinary function may ask for the signal there, too', async () => {
  let reason: unknown;
  const world = await World.open({
    fetch: (request) =>
      stream((out) => {
        request.signal.addEventListener('abort', () => {
          reason = request.signal.reason;
        });
        return (function* () {
          yield* out.write('begun');
          yield* sleep(60_000);
        })();
      }),
  });
  leave(world, 'FIN');
  await world.pass();
  assert.ok(reason instanceof ClientLeftError);
  await world.close();
});

for (const how of ['FIN', 'RST'] as const) {
  test(`${how}: the signal of a request whose response was whole is not aborted, whatever its client does afterwards`, async () => {
    const kept: Request[] = [];
    const world = await World.open({
      fetch: (request) => {
        kept.push(request);
        return stream(function* (out) {
          yield* out.write(request.url);
          if (kept.length === 2) yield* sleep(60_000);
        });
      },
    });
    leave(world, how, get('/first') + get('/second'));
    await world.pass(50);
    assert.equal(kept.length, 2);
    const [first, second] = kept;
    assert.equal(first.signal.aborted, false, 'asked for while the second is answered');
    await world.pass();
    assert.equal(first.signal.aborted, false);
    assert.ok(second.signal.reason instanceof ClientLeftError);
    assert.deepEqual([first.url, second.url], ['http://a/first', 'http://a/second']);
    await world.close();
  });
}

test('requests behind a streamed response are answered as ever, with their own method, target and client', async () => {
  const infos: RequestInfo[] = [];
  const world = await World.open({
    fetch(request, info) {
      infos.push(info);
      if (request.method === 'POST') return request.text().then((text) => new globalThis.Response(text));
      return stream(function* (out) {
        const { peer } = info;
        yield* out.write(`${request.url} of ${peer !== ''}`);
        yield* sleep(10);
        yield* out.write(` and ${info.peer === peer}`);
      });
    },
  });
  const client = world.client(function* (connection) {
    yield* connection.writer.write(get('/1') + post('/2', 'two') + get('/3'));
    yield* sleep(100);
    yield* connection.writer.write(get('/4', 'connection: close'));
    return yield* received(connection);
  });
  await world.pass();
  const { responses, ending } = await client;
  assert.deepEqual(
    responses.map(({ body }) => body),
    ['http://a/1 of true and true', 'two', 'http://a/3 of true and true', 'http://a/4 of true and true'],
  );
  assert.equal(ending, 'FIN');
  assert.deepEqual(
    infos.map(({ peer }) => peer !== ''),
    [true, false, true, true],
    'where it was asked for in time, the client’s address is known when the request is over',
  );
  await world.close();
});

test('active() says method and URL of a request whose response is streamed', async () => {
  const world = await World.open({
    fetch: () =>
      stream(function* (out) {
        yield* out.write('x');
        yield* sleep(1000);
      }),
  });
  const client = world.exchange(`\r\n${get('/a?b', 'connection: close')}`);
  await world.pass(50);
  const [{ request, wait, peer }] = world.server.active();
  assert.deepEqual([request, wait], [{ method: 'GET', url: 'http://a/a?b' }, 'timer']);
  assert.notEqual(peer, '');
  await world.pass();
  assert.equal((await client).responses.length, 1);
  await world.close();
});

/** What `onError` is called with for a stream that fails after 10 ms, and what it sees of the request at that moment. */
async function failing(sent: string, before: Before) {
  const failure = new Error('the stream has failed');
  const reported: { error: unknown; request: Request | undefined; method?: string; url?: string; aborted?: boolean }[] =
    [];
  let given: Request | undefined;
  const world = await World.open({
    async fetch(request) {
      given = request;
      if (request.method === 'POST') await request.text();
      before(request);
      return stream(function* (out) {
        yield* out.write('begun');
        yield* sleep(10);
        throw failure;
      });
    },
    onError(error, request) {
      reported.push({ error, request, method: request?.method, url: request?.url, aborted: request?.signal.aborted });
    },
  });
  const client = world.exchange(sent);
  await world.pass();
  const { ending, isCutShort } = await client;
  assert.deepEqual([ending, isCutShort], ['reset', true]);
  await world.close();
  const [{ error, request, method, url, aborted }] = reported;
  assert.equal(reported.length, 1);
  assert.equal(error, failure);
  assert.ok(request !== undefined && given !== undefined);
  return { request, given, method, url, aborted };
}

test('onError is called for a stream that fails with a request that says the same as the handler’s', async () => {
  for (const sent of [get('/a?b', 'x-kept: yes'), post('/a?b', 'text', 'x-kept: yes')]) {
    const { request, given, method, url, aborted } = await failing(sent, nothing);
    assert.deepEqual([method, url, aborted], [given.method, 'http://a/a?b', false]);
    assert.deepEqual([...request.headers], [...given.headers]);
    assert.equal(request.headers.get('x-kept'), 'yes');
    assert.ok(request.signal.aborted && given.signal.aborted, 'the connection has ended before the response was whole');
    assert.equal(request.signal.reason, given.signal.reason);
  }
});

test('onError is called for a stream that fails with the handler’s own request, if its signal was asked for', async () => {
  const { request, given, aborted } = await failing(get('/'), (it) => it.signal);
  assert.equal(request, given);
  assert.equal(aborted, false);
});

for (const how of ['FIN', 'RST'] as const) {
  test(`${how}: what a finally of a stream throws is reported with the request, unless it is the leaving itself`, async () => {
    const reported: unknown[] = [];
    const world = await World.open({
      fetch: (request) =>
        stream(function* (out) {
          try {
            yield* out.write('begun');
            yield* sleep(60_000);
          } finally {
            // biome-ignore lint/correctness/noUnsafeFinally: what this test is about
            throw request.url.endsWith('/reason') ? request.signal.reason : new Error('a mistake');
          }
        }),
      onError: (error, request) => reported.push([String(error), request?.url, request?.signal.aborted]),
    });
    leave(world, how, get('/reason'));
    leave(world, how, get('/mistake'));
    await world.pass();
    assert.deepEqual(reported, [['Error: a mistake', 'http://a/mistake', true]]);
    await world.close();
  });
}

test('a body that its handler has not read is there for the stream, which may read it', async () => {
  const world = await World.open({
    fetch: (request) =>
      stream(function* (out) {
        yield* out.write('begun, ');
        yield* sleep(10);
        yield* out.write(yield* until(request.text()));
      }),
  });
  const client = world.exchange(
    post('/', 'content') + post('/', '') + post('/', 'x'.repeat(70_000), 'connection: close'),
  );
  await world.pass();
  assert.deepEqual(
    (await client).responses.map(({ body }) => body),
    ['begun, content', 'begun, ', `begun, ${'x'.repeat(70_000)}`],
  );
  assert.deepEqual(world.errors, []);
  await world.close();
});

test('a body that its handler has read cannot be read again by the stream', async () => {
  const world = await World.open({
    async fetch(request) {
      const text = await request.text();
      return stream(function* (out) {
        yield* out.write(`${text} ${request.bodyUsed} `);
        yield* out.write(yield* until(request.text().catch((error: Error) => error.name)));
      });
    },
  });
  const client = world.exchange(post('/', 'content', 'connection: close'));
  await world.pass();
  assert.deepEqual(
    (await client).responses.map(({ body }) => body),
    ['content true TypeError'],
  );
  assert.deepEqual(world.errors, []);
  await world.close();
});

test('a framework’s application that keeps the request sees its client leave', async () => {
  const app = new Hono();
  const seen: unknown[] = [];
  app.get('/events/:id', (c) => {
    const answer = stream(function* (out) {
      yield* out.write(`${c.req.method} ${c.req.param('id')} ${c.req.header('x-a')} ${c.req.query('q')}`);
      yield* sleep(20);
      c.req.raw.signal.addEventListener('abort', () => seen.push(c.req.raw.signal.reason));
      yield* sleep(60_000);
    });
    return answer as unknown as globalThis.Response; // it passes for the platform's
  });
  const world = await World.open({ fetch: (request) => app.fetch(request) });
  const client = leave(world, 'FIN', get('/events/7?q=8', 'x-a: b'));
  await world.pass();
  assert.equal((await client).partialBody, 'GET 7 b 8');
  assert.equal(seen.length, 1);
  assert.ok(seen[0] instanceof ClientLeftError);
  await world.close();
});

/** Whether the handler's request is still held, while its response is streamed, by anybody but this test. */
async function isHeld(kind: keyof typeof handlers, sent: string, before: (request: Request) => unknown) {
  let given: WeakRef<Request> | undefined;
  const fetch = handlers[kind](
    (request) => {
      given = new WeakRef(request);
      before(request);
    },
    () =>
      function* (out) {
        yield* out.write('begun');
        yield* sleep(1000);
      },
  );
  const world = await World.open({ fetch });
  const client = world.exchange(sent);
  await world.pass(50);
  for (let i = 0; i < 3; i++) {
    await nextTurn(); // a WeakRef holds what it has been asked for until the end of the turn
    globalThis.gc?.();
  }
  const isThere = given?.deref() !== undefined;
  await world.pass();
  assert.equal((await client).responses.length, 1);
  await world.close();
  return isThere;
}

test('a request that nothing holds is released while its response is streamed', {
  skip: globalThis.gc === undefined && 'needs --expose-gc',
}, async () => {
  const only = get('/', 'connection: close');
  for (const kind of ['plain', 'async', 'thread'] as const) {
    const look = (request: Request) => [request.url, request.headers.get('host'), request.method];
    assert.equal(await isHeld(kind, only, nothing), false, kind);
    assert.equal(await isHeld(kind, only, look), false, kind);
    assert.equal(await isHeld(kind, only, (request) => request.signal), true, `${kind}: its signal may be aborted`);
    const unread = post('/', 'text', 'connection: close');
    assert.equal(await isHeld(kind, unread, nothing), true, `${kind}: its body has not been read`);
  }
});

test('a request that is kept does not hold the connection when its response is over, whether its signal was asked for or not', {
  skip: globalThis.gc === undefined && 'needs --expose-gc',
}, async () => {
  for (const before of [nothing, (request: Request) => request.signal]) {
    const kept: Request[] = [];
    const records: WeakRef<object>[] = [];
    const world: World = await World.open({
      fetch(request) {
        kept.push(request);
        before(request);
        return stream(function* (out) {
          yield* out.write('begun');
          yield* sleep(10);
          for (const { record, thread } of inspectConnections(world.network))
            if (thread?.name === 'connection' && record !== undefined) records.push(new WeakRef(record));
        });
      },
    });
    const client = world.client(function* (connection) {
      yield* connection.writer.write(get('/'));
      yield* sleep(1000);
      yield* connection.writer.end();
      return yield* received(connection);
    });
    await world.pass(500); // the connection is idle
    for (let i = 0; i < 3; i++) {
      await nextTurn();
      globalThis.gc?.();
    }
    assert.deepEqual(
      records.map((record) => record.deref()),
      [undefined],
    );
    assert.equal(kept[0].signal.aborted, false);
    await world.pass();
    assert.equal((await client).responses[0].body, 'begun');
    assert.equal(kept[0].signal.aborted, false);
    await world.close();
  }
});
