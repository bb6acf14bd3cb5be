// Clients that others have written, over real sockets: the platform's fetch, node:http with and without keep-alive, and curl.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import http from 'node:http';
import { after, before, test } from 'node:test';
import { Network } from '#sluice/connection/network.js';
import { PortableLayer } from '#sluice/event-layer/portable/portable.js';
import { Response } from '#sluice/http/fetch/response.js';
import { stream } from '#sluice/http/stream.js';
import { type Server, serve } from '#sluice/server/serve.js';
import { sleep } from '#sluice/threads/sleep.js';
import { Program } from '../support/program.js';

const platformFetch = globalThis.fetch;
const layer = new PortableLayer();
const errors: unknown[] = [];
/** Targets in the order in which their handlers were called, and the clients that asked for them. */
const asked: string[] = [];
let server: Server;
let base = '';

before(async () => {
  server = await serve({
    network: new Network(layer),
    hostname: '127.0.0.1',
    port: 0,
    globals: false,
    onError: (error) => {
      errors.push(error);
    },
    fetch(request) {
      const { pathname } = new URL(request.url);
      asked.push(pathname);
      switch (pathname) {
        case '/stream':
          return stream(function* (out) {
            for (let i = 0; i < 5; i++) {
              yield* out.write(`${i}`.repeat(1000));
              yield* sleep(1);
            }
          });
        case '/echo':
          return new Response(request.body);
        case '/length':
          return request.arrayBuffer().then((body) => new Response(String(body.byteLength)));
        case '/large':
          return new Response('x'.repeat(5_000_000));
        case '/headers':
          return Response.json([...request.headers]);
        default:
          return new Response(`${request.method} ${pathname}`);
      }
    },
  });
  base = server.url.href.slice(0, -1);
});

after(async () => {
  await server.close();
  assert.deepEqual(errors, []);
  assert.equal(server.connections.total, 0);
  await layer.close();
});

test('fetch: GET, HEAD, POST, a stream, a large body both ways', async () => {
  assert.equal(await (await platformFetch(`${base}/a`)).text(), 'GET /a');
  const head = await platformFetch(`${base}/a`, { method: 'HEAD' });
  assert.deepEqual([head.status, head.headers.get('content-length'), await head.text()], [200, '7', '']);
  const body = 'y'.repeat(3_000_000);
  assert.equal(await (await platformFetch(`${base}/length`, { method: 'POST', body })).text(), '3000000');
  assert.equal(await (await platformFetch(`${base}/echo`, { method: 'POST', body })).text(), body);
  assert.equal((await (await platformFetch(`${base}/stream`)).text()).length, 5000);
  assert.equal((await (await platformFetch(`${base}/large`)).text()).length, 5_000_000);
});

test('fetch: a body in chunks', async () => {
  const body = new ReadableStream({
    start(controller) {
      for (let i = 0; i < 10; i++) controller.enqueue(Buffer.from('0123456789'));
      controller.close();
    },
  });
  const response = await platformFetch(`${base}/length`, { method: 'POST', body, duplex: 'half' } as RequestInit);
  assert.equal(await response.text(), '100');
});

test('fetch: a client that aborts in the middle of a response harms no other', async () => {
  const controller = new AbortController();
  const response = await platformFetch(`${base}/large`, { signal: controller.signal });
  await response.body?.getReader().read();
  controller.abort();
  assert.equal(await (await platformFetch(`${base}/a`)).text(), 'GET /a');
});

function request(
  options: http.RequestOptions,
  body?: string,
): Promise<{ response: http.IncomingMessage; text: string; port: number | undefined }> {
  return new Promise((resolve, reject) => {
    const message = http.request(`${base}${options.path ?? '/'}`, options, (response) => {
      let text = '';
      const port = response.socket.localPort;
      response.setEncoding('latin1');
      response.on('data', (part) => {
        text += part;
      });
      response.once('end', () => resolve({ response, text, port }));
      response.once('error', reject);
    });
    message.once('error', reject);
    message.end(body);
  });
}

test('node:http: an agent with keep-alive uses one connection for all of its requests', async () => {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  try {
    const ports = new Set<number | undefined>();
    for (const path of ['/a', '/stream', '/large', '/b']) ports.add((await request({ agent, path })).port);
    ports.add((await request({ agent, path: '/length', method: 'POST' }, 'abc')).port);
    ports.add((await request({ agent, path: '/a', method: 'HEAD' })).port);
    ports.add((await request({ agent, path: '/a' })).port);
    assert.equal(ports.size, 1);
  } finally {
    agent.destroy();
  }
});

test('node:http: without keep-alive the server closes', async () => {
  const { response, text } = await request({ agent: false, path: '/a', headers: { connection: 'close' } });
  assert.equal(text, 'GET /a');
  assert.equal(response.headers.connection, 'close');
});

test('node:http: expects 100-continue and sends its body after 100 Continue', async () => {
  const text = await new Promise<string>((resolve, reject) => {
    const message = http.request(`${base}/length`, {
      method: 'POST',
      headers: { expect: '100-continue', 'content-length': 3, connection: 'close' },
    });
    message.once('continue', () => message.end('abc'));
    message.once('error', reject);
    message.once('response', (response) => {
      response.setEncoding('latin1');
      response.once('data', resolve);
    });
    message.flushHeaders();
  });
  assert.equal(text, '3');
});

const hasCurl = spawnSync('curl', ['--version']).status === 0;

/** Runs curl against the server. @returns what it prints */
async function curl(args: string[], input?: string): Promise<string> {
  const program = new Program(['curl', '--silent', '--show-error', '--max-time', '30', '--noproxy', '*', ...args]);
  program.process.stdin?.end(input);
  const { code, stdout, stderr } = await program.ended;
  if (code !== 0) throw new Error(`curl ${args.join(' ')} ended with ${code}: ${stderr}`);
  return stdout;
}

const withCurl = (name: string, run: () => Promise<void>) =>
  test(`curl: ${name}`, async (t) => {
    if (hasCurl) await run();
    else t.skip('there is no curl on this machine');
  });

withCurl('GET, and HEAD', async () => {
  assert.equal(await curl([`${base}/a`]), 'GET /a');
  const head = await curl(['--head', `${base}/a`]);
  assert.match(head, /^HTTP\/1\.1 200 OK\r\n/);
  assert.match(head, /\r\ncontent-length: 7\r\n/);
});

withCurl('several requests on one connection', async () => {
  const none = ['--output', '/dev/null'];
  const counts = await curl([
    '--write-out',
    '%{num_connects} ',
    `${base}/a`,
    ...none,
    `${base}/stream`,
    ...none,
    `${base}/b`,
    ...none,
  ]);
  assert.equal(counts, '1 0 0 ');
});

withCurl('a POST of more than 1 MiB, which waits for 100 Continue', async () => {
  const body = 'z'.repeat(1_500_000);
  const printed = await curl(
    ['--verbose', '--stderr', '-', '--header', 'expect: 100-continue', '--data-binary', '@-', `${base}/length`],
    body,
  );
  assert.match(printed, /< HTTP\/1\.1 100 Continue/);
  assert.match(printed, /1500000/);
});

withCurl('a POST that expects 100 Continue, and is answered instead', async () => {
  const printed = await curl(
    ['--verbose', '--stderr', '-', '--header', 'expect: 100-continue', '--data-binary', '@-', `${base}/a`],
    'z'.repeat(2000),
  );
  assert.match(printed, /< connection: close/);
  assert.match(printed, /POST \/a/);
});

withCurl('an upload in chunks', async () => {
  assert.equal(await curl(['--upload-file', '-', `${base}/length`], 'w'.repeat(300_000)), '300000');
  assert.equal(await curl(['--upload-file', '-', `${base}/echo`], 'there and back'), 'there and back');
});

withCurl('HTTP/1.0, a complete response and one that ends with the connection', async () => {
  assert.equal(await curl(['--http1.0', `${base}/a`]), 'GET /a');
  assert.equal((await curl(['--http1.0', `${base}/stream`])).length, 5000);
});

withCurl('a large response', async () => {
  assert.equal((await curl([`${base}/large`])).length, 5_000_000);
});
