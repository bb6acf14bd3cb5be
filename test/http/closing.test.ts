// `close`, over the simulated network: which clients it waits for, and what its deadline does.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Response } from '#sluice/http/fetch/response.js';
import { sleep } from '#sluice/threads/sleep.js';
import { type Exchanged, get, received, World } from '../support/world.js';

const hello = (): Response => new Response('hello');

/** Closes the server. @returns how many milliseconds it took */
async function timeToClose(world: World, ...deadlines: number[]): Promise<number> {
  const before = world.layer.now();
  let after = Number.NaN;
  const closing = Promise.all(deadlines.map((deadline) => world.server.close({ deadline }))).then(() => {
    after = world.layer.now();
  });
  await world.pass();
  await closing;
  return after - before;
}

for (const [kind, request] of [
  ['has had a response and keeps its connection', get('/')],
  ['has just connected, and sends nothing', ''],
]) {
  test(`close does not wait for a client that ${kind}`, async () => {
    const world = await World.open({ fetch: hello });
    const client = world.client(function* (connection) {
      if (request !== '') yield* connection.writer.write(request);
      const { scheduler } = connection.owner.network;
      while ((yield* connection.reader.read()) !== undefined);
      const end = scheduler.now;
      yield* sleep(60_000); // it has got the server's FIN, and does not answer it
      return end;
    });
    await world.pass(request === '' ? 50 : 1000);
    const before = world.layer.now();
    const took = await timeToClose(world, 10_000);
    assert.ok(took < 500, `it took ${took} ms`);
    assert.ok((await client) - before < 500, 'the client has seen the end');
    await world.close();
  });
}

test('close gives half a request head one second, and then answers it with 408', async () => {
  const world = await World.open({ fetch: hello });
  const client = world.client(function* (connection) {
    yield* connection.writer.write('GET / HTTP/1.1\r\nho');
    return yield* received(connection);
  });
  await world.pass(100);
  const took = await timeToClose(world, 10_000);
  assert.ok(took >= 1000 && took < 2500, `it took ${took} ms`);
  assert.deepEqual(
    (await client).responses.map(({ status }) => status),
    [408],
  );
  await world.close();
});

test('close does not wait for a client that keeps its connection after the response that was in flight', async () => {
  const world = await World.open({
    *fetch() {
      yield* sleep(300);
      return hello();
    },
  });
  const client = world.client(function* (connection) {
    yield* connection.writer.write(get('/'));
    const all = yield* received(connection);
    yield* sleep(60_000);
    return all;
  });
  await world.pass(100);
  const took = await timeToClose(world, 10_000);
  assert.ok(took > 200 && took < 1000, `it took ${took} ms`);
  const { responses, ending } = await client;
  assert.deepEqual(
    [responses[0]?.body, responses[0]?.fields.find(([name]) => name === 'connection')?.[1], ending],
    ['hello', 'close', 'FIN'],
  );
  await world.close();
});

test('a client that has just connected when the server closes still gets an answer to its first request', async () => {
  const world = await World.open({ fetch: hello });
  const client = world.client(function* (connection) {
    yield* sleep(100);
    yield* connection.writer.write(get('/'));
    return yield* received(connection);
  });
  await world.pass(50);
  await timeToClose(world, 10_000);
  const { responses, ending } = await client;
  assert.deepEqual([responses.map(({ status }) => status), ending], [[200], 'FIN']);
  await world.close();
});

test('a connection in steady use, as a proxy’s is, has its next request answered instead of closed under it', async () => {
  const world = await World.open({ fetch: hello }, { latency: 10, pieces: 'whole' });
  const client = world.client(function* (connection) {
    let text = '';
    for (let i = 0; ; i++) {
      yield* connection.writer.write(get('/'));
      const piece = yield* connection.reader.read();
      if (piece === undefined) return { requests: i + 1, text };
      text += Buffer.from(piece).toString('latin1');
      if (/connection: close/i.test(text)) return { requests: i + 1, text };
      yield* sleep(30);
    }
  });
  await world.pass(1005);
  const took = await timeToClose(world, 10_000);
  assert.ok(took < 500, `it took ${took} ms`);
  const { requests, text } = await client;
  assert.equal(text.split('200 OK').length - 1, requests);
  await world.close();
});

test('a client that has been closed for being idle, and stays, is not waited for', async () => {
  const world = await World.open({ fetch: hello, idleTimeout: 1000 });
  const client = world.client(function* (connection) {
    yield* connection.writer.write(get('/'));
    yield* received(connection);
    yield* sleep(60_000);
  });
  await world.pass(1500);
  assert.equal(world.server.connections.closing, 1);
  const took = await timeToClose(world, 10_000);
  assert.ok(took < 1000, `it took ${took} ms`);
  await client;
  await world.close();
});

test('a client that takes its last response slowly gets all of it after close', async () => {
  const body = 'x'.repeat(60_000);
  const world = await World.open(
    { fetch: () => new Response(body) },
    { latency: 0.01, pieces: 'whole', capacity: 1024 },
  );
  const client = world.client(function* (connection) {
    yield* connection.writer.write(get('/'));
    let bytes = 0;
    for (let piece: Uint8Array | undefined; (piece = yield* connection.reader.read()) !== undefined; ) {
      bytes += piece.length;
      yield* sleep(100);
    }
    return bytes;
  });
  await world.pass(50);
  assert.equal(world.server.connections.idle, 1);
  await timeToClose(world, 10_000);
  assert.ok((await client) > body.length);
  await world.close();
});

/** What a client gets whose handler would take for ever, when the server is closed with these deadlines, all at once. */
async function exchangeAtDeadline(...deadlines: number[]): Promise<Exchanged & { after: number }> {
  const world = await World.open({
    *fetch() {
      yield* sleep(Infinity);
      return hello();
    },
  });
  const exchanged = world.exchange(get('/'));
  await world.pass(50);
  const before = world.layer.now();
  await timeToClose(world, ...deadlines);
  const all = await exchanged;
  await world.close();
  return { ...all, after: all.at - before };
}

for (const deadlines of [[500], [500, 500], [500, 500, 500], [10_000, 500], [500, 10_000], [0, 0]]) {
  test(`close with the deadlines ${deadlines.join(' and ')}: what is at work is answered with 503 at the earliest`, async () => {
    const { responses, ending, after } = await exchangeAtDeadline(...deadlines);
    assert.deepEqual([responses.map(({ status }) => status), ending], [[503], 'FIN']);
    const earliest = Math.min(...deadlines);
    assert.ok(after >= earliest && after < earliest + 50, `at ${after} ms`);
  });
}
