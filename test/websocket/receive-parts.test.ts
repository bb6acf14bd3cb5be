// Messages that a thread receives in parts, over the simulated network.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { deflateRawSync } from 'node:zlib';
import type { SimulatedOptions } from '#sluice/event-layer/simulated/simulated.js';
import { sleep } from '#sluice/threads/sleep.js';
import type { Task } from '#sluice/threads/task.js';
import { type WebSocketOptions, type WebSocketTask, webSocket } from '#sluice/websocket/server.js';
import type { MessageParts, WebSocketConnection } from '#sluice/websocket/web-socket.js';
import { World } from '../support/world.js';
import { closeFrame, frame, opcode, RawPeer, text } from './raw-peer.js';

const quiet: SimulatedOptions = { latency: 0.01, pieces: 'whole' };

/** Sends these bytes to a server's task, and a Close frame that is answered. @returns the most bytes that were held */
async function receive(
  task: WebSocketTask,
  bytes: Uint8Array,
  options: WebSocketOptions = {},
  simulated = quiet,
): Promise<number> {
  const world = await World.open({ fetch: (request) => webSocket(request, task, options) }, simulated);
  let most = 0;
  const client = world.run(function* () {
    const peer = yield* RawPeer.open(world, { 'sec-websocket-extensions': 'permessage-deflate' });
    for (let at = 0; at < bytes.length; at += 10_000) {
      yield* peer.send(bytes.subarray(at, at + 10_000));
      most = Math.max(most, world.server.buffered.held);
      yield* sleep(1); // else they come together
    }
    yield* peer.send(closeFrame(1000));
    return yield* peer.rest();
  });
  await world.pass();
  assert.equal((await client).at(-1), 'FIN');
  assert.deepEqual(world.errors, []);
  await world.close();
  return most;
}

function* all(message: MessageParts): Task<(string | Uint8Array)[]> {
  const parts: (string | Uint8Array)[] = [];
  for (let part: string | Uint8Array | undefined; (part = yield* message.read()) !== undefined; ) parts.push(part);
  assert.equal(yield* message.read(), undefined);
  return parts;
}

test('a message in many frames is received in parts, whatever the cuts, and texts end with a whole code point', async () => {
  const long = '😀ü€'.repeat(20_000);
  const bytes = Buffer.from(long);
  const frames = [frame(opcode.text, bytes.subarray(0, 100_001), { fin: false }), frame(opcode.ping, 'p')];
  frames.push(frame(opcode.continuation, bytes.subarray(100_001)), frame(opcode.binary, Buffer.alloc(200_000, 'b')));
  for (const seed of [1, 2, 3])
    for (const pieces of ['random', 'whole'] as const) {
      const seen: unknown[] = [];
      await receive(
        function* (socket) {
          for (let message: MessageParts | undefined; (message = yield* socket.receiveParts()) !== undefined; ) {
            const { isText } = message;
            const parts = yield* all(message);
            assert.ok(parts.length > 1 && message.isComplete);
            assert.ok(parts.every((part) => part.length <= 80_000 && (typeof part === 'string') === isText));
            if (isText) {
              assert.ok(parts.every((part) => !/^[\udc00-\udfff]|[\ud800-\udbff]$/.test(part as string)));
              seen.push(parts.join('') === long);
            } else seen.push(Buffer.concat(parts as Uint8Array[]).equals(Buffer.alloc(200_000, 'b')));
          }
          seen.push(socket.code);
        },
        Buffer.concat(frames),
        {},
        { seed, pieces },
      );
      assert.deepEqual(seen, [true, true, 1000]);
    }
});

test('short messages and empty ones are a part, or none', async () => {
  const seen: unknown[] = [];
  await receive(
    function* (socket) {
      for (let message: MessageParts | undefined; (message = yield* socket.receiveParts()) !== undefined; )
        seen.push([message.isText, yield* all(message), message.isComplete]);
    },
    Buffer.concat([
      text('a'),
      text(''),
      frame(opcode.binary, ''),
      frame(opcode.text, 'b', { fin: false }),
      frame(opcode.continuation, ''),
    ]),
  );
  assert.deepEqual(seen, [
    [true, ['a'], true],
    [true, [], true],
    [false, [], true],
    [true, ['b'], true],
  ]);
});

test('what is left unread of a message is skipped, and `receive` puts parts together', async () => {
  const seen: unknown[] = [];
  const parts: MessageParts[] = [];
  await receive(
    function* (socket: WebSocketConnection) {
      for (let i = 0; i < 2; i++) {
        const message = yield* socket.receiveParts();
        assert.ok(message !== undefined);
        parts.push(message);
        const part = yield* message.read();
        seen.push(part?.[0]);
      }
      const whole = yield* socket.receive();
      seen.push(whole?.length, yield* socket.receive(), yield* parts[0].read());
    },
    Buffer.concat([
      text('1'.repeat(300_000)),
      text('2'.repeat(300_000)),
      text('3'.repeat(300_000)),
      frame(opcode.text, 'end'),
    ]),
  );
  assert.deepEqual(seen, ['1', '2', 300_000, 'end', undefined]);
});

test('little is held of a message that is not read, plain or compressed', async () => {
  const content = Buffer.alloc(3_000_000, 'sluice');
  for (const bytes of [
    frame(opcode.binary, content),
    frame(opcode.binary, deflateRawSync(content, { finishFlush: 2, level: 1 }).subarray(0, -4), { rsv1: true }),
  ]) {
    let length = 0;
    const most = await receive(
      function* (socket) {
        const message = yield* socket.receiveParts();
        assert.ok(message !== undefined);
        yield* sleep(1000);
        for (const part of yield* all(message)) length += part.length;
        assert.ok(message.isComplete);
        assert.equal(yield* socket.receiveParts(), undefined);
      },
      bytes,
      { perMessageDeflate: true },
    );
    assert.equal(length, content.length);
    assert.ok(most < 400_000, `${most} bytes were held`);
  }
});

test('a message that is cut short is not complete, and one that becomes too long is refused', async () => {
  const seen: unknown[] = [];
  const task: WebSocketTask = function* (socket) {
    const message = yield* socket.receiveParts();
    assert.ok(message !== undefined);
    const parts = yield* all(message);
    seen.push(parts.join('').length > 0, message.isComplete, socket.code);
  };
  await receive(task, frame(opcode.text, 'half', { fin: false }));
  const many = Buffer.concat([
    frame(opcode.text, 'x'.repeat(20_000), { fin: false }),
    frame(opcode.continuation, 'x'.repeat(20_000)),
  ]);
  await receive(task, many, { maxPayloadLength: 30_000 });
  assert.deepEqual(seen, [true, false, 1000, true, false, 1006]);
});
