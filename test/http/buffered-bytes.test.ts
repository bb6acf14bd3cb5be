// The bound on the memory that all clients of a server take together, in a simulated world.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Connection } from '#sluice/connection/connection.js';
import { ConnectionError } from '#sluice/event-layer/event-layer.js';
import { Response } from '#sluice/http/fetch/response.js';
import type { ServeOptions } from '#sluice/server/serve.js';
import { sleep } from '#sluice/threads/sleep.js';
import type { Task } from '#sluice/threads/task.js';
import { field } from '../support/response-parser.js';
import { withOverhead } from '../support/transport.js';
import { type Exchanged, get, post, received, World } from '../support/world.js';

const MiB = 2 ** 20;

/** Handlers that read the body as a whole, in the ways there are. */
const lengthOf = async (request: Request) => new Response(String((await request.arrayBuffer()).byteLength));
const echoLength: ServeOptions['fetch'] = (request) =>
  request.body === null ? new Response('none') : lengthOf(request);

/** What comes back, where the server may close before everything was sent. */
function* answerTo(connection: Connection, send: () => Task<void>): Task<Exchanged> {
  try {
    yield* send();
  } catch (error) {
    if (!(error instanceof ConnectionError)) throw error;
  }
  return yield* received(connection);
}

/** How many clients have got which status. */
async function statusesOf(clients: Promise<Exchanged>[]): Promise<Map<number, number>> {
  const counts = new Map<number, number>();
  for (const { responses } of await Promise.all(clients)) {
    const [response] = responses;
    const status = response?.status ?? 0;
    if (status === 503) assert.equal(field(response, 'retry-after'), '10');
    counts.set(status, (counts.get(status) ?? 0) + 1);
  }
  return counts;
}

for (const [framing, count] of [
  ['with a length', 2000],
  ['in chunks', 300],
] as const)
  test(`${count} clients that upload at once, ${framing}: memory stays bounded, they get 200 or 503, and the server serves on`, async () => {
    const limit = MiB;
    const world = await World.open(
      { fetch: echoLength, maxBufferedBytes: limit },
      { latency: 20, pieces: 'whole', capacity: 64 * 1024 },
    );
    const size = 20_000;
    const [head, ...parts] =
      framing === 'in chunks'
        ? [
            'transfer-encoding: chunked',
            ...Array.from({ length: 4 }, () => `1388\r\n${'x'.repeat(5000)}\r\n`),
            '0\r\n\r\n',
          ]
        : [`content-length: ${size}`, ...Array.from({ length: 4 }, () => 'x'.repeat(5000))];
    const clients = Array.from({ length: count }, () =>
      world.client((connection) =>
        answerTo(connection, function* () {
          yield* connection.writer.write(get('/', head, 'connection: close').replace('GET', 'POST'));
          for (const part of parts) {
            yield* connection.writer.write(part);
            yield* sleep(100);
          }
        }),
      ),
    );
    let most = 0;
    for (let i = 0; i < 40; i++) {
      await world.pass(20);
      most = Math.max(most, world.server.buffered.held);
    }
    await world.pass();
    assert.ok(most > limit / 2 && most <= withOverhead(limit), `${most} bytes were held`);
    const statuses = await statusesOf(clients);
    const answered = statuses.get(200) ?? 0;
    assert.ok(answered >= 40, `${answered} were answered`);
    assert.equal(answered + (statuses.get(503) ?? 0), count);
    assert.equal(world.server.buffered.refused, count - answered);
    const later = world.exchange(post('/', 'again', 'connection: close'));
    await world.pass();
    assert.equal((await later).responses[0].body, '5');
    assert.deepEqual(
      world.errors.map((error) => (error as ConnectionError).code),
      ['ERR_MAX_BUFFERED_BYTES'],
    );
    await world.close();
  });

test('clients that hold half of a body each do not wait for each other: each is answered or refused within seconds', async () => {
  const world = await World.open(
    { fetch: echoLength, maxBufferedBytes: 4 * MiB },
    { latency: 0.01, pieces: 'whole', capacity: 64 * 1024 },
  );
  const half = 'x'.repeat(300_000);
  const clients = Array.from({ length: 20 }, () =>
    world.client((connection) =>
      answerTo(connection, function* () {
        yield* connection.writer.write(get('/', `content-length: ${2 * half.length}`).replace('GET', 'POST'));
        yield* connection.writer.write(half);
        yield* sleep(1000); // by then all memory is theirs
        yield* connection.writer.write(half);
        yield* connection.writer.end();
      }),
    ),
  );
  await world.pass(12_000);
  await world.pass(1000);
  const exchanged = await Promise.all(clients);
  for (const { at, responses } of exchanged) assert.ok(at < 12_000, `${responses[0]?.status} at ${at}`);
  const statuses = await statusesOf(clients);
  assert.ok((statuses.get(200) ?? 0) >= 5, `${statuses.get(200)} were answered`);
  assert.equal((statuses.get(200) ?? 0) + (statuses.get(503) ?? 0), 20);
  await world.close();
});

test('while uploads have taken all memory, requests without a body are answered, and bodies are refused at once', async () => {
  const world = await World.open({ fetch: echoLength, maxBufferedBytes: MiB }, { latency: 0.01, pieces: 'whole' });
  const uploads = Array.from({ length: 10 }, () =>
    world.client(function* (connection) {
      yield* connection.writer.write(get('/', 'content-length: 900000').replace('GET', 'POST'));
      yield* connection.writer.write('x'.repeat(200_000));
      yield* sleep(20_000);
      connection.reset();
    }),
  );
  await world.pass(1000);
  const { held, limit } = world.server.buffered;
  assert.ok(held >= (limit / 8) * 7 && held <= withOverhead(limit), `${held} bytes`);
  const without = world.exchange(get('/', 'connection: close'));
  const withBody = world.exchange(post('/', 'body'));
  await world.pass(100);
  assert.equal((await without).responses[0].body, 'none');
  assert.equal((await withBody).responses[0].status, 503);
  await world.pass();
  await Promise.allSettled(uploads);
  assert.equal(world.server.buffered.held, 0);
  await world.close();
});

test('a body that is larger than all the memory there may be is refused with 413 if it is read as a whole, and streamed if not', async () => {
  const world = await World.open({
    async fetch(request) {
      if (request.url.endsWith('/whole')) return lengthOf(request);
      let length = 0;
      for await (const piece of request.body ?? []) length += piece.length;
      return new Response(String(length));
    },
    maxBufferedBytes: MiB,
  });
  const body = 'x'.repeat(1_500_000);
  const whole = world.client((connection) => answerTo(connection, () => connection.writer.write(post('/whole', body))));
  await world.pass();
  assert.equal((await whole).responses[0].status, 413);
  const streamed = world.exchange(post('/stream', body, 'connection: close'));
  await world.pass();
  assert.equal((await streamed).responses[0].body, '1500000');
  await world.close();
});

test('heads that come in part are refused with 503 beyond the limit, and their memory is given back', async () => {
  const world = await World.open(
    { fetch: echoLength, maxBufferedBytes: MiB, onError() {} },
    { latency: 0.01, pieces: 'whole' },
  );
  const clients = Array.from({ length: 200 }, () =>
    world.client((connection) =>
      answerTo(connection, function* () {
        yield* connection.writer.write(get('/', `x: ${'y'.repeat(10_000)}`).slice(0, -2));
        yield* sleep(5000);
        yield* connection.writer.write('connection: close\r\n\r\n');
      }),
    ),
  );
  await world.pass(1000);
  assert.ok(world.server.buffered.held <= MiB, `${world.server.buffered.held} bytes`);
  await world.pass();
  const statuses = await statusesOf(clients);
  assert.equal(statuses.get(200), 64, '16 KiB each');
  assert.equal(statuses.get(503), 136);
  await world.close();
});

for (const how of ['text', 'stream'] as const)
  test(`clients that do not read their responses take no more than the limit, and a KiB each (${how})`, async () => {
    const clients = 100;
    const content = 'x'.repeat(200_000);
    const world = await World.open(
      {
        fetch: () =>
          new Response(
            how === 'text'
              ? content
              : new ReadableStream({
                  start(controller) {
                    controller.enqueue(Buffer.from(content));
                    controller.close();
                  },
                }),
          ),
        maxBufferedBytes: MiB,
        onError() {},
      },
      { latency: 0.01, pieces: 'whole', capacity: 4096 },
    );
    const reading = Array.from({ length: clients }, () =>
      world.client(function* (connection) {
        yield* connection.writer.write(get('/', 'connection: close'));
        yield* sleep(5000); // and what the layer hands over stays unread
        return yield* received(connection);
      }),
    );
    await world.pass(4000);
    const { held, limit } = world.server.buffered;
    assert.ok(held > limit / 2 && held <= limit + clients * 1300, `${held} bytes`);
    await world.pass();
    for (const { responses } of await Promise.all(reading)) assert.equal(responses[0].body.length, content.length);
    await world.close();
  });

test('maxBufferedBytes of servers that do not name it is one for all of the process, of an eighth of its memory or 32 MiB', async () => {
  const one = await World.open({ fetch: echoLength });
  const other = await World.open({ fetch: echoLength });
  const { limit } = one.server.buffered;
  assert.ok(limit >= 32 * MiB);
  assert.equal(other.server.buffered.limit, limit);
  const half = one.client(function* (connection) {
    yield* connection.writer.write(get('/', 'content-length: 200000').replace('GET', 'POST'));
    yield* connection.writer.write('x'.repeat(100_000));
    yield* sleep(1000);
    connection.reset();
  });
  await one.pass(500);
  assert.ok(other.server.buffered.held >= 100_000);
  assert.equal(other.server.buffered.held, one.server.buffered.held);
  await one.pass();
  await half;
  await one.close();
  await other.close();
});
