// Servers of node:http whose connections come from sluice, in a simulated world.

import assert from 'node:assert/strict';
import { AsyncLocalStorage } from 'node:async_hooks';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type net from 'node:net';
import { test } from 'node:test';
import { listen } from '#sluice/node/listen.js';
import { NodeSocket } from '#sluice/node/node-socket.js';
import { sleep } from '#sluice/threads/sleep.js';
import { field } from '../support/response-parser.js';
import { get, pauseReading, post, resumeReading, World } from '../support/world.js';
import { NodeWorld, received } from './support.js';

/** Reads a body as text. */
async function textOf(request: IncomingMessage): Promise<string> {
  let text = '';
  for await (const part of request.setEncoding('latin1')) text += part;
  return text;
}

const last = 'connection: close';

test('requests are answered, one after the other and pipelined, however they are cut', async () => {
  for (const pieces of ['whole', 'random', 1] as const) {
    const node = await NodeWorld.open(
      (request, response) => response.end(`${request.method} ${request.url}`),
      {},
      { pieces },
    );
    const first = node.exchange(`${get('/1')}${get('/2')}${get('/3', last)}`);
    const second = node.client(function* (connection) {
      yield* connection.writer.write(get('/4'));
      yield* sleep(100);
      yield* connection.writer.write(get('/5', last));
      return yield* received(connection);
    });
    await node.pass();
    assert.deepEqual(
      (await first).responses.map(({ body }) => body),
      ['GET /1', 'GET /2', 'GET /3'],
    );
    assert.deepEqual(
      (await second).responses.map(({ body }) => body),
      ['GET /4', 'GET /5'],
    );
    await node.close();
    assert.deepEqual(node.errors, []);
  }
});

test('HEAD, trailers in both directions, and 100 Continue are as node:http has them', async () => {
  const node = await NodeWorld.open(async (request, response) => {
    const body = await textOf(request);
    if (request.method !== 'POST') {
      response.end(body);
      return;
    }
    response.setHeader('trailer', 'x-sum');
    response.write(`${body} ${request.trailers['x-end']}`);
    response.addTrailers({ 'x-sum': String(body.length) });
    response.end();
  });
  const text =
    get('/', 'transfer-encoding: chunked', 'trailer: x-end', last).replace('GET', 'POST') +
    '4\r\nbody\r\n0\r\nx-end: over\r\n\r\n';
  const trailers = node.client(function* ({ reader, writer }) {
    yield* writer.write(text);
    return Buffer.from(yield* reader.readAll(10_000)).toString();
  });
  const head = node.exchange(get('/', last).replace('GET', 'HEAD'), 'HEAD');
  const continued = node.client(function* (connection) {
    yield* connection.writer.write(get('/', 'content-length: 3', 'expect: 100-continue', last).replace('GET', 'PUT'));
    yield* sleep(50);
    yield* connection.writer.write('abc');
    return yield* received(connection);
  });
  await node.pass();
  assert.match(await trailers, /\r\n\r\n9\r\nbody over\r\n0\r\nx-sum: 4\r\n\r\n$/);
  assert.equal((await head).responses[0].status, 200);
  const [response] = (await continued).responses;
  assert.deepEqual([response.status, response.interim, response.body], [200, [100], 'abc']);
  await node.close();
});

test('a body that is not read is not received, either', async () => {
  const requests: IncomingMessage[] = [];
  const node = await NodeWorld.open((request, response) => {
    requests.push(request);
    request.once('end', () => response.end('read'));
  });
  const size = 1_000_000;
  const client = node.exchange(post('/', 'x'.repeat(size), last));
  await node.pass(1000);
  const { bytesRead, readableHighWaterMark } = requests[0].socket;
  assert.ok(bytesRead <= 4 * readableHighWaterMark + 128 * 1024, `${bytesRead} bytes have been read`);
  assert.ok(node.listening.buffered.held > 0, 'what waits is counted');
  requests[0].resume();
  await node.pass();
  assert.equal((await client).responses[0].body, 'read');
  assert.ok(requests[0].socket.bytesRead > size);
  await node.close();
});

test('a response waits for a client that does not read, and is complete', async () => {
  const size = 3_000_000;
  const seen: { response?: ServerResponse; drained: number } = { drained: 0 };
  const node = await NodeWorld.open((_, response) => {
    seen.response = response;
    let left = size;
    const more = (): void => {
      while (left > 0) {
        const part = Math.min(left, 10_000);
        left -= part;
        if (!response.write(Buffer.alloc(part, 120))) {
          response.once('drain', () => {
            seen.drained++;
            more();
          });
          return;
        }
      }
      response.end();
    };
    more();
  });
  const client = node.client(function* (connection) {
    yield* connection.writer.write(get('/', last));
    pauseReading(connection);
    yield* sleep(2000);
    const held = node.listening.buffered.held;
    resumeReading(connection);
    return { held, ...(yield* received(connection)) };
  });
  await node.pass();
  const { held, responses } = await client;
  assert.ok(held <= 128 * 1024, `${held} bytes are held`);
  assert.equal(responses[0].body.length, size);
  assert.ok(seen.drained > 0);
  await node.close();
});

test('one large write is sent in pieces, as bytes and as text', async () => {
  const text = 'é'.repeat(300_000);
  const node = await NodeWorld.open((request, response) =>
    response.end(request.url === '/text' ? text : Buffer.from(text)),
  );
  const all = [node.exchange(get('/text', last)), node.exchange(get('/bytes', last))];
  await node.pass();
  for (const { responses } of await Promise.all(all))
    assert.equal(Buffer.from(responses[0].body, 'latin1').toString(), text);
  await node.close();
});

test('a client that is reset: the request is aborted, the response closes, the socket has ECONNRESET', async () => {
  const events: string[] = [];
  const server = createServer((request, response) => {
    const note = (what: string) => () => events.push(what);
    request
      .on('aborted', note('aborted'))
      .on('error', (error: NodeJS.ErrnoException) => events.push(`request ${error.code}`));
    response.on('close', () => events.push(`response closed, finished: ${response.writableFinished}`));
    request.socket.on('close', (hadError) => events.push(`socket closed, error: ${hadError}`));
    request.resume();
    if (request.url === '/half') response.write('half');
  });
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    events.push(`${error.code} ${error.syscall} ${error.errno}`);
    socket.destroy();
  });
  const node = await NodeWorld.open(server);
  for (const text of [get('/', 'content-length: 9').replace('GET', 'POST'), get('/half')]) {
    node.client(function* (connection) {
      yield* connection.writer.write(text);
      yield* sleep(50);
      connection.reset();
    });
    await node.pass(1000);
  }
  const each = ['ECONNRESET read -104', 'aborted', 'response closed, finished: false', 'socket closed, error: true'];
  const [partial, half] = [events.slice(0, events.length / 2 + 1), events.slice(events.length / 2 + 1)];
  for (const event of each) {
    assert.ok(partial.includes(event) || half.includes(event), `${event} of ${events}`);
    // As with node:http, a request that has been read is not aborted.
    assert.equal(events.filter((other) => other === event).length, event === 'aborted' ? 1 : 2, event);
  }
  assert.equal(node.listening.connections.total, 0);
  await node.close();
});

test('a client that sends FIN behind its request gets a response that is ready, as with node:http', async () => {
  const node = await NodeWorld.open((_, response) => response.end('ready'));
  const client = node.client(function* (connection) {
    yield* connection.writer.write(get('/'));
    yield* connection.writer.end();
    return yield* received(connection);
  });
  await node.pass();
  const { responses, ending } = await client;
  assert.deepEqual([responses[0].body, ending], ['ready', 'FIN']);
  await node.close();
});

test('upgrades and CONNECT: the connection belongs to the listener, with what has come early', async () => {
  const server = createServer();
  const tunnel = (_: IncomingMessage, socket: net.Socket, head: Buffer): void => {
    socket.write('HTTP/1.1 101 Switching Protocols\r\n\r\n');
    socket.write(`early ${head};`);
    socket.on('data', (data) => socket.write(`${data};`)).on('end', () => socket.end('bye'));
  };
  server.on('upgrade', tunnel).on('connect', tunnel);
  const node = await NodeWorld.open(server);
  const clients = [get('/', 'upgrade: echo', 'connection: upgrade'), get('a:1').replace('GET', 'CONNECT')].map((head) =>
    node.client(function* ({ reader, writer }) {
      yield* writer.write(`${head}one`);
      yield* sleep(50);
      yield* writer.write('two');
      yield* sleep(50);
      yield* writer.end();
      return Buffer.from(yield* reader.readAll(1000)).toString();
    }),
  );
  await node.pass();
  for (const text of await Promise.all(clients)) assert.ok(text.endsWith('\r\n\r\nearly one;two;bye'), text);
  await node.close();
});

test('an idle connection is closed after keepAliveTimeout, and a timeout of a socket is an event', async () => {
  const timeouts: number[] = [];
  const node = await NodeWorld.open((request, response) => {
    const { socket } = request;
    if (request.url === '/timeout') socket.setTimeout(1000, () => timeouts.push(node.world.layer.now()));
    else response.end();
  });
  node.server.keepAliveTimeout = 3000;
  const idle = node.exchange(get('/'));
  const start = node.world.layer.now();
  await node.pass(20_000);
  const { at, ending } = await idle;
  assert.equal(ending, 'FIN');
  assert.ok(at - start >= 3000 && at - start < 4500, `closed after ${at - start} ms`);

  const before = node.world.layer.now();
  const waiting = node.client(function* (connection) {
    yield* connection.writer.write(get('/timeout'));
    return yield* received(connection);
  });
  await node.pass(20_000);
  // node:http destroys a socket whose timeout no listener of the request, the response or the server handles.
  assert.equal(timeouts.length, 1);
  assert.ok(timeouts[0] - before >= 1000 && timeouts[0] - before < 1100, `after ${timeouts[0] - before} ms`);
  assert.equal((await waiting).responses.length, 0);
  await node.close();
});

test('setTimeout: activity counts, 0 ends it, wrong arguments are errors', async () => {
  let socket: net.Socket | undefined;
  const timeouts: number[] = [];
  const server = createServer();
  server.on('upgrade', (_, upgraded) => {
    socket = upgraded as net.Socket;
    socket.on('data', () => {}).on('timeout', () => timeouts.push(node.world.layer.now()));
    socket.setTimeout(1000);
  });
  const node = await NodeWorld.open(server);
  const start = node.world.layer.now();
  const client = node.client(function* (connection) {
    yield* connection.writer.write(get('/', 'upgrade: x', 'connection: upgrade'));
    for (let i = 0; i < 5; i++) {
      yield* sleep(600);
      yield* connection.writer.write('x');
    }
    yield* sleep(60_000);
    connection.reset();
  });
  await node.pass(10_000);
  assert.equal(timeouts.length, 1, 'once, until there is activity again');
  assert.ok(timeouts[0] - start >= 4000, `after ${timeouts[0] - start} ms`);
  socket?.write('output is activity, too');
  await node.pass(2000);
  assert.equal(timeouts.length, 2);
  socket?.setTimeout(500);
  assert.equal(socket?.timeout, 500);
  socket?.setTimeout(0);
  await node.pass(2000);
  assert.equal(timeouts.length, 2);
  for (const [value, type] of [
    ['1', TypeError],
    [-1, RangeError],
    [Number.NaN, RangeError],
    [Infinity, RangeError],
  ] as const)
    assert.throws(() => socket?.setTimeout(value as number), type);
  socket?.destroy();
  await node.pass();
  await client;
  await node.close();
});

test('a client that takes no output is reset after writeTimeout', async () => {
  const errors: (string | undefined)[] = [];
  const server = createServer((_, response) => response.end(Buffer.alloc(10_000_000)));
  server.on('clientError', (error: NodeJS.ErrnoException) => errors.push(error.code));
  const node = await NodeWorld.open(server, { writeTimeout: 5000 });
  const client = node.client(function* (connection) {
    yield* connection.writer.write(get('/'));
    pauseReading(connection);
    yield* sleep(30_000);
    resumeReading(connection);
    return yield* received(connection);
  });
  await node.pass();
  assert.equal((await client).ending, 'reset');
  assert.deepEqual(errors, ['ERR_WRITE_TIMEOUT']);
  await node.close();
});

test('a listener that throws before the head gets its client a 500, after it a reset; once, and for no other client', async () => {
  const node = await NodeWorld.open((request, response) => {
    response.setHeader('x-own', 'yes');
    if (request.url === '/late') response.write('half');
    if (request.url !== '/good') throw new Error(`broken ${request.url}`);
    response.end('good');
  });
  const good = node.client(function* (connection) {
    yield* connection.writer.write(get('/good'));
    yield* sleep(500);
    yield* connection.writer.write(get('/good', last));
    return yield* received(connection);
  });
  const early = node.exchange(`${get('/early')}${get('/good', last)}`);
  const late = node.exchange(get('/late'));
  await node.pass();
  assert.deepEqual(
    (await good).responses.map(({ body }) => body),
    ['good', 'good'],
  );
  const [failed, next] = (await early).responses;
  assert.deepEqual([failed.status, failed.body, field(failed, 'x-own')], [500, 'Internal Server Error', undefined]);
  assert.equal(next.body, 'good');
  assert.equal((await late).ending, 'reset');
  assert.deepEqual(node.errors.map(String).sort(), ['Error: broken /early', 'Error: broken /late']);
  await node.close();
});

test('a listener of an upgrade, of its data, or of the connection that throws ends its connection alone', async () => {
  const server = createServer();
  server.on('upgrade', (request, socket) => {
    if (request.url === '/upgrade') throw new Error('upgrade');
    socket.on('data', () => {
      throw new Error('data');
    });
  });
  const node = await NodeWorld.open(server);
  const upgrade = (target: string) => get(target, 'upgrade: x', 'connection: upgrade');
  const data = node.client(function* (connection) {
    yield* connection.writer.write(upgrade('/data'));
    yield* sleep(100);
    yield* connection.writer.write('data');
    return yield* received(connection);
  });
  const clients = [node.exchange(upgrade('/upgrade')), data];
  await node.pass(1000);
  server.on('connection', () => {
    throw new Error('connection');
  });
  const failed = node.exchange(get('/'));
  await node.pass();
  for (const { ending } of await Promise.all(clients)) assert.equal(ending, 'reset');
  await assert.rejects(failed, { code: 'ECONNRESET' });
  assert.deepEqual(node.errors.map(String).sort(), ['Error: connection', 'Error: data', 'Error: upgrade']);
  await node.close();
});

test('each request starts in the async context of the server', async () => {
  const storage = new AsyncLocalStorage<string>();
  const seen: unknown[] = [];
  const handler = (request: IncomingMessage, response: ServerResponse): void => {
    seen.push(storage.getStore());
    storage.run(String(request.url), () => {
      setImmediate(() => {
        seen.push(storage.getStore());
        response.end();
      });
    });
  };
  const node = await storage.run('server', () => NodeWorld.open(handler));
  const client = storage.run('client', () => node.exchange(`${get('/1')}${get('/2', last)}`));
  await node.pass();
  await client;
  assert.deepEqual(seen.filter((store) => store === 'server').length, 2);
  assert.deepEqual(new Set(seen), new Set(['server', '/1', '/2']));
  await node.close();
});

test('a socket passes for a net.Socket', async () => {
  const facts: unknown[] = [];
  const node = await NodeWorld.open((request, response) => {
    const { socket } = request;
    assert.ok(socket instanceof NodeSocket);
    const { remoteAddress, remoteFamily, localAddress, localPort, localFamily } = socket;
    facts.push([remoteAddress, remoteFamily, localAddress, localPort === node.listening.port, localFamily]);
    assert.ok(Number(socket.remotePort) > 0);
    assert.deepEqual(socket.address(), { address: '127.0.0.1', port: node.listening.port, family: 'IPv4' });
    facts.push([
      socket.connecting,
      socket.pending,
      socket.readyState,
      Reflect.get(socket, 'encrypted'),
      socket.bufferSize,
    ]);
    assert.equal(socket.setNoDelay(true).setKeepAlive(true, 1000).ref().unref(), socket);
    socket.cork();
    response.end('hello');
    socket.uncork();
    facts.push(socket.bytesRead > 20, socket.bytesWritten > 90);
    response.on('close', () => facts.push([socket.destroyed, socket.remoteAddress]));
  });
  const client = node.exchange(get('/', last));
  await node.pass();
  await client;
  assert.deepEqual(facts, [
    ['127.0.0.1', 'IPv4', '127.0.0.1', true, 'IPv4'],
    [false, false, 'open', undefined, 0],
    true,
    true,
    [false, '127.0.0.1'],
  ]);
  await node.close();
});

test('resetAndDestroy resets, destroySoon sends what was written first', async () => {
  const server = createServer();
  server.on('upgrade', (request, socket) => {
    socket.write('written');
    if (request.url === '/reset') (socket as net.Socket).resetAndDestroy();
    else (socket as net.Socket).destroySoon();
  });
  const node = await NodeWorld.open(server);
  const read = (target: string) =>
    node.client(function* ({ reader, writer }) {
      yield* writer.write(get(target, 'upgrade: x', 'connection: upgrade'));
      try {
        return Buffer.from(yield* reader.readAll(100)).toString();
      } catch (error) {
        return String(error);
      }
    });
  const clients = [read('/reset'), read('/soon')];
  await node.pass();
  const [reset, soon] = await Promise.all(clients);
  assert.match(reset, /reset by the peer/);
  assert.equal(soon, 'written');
  await node.close();
});

test('maxConnections: more are dropped, with the event of net.Server', async () => {
  const server = createServer((_, response) => response.end());
  server.maxConnections = 1;
  const drops: (net.DropArgument | undefined)[] = [];
  server.on('drop', (dropped) => drops.push(dropped));
  const node = await NodeWorld.open(server);
  const first = node.client(function* (connection) {
    yield* sleep(100);
    yield* connection.writer.write(get('/', last));
    return yield* received(connection);
  });
  await node.pass(50);
  const count = await new Promise((resolve, reject) =>
    server.getConnections((error, found) => (error ? reject(error) : resolve(found))),
  );
  assert.equal(count, 1);
  const second = node.exchange(get('/', last));
  await node.pass();
  assert.equal((await first).responses.length, 1);
  assert.equal((await second).responses.length, 0);
  assert.deepEqual(
    drops.map((dropped) => [dropped?.remoteAddress, dropped?.localPort]),
    [['127.0.0.1', node.listening.port]],
  );
  await node.close();
});

test('close: idle connections end, requests in flight are answered, then the server emits close and nothing is left', async () => {
  const slow: ServerResponse[] = [];
  const node = await NodeWorld.open((request, response) => {
    if (request.url === '/slow') slow.push(response);
    else response.end('fast');
  });
  const silent = node.client(received);
  const idle = node.exchange(get('/fast'));
  const inFlight = node.exchange(get('/slow'));
  await node.pass(500);
  let hasClosed = false;
  node.server.close(() => {
    hasClosed = true;
  });
  assert.equal(node.server.listening, false);
  await node.pass(1000);
  assert.equal((await idle).ending, 'FIN');
  assert.equal((await silent).ending, 'FIN', 'a connection without a request');
  assert.equal(hasClosed, false, 'a request is in flight');
  slow[0].end('slow');
  await node.pass(1000);
  assert.equal(hasClosed, false, 'its connection is kept alive');
  node.server.closeIdleConnections();
  await node.pass();
  assert.equal((await inFlight).responses[0].body, 'slow');
  assert.ok(hasClosed);
  assert.equal(node.listening.connections.total, 0);
  await node.world.close();
});

test('close with a deadline, and closeAllConnections, end what is in flight', async () => {
  for (const how of ['deadline', 'closeAllConnections'] as const) {
    const closed: boolean[] = [];
    const server = createServer((_, response) => {
      response.on('close', () => closed.push(response.writableFinished));
    });
    server.on('upgrade', (_, socket) => socket.on('close', () => closed.push(true)).resume());
    const node = await NodeWorld.open(server);
    const clients = [node.exchange(get('/'))];
    if (how === 'deadline') clients.push(node.exchange(get('/', 'upgrade: x', 'connection: upgrade')));
    await node.pass(100);
    const done = how === 'deadline' ? node.listening.close({ deadline: 1000 }) : once(server, 'close');
    if (how === 'closeAllConnections') {
      server.close();
      server.closeAllConnections();
    }
    await node.pass();
    await done;
    await Promise.all(clients);
    assert.deepEqual(closed, how === 'deadline' ? [false, true] : [false]);
    await node.world.close();
  }
});

test('while clients take as much memory as they may, requests with a body get 503, and others are answered', async () => {
  const node = await NodeWorld.open(
    (request, response) => {
      if (request.url === '/large') response.end(Buffer.alloc(5_000_000));
      else response.end('small');
    },
    { maxBufferedBytes: 1024 * 1024 },
  );
  const slow = Array.from({ length: 20 }, () =>
    node.client(function* (connection) {
      yield* connection.writer.write(get('/large', last));
      pauseReading(connection);
      yield* sleep(5000);
      resumeReading(connection);
      return yield* received(connection);
    }),
  );
  await node.pass(1000);
  assert.ok(node.listening.buffered.held <= 1024 * 1024 * 1.1, `${node.listening.buffered.held} bytes are held`);
  const refused = node.exchange(post('/', 'body'));
  const answered = node.exchange(get('/', last));
  await node.pass(1000);
  assert.equal((await refused).responses[0].status, 503);
  assert.equal((await answered).responses[0].body, 'small');
  await node.pass();
  for (const { responses } of await Promise.all(slow)) assert.equal(responses[0].body.length, 5_000_000);
  await node.close();
});

test('options, servers and applications that are wrong are errors that name them', async () => {
  const world = new World();
  const options = { port: 0, network: world.network };
  await assert.rejects(listen(createServer(), { ...options, prot: 1 } as never), /listen: unknown option "prot"/);
  await assert.rejects(listen(createServer(), { network: world.network }), /neither port nor path/);
  await assert.rejects(listen({} as never, options), /listen: the application is .*; expected a \(req, res\) function/);
  const server = createServer();
  const listening = await listen(server, options);
  await assert.rejects(listen(server, options), /the server listens already/);
  await assert.rejects(listen(createServer(), { ...options, port: listening.port }), { code: 'EADDRINUSE' });
  assert.throws(() => server.listen(0), { code: 'ERR_SERVER_ALREADY_LISTEN' });
  const again = createServer();
  await assert.rejects(listen(again, { ...options, port: listening.port }));
  assert.equal(again.listening, false);
  const closed = listening.close();
  await world.pass();
  await closed;
  await world.close();
});
