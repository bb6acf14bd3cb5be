// connectWebSocket, over the simulated network: against servers that answer rightly and wrongly.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Connection } from '#sluice/connection/connection.js';
import { listen } from '#sluice/connection/listen.js';
import type { SimulatedOptions } from '#sluice/event-layer/simulated/simulated.js';
import { sleep } from '#sluice/threads/sleep.js';
import type { Task } from '#sluice/threads/task.js';
import { spawn } from '#sluice/threads/thread.js';
import { connectWebSocket, type WebSocketClientOptions } from '#sluice/websocket/client.js';
import type { WebSocketError } from '#sluice/websocket/errors.js';
import { webSocket } from '#sluice/websocket/server.js';
import type { WebSocketConnection } from '#sluice/websocket/web-socket.js';
import { World } from '../support/world.js';
import { acceptOf, closeFrame, frame, opcode, RawPeer } from './raw-peer.js';

const quiet: SimulatedOptions = { latency: 0.01, pieces: 'whole' };

interface Asked {
  line: string;
  fields: Record<string, string>;
}

/** Runs a server of raw connections and a client. @param serve has read the request's head */
async function against<T>(
  serve: (connection: Connection, asked: Asked) => Task<unknown>,
  client: (url: string, world: World) => Task<T>,
  simulated = quiet,
): Promise<T> {
  const world = new World(simulated);
  const errors: unknown[] = [];
  const onError = (error: unknown) => errors.push(error);
  const server = await listen(
    { hostname: '127.0.0.1', port: 0, network: world.network, onError },
    function* (connection) {
      const { reader } = connection;
      const line = (yield* reader.readLine(1000)) ?? '';
      const fields: Record<string, string> = {};
      for (let next: string | undefined; (next = yield* reader.readLine(1000)) !== undefined && next !== ''; ) {
        const colon = next.indexOf(': ');
        fields[next.slice(0, colon)] = next.slice(colon + 2);
      }
      yield* serve(connection, { line, fields });
    },
  );
  const running = world.run(() => client(`ws://127.0.0.1:${server.port}/`, world));
  await world.pass();
  const closing = server.close();
  await world.pass();
  await closing;
  await world.close();
  assert.deepEqual(errors, []);
  return running;
}

/** The head of the right answer; what is given replaces fields, or the status line. */
function answer(
  { fields }: Asked,
  given: Record<string, string> = {},
  status = 'HTTP/1.1 101 Switching Protocols',
): string {
  const all: Record<string, string> = {
    upgrade: 'websocket',
    connection: 'Upgrade',
    'sec-websocket-accept': acceptOf(fields['sec-websocket-key'] ?? ''),
    ...given,
  };
  const lines = Object.entries(all).flatMap(([name, value]) => (value === '' ? [] : [`${name}: ${value}`]));
  return `${[status, ...lines].join('\r\n')}\r\n\r\n`;
}

/** Answers rightly, and speaks frames. */
const speaking = (
  talk: (peer: RawPeer, asked: Asked) => Task<unknown>,
  given: Record<string, string> = {},
  more = Buffer.alloc(0),
) =>
  function* (connection: Connection, asked: Asked): Task<void> {
    yield* connection.writer.write(Buffer.concat([Buffer.from(answer(asked, given)), more]));
    yield* talk(new RawPeer(connection, false), asked);
  };

describe('connectWebSocket', () => {
  it('asks as RFC 6455 §4.1 says, and masks what it sends', async () => {
    let asked: Asked | undefined;
    const got = await against(
      speaking(
        function* (peer, its) {
          asked = its;
          yield* peer.sendText(`got ${yield* peer.read()}`);
          assert.equal(yield* peer.read(), 'close:1000:bye');
          yield* peer.sendClose(1000);
        },
        { 'sec-websocket-protocol': 'b' },
      ),
      function* (url) {
        const socket = yield* connectWebSocket(`${url}a%20b?c=d`, {
          protocols: ['a', 'b'],
          headers: { Authorization: 'Basic x', origin: 'http://o' },
        });
        yield* socket.send('hello');
        const received = yield* socket.receive();
        socket.close(1000, 'bye');
        return [
          received,
          socket.protocol,
          yield* socket.receive(),
          socket.code,
          /^127\.0\.0\.1:\d+$/.test(socket.peer),
        ];
      },
    );
    assert.deepEqual(got, ['got text:hello', 'b', undefined, 1000, true]);
    assert.equal(asked?.line, 'GET /a%20b?c=d HTTP/1.1');
    const { 'sec-websocket-key': key, host, ...fields } = asked.fields;
    assert.match(key, /^[A-Za-z0-9+/]{22}==$/);
    assert.match(host, /^127\.0\.0\.1:\d+$/);
    assert.deepEqual(fields, {
      connection: 'Upgrade',
      upgrade: 'websocket',
      'sec-websocket-version': '13',
      'sec-websocket-protocol': 'a, b',
      authorization: 'Basic x',
      origin: 'http://o',
    });
  });

  it('reads what comes in the same packet as the answer', async () => {
    const early = Buffer.concat([frame(opcode.text, 'early', { mask: false }), closeFrame(1001, '', false)]);
    const got = await against(
      speaking((peer) => peer.rest(), {}, early),
      function* (url) {
        const socket = yield* connectWebSocket(url);
        return [yield* socket.receive(), yield* socket.receive(), socket.code];
      },
    );
    assert.deepEqual(got, ['early', undefined, 1001]);
  });

  it('speaks with a server of webSocket() under every seed and cut, deflated and not', async () => {
    for (const perMessageDeflate of [
      false,
      true,
      { serverContextTakeover: true, clientContextTakeover: true, threshold: 0 },
    ])
      for (const seed of [1, 2])
        for (const pieces of ['random', 'whole', 1] as const) {
          const world = new World({ seed, pieces });
          await world.serve({
            fetch: (request) =>
              webSocket(
                request,
                function* (socket) {
                  for (
                    let message: string | Uint8Array | undefined;
                    (message = yield* socket.receive()) !== undefined;
                  )
                    yield* socket.send(message);
                },
                { perMessageDeflate },
              ),
          });
          const messages = [
            '',
            'ü'.repeat(100),
            'x'.repeat(pieces === 1 ? 2000 : 50_000),
            new Uint8Array(3000).fill(7),
          ];
          const client = world.run(function* () {
            const socket = yield* connectWebSocket(world.server.url.href.replace('http', 'ws'), { perMessageDeflate });
            spawn(function* () {
              for (const message of messages) yield* socket.send(message);
            });
            const all: unknown[] = [];
            for (const _ of messages) all.push(yield* socket.receive());
            return all;
          });
          await world.pass();
          assert.deepEqual(await client, messages);
          await world.close();
        }
  });

  const wrong: [string, (asked: Asked) => string, RegExp, WebSocketClientOptions?][] = [
    ['another status', () => 'HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n', /"HTTP\/1.1 404 Not Found"/],
    ['HTTP/1.0', (asked) => answer(asked, {}, 'HTTP/1.0 101 x'), /"HTTP\/1.0 101 x"/],
    ['no HTTP, whose peer waits for an answer', () => 'SSH-2.0-x\r\n', /"SSH-2.0-x"/],
    ['no lines', () => '\x15\x03\x01\0\x02\x02', /"\\u0015/],
    ['another status, before the end of its head', () => 'HTTP/1.1 404 x\r\na: ', /"HTTP\/1.1 404 x"/],
    ['no Upgrade', (asked) => answer(asked, { upgrade: '' }), /no Upgrade: websocket/],
    ['another Upgrade', (asked) => answer(asked, { upgrade: 'h2c' }), /no Upgrade: websocket/],
    ['no Connection', (asked) => answer(asked, { connection: 'keep-alive' }), /no Connection: Upgrade/],
    [
      'no Sec-WebSocket-Accept',
      (asked) => answer(asked, { 'sec-websocket-accept': '' }),
      /a wrong Sec-WebSocket-Accept/,
    ],
    ['a wrong one', (asked) => answer(asked, { 'sec-websocket-accept': 'x' }), /a wrong Sec-WebSocket-Accept/],
    [
      'a sub-protocol that was not offered',
      (asked) => answer(asked, { 'sec-websocket-protocol': 'c' }),
      /the sub-protocol "c", which was not offered/,
      { protocols: ['a'] },
    ],
    ['one where none was offered', (asked) => answer(asked, { 'sec-websocket-protocol': 'c' }), /the sub-protocol "c"/],
    [
      'an extension that was not offered',
      (asked) => answer(asked, { 'sec-websocket-extensions': 'permessage-deflate' }),
      /the extension permessage-deflate; expected none, since none was offered/,
    ],
    [
      'an unknown extension',
      (asked) => answer(asked, { 'sec-websocket-extensions': 'x' }),
      /the extension x; expected permessage-deflate, or none/,
      { perMessageDeflate: true },
    ],
    [
      'a malformed one',
      (asked) => answer(asked, { 'sec-websocket-extensions': ';;' }),
      /a malformed Sec-WebSocket-Extensions/,
      { perMessageDeflate: true },
    ],
    [
      'a parameter that was not offered',
      (asked) => answer(asked, { 'sec-websocket-extensions': 'permessage-deflate; server_max_window_bits=99' }),
      /server_max_window_bits is 99/,
      { perMessageDeflate: true },
    ],
    ['a malformed field', (asked) => answer(asked).replace('upgrade: ', 'upgrade '), /a malformed field/],
    ['a line without end', () => `HTTP/1.1 101 ${'x'.repeat(10_000)}`, /a line of more than 8192 bytes/],
    [
      'a head without end',
      () => `HTTP/1.1 101 x\r\n${`a: ${'x'.repeat(1000)}\r\n`.repeat(100)}`,
      /a head of more than 65536 bytes/,
    ],
    ['a head that is cut short', () => 'HTTP/1.1 101 x\r\nupgrade: websocket\r\n', /a head that is cut short/],
    ['nothing', () => '', /nothing, and has closed the connection/],
  ];
  for (const [what, reply, message, options] of wrong)
    it(`throws ERR_HANDSHAKE for ${what}, and resets the connection`, async () => {
      let ending = '';
      const got = await against(
        function* (connection, asked) {
          yield* connection.writer.write(reply(asked));
          if (what.startsWith('nothing') || what.includes('cut short')) yield* connection.writer.end();
          ending = 'reset'; // which unwinds the thread
          yield* connection.reader.read();
          ending = 'another one';
        },
        function* (url) {
          try {
            yield* connectWebSocket(url, options);
          } catch (error) {
            yield* sleep(100); // the thread goes on
            return error as Error & { code: string };
          }
          throw new Error('it was connected');
        },
      );
      assert.equal(got.code, 'ERR_HANDSHAKE');
      assert.match(got.message, message);
      assert.match(
        got.message,
        /^connectWebSocket: the server answered with [^;]*; expected (?:the opening handshake of RFC 6455 §4.2.2|[^;]* \(RFC (?:6455 §4.1|7692 §7.1)\))$/,
      );
      assert.equal(ending, 'reset');
    });

  it('throws ERR_HANDSHAKE if the server does not answer in time, however slowly it sends', async () => {
    const got = await against(
      function* ({ writer }, asked) {
        try {
          for (const character of answer(asked)) {
            yield* writer.write(character);
            yield* sleep(100);
          }
        } catch {}
      },
      function* (url, world) {
        const start = world.now;
        try {
          yield* connectWebSocket(url, { handshakeTimeout: 1000 });
        } catch (error) {
          return [`${error}`, Math.floor((world.now - start) / 100)];
        }
        return [];
      },
    );
    assert.match(`${got[0]}`, /answered with no whole head within 1000 ms/);
    assert.equal(got[1], 10);
  });

  it('throws what connect throws', async () => {
    const world = new World(quiet);
    const client = world.run(() => connectWebSocket('ws://127.0.0.1:1/'));
    await world.pass();
    await assert.rejects(client, { code: 'ECONNREFUSED' });
    await world.close();
  });

  it('takes its time no longer than its thread, which may be unwound in the handshake', async () => {
    const got = await against(
      function* ({ reader }) {
        try {
          yield* reader.read();
        } catch {}
      },
      function* (url) {
        const thread = spawn(() => connectWebSocket(url));
        yield* sleep(50);
        thread.unwind();
        yield* sleep(50);
        return thread.state;
      },
    );
    assert.equal(got, 'over');
  });

  for (const [what, url, options, message] of [
    ['http:', 'http://a/', {}, /TypeError: connectWebSocket: url is "http:\/\/a\/"; expected ws:\/\/host/],
    ['what is no URL', 'a', {}, /url is "a"; expected ws:\/\/host/],
    ['a fragment', 'ws://a/#b', {}, /url is "ws:\/\/a\/#b"; expected no fragment/],
    ['an empty fragment', 'ws://a/#', {}, /expected no fragment/],
    ['a user', 'ws://a:b@c/', {}, /expected no user and password/],
    [
      'a protocol that would add a field',
      'ws://a/',
      { protocols: ['a\r\nx: y'] },
      /protocols\[0\] is .*; expected a token/,
    ],
    ['a protocol twice', 'ws://a/', { protocols: ['a', 'a'] }, /protocols has "a" twice/],
    [
      'a field of the handshake',
      'ws://a/',
      { headers: { upgrade: 'x' } },
      /headers has upgrade, which the handshake sets/,
    ],
    [
      'protocols among the fields',
      'ws://a/',
      { headers: { 'sec-websocket-protocol': 'x' } },
      /headers has sec-websocket-protocol, which the option protocols sets/,
    ],
    ['a wrong option', 'ws://a/', { handshakeTimeout: 0 }, /handshakeTimeout is 0/],
    ['an unknown option', 'ws://a/', { origin: 'x' }, /unknown option "origin"/],
  ] as [string, string, WebSocketClientOptions, RegExp][])
    it(`refuses ${what}`, async () => {
      const world = new World(quiet);
      const client = world.run(() => connectWebSocket(url, options));
      await world.pass();
      await assert.rejects(client, (error: Error) => message.test(String(error)));
      await world.close();
    });
});

describe('the WebSocket of a client', () => {
  /** How a server ends a WebSocket. */
  const ways: Record<string, (peer: RawPeer) => Task<unknown>> = {
    'a Close frame': function* (peer) {
      yield* peer.sendClose(4000, 'why');
      yield* peer.rest();
    },
    FIN: (peer) => peer.connection.writer.end(),
    'a reset': function* (peer) {
      peer.connection.reset();
    },
  };
  for (const [way, leave] of Object.entries(ways))
    for (const place of ['receive', 'sleep', 'send'] as const)
      it(`that its server ends by ${way} does not unwind a thread that is parked in ${place}`, async () => {
        const got = await against(
          speaking(function* (peer) {
            if (place === 'send') peer.connection.pauseReading();
            yield* sleep(100);
            yield* leave(peer);
          }),
          function* (url) {
            const socket = yield* connectWebSocket(url);
            const seen: unknown[] = [];
            try {
              if (place === 'receive') seen.push(yield* socket.receive());
              else if (place === 'send') for (;;) yield* socket.send('x'.repeat(10_000));
              else yield* sleep(1000);
            } catch (error) {
              seen.push((error as { code: string }).code);
            }
            seen.push(yield* socket.receive(), socket.code, socket.reason, socket.isOpen);
            return seen;
          },
          { ...quiet, capacity: 4096 },
        );
        const end = way === 'a Close frame' ? [4000, 'why'] : [1006, ''];
        const first = place === 'receive' ? [undefined] : place === 'sleep' ? [] : ['ERR_CLOSED'];
        assert.deepEqual(got, [...first, undefined, ...end, false]);
      });

  it('is closed when its thread returns, throws or is unwound', async () => {
    for (const [end, code] of [
      ['returns', 1000],
      ['throws', 1011],
      ['is unwound', 1001],
    ] as const) {
      let seen: unknown;
      await against(
        speaking(function* (peer) {
          seen = yield* peer.read();
          yield* peer.sendClose(code);
          yield* peer.rest();
        }),
        function* (url) {
          const thread = spawn(function* () {
            yield* connectWebSocket(url);
            if (end === 'throws') throw new Error('of the thread');
            if (end === 'is unwound') yield* sleep(1e6);
          });
          spawn(function* () {
            yield* sleep(100);
            thread.unwind();
          });
          try {
            yield* thread.join();
          } catch {}
          yield* sleep(100);
        },
      );
      assert.equal(seen, `close:${code}:`);
    }
  });

  it('waits for the server to end the connection, and ends it itself after closeTimeout', async () => {
    const seen: unknown[] = [];
    for (const isQuick of [true, false])
      await against(
        speaking(function* (peer) {
          yield* peer.sendClose(1000);
          assert.equal(yield* peer.read(), 'close:1000:');
          const { scheduler } = peer.connection;
          const start = scheduler.now;
          if (isQuick) yield* peer.connection.writer.end();
          seen.push(yield* peer.read(), Math.floor((scheduler.now - start) / 100));
        }),
        function* (url) {
          const socket: WebSocketConnection = yield* connectWebSocket(url, { closeTimeout: 500 });
          yield* socket.receive();
          yield* sleep(2000);
        },
      );
    assert.deepEqual(seen, ['FIN', 0, 'FIN', 5]);
  });

  it('fails the connection where the server breaks a rule', async () => {
    for (const [wrong, code, message] of [
      [frame(opcode.text, 'masked', { mask: true }), 1002, /a server has masked a frame/],
      [frame(opcode.text, Buffer.from([0xff]), { mask: false }), 1007, /not UTF-8/],
      [frame(opcode.binary, Buffer.alloc(101), { mask: false }), 1009, /maxPayloadLength/],
    ] as const) {
      const got = await against(
        speaking(function* (peer) {
          yield* peer.send(wrong);
          assert.equal(yield* peer.read(), `close:${code}:`);
          yield* peer.rest();
        }),
        function* (url) {
          const socket = yield* connectWebSocket(url, { maxPayloadLength: 100 });
          return [yield* socket.receive(), socket.code, String(socket.error)] as const;
        },
      );
      assert.deepEqual(got.slice(0, 2), [undefined, 1006]);
      assert.match(got[2], message);
    }
  });

  it('fails the connection of a server that does not finish a message', async () => {
    const got = await against(
      speaking(function* (peer) {
        yield* peer.send(frame(opcode.text, 'half', { fin: false, mask: false }));
        assert.equal(yield* peer.read(), 'close:1008:');
        yield* peer.rest();
      }),
      function* (url) {
        const socket = yield* connectWebSocket(url, { messageTimeout: 100 });
        return [yield* socket.receive(), socket.code, (socket.error as WebSocketError).closeCode];
      },
    );
    assert.deepEqual(got, [undefined, 1006, 1008]);
  });

  it('answers pings, sends its own, and gives up on a server of which nothing comes', async () => {
    const got = await against(
      speaking(function* (peer) {
        yield* peer.send(frame(opcode.ping, 'p', { mask: false }));
        assert.equal(yield* peer.read(), 'pong:p');
        assert.equal(yield* peer.read(), 'ping:');
        yield* peer.rest();
      }),
      function* (url) {
        const socket = yield* connectWebSocket(url, { pingInterval: 100, pongTimeout: 100 });
        return [yield* socket.receive(), socket.code];
      },
    );
    assert.deepEqual(got, [undefined, 1006]);
  });

  it('cannot follow a topic', async () => {
    const got = await against(
      speaking((peer) => peer.rest()),
      function* (url) {
        const socket = yield* connectWebSocket(url);
        try {
          socket.follow({} as never);
        } catch (error) {
          return String(error);
        }
        return '';
      },
    );
    assert.match(got, /TypeError: follow: this is the WebSocket of a client/);
  });
});
