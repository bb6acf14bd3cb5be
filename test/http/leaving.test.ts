// Clients that leave, by FIN and by RST, and what becomes of the handlers that were at work for them.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Connection } from '#sluice/connection/connection.js';
import type { Request } from '#sluice/http/fetch/request.js';
import { Response } from '#sluice/http/fetch/response.js';
import { ClientLeftError } from '#sluice/http/incoming-request.js';
import { stream } from '#sluice/http/stream.js';
import { Channel } from '#sluice/threads/channel.js';
import { sleep } from '#sluice/threads/sleep.js';
import type { Task } from '#sluice/threads/task.js';
import { currentThread, run, spawn, type Thread } from '#sluice/threads/thread.js';
import { until } from '#sluice/threads/until.js';
import { get, leave, pauseReading, post, received, World } from '../support/world.js';

/** A time, but for the latency of the network and the tick of the timers, which are less than ten milliseconds. */
const about = (time: number) => Math.floor(time / 10) * 10;

/** What a handler went through. */
class Diary {
  readonly world: () => World;
  readonly entries: string[] = [];

  constructor(world: () => World) {
    this.world = world;
  }

  note(what: string): void {
    this.entries.push(`${what} at ${about(this.world().now)}`);
  }

  *sleeping(): Task<void> {
    try {
      yield* sleep(60_000);
      this.note('awake');
    } finally {
      this.note('finally');
    }
  }
}

for (const how of ['FIN', 'RST'] as const) {
  test(`${how}: a thread handler is unwound where it sleeps, its signal aborted, its children first`, async () => {
    let request: Request | undefined;
    const diary: Diary = new Diary(() => world);
    const world = await World.open({
      *fetch(it) {
        request = it;
        it.signal.addEventListener('abort', () => diary.note('abort'));
        spawn(function* () {
          try {
            yield* sleep(Infinity);
          } finally {
            diary.note('child');
          }
        });
        yield* diary.sleeping();
        return new Response('never');
      },
    });
    const client = leave(world, how);
    await world.pass();
    assert.deepEqual(diary.entries, ['abort at 100', 'child at 100', 'finally at 100']);
    assert.ok(request?.signal.reason instanceof ClientLeftError);
    assert.deepEqual((await client).responses, []);
    assert.deepEqual(world.errors, []);
    await world.close();
  });

  test(`${how}: a streamed body is unwound where it sleeps`, async () => {
    const diary: Diary = new Diary(() => world);
    const world = await World.open({
      fetch: () =>
        stream(function* (out) {
          yield* out.write('begun');
          yield* diary.sleeping();
        }),
    });
    const client = leave(world, how);
    await world.pass();
    assert.deepEqual(diary.entries, ['finally at 100']);
    assert.ok((await client).isCutShort);
    assert.deepEqual(world.errors, []);
    await world.close();
  });

  test(`${how}: a stream of the platform’s is cancelled`, async () => {
    const diary: Diary = new Diary(() => world);
    const world = await World.open({
      fetch: () =>
        new Response(
          new ReadableStream<Uint8Array>({
            start: (controller) => controller.enqueue(Buffer.from('begun')),
            cancel: () => diary.note('cancel'),
          }),
        ),
    });
    leave(world, how);
    await world.pass();
    assert.deepEqual(diary.entries, ['cancel at 100']);
    assert.deepEqual(world.errors, []);
    await world.close();
  });

  test(`${how}: what an async handler throws because its signal was aborted is no error`, async () => {
    const world = await World.open({
      fetch: (request) =>
        new Promise((_, reject) => {
          request.signal.addEventListener('abort', () =>
            reject(new Error('aborted', { cause: request.signal.reason })),
          );
        }),
    });
    leave(world, how);
    await world.pass();
    assert.deepEqual(world.errors, []);
    await world.close();
  });

  test(`${how} while a body is being read: the handler’s own finally runs, and onError is not called`, async () => {
    const diary: Diary = new Diary(() => world);
    const world = await World.open({
      *fetch(request) {
        try {
          return new Response(yield* until(request.text()));
        } finally {
          diary.note('finally');
        }
      },
    });
    leave(world, how, post('/', 'abc').slice(0, -1));
    await world.pass();
    assert.deepEqual(diary.entries, ['finally at 100']);
    assert.deepEqual(world.errors, []);
    await world.close();
  });

  test(`${how}: a finally that throws is reported to onError, once`, async () => {
    const failure = new Error('in finally');
    const world = await World.open({
      *fetch() {
        try {
          yield* sleep(1000);
        } finally {
          // biome-ignore lint/correctness/noUnsafeFinally: what this test is about
          throw failure;
        }
      },
    });
    leave(world, how);
    await world.pass();
    assert.deepEqual(world.errors, [failure]);
    await world.close();
  });
}

test('RST while an async handler is not reading: what its next read throws is no error, and has the leaving for its cause', async () => {
  let goOn = () => {};
  let failure: unknown;
  const world = await World.open({
    async fetch(request) {
      const reader = request.body?.getReader();
      await reader?.read();
      await new Promise<void>((resolve) => {
        goOn = resolve;
      });
      try {
        await reader?.read();
      } catch (error) {
        failure = error;
        throw error;
      }
      return new Response('never');
    },
  });
  leave(world, 'RST', post('/', 'abc').slice(0, -1));
  await world.pass();
  goOn();
  await world.pass();
  assert.ok(failure instanceof Error && failure.cause instanceof ClientLeftError);
  assert.deepEqual(world.errors, []);
  await world.close();
});

test('RST: an async handler that answers later with a stream has it cancelled', async () => {
  let answer: (response: Response) => void = () => {};
  let cancelled = 0;
  const world = await World.open({
    fetch: () =>
      new Promise<Response>((resolve) => {
        answer = resolve;
      }),
  });
  leave(world, 'RST');
  await world.pass();
  answer(new Response(new ReadableStream({ cancel: () => void cancelled++ })));
  await world.pass();
  assert.equal(cancelled, 1);
  assert.deepEqual(world.errors, []);
  await world.close();
});

test('RST: what an async handler throws later is reported once, unless it is the leaving itself', async () => {
  const errors: unknown[] = [];
  const ends: Record<string, (signal: AbortSignal) => unknown> = {
    '/own': () => new Error('a mistake'),
    '/reason': (signal) => signal.reason,
    '/cause': (signal) => new Error('gave up', { cause: signal.reason }),
    '/abort': () => new DOMException('aborted', 'AbortError'),
  };
  for (const path of Object.keys(ends)) {
    let reject: (error: unknown) => void = () => {};
    const world = await World.open({
      onError: (error) => errors.push(error),
      fetch: (request) =>
        new Promise<Response>((_, no) => {
          reject = () => no(ends[new URL(request.url).pathname](request.signal));
        }),
    });
    leave(world, 'RST', get(path));
    await world.pass();
    reject(undefined);
    await world.pass();
    await world.close();
  }
  assert.deepEqual(errors.map(String), ['Error: a mistake']);
});

test('RST: a stream that only ever writes is flooded when its connection has broken, and unwound', async () => {
  for (let seed = 1; seed <= 40; seed++) {
    let written = 0;
    let ended = 0;
    const world = await World.open(
      {
        fetch: () =>
          stream(function* (out) {
            try {
              yield* out.write('x');
              yield* sleep(10);
              while (written < 1e8) {
                yield* out.write('x'.repeat(1000));
                written += 1000;
              }
            } finally {
              ended++;
            }
          }),
      },
      { seed, latency: 5 },
    );
    world.client(function* (connection) {
      yield* connection.writer.write(get('/'));
      yield* connection.reader.peek(1);
      yield* sleep(seed / 4);
      connection.reset();
    });
    await world.pass();
    await world.close();
    assert.ok(written < 1e7, `seed ${seed}: it went on writing, ${written} bytes`);
    assert.equal(ended, 1);
  }
});

test('RST while the client is flooded: a stream that has not started is cancelled', async () => {
  let cancelled = 0;
  const world = await World.open(
    {
      fetch: (request) =>
        request.url.endsWith('/large')
          ? new Response('x'.repeat(65_500))
          : new Response(new ReadableStream({ cancel: () => void cancelled++ }, { highWaterMark: 0 })),
    },
    { latency: 0.01, capacity: 1024, pieces: 'whole' },
  );
  world.client(function* (connection: Connection) {
    pauseReading(connection);
    yield* connection.writer.write(get('/large') + get('/stream'));
    yield* sleep(1000);
    connection.reset();
  });
  await world.pass();
  assert.equal(cancelled, 1);
  await world.close();
});

test('FIN: what plain and async handlers answer is sent all the same', async () => {
  const world = await World.open({
    fetch: (request) => {
      const { signal } = request;
      if (request.url.endsWith('/plain')) return new Response(`plain, aborted: ${signal.aborted}`);
      return new Promise((resolve) => {
        signal.addEventListener('abort', () => resolve(new Response('async, aborted')));
      });
    },
  });
  const fast = world.client(function* (connection) {
    yield* connection.writer.write(get('/plain').repeat(3) + get('/async'));
    yield* connection.writer.end();
    return yield* received(connection);
  });
  const slow = leave(world, 'FIN', get('/async'));
  await world.pass();
  const { responses, ending } = await fast;
  assert.equal(ending, 'FIN');
  assert.equal(responses.length, 4);
  assert.equal(responses[3].body, 'async, aborted');
  assert.deepEqual(
    (await slow).responses.map(({ body }) => body),
    ['async, aborted'],
  );
  await world.close();
});

test('FIN: a request behind one whose thread was to be unwound is not started, though that one never parked', async () => {
  const begun: string[] = [];
  const world = await World.open({
    fetch(request) {
      const { pathname } = new URL(request.url);
      begun.push(`${request.method} ${pathname}`);
      if (pathname === '/stream') return stream(() => sleep(0));
      if (pathname === '/text') return request.text().then((text) => new Response(text));
      return run(() => sleep(200), { scheduler: world.network.scheduler }).then(() => new Response('waited for'));
    },
  });
  const head = get('/stream').replace('GET', 'HEAD');
  const client = leave(world, 'FIN', get('/async') + head + post('/text', 'some'));
  await world.pass();
  assert.deepEqual(begun, ['GET /async', 'HEAD /stream']);
  assert.equal((await client).ending, 'FIN');
  assert.deepEqual(world.errors, []);
  await world.close();
});

test('FIN: an async handler that does not answer is waited for as long as leaveTimeout says', async () => {
  const world = await World.open({ fetch: () => new Promise(() => {}), leaveTimeout: 5000 });
  const client = leave(world, 'FIN');
  await world.pass();
  const { responses, at } = await client;
  assert.deepEqual(responses, []);
  assert.equal(about(at), 5100);
  assert.deepEqual(world.errors, []);
  await world.close();
});

test('FIN with allowHalfOpen: every kind of handler answers, and no signal is aborted', async () => {
  const world = await World.open({
    allowHalfOpen: true,
    *fetch(request) {
      yield* sleep(10_000);
      return stream(function* (out) {
        yield* out.write('still ');
        yield* sleep(10_000);
        yield* out.write(request.signal.aborted ? 'aborted' : 'here');
      });
    },
  });
  const client = leave(world, 'FIN', get('/') + get('/'));
  await world.pass();
  const { responses, ending } = await client;
  assert.deepEqual(
    responses.map(({ body }) => body),
    ['still here', 'still here'],
  );
  assert.equal(ending, 'FIN');
  await world.close();
});

test('RST with allowHalfOpen: the handler is unwound at once', async () => {
  const diary: Diary = new Diary(() => world);
  const world = await World.open({
    allowHalfOpen: true,
    *fetch() {
      yield* diary.sleeping();
      return new Response('never');
    },
  });
  leave(world, 'RST');
  await world.pass();
  assert.deepEqual(diary.entries, ['finally at 100']);
  await world.close();
});

test('a request that is kept is readable after its response: url, method, headers, signal', async () => {
  let kept: Request | undefined;
  const world = await World.open({
    fetch: (request) => {
      kept ??= request;
      return new Response('done');
    },
  });
  const client = world.exchange(get('/a?b', 'x-kept: yes') + get('/c', 'connection: close'));
  await world.pass();
  assert.equal((await client).responses.length, 2);
  assert.equal(kept?.method, 'GET');
  assert.equal(kept?.url, 'http://a/a?b');
  assert.deepEqual(
    [...(kept?.headers ?? [])],
    [
      ['host', 'a'],
      ['x-kept', 'yes'],
    ],
  );
  assert.equal(kept?.signal.aborted, false);
  await world.close();
});

test('what outlives its body cannot write into the next response, nor to the next client of its slot', async () => {
  const errors: unknown[] = [];
  let outlives: (() => Task<void>) | undefined;
  const world = await World.open({
    fetch: (request) => {
      if (request.url.endsWith('/next')) return new Response('next');
      return stream(function* (out) {
        yield* out.write('body');
        outlives = () => out.write('INJECTED');
      });
    },
  });
  function* intrude(): Task<void> {
    try {
      if (outlives !== undefined) yield* outlives();
    } catch (error) {
      errors.push(error);
    }
  }
  const client = world.client(function* (connection) {
    yield* connection.writer.write(get('/'));
    yield* sleep(10);
    yield* intrude();
    yield* connection.writer.write(get('/next', 'connection: close'));
    return yield* received(connection);
  });
  await world.pass();
  const other = world.client(function* (connection) {
    yield* intrude();
    yield* connection.writer.write(get('/next', 'connection: close'));
    return yield* received(connection);
  });
  await world.pass();
  assert.deepEqual(
    (await client).responses.map(({ body }) => body),
    ['body', 'next'],
  );
  assert.deepEqual(
    (await other).responses.map(({ body }) => body),
    ['next'],
  );
  assert.equal(errors.length, 2);
  await world.close();
});

test('a child whose finally parks longer than its connection lasts does not write to the next client of its slot', async () => {
  const world = await World.open({
    fetch: (request) => {
      if (request.url.endsWith('/next')) return new Response('next');
      return stream(function* (out) {
        spawn(function* () {
          try {
            yield* sleep(Infinity);
          } finally {
            yield* sleep(500);
            yield* out.write('INJECTED');
          }
        });
        yield* sleep(1);
        throw new Error('the body fails');
      });
    },
  });
  world.exchange(get('/'));
  await world.pass(100);
  const other = world.client(function* (connection) {
    yield* sleep(1000);
    yield* connection.writer.write(get('/next', 'connection: close'));
    return yield* received(connection);
  });
  await world.pass();
  assert.deepEqual(
    (await other).responses.map(({ body }) => body),
    ['next'],
  );
  await world.close();
});

for (const kind of ['the body', 'a task of the body'] as const) {
  test(`a stream that is unwound while its client is there does not look complete, though a finally block of ${kind} parks`, async () => {
    const order: string[] = [];
    function* wait(): Task<void> {
      try {
        yield* sleep(Infinity);
      } finally {
        yield* sleep(10);
        order.push('finally');
      }
    }
    const world = await World.open({
      fetch: () =>
        stream(function* (out) {
          yield* out.write('begun');
          if (kind === 'a task of the body') {
            yield* wait();
            order.push('never');
            yield* out.write('never');
          } else {
            try {
              yield* sleep(Infinity);
            } finally {
              yield* sleep(10);
              order.push('finally');
            }
          }
        }),
    });
    const client = world.exchange(get('/'));
    await world.pass(50);
    for (const { thread } of world.server.active()) thread?.unwind(new Error('enough'));
    await world.pass();
    const { ending, isCutShort, partialBody } = await client;
    assert.deepEqual([ending, isCutShort, partialBody, order], ['reset', true, 'begun', ['finally']]);
    await world.close();
  });
}

test('a client that pipelines thousands of requests gives way to others after a bounded number in each turn', async () => {
  let busy = 0;
  let busyThen: number | undefined;
  const world = await World.open(
    {
      fetch: (request) => {
        if (request.url.endsWith('/busy')) busy++;
        else busyThen = busy;
        return new Response('x');
      },
    },
    { latency: 0, pieces: 'whole', capacity: 2 ** 20 },
  );
  const most: number[] = [];
  const crowd = world.client(function* (connection) {
    yield* connection.writer.write(get('/busy').repeat(5000) + get('/busy', 'connection: close'));
    return yield* received(connection);
  });
  const other = world.client(function* (connection) {
    yield* connection.writer.write(get('/other', 'connection: close'));
    return yield* received(connection);
  });
  const { scheduler } = world.network;
  const { endTurn } = scheduler;
  let before = 0;
  scheduler.endTurn = () => {
    endTurn.call(scheduler);
    most.push(busy - before);
    before = busy;
  };
  await world.pass();
  assert.equal((await crowd).responses.length, 5001);
  assert.equal((await other).responses.length, 1);
  assert.ok(Math.max(...most) <= 64, `${Math.max(...most)} requests of one client in a turn`);
  assert.ok(busyThen !== undefined && busyThen < 500, `${busyThen} requests came before that of the other client`);
  await world.close();
});

const endings: Record<string, { end: (world: World) => Promise<unknown>; code: string }> = {
  'the client leaves with FIN': { end: (world) => leave(world, 'FIN'), code: 'ERR_CLIENT_LEFT' },
  'the client leaves with RST': { end: (world) => leave(world, 'RST'), code: 'ERR_CLIENT_LEFT' },
  'the deadline of close passes': {
    end: async (world) => {
      const client = world.exchange(get('/'));
      await world.pass(50);
      const closed = world.server.close({ deadline: 50 });
      await world.pass();
      await closed;
      return client;
    },
    code: 'ERR_SERVER_CLOSED',
  },
};
for (const [when, { end, code }] of Object.entries(endings)) {
  test(`when ${when}, the reason of the signal passes for an AbortError of the platform's, with its own code`, async () => {
    let signal: AbortSignal | undefined;
    const world = await World.open({
      *fetch(request) {
        signal = request.signal;
        yield* sleep(Infinity);
        return new Response('never');
      },
    });
    const ended = end(world);
    await world.pass();
    await ended;
    const { reason } = signal ?? {};
    assert.ok(reason instanceof DOMException && reason instanceof Error);
    assert.deepEqual([reason.name, (reason as { code: unknown }).code], ['AbortError', code]);
    assert.match(String(reason), /^AbortError: the /);
    assert.match(reason.stack ?? '', /^AbortError: the .*\n +at /);
    await world.close();
  });
}

test('a subscriber that does not read is dropped by unwinding its thread, which is flooded, and not by closing its channel', async () => {
  for (const how of ['unwind', 'close'] as const) {
    const listeners = new Map<Channel<string>, Thread<unknown> | undefined>();
    const world = await World.open(
      {
        fetch: () =>
          stream(function* (out) {
            const inbox = new Channel<string>(4);
            listeners.set(inbox, currentThread());
            try {
              for (let news: string | undefined; (news = yield* inbox.receive()) !== undefined; )
                yield* out.write(news);
            } finally {
              listeners.delete(inbox);
            }
          }),
        writeTimeout: 60_000,
      },
      { latency: 0.01, capacity: 1024, pieces: 'whole' },
    );
    const client = world.client(function* (connection) {
      pauseReading(connection);
      yield* connection.writer.write(get('/'));
      yield* sleep(1_000);
      connection.reset();
    });
    await world.pass(100);
    for (let i = 0; i < 20; i++) {
      for (const [inbox, thread] of listeners) {
        if (inbox.closed || inbox.trySend('x'.repeat(100_000))) continue;
        if (how === 'unwind') thread?.unwind('too slow');
        else inbox.close();
      }
      await world.pass(10);
    }
    assert.equal(listeners.size, how === 'unwind' ? 0 : 1);
    assert.equal(world.server.connections.total, how === 'unwind' ? 0 : 1);
    assert.deepEqual(world.errors, []);
    await world.pass();
    await client;
    await world.close();
  }
});
