// Topics that are piped to WebSockets, in threads and by handlers.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SimulatedOptions } from '#sluice/event-layer/simulated/simulated.js';
import { connectWebSocket, topic, webSocket } from '#sluice/index.js';
import { sleep } from '#sluice/threads/sleep.js';
import type { Task } from '#sluice/threads/task.js';
import type { Following } from '#sluice/websocket/following.js';
import type { SocketBase } from '#sluice/websocket/socket-base.js';
import { pauseReading, World } from '../support/world.js';

/** A WebSocket of either form. */
type Followed = Pick<SocketBase, 'follow' | 'isOpen'> & { close(code: number, reason: string): void };

function* received(world: World, count: number): Task<unknown[]> {
  const socket = yield* connectWebSocket(`ws://127.0.0.1:${world.server.port}/`, { network: world.network });
  const messages: unknown[] = [];
  while (messages.length < count) {
    const message = yield* socket.receive();
    if (message === undefined) break;
    messages.push(typeof message === 'string' ? message : [...message]);
  }
  return messages;
}

for (const face of ['thread', 'handlers'] as const) {
  const open = (news: ReturnType<typeof topic<unknown>>, options = {}, simulated?: SimulatedOptions) =>
    World.open(
      face === 'thread'
        ? {
            fetch: (request) =>
              webSocket(request, function* (socket) {
                socket.follow(news, options);
                for (let m: unknown; (m = yield* socket.receive()) !== undefined; ) yield* socket.send(`own ${m}`);
              }),
          }
        : {
            fetch: (request, info) => void info.upgrade(request) as undefined,
            websocket: { open: (ws) => void ws.follow(news, options), message() {} },
          },
      simulated,
    );

  test(`${face}: text, bytes and objects of a topic arrive in order at every socket that follows it`, async () => {
    const news = topic<unknown>('news');
    const world = await open(news);
    const clients = Array.from({ length: 20 }, () => world.run(() => received(world, 3)));
    await world.pass(100);
    assert.equal(news.counts.subscribers, 20);
    for (const message of ['text', Uint8Array.of(1, 2), { a: 'ž' }]) news.publish(message);
    await world.pass(100);
    for (const client of clients) assert.deepEqual(await client, ['text', [1, 2], '{"a":"ž"}']);
    await world.pass();
    assert.equal(news.counts.subscribers, 0);
    await world.close();
  });

  test(`${face}: a burst in one turn is not dropped for sockets that read`, async () => {
    const news = topic<unknown>('news', { policy: 'disconnect', maxWaiting: 1 });
    const world = await open(news, {}, { latency: 0.01, pieces: 'whole', capacity: 2 ** 20 });
    const client = world.run(() => received(world, 300));
    await world.pass(100);
    for (let i = 0; i < 300; i++) news.publish('x'.repeat(1000));
    await world.pass(100);
    assert.equal((await client).length, 300);
    assert.equal(news.counts.disconnected, 0);
    await world.close();
  });

  test(`${face}: the history comes first where it is asked for`, async () => {
    const news = topic<string>('news', { history: 2 });
    for (const message of ['a', 'b', 'c']) news.publish(message);
    const world = await open(news as never, { replay: true });
    const client = world.run(() => received(world, 3));
    await world.pass(100);
    news.publish('d');
    await world.pass();
    assert.deepEqual(await client, ['b', 'c', 'd']);
    await world.close();
  });

  test(`${face}: the end of the topic leaves the WebSocket open, and is seen with isOver and join`, async () => {
    const news = topic<string>('news');
    const seen: unknown[] = [];
    const follow = function* (socket: Followed): Task<void> {
      const following = socket.follow(news);
      seen.push(following.isOver);
      yield* following.join();
      seen.push(following.isOver, socket.isOpen, news.counts.subscribers);
      yield* following.join();
      socket.close(4000, 'the topic is closed');
    };
    const world = await World.open(
      face === 'thread'
        ? { fetch: (request) => webSocket(request, follow) }
        : {
            fetch: (request, info) => void info.upgrade(request) as undefined,
            websocket: { open: (ws) => void world.run(() => follow(ws)) },
          },
    );
    const client = world.run(function* () {
      const socket = yield* connectWebSocket(`ws://127.0.0.1:${world.server.port}/`, { network: world.network });
      const messages: unknown[] = [];
      for (let message: unknown; (message = yield* socket.receive()) !== undefined; ) messages.push(message);
      return [...messages, socket.code, socket.reason];
    });
    await world.pass(100);
    news.publish('last');
    news.close();
    await world.pass();
    assert.deepEqual(await client, ['last', 4000, 'the topic is closed']);
    assert.deepEqual(seen, [false, true, true, 0]);
    assert.deepEqual(world.errors, []);
    await world.close();
  });

  test(`${face}: join ends with stop, and with the WebSocket; a topic that is followed twice is sent twice`, async () => {
    const news = topic<string>('news');
    const all: Following[] = [];
    const joined: number[] = [];
    const follow = (socket: Followed): void => {
      for (const i of [0, 1]) {
        const following = socket.follow(news);
        all.push(following as Following);
        world.run(function* () {
          yield* following.join();
          joined.push(i);
        });
      }
    };
    const world = await World.open(
      face === 'thread'
        ? {
            fetch: (request) =>
              webSocket(request, function* (socket) {
                follow(socket);
                yield* socket.receive();
              }),
          }
        : { fetch: (request, info) => void info.upgrade(request) as undefined, websocket: { open: follow } },
    );
    const client = world.run(() => received(world, 3));
    await world.pass(100);
    news.publish('a');
    await world.pass(100);
    all[0].stop();
    assert.deepEqual([all[0].isOver, all[1].isOver], [true, false]);
    news.publish('b');
    await world.pass();
    assert.deepEqual(await client, ['a', 'a', 'b']);
    assert.deepEqual(joined, [0, 1]);
    await world.close();
  });

  test(`${face}: a client that reads nothing holds nothing up, and gets what the policy leaves it`, async () => {
    const news = topic<string>('news', { policy: 'dropOldest', maxWaiting: 4 });
    const world = await open(news as never);
    const fast = world.run(() => received(world, 400));
    const slow = world.run(function* () {
      const socket = yield* connectWebSocket(`ws://127.0.0.1:${world.server.port}/`, { network: world.network });
      pauseReading(socket as never);
      yield* sleep(20_000);
      socket.resumeReading();
      const messages: string[] = [];
      while (messages.at(-1) !== 'last') messages.push(`${yield* socket.receive()}`.slice(0, 8));
      return messages;
    });
    await world.pass(100);
    for (let i = 0; i < 399; i++) {
      news.publish(`${i} ${'x'.repeat(1000)}`);
      await world.pass(10);
    }
    news.publish('last');
    await world.pass();
    assert.equal((await fast).length, 400);
    const got = await slow;
    assert.ok(got.length < 300 && got.at(-2) === '398 xxxx', `${got.length} messages, ${got.slice(-3)}`);
    assert.equal(news.counts.dropped, 400 - got.length);
    await world.close();
  });

  test(`${face}: a client that is too slow is disconnected where that is the policy`, async () => {
    const news = topic<string>('news', { policy: 'disconnect', maxWaiting: 2 });
    const world = await open(news as never);
    const slow = world.run(function* () {
      const socket = yield* connectWebSocket(`ws://127.0.0.1:${world.server.port}/`, { network: world.network });
      pauseReading(socket as never);
      yield* sleep(60_000);
      return socket.closed || socket.isOver;
    });
    await world.pass(100);
    for (let i = 0; i < 400; i++) {
      news.publish('x'.repeat(1000));
      await world.pass(1);
    }
    await world.pass();
    await slow;
    assert.deepEqual([news.counts.subscribers, news.counts.disconnected], [0, 1]);
    await world.close();
  });
}
