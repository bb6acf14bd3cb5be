// What applications of Hono import from `sluice/hono`: getConnInfo, streamSSE, upgradeWebSocket.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { EventSource } from 'eventsource';
import { Hono } from 'hono';
import { serve } from 'sluice';
import { getConnInfo, streamSSE, upgradeWebSocket } from 'sluice/hono';
import { WebSocket } from 'ws';
import { eventually, readUntil } from '../fetch/compare.mjs';

/** Serves an application until the test ends. @returns the server's URL without the slash at its end, and what `onError` got */
async function served(t, define, options = {}) {
  const app = new Hono();
  app.onError((error) => {
    throw error;
  });
  define(app);
  const errors = [];
  const server = await serve({
    port: 0,
    hostname: '127.0.0.1',
    onError: (error) => errors.push(error),
    ...options,
    fetch: app.fetch,
  });
  t.after(() => server.close({ deadline: 100 }));
  return { url: server.url.origin, port: server.port, errors };
}

describe('getConnInfo', () => {
  const define = (app) => app.get('/', (c) => c.json(getConnInfo(c)));

  test("returns the address and the port of the client's socket", async (t) => {
    const { port } = await served(t, define);
    const socket = connect(port, '127.0.0.1');
    await once(socket, 'connect');
    const { localPort } = socket;
    socket.end('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
    const text = (await socket.setEncoding('utf8').toArray()).join('');
    const remote = { transport: 'tcp', address: '127.0.0.1', addressType: 'IPv4', port: localPort };
    assert.deepEqual(JSON.parse(text.slice(text.indexOf('{'), text.lastIndexOf('}') + 1)), { remote });
  });

  test('returns IPv6 addresses without brackets', async (t) => {
    const { url } = await served(t, define, { hostname: '::1' });
    const { remote } = await (await fetch(url)).json();
    assert.deepEqual([remote.address, remote.addressType], ['::1', 'IPv6']);
  });

  test('returns no address for a Unix-domain socket', async (t) => {
    const path = join(tmpdir(), `sluice-hono-${process.pid}.sock`);
    const app = new Hono();
    define(app);
    const server = await serve({ path, fetch: app.fetch });
    t.after(() => server.close({ deadline: 100 }));
    const socket = connect(path);
    socket.end('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
    assert.match((await socket.setEncoding('utf8').toArray()).join(''), /\{"remote":\{\}\}/);
  });

  test('returns the client behind a trusted proxy', async (t) => {
    const { url } = await served(t, define, { trustProxy: 'loopback' });
    const { remote } = await (await fetch(url, { headers: { 'x-forwarded-for': '192.0.2.7' } })).json();
    assert.equal(remote.address, '192.0.2.7');
  });

  test('finds the client of a request that middleware has replaced', async (t) => {
    const { url } = await served(t, (app) => {
      app.use(async (c, next) => {
        c.req.raw = new globalThis.Request(c.req.raw.url);
        await next();
      });
      define(app);
    });
    assert.equal((await (await fetch(url)).json()).remote.address, '127.0.0.1');
  });

  test('throws for a request that is not from a server', async () => {
    const app = new Hono();
    define(app);
    const errors = [];
    app.onError((error, c) => {
      errors.push(error);
      return c.text('', 500);
    });
    await app.request('/');
    assert.ok(errors[0] instanceof TypeError);
    assert.match(errors[0].message, /^getConnInfo/);
  });
});

describe('streamSSE', () => {
  test('sends events, comments and fields, and ends', async (t) => {
    const { url } = await served(t, (app) =>
      app.get('/', (c) => {
        c.header('x-own', 'a');
        return streamSSE(c, async (stream) => {
          await stream.writeSSE({ id: '1', event: 'tick', data: 'one\ntwo', retry: 100 });
          await stream.writeln(': comment\n');
          await stream.sleep(1);
          await stream.writeSSE({ data: Promise.resolve('late') });
        });
      }),
    );
    const response = await fetch(url);
    assert.equal(response.headers.get('x-own'), 'a');
    assert.match(response.headers.get('content-type'), /^text\/event-stream/);
    const text = await response.text();
    const lines = text.split('\n').filter((line) => line !== '');
    assert.deepEqual(lines.slice(-1), ['data: late']);
    for (const line of ['id: 1', 'event: tick', 'data: one', 'data: two', 'retry: 100', ': comment'])
      assert.ok(lines.includes(line), `${line} in ${text}`);
  });

  test('serves reconnecting clients', async (t) => {
    const { url } = await served(t, (app) =>
      app.get('/', (c) =>
        streamSSE(c, async (stream) => {
          const id = Number(c.req.header('last-event-id') ?? 0) + 1;
          await stream.writeSSE({ id: String(id), data: `event ${id}`, retry: 1 });
        }),
      ),
    );
    const source = new EventSource(url);
    const seen = [];
    source.onmessage = ({ data }) => seen.push(data);
    await eventually(() => seen.length >= 3);
    source.close();
    assert.deepEqual(seen.slice(0, 3), ['event 1', 'event 2', 'event 3']);
  });

  for (const [what, wait] of Object.entries({
    sleeps: (stream) => stream.sleep(60_000),
    writes: async (stream) => {
      for (;;) await stream.writeSSE({ data: 'x'.repeat(1000) });
    },
  }))
    test(`ends an async callback that ${what} with an AbortError when the client disconnects`, async (t) => {
      let reason;
      let aborts = 0;
      let stream;
      const { url, errors } = await served(t, (app) =>
        app.get('/', (c) =>
          streamSSE(c, async (own) => {
            stream = own;
            own.onAbort(() => aborts++);
            await own.writeSSE({ data: 'first' });
            try {
              await wait(own);
            } catch (error) {
              reason = error;
              throw error;
            }
          }),
        ),
      );
      await readUntil(url, /first/);
      await eventually(() => reason !== undefined);
      assert.equal(reason.name, 'AbortError');
      assert.equal(stream.aborted, true);
      assert.equal(aborts, 1);
      await assert.rejects(stream.writeSSE({ data: 'late' }), { name: 'AbortError' });
      assert.deepEqual(errors, []);
    });

  test('unwinds a generator callback when the client disconnects', async (t) => {
    let unwound = false;
    const { url, errors } = await served(t, (app) =>
      app.get('/', (c) =>
        streamSSE(c, function* (client) {
          try {
            yield* client.send({ data: 'first' });
            for (;;) yield* client.send({ data: 'x'.repeat(1000) });
          } finally {
            unwound = true;
          }
        }),
      ),
    );
    await readUntil(url, /first/);
    await eventually(() => unwound);
    assert.deepEqual(errors, []);
  });

  test('passes an error of the callback to its onError, and the message to the client', async (t) => {
    const seen = [];
    const { url, errors } = await served(t, (app) =>
      app.get('/', (c) =>
        streamSSE(
          c,
          async (stream) => {
            await stream.writeSSE({ data: 'first' });
            throw new Error('on purpose');
          },
          (error) => void seen.push(error.message),
        ),
      ),
    );
    assert.match(await (await fetch(url)).text(), /event: error\ndata: on purpose\n/);
    assert.deepEqual(seen, ['on purpose']);
    assert.deepEqual(errors, []);
  });

  for (const [kind, callback] of Object.entries({
    async: async (stream) => {
      await stream.writeSSE({ data: 'first' });
      throw new Error('on purpose');
    },
    *generator(client) {
      yield* client.send({ data: 'first' });
      throw new Error('on purpose');
    },
  }))
    test(`passes an error of the callback (${kind}) to onError of serve, and resets the connection`, async (t) => {
      const { url, errors } = await served(t, (app) => app.get('/', (c) => streamSSE(c, callback)));
      await assert.rejects(async () => (await fetch(url)).text());
      assert.deepEqual(
        errors.map(({ message }) => message),
        ['on purpose'],
      );
    });

  test('ends with close and abort of the stream', async (t) => {
    let stream;
    const { url, errors } = await served(t, (app) => {
      app.get('/close', (c) =>
        streamSSE(c, async (own) => {
          stream = own;
          await own.writeSSE({ data: 'last' });
          await own.close();
        }),
      );
      app.get('/abort', (c) =>
        streamSSE(c, async (own) => {
          stream = own;
          await own.writeSSE({ data: 'last' });
          own.abort();
        }),
      );
    });
    assert.match(await (await fetch(`${url}/close`)).text(), /data: last/);
    assert.deepEqual([stream.closed, stream.aborted], [true, false]);
    await assert.rejects(stream.write('more'), TypeError);
    assert.match(await (await fetch(`${url}/abort`)).text(), /data: last/);
    assert.equal(stream.aborted, true);
    assert.deepEqual(errors, []);
  });
});

describe('upgradeWebSocket', () => {
  /** A client's WebSocket on a route `/ws` with these events. */
  async function opened(t, events, { options, protocols, path = '/ws' } = {}) {
    const found = await served(t, (app) => app.get('/ws', upgradeWebSocket(events, options)));
    const socket = new WebSocket(found.url.replace('http', 'ws') + path, protocols);
    t.after(() => socket.terminate());
    await once(socket, 'open');
    return { socket, ...found };
  }

  test('echoes text and bytes', async (t) => {
    const { socket } = await opened(t, () => ({ onMessage: ({ data }, ws) => ws.send(data) }));
    for (const [sent, isBinary] of [
      ['ü', false],
      ['', false],
      [Buffer.from([0, 128, 255]), true],
      [Buffer.alloc(100_000, 1), true],
    ]) {
      socket.send(sent);
      const [data, binary] = await once(socket, 'message');
      assert.deepEqual([data, binary], [Buffer.from(sent), isBinary]);
    }
  });

  test('passes bytes as an ArrayBuffer, and a context with the members of the WebSocket', async (t) => {
    const seen = {};
    const { socket, url } = await opened(
      t,
      (c) => ({
        onOpen: (event, ws) => {
          seen.open = [event.type, ws.readyState, ws.url.href, c.req.query('a')];
          seen.ws = ws;
        },
        onMessage: (event, ws) => {
          seen.message = [event.type, event.data instanceof ArrayBuffer, ws === seen.ws];
          ws.send('seen');
        },
      }),
      { path: '/ws?a=b' },
    );
    socket.send(Buffer.from('x'));
    await once(socket, 'message');
    assert.deepEqual(seen.open, ['open', 1, `${url}/ws?a=b`, 'b']);
    assert.deepEqual(seen.message, ['message', true, true]);
  });

  test('closes with the code of the server', async (t) => {
    const { socket } = await opened(t, () => ({ onMessage: (_event, ws) => ws.close(4001, 'done') }));
    socket.send('x');
    const [code, reason] = await once(socket, 'close');
    assert.deepEqual([code, String(reason)], [4001, 'done']);
  });

  test('passes the code of the client to onClose, or 1006 if the client has gone', async (t) => {
    for (const [end, expected] of [
      [(socket) => socket.close(4002, 'bye'), [4002, 'bye', true]],
      [(socket) => socket.terminate(), [1006, '', false]],
    ]) {
      let closed;
      const { socket } = await opened(t, () => ({
        onClose: ({ code, reason, wasClean }) => {
          closed = [code, reason, wasClean];
        },
      }));
      end(socket);
      await eventually(() => closed !== undefined);
      assert.deepEqual([closed[0], closed[2]], [expected[0], expected[2]]);
      if (expected[2]) assert.equal(closed[1], expected[1]);
    }
  });

  for (const [how, fail] of Object.entries({
    throws: () => {
      throw new Error('on purpose');
    },
    rejects: () => Promise.reject(new Error('on purpose')),
  })) {
    test(`onError of the events gets the error of a handler that ${how}`, async (t) => {
      const { socket, errors } = await opened(t, () => ({
        onMessage: fail,
        onError: ({ type, error }, ws) => ws.send(`${type}: ${error.message}`),
      }));
      socket.send('x');
      const [data] = await once(socket, 'message');
      assert.equal(String(data), 'error: on purpose');
      assert.deepEqual(errors, []);
    });

    test(`onError of serve gets the error of a handler that ${how} when the events have no onError`, async (t) => {
      const { socket, errors } = await opened(t, () => ({ onMessage: fail }));
      socket.send('x');
      await eventually(() => errors.length > 0);
      assert.deepEqual(
        errors.map(({ message }) => message),
        ['on purpose'],
      );
      assert.equal(socket.readyState, WebSocket.OPEN);
    });
  }

  test('applies the limits of its options', async (t) => {
    const { socket } = await opened(t, () => ({}), { options: { maxPayloadLength: 100 } });
    socket.send('x'.repeat(101));
    const [code] = await once(socket, 'close');
    assert.equal(code, 1009);
  });

  test('leaves other requests to the routes that follow', async (t) => {
    const { url } = await served(t, (app) => {
      app.get(
        '/ws',
        upgradeWebSocket(() => ({})),
        (c) => c.text('no WebSocket'),
      );
    });
    assert.equal(await (await fetch(`${url}/ws`)).text(), 'no WebSocket');
  });
});

test('errors of routes go to onError, and clients get a 500', async (t) => {
  const { url, errors } = await served(t, (app) => {
    app.get('/', () => {
      throw new Error('on purpose');
    });
  });
  assert.equal((await fetch(url)).status, 500);
  assert.deepEqual(
    errors.map(({ message }) => message),
    ['on purpose'],
  );
});
