// Clients that take no output, or do not finish a message, whatever else they send: over the simulated network, in threads and by handlers.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { SimulatedOptions } from '#sluice/event-layer/simulated/simulated.js';
import { topic, webSocket } from '#sluice/index.js';
import type { ServeOptions } from '#sluice/server/serve.js';
import { sleep } from '#sluice/threads/sleep.js';
import type { Task } from '#sluice/threads/task.js';
import { spawn } from '#sluice/threads/thread.js';
import type { MessageParts, WebSocketConnection } from '#sluice/websocket/web-socket.js';
import { pauseReading, resumeReading, World } from '../support/world.js';
import { closeFrame, frame, opcode, RawPeer, text } from './raw-peer.js';

const quiet: SimulatedOptions = { latency: 0.01, pieces: 'whole' };
/** A network that holds little, so that output waits in the server. */
const small: SimulatedOptions = { ...quiet, capacity: 4096 };

/** How the WebSocket of a server has ended. */
interface Ended {
  at: number;
  code: number;
  error: string;
}

/** What a server does when a WebSocket is open. */
type Opened = (socket: { follow: WebSocketConnection['follow']; send(data: string): unknown }) => void;

interface Session {
  world: World;
  ended: Ended[];
  /** What clients have sent. */
  heard: string[];
}

/** A server that sends nothing by itself, but for what `opened` does. */
async function open(
  face: 'threads' | 'handlers',
  options: Partial<ServeOptions> & { messageTimeout?: number; minMessageRate?: number; inParts?: boolean },
  opened: Opened = () => {},
  simulated = small,
): Promise<Session> {
  const { messageTimeout, minMessageRate, inParts = false, ...serveOptions } = options;
  const ended: Ended[] = [];
  const heard: string[] = [];
  const note = (code: number, error: Error | undefined): void =>
    void ended.push({ at: session.world.now, code, error: error === undefined ? '' : String(error) });
  const message = (data: string | Uint8Array): void =>
    void heard.push(typeof data === 'string' ? data : `${data.length} bytes`);
  const common = { messageTimeout, minMessageRate };
  const world = new World(simulated);
  const session = { world, ended, heard };
  await world.serve(
    face === 'threads'
      ? {
          fetch: (request) =>
            webSocket(
              request,
              function* (socket) {
                try {
                  opened({
                    follow: (...given) => socket.follow(...given),
                    send: (data) => spawn(() => socket.send(data)),
                  });
                  if (inParts)
                    for (let parts: MessageParts | undefined; (parts = yield* socket.receiveParts()) !== undefined; )
                      for (let part: string | Uint8Array | undefined; (part = yield* parts.read()) !== undefined; )
                        message(part);
                  else
                    for (let data: string | Uint8Array | undefined; (data = yield* socket.receive()) !== undefined; )
                      message(data);
                } finally {
                  note(socket.code, socket.error);
                }
              },
              { ...common, maxPayloadLength: 2 ** 24, pingInterval: 0 },
            ),
          ...serveOptions,
        }
      : {
          fetch: (request, info) => void info.upgrade(request) as undefined,
          websocket: {
            ...common,
            idleTimeout: 0,
            open: opened,
            message: (_ws, data) => message(data),
            close: (ws, code) => note(code, ws.error),
          },
          ...serveOptions,
        },
  );
  return session;
}

/** Sends pongs until the connection is over. */
function* sendPongs(peer: RawPeer, times = 1000): Task<void> {
  try {
    for (let i = 0; i < times; i++) {
      yield* peer.send(frame(opcode.pong, 'here'));
      yield* sleep(300);
    }
  } catch {
    // It is over.
  }
}

for (const face of ['threads', 'handlers'] as const) {
  describe(`a client that takes nothing, ${face}`, () => {
    const limits = { writeTimeout: 2000, minWriteRate: 1000, maxQueuedBytes: 4096 };

    for (const source of ['send', 'follow'] as const)
      it(`is reset after writeTimeout, though it sends pongs: output of ${source}`, async () => {
        const news = topic<string>('news', { maxWaiting: 4 });
        const { world, ended } = await open(face, limits, (socket) => {
          if (source === 'follow') socket.follow(news);
          else socket.send('x'.repeat(30_000));
        });
        const client = world.run(function* () {
          const peer = yield* RawPeer.open(world);
          pauseReading(peer.connection);
          for (let i = 0; i < 20; i++) news.publish('x'.repeat(2000));
          const start = world.now;
          yield* sendPongs(peer);
          peer.connection.reset();
          return start;
        });
        await world.pass();
        const start = await client;
        assert.equal(ended.length, 1);
        const [{ at, code, error }] = ended;
        assert.equal(code, 1006);
        if (source === 'follow' || face === 'handlers')
          assert.match(error, /ERR_WRITE_TIMEOUT|the peer has taken no output, or too little, for 2000 ms or more/);
        // A thread in `send` has what its client took at first taken into account: see `Writer`.
        const most = face === 'threads' && source === 'send' ? 4100 : 2600;
        assert.ok(at - start >= 1900 && at - start <= most, `after ${at - start} ms`);
        assert.equal(news.counts.subscribers, 0);
        assert.equal(world.server.buffered.held, 0);
        await world.close();
      });

    it('is reset when it takes less than minWriteRate, and not when it takes more, or all that there is', async () => {
      for (const [pause, isReset] of [
        [2000, true],
        [100, false],
      ] as const) {
        const news = topic<string>('news', { maxWaiting: 4 });
        // The client takes some 8 KiB each time that it reads.
        const { world, ended } = await open(
          face,
          { ...limits, minWriteRate: 5000 },
          (socket) => void socket.follow(news),
          { ...small, latency: 20 },
        );
        const publishing = world.run(function* () {
          for (let i = 0; i < 60; i++) {
            news.publish('x'.repeat(3000));
            yield* sleep(200);
          }
        });
        const client = world.run(function* () {
          const peer = yield* RawPeer.open(world);
          const pongs = spawn(() => sendPongs(peer));
          const reading = spawn(() => peer.rest());
          while (ended.length === 0 && world.now < 11_000) {
            pauseReading(peer.connection);
            yield* sleep(pause);
            resumeReading(peer.connection);
            yield* sleep(50);
          }
          const isEarly = ended.length > 0;
          for (const thread of [pongs, reading]) thread.unwind();
          peer.connection.reset();
          return isEarly;
        });
        await world.pass();
        await publishing;
        assert.equal(await client, isReset, JSON.stringify(ended));
        await world.close();
      }
    });
  });

  const unfinished = {
    'the first of two fragments': frame(opcode.text, 'x'.repeat(1000), { fin: false }),
    'half a frame': frame(opcode.binary, Buffer.alloc(50_000)).subarray(0, 25_000),
    'half a header': frame(opcode.text, 'x').subarray(0, 1),
    'half a ping': frame(opcode.ping, 'half of it').subarray(0, 9),
  };

  describe(`a message that is not finished, ${face}`, () => {
    for (const inParts of face === 'threads' ? [false, true] : [false]) {
      for (const [what, sent] of Object.entries(unfinished))
        it(`is refused with 1008 after messageTimeout: ${what}${inParts ? ', in parts' : ''}`, async () => {
          const { world, ended } = await open(face, { messageTimeout: 1000, inParts }, undefined, quiet);
          const client = world.run(function* () {
            const peer = yield* RawPeer.open(world);
            yield* peer.send(text('before'), sent);
            const start = world.now;
            if (what.startsWith('the first')) spawn(() => sendPongs(peer, 10)); // pings and pongs are no progress
            const close = yield* peer.read();
            return { close, after: Math.round((world.now - start) / 100), ending: (yield* peer.rest()).at(-1) };
          });
          await world.pass();
          assert.deepEqual(await client, { close: 'close:1008:', after: 10, ending: 'FIN' });
          assert.deepEqual(
            ended.map(({ code, error }) => `${code} ${error}`),
            ['1006 WebSocketError: a message has paused for 1000 ms, or comes at less than 240 bytes a second'],
          );
          assert.equal(world.server.buffered.held, 0);
          await world.close();
        });

      it(`may take any time at minMessageRate, and is refused when it drips${inParts ? ', in parts' : ''}`, async () => {
        for (const [pause, got] of [
          [90, '100'],
          [190, 'close:1008:'],
        ] as const) {
          const options = { messageTimeout: 1000, minMessageRate: 100, inParts };
          const { world, heard } = await open(face, options, undefined, quiet);
          const client = world.run(function* () {
            const peer = yield* RawPeer.open(world);
            const message = frame(opcode.text, 'x'.repeat(1000));
            spawn(function* () {
              for (let at = 0; at < message.length; at += 10) {
                yield* peer.send(message.subarray(at, at + 10));
                yield* sleep(pause);
              }
              yield* peer.send(closeFrame(1000));
            });
            return (yield* peer.rest())[0];
          });
          await world.pass();
          const close = await client;
          assert.equal(close === 'close:1000:' ? `${heard.join('').length / 10}` : close, got);
          await world.close();
        }
      });
    }

    it('takes no memory from others: the largest is refused with 1013', async () => {
      const { world, heard } = await open(face, { maxBufferedBytes: 2 ** 20 }, undefined, quiet);
      const endings: string[] = [];
      for (let i = 0; i < 7; i++)
        world.run(function* () {
          const peer = yield* RawPeer.open(world);
          yield* peer.send(frame(opcode.binary, Buffer.alloc(110_000 + i), { fin: false }));
          yield* sleep(3000);
          const [first] = world.now > 2000 ? [yield* peer.read()] : [''];
          endings.push(first);
          peer.connection.reset();
        });
      const honest = world.run(function* () {
        yield* sleep(1000);
        const peer = yield* RawPeer.open(world);
        for (let i = 0; i < 10; i++) {
          yield* peer.send(frame(opcode.text, 'a'.repeat(25_000), { fin: false }));
          yield* sleep(10);
          yield* peer.send(frame(opcode.continuation, 'b'.repeat(25_000)));
        }
        yield* peer.sendClose(1000);
        return yield* peer.rest();
      });
      await world.pass(2000);
      assert.deepEqual(await honest, ['close:1000:', 'FIN']);
      assert.equal(heard.length, 10);
      assert.ok(world.server.buffered.held > 2 ** 18, `the others keep ${world.server.buffered.held} bytes`);
      assert.ok(world.server.buffered.held <= 2 ** 20 * 0.75);
      await world.pass(70_000);
      await world.close();
    });
  });
}

describe('a thread that does not receive', () => {
  it('does not make a message late', async () => {
    const world = await World.open(
      {
        fetch: (request) =>
          webSocket(
            request,
            function* (socket) {
              const parts = yield* socket.receiveParts();
              yield* sleep(5000);
              let length = 0;
              for (let part: unknown; (part = yield* parts?.read() ?? []) !== undefined; )
                length += (part as string).length;
              yield* socket.send(`${length}`);
            },
            { messageTimeout: 1000, pingInterval: 0 },
          ),
      },
      quiet,
    );
    const client = world.run(function* () {
      const peer = yield* RawPeer.open(world);
      yield* peer.send(frame(opcode.text, 'x'.repeat(300_000), { fin: false }));
      yield* sleep(500);
      yield* peer.send(frame(opcode.continuation, 'y'));
      const got = yield* peer.read();
      yield* peer.sendClose();
      yield* peer.rest();
      return got;
    });
    await world.pass();
    assert.equal(await client, 'text:300001');
    await world.close();
  });
});
