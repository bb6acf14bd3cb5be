// Connections that change hands: what follows the 101 on them is not HTTP.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { takeOver } from '#sluice/http/take-over.js';
import { sleep } from '#sluice/threads/sleep.js';
import type { Task } from '#sluice/threads/task.js';
import { get, post, received, World } from '../support/world.js';

const upgrade = 'connection: upgrade\r\nupgrade: lines';

/** Answers each line in upper case. */
const lines = () =>
  takeOver(
    function* ({ reader, writer }) {
      for (let line: string | undefined; (line = yield* reader.readLine(100)) !== undefined; )
        yield* writer.write(`${line.toUpperCase()}\n`);
    },
    ['upgrade', 'lines', 'x-own', 'yes'],
  );

function* exchangeLines(world: World, first: string, more: string): Task<string> {
  const { reader, writer } = yield* world.connect();
  yield* writer.write(first);
  yield* sleep(100);
  yield* writer.write(more);
  yield* writer.end();
  return Buffer.from(yield* reader.readAll(100_000)).toString('latin1');
}

const head = 'HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: lines\r\nx-own: yes\r\n\r\n';

for (const [kind, fetch] of [
  ['a plain handler', lines],
  ['an async handler', async () => lines()],
  [
    'a thread',
    function* () {
      yield* sleep(1);
      return lines();
    },
  ],
] as const) {
  test(`the connection is handed over by ${kind}, with what the client has sent behind its request`, async () => {
    const world = await World.open({ fetch });
    const got = world.run(() => exchangeLines(world, `${get('/', upgrade)}one\ntw`, 'o\nthree\n'));
    await world.pass();
    assert.equal(await got, `${head}ONE\nTWO\nTHREE\n`);
    assert.deepEqual(world.errors, []);
    await world.close();
  });
}

test('it is handed over behind other requests, and nothing on it is taken for a request from then on', async () => {
  const world = await World.open({
    fetch: (request) => (request.url.endsWith('/lines') ? lines() : new Response('plain')),
  });
  const got = world.run(() => exchangeLines(world, `${get('/')}${get('/lines', upgrade)}${get('/').trim()}\n`, ''));
  await world.pass();
  const text = await got;
  assert.ok(text.startsWith('HTTP/1.1 200 OK\r\n') && text.indexOf('plain') < text.indexOf(head), text);
  assert.ok(text.endsWith(`${head}GET / HTTP/1.1\nHOST: A\n`), text);
  await world.close();
});

for (const leave of ['FIN', 'RST'] as const) {
  test(`the task is unwound, or reads to the end, when the client leaves by ${leave}`, async () => {
    let ended = '';
    const world = await World.open({
      fetch: () =>
        takeOver(
          function* ({ reader }) {
            try {
              ended = (yield* reader.read()) === undefined ? 'read to the end' : 'read';
            } finally {
              ended ||= 'unwound';
            }
          },
          ['upgrade', 'lines'],
        ),
    });
    world.client(function* (connection) {
      yield* connection.writer.write(get('/', upgrade));
      yield* sleep(100);
      if (leave === 'RST') connection.reset();
      else yield* connection.writer.end();
      yield* sleep(100);
    });
    await world.pass();
    assert.equal(ended, leave === 'RST' ? 'unwound' : 'read to the end');
    assert.deepEqual(world.errors, []);
    await world.close();
  });
}

test('what the task throws is reported once, and the connection ends', async () => {
  const world = await World.open({
    fetch: () =>
      takeOver(
        function* ({ writer }) {
          yield* writer.write('hello\n');
          throw new Error('of the task');
        },
        ['upgrade', 'lines'],
      ),
  });
  const got = world.run(() => exchangeLines(world, get('/', upgrade), ''));
  await world.pass();
  assert.match(await got, /\r\n\r\nhello\n$/);
  assert.deepEqual(
    world.errors.map((error) => (error as Error).message),
    ['of the task'],
  );
  await world.close();
});

for (const [what, request] of [
  ['of HTTP/1.0', get('/', upgrade).replace('HTTP/1.1', 'HTTP/1.0')],
  ['with a body that has not been read', post('/', 'body', upgrade)],
] as const) {
  test(`a connection cannot be taken over for a request ${what}: the client gets a 500`, async () => {
    const world = await World.open({ fetch: lines });
    const client = world.client(function* (connection) {
      yield* connection.writer.write(request);
      return yield* received(connection);
    });
    await world.pass();
    assert.deepEqual(
      (await client).responses.map(({ status }) => status),
      [500],
    );
    assert.equal(world.errors.length, 1);
    assert.match(String(world.errors[0]), /cannot be taken over/);
    await world.close();
  });
}

test('the connection counts as one that is handled, and close() unwinds the task at the deadline', async () => {
  let isUnwound = false;
  const world = await World.open({
    fetch: () =>
      takeOver(
        function* () {
          try {
            yield* sleep(1e9);
          } finally {
            isUnwound = true;
          }
        },
        ['upgrade', 'lines'],
      ),
  });
  const got = world.run(function* () {
    const { reader, writer } = yield* world.connect();
    yield* writer.write(get('/', upgrade));
    return (yield* reader.readAll(1000)).length;
  });
  await world.pass(100);
  assert.equal(world.server.connections.handling, 1);
  const closing = world.server.close({ deadline: 50 });
  await world.pass();
  await closing;
  await got;
  assert.equal(isUnwound, true);
  await world.close();
});

test('the response has no body for code that looks for one, and says so', async () => {
  await assert.rejects(lines().text(), /hands the connection over/);
});
