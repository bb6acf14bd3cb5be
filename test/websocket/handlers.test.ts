// WebSockets by handlers, over the simulated network.

import assert from 'node:assert/strict';
import { AsyncLocalStorage } from 'node:async_hooks';
import { describe, it } from 'node:test';
import { deflateRawSync, inflateRawSync } from 'node:zlib';
import type { SimulatedOptions } from '#sluice/event-layer/simulated/simulated.js';
import { stream } from '#sluice/http/stream.js';
import type { ServeOptions } from '#sluice/server/serve.js';
import { sleep } from '#sluice/threads/sleep.js';
import type { Task } from '#sluice/threads/task.js';
import { propertyOf } from '#sluice/util/inspect.js';
import type { WebSocketError } from '#sluice/websocket/errors.js';
import type { ServerWebSocket, WebSocketHandlers } from '#sluice/websocket/handlers.js';
import { pauseReading, resumeReading, World } from '../support/world.js';
import { closeFrame, frame, handshake, opcode, RawPeer, text } from './raw-peer.js';

const quiet: SimulatedOptions = { latency: 0.01, pieces: 'whole' };

interface Session {
  world: World;
  /** What the handlers were called with. */
  events: unknown[];
  sockets: ServerWebSocket[];
}

/** A server whose handlers note each call, and then do what is given. */
async function open(
  handlers: Partial<WebSocketHandlers>,
  options: Partial<ServeOptions> = {},
  simulated = quiet,
): Promise<Session> {
  const events: unknown[] = [];
  const sockets: ServerWebSocket[] = [];
  const world = await World.open(
    {
      fetch: (request, info) => {
        info.upgrade(request, { data: new URL(request.url).pathname });
        return undefined;
      },
      websocket: {
        ...handlers,
        open(ws) {
          sockets.push(ws);
          events.push('open');
          return handlers.open?.(ws);
        },
        message(ws, message) {
          events.push(message);
          return handlers.message?.(ws, message);
        },
        close(ws, code, reason) {
          events.push(`close ${code} ${reason}`.trim());
          return handlers.close?.(ws, code, reason);
        },
        drain(ws) {
          events.push('drain');
          return handlers.drain?.(ws);
        },
        ping(ws, data) {
          events.push(`ping ${Buffer.from(data)}`.trim());
          return handlers.ping?.(ws, data);
        },
        pong(ws, data) {
          events.push(`pong ${Buffer.from(data)}`.trim());
          return handlers.pong?.(ws, data);
        },
      },
      ...options,
    },
    simulated,
  );
  return { world, events, sockets };
}

/** Runs a client against a server, and checks that nothing is left. */
async function between<T>(
  handlers: Partial<WebSocketHandlers>,
  client: (peer: RawPeer, session: Session) => Task<T>,
  options: Partial<ServeOptions> = {},
  simulated = quiet,
): Promise<{ got: T; events: unknown[]; errors: string[] }> {
  const session = await open(handlers, options, simulated);
  const { world, events } = session;
  const running = world.run(function* () {
    return yield* client(yield* RawPeer.open(world), session);
  });
  await world.pass();
  const got = await running;
  await world.close();
  return { got, events, errors: world.errors.map(String) };
}

describe('a WebSocket by handlers', () => {
  it('calls open, message, ping, pong and close, in order, under every seed and cut', async () => {
    for (const seed of [1, 2, 3])
      for (const pieces of ['random', 'whole', 1] as const) {
        const { got, events, errors } = await between(
          { message: (ws, message) => void ws.send(message) },
          function* (peer) {
            yield* peer.send(text('ü€😀'), frame(opcode.ping, 'p'), frame(opcode.pong, 'q'));
            yield* peer.send(frame(opcode.text, 'a', { fin: false }), frame(opcode.continuation, 'b'));
            yield* peer.send(frame(opcode.binary, Buffer.from([1, 2])), closeFrame(4000, 'why'));
            return yield* peer.rest();
          },
          {},
          { seed, pieces },
        );
        assert.deepEqual(got, ['text:ü€😀', 'pong:p', 'text:ab', 'binary:0102', 'close:4000:', 'FIN']);
        assert.deepEqual(events, ['open', 'ü€😀', 'ping p', 'pong q', 'ab', Buffer.from([1, 2]), 'close 4000 why']);
        assert.deepEqual(errors, []);
      }
  });

  it('gives binary messages, pings and pongs as Buffers that have their whole ArrayBuffer to themselves', async () => {
    const seen: unknown[] = [];
    const note = (_: unknown, data: string | Uint8Array): void =>
      void seen.push(Buffer.isBuffer(data), (data as Buffer).buffer.byteLength, (data as Buffer).byteOffset);
    await between({ message: note, ping: note, pong: note }, function* (peer) {
      yield* peer.send(frame(opcode.binary, 'abc'), frame(opcode.ping, 'ab'), frame(opcode.pong, 'a'), closeFrame());
      yield* peer.rest();
    });
    assert.deepEqual(seen, [true, 3, 0, true, 2, 0, true, 1, 0]);
  });

  it('is always the same object, with the data that upgrade was given, and knows its client', async () => {
    const seen: unknown[] = [];
    const { events } = await between(
      {
        open: (ws) =>
          void seen.push(
            ws,
            ws.data,
            ws.readyState,
            /^127\.0\.0\.1:\d+$/.test(ws.peer),
            ws.remoteAddress === '127.0.0.1',
          ),
        message(ws) {
          ws.data = 'changed';
          seen.push(ws);
        },
        close: (ws) => void seen.push(ws, ws.data, ws.readyState),
      },
      function* (peer) {
        yield* peer.send(text('a'), closeFrame());
        yield* peer.rest();
      },
    );
    const [ws] = seen;
    assert.deepEqual(seen, [ws, '/', 1, true, true, ws, ws, 'changed', 3]);
    assert.deepEqual(events, ['open', 'a', 'close 1005']);
  });

  it('is opened by plain, async and thread handlers, whatever these return', async () => {
    const fetches: ServeOptions['fetch'][] = [
      (request, info) => void info.upgrade(request) as undefined,
      (request, info) => (info.upgrade(request) ? new Response('ignored') : undefined),
      async (request, info) => {
        info.upgrade(request);
        return undefined;
      },
      async (request, info) => {
        await new Promise((resolve) => setImmediate(resolve));
        info.upgrade(request);
        return new Response('ignored');
      },
      function* (request, info) {
        yield* sleep(5);
        info.upgrade(request);
        return undefined;
      },
    ];
    for (const fetch of fetches) {
      const { got, errors } = await between(
        { message: (ws, message) => void ws.send(message) },
        function* (peer) {
          yield* peer.send(text('a'), closeFrame(1000));
          return yield* peer.rest();
        },
        { fetch },
      );
      assert.deepEqual(got, ['text:a', 'close:1000:', 'FIN']);
      assert.deepEqual(errors, []);
    }
  });

  it('owns no thread, and its connection counts as idle', async () => {
    const { got } = await between({}, function* (peer, { world }) {
      yield* sleep(10);
      const { idle, handling, total } = world.server.connections;
      const threads = [...world.server.active()].length;
      yield* peer.sendClose();
      yield* peer.rest();
      return { idle, handling, total, threads };
    });
    assert.deepEqual(got, { idle: 1, handling: 0, total: 1, threads: 0 });
  });

  it('calls handlers in the async context of serve, with the handlers as `this`', async () => {
    const storage = new AsyncLocalStorage<string>();
    const seen: unknown[] = [];
    await storage.run('of serve', async () => {
      const websocket: WebSocketHandlers = {
        open() {
          seen.push(storage.getStore(), this === websocket);
        },
        message() {
          seen.push(storage.getStore(), this === websocket);
        },
        close() {
          seen.push(storage.getStore(), this === websocket);
        },
      };
      const world = await World.open({
        websocket,
        fetch: (request, info) => storage.run('of a request', () => void info.upgrade(request) as undefined),
      });
      world.run(function* () {
        const peer = yield* RawPeer.open(world);
        yield* peer.send(text('a'), closeFrame());
        yield* peer.rest();
      });
      await world.pass();
      await world.close();
    });
    assert.deepEqual(seen, ['of serve', true, 'of serve', true, 'of serve', true]);
  });

  it('reports what a handler throws or rejects with, with the request and the client, and stays open', async () => {
    const infos: string[] = [];
    const { got, events } = await between(
      {
        open: () => {
          throw new Error('open');
        },
        message: async () => {
          throw new Error('message');
        },
        ping: () => Promise.reject(new Error('ping')),
        close: () => {
          throw new Error('close');
        },
      },
      function* (peer) {
        yield* peer.send(text('a'), frame(opcode.ping, 'p'));
        const pong = yield* peer.read();
        yield* sleep(10);
        yield* peer.sendClose();
        return [pong, ...(yield* peer.rest())];
      },
      {
        onError: (error, request, info) =>
          infos.push(
            `${error} ${request?.url} ${request?.headers.get('sec-websocket-version')} ${/^127/.test(info?.peer ?? '')}`,
          ),
      },
    );
    assert.deepEqual(got, ['pong:p', 'close:', 'FIN']);
    assert.deepEqual(events, ['open', 'a', 'ping p', 'close 1005']);
    assert.deepEqual(
      infos,
      ['open', 'message', 'ping', 'close'].map((name) => `Error: ${name} http://a/ 13 true`),
    );
  });

  it('answers with 500 when the handler throws after upgrade, and opens no WebSocket', async () => {
    const session = await open(
      {},
      {
        fetch: (request, info) => {
          info.upgrade(request);
          throw new Error('after');
        },
      },
    );
    const { world, events } = session;
    const client = world.run(() => RawPeer.open(world));
    await world.pass();
    await assert.rejects(client, /answered with 500/);
    assert.deepEqual(world.errors.map(String), ['Error: after']);
    assert.deepEqual(events, []);
    await world.close();
  });

  it('is upgraded once: a second upgrade of the same request returns false', async () => {
    const seen: boolean[] = [];
    let whenOpen = (): unknown => undefined;
    await between(
      { open: () => void whenOpen() },
      function* (peer) {
        yield* peer.sendClose();
        yield* peer.rest();
      },
      {
        fetch(request, info) {
          seen.push(info.upgrade(request), info.upgrade(request));
          whenOpen = () => seen.push(info.upgrade(request));
          return undefined;
        },
      },
    );
    assert.deepEqual(seen, [true, false, false]);
  });

  it('is not upgraded once its request has been answered, or its client is gone: upgrade returns false', async () => {
    const answer = new Response('no WebSocket');
    const handlers: [string, ServeOptions['fetch']][] = [
      ['plain', () => answer.clone()],
      ['async', async () => answer.clone()],
      [
        'failed',
        () => {
          throw new Error('failed');
        },
      ],
      [
        'rejected',
        async () => {
          await new Promise((resolve) => setImmediate(resolve));
          throw new Error('failed');
        },
      ],
      [
        'thread',
        function* () {
          yield* sleep(1);
          return answer.clone();
        },
      ],
      [
        'stream',
        () =>
          stream(function* (out) {
            yield* out.write('no');
            yield* sleep(500);
          }),
      ],
      ['client is gone', () => new Promise<Response>((resolve) => setTimeout(resolve, 50, answer.clone()))],
    ];
    for (const [how, fetch] of handlers) {
      const seen: unknown[] = [];
      const { world, events } = await open(
        {},
        {
          fetch(request, info) {
            later = () => seen.push(info.upgrade(request), world.server.upgrade(request));
            return fetch(request, info);
          },
        },
      );
      let later = (): unknown => undefined;
      world.run(function* () {
        const connection = yield* world.connect();
        yield* connection.writer.write(handshake());
        yield* sleep(how === 'client is gone' ? 1 : 100);
        if (how === 'client is gone') connection.reset();
        yield* sleep(1);
        later();
        connection.reset();
      });
      await world.pass();
      assert.deepEqual(seen, [false, false], how);
      assert.deepEqual(events, []);
      await world.close();
    }
  });

  it('needs the option websocket: without it upgrade, publish and subscriberCount throw', async () => {
    const world = await World.open({
      fetch: (request, info) => {
        for (const call of [
          () => info.upgrade(request),
          () => info.publish('a', 'b'),
          () => info.subscriberCount('a'),
          () => world.server.publish('a', 'b'),
        ])
          assert.throws(call, /TypeError: \w+: serve was called without websocket; expected the handlers/);
        return new Response('ok');
      },
    });
    const client = world.exchange('GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n');
    await world.pass();
    assert.equal((await client).responses[0]?.status, 200);
    await world.close();
  });
});

describe('sending from handlers', () => {
  it('takes strings, and every kind of bytes', async () => {
    const { got } = await between(
      {
        open(ws) {
          ws.send('a');
          ws.send(new Uint8Array([1]));
          ws.send(new Uint16Array([2]));
          ws.send(new Uint8Array([3]).buffer);
          ws.send(new DataView(new Uint8Array([4, 5]).buffer, 1));
          ws.sendText('b');
          ws.sendBinary(Buffer.from('c'));
          ws.ping();
          ws.ping('p');
          ws.pong(new Uint8Array([113]));
          ws.cork((same) => same.send('corked'));
          for (const [wrong, message] of [
            [
              () => ws.send(5 as never),
              /TypeError: send: the data is 5; expected a string, an ArrayBuffer, or a view of one/,
            ],
            [() => ws.close('1000' as never), /TypeError: close: code is "1000"; expected 1000 to 1003/],
            [() => ws.sendText(new Uint8Array(1) as never), /TypeError: sendText: the data is .*; expected a string/],
            [() => ws.sendBinary('a' as never), /TypeError: sendBinary: the data is "a"; expected bytes/],
            [() => ws.ping('x'.repeat(126)), /RangeError: ping: the data has 126 bytes; expected at most 125/],
            [() => ws.pong('ü'.repeat(63)), /RangeError: pong: the data has 126 bytes/],
            [() => ws.publish(5 as never, 'a'), /TypeError: publish: the topic is 5; expected a string/],
            [() => ws.subscribe({} as never), /TypeError: subscribe: the topic is .*; expected a string/],
            [() => ws.close(1005), /RangeError: close: code is 1005/],
            [() => ws.close(1000, 'x'.repeat(124)), /RangeError: close: reason has 124 bytes/],
          ] as const)
            assert.throws(wrong, message);
          ws.close(3000, 'done');
        },
      },
      function* (peer) {
        const seen: string[] = [];
        for (let next: string; !(next = yield* peer.read()).startsWith('close'); ) seen.push(next);
        yield* peer.sendClose(3000);
        yield* peer.rest();
        return seen;
      },
    );
    assert.deepEqual(got, [
      'text:a',
      'binary:01',
      'binary:0200',
      'binary:03',
      'binary:05',
      'text:b',
      'binary:63',
      'ping:',
      'ping:p',
      'pong:q',
      'text:corked',
    ]);
  });

  it('returns bytes, -1 for a slow client, and 0 where nothing is sent; drain follows the last two', async () => {
    const results: number[] = [];
    const { events } = await between(
      {
        backpressureLimit: 200_000,
        open(ws) {
          results.push(ws.send('abc'));
          for (let i = 0; i < 4; i++) results.push(ws.send('x'.repeat(60_000)));
        },
        drain: (ws) => void results.push(ws.send('again')),
        close: (ws) => void results.push(ws.send('too late'), ws.ping()),
      },
      function* (peer) {
        pauseReading(peer.connection);
        yield* sleep(100);
        resumeReading(peer.connection);
        for (let i = 0; i < 5; i++) yield* peer.next();
        yield* peer.sendClose(1000);
        yield* peer.rest();
      },
      {},
      { ...quiet, capacity: 4096 },
    );
    assert.deepEqual(results, [5, 60_004, -1, -1, 0, 7, 0, 0]);
    assert.deepEqual(events, ['open', 'drain', 'close 1000']);
  });

  it('calls drain also where the limit is below what makes a client slow, and sends any message when nothing waits', async () => {
    const results: number[] = [];
    const { got, events } = await between(
      {
        backpressureLimit: 10,
        message(ws) {
          results.push(ws.send('x'.repeat(20)), ws.send('y'));
        },
        drain: (ws) => void results.push(ws.send('z')),
      },
      function* (peer) {
        yield* peer.sendText('go');
        const seen = [yield* peer.read(), yield* peer.read()];
        yield* peer.sendClose();
        yield* peer.rest();
        return seen;
      },
      {},
      { ...quiet, capacity: 4 }, // most of the first message waits
    );
    assert.deepEqual(got, [`text:${'x'.repeat(20)}`, 'text:z']);
    assert.deepEqual(results, [22, 0, 3]);
    assert.deepEqual(events, ['open', 'go', 'drain', 'close 1005']);
  });

  it('delivers all that is sent in one turn to a client that reads, however much more than the limit it is', async () => {
    const results: number[] = [];
    const { got, events } = await between(
      {
        backpressureLimit: 150_000,
        closeOnBackpressureLimit: true,
        open(ws) {
          for (let i = 0; i < 14; i++) results.push(ws.send('x'.repeat(100_000)));
        },
      },
      function* (peer) {
        let length = 0;
        for (let i = 0; i < 14; i++) length += (yield* peer.next())?.payload.length ?? 0;
        yield* peer.sendClose(1000);
        yield* peer.rest();
        return length;
      },
      {},
      { ...quiet, capacity: 2 ** 21 },
    );
    assert.equal(got, 1_400_000);
    assert.deepEqual(results, Array(14).fill(100_010));
    assert.deepEqual(events, ['open', 'close 1000']);
  });

  it('disconnects a client for which a message is dropped, with closeOnBackpressureLimit', async () => {
    const results: number[] = [];
    let error: Error | undefined;
    const { got, events } = await between(
      {
        backpressureLimit: 100_000,
        closeOnBackpressureLimit: true,
        close(ws) {
          error = ws.error;
        },
        message(ws) {
          for (let i = 0; i < 4; i++) results.push(ws.send('x'.repeat(60_000)));
        },
      },
      function* (peer) {
        pauseReading(peer.connection);
        yield* peer.send(text('go'), text('behind'));
        yield* sleep(100);
        resumeReading(peer.connection);
        return (yield* peer.rest()).at(-1);
      },
      {},
      { ...quiet, capacity: 4096 },
    );
    assert.equal(got, 'reset');
    assert.deepEqual(results, [60_004, 0, 0, 0]);
    assert.deepEqual(events, ['open', 'go', 'close 1006']);
    assert.match(
      String(error),
      /^ConnectionError: the client is too slow: \d+ bytes are queued for it, and 60000 more would exceed backpressureLimit, 100000 bytes$/,
    );
    assert.equal(propertyOf(error, 'code'), 'ERR_TOO_SLOW');
  });

  it('has nothing left queued or counted when a client that reads nothing has gone', async () => {
    const { events } = await between(
      {
        open(ws) {
          while (ws.send('x'.repeat(10_000)) !== 0);
          assert.ok(ws.bufferedAmount > 900_000 && ws.bufferedAmount <= 2 ** 20);
        },
      },
      function* (peer) {
        pauseReading(peer.connection);
        yield* sleep(100);
        peer.connection.reset();
      },
      {},
      { ...quiet, capacity: 4096 },
    );
    assert.deepEqual(events, ['open', 'close 1006']);
  });
});

describe('the end of a WebSocket by handlers', () => {
  it('by ws.close: nothing but close is called from then on', async () => {
    const states: number[] = [];
    const { got, events } = await between(
      {
        message(ws) {
          ws.close(4000, 'enough');
          states.push(ws.readyState, ws.send('too late'));
          ws.close();
        },
        close: (ws) => void states.push(ws.readyState),
      },
      function* (peer) {
        yield* peer.send(text('one'), text('two'), frame(opcode.ping, 'p'));
        const close = yield* peer.read();
        yield* peer.send(text('three'), closeFrame(4000));
        return [close, ...(yield* peer.rest())];
      },
    );
    assert.deepEqual(got, ['close:4000:enough', 'FIN']);
    assert.deepEqual(events, ['open', 'one', 'close 4000']);
    assert.deepEqual(states, [2, 0, 3]);
  });

  it('by ws.terminate is a reset: messages of the same packet are dropped', async () => {
    const states: number[] = [];
    const { got, events } = await between(
      {
        message(ws) {
          ws.terminate();
          ws.terminate();
          states.push(ws.readyState, ws.send('a'), ws.bufferedAmount);
        },
      },
      function* (peer) {
        yield* peer.send(text('one'), text('two'));
        return yield* peer.rest();
      },
    );
    assert.deepEqual(got, ['reset']);
    assert.deepEqual(events, ['open', 'one', 'close 1006']);
    assert.deepEqual(states, [3, 0, 0]);
  });

  for (const [how, leave, code] of [
    ['a reset', (peer: RawPeer) => peer.connection.reset(), 1006],
    ['FIN', (peer: RawPeer) => peer.connection.finish(), 1006],
  ] as const)
    it(`by ${how} is 1006`, async () => {
      const { events, errors } = await between({}, function* (peer) {
        yield* sleep(10);
        leave(peer);
        yield* sleep(10);
      });
      assert.deepEqual(events, ['open', `close ${code}`]);
      assert.deepEqual(errors, []);
    });

  it('by what the client does wrong is 1006, with the rule in `error`, and what came before is handled', async () => {
    let error: Error | undefined;
    const { got, events } = await between(
      {
        close(ws) {
          error = ws.error;
        },
      },
      function* (peer) {
        yield* peer.send(text('before'), frame(opcode.text, Buffer.from([0xff])), text('behind'));
        return yield* peer.rest();
      },
    );
    assert.deepEqual(got, ['close:1007:', 'FIN']);
    assert.deepEqual(events, ['open', 'before', 'close 1006']);
    assert.match(String(error), /WebSocketError: a text message is not UTF-8/);
    assert.equal((error as WebSocketError).closeCode, 1007);
  });

  it('is 1006 for a client that does not answer, after ten seconds', async () => {
    const { got, events } = await between({ open: (ws) => ws.close() }, function* (peer, { world }) {
      const start = world.now;
      return [...(yield* peer.rest()), Math.floor((world.now - start) / 100)];
    });
    assert.deepEqual(got, ['close:1000:', 'FIN', 100]);
    assert.deepEqual(events, ['open', 'close 1006']);
  });

  it('comes with what follows the handshake in the same packet', async () => {
    const session = await open({});
    const { world, events } = session;
    const client = world.run(function* () {
      const peer = yield* RawPeer.open(world, {}, Buffer.concat([text('early'), closeFrame(1000)]));
      return yield* peer.rest();
    });
    await world.pass();
    assert.deepEqual(await client, ['close:1000:', 'FIN']);
    assert.deepEqual(events, ['open', 'early', 'close 1000']);
    await world.close();
  });

  it('by close() of the server is 1001 for each, and the promise resolves also for clients that do not answer', async () => {
    const session = await open({});
    const { world, events } = session;
    const clients = [true, false].map((answers) =>
      world.run(function* () {
        const peer = yield* RawPeer.open(world);
        const close = yield* peer.read();
        if (answers) yield* peer.sendClose(1001);
        return [close, (yield* peer.rest()).at(-1)];
      }),
    );
    await world.pass(100);
    const start = world.layer.now();
    let took = 0;
    const closing = world.server.close({ deadline: 3000 }).then(() => {
      took = world.layer.now() - start;
    });
    await world.pass();
    await closing;
    const goodbye = 'close:1001:the server is closing';
    assert.deepEqual(await Promise.all(clients), [
      [goodbye, 'FIN'],
      [goodbye, 'reset'],
    ]);
    assert.ok(took >= 3000 && took < 3500, `it took ${took} ms`);
    assert.deepEqual(events, ['open', 'open', 'close 1001', 'close 1006']);
    await world.close();
  });
});

describe('idleTimeout', () => {
  it('does not run while the WebSocket is paused, and FIN is not seen until it is read again', async () => {
    const { got, events } = await between(
      {
        idleTimeout: 1,
        open: (ws) => ws.pause(),
      },
      function* (peer, { sockets, events: seen }) {
        peer.connection.finish();
        yield* sleep(5000);
        const before = [...seen];
        sockets[0]?.resume();
        yield* peer.rest();
        return before;
      },
    );
    assert.deepEqual(got, ['open']);
    assert.deepEqual(events, ['open', 'close 1006']);
  });

  it('is in seconds: a client of which nothing comes gets a ping before, and is reset', async () => {
    const { got, events } = await between({ idleTimeout: 20 }, function* (peer, { world }) {
      const start = world.now;
      const ping = yield* peer.read();
      const at = Math.floor((world.now - start) / 1000);
      return [ping, at, ...(yield* peer.rest()), Math.floor((world.now - start) / 1000)];
    });
    assert.deepEqual(got, ['ping:', 12, 'reset', 20]);
    assert.deepEqual(events, ['open', 'close 1006']);
  });

  it('keeps a client that answers pings, or sends', async () => {
    const { got } = await between({ idleTimeout: 2 }, function* (peer) {
      let pings = 0;
      for (; pings < 5; pings++) {
        assert.equal(yield* peer.read(), 'ping:');
        yield* peer.send(frame(opcode.pong));
      }
      for (let i = 0; i < 5; i++) {
        yield* sleep(900);
        yield* peer.sendText('a');
      }
      yield* peer.sendClose(1000);
      return yield* peer.rest();
    });
    assert.deepEqual(got, ['close:1000:', 'FIN']);
  });

  it('sends no ping with sendPings: false', async () => {
    const { got } = await between({ idleTimeout: 2, sendPings: false }, function* (peer, { world }) {
      const start = world.now;
      return [...(yield* peer.rest()), Math.floor((world.now - start) / 1000)];
    });
    assert.deepEqual(got, ['reset', 2]);
  });

  it('never comes if it is 0', async () => {
    const { got } = await between({ idleTimeout: 0 }, function* (peer) {
      yield* sleep(1e7);
      yield* peer.sendClose(1000);
      return yield* peer.rest();
    });
    assert.deepEqual(got, ['close:1000:', 'FIN']);
  });

  it('does not end a client that only takes what it is sent', async () => {
    for (const sendPings of [true, false]) {
      const { got } = await between(
        { idleTimeout: 2, sendPings, open: (ws) => void ws.send('x'.repeat(200_000)) },
        function* ({ connection }) {
          let size = 0;
          pauseReading(connection);
          while (size < 200_000) {
            yield* sleep(500);
            resumeReading(connection);
            yield* sleep(0.1);
            pauseReading(connection);
            const { buffered } = connection.reader;
            if (buffered === 0 && connection.closed) break;
            size += buffered;
            yield* connection.reader.skip(buffered);
          }
          connection.reset();
          return size;
        },
        {},
        { ...quiet, capacity: 8192 },
      );
      assert.ok(got >= 200_000, `${got} bytes were taken`);
    }
  });
});

describe('publish', () => {
  it('sends to those who have subscribed, once each, but not to itself', async () => {
    const session = await open({
      open(ws) {
        ws.subscribe('news');
        ws.subscribe('news');
        if (session.sockets.length === 1) ws.subscribe('one');
      },
      message(ws, message) {
        if (message === 'leave') ws.unsubscribe('news');
        else session.events.push(ws.publish('news', message));
      },
    });
    const { world, sockets, events } = session;
    const peers: RawPeer[] = [];
    const client = world.run(function* () {
      for (let i = 0; i < 3; i++) peers.push(yield* RawPeer.open(world));
      const [one, two, three] = peers;
      yield* one.sendText('from one');
      const heard = [yield* two.read(), yield* three.read()];
      yield* sleep(10);
      assert.deepEqual([world.server.subscriberCount('news'), world.server.subscriberCount('one')], [3, 1]);
      assert.equal(world.server.subscriberCount('none'), 0);
      assert.equal(world.server.publish('news', Buffer.from('ab')), 4);
      assert.equal(world.server.publish('none', 'x'), 0);
      for (const peer of peers) heard.push(yield* peer.read());
      yield* three.sendText('leave');
      yield* sleep(10);
      assert.deepEqual(
        sockets.map((ws) => [ws.isSubscribed('news'), ws.subscriptions]),
        [
          [true, ['news', 'one']],
          [true, ['news']],
          [false, []],
        ],
      );
      yield* two.sendClose();
      yield* two.rest();
      yield* sleep(10);
      assert.equal(world.server.subscriberCount('news'), 1);
      assert.equal(sockets[1]?.isSubscribed('news'), false);
      yield* one.sendText('to nobody');
      yield* sleep(10);
      for (const peer of [one, three]) {
        yield* peer.sendClose();
        heard.push(...(yield* peer.rest()));
      }
      return heard;
    });
    await world.pass();
    const binary = 'binary:6162';
    assert.deepEqual(await client, [
      'text:from one',
      'text:from one',
      binary,
      binary,
      binary,
      'close:',
      'FIN',
      'close:',
      'FIN',
    ]);
    assert.deepEqual(
      events.filter((event) => typeof event === 'number'),
      [10, 0],
    );
    assert.equal(world.server.subscriberCount('news'), 0);
    await world.close();
  });

  it('sends to itself with publishToSelf', async () => {
    const { got } = await between(
      {
        publishToSelf: true,
        open: (ws) => ws.subscribe('a'),
        message: (ws, message) => void ws.publish('a', message),
      },
      function* (peer) {
        yield* peer.sendText('x');
        const heard = yield* peer.read();
        yield* peer.sendClose();
        yield* peer.rest();
        return heard;
      },
    );
    assert.equal(got, 'text:x');
  });

  it('is also a method of what fetch gets, and drops what a slow client has no room for', async () => {
    const session = await open(
      { backpressureLimit: 100_000, open: (ws) => ws.subscribe('a') },
      {
        fetch: (request, info) => {
          if (info.upgrade(request)) return undefined;
          return new Response(`${info.publish('a', 'x'.repeat(30_000))} ${info.subscriberCount('a')}`);
        },
      },
      { ...quiet, capacity: 4096 },
    );
    const { world } = session;
    const client = world.run(function* () {
      const peer = yield* RawPeer.open(world);
      pauseReading(peer.connection);
      yield* sleep(10);
      const bodies: string[] = [];
      for (let i = 0; i < 6; i++) {
        const { reader, writer } = yield* world.connect();
        yield* writer.write('GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n');
        bodies.push(
          /(-?\d+ \d+)(?:\r\n0\r\n\r\n)?$/.exec(Buffer.from(yield* reader.readAll(10_000)).toString())?.[1] ?? '',
        );
      }
      resumeReading(peer.connection);
      let count = 0;
      yield* sleep(100);
      yield* peer.sendClose();
      for (const each of yield* peer.rest()) if (each.startsWith('text')) count++;
      return { bodies, count };
    });
    await world.pass();
    const { bodies, count } = await client;
    assert.deepEqual(bodies.slice(0, 3), ['30004 1', '30004 1', '-1 1']);
    assert.equal(bodies.at(-1), '0 1');
    assert.equal(count, bodies.filter((body) => body !== '0 1').length);
    await world.close();
  });

  it('compresses once for all clients that share the parameters, and not for others', async () => {
    const session = await open({ perMessageDeflate: { threshold: 100 }, open: (ws) => ws.subscribe('a') });
    const { world } = session;
    const data = 'ü'.repeat(1000);
    const client = world.run(function* () {
      const offer = { 'sec-websocket-extensions': 'permessage-deflate' };
      const peers = [yield* RawPeer.open(world, offer), yield* RawPeer.open(world, offer), yield* RawPeer.open(world)];
      yield* sleep(10);
      world.server.publish('a', data);
      world.server.publish('a', 'short');
      const heard: unknown[] = [];
      for (const peer of peers) {
        const long = yield* peer.next();
        assert.ok(long !== undefined);
        const bytes = long.rsv1
          ? inflateRawSync(Buffer.concat([long.payload, Buffer.from([0, 0, 255, 255])]), { finishFlush: 2 })
          : long.payload;
        heard.push([long.rsv1, bytes.toString() === data, yield* peer.read()]);
        yield* peer.sendClose();
        yield* peer.rest();
      }
      return heard;
    });
    await world.pass();
    assert.deepEqual(await client, [
      [true, true, 'text:short'],
      [true, true, 'text:short'],
      [false, true, 'text:short'],
    ]);
    await world.close();
  });
});

describe('a compressed WebSocket by handlers', () => {
  it('takes and sends compressed messages, with and without context takeover', async () => {
    for (const perMessageDeflate of [
      true,
      { serverContextTakeover: true, clientContextTakeover: true, threshold: 0 },
    ]) {
      const session = await open({ perMessageDeflate, message: (ws, message) => void ws.send(message) });
      const { world, events } = session;
      const client = world.run(function* () {
        const peer = yield* RawPeer.open(world, { 'sec-websocket-extensions': 'permessage-deflate' });
        const data = 'compress me '.repeat(300);
        const compressed = deflateRawSync(data, { finishFlush: 2 }).subarray(0, -4);
        yield* peer.send(frame(opcode.text, compressed, { rsv1: true }));
        const answer = yield* peer.next();
        yield* peer.sendClose();
        yield* peer.rest();
        assert.ok(answer?.rsv1);
        return (
          inflateRawSync(Buffer.concat([answer.payload, Buffer.from([0, 0, 255, 255])]), {
            finishFlush: 2,
          }).toString() === data
        );
      });
      await world.pass();
      assert.equal(await client, true);
      assert.equal(events.length, 3);
      await world.close();
    }
  });
});

describe('handlers and limits that are wrong are refused by name', () => {
  const wrong: [unknown, RegExp][] = [
    [{ message: 5 }, /serve: websocket: message is 5; expected a function/],
    [{ message() {}, open: 'x' }, /serve: websocket: open is "x"; expected a function/],
    [{ message() {}, idleTimeout: -1 }, /serve: websocket: idleTimeout is -1; expected a number from 0 to 86400/],
    [{ message() {}, backpressureLimit: 0 }, /serve: websocket: backpressureLimit is 0/],
    [{ message() {}, maxPayloadLength: 1.5 }, /serve: websocket: maxPayloadLength is 1.5/],
    [{ message() {}, messageTimeout: 0 }, /serve: websocket: messageTimeout is 0; expected a number from 1 to/],
    [{ message() {}, minMessageRate: 'x' }, /serve: websocket: minMessageRate is "x"; expected a number from/],
    [{ message() {}, sendPings: 1 }, /serve: websocket: sendPings is 1; expected a boolean/],
    [{ message() {}, origin: ['x'] }, /serve: websocket: origin\[0\] is "x"; expected an origin/],
    [{ message() {}, protocols: ['a', 'a'] }, /serve: websocket: protocols has "a" twice/],
    [
      { message() {}, perMessageDeflate: { windowBits: 1 } },
      /serve: websocket: perMessageDeflate: unknown option "windowBits"/,
    ],
    [{ message() {}, onmessage() {} }, /serve: websocket: unknown option "onmessage"/],
    [5, /serve: websocket is 5; expected an object/],
    [null, /serve: websocket is null; expected an object/],
    [[], /serve: websocket is \[object Array\]; expected an object/],
    [
      { perMessageDeflate: null },
      /serve: websocket: perMessageDeflate is null; expected true, false, or an object of options/,
    ],
    [
      { perMessageDeflate: [] },
      /serve: websocket: perMessageDeflate is \[object Array\]; expected true, false, or an object/,
    ],
  ];
  for (const [websocket, message] of wrong)
    it(String(message).slice(1, 70), async () => {
      await assert.rejects(World.open({ fetch: () => undefined, websocket: websocket as never }), (error: Error) =>
        message.test(String(error)),
      );
    });
});
