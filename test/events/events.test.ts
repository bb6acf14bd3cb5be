// Event streams over the simulated network.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { EventClient } from '#sluice/events/event-client.js';
import { type EventHandler, type EventsOptions, events } from '#sluice/events/events.js';
import type { Request } from '#sluice/http/fetch/request.js';
import { timeout } from '#sluice/threads/group.js';
import { sleep } from '#sluice/threads/sleep.js';
import type { Task } from '#sluice/threads/task.js';
import { spawn } from '#sluice/threads/thread.js';
import { type Exchanged, get, leave, pauseReading, received, resumeReading, World } from '../support/world.js';

const open = (handler: EventHandler, options?: EventsOptions, simulated?: ConstructorParameters<typeof World>[0]) =>
  World.open({ fetch: (request) => events(request, handler, options) }, simulated);

const bodyOf = ({ responses: [response] }: Exchanged): string => Buffer.from(response.body, 'latin1').toString();

function* one(client: EventClient): Task<void> {
  yield* client.send({ data: 'one' });
}

test('an event stream ends when its handler returns', async () => {
  const world = await open(function* (client) {
    yield* client.send({ id: 1, event: 'news', data: { a: 'ä' } });
    yield* client.comment('between');
    yield* sleep(10);
    yield* client.send({ data: 'a\nb' });
  });
  const client = world.exchange(get('/', 'connection: close'));
  await world.pass();
  const exchanged = await client;
  assert.equal(bodyOf(exchanged), 'id: 1\nevent: news\ndata: {"a":"ä"}\n\n: between\n\ndata: a\ndata: b\n\n');
  const fields = Object.fromEntries(exchanged.responses[0].fields);
  assert.equal(fields['content-type'], 'text/event-stream');
  assert.equal(fields['cache-control'], 'no-cache, no-transform');
  assert.equal(fields['x-accel-buffering'], 'no');
  assert.equal(exchanged.responses[0].framing, 'chunked');
  assert.deepEqual(world.errors, []);
  await world.close();
});

test('a client of HTTP/1.0 gets the same events up to the end of the connection', async () => {
  const world = await open(one);
  const client = world.exchange('GET / HTTP/1.0\r\nhost: a\r\n\r\n');
  await world.pass();
  const exchanged = await client;
  assert.equal(bodyOf(exchanged), 'data: one\n\n');
  assert.equal(exchanged.responses[0].framing, 'close');
  await world.close();
});

test('HEAD gets the fields; the handler is unwound at its first event', async () => {
  const entries: string[] = [];
  const world = await open(function* (client) {
    try {
      yield* client.send({ data: 'one' });
      entries.push('sent');
    } finally {
      entries.push('finally');
    }
  });
  const client = world.exchange(get('/', 'connection: close').replace('GET', 'HEAD'), 'HEAD');
  await world.pass();
  const [response] = (await client).responses;
  assert.equal(response.status, 200);
  assert.equal(response.body, '');
  assert.deepEqual(entries, ['finally']);
  await world.close();
});

test('Last-Event-ID is decoded as UTF-8; without the field it is empty', async () => {
  const world = await open(function* (client) {
    yield* client.send({ data: [client.lastEventId] });
  });
  const id = Buffer.from('größe').toString('latin1');
  const clients = [
    world.exchange(get('/', `last-event-id: ${id}`, 'connection: close')),
    world.exchange(get('/', 'connection: close')),
  ];
  await world.pass();
  assert.deepEqual((await Promise.all(clients)).map(bodyOf), ['data: ["größe"]\n\n', 'data: [""]\n\n']);
  await world.close();
});

test('fields of the options are added, and may replace cache-control', async () => {
  const world = await open(one, { headers: { 'cache-control': 'no-store', 'access-control-allow-origin': '*' } });
  const client = world.exchange(get('/', 'connection: close'));
  await world.pass();
  const fields = Object.fromEntries((await client).responses[0].fields);
  assert.equal(fields['cache-control'], 'no-store');
  assert.equal(fields['access-control-allow-origin'], '*');
  await world.close();
});

test('wrong arguments are refused, naming what was found', () => {
  const request = { headers: new Headers() };
  const wrong: [unknown, unknown, RegExp][] = [
    ['x', {}, /^TypeError: events: the handler is "x"; expected a generator function$/],
    [one, { keepAlive: -1 }, /^RangeError: events: keepAlive is -1; expected a whole number from 0 to 86400000$/],
    [one, { retryOnClose: 0.5 }, /^RangeError: events: retryOnClose is 0.5; expected a whole number/],
    [one, { endOnClose: 1 }, /^TypeError: events: endOnClose is 1; expected a boolean$/],
    [one, { retry: 1 }, /^TypeError: events: unknown option "retry"/],
    [one, { headers: { 'content-type': 'text/plain' } }, /^TypeError: events: headers has content-type; expected/],
  ];
  for (const [handler, options, message] of wrong) {
    assert.throws(
      () => events(request, handler as EventHandler, options as EventsOptions),
      (error: Error) => message.test(String(error)),
    );
  }
});

test('a handler that returns no task is an error, and its client is reset', async () => {
  const world = await open((() => 5) as unknown as EventHandler);
  const client = world.exchange(get('/'));
  await world.pass();
  assert.equal((await client).ending, 'reset');
  assert.equal(String(world.errors[0]), 'TypeError: events: the handler returned 5; expected a generator function');
  await world.close();
});

for (const how of ['FIN', 'RST'] as const) {
  test(`${how}: the handler is unwound where it is parked`, async () => {
    let at = 0;
    const world: World = await open(function* (client) {
      try {
        yield* client.send({ data: 'one' });
        yield* sleep(60_000);
      } finally {
        at = world.now;
      }
    });
    leave(world, how);
    await world.pass();
    assert.ok(at >= 100 && at < 110, `at ${at}`);
    assert.deepEqual(world.errors, []);
    await world.close();
  });
}

// The signs of life.

/** The times at which comments come to a client, in seconds, with what comes with them. */
function* beats(world: World, seconds: number): Task<string[]> {
  const connection = yield* world.connect();
  yield* connection.writer.write(get('/'));
  const seen: string[] = [];
  const start = world.now;
  try {
    yield* timeout(
      seconds * 1000,
      (function* () {
        for (let piece: Uint8Array | undefined; (piece = yield* connection.reader.read()) !== undefined; ) {
          const text = Buffer.from(piece).toString();
          for (const [, line] of text.matchAll(/\n(:|data: .*)\n\r?\n/g))
            seen.push(`${line} at ${Math.round((world.now - start) / 1000)}`);
        }
      })(),
    );
  } catch {
    connection.reset();
  }
  return seen;
}

test('a comment is sent after each 15 seconds without an event, while the thread is parked elsewhere', async () => {
  const world: World = await open(function* (client) {
    yield* sleep(20_000);
    yield* client.send({ data: 'one' });
    yield* sleep(Infinity);
  });
  const seen = world.run(() => beats(world, 55));
  await world.pass();
  assert.deepEqual(await seen, [': at 15', 'data: one at 20', ': at 35', ': at 50']);
  await world.close();
});

test('the period is an option, and 0 is none', async () => {
  for (const [keepAlive, expected] of [
    [2000, [': at 2', ': at 4']],
    [0, []],
  ] as const) {
    const world: World = await open(() => sleep(Infinity), { keepAlive });
    const seen = world.run(() => beats(world, 5));
    await world.pass();
    assert.deepEqual(await seen, expected);
    await world.close();
  }
});

test('no comment is sent to a client that is flooded, nor inside an event that is sent in part', async () => {
  const size = 600_000;
  const world: World = await open(
    function* (client) {
      yield* client.send({ data: 'x'.repeat(size) });
      yield* sleep(4500);
    },
    { keepAlive: 1000 },
    { latency: 0.01, pieces: 'whole', capacity: 4096 },
  );
  const client = world.client(function* (connection) {
    yield* connection.writer.write(get('/', 'connection: close'));
    pauseReading(connection);
    yield* sleep(10_000);
    resumeReading(connection);
    return yield* received(connection);
  });
  await world.pass();
  const [event, comments] = [`data: ${'x'.repeat(size)}\n\n`, ':\n\n'.repeat(4)];
  const body = bodyOf(await client);
  assert.ok(body.startsWith(event));
  assert.equal(body.slice(event.length), comments);
  await world.close();
});

test('no comment is sent for a client that has left, though the thread does not end', async () => {
  const world: World = await open(function* (client) {
    try {
      yield* client.send({ data: 'one' });
      yield* sleep(Infinity);
    } finally {
      for (;;) {
        try {
          yield* sleep(10_000);
        } finally {
          yield* sleep(10_000);
        }
      }
    }
  });
  leave(world, 'RST');
  await world.pass(60_000);
  assert.equal((world.errors[0] as { code: string }).code, 'ERR_UNWIND_LIMIT');
  assert.equal(world.errors.length, 1);
  await world.close();
});

test('a stream that is read by code instead of being sent has the same events', async () => {
  const request = { headers: new Headers({ 'last-event-id': 'x' }) };
  const response = events(
    request,
    function* (client) {
      yield* client.send({ data: client.lastEventId });
      yield* sleep(30);
      yield* client.comment('end');
    },
    { keepAlive: 10 },
  );
  const text = await response.text();
  assert.match(text, /^data: x\n\n(:\n\n)+: end\n\n$/);
});

// Several threads.

/** A client that does not read for so long. */
const slowClient = (world: World, milliseconds: number, ...fields: string[]): Promise<Exchanged> =>
  world.client(function* (connection) {
    yield* connection.writer.write(get('/', 'connection: close', ...fields));
    pauseReading(connection);
    yield* sleep(milliseconds);
    resumeReading(connection);
    return yield* received(connection);
  });

const floodable = { latency: 0.01, pieces: 'whole', capacity: 4096 } as const;

test('a thread that sends while another is in the middle of an event waits, and events stay whole', async () => {
  const data = 'x'.repeat(300_000);
  const world: World = await open(
    function* (client) {
      for (const name of ['b', 'c', 'd']) {
        spawn(function* () {
          yield* sleep(50);
          yield* client.send({ data: name });
        });
      }
      yield* client.send({ data });
      yield* client.send({ data: 'e' });
      yield* sleep(1000);
    },
    {},
    floodable,
  );
  const client = slowClient(world, 100);
  await world.pass();
  const body = bodyOf(await client);
  const events = body.split('\n\n').slice(0, -1);
  assert.ok(events[0] === `data: ${data}`);
  assert.deepEqual(events.slice(1).sort(), ['data: b', 'data: c', 'data: d', 'data: e']);
  assert.deepEqual(world.errors, []);
  await world.close();
});

test('a thread that is unwound while it waits for another does not send', async () => {
  const data = 'x'.repeat(300_000);
  const world: World = await open(
    function* (client) {
      spawn(function* () {
        yield* sleep(20);
        try {
          yield* timeout(20, client.send({ data: 'given up' }));
        } catch {}
        yield* client.send({ data: 'b' });
      });
      yield* client.send({ data });
      yield* sleep(1000);
    },
    {},
    floodable,
  );
  const client = slowClient(world, 100);
  await world.pass();
  assert.ok(bodyOf(await client) === `data: ${data}\n\ndata: b\n\n`);
  await world.close();
});

test('nothing can be sent behind an event that was cut', async () => {
  let code: unknown;
  const world: World = await open(
    function* (client) {
      try {
        yield* timeout(50, client.send({ data: 'x'.repeat(300_000) }));
      } catch {}
      try {
        yield* client.send({ data: 'next' });
      } catch (error) {
        code = (error as { code: string }).code;
        throw error;
      }
    },
    {},
    floodable,
  );
  const client = slowClient(world, 100);
  await world.pass();
  assert.equal((await client).ending, 'reset');
  assert.equal(code, 'ERR_EVENT_CUT');
  assert.equal(world.errors.length, 1);
  await world.close();
});

test('an event that was given up before its first byte leaves the stream usable', async () => {
  const world: World = await open(
    function* (client) {
      const filling = 'x'.repeat(200_000);
      yield* client.send({ data: filling.slice(0, 60_000) });
      for (let i = 0; i < 3; i++) {
        try {
          yield* timeout(20, client.send({ data: 'given up' }));
        } catch {}
      }
      yield* client.send({ data: 'last' });
    },
    {},
    { latency: 0.01, pieces: 'whole', capacity: 1024 },
  );
  const client = world.client(function* (connection) {
    yield* connection.writer.write(get('/', 'connection: close'));
    pauseReading(connection);
    yield* sleep(1000);
    resumeReading(connection);
    return yield* received(connection);
  });
  await world.pass();
  assert.match(bodyOf(await client), /\n\ndata: last\n\n$/);
  assert.deepEqual(world.errors, []);
  await world.close();
});

// Closing.

/** Starts a client, closes the server when it has the first event, and gives what the client has received. */
async function closed(
  handler: EventHandler,
  options: EventsOptions = {},
  request = get('/'),
  deadline = 5000,
): Promise<{ exchanged: Exchanged; took: number }> {
  const world = await open(handler, options);
  const client = world.exchange(request);
  await world.pass(1000);
  const start = world.layer.now();
  let end = 0;
  const closing = world.server.close({ deadline }).then(() => {
    end = world.layer.now();
  });
  await world.pass();
  await closing;
  const exchanged = await client;
  assert.deepEqual(world.errors, []);
  await world.close();
  return { exchanged, took: end - start };
}

test('close() ends an event stream at once, in good order, with the last retry spread over twice its time', async () => {
  const retries = new Set<number>();
  for (let i = 0; i < 20; i++) {
    let reason: unknown;
    let request: Request | undefined;
    const world = await World.open({
      fetch: (it) => {
        request = it as unknown as Request;
        return events(
          it,
          function* (client) {
            it.signal.addEventListener('abort', () => {
              reason = it.signal.reason;
            });
            yield* client.send({ data: 'one' });
            yield* sleep(Infinity);
          },
          { retryOnClose: 1000 },
        );
      },
    });
    const client = world.exchange(get('/'));
    await world.pass(1000);
    const start = world.layer.now();
    const closing = world.server.close();
    await world.pass();
    await closing;
    const { ending, responses } = await client;
    assert.equal(ending, 'FIN');
    assert.ok(world.now - start < 1000, `it took ${world.now - start} ms`);
    const [, retry] = /^data: one\n\nretry: (\d+)\n\n$/.exec(responses[0].body) ?? [];
    assert.ok(Number(retry) >= 1000 && Number(retry) <= 2000, `retry ${retry}`);
    retries.add(Number(retry));
    assert.equal((reason as { code: string }).code, 'ERR_SERVER_CLOSED');
    assert.ok(request !== undefined);
    assert.deepEqual(world.errors, []);
    await world.close();
  }
  assert.ok(retries.size > 5);
});

test('close() ends an event stream of HTTP/1.0 by FIN', async () => {
  const { exchanged } = await closed(
    function* (client) {
      yield* client.send({ data: 'one' });
      yield* sleep(Infinity);
    },
    { retryOnClose: 7 },
    'GET / HTTP/1.0\r\nhost: a\r\n\r\n',
  );
  assert.equal(exchanged.ending, 'FIN');
  assert.match(bodyOf(exchanged), /^data: one\n\nretry: \d+\n\n$/);
});

test('finally blocks run first, and may still send', async () => {
  const { exchanged } = await closed(function* (client) {
    try {
      yield* client.send({ data: 'one' });
      yield* sleep(Infinity);
    } finally {
      yield* client.send({ event: 'bye', data: '' });
      yield* sleep(10);
    }
  });
  assert.equal(bodyOf(exchanged), 'data: one\n\nevent: bye\ndata: \n\n');
});

test('with endOnClose: false it may finish until the deadline', async () => {
  const { exchanged, took } = await closed(
    function* (client) {
      yield* client.send({ data: 'one' });
      yield* sleep(3000);
      yield* client.send({ data: 'two' });
    },
    { endOnClose: false },
  );
  assert.equal(bodyOf(exchanged), 'data: one\n\ndata: two\n\n');
  assert.ok(took > 1500, `it took ${took} ms`);
});

test('with endOnClose: false it ends in good order at the deadline', async () => {
  const { exchanged, took } = await closed(
    function* (client) {
      yield* client.send({ data: 'one' });
      yield* sleep(Infinity);
    },
    { endOnClose: false, retryOnClose: 5 },
    get('/'),
    2000,
  );
  assert.match(bodyOf(exchanged), /^data: one\n\nretry: \d+\n\n$/);
  assert.ok(took >= 1990 && took < 2500, `it took ${took} ms`);
});

test('a stream that is asked for while the server closes ends at once', async () => {
  const world: World = await World.open({
    *fetch(request) {
      yield* sleep(500);
      return events(request, function* (client) {
        yield* client.send({ data: 'one' });
        yield* sleep(Infinity);
      });
    },
  });
  const client = world.exchange(get('/'));
  await world.pass(100);
  const closing = world.server.close({ deadline: 60_000 });
  await world.pass();
  await closing;
  assert.equal(bodyOf(await client), 'data: one\n\n');
  assert.ok(world.now < 2000, `at ${world.now}`);
  await world.close();
});

test('close() does not send retry behind an event that has been sent in part: the client drops that event', async () => {
  const world: World = await open(
    function* (client) {
      yield* client.send({ data: 'x'.repeat(500_000) });
    },
    { retryOnClose: 5 },
    floodable,
  );
  const client = world.client(function* (connection) {
    yield* connection.writer.write(get('/'));
    pauseReading(connection);
    yield* sleep(1000);
    resumeReading(connection);
    return yield* received(connection);
  });
  await world.pass(500);
  const closing = world.server.close();
  await world.pass();
  await closing;
  const body = bodyOf(await client);
  assert.match(body, /^data: x+$/);
  assert.ok(body.length < 500_000);
  await world.close();
});
