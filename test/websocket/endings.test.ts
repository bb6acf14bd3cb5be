// The code, the reason and the error with which a WebSocket ends, in all ways, for threads and handlers: RFC 6455 §7.1.5 and §7.1.6.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { topic, webSocket } from '#sluice/index.js';
import type { ServeOptions } from '#sluice/server/serve.js';
import { sleep } from '#sluice/threads/sleep.js';
import type { Task } from '#sluice/threads/task.js';
import { spawn } from '#sluice/threads/thread.js';
import { uninterruptible } from '#sluice/threads/uninterruptible.js';
import { propertyOf } from '#sluice/util/inspect.js';
import type { WebSocketConnection } from '#sluice/websocket/web-socket.js';
import { pauseReading, World } from '../support/world.js';
import { closeFrame, frame, opcode, RawPeer } from './raw-peer.js';

const slow = topic<string>('slow', { policy: 'disconnect', maxWaiting: 1 });

/** How the client, or the server when it is told to by a message, ends it; and what the server sees. */
const ways: Record<
  string,
  [client: (peer: RawPeer, world: World) => Task<unknown>, code: number, reason: string, error: RegExp]
> = {
  'a Close frame of the client': [(peer) => peer.send(closeFrame(4000, 'why')), 4000, 'why', /^undefined$/],
  'a Close frame without a code': [(peer) => peer.send(closeFrame()), 1005, '', /^undefined$/],
  'an answer to that of the server': [
    function* (peer) {
      yield* peer.sendText('close');
      yield* peer.read();
      yield* peer.sendClose(4001, 'yes');
    },
    4001,
    'yes',
    /^undefined$/,
  ],
  FIN: [
    function* (peer) {
      peer.connection.finish();
    },
    1006,
    '',
    /^undefined$/,
  ],
  'a reset': [
    function* (peer) {
      peer.connection.reset();
    },
    1006,
    '',
    /^undefined$/,
  ],
  'a broken rule': [(peer) => peer.send(frame(3, '')), 1006, '', /^WebSocketError: a frame has the reserved opcode 3/],
  'no answer to the Close frame of the server': [
    function* (peer) {
      yield* peer.sendText('close');
      yield* sleep(20_000);
    },
    1006,
    '',
    /^ConnectionError: no Close frame has come for \d+ ms/,
  ],
  'no answer to a ping': [() => sleep(200_000), 1006, '', /^ConnectionError: nothing has come for \d+ ms or more/],
  'output that is not taken': [
    function* (peer) {
      pauseReading(peer.connection);
      yield* peer.sendText('much');
      yield* sleep(5000);
    },
    1006,
    '',
    /^ConnectionError: the peer has taken no output, or too little, for 1000 ms or more/,
  ],
  'a topic that is too fast': [
    function* (peer) {
      pauseReading(peer.connection);
      yield* peer.sendText('follow');
      yield* sleep(10);
      for (let i = 0; i < 20; i++) slow.publish('x'.repeat(4000));
      yield* sleep(500);
    },
    1006,
    '',
    /^ThreadError: topic slow: the subscriber is too slow/,
  ],
  'a message that is not finished': [
    function* (peer) {
      yield* peer.send(frame(opcode.text, 'x', { fin: false }));
      yield* sleep(2000);
    },
    1006,
    '',
    /^WebSocketError: a message has paused for 1000 ms/,
  ],
  'the deadline of close()': [
    function* (_peer, world) {
      const closing = world.server.close({ deadline: 100 });
      yield* sleep(1000);
      void closing;
    },
    1006,
    '',
    /^undefined$/,
  ],
};

/** What a server of each form sees at the end, and the options that it has. */
function serverOf(face: string, seen: unknown[]): ServeOptions {
  const act = (
    socket: { close(code: number): void; follow(news: typeof slow): unknown },
    message: unknown,
    send: (data: string) => void,
  ) => {
    if (message === 'close') socket.close(4002);
    if (message === 'much') send('x'.repeat(20_000));
    if (message === 'follow') socket.follow(slow);
  };
  const limits = { messageTimeout: 1000 };
  if (face === 'handlers')
    return {
      fetch: (request, info) => void info.upgrade(request) as undefined,
      websocket: {
        ...limits,
        message: (ws, message) => act(ws, message, (data) => void ws.send(data)),
        close: (ws, code, reason) => void seen.push(code, reason, String(ws.error)),
      },
    };
  return {
    fetch: (request) =>
      webSocket(
        request,
        function* (socket) {
          try {
            for (let message: unknown; (message = yield* socket.receive()) !== undefined; )
              act(socket, message, (data) => void spawn(() => socket.send(data)));
          } finally {
            seen.push(socket.code, socket.reason, String(socket.error));
          }
        },
        limits,
      ),
  };
}

for (const face of ['threads', 'handlers'])
  describe(`the end of a WebSocket, ${face}`, () => {
    for (const [way, [client, code, reason, error]] of Object.entries(ways))
      it(`by ${way} is ${code}`, async () => {
        const seen: unknown[] = [];
        const world = new World({ latency: 0.01, pieces: 'whole', capacity: 4096 });
        await world.serve({ writeTimeout: 1000, maxQueuedBytes: 4096, ...serverOf(face, seen) });
        world.run(function* () {
          const peer = yield* RawPeer.open(world);
          yield* client(peer, world);
          yield* sleep(10);
          peer.connection.reset();
        });
        await world.pass();
        assert.deepEqual(seen.slice(0, 2), [code, reason]);
        assert.match(String(seen[2]), error);
        assert.equal(seen.length, 3);
        await world.close();
      });
  });

describe('a thread in `send` whose client takes no output', () => {
  for (const size of [100, 10_000, 32_000, 100_000])
    it(`is unwound where it is, and its finally block knows why: messages of ${size} bytes`, async () => {
      const seen: unknown[] = [];
      const world = new World({ latency: 0.01, pieces: 'whole', capacity: 4096 });
      await world.serve({
        writeTimeout: 1000,
        fetch: (request) =>
          webSocket(request, function* (socket) {
            const look = (): unknown[] => [socket.isOpen, socket.code, propertyOf(socket.error, 'code')];
            try {
              for (;;)
                try {
                  yield* socket.send('x'.repeat(size));
                } catch (error) {
                  if (seen.push('caught', error) > 10) return;
                }
            } finally {
              seen.push(...look());
            }
          }),
      });
      world.run(function* () {
        const peer = yield* RawPeer.open(world);
        pauseReading(peer.connection);
        yield* sleep(5000);
        peer.connection.reset();
      });
      await world.pass();
      assert.deepEqual(seen, [false, 1006, 'ERR_WRITE_TIMEOUT']);
      assert.deepEqual(world.errors, []);
      await world.close();
    });

  it('gets ERR_WRITE_TIMEOUT if it is another thread than that of the WebSocket, which knows why by then', async () => {
    const seen: unknown[] = [];
    const world = new World({ latency: 0.01, pieces: 'whole', capacity: 4096 });
    const flood = function* (socket: WebSocketConnection, who: string): Task<void> {
      try {
        for (;;) yield* socket.send('x'.repeat(100));
      } catch (error) {
        seen.push([who, propertyOf(error, 'code'), socket.isOpen, socket.code, propertyOf(socket.error, 'code')]);
      }
    };
    await world.serve({
      writeTimeout: 1000,
      fetch: (request) =>
        webSocket(request, function* (socket) {
          spawn(() => flood(socket, 'child'));
          yield* uninterruptible(sleep(3000));
        }),
    });
    world.run(function* () {
      const peer = yield* RawPeer.open(world);
      pauseReading(peer.connection);
      yield* sleep(5000);
      peer.connection.reset();
    });
    await world.pass();
    assert.deepEqual(seen, [['child', 'ERR_WRITE_TIMEOUT', false, 1006, 'ERR_WRITE_TIMEOUT']]);
    assert.deepEqual(world.errors, []);
    await world.close();
  });
});

describe("`send` and `ping` after the program's own close()", () => {
  for (const what of ['send', 'ping'] as const)
    it(`${what} throws ERR_CLOSED, which ends the task as the WebSocket does, and does not go to onError`, async () => {
      const seen: unknown[] = [];
      const world = await World.open(
        {
          fetch: (request) =>
            webSocket(request, function* (socket) {
              try {
                socket.close(4000, 'enough');
                if (what === 'send') yield* socket.send('x');
                else socket.ping();
              } catch (error) {
                seen.push(propertyOf(error, 'code'));
                throw error;
              } finally {
                seen.push(socket.isOpen, socket.code);
              }
            }),
        },
        { latency: 0.01, pieces: 'whole' },
      );
      const client = world.run(function* () {
        const peer = yield* RawPeer.open(world);
        const first = yield* peer.read();
        yield* peer.sendClose(4000);
        return [first, ...(yield* peer.rest())];
      });
      await world.pass();
      assert.deepEqual(await client, ['close:4000:enough', 'FIN']);
      assert.deepEqual(seen, ['ERR_CLOSED', false, 0]);
      assert.deepEqual(world.errors, []);
      await world.close();
    });
});
