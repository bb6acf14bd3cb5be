// Request bodies. The chunked coding is held against a decoder over the whole text, which is the grammar and nothing else.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Connection } from '#sluice/connection/connection.js';
import type { SimulatedOptions } from '#sluice/event-layer/simulated/simulated.js';
import type { Request } from '#sluice/http/fetch/request.js';
import { Response } from '#sluice/http/fetch/response.js';
import { stream } from '#sluice/http/stream.js';
import { sleep } from '#sluice/threads/sleep.js';
import type { Task } from '#sluice/threads/task.js';
import { run, spawn } from '#sluice/threads/thread.js';
import { type Exchanged, get, post, received, World } from '../support/world.js';

const toChunked = 'POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n';

/** What a handler that reads the body answers to it, the body as bytes, and the statuses of what follows. */
async function send(
  text: string,
  network: SimulatedOptions,
): Promise<{ status: number; body: string; others: number[] }> {
  const world = await World.open(
    { fetch: async (request) => new Response(new Uint8Array(await request.arrayBuffer())), allowHalfOpen: true },
    network,
  );
  const exchanged = world.client(function* (connection) {
    yield* connection.writer.write(Buffer.from(toChunked + text, 'latin1'));
    yield* connection.writer.end();
    return yield* received(connection);
  });
  await world.pass();
  await world.close();
  assert.deepEqual(world.errors, []);
  const [first, ...others] = (await exchanged).responses;
  return { status: first.status, body: first.body, others: others.map(({ status }) => status) };
}

const tchar = "[!#$%&'*+\\-.^_`|~0-9A-Za-z]";
const quoted = '"(?:[\\t \\x21\\x23-\\x5b\\x5d-\\x7e\\x80-\\xff]|\\\\[\\t \\x21-\\x7e\\x80-\\xff])*"';
const sizeLine = new RegExp(
  `^([0-9a-fA-F]+)(?:[ \\t]*;[ \\t]*${tchar}+(?:[ \\t]*=[ \\t]*(?:${tchar}+|${quoted}))?)*\\r\\n`,
);
const trailers = new RegExp(`^(?:${tchar}+:[\\t \\x21-\\x7e\\x80-\\xff]*\\r\\n)*\\r\\n`);

/** RFC 9112 §7.1. @returns the data and what follows the body, or undefined if it is none */
function decode(text: string): { data: string; rest: string } | undefined {
  let rest = text;
  let data = '';
  for (;;) {
    const line = sizeLine.exec(rest);
    if (line === null) return undefined;
    rest = rest.slice(line[0].length);
    const size = Number.parseInt(line[1], 16);
    if (size === 0) {
      const end = trailers.exec(rest);
      return end === null ? undefined : { data, rest: rest.slice(end[0].length) };
    }
    if (rest.slice(size, size + 2) !== '\r\n') return undefined;
    data += rest.slice(0, size);
    rest = rest.slice(size + 2);
  }
}

/** Bodies with one byte in every place where something is expected of it. */
const places: [place: string, body: (byte: string) => string][] = [
  ['before a size', (byte) => `${byte}2\r\nab\r\n0\r\n\r\n`],
  ['behind a size', (byte) => `2${byte}\r\nab\r\n0\r\n\r\n`],
  ['instead of CR behind a size', (byte) => `2${byte}\nab\r\n0\r\n\r\n`],
  ['instead of LF behind a size', (byte) => `2\r${byte}ab\r\n0\r\n\r\n`],
  ['as the name of an extension', (byte) => `2;${byte}\r\nab\r\n0\r\n\r\n`],
  ['behind the name of an extension', (byte) => `2;a${byte}b\r\nab\r\n0\r\n\r\n`],
  ['as the value of an extension', (byte) => `2;a=${byte}\r\nab\r\n0\r\n\r\n`],
  ['in quotes', (byte) => `2;a="${byte}"\r\nab\r\n0\r\n\r\n`],
  ['behind a backslash', (byte) => `2;a="\\${byte}"\r\nab\r\n0\r\n\r\n`],
  ['behind quotes', (byte) => `2;a="b"${byte}\r\nab\r\n0\r\n\r\n`],
  ['in data', (byte) => `2\r\n${byte}b\r\n0\r\n\r\n`],
  ['behind data', (byte) => `2\r\nab${byte}\r\n0\r\n\r\n`],
  ['instead of CR behind data', (byte) => `2\r\nab${byte}\n0\r\n\r\n`],
  ['instead of LF behind data', (byte) => `2\r\nab\r${byte}0\r\n\r\n`],
  ['before the last chunk', (byte) => `2\r\nab\r\n${byte}0\r\n\r\n`],
  ['behind the last chunk', (byte) => `2\r\nab\r\n0${byte}\r\n\r\n`],
  ['before the name of a trailer', (byte) => `2\r\nab\r\n0\r\n${byte}x: y\r\n\r\n`],
  ['in the name of a trailer', (byte) => `2\r\nab\r\n0\r\nx${byte}y: z\r\n\r\n`],
  ['in the value of a trailer', (byte) => `2\r\nab\r\n0\r\nx: ${byte}z\r\n\r\n`],
  ['before the end', (byte) => `2\r\nab\r\n0\r\n${byte}\r\n`],
  ['instead of the last LF', (byte) => `2\r\nab\r\n0\r\n\r${byte}`],
];
for (const [place, body] of places) {
  test(`every byte ${place} is taken or refused as the grammar says`, async () => {
    const world = await World.open({
      fetch: async (request) => new Response(new Uint8Array(await request.arrayBuffer())),
      allowHalfOpen: true,
    });
    const bytes = Array.from({ length: 256 }, (_, byte) => String.fromCharCode(byte));
    const clients = bytes.map((byte) =>
      world.client(function* (connection) {
        yield* connection.writer.write(Buffer.from(toChunked + body(byte), 'latin1'));
        yield* connection.writer.end();
        return yield* received(connection);
      }),
    );
    await world.pass();
    await world.close();
    const decoded = bytes.map((byte) => decode(body(byte)));
    for (const [byte, client] of clients.entries()) {
      const [first] = (await client).responses;
      const { data } = decoded[byte] ?? {};
      assert.equal(first.status, data === undefined ? 400 : 200, `${byte}`);
      if (data !== undefined) assert.equal(first.body, data, `${byte}`);
    }
  });
}

const token = fc.stringMatching(/^[a-z0-9!~]{1,5}$/);
const data = fc.uint8Array({ minLength: 1, maxLength: 40 }).map((bytes) => Buffer.from(bytes).toString('latin1'));
const extensions = fc
  .array(
    fc.tuple(
      token,
      fc.option(
        fc.oneof(
          token,
          token.map((text) => `"${text};\\""`),
        ),
      ),
    ),
    { maxLength: 2 },
  )
  .map((list) => list.map(([name, value]) => (value === null ? `;${name}` : ` ; ${name} = ${value}`)).join(''));
const chunk = fc
  .record({ data, extensions, zeros: fc.integer({ min: 0, max: 3 }) })
  .map((it) => `${'0'.repeat(it.zeros)}${it.data.length.toString(16)}${it.extensions}\r\n${it.data}\r\n`);
const trailer = fc.tuple(token, token).map(([name, value]) => `${name}: ${value}\r\n`);
const message = fc
  .tuple(fc.array(chunk, { maxLength: 4 }), fc.array(trailer, { maxLength: 2 }))
  .map(([chunks, fields]) => `${chunks.join('')}0\r\n${fields.join('')}\r\n`);
const change = fc.record({
  at: fc.nat(),
  remove: fc.integer({ min: 0, max: 3 }),
  insert: fc.constantFrom('', '\r', '\n', ' ', ';', '0', 'f', '\0', '"', 'x:'),
});

test('a body in chunks is read as the grammar says, or refused, however it is cut', async () => {
  const seeds = fc.integer({ min: 0, max: 1000 });
  const property = fc.asyncProperty(
    message,
    fc.option(change),
    seeds,
    fc.boolean(),
    async (whole, changed, seed, drips) => {
      const place = (changed?.at ?? 0) % (whole.length + 1);
      const text =
        changed === null ? whole : whole.slice(0, place) + changed.insert + whole.slice(place + changed.remove);
      const expected = decode(text);
      const { status, body, others } = await send(text, drips ? { pieces: 1, latency: 0.01 } : { seed });
      if (expected === undefined) {
        assert.ok(status === 400 || status === 413, `${status} ${body}`);
      } else {
        assert.deepEqual([status, body], [200, expected.data]);
        // What was taken out of the size line may leave data behind the body, which are no request.
        assert.deepEqual(others, /^(\r\n)*\r?$/.test(expected.rest) ? [] : [400]);
      }
    },
  );
  await fc.assert(property, { numRuns: 500 });
});

test('a body is kept back by its client: the handler that reads it gets nothing, and does not spin', async () => {
  let pulled = 0;
  const world = await World.open({
    fetch: async (request) => {
      if (request.body !== null) for await (const piece of request.body) pulled += piece.length;
      return new Response('done');
    },
  });
  const client = world.client(function* (connection) {
    yield* connection.writer.write(post('/', 'abcdef').slice(0, -3));
    yield* sleep(1000);
    yield* connection.writer.write('def');
    yield* connection.writer.end();
    return yield* received(connection);
  });
  await world.pass(900);
  const { turns } = world.layer;
  assert.equal(pulled, 3);
  await world.pass(90);
  assert.equal(world.layer.turns, turns, 'no turn is taken while nothing happens');
  await world.pass();
  assert.equal((await client).responses[0].body, 'done');
  await world.close();
});

test('a handler that does not read a body holds back its client', async () => {
  let release = () => {};
  const world = await World.open(
    {
      fetch: () =>
        new Promise((resolve) => {
          release = () => resolve(new Response('late'));
        }),
    },
    { latency: 0.01, capacity: 4096 },
  );
  let written = 0;
  const client = world.client(function* (connection) {
    yield* connection.writer.write(post('/', 'x'.repeat(1_000_000)).slice(0, 100));
    for (; written < 900_000; written += 1000) yield* connection.writer.write('x'.repeat(1000));
  });
  client.catch(() => {});
  await world.pass(5000);
  assert.ok(written < 300_000, `${written} bytes have been taken of an unread body`);
  release();
  await world.pass();
  await world.close();
});

test('a body that a handler has started to read can be read to its end after its request was answered', async () => {
  let reader: ReadableStreamDefaultReader<Uint8Array> | undefined;
  let first: Uint8Array | undefined;
  const world = await World.open({
    fetch: async (request) => {
      if (request.method === 'GET') return new Response('next');
      reader = request.body?.getReader();
      first = (await reader?.read())?.value;
      return new Response('done');
    },
  });
  const client = world.client(function* (connection) {
    yield* connection.writer.write(post('/', 'abcdef').slice(0, -3));
    yield* sleep(100);
    yield* connection.writer.write(`def${get('/')}`);
    yield* connection.writer.end();
    return yield* received(connection);
  });
  await world.pass();
  assert.deepEqual(
    (await client).responses.map(({ body }) => body),
    ['done', 'next'],
  );
  assert.equal(first?.length, 3);
  await world.close();
  assert.deepEqual((await reader?.read())?.value, new Uint8Array(Buffer.from('def')));
  assert.equal((await reader?.read())?.done, true);
});

/** Sends a body in pieces of 20,000 bytes, 10 ms apart, and reads the responses meanwhile. */
function slowUpload(pieces: number, behind = '') {
  return function* (connection: Connection): Task<Exchanged> {
    const { writer } = connection;
    spawn(function* () {
      yield* writer.write(post('/', '', `content-length: ${pieces * 20_000}`).replace('content-length: 0\r\n', ''));
      for (let i = 0; i < pieces; i++) {
        yield* sleep(10);
        yield* writer.write(new Uint8Array(20_000).fill(97));
      }
      yield* writer.write(behind);
    });
    return yield* received(connection);
  };
}

const waysToRead = {
  'for await': async (request: Request, note: (bytes: number) => void) => {
    for await (const piece of request.body ?? []) note(piece.length);
  },
  'for await, slowly': async (request: Request, note: (bytes: number) => void, world: World) => {
    for await (const piece of request.body ?? []) {
      note(piece.length);
      await run(() => sleep(200), { scheduler: world.network.scheduler });
    }
  },
  pipeTo: async (request: Request, note: (bytes: number) => void) => {
    await request.body?.pipeTo(new WritableStream({ write: (piece) => note(piece.length) }));
  },
  'a reader with its own buffer': async (request: Request, note: (bytes: number) => void) => {
    const reader = request.body?.getReader({ mode: 'byob' });
    for (let buffer = new Uint8Array(5000); reader !== undefined; ) {
      const { done, value } = await reader.read(buffer);
      if (done) break;
      note(value.length);
      buffer = new Uint8Array(value.buffer);
    }
  },
  text: async (request: Request, note: (bytes: number) => void) => note((await request.text()).length),
  'a clone': async (request: Request, note: (bytes: number) => void) => note((await request.clone().text()).length),
};
const waysToAnswer = {
  plain: () => new Response('early'),
  async: async () => new Response('early'),
  stream: () =>
    stream(function* (out) {
      yield* out.write('early');
    }),
};
for (const [read, start] of Object.entries(waysToRead))
  for (const [kind, answer] of Object.entries(waysToAnswer))
    test(`a body that is read by ${read} is read to its end after an early response (${kind})`, async () => {
      let bytes = 0;
      let end: unknown;
      const note = (count: number) => {
        bytes += count;
      };
      const world = await World.open({
        fetch: (request) => {
          if (request.method === 'GET') return new Response('next');
          start(request, note, world).then(
            () => {
              end = 'complete';
            },
            (error) => {
              end = error;
            },
          );
          return answer();
        },
      });
      const client = world.client(slowUpload(15, get('/', 'connection: close')));
      await world.pass();
      assert.deepEqual([bytes, end], [300_000, 'complete']);
      const { responses, ending } = await client;
      assert.deepEqual([responses.map(({ body }) => body), ending], [['early', 'next'], 'FIN']);
      await world.close();
    });

test('reading on after the response fails when the client leaves, with the reason', async () => {
  let failure: Promise<unknown> | undefined;
  const world = await World.open({
    fetch: (request) => {
      failure = waysToRead['for await'](request, () => {}).catch((error) => error);
      return new Response('early');
    },
  });
  const client = world.client(function* (connection) {
    yield* connection.writer.write(post('/', 'x'.repeat(1000)).slice(0, -1));
    yield* sleep(100);
    connection.reset();
  });
  await world.pass();
  await client;
  assert.equal(((await failure) as { code?: string }).code, 'ERR_CLIENT_LEFT');
  assert.deepEqual(world.errors, []);
  await world.close();
});

test('reading on after the response is bound by maxBodySize, and the connection is closed', async () => {
  let failure: Promise<unknown> | undefined;
  const world = await World.open({
    maxBodySize: 100_000,
    fetch: (request) => {
      failure = waysToRead['for await'](request, () => {}).catch((error) => error);
      return new Response('early');
    },
  });
  const client = world.exchange(toChunked + `4000\r\n${'x'.repeat(0x4000)}\r\n`.repeat(10));
  await world.pass();
  assert.equal(((await failure) as { code?: string }).code, 'ERR_HTTP_413');
  const { responses, ending } = await client;
  assert.deepEqual([responses.map(({ body }) => body), ending], [['early'], 'FIN']);
  await world.close();
});

test('a handler that stops reading a large body after it has answered has bodyTimeout for its next read', async () => {
  let reader: ReadableStreamDefaultReader<Uint8Array> | undefined;
  const world = await World.open({
    bodyTimeout: 5000,
    fetch: async (request) => {
      reader = request.body?.getReader();
      await reader?.read();
      return new Response('early');
    },
  });
  const client = world.client(slowUpload(15));
  await world.pass(4000);
  await reader?.read();
  await world.pass(4000);
  assert.equal(world.server.connections.reading, 1);
  assert.ok(
    world.server.buffered.held >= 128 * 1024,
    'what waits in the stream is counted, besides what waits in the reader',
  );
  await world.pass();
  await client;
  assert.equal(world.server.buffered.held, 0);
  const rest = async () => {
    for (;;) await reader?.read();
  };
  await assert.rejects(rest, { code: 'ERR_CLOSED' });
  await world.close();
});

test('an unread body cannot be read once its request is over', async () => {
  let text: (() => Promise<string>) | undefined;
  const world = await World.open({
    fetch: (request) => {
      text = () => request.text();
      return new Response('done');
    },
  });
  const client = world.exchange(post('/', 'abc', 'connection: close'));
  await world.pass();
  assert.equal((await client).responses[0].body, 'done');
  await assert.rejects(text?.() ?? Promise.resolve(), Error);
  await world.close();
});

test('reading a body whose client resets the connection rejects, and onError is not called', async () => {
  const caught: unknown[] = [];
  const world = await World.open({
    fetch: async (request) => {
      try {
        return new Response(await request.text());
      } catch (error) {
        caught.push(error);
        throw error;
      }
    },
  });
  await Promise.all([
    world.client(function* (connection) {
      yield* connection.writer.write(post('/', 'abcdef').slice(0, -3));
      yield* sleep(100);
      connection.reset();
    }),
    world.pass(),
  ]);
  assert.equal(caught.length, 1);
  assert.ok(caught[0] instanceof Error);
  assert.deepEqual(world.errors, []);
  await world.close();
});

test('a body in chunks of one byte takes no more memory than others, while it is gathered', async () => {
  const collect = globalThis.gc ?? (() => assert.fail('to be run with --expose-gc'));
  const heap = () => {
    collect();
    return process.memoryUsage().heapUsed;
  };
  const world = await World.open(
    { fetch: async (request) => new Response(String((await request.arrayBuffer()).byteLength)) },
    { latency: 0.01, pieces: 'whole', capacity: 2 ** 20 },
  );
  const chunks = '1\r\nx\r\n'.repeat(1000);
  const client = world.client(function* (connection) {
    yield* connection.writer.write(toChunked.replace('\r\n\r\n', '\r\nconnection: close\r\n\r\n'));
    yield* sleep(1000);
    for (let i = 0; i < 100; i++) yield* connection.writer.write(chunks);
    yield* sleep(2000);
    yield* connection.writer.write('0\r\n\r\n');
    return yield* received(connection);
  });
  await world.pass(500);
  const before = heap();
  await world.pass(1500);
  const grown = heap() - before;
  assert.ok(grown < 2_000_000, `the heap has grown by ${grown} bytes for a body of 100,000`);
  await world.pass();
  assert.equal((await client).responses[0].body, '100000');
  await world.close();
});

/** The pieces in which a handler that streams the body gets these chunks, sent at once, and the turns that this took. */
async function piecesOf(chunks: string): Promise<{ sizes: number[]; text: string; turns: number }> {
  const sizes: number[] = [];
  let text = '';
  let turns = 0;
  const world = await World.open(
    {
      async fetch(request) {
        const begun = world.layer.turns;
        for await (const piece of request.body ?? []) {
          sizes.push(piece.length);
          text += Buffer.from(piece).toString('latin1');
        }
        turns = world.layer.turns - begun;
        return new Response('read');
      },
    },
    { latency: 0, pieces: 'whole', capacity: 2 ** 24 },
  );
  const client = world.exchange(`${toChunked.replace('host: a', 'host: a\r\nconnection: close')}${chunks}0\r\n\r\n`);
  await world.pass();
  assert.equal((await client).responses[0].body, 'read');
  await world.close();
  return { sizes, text, turns };
}

test('a read of a body’s stream gives all that has come, of however many chunks', async () => {
  const content = Array.from({ length: 1000 }, (_, i) => `number ${1000 + i}`);
  const { sizes, text, turns } = await piecesOf(content.map((part) => `b\r\n${part}\r\n`).join(''));
  assert.equal(text, content.join(''));
  assert.equal(sizes.length, 1, `pieces of ${sizes.slice(0, 10)} … bytes`);
  assert.ok(turns < 10, `${turns} turns`);
});

test('a read of a body’s stream puts no more than 64 KiB together', async () => {
  const chunk = 'x'.repeat(1000);
  const { sizes, text, turns } = await piecesOf(`3e8\r\n${chunk}\r\n`.repeat(1000));
  assert.equal(text, chunk.repeat(1000));
  assert.ok(Math.max(...sizes) <= 64 * 1024, `a piece of ${Math.max(...sizes)} bytes`);
  assert.ok(sizes.length <= 40, `${sizes.length} pieces`);
  assert.ok(turns <= 60, `${turns} turns`);
});

for (const how of ['as a stream', 'whole', 'not at all'] as const)
  test(`a body that is read ${how}: of its chunks, however small, no more than 4,096 are worked off in a turn`, async () => {
    const chunks = 40_000;
    const calledAt: number[] = [];
    const world = await World.open(
      {
        async fetch(request) {
          calledAt.push(world.layer.turns);
          if (how === 'whole') await request.text();
          if (how === 'as a stream') for await (const piece of request.body ?? []) assert.ok(piece.length <= 4096);
          return new Response('read');
        },
      },
      { latency: 0, pieces: 'whole', capacity: 2 ** 24 },
    );
    const next = get('/', 'connection: close');
    const client = world.exchange(`${toChunked}${'1\r\nx\r\n'.repeat(chunks)}0\r\n\r\n${next}`);
    await world.pass();
    const { responses } = await client;
    assert.deepEqual(
      responses.map(({ body }) => body),
      ['read', 'read'],
    );
    const turns = calledAt[1] - calledAt[0];
    assert.ok(turns >= Math.floor(chunks / 4096), `${turns} turns for ${chunks} chunks`);
    await world.close();
  });
