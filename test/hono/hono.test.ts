// Applications of Hono with the helpers of sluice/hono, and those of hono/bun and hono/deno.

import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { test } from 'node:test';
import { Hono } from 'hono';
import { WebSocket } from 'ws';
import { getConnInfo, streamSSE, upgradeWebSocket } from '#sluice/hono/index.js';
import { type EventClient, type ServeOptions, type Server, serve, sleep } from '#sluice/index.js';
import { eventually } from '../support/raw-client.js';

// hono/bun and hono/deno use the globals `Bun` and `Deno` as soon as they are loaded.
for (const name of ['Bun', 'Deno']) Object.defineProperty(globalThis, name, { configurable: true, value: {} });
const bun = await import('hono/bun');
const { getConnInfo: denoConnInfo } = await import('hono/deno');
for (const name of ['Bun', 'Deno']) Reflect.deleteProperty(globalThis, name);

function serveApp(app: Hono, options: Partial<ServeOptions> = {}): Promise<Server> {
  return serve({ port: 0, hostname: '127.0.0.1', fetch: app.fetch, ...options });
}

/** Sends messages to an echo server. @returns what comes back, and the code of the Close frame */
async function echoes(server: Server, messages: (string | Uint8Array)[]): Promise<unknown[]> {
  const socket = new WebSocket(`ws://127.0.0.1:${server.port}/ws`);
  const got: unknown[] = [];
  const closed = new Promise<void>((resolve, reject) => {
    socket.on('error', reject);
    socket.on('open', () => {
      for (const message of messages) socket.send(message);
    });
    socket.on('message', (data, isBinary) => {
      got.push(isBinary ? [...(data as Buffer)] : String(data));
      if (got.length === messages.length) socket.close(1000);
    });
    socket.on('close', () => resolve());
  });
  await closed;
  return got;
}

test('getConnInfo of sluice/hono, hono/bun and hono/deno have the client’s address', async () => {
  const app = new Hono()
    .get('/sluice', (c) => c.json(getConnInfo(c).remote))
    .get('/bun', (c) => c.json(bun.getConnInfo(c).remote))
    .get('/deno', (c) => c.json(denoConnInfo(c).remote));
  await using server = await serveApp(app);
  for (const [path, expected] of [
    ['/sluice', { transport: 'tcp', address: '127.0.0.1', addressType: 'IPv4' }],
    ['/bun', { address: '127.0.0.1', addressType: 'IPv4' }],
    ['/deno', { transport: 'tcp', address: '127.0.0.1' }],
  ] as const) {
    const { port, ...remote } = (await (await fetch(new URL(path, server.url))).json()) as { port: number };
    assert.deepEqual(remote, expected);
    assert.ok(port > 0);
  }
});

test('getConnInfo has the client behind a trusted proxy, and works behind middleware that replaces the request', async () => {
  const app = new Hono()
    .use(async (c, next) => {
      c.req.raw = new Request('http://localhost/', { headers: { 'x-replaced': '1' } });
      await next();
    })
    .get('/', (c) => c.text(getConnInfo(c).remote.address ?? ''));
  await using server = await serveApp(app, { trustProxy: 'loopback' });
  const response = await fetch(server.url, { headers: { 'x-forwarded-for': '192.0.2.7' } });
  assert.equal(await response.text(), '192.0.2.7');
});

test('getConnInfo refuses a request that is not from a server of sluice', async () => {
  const app = new Hono().get('/', (c) => c.json(getConnInfo(c))).onError((error, c) => c.text(error.message));
  assert.match(await (await app.request('/')).text(), /getConnInfo/);
});

test('upgradeWebSocket passes messages as text or ArrayBuffer, and events in order', async () => {
  const seen: string[] = [];
  const app = new Hono().get(
    '/ws',
    upgradeWebSocket((c) => ({
      onOpen: (_, ws) => void seen.push(`open ${ws.readyState} ${c.req.path}`),
      onMessage(event, ws) {
        seen.push(typeof event.data === 'string' ? 'text' : Object.prototype.toString.call(event.data));
        ws.send(event.data as string | ArrayBuffer);
      },
      onClose: ({ code }) => void seen.push(`close ${code}`),
    })),
  );
  await using server = await serveApp(app);
  assert.deepEqual(await echoes(server, ['text', Uint8Array.of(1, 2, 3)]), ['text', [1, 2, 3]]);
  await eventually('the closing', () => seen.at(-1) === 'close 1000');
  assert.deepEqual(seen, ['open 1 /ws', 'text', '[object ArrayBuffer]', 'close 1000']);
});

test('upgradeWebSocket leaves a request that asks for no WebSocket to the routes that follow', async () => {
  const app = new Hono()
    .get(
      '/ws',
      upgradeWebSocket(() => ({})),
    )
    .get('/ws', (c) => c.text('a page'));
  await using server = await serveApp(app);
  assert.equal(await (await fetch(new URL('/ws', server.url))).text(), 'a page');
});

test('an error of an event’s handler goes to onError of the events, or else to onError of serve', async () => {
  for (const isCaught of [true, false]) {
    const caught: string[] = [];
    const reported: string[] = [];
    const app = new Hono().get(
      '/ws',
      upgradeWebSocket(() => ({
        onMessage(event, ws) {
          ws.send(event.data as string);
          throw new Error('broken');
        },
        ...(isCaught && { onError: (event) => void caught.push(String((event as Event & { error: unknown }).error)) }),
      })),
    );
    await using server = await serveApp(app, { onError: (error) => reported.push(String(error)) });
    await echoes(server, ['text']);
    await eventually('the error', () => caught.length + reported.length === 1);
    assert.deepEqual([caught, reported], isCaught ? [['Error: broken'], []] : [[], ['Error: broken']]);
  }
});

test('upgradeWebSocket and websocket of hono/bun work unchanged', async () => {
  const app = new Hono().get(
    '/ws',
    bun.upgradeWebSocket(() => ({
      onMessage: (event, ws) => ws.send(event.data as string | ArrayBuffer),
    })),
  );
  const websocket = bun.websocket as unknown as ServeOptions['websocket'];
  await using server = await serveApp(app, { websocket });
  assert.deepEqual(await echoes(server, ['text', Uint8Array.of(1, 2, 3)]), ['text', [1, 2, 3]]);
});

test('streamSSE sends events as Hono does, with the header fields of the context', async () => {
  const app = new Hono().get('/', (c) => {
    c.header('x-own', '1');
    return streamSSE(c, async (stream) => {
      await stream.writeSSE({ data: 'one\ntwo', event: 'tick', id: '1' });
      await stream.write(': comment\n\n');
      await stream.writeSSE({ data: Promise.resolve('late') });
    });
  });
  await using server = await serveApp(app);
  const response = await fetch(server.url);
  assert.equal(response.headers.get('content-type'), 'text/event-stream');
  assert.equal(response.headers.get('x-own'), '1');
  const text = await response.text();
  assert.match(text, /event: ?tick\n/);
  assert.match(text, /data: ?one\ndata: ?two\n/);
  assert.match(text, /: comment\n\n/);
  assert.match(text, /data: ?late\n\n$/);
});

test('the callback of streamSSE ends where it waits, when its client disconnects', async () => {
  const ends: string[] = [];
  const app = new Hono()
    .get('/async', (c) =>
      streamSSE(c, async (stream) => {
        stream.onAbort(() => ends.push('onAbort'));
        try {
          await stream.writeSSE({ data: 'one' });
          await stream.sleep(60_000);
        } catch (error) {
          ends.push((error as Error).name);
          throw error;
        } finally {
          ends.push('finally');
        }
      }),
    )
    .get('/thread', (c) =>
      streamSSE(c, function* (client: EventClient) {
        try {
          yield* client.send({ data: 'one' });
          yield* sleep(60_000);
        } finally {
          ends.push('unwound');
        }
      }),
    );
  const reported: unknown[] = [];
  await using server = await serveApp(app, { onError: (error) => reported.push(error) });
  for (const path of ['/async', '/thread']) {
    const client = connect(server.port ?? 0, '127.0.0.1');
    client.write(`GET ${path} HTTP/1.1\r\nhost: a\r\n\r\n`);
    await new Promise((heard) => client.once('data', heard));
    client.resetAndDestroy();
  }
  await eventually('both ends', () => ends.length === 4);
  assert.deepEqual(ends.sort(), ['AbortError', 'finally', 'onAbort', 'unwound']);
  assert.deepEqual(reported, []);
});

test('an error of the callback of streamSSE goes to its onError, and the client gets an event error', async () => {
  const caught: string[] = [];
  const app = new Hono().get('/', (c) =>
    streamSSE(
      c,
      async () => {
        throw new Error('broken');
      },
      async (error) => void caught.push(error.message),
    ),
  );
  await using server = await serveApp(app);
  assert.match(await (await fetch(server.url)).text(), /event: ?error\ndata: ?broken\n/);
  assert.deepEqual(caught, ['broken']);
});

test('onError of streamSSE handles what is thrown after close, and the stream ends in good order', async () => {
  const caught: string[] = [];
  const errors: unknown[] = [];
  const app = new Hono().get('/', (c) =>
    streamSSE(
      c,
      async (stream) => {
        await stream.writeSSE({ data: 'last' });
        await stream.close();
        throw new Error('late');
      },
      async (error) => void caught.push(error.message),
    ),
  );
  await using server = await serveApp(app, { onError: (error) => errors.push(error) });
  assert.match(await (await fetch(server.url)).text(), /^data: ?last\n\n$/);
  assert.deepEqual([caught, errors], [['late'], []]);
});

test('streamSSE pipes a stream, writes bytes, and cancels the stream when the client leaves', async () => {
  const cancelled: unknown[] = [];
  const app = new Hono()
    .get('/', (c) =>
      streamSSE(c, async (stream) => {
        const bytes = Buffer.from(': café');
        await stream.write(bytes.subarray(0, -1)); // the last character has two bytes
        await stream.write(bytes.subarray(-1));
        await stream.pipe(new Blob(['\n\ndata: piped\n\n']).stream());
        await stream.pipe(ReadableStream.from([': text\n\n']));
      }),
    )
    .get('/endless', (c) =>
      streamSSE(c, (stream) =>
        stream.pipe(
          new ReadableStream({
            start: (controller) => controller.enqueue(': first\n\n'),
            cancel: (reason) => void cancelled.push(reason),
          }),
        ),
      ),
    );
  const reported: unknown[] = [];
  await using server = await serveApp(app, { onError: (error) => reported.push(error) });
  assert.equal(await (await fetch(server.url)).text(), ': café\n\ndata: piped\n\n: text\n\n');
  const client = connect(server.port ?? 0, '127.0.0.1');
  client.write('GET /endless HTTP/1.1\r\nhost: a\r\n\r\n');
  await new Promise((heard) => client.once('data', heard));
  client.resetAndDestroy();
  await eventually('the end of the stream', () => cancelled.length === 1);
  assert.equal((cancelled[0] as Error).name, 'AbortError');
  assert.deepEqual(reported, []);
});
