// What `serve` promises beyond a single connection: where it listens, what it puts under the platform's names, how it ends.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { request } from 'node:http';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import {
  type Fetch,
  Response as LightResponse,
  type ServeOptions,
  serve,
  sleep,
  stream,
  until,
} from '#sluice/index.js';
import { runProgram } from '../support/program.js';
import { eventually, exchange, RawClient } from '../support/raw-client.js';

const sluice = import.meta.resolve('sluice');

const local = { port: 0, hostname: '127.0.0.1' };
const hello: Fetch = () => new Response('hello');

test('the server says where it listens, on which layer, and how many connections it has', async () => {
  await using server = await serve({ ...local, fetch: hello });
  assert.equal(server.url.href, `http://127.0.0.1:${server.port}/`);
  assert.match(server.eventLayer, /^(uring|epoll|portable)$/);
  assert.deepEqual(server.connections, { idle: 0, reading: 0, handling: 0, writing: 0, closing: 0, total: 0 });
  assert.equal(await (await fetch(server.url)).text(), 'hello');
  assert.equal(server.connections.total, 1);
  assert.equal(server.connections.idle, 1);
});

test('plain, async and thread handlers and streams answer the platform’s fetch', async () => {
  const handlers: Record<string, Fetch> = {
    '/plain': (request) => new Response(request.method),
    '/async': async (request) => Response.json({ echoed: await request.json() }),
    *'/thread'(request) {
      yield* sleep(1);
      return new Response(yield* until(request.text()), { status: 201, headers: { 'x-one': '1' } });
    },
    '/stream': () =>
      stream(function* (out) {
        for (let i = 0; i < 3; i++) {
          yield* out.write(`${i};`);
          yield* sleep(1);
        }
      }),
  };
  await using server = await serve({
    ...local,
    fetch: (request, info) => handlers[new URL(request.url).pathname](request, info),
  });
  const ask = async (path: string, body?: string) => {
    const response = await fetch(new URL(path, server.url), { method: body === undefined ? 'GET' : 'POST', body });
    return [response.status, await response.text()];
  };
  assert.deepEqual(await ask('/plain'), [200, 'GET']);
  assert.deepEqual(await ask('/async', '{"a":1}'), [200, '{"echoed":{"a":1}}']);
  assert.deepEqual(await ask('/thread', 'body'), [201, 'body']);
  assert.deepEqual(await ask('/stream'), [200, '0;1;2;']);
});

test('a body of 32 MiB goes through an async handler and back, whole', async () => {
  const body = new Uint8Array(32 * 1024 * 1024).map((_, i) => (i * 31) & 255);
  await using server = await serve({
    ...local,
    maxBodySize: body.length,
    fetch: async (request) => new Response(await request.arrayBuffer()),
  });
  const response = await fetch(server.url, { method: 'POST', body });
  assert.ok(Buffer.from(await response.arrayBuffer()).equals(body));
});

test('a request body is passed on as a stream, without being kept in memory', async () => {
  await using server = await serve({ ...local, fetch: (request) => new Response(request.body) });
  const body = 'x'.repeat(1_000_000);
  const response = await fetch(server.url, { method: 'POST', body });
  assert.equal(await response.text(), body);
});

test('a response that fetch has decoded is passed on decoded, without the fields of the encoded form', async () => {
  const text = 'to be compressed '.repeat(1000);
  await using upstream = await serve({
    ...local,
    fetch: () =>
      new Response(gzipSync(text), { headers: { 'content-encoding': 'gzip', 'content-type': 'text/plain' } }),
  });
  await using proxy = await serve({ ...local, fetch: () => fetch(upstream.url) });
  const response = await fetch(proxy.url);
  assert.equal(response.headers.get('content-encoding'), null);
  assert.equal(response.headers.get('content-type'), 'text/plain');
  assert.equal(await response.text(), text);
});

test('the second argument of fetch has the client’s address', async () => {
  await using server = await serve({ ...local, fetch: (_, info) => new Response(info.peer) });
  assert.match(await (await fetch(server.url)).text(), /^127\.0\.0\.1:\d+$/);
});

test('an onError that is async and rejects is printed, and does not end the process', async (t) => {
  const printed = t.mock.method(console, 'error', () => {});
  await using server = await serve({
    ...local,
    fetch: () => {
      throw new Error('handler');
    },
    onError: async () => {
      throw new Error('onError');
    },
  });
  assert.equal((await fetch(server.url)).status, 500);
  await new Promise((resolve) => setImmediate(resolve));
  assert.match(String(printed.mock.calls[0]?.arguments[0]), /^Error: onError\n {4}at /);
});

test('a value that write cannot send is an error that names it, and the response does not look complete to the client', async () => {
  const errors: unknown[] = [];
  await using server = await serve({
    ...local,
    onError: (error) => errors.push(error),
    fetch: () => stream((out) => out.write(5 as never)),
  });
  await assert.rejects(fetch(server.url).then((response) => response.text()));
  assert.match(String(errors), /TypeError: write: the data is 5; expected a string or a Uint8Array/);
});

test('HEAD with a body of null says nothing of a length', async () => {
  await using server = await serve({ ...local, fetch: () => new Response(null) });
  assert.equal((await fetch(server.url, { method: 'HEAD' })).headers.get('content-length'), null);
  assert.equal((await fetch(server.url)).headers.get('content-length'), '0');
});

test('a backslash stays as it is in a query, and is not a slash in a path', async () => {
  await using server = await serve({ ...local, fetch: (request) => new Response(request.url) });
  const ask = async (target: string) => {
    const [response] = await once(request({ port: server.port, host: '127.0.0.1', path: target }).end(), 'response');
    let url = '';
    for await (const piece of response) url += piece;
    return url.slice(url.indexOf('/', 'http://'.length));
  };
  const targets = ['/?q=\\d+\\', '/a\\b', '/a\\..\\b?c'];
  assert.deepEqual(await Promise.all(targets.map(ask)), ['/?q=\\d+\\', '/a%5Cb', '/a%5C..%5Cb?c']);
});

for (const [name, limit, status] of [
  ['maxConnections', { maxConnections: 1 }, 503],
  ['maxConnectionsPerAddress', { maxConnectionsPerAddress: 1 }, 429],
] as const) {
  test(`${name}: over real sockets, one connection more is answered ${status} and closed, until there is room`, async () => {
    await using server = await serve({ ...local, fetch: hello, ...limit });
    const first = await RawClient.open(server.port);
    await eventually('it is accepted', () => server.connections.total === 1);
    assert.match(
      await exchange(server.port, ''),
      new RegExp(`^HTTP/1.1 ${status} .*\r\nconnection: close\r\n\r\n`, 's'),
    );
    first.socket.destroy();
    await eventually('it is gone', () => server.connections.total === 0);
    assert.equal((await fetch(server.url)).status, 200);
  });
}

test('maxQueuedBytes: over real sockets, a body goes out whole though little of it may wait', async () => {
  const size = 2_000_000;
  await using server = await serve({ ...local, maxQueuedBytes: 1000, fetch: () => new Response('x'.repeat(size)) });
  assert.equal((await (await fetch(server.url)).text()).length, size);
});

test('fetch is called as a method of the options', async () => {
  const options = {
    ...local,
    fetch(this: unknown) {
      return new Response(String(this === options));
    },
  };
  await using server = await serve(options);
  assert.equal(await (await fetch(server.url)).text(), 'true');
});

test('the end of a response to a slow client arrives, though the connection has lingered for long enough', async () => {
  const size = 3_000_000;
  await using server = await serve({
    ...local,
    lingerTimeout: 20,
    fetch: () => new Response(new Uint8Array(size), { headers: { connection: 'close' } }),
  });
  const socket = connect({ port: server.port ?? 0, host: '127.0.0.1', allowHalfOpen: true });
  socket.write('GET / HTTP/1.1\r\nhost: x\r\n\r\n');
  let received = 0;
  socket.on('data', (data) => {
    received += data.length;
    socket.pause();
    setTimeout(() => socket.resume(), 5);
  });
  const [error] = await Promise.race([once(socket, 'end'), once(socket, 'error')]);
  socket.destroy();
  assert.equal(error, undefined);
  assert.ok(received > size, `${received} bytes have arrived`);
});

test('a Unix-domain socket instead of a port', async () => {
  const path = join(tmpdir(), `sluice-test-${process.pid}.sock`);
  rmSync(path, { force: true });
  await using server = await serve({ path, fetch: (request) => new Response(request.url) });
  assert.equal(server.url.href, `http+unix://${encodeURIComponent(path)}/`);
  assert.equal(server.port, undefined);
  const [response] = await once(request({ socketPath: path, path: '/x?y' }).end(), 'response');
  let text = '';
  for await (const chunk of response) text += chunk;
  assert.equal(text, 'http://localhost/x?y');
});

test('an address in use is an error that names it, and the server that listens there continues', async () => {
  await using server = await serve({ ...local, fetch: hello });
  await assert.rejects(serve({ ...local, port: server.port, fetch: hello }), (error: NodeJS.ErrnoException) => {
    return error.code === 'EADDRINUSE' && error.message.includes(`127.0.0.1:${server.port}`);
  });
  assert.equal((await fetch(server.url)).status, 200);
});

test('the light classes have the platform’s global names, unless globals is false', async () => {
  await using _ = await serve({ ...local, fetch: hello });
  assert.equal(globalThis.Response, LightResponse);
  const script = `
    const platform = globalThis.Response;
    const { serve } = await import('${sluice}');
    const server = await serve({ port: 0, globals: false, hostname: '127.0.0.1', fetch: () => new Response('platform') });
    if (globalThis.Response !== platform) throw new Error('replaced');
    const response = await fetch(server.url);
    console.log(await response.text());
    await server.close();`;
  assert.deepEqual(await runProgram(script), { code: 0, signal: null, stderr: '', stdout: 'platform\n' });
});

test('the global names are replaced when a server listens, and restored when the last one has closed', async () => {
  const script = `
    const platform = globalThis.Response;
    const isReplaced = () => globalThis.Response !== platform;
    const { serve } = await import('${sluice}');
    const options = { port: 0, hostname: '127.0.0.1', fetch: () => new Response() };
    const seen = [];
    const opening = serve(options);
    seen.push(isReplaced());
    const first = await opening;
    seen.push(isReplaced());
    const second = await serve(options);
    await serve({ ...options, port: first.port }).catch((error) => seen.push(error.code));
    await first.close();
    seen.push(isReplaced());
    await Promise.all([second.close(), second.close()]);
    seen.push(isReplaced());
    const third = await serve(options);
    seen.push(isReplaced());
    await third.close();
    await serve({ ...options, hostname: '192.0.2.1' }).catch((error) => seen.push(error.code));
    seen.push(isReplaced());
    console.log(seen.join());`;
  const output = 'false,true,EADDRINUSE,true,false,true,EADDRNOTAVAIL,false\n';
  assert.deepEqual(await runProgram(script), { code: 0, signal: null, stderr: '', stdout: output });
});

test('after close, the process ends by itself, whatever its connections were doing', async () => {
  const script = `
    const { serve, sleep, stream } = await import('${sluice}');
    const net = await import('node:net');
    const server = await serve({ port: 0, hostname: '127.0.0.1', fetch: (request) =>
      request.url.endsWith('/slow') ? stream(function* (out) { yield* out.write('x'); yield* sleep(1e8); }) : new Response('x') });
    const clients = ['', 'GET /', 'GET /slow HTTP/1.1\\r\\nhost: x\\r\\n\\r\\n', 'GET / HTTP/1.1\\r\\nhost: x\\r\\n\\r\\n'].map((text) => {
      const socket = net.connect(server.port, '127.0.0.1');
      socket.on('error', () => {}).on('data', () => {}).write(text);
      return socket;
    });
    await new Promise((resolve) => setTimeout(resolve, 200));
    console.log(JSON.stringify(server.connections));
    await server.close({ deadline: 100 });
    for (const socket of clients) socket.destroy();
    await new Promise((resolve) => setImmediate(resolve));
    console.log(server.connections.total, process.getActiveResourcesInfo().filter((kind) => /Timeout|TCP/.test(kind)).join());`;
  const { code, stdout } = await runProgram(script);
  assert.equal(code, 0);
  assert.deepEqual(stdout.split('\n').slice(0, 2), [
    '{"idle":2,"reading":1,"handling":0,"writing":1,"closing":0,"total":4}',
    '0 ',
  ]);
});

test('a reset client’s request has its signal aborted and its thread handler unwound', async () => {
  let aborted = 0;
  let unwound = 0;
  let began = 0;
  const server = await serve({
    ...local,
    *fetch(request) {
      request.signal.addEventListener('abort', () => aborted++);
      began++;
      try {
        yield* sleep(1e8);
      } finally {
        unwound++;
      }
      return new Response('never');
    },
  });
  const client = new RawClient(server.port).send('GET / HTTP/1.1\r\nhost: x\r\n\r\n');
  await eventually('its handler works', () => began > 0);
  client.socket.resetAndDestroy();
  await eventually('it is gone', () => server.connections.total === 0);
  assert.deepEqual([aborted, unwound], [1, 1]);
  await server.close();
});

test('options that are wrong fail at serve, with the name of the option, what was found and what was expected', async () => {
  const wrong: [object, RegExp][] = [
    [{ ...local }, /fetch is undefined; expected a function/],
    [{ ...local, fetch: 'hello' }, /fetch is "hello"; expected a function/],
    [{ ...local, fetch: hello, port: 65_536 }, /port is 65536; expected a whole number from 0 to 65535/],
    [{ ...local, fetch: hello, fetsh: hello }, /unknown option "fetsh"; expected one of fetch, websocket, node, port/],
    [{ ...local, fetch: hello, headTimeout: 0 }, /headTimeout is 0; expected a number from 1 to/],
    [{ ...local, fetch: hello, maxBodySize: -1 }, /maxBodySize is -1; expected a whole number from 0/],
    [{ ...local, fetch: hello, globals: 'no' }, /globals is "no"; expected a boolean/],
    [{ ...local, fetch: hello, onError: {} }, /onError is \[object Object\]; expected a function/],
    [{ path: '/tmp/x', port: 1, fetch: hello }, /path and port are both given/],
    [{ path: '/tmp/x', hostname: '127.0.0.1', fetch: hello }, /path and hostname are both given/],
    [{ ...local, fetch: hello, hostname: '[x]' }, /hostname is "\[x\]"; expected an IPv6 address between the brackets/],
    [
      { ...local, fetch: hello, network: unreadable() },
      /network is a value that cannot be inspected; expected a Network/,
    ],
    [unreadable(), /^TypeError: serve: the options cannot be read; expected an object with readable properties/],
  ];
  for (const [options, message] of wrong) await assert.rejects(serve(options as ServeOptions), message);
  await assert.rejects(serve(undefined as never), /the options are undefined; expected an object/);
});

function unreadable(): object {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  return proxy;
}
