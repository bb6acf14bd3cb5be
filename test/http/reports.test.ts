// Which request errors are about: `onError` is given the request and the client's address, also where the error comes from a thread that the handler
// has spawned, or when the request is over.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connect } from '#sluice/connection/connect.js';
import type { Connection } from '#sluice/connection/connection.js';
import { listen } from '#sluice/connection/listen.js';
import { Response } from '#sluice/http/fetch/response.js';
import type { Fetch } from '#sluice/server/serve.js';
import { sleep } from '#sluice/threads/sleep.js';
import { run, spawn } from '#sluice/threads/thread.js';
import { until } from '#sluice/threads/until.js';
import { get, inWorld, World } from '../support/world.js';

const hello = (): Response => new Response('hello');
const fail = (): never => {
  throw new Error('as expected');
};

interface Told {
  error: unknown;
  url: string | undefined;
  peer: string | undefined;
}

/** What `onError` is called with when a client at 192.0.2.1 asks for `/path`. @param resetsAfter the client resets its connection so many milliseconds later */
async function reported(fetch: Fetch, resetsAfter?: number): Promise<Told[]> {
  const all: Told[] = [];
  const world = await World.open({
    fetch,
    onError: (error, request, info) => {
      all.push({ error: error instanceof Error && error.message, url: request?.url, peer: info?.peer });
    },
  });
  const client = world.client(
    function* (connection) {
      yield* connection.writer.write(get('/path'));
      if (resetsAfter === undefined) while ((yield* connection.reader.read()) !== undefined);
      else yield* sleep(resetsAfter);
      connection.reset();
    },
    { localAddress: '192.0.2.1' },
  );
  client.catch(() => {}); // of a connection that is reset
  await world.pass(20_000);
  await world.close();
  return all.map((each) => ({ ...each, peer: each.peer?.replace(/:\d+$/, '') }));
}

const about = { url: 'http://a/path', peer: '192.0.2.1' };

for (const [kind, fetch] of Object.entries<Fetch>({
  'a plain handler': fail,
  'an async handler': async () => fail(),
  'a thread handler': function* () {
    yield* sleep(10);
    return fail();
  },
  'a thread that a handler has spawned and not joined': function* () {
    spawn(function* () {
      yield* sleep(10);
      fail();
    });
    yield* sleep(1000);
    return hello();
  },
})) {
  test(`onError gets the request and the client’s address of an error in ${kind}`, async () => {
    assert.deepEqual(await reported(fetch), [{ error: 'as expected', ...about }]);
  });
}

test('onError gets the request of a thread that does not end, and the address of its client, who has left, if it was asked for before', async () => {
  for (const isAsked of [true, false]) {
    const [{ error, ...rest }, ...others] = await reported(function* (_, info) {
      if (isAsked) assert.match(info.peer, /^192\.0\.2\.1:/);
      try {
        yield* sleep(Infinity);
      } finally {
        yield* sleep(Infinity);
      }
      return hello();
    }, 50);
    assert.match(String(error), /was still parked/);
    assert.deepEqual([rest, others], [{ ...about, peer: isAsked ? '192.0.2.1' : '' }, []]);
  }
});

test('the client’s address is looked up once for a request, and is still known when the client has left', async () => {
  const seen: string[] = [];
  let lookUps = 0;
  const world = await World.open({
    *fetch(_, info) {
      seen.push(info.peer, info.peer);
      try {
        yield* sleep(1000);
      } finally {
        seen.push(info.peer);
      }
      return hello();
    },
  });
  const { layer } = world;
  const peer = layer.peer.bind(layer);
  layer.peer = (slot) => {
    lookUps++;
    return peer(slot);
  };
  const client = world.client(function* (connection) {
    yield* connection.writer.write(get('/'));
    yield* sleep(50);
    connection.reset();
  });
  await world.pass();
  await client;
  assert.equal(seen.length, 3);
  assert.match(seen[0], /^127\.0\.0\.1:\d+$/);
  assert.deepEqual([new Set(seen).size, lookUps], [1, 1]);
  await world.close();
});

test('active() looks up no address and no request that is not asked for', async () => {
  const world = await World.open({
    *fetch() {
      yield* sleep(1000);
      return hello();
    },
  });
  const { layer } = world;
  const peer = layer.peer.bind(layer);
  const clients = [get('/'), 'GET / HT'].map((text) =>
    world.client(function* (connection) {
      yield* connection.writer.write(text);
      yield* sleep(500);
    }),
  );
  await world.pass(100);
  layer.peer = () => assert.fail('an address was looked up');
  const entries = [...world.server.active()];
  assert.deepEqual(entries.map(({ wait }) => wait).sort(), ['dry', 'timer']);
  layer.peer = peer;
  for (const entry of entries) assert.match(entry.peer, /^127\.0\.0\.1:\d+$/);
  assert.deepEqual(entries.map(({ request }) => request?.method).sort(), ['GET', undefined]);
  await world.pass(2000);
  await Promise.all(clients);
  // What is known of a connection that is gone is what was asked for before.
  for (const { peer, request, thread } of entries)
    assert.deepEqual([request, peer === ''], [undefined, thread === undefined]);
  await world.close();
});

for (const how of ['fails', 'does not end when its client resets the connection']) {
  test(`listen: onError gets a connection whose peer is known, where a handler ${how}`, async () => {
    await inWorld({}, function* (world) {
      const reported: [unknown, string | undefined][] = [];
      const options = { port: 0, network: world.network };
      const onError = (error: unknown, connection: Connection | undefined) => reported.push([error, connection?.peer]);
      const server = yield* until(
        listen({ ...options, onError }, function* ({ reader }) {
          try {
            yield* reader.read();
            fail();
          } finally {
            if (how !== 'fails') yield* sleep(Infinity);
          }
        }),
      );
      const client = function* () {
        const connection = yield* connect({ port: server.port, localAddress: '192.0.2.1' });
        if (how === 'fails') yield* connection.writer.write('x');
        yield* sleep(50);
        connection.reset();
      };
      run(client, { scheduler: world.network.scheduler }).catch(() => {}); // it is reset
      yield* sleep(10_000);
      const [[error, peer]] = reported;
      assert.match(String(error), how === 'fails' ? /as expected/ : /was still parked/);
      assert.match(String(peer), /^192\.0\.2\.1:\d+$/);
      yield* until(server.close());
    });
  });
}
