// What a client gets, and what `onRefused` gets, when its request is refused; and that a handler cannot pass its own errors off as the client's.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HttpError } from '#sluice/http/errors.js';
import type { Request } from '#sluice/http/fetch/request.js';
import { Response } from '#sluice/http/fetch/response.js';
import type { RefusedRequest } from '#sluice/http/settings.js';
import { stream } from '#sluice/http/stream.js';
import type { ServeOptions } from '#sluice/server/serve.js';
import { sleep } from '#sluice/threads/sleep.js';
import { until } from '#sluice/threads/until.js';
import { get, post, World } from '../support/world.js';

const hello = () => new Response('hello');

/** A world, and what its `onRefused` was called with. */
async function open(options: Partial<ServeOptions>): Promise<{ world: World; refused: RefusedRequest[] }> {
  const refused: RefusedRequest[] = [];
  const world = await World.open({
    fetch: hello,
    onRefused: (refusal) => {
      refused.push(refusal);
    },
    ...options,
  });
  return { world, refused };
}

const limits = { maxBodySize: 10, maxFields: 3, maxTargetSize: 100, maxHeadSize: 1000 };
const text = async (request: Request) => new Response(await request.text());
const requests: [what: string, sent: string, status: number, message: RegExp][] = [
  ['a bare CR in the head', 'GET / HTTP/1.1\r\nhost: a\r\nx: \r1\r\n\r\n', 400, /RFC 9112 §2\.2/],
  ['a body of which the framing is broken', `${get('/', 'transfer-encoding: chunked')}x\r\n`, 400, /RFC 9112 §7\.1/],
  ['a head that stalls', 'GET / HTTP/1.1\r\nhost', 408, /RFC 9110 §15\.5\.9: the head/],
  ['a body that stalls', post('/', 'abc').slice(0, -1), 408, /RFC 9110 §15\.5\.9: the body/],
  ['a body that is too large', post('/', 'x'.repeat(11)), 413, /RFC 9110 §15\.5\.14: a body of more than 10 bytes/],
  ['a target that is too long', get(`/${'x'.repeat(100)}`), 414, /RFC 9112 §3: a request target/],
  ['another expectation', get('/', 'expect: tea'), 417, /RFC 9110 §10\.1\.1/],
  ['too many fields', get('/', 'a: 1', 'b: 2', 'c: 3'), 431, /RFC 6585 §5: more than 3 fields/],
  ['a method that there is not', get('/').replace('GET', 'TRACE'), 501, /RFC 9110 §9\.1/],
  ['another version', get('/').replace('HTTP/1.1', 'HTTP/2.0'), 505, /RFC 9110 §15\.6\.6/],
];
for (const [what, sent, status, message] of requests) {
  test(`onRefused is called for ${what}`, async () => {
    const { world, refused } = await open({ ...limits, fetch: text });
    const client = world.client(function* (connection) {
      yield* connection.writer.write(
        sent.replace('GET / HTTP/1.1\r\nhost: a\r\ntransfer', 'POST / HTTP/1.1\r\nhost: a\r\ntransfer'),
      );
      yield* sleep(200_000);
    });
    await world.pass();
    await client;
    assert.equal(refused.length, 1);
    const [refusal] = refused;
    assert.deepEqual([refusal.status, refusal.code], [status, `ERR_HTTP_${status}`]);
    assert.match(refusal.message, message);
    assert.match(refusal.peer, /^127\.0\.0\.1:\d+$/);
    assert.deepEqual(world.errors, []);
    await world.close();
  });
}

test('onRefused is called for connections that are over a limit', async () => {
  for (const [limit, status] of [
    ['maxConnections', 503],
    ['maxConnectionsPerAddress', 429],
  ] as const) {
    const { world, refused } = await open({ [limit]: 1 });
    const first = world.client(() => sleep(1000));
    await world.pass(100);
    const second = world.exchange(get('/'));
    await world.pass();
    await first;
    assert.deepEqual(
      (await second).responses.map((response) => response.status),
      [status],
    );
    assert.deepEqual(
      refused.map(({ status, code }) => [status, code]),
      [[status, `ERR_HTTP_${status}`]],
    );
    assert.match(refused[0].message, new RegExp(`more than|${limit}`));
    await world.close();
  }
});

test('what onRefused throws, or rejects with, goes to onError, and the client is answered all the same', async () => {
  const error = new Error('from onRefused');
  const ways = [
    () => {
      throw error;
    },
    async () => {
      throw error;
    },
  ];
  for (const onRefused of ways) {
    const { world } = await open({ onRefused });
    const client = world.exchange('nonsense\r\n\r\n');
    await world.pass();
    assert.deepEqual(
      (await client).responses.map(({ status }) => status),
      [400],
    );
    assert.deepEqual(world.errors, [error]);
    await world.close();
  }
});

test('onRefused is not called for what a handler answers or throws', async () => {
  const { world, refused } = await open({
    fetch: (request) => {
      if (request.url.endsWith('/404')) return new Response(null, { status: 404 });
      throw new Error('from the handler');
    },
  });
  const clients = [world.exchange(get('/404', 'connection: close')), world.exchange(get('/500'))];
  await world.pass();
  await Promise.all(clients);
  assert.deepEqual(refused, []);
  await world.close();
});

const own = new HttpError(404, 'made by the handler');
const throwers: Record<string, ServeOptions['fetch']> = {
  'a plain handler': () => {
    throw own;
  },
  'an async handler': async () => {
    throw own;
  },
  'a thread handler': function* () {
    yield* sleep(10);
    throw own;
  },
  'a handler that has read its body': async (request) => {
    await request.text();
    throw own;
  },
};
for (const [who, fetch] of Object.entries(throwers)) {
  test(`a HttpError that ${who} has made itself is an error of the handler's`, async () => {
    const { world, refused } = await open({ fetch });
    const client = world.exchange(post('/', 'abc'));
    await world.pass();
    assert.deepEqual(
      (await client).responses.map(({ status }) => status),
      [500],
    );
    assert.deepEqual([world.errors, refused], [[own], []]);
    await world.close();
  });
}

test('a HttpError that the body of a stream throws is reported, and the connection is reset', async () => {
  const { world } = await open({
    fetch: () =>
      stream(function* (out) {
        yield* out.write('begun');
        throw own;
      }),
  });
  const client = world.exchange(get('/'));
  await world.pass();
  assert.equal((await client).ending, 'reset');
  assert.deepEqual(world.errors, [own]);
  await world.close();
});

test('a HttpError of another request is an error of the handler that throws it', async () => {
  let other: unknown;
  const { world, refused } = await open({
    maxBodySize: 10,
    fetch: async (request) => {
      if (request.method === 'GET') throw other;
      try {
        return new Response(await request.text());
      } catch (error) {
        other = error;
        throw error;
      }
    },
  });
  const chunks = `POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nb\r\n${'x'.repeat(11)}\r\n0\r\n\r\n`;
  const first = world.exchange(chunks);
  await world.pass();
  const second = world.exchange(get('/'));
  await world.pass();
  const statuses = [...(await first).responses, ...(await second).responses].map(({ status }) => status);
  assert.deepEqual(statuses, [413, 500]);
  assert.deepEqual(world.errors, [other]);
  assert.equal(refused.length, 1);
  await world.close();
});

test('an error whose cause is the HttpError of its own request is the client’s', async () => {
  const { world, refused } = await open({
    *fetch(request) {
      try {
        return new Response(yield* until(request.text()));
      } catch (error) {
        throw new Error('the upload has failed', { cause: error });
      }
    },
  });
  const client = world.exchange('POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nnonsense\r\n');
  await world.pass();
  assert.deepEqual(
    (await client).responses.map(({ status }) => status),
    [400],
  );
  assert.deepEqual([world.errors, refused.length], [[], 1]);
  await world.close();
});
