// The browser's own WebSocket, against servers of both faces, deflated and not.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Response } from '#sluice/http/fetch/response.js';
import { serve } from '#sluice/server/serve.js';
import { webSocket } from '#sluice/websocket/server.js';
import { browserFor, withPage } from './browser.js';

const page = `<!doctype html><title>websocket</title><script>
  const talk = (path) => new Promise((resolve) => {
    const socket = new WebSocket('ws://' + location.host + path, ['b', 'a']);
    socket.binaryType = 'arraybuffer';
    const long = 'ü'.repeat(100_000);
    const seen = [];
    socket.onopen = () => {
      socket.send('hello');
      socket.send(long);
      socket.send(new Uint8Array([1, 2, 255]));
    };
    socket.onmessage = ({ data }) => {
      seen.push(data === long ? 'long' : typeof data === 'string' ? data : [...new Uint8Array(data)].join());
      if (seen.length === 3) socket.send('close me');
    };
    socket.onclose = ({ code, reason, wasClean }) =>
      resolve({ seen, protocol: socket.protocol, extensions: socket.extensions.split(';')[0], code, reason, wasClean });
  });
  const refused = (url) => new Promise((resolve) => {
    const socket = new WebSocket(url);
    socket.onopen = () => resolve('open');
    socket.onclose = ({ code }) => resolve(code);
  });
</script>`;

test('the WebSocket of a browser', async (t) => {
  const executable = browserFor(t);
  if (executable === undefined) return;
  for (const perMessageDeflate of [true, false]) {
    const server = await serve({
      hostname: '127.0.0.1',
      port: 0,
      globals: false,
      fetch: (request, info) => {
        const { pathname } = new URL(request.url);
        if (pathname === '/handlers') return info.upgrade(request) ? undefined : new Response('no', { status: 400 });
        if (pathname !== '/threads') return new Response(page, { headers: { 'content-type': 'text/html' } });
        return webSocket(
          request,
          function* (socket) {
            for (let message: string | Uint8Array | undefined; (message = yield* socket.receive()) !== undefined; ) {
              if (message === 'close me') socket.close(4000, 'as you wish');
              else yield* socket.send(message);
            }
          },
          { protocols: ['a'], perMessageDeflate },
        );
      },
      websocket: {
        protocols: ['a'],
        perMessageDeflate,
        message(ws, message) {
          if (message === 'close me') ws.close(4000, 'as you wish');
          else ws.send(message);
        },
      },
    });
    await withPage(executable, async (browser) => {
      await browser.goto(server.url.href);
      for (const path of ['/threads', '/handlers'])
        assert.deepEqual(await browser.evaluate(`talk('${path}')`), {
          seen: ['hello', 'long', '1,2,255'],
          protocol: 'a',
          extensions: perMessageDeflate ? 'permessage-deflate' : '',
          code: 4000,
          reason: 'as you wish',
          wasClean: true,
        });
      // A page of another origin gets 403, which a browser reports as 1006.
      await browser.goto(server.url.href.replace('127.0.0.1', 'localhost'));
      for (const path of ['threads', 'handlers'])
        assert.equal(await browser.evaluate(`refused('ws://127.0.0.1:${server.port}/${path}')`), 1006);
    });
    await server.close();
  }
});
