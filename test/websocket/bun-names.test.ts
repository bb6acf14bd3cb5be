// The names of Bun's `ServerWebSocket`, `WebSocketHandler` and `Server`, with the values that Bun 1.4 gives, but for what docs/websocket.md names as different.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { SimulatedOptions } from '#sluice/event-layer/simulated/simulated.js';
import type { Server } from '#sluice/server/serve.js';
import { sleep } from '#sluice/threads/sleep.js';
import type { Task } from '#sluice/threads/task.js';
import type { ServerWebSocket, WebSocketHandlers } from '#sluice/websocket/handlers.js';
import { pauseReading, World } from '../support/world.js';
import { closeFrame, frame, opcode, RawPeer, text } from './raw-peer.js';

const quiet: SimulatedOptions = { latency: 0.01, pieces: 'whole' };

/** Runs a client against a server by handlers. */
async function between<T>(
  websocket: WebSocketHandlers,
  client: (peer: RawPeer, world: World) => Task<T>,
  simulated = quiet,
): Promise<T> {
  const world = await World.open(
    { fetch: (request, info) => void info.upgrade(request) as undefined, websocket },
    simulated,
  );
  const running = world.run(function* () {
    return yield* client(yield* RawPeer.open(world), world);
  });
  await world.pass();
  const got = await running;
  await world.close();
  assert.deepEqual(world.errors, []);
  return got;
}

/** What `does` returns when the WebSocket is open. */
async function whenOpen(does: (ws: ServerWebSocket) => unknown): Promise<unknown> {
  let got: unknown;
  await between({ open: (ws) => void (got = does(ws)) }, function* (peer) {
    yield* sleep(1);
    yield* peer.sendClose();
    yield* peer.rest();
  });
  return got;
}

describe('the names of Bun: a WebSocket', () => {
  it('subscribe, unsubscribe and isSubscribed say whether it is so', async () => {
    const got = await whenOpen((ws) => [
      [ws.subscribe('a'), ws.subscribe('a'), ws.isSubscribed('a'), ws.isSubscribed('b'), ws.subscriptions],
      [ws.unsubscribe('a'), ws.unsubscribe('a'), ws.unsubscribe('b'), ws.subscriptions],
    ]);
    assert.deepEqual(got, [
      [true, true, true, false, ['a']],
      [true, false, false, []],
    ]);
  });

  it('subscribe and send do nothing once it is closed, and readyState is 3 in close', async () => {
    const got = await between<unknown>(
      {
        message(ws) {
          ws.close(4001, 'bye');
          seen.push(ws.readyState === 1, ws.send('x'), ws.subscribe('a'), ws.isPaused);
        },
        close: (ws, code) => void seen.push(code, ws.readyState, ws.subscribe('a'), ws.remoteAddress),
      },
      function* (peer) {
        yield* peer.sendText('close');
        yield* peer.read();
        yield* peer.sendClose(4001);
        yield* peer.rest();
        return seen;
      },
    );
    assert.deepEqual(got, [false, 0, false, false, 4001, 3, false, '127.0.0.1']);
  });
  const seen: unknown[] = [];

  it('remoteAddress is an IP address; requestIP has the port and the family as well', async () => {
    let ip: unknown;
    const world = await World.open({
      fetch(request, server) {
        ip = server.requestIP(request);
        assert.deepEqual(world.server.requestIP(request), ip);
        assert.equal(server.pendingWebSockets, 0);
        server.upgrade(request);
        return undefined;
      },
      websocket: {
        open: (ws) =>
          ws.send(
            `${ws.remoteAddress} ${ws.getBufferedAmount() === ws.bufferedAmount} ${world.server.pendingWebSockets}`,
          ),
      },
    });
    const client = world.run(function* () {
      const peer = yield* RawPeer.open(world);
      const got = yield* peer.read();
      yield* peer.sendClose();
      yield* peer.rest();
      return got;
    });
    await world.pass();
    assert.equal(await client, 'text:127.0.0.1 true 1');
    assert.equal(world.server.pendingWebSockets, 0);
    const { address, port, family } = ip as { address: string; port: number; family: string };
    assert.deepEqual([address, family], ['127.0.0.1', 'IPv4']);
    assert.ok(port > 0);
    assert.throws(
      () => world.server.requestIP({} as Request),
      /TypeError: requestIP: the request is \[object Object\]/,
    );
    await world.close();
  });

  it('requestIP works without the option websocket, and upgrade of the server needs it', async () => {
    const world = await World.open({
      fetch(request, info) {
        assert.throws(() => world.server.upgrade(request), /TypeError: upgrade: serve was called without websocket/);
        return new Response(`${info.requestIP(request)?.address} ${info.pendingWebSockets}`);
      },
    });
    const client = world.exchange('GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n');
    await world.pass();
    assert.equal((await client).responses[0]?.body, '127.0.0.1 0');
    await world.close();
  });

  it('upgrade is a method of the server as well', async () => {
    const got: unknown[] = [];
    const world = await World.open({
      fetch: (request) => void got.push((world.server as Server).upgrade(request, { data: 5 })) as undefined,
      websocket: { data: 0, open: (ws) => void got.push(ws.data) },
    });
    world.run(function* () {
      const peer = yield* RawPeer.open(world);
      yield* peer.sendClose();
      yield* peer.rest();
    });
    await world.pass();
    assert.deepEqual(got, [true, 5]);
    await world.close();
  });

  it('binaryType is how binary messages, and the data of pings and pongs, are given', async () => {
    const got: unknown[] = [];
    const note = (ws: ServerWebSocket, data: unknown): void => {
      if (data === 'next') ws.binaryType = types.shift() ?? 'nodebuffer';
      else got.push(data);
    };
    const types: ServerWebSocket['binaryType'][] = ['arraybuffer', 'uint8array', 'blob'];
    await between(
      { open: (ws) => void got.push(ws.binaryType), message: note, ping: note, pong: note },
      function* (peer) {
        for (let i = 0; i < 4; i++) {
          yield* peer.send(frame(opcode.binary, 'abc'), frame(opcode.ping, 'p'), frame(opcode.pong, 'q'), text('next'));
          yield* peer.read();
        }
        yield* peer.sendClose();
        yield* peer.rest();
      },
    );
    const bytes = (data: string): Uint8Array => new Uint8Array(Buffer.from(data));
    assert.deepEqual(got.slice(0, 10), [
      'nodebuffer',
      ...['abc', 'p', 'q'].map((data) => Buffer.from(data)),
      ...['abc', 'p', 'q'].map((data) => bytes(data).buffer),
      ...['abc', 'p', 'q'].map(bytes),
    ]);
    assert.deepEqual(await Promise.all(got.slice(10).map((blob) => (blob as Blob).text())), ['abc', 'p', 'q']);
    assert.match(
      String(
        await whenOpen((ws) => {
          try {
            ws.binaryType = 'text' as never;
            return '';
          } catch (error) {
            return error;
          }
        }),
      ),
      /^TypeError: binaryType is "text"; expected one of "nodebuffer", "arraybuffer", "uint8array", "blob"$/,
    );
  });

  it('publishText and publishBinary are publish for one of both; it says 0 where there is none, and -1 for slow ones', async () => {
    const got: unknown[] = [];
    await between(
      {
        publishToSelf: true,
        open(ws) {
          got.push(ws.publish('a', 'x'), ws.publishText('a', 'x'));
          ws.subscribe('a');
          got.push(
            ws.publishText('a', 'x'),
            ws.publishBinary('a', new Uint16Array(1)),
            ws.publish('a', new ArrayBuffer(3)),
          );
          got.push(ws.publish('a', 'x'.repeat(70_000)));
        },
      },
      function* (peer) {
        pauseReading(peer.connection);
        yield* sleep(10);
        peer.connection.reset();
      },
      { ...quiet, capacity: 4096 },
    );
    assert.deepEqual(got, [0, 0, 3, 4, 5, -1]); // with the two bytes of a header
    for (const [wrong, message] of [
      [(ws) => ws.publishText('a', 5 as never), /TypeError: publishText: the data is 5; expected a string/],
      [(ws) => ws.publishBinary('a', 'x' as never), /TypeError: publishBinary: the data is "x"; expected bytes/],
      [(ws) => ws.publish('a', 'x', 1 as never), /TypeError: publish: compress is 1; expected true or false/],
      [(ws) => ws.send('x', 'yes' as never), /TypeError: send: compress is "yes"; expected true or false/],
      [(ws) => ws.cork(5 as never), /TypeError: cork: the callback is 5; expected a function/],
      [(ws) => ws.isSubscribed(5 as never), /TypeError: isSubscribed: the topic is 5; expected a string/],
    ] as [(ws: ServerWebSocket) => unknown, RegExp][])
      await whenOpen((ws) => assert.throws(() => wrong(ws), message));
  });

  it('compress: a message is compressed or not, whatever its size', async () => {
    const world = await World.open({
      fetch: (request, info) => void info.upgrade(request) as undefined,
      websocket: {
        perMessageDeflate: true,
        open(ws) {
          ws.subscribe('a');
          const [short, long] = ['aaaaaaaaaaaaaaaaaaaaaaaa', 'a'.repeat(2000)];
          for (const compress of [undefined, true, false]) {
            for (const data of [short, long]) ws.send(data, compress);
            for (const data of [short, long]) world.server.publish('a', data, compress);
          }
        },
      },
    });
    const client = world.run(function* () {
      const peer = yield* RawPeer.open(world, { 'sec-websocket-extensions': 'permessage-deflate' });
      const compressed: (boolean | undefined)[] = [];
      for (let i = 0; i < 12; i++) compressed.push((yield* peer.next())?.rsv1);
      yield* peer.sendClose();
      yield* peer.rest();
      return compressed;
    });
    await world.pass();
    const [byDefault, always, never] = [
      [false, true],
      [true, true],
      [false, false],
    ];
    assert.deepEqual(await client, [...byDefault, ...byDefault, ...always, ...always, ...never, ...never]);
    await world.close();
  });

  it('pause stops reading, and what has been read is still given; idleTimeout does not run; resume goes on', async () => {
    const got: unknown[] = [];
    let socket: ServerWebSocket | undefined;
    const { sentAfter, heard } = await between(
      {
        idleTimeout: 10,
        open(ws) {
          socket = ws;
        },
        message(ws, message) {
          if (message === 'pause') ws.pause();
          got.push(message, ws.isPaused);
        },
      },
      function* (peer, world) {
        yield* peer.send(text('pause'), text('read already'));
        yield* sleep(10);
        yield* peer.sendText('later');
        yield* sleep(100_000);
        const sentAfter = [got.length, socket?.send('still here')];
        const heard = yield* peer.read();
        socket?.resume();
        yield* sleep(10);
        yield* peer.sendClose(1000);
        yield* peer.rest();
        assert.equal(world.server.buffered.held, 0);
        return { sentAfter, heard };
      },
    );
    assert.deepEqual(got, ['pause', true, 'read already', true, 'later', false]);
    assert.deepEqual([sentAfter, heard], [[4, 12], 'text:still here']);
  });

  it('close of a WebSocket that is paused completes the closing handshake', async () => {
    const codes: number[] = [];
    const rest = await between(
      {
        open(ws) {
          ws.pause();
          setImmediate(() => ws.close(4000));
        },
        close: (_ws, code) => void codes.push(code),
      },
      function* (peer) {
        const close = yield* peer.read();
        yield* peer.send(text('x'), closeFrame(4000));
        return [close, ...(yield* peer.rest())];
      },
    );
    assert.deepEqual([rest, codes], [['close:4000:', 'FIN'], [4000]]);
  });
});
