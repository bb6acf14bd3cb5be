// WebSockets in threads, over the simulated network.

import assert from 'node:assert/strict';
import { AsyncLocalStorage } from 'node:async_hooks';
import { describe, it } from 'node:test';
import { deflateRawSync, inflateRawSync } from 'node:zlib';
import type { ConnectionError } from '#sluice/event-layer/event-layer.js';
import type { SimulatedOptions } from '#sluice/event-layer/simulated/simulated.js';
import { timeout } from '#sluice/threads/group.js';
import { sleep } from '#sluice/threads/sleep.js';
import type { Task } from '#sluice/threads/task.js';
import { currentThread, spawn } from '#sluice/threads/thread.js';
import { type WebSocketOptions, type WebSocketTask, webSocket } from '#sluice/websocket/server.js';
import type { WebSocketConnection } from '#sluice/websocket/web-socket.js';
import { pauseReading, resumeReading, World } from '../support/world.js';
import { closeFrame, frame, opcode, RawPeer, text } from './raw-peer.js';

const quiet: SimulatedOptions = { latency: 0.01, pieces: 'whole' };

const open = (task: WebSocketTask, options: WebSocketOptions = {}, simulated = quiet): Promise<World> =>
  World.open({ fetch: (request) => webSocket(request, task, options) }, simulated);

/** Runs a server's task and a client's, and checks that nothing is left. @returns what the client returns, and the errors of the server */
async function between<T>(
  server: WebSocketTask,
  client: (peer: RawPeer, world: World) => Task<T>,
  options: WebSocketOptions = {},
  simulated = quiet,
): Promise<{ got: T; errors: string[] }> {
  const world = await open(server, options, simulated);
  const running = world.run(function* () {
    return yield* client(yield* RawPeer.open(world), world);
  });
  await world.pass();
  const got = await running;
  await world.close();
  return { got, errors: world.errors.map(String) };
}

function* echo(socket: WebSocketConnection): Task<void> {
  for (let message: string | Uint8Array | undefined; (message = yield* socket.receive()) !== undefined; )
    yield* socket.send(message);
}

describe('a WebSocket in a thread', () => {
  it('receives and sends messages, in order, under every seed and cut', async () => {
    const messages = ['', 'a', 'ü€😀', 'x'.repeat(125), 'y'.repeat(126), 'z'.repeat(70_000)];
    for (const seed of [1, 2, 3, 4, 5])
      for (const pieces of ['random', 'whole', 1] as const) {
        if (pieces === 1 && seed > 1) continue;
        const some = pieces === 1 ? messages.slice(0, 5) : messages;
        const { got, errors } = await between(
          echo,
          function* (peer) {
            spawn(function* () {
              for (const message of some) yield* peer.sendText(message);
              yield* peer.send(frame(opcode.binary, Buffer.from([0, 255, 1])));
            });
            const all: string[] = [];
            for (const _ of some) all.push((yield* peer.message()).toString());
            const binary = yield* peer.message();
            yield* peer.sendClose(1000, 'bye');
            return [all, binary.toString('hex'), yield* peer.rest()];
          },
          {},
          { seed, pieces },
        );
        assert.deepEqual(got, [some, '00ff01', ['close:1000:', 'FIN']]);
        assert.deepEqual(errors, []);
      }
  });

  it('gets binary messages that are its own, with their whole memory', async () => {
    const received: Uint8Array[] = [];
    await between(
      function* (socket) {
        for (let message: string | Uint8Array | undefined; (message = yield* socket.receive()) !== undefined; )
          received.push(message as Uint8Array);
      },
      function* (peer) {
        yield* peer.send(frame(opcode.binary, 'abc'), frame(opcode.binary, 'def'));
        yield* peer.sendClose();
        yield* peer.rest();
      },
    );
    assert.deepEqual(
      received.map((bytes) => Buffer.from(bytes).toString()),
      ['abc', 'def'],
    );
    for (const bytes of received) assert.equal(bytes.buffer.byteLength, 3);
  });

  it('knows its peer, protocol and what waits to be sent', async () => {
    const seen: unknown[] = [];
    const world = await World.open({
      fetch: (request) =>
        webSocket(
          request,
          function* (socket) {
            yield* sleep(1); // the response leaves
            yield* socket.send('12345');
            seen.push(socket.bufferedAmount, socket.protocol, socket.isOpen, socket.code, socket.reason);
            seen.push(/^127\.0\.0\.1:\d+$/.test(socket.peer));
            yield* socket.receive();
            seen.push(socket.isOpen, socket.code, socket.reason, /^127\.0\.0\.1:\d+$/.test(socket.peer));
          },
          { protocols: ['b'] },
        ),
    });
    const client = world.run(function* () {
      const peer = yield* RawPeer.open(world, { 'sec-websocket-protocol': 'a, b' });
      yield* peer.next();
      yield* peer.sendClose(4001, 'why');
      return yield* peer.rest();
    });
    await world.pass();
    assert.deepEqual(await client, ['close:4001:', 'FIN']);
    assert.deepEqual(seen, [7, 'b', true, 0, '', true, false, 4001, 'why', true]);
    await world.close();
  });

  it('parks in `send` while the client reads nothing, and has little queued meanwhile', async () => {
    let sent = 0;
    let queued = 0;
    const world = await open(
      function* (socket) {
        for (; sent < 100; sent++) {
          yield* socket.send('x'.repeat(10_000));
          queued = Math.max(queued, socket.bufferedAmount);
        }
      },
      {},
      { ...quiet, capacity: 4096 },
    );
    const client = world.run(function* () {
      const peer = yield* RawPeer.open(world);
      pauseReading(peer.connection);
      yield* sleep(1000);
      const before = sent;
      resumeReading(peer.connection);
      for (let i = 0; i < 100; i++) assert.equal((yield* peer.message()).length, 10_000);
      yield* peer.send(closeFrame(1000));
      return [before, yield* peer.rest()] as const;
    });
    await world.pass();
    const [before, rest] = await client;
    assert.ok(before >= 6 && before < 20, `${before} messages were sent to a client that read none`);
    assert.ok(queued <= 64 * 1024 + 32 * 1024, `${queued} bytes were queued`);
    assert.deepEqual(rest, ['close:1000:', 'FIN']);
    await world.close();
  });

  it('sends a long message in fragments, and answers a ping in between', async () => {
    for (const message of ['ü'.repeat(200_000), Buffer.alloc(400_000, 'b')]) {
      const { got, errors } = await between(
        function* (socket) {
          yield* socket.send(message);
          yield* socket.receive();
        },
        function* (peer) {
          pauseReading(peer.connection);
          yield* sleep(100);
          yield* peer.send(frame(opcode.ping, 'in between'));
          yield* sleep(100);
          resumeReading(peer.connection);
          const kinds: string[] = [];
          const payloads: Buffer[] = [];
          for (;;) {
            const next = yield* peer.next();
            assert.ok(next !== undefined);
            kinds.push(`${next.opcode}${next.fin ? '.' : ''}`);
            if (next.opcode === opcode.pong) assert.equal(next.payload.toString(), 'in between');
            else payloads.push(next.payload);
            if (next.fin && next.opcode !== opcode.pong) break;
          }
          yield* peer.sendClose(1000);
          yield* peer.rest();
          return { kinds, whole: Buffer.concat(payloads) };
        },
        {},
        { ...quiet, capacity: 4096 },
      );
      assert.equal(got.kinds[0], typeof message === 'string' ? '1' : '2');
      assert.ok(
        got.kinds.slice(1, -1).every((kind) => kind === '0' || kind === '10.'),
        got.kinds.join(),
      );
      assert.ok(got.kinds.includes('10.'), 'the pong comes between fragments');
      assert.equal(got.kinds.at(-1), '0.');
      assert.ok(Buffer.from(message as string).equals(got.whole));
      assert.deepEqual(errors, []);
    }
  });

  it('lets one thread receive and another send', async () => {
    const { got, errors } = await between(
      function* (socket) {
        const inbox: string[] = [];
        spawn(function* () {
          for (let i = 0; i < 3; i++) {
            yield* sleep(10);
            yield* socket.send(`tick ${i}`);
          }
        });
        for (let message: unknown; inbox.length < 3 && (message = yield* socket.receive()) !== undefined; )
          inbox.push(`${message}`);
        yield* socket.send(inbox.join());
      },
      function* (peer) {
        for (let i = 0; i < 3; i++) {
          yield* sleep(7);
          yield* peer.sendText(`${i}`);
        }
        const all: string[] = [];
        for (let i = 0; i < 3; i++) all.push((yield* peer.message()).toString());
        return all;
      },
    );
    assert.deepEqual(got, ['tick 0', 'tick 1', '0,1,2']);
    assert.deepEqual(errors, []);
  });

  it('gives ERR_BUSY to a second thread that receives, and to one that sends within a long message', async () => {
    const codes: string[] = [];
    const attempt = (task: () => Task<unknown>) => () =>
      (function* (): Task<void> {
        yield* sleep(10);
        try {
          yield* task();
          codes.push('none');
        } catch (error) {
          codes.push((error as { code: string }).code);
        }
      })();
    await between(
      function* (socket) {
        const one = spawn(attempt(() => socket.send('short')));
        yield* socket.send('x'.repeat(300_000));
        yield* one.join();
        const two = spawn(attempt(() => socket.receive()));
        yield* socket.receive();
        yield* two.join();
      },
      function* (peer) {
        pauseReading(peer.connection);
        yield* sleep(50);
        resumeReading(peer.connection);
        assert.equal((yield* peer.message()).length, 300_000);
        yield* sleep(50);
        yield* peer.sendText('end');
        yield* peer.next();
        yield* peer.sendClose();
        yield* peer.rest();
      },
      {},
      { ...quiet, capacity: 4096 },
    );
    assert.deepEqual(codes, ['ERR_BUSY', 'ERR_BUSY']);
  });

  it('stops reading when messages wait, and continues when they have been received', async () => {
    const count = 2000;
    let sent = 0;
    let most = 0;
    const received: string[] = [];
    const world = await open(
      function* (socket) {
        yield* sleep(1000);
        for (let message: unknown; (message = yield* socket.receive()) !== undefined; ) {
          received.push(`${message}`);
          most = Math.max(most, world.server.buffered.held);
          if (received.length % 100 === 0) yield* sleep(1);
        }
      },
      {},
      { ...quiet, capacity: 8192 },
    );
    const client = world.run(function* () {
      const peer = yield* RawPeer.open(world);
      for (; sent < count; sent++) yield* peer.sendText(`${sent}`.padEnd(1000));
      yield* peer.sendClose(1000);
      return yield* peer.rest();
    });
    await world.pass(500);
    const held = world.server.buffered.held;
    assert.ok(held >= 64 * 1024 && held <= 200 * 1024, `${held} bytes are held for a thread that receives nothing`);
    assert.ok(sent < 300, `${sent} messages were taken`);
    await world.pass();
    assert.deepEqual(await client, ['close:1000:', 'FIN']);
    assert.deepEqual(
      received.map((message) => message.trim()),
      Array.from({ length: count }, (_, i) => `${i}`),
    );
    assert.ok(most <= 200 * 1024, `${most} bytes were held`);
    await world.close();
  });

  it('bounds tiny messages, too, which come by the ten thousand in one read', async () => {
    const count = 30_000;
    let received = 0;
    const world = await open(function* (socket) {
      yield* sleep(1000);
      while ((yield* socket.receive()) !== undefined) received++;
    });
    const client = world.run(function* () {
      const peer = yield* RawPeer.open(world);
      const empty = text('');
      yield* peer.send(Buffer.concat(new Array(count).fill(empty)), closeFrame(1000));
      return yield* peer.rest();
    });
    await world.pass(500);
    const { held } = world.server.buffered;
    assert.ok(held <= 400 * 1024, `${held} bytes are held`);
    await world.pass();
    assert.deepEqual(await client, ['close:1000:', 'FIN']);
    assert.equal(received, count);
    await world.close();
  });

  it('is not taken for dead while its thread receives nothing', async () => {
    const { got, errors } = await between(
      function* (socket) {
        yield* sleep(10_000);
        let count = 0;
        while ((yield* socket.receive()) !== undefined) count++;
        assert.equal(count, 200);
      },
      function* (peer) {
        for (let i = 0; i < 200; i++) yield* peer.sendText('x'.repeat(1000));
        yield* peer.sendClose(1000);
        return yield* peer.rest();
      },
      { pingInterval: 100, pongTimeout: 100, closeTimeout: 60_000 },
    );
    assert.deepEqual(got.at(-2), 'close:1000:');
    assert.deepEqual(errors, []);
  });

  it('keeps the async context of the request', async () => {
    const storage = new AsyncLocalStorage<string>();
    const seen: unknown[] = [];
    const world = await World.open({
      fetch: (request) =>
        storage.run('the request', () =>
          webSocket(request, function* (socket) {
            seen.push(storage.getStore());
            yield* socket.receive();
            seen.push(storage.getStore());
          }),
        ),
    });
    world.run(function* () {
      const peer = yield* RawPeer.open(world);
      yield* peer.sendText('a');
      yield* peer.rest();
    });
    await world.pass();
    assert.deepEqual(seen, ['the request', 'the request']);
    await world.close();
  });

  it('is opened by plain, async and thread handlers', async () => {
    for (const wrap of [
      (response: () => Response) => response(),
      async (response: () => Response) => response(),
      function* (response: () => Response): Task<Response> {
        yield* sleep(1);
        return response();
      },
    ]) {
      const world = await World.open({
        fetch: ((request: Request) => wrap(() => webSocket(request, echo) as never)) as never,
      });
      const client = world.run(function* () {
        const peer = yield* RawPeer.open(world);
        yield* peer.sendText('a');
        return (yield* peer.message()).toString();
      });
      await world.pass(100);
      assert.equal(await client, 'a');
      await world.close();
    }
  });
});

describe('the end of a WebSocket in a thread', () => {
  it('is a Close frame with 1000 when the task returns, answered by the client', async () => {
    const { got, errors } = await between(
      function* (socket) {
        yield* socket.send('hello');
      },
      function* (peer) {
        const seen = [yield* peer.read(), yield* peer.read()];
        yield* peer.sendClose(1000);
        return [...seen, ...(yield* peer.rest())];
      },
    );
    assert.deepEqual(got, ['text:hello', 'close:1000:', 'FIN']);
    assert.deepEqual(errors, []);
  });

  for (const [what, task, message] of [
    [
      'the task throws',
      function* (socket) {
        yield* socket.receive();
        throw new Error('of the task');
      },
      'Error: of the task',
    ],
    [
      'a thread that it has spawned fails',
      function* (socket) {
        spawn(function* () {
          yield* socket.receive();
          throw new Error('of a child');
        });
        yield* sleep(50);
      },
      'Error: of a child',
    ],
  ] satisfies [string, WebSocketTask, string][])
    it(`is 1011 when ${what}, and onError is called once, with the request and the peer`, async () => {
      const infos: unknown[] = [];
      const world = new World(quiet);
      await world.serve({
        fetch: (request) => webSocket(request, task),
        onError: (error, request, info) => {
          const version = request?.headers.get('sec-websocket-version');
          infos.push([String(error), request?.url, version, /^127/.test(info?.peer ?? '')]);
        },
      });
      const client = world.run(function* () {
        const peer = yield* RawPeer.open(world);
        yield* peer.sendText('a');
        const seen = yield* peer.read();
        yield* peer.sendClose(1011);
        return [seen, ...(yield* peer.rest())];
      });
      await world.pass();
      assert.deepEqual(await client, ['close:1011:', 'FIN']);
      assert.deepEqual(infos, [[message, 'http://a/', '13', true]]);
      await world.close();
    });

  it('is 1001 when the thread is unwound by the program', async () => {
    const { got, errors } = await between(
      function* () {
        const thread = currentThread();
        setImmediate(() => thread?.unwind(new Error('go')));
        yield* sleep(1e6);
      },
      function* (peer) {
        const seen = yield* peer.read();
        yield* peer.sendClose(1001);
        return [seen, ...(yield* peer.rest())];
      },
    );
    assert.deepEqual(got, ['close:1001:', 'FIN']);
    assert.deepEqual(errors, []);
  });

  it('has the code and the reason that the task gives, and what the client sends until it answers is received', async () => {
    const seen: unknown[] = [];
    const { got, errors } = await between(
      function* (socket) {
        socket.close(4000, 'grüß');
        socket.close(4001);
        seen.push(socket.isOpen, yield* socket.receive(), yield* socket.receive(), socket.code, socket.reason);
        try {
          yield* socket.send('too late');
        } catch (error) {
          seen.push((error as { code: string }).code);
        }
      },
      function* (peer) {
        const close = yield* peer.read();
        yield* peer.sendText('last');
        yield* peer.sendClose(4000, 'mine');
        return [close, ...(yield* peer.rest())];
      },
    );
    assert.deepEqual(got, ['close:4000:grüß', 'FIN']);
    assert.deepEqual(seen, [false, 'last', undefined, 4000, 'mine', 'ERR_CLOSED']);
    assert.deepEqual(errors, []);
  });

  it('is refused with codes and reasons that may not be sent', async () => {
    const wrong: string[] = [];
    await between(
      function* (socket) {
        for (const [code, reason] of [
          [1005],
          [1006],
          [1010],
          [1004],
          [999],
          [2000],
          [5000],
          [1.5],
          [Number.NaN],
          ['a'],
          [1000, 'x'.repeat(124)],
          [1000, 5],
        ] as [number, string][])
          try {
            socket.close(code, reason);
          } catch (error) {
            wrong.push((error as Error).message.slice(0, 14));
          }
        for (const data of ['x'.repeat(126), 'ü'.repeat(63), new Uint8Array(126)])
          assert.throws(() => socket.ping(data), /RangeError: ping: the data has 126 bytes; expected at most 125/);
        assert.throws(
          () => socket.ping(5 as never),
          /TypeError: ping: the data is 5; expected a string or a Uint8Array/,
        );
        try {
          yield* socket.send(5 as never);
        } catch (error) {
          assert.match(String(error), /TypeError: send: the data is 5; expected a string or a Uint8Array/);
        }
      },
      function* (peer) {
        assert.equal(yield* peer.read(), 'close:1000:');
        yield* peer.sendClose();
        yield* peer.rest();
      },
    );
    assert.equal(wrong.length, 12);
  });

  it('without a Close frame is answered with FIN alone', async () => {
    const { got, errors } = await between(echo, function* (peer) {
      yield* peer.connection.writer.end();
      return yield* peer.rest();
    });
    assert.deepEqual(got, ['FIN']);
    assert.deepEqual(errors, []);
  });

  it('comes from both sides at once', async () => {
    const seen: unknown[] = [];
    const { got, errors } = await between(
      function* (socket) {
        yield* sleep(100);
        socket.close(4000);
        seen.push(yield* socket.receive(), socket.code);
      },
      function* (peer) {
        yield* sleep(99.99);
        yield* peer.sendClose(4001);
        return yield* peer.rest();
      },
      {},
      { latency: 1, pieces: 'whole' },
    );
    assert.deepEqual(got, ['close:4000:', 'FIN']);
    assert.deepEqual(seen, [undefined, 4001]);
    assert.deepEqual(errors, []);
  });

  /** Where a thread can be parked when its client goes. */
  const places: Record<string, (socket: WebSocketConnection) => Task<unknown>> = {
    receive: (socket) => socket.receive(),
    sleep: () => sleep(1e6),
    'send of short messages': function* (socket) {
      for (;;) yield* socket.send('x'.repeat(10_000));
    },
    'send of a long message': (socket) => socket.send('x'.repeat(1_000_000)),
    'join of a thread that sleeps': function* () {
      yield* spawn(() => sleep(1e6)).join();
    },
  };
  const ways: Record<string, (peer: RawPeer) => Task<unknown>> = {
    'a reset': function* (peer) {
      peer.connection.reset();
    },
    FIN: (peer) => peer.connection.writer.end(),
    'a Close frame': (peer) => peer.sendClose(1000),
  };
  for (const [place, park] of Object.entries(places))
    for (const [way, leave] of Object.entries(ways))
      it(`reaches a thread that is parked in ${place} by ${way}`, async () => {
        const events: string[] = [];
        let left = 0;
        let ended = 0;
        let aborted: unknown;
        const world: World = await World.open(
          {
            fetch: (request) => {
              request.signal.addEventListener('abort', () => {
                aborted = (request.signal.reason as { code: string }).code;
              });
              return webSocket(request, function* (socket) {
                try {
                  yield* park(socket);
                  events.push(`returned ${socket.code}`);
                } catch (error) {
                  events.push(`threw ${(error as { code: string }).code}`);
                  throw error;
                } finally {
                  ended = world.now;
                  events.push('finally');
                }
              });
            },
          },
          { ...quiet, capacity: 4096 },
        );
        world.run(function* () {
          const peer = yield* RawPeer.open(world);
          pauseReading(peer.connection);
          yield* sleep(500);
          left = world.now;
          yield* leave(peer);
          yield* sleep(1000);
        });
        await world.pass();
        const code = way === 'FIN' ? 1006 : 1000;
        assert.deepEqual(
          events,
          place === 'receive' && way !== 'a reset' ? [`returned ${code}`, 'finally'] : ['finally'],
        );
        assert.ok(ended - left < 1, `it took ${ended - left} ms`);
        assert.equal(aborted, 'ERR_CLIENT_LEFT');
        assert.deepEqual(world.errors, []);
        await world.close();
      });

  for (const way of ['FIN', 'Close'] as const)
    it(`by ${way} comes behind the messages before it, which can be answered`, async () => {
      const seen: unknown[] = [];
      const { got, errors } = await between(
        function* (socket) {
          for (let message: unknown; (message = yield* socket.receive()) !== undefined; ) {
            yield* sleep(10);
            yield* socket.send(`got ${message}`);
          }
          seen.push(socket.code);
          yield* sleep(10);
          seen.push('the end');
        },
        function* (peer) {
          yield* peer.send(text('1'), text('2'), text('3'), ...(way === 'Close' ? [closeFrame(1001)] : []));
          if (way === 'FIN') yield* peer.connection.writer.end();
          return yield* peer.rest();
        },
      );
      const end = way === 'Close' ? ['close:1001:', 'FIN'] : ['FIN'];
      // The last message is being answered when nothing waits any more, but the client's end has been seen before.
      assert.deepEqual(got, ['text:got 1', 'text:got 2', 'text:got 3', ...end]);
      assert.deepEqual(seen, [way === 'Close' ? 1001 : 1006, 'the end']);
      assert.deepEqual(errors, []);
    });

  it('unwinds a thread that does not receive what came before it, after closeTimeout', async () => {
    let ended = 0;
    const { got } = await between(
      function* () {
        try {
          yield* sleep(1e6);
        } finally {
          ended++;
        }
      },
      function* (peer, world) {
        yield* peer.send(text('1'), closeFrame(1000));
        const start = world.now;
        return [...(yield* peer.rest()), Math.floor(world.now - start) - 500];
      },
      { closeTimeout: 500 },
    );
    assert.deepEqual(got, ['close:1000:', 'FIN', 0]);
    assert.equal(ended, 1);
  });

  it('leaves the task closeTimeout to finish, and close() of the server waits for that', async () => {
    const events: unknown[] = [];
    for (const [time, expected] of [
      [300, 'done'],
      [1e6, 'unwound'],
    ] as const) {
      let end = '';
      const world = await open(
        function* (socket) {
          try {
            yield* socket.receive();
            yield* sleep(time);
            end = 'done';
          } finally {
            end ||= 'unwound';
          }
        },
        { closeTimeout: 500 },
      );
      world.run(function* () {
        const peer = yield* RawPeer.open(world);
        yield* peer.sendClose(1000);
        yield* peer.rest();
      });
      await world.pass(100);
      assert.equal(world.layer.open, 0, 'the connection has closed');
      const closing = world.server.close().then(() => events.push(end));
      await world.pass();
      await closing;
      assert.equal(events.pop(), expected);
      await world.close();
    }
  });

  it('at the deadline of close() unwinds a task that goes on when its WebSocket is closed', async () => {
    let end = 0;
    const world = await open(function* (socket) {
      try {
        yield* socket.receive();
        yield* sleep(1e6);
      } finally {
        end = world.now;
      }
    });
    world.run(function* () {
      const peer = yield* RawPeer.open(world);
      yield* peer.sendClose(1000);
      yield* peer.rest();
    });
    await world.pass(100);
    const start = world.layer.now();
    const closing = world.server.close({ deadline: 50 });
    await world.pass();
    await closing;
    assert.ok(end - start <= 51, `it took ${end - start} ms`);
    await world.close();
  });

  it('is 1006 for a client that does not answer the Close frame', async () => {
    const seen: unknown[] = [];
    const { got } = await between(
      function* (socket) {
        socket.close();
        seen.push(yield* socket.receive(), socket.code);
      },
      function* (peer, world) {
        const start = world.now;
        return [...(yield* peer.rest()), Math.floor(world.now - start) - 300];
      },
      { closeTimeout: 300 },
    );
    assert.deepEqual(got, ['close:1000:', 'FIN', 0]);
    assert.deepEqual(seen, [undefined, 1006]);
  });

  it('resets the connection when a thread gives up in the middle of a message', async () => {
    const { got, errors } = await between(
      function* (socket) {
        try {
          yield* timeout(50, socket.send('x'.repeat(1_000_000)));
        } catch {}
      },
      function* (peer) {
        pauseReading(peer.connection);
        yield* sleep(100);
        resumeReading(peer.connection);
        return (yield* peer.rest()).at(-1);
      },
      {},
      { ...quiet, capacity: 4096 },
    );
    assert.equal(got, 'reset');
    assert.deepEqual(errors, []);
  });

  it('leaves the WebSocket usable when a thread gives up before the first byte of a message', async () => {
    const { got, errors } = await between(
      function* (socket) {
        yield* socket.send('x'.repeat(10_000));
        while (socket.bufferedAmount < 65_536) yield* socket.send('y'.repeat(10_000));
        try {
          yield* timeout(50, socket.send('z'));
        } catch {}
        yield* socket.send('end');
      },
      function* (peer) {
        pauseReading(peer.connection);
        yield* sleep(100);
        resumeReading(peer.connection);
        let last = '';
        for (let next: string; (next = yield* peer.read()) !== 'close:1000:'; ) last = next;
        yield* peer.sendClose();
        yield* peer.rest();
        return last;
      },
      {},
      { ...quiet, capacity: 1024 },
    );
    assert.equal(got, 'text:end');
    assert.deepEqual(errors, []);
  });

  it('is a reset for a client that takes nothing of a message for writeTimeout', async () => {
    const codes: unknown[] = [];
    const world = new World({ ...quiet, capacity: 4096 });
    await world.serve({
      writeTimeout: 1000,
      fetch: (request) =>
        webSocket(request, function* (socket) {
          try {
            yield* socket.send('x'.repeat(1_000_000));
          } finally {
            codes.push(socket.isOpen, socket.code, (socket.error as ConnectionError).code);
          }
        }),
    });
    const client = world.run(function* () {
      const peer = yield* RawPeer.open(world);
      pauseReading(peer.connection);
      yield* sleep(3000);
      resumeReading(peer.connection);
      return (yield* peer.rest()).at(-1);
    });
    await world.pass();
    assert.equal(await client, 'reset');
    assert.deepEqual(codes, [false, 1006, 'ERR_WRITE_TIMEOUT']);
    assert.deepEqual(world.errors, []);
    await world.close();
  });
});

describe('what a client does wrong', () => {
  it('closes the WebSocket with the code that names it, and nothing behind it is looked at', async () => {
    for (const [wrong, code] of [
      [frame(opcode.text, 'unmasked', { mask: false }), 1002],
      [frame(3, ''), 1002],
      [frame(opcode.text, Buffer.from([0xc0, 0x80])), 1007],
      [frame(opcode.binary, Buffer.alloc(2001)), 1009],
      [closeFrame(1005), 1002],
    ] as const) {
      const seen: unknown[] = [];
      const { got, errors } = await between(
        function* (socket) {
          seen.push(yield* socket.receive(), yield* socket.receive(), socket.code, `${socket.error}`.slice(0, 14));
        },
        function* (peer) {
          yield* peer.send(text('before'));
          yield* sleep(10);
          yield* peer.send(wrong, text('behind'));
          return yield* peer.rest();
        },
        { maxPayloadLength: 2000 },
      );
      assert.deepEqual(got, [`close:${code}:`, 'FIN']);
      assert.deepEqual(seen, ['before', undefined, 1006, 'WebSocketError']);
      assert.deepEqual(errors, []);
    }
  });

  it('unwinds a thread that does not receive', async () => {
    let reason: unknown;
    await between(
      function* () {
        const thread = currentThread();
        try {
          yield* sleep(1e6);
        } finally {
          reason = thread?.reason;
        }
      },
      function* (peer) {
        yield* peer.send(frame(opcode.text, 'unmasked', { mask: false }));
        yield* peer.rest();
      },
    );
    assert.match(String(reason), /AbortError: the WebSocket was closed with 1002/);
    assert.match(String((reason as Error).cause), /a client has not masked a frame/);
  });

  it('takes no memory: a message that is refused in its middle is given back', async () => {
    const bad = Buffer.concat([Buffer.alloc(50_000, 'a'), Buffer.from([0xff]), Buffer.alloc(50_000, 'a')]);
    const { got } = await between(
      echo,
      function* (peer) {
        yield* peer.send(frame(opcode.text, 'x'.repeat(1000), { fin: false }));
        yield* sleep(10);
        yield* peer.send(frame(opcode.continuation, bad));
        return yield* peer.rest();
      },
      {},
      { latency: 0.01, pieces: 'random' },
    );
    assert.deepEqual(got, ['close:1007:', 'FIN']);
  });

  it('is 1013 when maxBufferedBytes is reached, and all of it is given back', async () => {
    const world = new World();
    await world.serve({ maxBufferedBytes: 1024 * 1024, fetch: (request) => webSocket(request, echo) });
    const client = world.run(function* () {
      const peer = yield* RawPeer.open(world);
      spawn(function* () {
        try {
          yield* peer.send(frame(opcode.binary, Buffer.alloc(3_000_000)));
        } catch {}
      });
      return yield* peer.rest();
    });
    await world.pass();
    assert.deepEqual(await client, ['close:1013:', 'FIN']);
    assert.equal(world.server.buffered.held, 0);
    await world.close();
  });

  it('cannot make the server queue pongs without end', async () => {
    let most = 0;
    const world = await open(
      function* (socket) {
        for (;;) {
          most = Math.max(most, socket.bufferedAmount);
          yield* sleep(10);
        }
      },
      {},
      { ...quiet, capacity: 4096 },
    );
    world.run(function* () {
      const peer = yield* RawPeer.open(world);
      pauseReading(peer.connection);
      const pings = Buffer.concat(new Array(100).fill(frame(opcode.ping, 'x'.repeat(125))));
      for (let i = 0; i < 100; i++) yield* peer.send(pings);
      yield* sleep(100);
      peer.connection.reset();
    });
    await world.pass();
    assert.ok(most > 1000 && most < 70_000, `${most} bytes of pongs were queued`);
    await world.close();
  });
});

describe('pings of the server', () => {
  it('are sent when nothing has come, and a client that answers stays', async () => {
    const { got, errors } = await between(
      function* (socket) {
        yield* sleep(1000);
        yield* socket.send('still here');
      },
      function* (peer) {
        let pings = 0;
        for (;;) {
          const next = yield* peer.next();
          if (next?.opcode !== opcode.ping) break;
          pings++;
          yield* peer.send(frame(opcode.pong, next.payload));
        }
        yield* peer.sendClose();
        return pings;
      },
      { pingInterval: 100, pongTimeout: 50 },
    );
    assert.ok(got >= 8 && got <= 10, `${got} pings`);
    assert.deepEqual(errors, []);
  });

  it('are not sent to a client that sends', async () => {
    const { got } = await between(
      echo,
      function* (peer) {
        for (let i = 0; i < 20; i++) {
          yield* peer.sendText('a');
          yield* sleep(50);
        }
        yield* peer.sendClose();
        return yield* peer.rest();
      },
      { pingInterval: 100, pongTimeout: 50 },
    );
    assert.ok(!got.some((each) => each.startsWith('ping')));
  });

  it('are never sent with pingInterval 0', async () => {
    const { got } = await between(
      echo,
      function* (peer) {
        yield* sleep(1e6);
        yield* peer.sendClose(1000);
        return yield* peer.rest();
      },
      { pingInterval: 0 },
    );
    assert.deepEqual(got, ['close:1000:', 'FIN']);
  });

  it('reset a connection on which nothing comes back, and unwind its thread', async () => {
    let ended = 0;
    const { got } = await between(
      function* () {
        try {
          yield* sleep(1e6);
        } finally {
          ended++;
        }
      },
      function* (peer, world) {
        const start = world.now;
        return [...(yield* peer.rest()), Math.floor((world.now - start) / 10) * 10];
      },
      { pingInterval: 100, pongTimeout: 50 },
    );
    assert.deepEqual(got, ['ping:', 'reset', 150]);
    assert.equal(ended, 1);
  });

  it('do not reset a client that sends nothing, and takes what it is sent, slowly', async () => {
    const { got, errors } = await between(
      function* (socket) {
        yield* socket.send('x'.repeat(100_000));
        yield* socket.receive();
      },
      function* (peer) {
        const { connection } = peer;
        let size = 0;
        pauseReading(connection);
        while (size < 100_000) {
          yield* sleep(40);
          resumeReading(connection);
          yield* sleep(0.1);
          pauseReading(connection);
          size += connection.reader.buffered;
          yield* connection.reader.skip(connection.reader.buffered);
        }
        peer.connection.reset();
        return size;
      },
      { pingInterval: 100, pongTimeout: 100 },
      { ...quiet, capacity: 1024 },
    );
    assert.ok(got >= 100_000);
    assert.deepEqual(errors, []);
  });

  it('by `ping` have the data that is given', async () => {
    const { got } = await between(
      function* (socket) {
        socket.ping('a');
        socket.ping(new Uint8Array([98]));
        socket.ping();
        yield* socket.receive();
        assert.throws(() => socket.ping(), /ERR_CLOSED|was closed with 1000/);
      },
      function* (peer) {
        const seen = [yield* peer.read(), yield* peer.read(), yield* peer.read()];
        yield* peer.send(frame(opcode.pong, 'a'));
        yield* peer.sendClose(1000);
        return [...seen, ...(yield* peer.rest())];
      },
    );
    assert.deepEqual(got, ['ping:a', 'ping:b', 'ping:', 'close:1000:', 'FIN']);
  });
});

describe('close() of the server', () => {
  it('sends 1001, lets what the client still sends be received, and resolves when the task has returned', async () => {
    const seen: unknown[] = [];
    const world = await open(function* (socket) {
      for (let message: unknown; (message = yield* socket.receive()) !== undefined; ) seen.push(message);
      seen.push(socket.code);
    });
    const client = world.run(function* () {
      const peer = yield* RawPeer.open(world);
      const close = yield* peer.read();
      yield* peer.sendText('last');
      yield* peer.sendClose(1001);
      return [close, ...(yield* peer.rest())];
    });
    await world.pass(100);
    const start = world.now;
    const closing = world.server.close();
    await world.pass();
    await closing;
    assert.deepEqual(await client, ['close:1001:the server is closing', 'FIN']);
    assert.deepEqual(seen, ['last', 1001]);
    assert.ok(world.now - start < 1000);
    await world.close();
  });

  const clients: Record<string, (peer: RawPeer) => Task<unknown>> = {
    'answers nothing': () => sleep(1e5),
    'reads nothing': function* (peer) {
      pauseReading(peer.connection);
      yield* sleep(1e5);
    },
    'sends without end': function* (peer) {
      try {
        for (;;) {
          yield* peer.sendText('x'.repeat(1000));
          yield* sleep(1);
        }
      } catch {}
    },
    'is cut off': function* (peer) {
      yield* sleep(1e5);
      peer.connection.reset();
    },
  };
  const tasks: Record<string, WebSocketTask> = {
    receives: echo,
    sleeps: () => sleep(1e7),
    sends: function* (socket) {
      for (;;) yield* socket.send('x'.repeat(10_000));
    },
  };
  for (const [what, act] of Object.entries(clients))
    for (const [does, task] of Object.entries(tasks))
      for (const deadline of [50, 60_000])
        it(`resolves for a client that ${what} and a task that ${does}, with a deadline of ${deadline} ms`, async () => {
          const world = await open(task, { closeTimeout: 2000 }, { ...quiet, capacity: 4096 });
          world
            .run(function* () {
              yield* act(yield* RawPeer.open(world));
            })
            .catch(() => {});
          await world.pass(100);
          const start = world.now;
          let took = 0;
          const closing = world.server.close({ deadline }).then(() => {
            took = world.now - start;
          });
          await world.pass();
          await closing;
          const limit = deadline === 50 ? 50 + 2 * world.network.scheduler.unwindLimit + 500 : 62_000;
          assert.ok(took <= limit, `it took ${took} ms`);
          assert.deepEqual(world.errors, []);
          await world.close();
        });
});

describe('a compressed WebSocket', () => {
  const deflate = { 'sec-websocket-extensions': 'permessage-deflate' };
  const compress = (data: string | Buffer): Buffer => deflateRawSync(data, { finishFlush: 2 }).subarray(0, -4);
  const decompress = (data: Buffer): Buffer =>
    inflateRawSync(Buffer.concat([data, Buffer.from([0, 0, 0xff, 0xff])]), { finishFlush: 2 });

  it('takes and sends compressed messages, short ones as they are, and long ones in fragments', async () => {
    const random = Buffer.from(Array.from({ length: 200_000 }, (_, i) => (i * i * 7919) % 251)); // worth little compression
    const world = await open(echo, { perMessageDeflate: true });
    const client = world.run(function* () {
      const peer = yield* RawPeer.open(world, deflate);
      const results: unknown[] = [];
      for (const data of ['short', 'ü'.repeat(5000), 'long'.repeat(50_000), random]) {
        const code = typeof data === 'string' ? opcode.text : opcode.binary;
        yield* peer.send(frame(code, compress(Buffer.from(data as string)), { rsv1: true }));
        const frames = [];
        do frames.push(yield* peer.next());
        while (frames.at(-1)?.fin === false);
        const payload = Buffer.concat(frames.map((each) => each?.payload ?? Buffer.alloc(0)));
        const [first] = frames;
        const whole = first?.rsv1 ? decompress(payload) : payload;
        results.push([
          first?.rsv1,
          first?.opcode,
          whole.equals(Buffer.from(data as string)),
          frames.slice(1).some((each) => each?.rsv1),
        ]);
      }
      yield* peer.sendClose();
      yield* peer.rest();
      return results;
    });
    await world.pass();
    assert.deepEqual(await client, [
      [false, 1, true, false],
      [true, 1, true, false],
      [true, 1, true, false],
      [true, 2, true, false],
    ]);
    await world.close();
  });

  it('refuses a bomb with 1009', async () => {
    const world = await open(echo, { perMessageDeflate: true, maxPayloadLength: 100_000 });
    const client = world.run(function* () {
      const peer = yield* RawPeer.open(world, deflate);
      yield* peer.send(frame(opcode.binary, compress(Buffer.alloc(10_000_000)), { rsv1: true }));
      return yield* peer.rest();
    });
    await world.pass();
    assert.deepEqual(await client, ['close:1009:', 'FIN']);
    await world.close();
  });

  it('holds little for a thread that does not receive, however much comes out of what has come', async () => {
    const world = await open(
      function* (socket) {
        yield* sleep(1000);
        let count = 0;
        while ((yield* socket.receive()) !== undefined) count++;
        assert.equal(count, 50);
      },
      { perMessageDeflate: true },
    );
    const client = world.run(function* () {
      const peer = yield* RawPeer.open(world, deflate);
      const megabyte = frame(opcode.binary, compress(Buffer.alloc(1_000_000)), { rsv1: true });
      yield* peer.send(...new Array(50).fill(megabyte), closeFrame(1000));
      return yield* peer.rest();
    });
    await world.pass(500);
    const { held } = world.server.buffered;
    assert.ok(held < 1_300_000, `${held} bytes are held`);
    await world.pass();
    assert.deepEqual(await client, ['close:1000:', 'FIN']);
    assert.deepEqual(world.errors, []);
    await world.close();
  });
});
