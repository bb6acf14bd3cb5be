// Real clients and servers of other makes over real sockets, on every layer: the `ws` package and Node's own WebSocket, deflated and not.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { after, before, describe, it } from 'node:test';
import WebSocket, { WebSocketServer } from 'ws';
import { Network } from '#sluice/connection/network.js';
import type { EventLayer } from '#sluice/event-layer/event-layer.js';
import { type ServeOptions, type Server, serve } from '#sluice/server/serve.js';
import { run } from '#sluice/threads/thread.js';
import { connectWebSocket } from '#sluice/websocket/client.js';
import type { DeflateOptions } from '#sluice/websocket/extensions.js';
import { webSocket } from '#sluice/websocket/server.js';
import { layers } from '../support/layers.js';
import { Program } from '../support/program.js';
import { eventually } from '../support/raw-client.js';

const takeover: DeflateOptions = { serverContextTakeover: true, clientContextTakeover: true, threshold: 0 };
const compressions = { plain: false, deflated: true, 'deflated with context takeover': takeover };

/** Messages of every size of length field, text and binary. */
const texts = [
  '',
  'ü€😀',
  'a'.repeat(125),
  'b'.repeat(126),
  'ü'.repeat(40_000),
  JSON.stringify(process.versions).repeat(300),
];
const binaries = [0, 1, 125, 126, 65_535, 65_536, 300_000].map((size) => Buffer.alloc(size, 'sluice'));

/** Servers of both faces that echo. */
const faces: Record<
  string,
  (perMessageDeflate: boolean | DeflateOptions) => Pick<ServeOptions, 'fetch' | 'websocket'>
> = {
  threads: (perMessageDeflate) => ({
    fetch: (request) =>
      webSocket(
        request,
        function* (socket) {
          for (let message: string | Uint8Array | undefined; (message = yield* socket.receive()) !== undefined; ) {
            if (message === 'close me') socket.close(4321, 'as you wish');
            else yield* socket.send(message);
          }
        },
        { perMessageDeflate, protocols: ['b', 'a'] },
      ),
  }),
  handlers: (perMessageDeflate) => ({
    fetch: (request, info) => {
      info.upgrade(request);
      return undefined;
    },
    websocket: {
      perMessageDeflate,
      protocols: ['b', 'a'],
      message(ws, message) {
        if (message === 'close me') ws.close(4321, 'as you wish');
        else ws.send(message);
      },
    },
  }),
};

/** Sends everything at once with `ws`, and compares what comes back. */
async function talkWithWs(url: string): Promise<void> {
  const client = new WebSocket(url, ['a', 'c'], { perMessageDeflate: { threshold: 0 } });
  const received: (string | Buffer)[] = [];
  const closed = once(client, 'close');
  client.on('message', (data: Buffer, isBinary) => {
    received.push(isBinary ? data : data.toString());
    if (received.length === texts.length + binaries.length + 1) client.send('close me');
  });
  await once(client, 'open');
  assert.equal(client.protocol, 'a');
  const pong = once(client, 'pong');
  client.ping('are you there?');
  for (const text of texts) client.send(text);
  for (const binary of binaries) client.send(binary);
  client.send('in ', { fin: false });
  client.send('fragments', { fin: true });
  assert.equal(String((await pong)[0]), 'are you there?');
  const [code, reason] = await closed;
  assert.deepEqual([code, String(reason)], [4321, 'as you wish']);
  assert.deepEqual(received, [...texts, ...binaries, 'in fragments']);
}

/** The same with the `WebSocket` of the browser's API, in a process whose Node has one: the script is given the URLs. */
const script = `
const talk = (url, texts, binaries) => new Promise((resolve, reject) => {
  const socket = new WebSocket(url, ['a', 'c']);
  socket.binaryType = 'arraybuffer';
  const received = [];
  socket.onerror = (event) => reject(event.error ?? new Error('failed: ' + url));
  socket.onopen = () => {
    for (const text of texts) socket.send(text);
    for (const size of binaries) socket.send(Buffer.alloc(size, 'sluice'));
  };
  socket.onmessage = ({ data }) => {
    received.push(data);
    if (received.length === texts.length + binaries.length) socket.send('close me');
  };
  socket.onclose = ({ code, reason, wasClean }) => {
    const isSame = texts.every((text, i) => text === received[i]) &&
      binaries.every((size, i) => Buffer.alloc(size, 'sluice').equals(Buffer.from(received[texts.length + i])));
    resolve([socket.protocol, socket.extensions.split(';')[0], isSame, code, reason, wasClean]);
  };
});
const { urls, texts, binaries } = JSON.parse(await new Response(process.stdin).text());
console.log(JSON.stringify(await Promise.all(urls.map((url) => talk(url, texts, binaries)))));
`;

for (const { name, make, skip } of layers)
  describe(`WebSockets over sockets, on ${name}`, { skip }, () => {
    let layer: EventLayer;
    const servers: [what: string, server: Server][] = [];
    const errors: unknown[] = [];
    let network: Network;

    before(async () => {
      layer = make();
      network = new Network(layer);
      const own = {
        network,
        hostname: '127.0.0.1',
        port: 0,
        globals: false,
        onError: (error: unknown) => errors.push(error),
      };
      for (const [face, served] of Object.entries(faces))
        for (const [what, deflate] of Object.entries(compressions))
          servers.push([`${face}, ${what}`, await serve({ ...own, ...served(deflate) })]);
    });

    after(async () => {
      await Promise.all(servers.map(([, server]) => server.close()));
      for (const [, server] of servers) assert.equal(server.buffered.held, 0);
      await layer.close();
      assert.deepEqual(errors, []);
    });

    it('the client of `ws` talks to servers of both faces, in every compression', async () => {
      for (const [what, server] of servers)
        await assert.doesNotReject(talkWithWs(server.url.href.replace('http', 'ws')), what);
    });

    it('so does the WebSocket of Node itself', async () => {
      const client = new Program([
        process.execPath,
        '--experimental-websocket',
        '--no-warnings',
        '--input-type=module',
        '-e',
        script,
      ]);
      const urls = servers.map(([, server]) => server.url.href.replace('http', 'ws'));
      client.process.stdin?.end(JSON.stringify({ urls, texts, binaries: binaries.map(({ length }) => length) }));
      const { stdout, stderr } = await client.endsWithin(30_000);
      assert.equal(stderr, '');
      for (const [i, [protocol, extensions, ...rest]] of (JSON.parse(stdout) as unknown[][]).entries()) {
        assert.deepEqual([protocol, ...rest], ['a', true, 4321, 'as you wish', true], servers[i]?.[0]);
        assert.ok(extensions === '' || extensions === 'permessage-deflate');
      }
    });

    it('connectWebSocket talks to the server of `ws`, in every compression', async () => {
      for (const [what, perMessageDeflate] of Object.entries(compressions)) {
        const server = new WebSocketServer({
          port: 0,
          host: '127.0.0.1',
          perMessageDeflate: perMessageDeflate !== false && { threshold: 0 },
          handleProtocols: (offered) => [...offered][1] ?? false,
        });
        await once(server, 'listening');
        const seen: string[] = [];
        let isClosed = false;
        server.on('connection', (socket, request) => {
          seen.push(String(request.headers.cookie));
          socket.ping('p');
          socket.on('pong', (data) => seen.push(String(data)));
          socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
          socket.on('close', (code, reason) => {
            seen.push(`${code} ${reason}`);
            isClosed = true;
          });
        });
        const { port } = server.address() as AddressInfo;
        await run(
          function* () {
            const socket = yield* connectWebSocket(`ws://127.0.0.1:${port}/`, {
              network,
              perMessageDeflate,
              protocols: ['a', 'b'],
              headers: { cookie: 'c=d' },
            });
            assert.equal(socket.protocol, 'b');
            for (const message of [...texts, ...binaries]) {
              yield* socket.send(message);
              const echo = yield* socket.receive();
              assert.deepEqual(typeof echo === 'string' ? echo : Buffer.from(echo ?? ''), message, what);
            }
            socket.close(4000, 'bye');
            assert.equal(yield* socket.receive(), undefined);
            assert.equal(socket.code, 4000);
          },
          { scheduler: network.scheduler },
        );
        await eventually('the end of the WebSocket', () => isClosed);
        server.close();
        await once(server, 'close');
        assert.deepEqual(seen, ['c=d', 'p', '4000 bye']);
      }
    });
  });
