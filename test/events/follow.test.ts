// Event streams that follow a topic, over the simulated network.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type EventsOptions, events } from '#sluice/events/events.js';
import type { FollowOptions } from '#sluice/events/following.js';
import { sleep } from '#sluice/threads/sleep.js';
import type { Task } from '#sluice/threads/task.js';
import { spawn } from '#sluice/threads/thread.js';
import { type BaseTopic, topic } from '#sluice/topics/topic.js';
import { connectWebSocket } from '#sluice/websocket/client.js';
import { webSocket } from '#sluice/websocket/server.js';
import { type Exchanged, get, leave, pauseReading, received, resumeReading, World } from '../support/world.js';

const open = <M>(
  news: BaseTopic<M>,
  options: FollowOptions = {},
  simulated?: ConstructorParameters<typeof World>[0],
  eventsOptions?: EventsOptions,
) =>
  World.open(
    { fetch: (request) => events(request, (client) => client.follow(news, options), eventsOptions) },
    simulated,
  );

const bodyOf = ({ responses, partialBody }: Exchanged): string =>
  Buffer.from(responses[0]?.body ?? partialBody ?? '', 'latin1').toString();

const close = 'connection: close';

const small = { latency: 0.01, pieces: 'whole', capacity: 4096 } as const;

/** A client that does not read for so long. */
const slowClient = (world: World, milliseconds: number, ...fields: string[]): Promise<Exchanged> =>
  world.client(function* (connection) {
    yield* connection.writer.write(get('/', close, ...fields));
    pauseReading(connection);
    yield* sleep(milliseconds);
    resumeReading(connection);
    return yield* received(connection);
  });

test('each client gets each message, and the stream goes on behind `follow` when the topic is closed', async () => {
  const news = topic<unknown>('news', { event: 'news' });
  const world = await World.open({
    fetch: (request) =>
      events(request, function* (client) {
        yield* client.send({ data: 'before' });
        yield* client.follow(news);
        yield* client.send({ data: 'behind' });
      }),
  });
  const clients = [
    world.exchange(get('/', close)),
    world.exchange(get('/', close)),
    world.exchange('GET / HTTP/1.0\r\nhost: a\r\n\r\n'),
  ];
  await world.pass(1000);
  assert.equal(news.counts.subscribers, 3);
  news.publish({ a: 'ä' });
  news.publish('b\nc');
  await world.pass(1000);
  news.close();
  await world.pass();
  for (const client of clients) {
    const expected = 'event: news\ndata: {"a":"ä"}\n\nevent: news\ndata: b\ndata: c\n\n';
    assert.equal(bodyOf(await client), `data: before\n\n${expected}data: behind\n\n`);
  }
  assert.equal(news.counts.subscribers, 0);
  assert.deepEqual(world.errors, []);
  await world.close();
});

test('a burst in one turn is not dropped for a client that reads', async () => {
  const news = topic<string>('news', { policy: 'disconnect', maxWaiting: 1 });
  const world = await open(news, {}, { latency: 0.01, pieces: 'whole', capacity: 2 ** 20 });
  const client = world.exchange(get('/', close));
  await world.pass(100);
  for (let i = 0; i < 300; i++) news.publish('x'.repeat(1000));
  await world.pass(100);
  news.close();
  await world.pass();
  assert.equal(bodyOf(await client).split('data: ').length - 1, 300);
  assert.equal(news.counts.disconnected, 0);
  await world.close();
});

test('no thread is resumed for a message while the clients have room', async () => {
  const news = topic<number>('news');
  const world = await open(news);
  const clients = Array.from({ length: 20 }, () => world.exchange(get('/')));
  await world.pass(1000);
  const { scheduler } = world.network;
  const resume = scheduler.resume.bind(scheduler);
  const resumed = new Set<string>();
  scheduler.resume = (thread) => {
    resumed.add((thread as unknown as { name: string }).name);
    resume(thread);
  };
  for (let i = 0; i < 10; i++) news.publish(i);
  await world.pass(1000);
  assert.equal(resumed.has('connection'), false);
  news.close();
  await world.pass();
  for (const client of clients) assert.match(bodyOf(await client), /^(data: \d\n\n){10}$/);
  await world.close();
});

for (const how of ['FIN', 'RST'] as const) {
  test(`${how}: the subscription ends in the same turn`, async () => {
    const news = topic<string>('news');
    const world = await open(news);
    leave(world, how);
    await world.pass(90);
    assert.equal(news.counts.subscribers, 1);
    news.publish('a');
    await world.pass(20);
    assert.equal(news.counts.subscribers, 0);
    news.publish('b');
    await world.pass();
    assert.deepEqual(world.errors, []);
    await world.close();
  });
}

test('Last-Event-ID: what was missed comes first', async () => {
  const news = topic<string>('news', { history: 3 });
  const world = await open(news);
  for (const id of ['1', '2', '3', '4', '5']) news.publish(`message ${id}`, { id });
  const ids = ['5', '4', '2', '1', 'ü'];
  const clients = ids.map((id) =>
    world.exchange(get('/', close, `last-event-id: ${Buffer.from(id).toString('latin1')}`)),
  );
  clients.push(world.exchange(get('/', close)));
  await world.pass(1000);
  news.publish('last', { id: '6' });
  await world.pass(1000);
  news.close();
  await world.pass();
  const got = (await Promise.all(clients)).map(bodyOf);
  const message = (id: number) => `id: ${id}\ndata: message ${id}\n\n`;
  const last = 'id: 6\ndata: last\n\n';
  const missed = (id: string) => `event: missed\ndata: ${id}\n\n`;
  assert.deepEqual(got, [
    last,
    message(5) + last,
    message(3) + message(4) + message(5) + last,
    missed('1') + last,
    missed('ü') + last,
    last,
  ]);
  await world.close();
});

test('the event for what was missed is an option, or none; the whole history may come first', async () => {
  for (const [options, expected] of [
    [{ missed: { event: 'reload', data: 1 } }, 'event: reload\ndata: 1\n\n'],
    [{ missed: false }, ''],
    [{ replay: true }, 'event: missed\ndata: x\n\nid: 1\ndata: a\n\nid: 2\ndata: b\n\n'],
    [{ after: '' }, ''],
    [{ after: '1' }, 'id: 2\ndata: b\n\n'],
    [{ after: '', replay: true }, 'id: 1\ndata: a\n\nid: 2\ndata: b\n\n'],
  ] satisfies [FollowOptions, string][]) {
    const news = topic<string>('news', { history: 2 });
    news.publish('a', { id: '1' });
    news.publish('b', { id: '2' });
    const world = await open(news, options);
    const client = world.exchange(get('/', close, 'last-event-id: x'));
    await world.pass(1000);
    news.close();
    await world.pass();
    assert.equal(bodyOf(await client), expected);
    await world.close();
  }
});

test('a handler that takes a snapshot goes on behind it, without a gap', async () => {
  const news = topic<number>('news', { history: 100 });
  let sum = 0;
  const add = (value: number): void => {
    sum += value;
    news.publish(value);
  };
  const world = await World.open({
    fetch: (request) =>
      events(request, function* (client) {
        if (!news.canResume(client.lastEventId)) {
          const after = news.lastId;
          yield* client.send({ event: 'sum', data: sum });
          yield* sleep(50);
          yield* client.follow(news, { after });
        } else yield* client.follow(news);
      }),
  });
  for (let i = 1; i <= 10; i++) add(i);
  const client = world.exchange(get('/', close));
  await world.pass(20);
  add(100);
  await world.pass(1000);
  add(1000);
  await world.pass(1000);
  news.close();
  await world.pass();
  const datas = [...bodyOf(await client).matchAll(/data: (\d+)/g)].map(([, data]) => Number(data));
  assert.deepEqual(datas, [55, 100, 1000]);
  await world.close();
});

// Clients that do not read.

test('a slow client gets the newest messages behind what was queued for it; the others get all', async () => {
  const news = topic<string>('news', { maxWaiting: 5 });
  const world = await open(news, {}, small);
  const fast = world.exchange(get('/', close));
  const slow = slowClient(world, 5000);
  await world.pass(1000);
  const filling = 'x'.repeat(1000);
  for (let i = 0; i < 200; i++) {
    news.publish(`${i} ${filling}`);
    await world.pass(10);
  }
  assert.ok(news.counts.dropped > 50);
  await world.pass(5000);
  news.publish('last');
  await world.pass(1000);
  news.close();
  await world.pass();
  const numbers = (exchanged: Exchanged) =>
    [...bodyOf(exchanged).matchAll(/data: (\d+) x{1000}\n\n/g)].map(([, number]) => Number(number));
  const all = Array.from({ length: 200 }, (_, i) => i);
  assert.deepEqual(numbers(await fast), all);
  const got = numbers(await slow);
  assert.equal(got.length + news.counts.dropped, 200);
  assert.deepEqual(got.slice(-5), [195, 196, 197, 198, 199]);
  assert.deepEqual(got.slice(0, -5), all.slice(0, got.length - 5));
  assert.match(bodyOf(await slow), /data: last\n\n$/);
  assert.deepEqual(world.errors, []);
  await world.close();
});

test('disconnect: a slow client is reset, and its handler unwound', async () => {
  const news = topic<string>('news', { policy: 'disconnect', maxWaiting: 5 });
  let unwound = 0;
  const world = await World.open(
    {
      fetch: (request) =>
        events(request, function* (client) {
          try {
            const child = spawn(() => client.follow(news)); // whichever thread follows, the stream ends
            yield* child.join();
          } finally {
            unwound++;
          }
        }),
    },
    small,
  );
  const fast = world.exchange(get('/', close));
  const slow = slowClient(world, 5000);
  await world.pass(1000);
  for (let i = 0; i < 200; i++) {
    news.publish('x'.repeat(1000));
    await world.pass(1);
  }
  await world.pass(1000);
  assert.equal(unwound, 1);
  assert.deepEqual([news.counts.subscribers, news.counts.disconnected], [1, 1]);
  news.close();
  await world.pass();
  assert.equal((await slow).ending, 'reset');
  assert.equal((await fast).ending, 'FIN');
  assert.deepEqual(world.errors, []);
  await world.close();
});

test('park: the publisher waits for the slowest client, which gets everything', async () => {
  const news = topic<string>('news', { policy: 'park', maxWaiting: 5 });
  const world = await open(news, {}, small);
  const slow = slowClient(world, 5000);
  const fast = world.exchange(get('/', close));
  await world.pass(1000);
  let published = 0;
  const publisher = world.run(function* () {
    for (; published < 200; published++) yield* news.publish(`${published} ${'x'.repeat(1000)}`);
    news.close();
  });
  await world.pass(1000);
  assert.ok(published > 10 && published < 150, `${published} were published`);
  await world.pass();
  await publisher;
  for (const client of [slow, fast]) {
    const numbers = [...bodyOf(await client).matchAll(/data: (\d+)/g)].map(([, number]) => Number(number));
    assert.deepEqual(
      numbers,
      Array.from({ length: 200 }, (_, i) => i),
    );
  }
  assert.equal(news.counts.dropped, 0);
  await world.close();
});

test('a client that takes nothing is reset after writeTimeout', async () => {
  const news = topic<string>('news');
  const world = await World.open(
    { fetch: (request) => events(request, (client) => client.follow(news)), writeTimeout: 2000 },
    small,
  );
  const client = slowClient(world, 10_000);
  await world.pass(100);
  for (let i = 0; i < 100; i++) news.publish('x'.repeat(1000));
  await world.pass(5000);
  assert.equal(news.counts.subscribers, 0);
  await world.pass();
  assert.equal((await client).ending, 'reset');
  assert.deepEqual(world.errors, []);
  await world.close();
});

test('messages larger than a piece of output, and than all that may be queued, arrive whole and in order', async () => {
  const news = topic<string>('news', { maxWaiting: 1000 });
  const world = await open(news, {}, small, { keepAlive: 0 });
  const clients = [world.exchange(get('/', close)), slowClient(world, 3000)];
  await world.pass(100);
  const sizes = [10, 20_000, 5, 300_000, 16_000, 1, 16_384, 70_000, 2];
  for (const size of sizes) news.publish('x'.repeat(size));
  await world.pass(1000);
  news.publish('end');
  await world.pass(30_000);
  news.close();
  await world.pass();
  for (const client of clients) {
    const lengths = bodyOf(await client)
      .split('\n\n')
      .map((event) => event.length - 'data: '.length);
    assert.deepEqual(lengths, [...sizes, 3, -6]);
  }
  assert.equal(news.counts.dropped, 0);
  await world.close();
});

test('other threads may send between the messages, also to a slow client', async () => {
  const news = topic<string>('news', { maxWaiting: 1000 });
  const world = await World.open(
    {
      fetch: (request) =>
        events(request, function* (client) {
          spawn(function* () {
            for (let i = 0; ; i++) {
              yield* client.send({ data: `own ${i}` });
              yield* client.comment('x'.repeat(30_000));
              yield* sleep(20);
            }
          });
          yield* client.follow(news);
        }),
    },
    small,
  );
  const clients = [world.exchange(get('/', close)), slowClient(world, 3000)];
  await world.pass(50);
  for (let i = 0; i < 100; i++) {
    news.publish(`topic ${i} ${'x'.repeat(3000)}`);
    await world.pass(10);
  }
  await world.pass(10_000);
  news.close();
  await world.pass();
  for (const client of clients) {
    const all = bodyOf(await client)
      .split('\n\n')
      .slice(0, -1);
    for (const event of all) assert.match(event, /^(data: own \d+|: x{30000}|data: topic \d+ x{3000})$/);
    const numbers = all.flatMap((event) => /^data: topic (\d+)/.exec(event)?.[1] ?? []);
    assert.deepEqual(
      numbers.map(Number),
      Array.from({ length: 100 }, (_, i) => i),
    );
    assert.ok(all.some((event) => event.startsWith('data: own 3')));
  }
  assert.deepEqual(world.errors, []);
  await world.close();
});

test('a thread that goes on following after its stream has ended writes nothing behind the end', async () => {
  const news = topic<string>('news');
  const world = await World.open({
    fetch: (request) =>
      events(request, function* (client) {
        spawn(function* () {
          try {
            yield* client.follow(news);
          } finally {
            yield* sleep(100);
          }
        });
        yield* sleep(50);
      }),
  });
  const client = world.exchange(get('/') + get('/', close));
  for (let i = 0; i < 60; i++) {
    news.publish(`${i}`);
    await world.pass(10);
  }
  await world.pass();
  const { responses, ending } = await client;
  assert.deepEqual([responses.length, ending], [2, 'FIN']);
  for (const { body } of responses) assert.match(body, /^(data: \d+\n\n)+$/);
  await world.close();
});

// The rest of an event stream's life.

test('messages count as signs of life', async () => {
  const news = topic<string>('news');
  const world = await open(news, {}, undefined, { keepAlive: 1000 });
  const client = world.exchange(get('/', close));
  await world.pass(100);
  for (let i = 0; i < 10; i++) {
    news.publish('a');
    await world.pass(500);
  }
  await world.pass(2000);
  news.close();
  await world.pass();
  assert.match(bodyOf(await client), /^(data: a\n\n){10}(:\n\n){2}$/);
  await world.close();
});

test('close() of the server ends the streams that follow, in good order', async () => {
  const news = topic<string>('news', { history: 5 });
  const world = await open(news, {}, undefined, { retryOnClose: 100 });
  const clients = Array.from({ length: 5 }, () => world.exchange(get('/')));
  await world.pass(100);
  news.publish('a', { id: 'a' });
  await world.pass(100);
  const closing = world.server.close();
  await world.pass();
  await closing;
  for (const client of clients) assert.match(bodyOf(await client), /^id: a\ndata: a\n\nretry: (?:1\d\d|200)\n\n$/);
  assert.equal(news.counts.subscribers, 0);
  await world.close();
});

test('HEAD follows nothing', async () => {
  const news = topic<string>('news', { history: 5 });
  news.publish('a');
  const world = await open(news, { replay: true });
  const client = world.exchange(get('/', close).replace('GET', 'HEAD'), 'HEAD');
  await world.pass();
  assert.equal((await client).responses[0].status, 200);
  assert.equal(news.counts.subscribers, 0);
  await world.close();
});

test('a stream that is read by code instead of being sent has the messages, too', async () => {
  const news = topic<string>('news', { history: 5 });
  news.publish('a', { id: '1' });
  const request = { headers: new Headers({ 'last-event-id': '0' }) };
  const response = events(request, (client) => client.follow(news, { replay: true }));
  const reader = response.body?.getReader();
  assert.ok(reader);
  const decoder = new TextDecoder();
  const next = async () => decoder.decode((await reader.read()).value);
  assert.equal(await next(), 'event: missed\ndata: 0\n\n');
  assert.equal(await next(), 'id: 1\ndata: a\n\n');
  news.publish('b', { id: '2' });
  assert.equal(await next(), 'id: 2\ndata: b\n\n');
  news.close();
  assert.equal((await reader.read()).done, true);
  assert.equal(news.counts.subscribers, 0);
});

test('what is wrong with a message is thrown where it is published, before anything follows the topic', async () => {
  const news = topic<unknown>('news', { encode: (message) => message as string, event: () => 'a\nb' });
  assert.throws(() => news.publish('x'), /^TypeError: publish: event is "a\\nb"/);
  const numbers = topic<number>('numbers', { encode: (message) => message as never });
  assert.throws(() => numbers.publish(5), /^TypeError: publish: encode returned 5; expected a string or a Uint8Array/);
  assert.throws(() => topic<bigint>('big').publish(5n), {
    message: /^publish: the message is 5; expected a value that JSON can express \(.*BigInt\)/,
  });
});

test('a message that an event stream cannot take ends that stream: neither the publisher nor others notice', async () => {
  const bytes = topic<Uint8Array | string>('bytes');
  const world = await World.open({
    fetch: (request) =>
      request.url.endsWith('/ws')
        ? webSocket(request, function* (socket) {
            socket.follow(bytes);
            yield* socket.receive();
          })
        : events(request, (client) => client.follow(bytes)),
  });
  const reader = bytes.subscribe();
  const peer = world.run(function* () {
    const socket = yield* connectWebSocket(`ws://127.0.0.1:${world.server.port}/ws`, { network: world.network });
    const got = [yield* socket.receive(), yield* socket.receive()];
    socket.close();
    return got;
  });
  const client = world.exchange(get('/'));
  await world.pass(100);
  bytes.publish('text');
  await world.pass(10);
  bytes.publish(new Uint8Array(1));
  await world.pass(100);
  assert.equal(bytes.counts.published, 2);
  assert.equal(reader.waiting, 2);
  assert.deepEqual(await peer, ['text', new Uint8Array(1)]);
  const { ending, partialBody } = await client;
  assert.deepEqual([ending, partialBody], ['reset', 'data: text\n\n']);
  assert.match(
    String(world.errors),
    /^TypeError: follow: the content of a message is \[object Uint8Array\]; expected a/,
  );
  await world.pass();
  assert.equal(bytes.counts.subscribers, 1);
  reader.close();
  await world.close();
});

test('a topic with `encode: false` is for threads: its messages may be anything, and what follows it gets an error', async () => {
  const things = topic<unknown>('things', { encode: false, history: 5 });
  const circle: unknown[] = [];
  circle.push(circle, 5n, () => 1);
  things.publish(circle);
  assert.deepEqual(things.history, [circle]);
  const world = await open(things as BaseTopic<string>);
  const client = world.exchange(get('/'));
  await world.pass();
  assert.equal((await client).ending, 'reset');
  assert.match(
    String(world.errors),
    /^TypeError: follow: the topic things has the option encode: false, for threads only/,
  );
  await world.close();
});

test('wrong options of follow are errors of the handler', async () => {
  const wrong: [unknown, unknown, RegExp][] = [
    [{}, {}, /^TypeError: follow: the topic is \[object Object\]; expected a topic/],
    [topic('a'), { from: 1 }, /^TypeError: follow: unknown option "from"/],
    [topic('a'), { after: 1 }, /^TypeError: follow: after is 1; expected a string/],
    [topic('a'), { missed: {} }, /^TypeError: follow: missed: the event has no field/],
  ];
  for (const [news, options, message] of wrong) {
    const world = await open(news as BaseTopic<string>, options as FollowOptions);
    const client = world.exchange(get('/'));
    await world.pass();
    assert.equal((await client).ending, 'reset');
    assert.match(String(world.errors[0]), message);
    await world.close();
  }
});

test('10,000 subscribers in small: some read nothing, and the others are not delayed', async () => {
  const count = 100;
  const lazy = 5;
  const news = topic<string>('news', { maxWaiting: 8 });
  const world = await open(news, {}, { latency: 1, pieces: 'whole', capacity: 8192 });
  const delays: number[] = [];
  const delaysWith = function* (seconds: number): Task<number[]> {
    delays.length = 0;
    for (let i = 0; i < seconds * 10; i++) {
      news.publish(`${world.network.scheduler.now} ${'x'.repeat(500)}`);
      yield* sleep(100);
    }
    return [...delays].sort((a, b) => a - b);
  };
  const reader = function* (): Task<void> {
    const connection = yield* world.connect();
    yield* connection.writer.write(get('/'));
    for (let line: string | undefined; (line = yield* connection.reader.readLine(1000)) !== undefined; ) {
      const [, at] = /^data: ([\d.]+) /.exec(line) ?? [];
      if (at !== undefined) delays.push(world.now - Number(at));
    }
  };
  for (let i = 0; i < count; i++) void world.run(reader).catch(() => {});
  await world.pass(1000);
  const measured = world.run(() => delaysWith(5));
  await world.pass(6000);
  const before = await measured;
  const lazyClients = Array.from({ length: lazy }, () => slowClient(world, 60_000));
  await world.pass(1000);
  await world.pass(100);
  const filling = world.run(() => delaysWith(30)); // until the lazy ones are flooded
  await world.pass(31_000);
  await filling;
  const again = world.run(() => delaysWith(5));
  await world.pass(6000);
  const after = await again;
  const p99 = (all: number[]) => all[Math.floor(all.length * 0.99)];
  assert.equal(before.length, count * 50);
  assert.equal(after.length, count * 50);
  assert.ok(p99(after) <= 1.2 * p99(before), `p99 ${p99(before)} ms before, ${p99(after)} ms after`);
  assert.equal(news.counts.dropped > 0, true);
  assert.equal(news.counts.dropped % lazy, 0); // each lazy one has lost as much
  const most = 64 * 1024 + 1024;
  assert.ok(world.server.buffered.held <= lazy * most, `${world.server.buffered.held} bytes are held`);
  news.close();
  await world.pass();
  await Promise.all(lazyClients);
  await world.close();
});
