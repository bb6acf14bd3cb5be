// What a handler forwards with the platform's own fetch is forwardable, whatever its client has sent.

import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { after, before, test } from 'node:test';
import { PlatformRequest } from '#sluice/http/fetch/platform.js';
import { Request } from '#sluice/http/fetch/request.js';
import { type Fetch, type Server, serve } from '#sluice/server/serve.js';

/** Answers with the method and the body, and what it was sent of the fields that belong to one connection. */
const upstream = createServer((request, response) => {
  let body = '';
  request.setEncoding('latin1');
  request.on('data', (piece) => {
    body += piece;
  });
  request.on('end', () => {
    const { upgrade, expect } = request.headers;
    response.end(JSON.stringify([request.method, body, request.headers['x-end'], upgrade, expect]));
  });
});

/** The platform's, also while light classes have the global names. */
const platformFetch = globalThis.fetch;
const ways: Record<string, (url: string, request: Request & globalThis.Request) => Promise<globalThis.Response>> = {
  'fetch(url, request)': (url, request) => platformFetch(url, request),
  'fetch(new Request(url, request)), of the platform': (url, request) =>
    platformFetch(new PlatformRequest(url, request) as globalThis.Request),
  'fetch(new Request(url, request)), light': (url, request) => fetch(new Request(url, request)),
  'fetch(url, members)': (url, { method, headers, body }) =>
    platformFetch(url, { method, headers: [...headers], body, duplex: 'half' } as RequestInit),
  'fetch(url, request.clone())': (url, request) => platformFetch(url, request.clone()),
};

let upstreamUrl = '';
const errors: unknown[] = [];
const proxies = new Map<string, Server>();

before(async () => {
  await new Promise<void>((resolve) => {
    upstream.listen(0, '127.0.0.1', resolve);
  });
  upstreamUrl = `http://127.0.0.1:${(upstream.address() as AddressInfo).port}/`;
  for (const [way, forward] of Object.entries(ways)) {
    const proxy: Fetch = (request) => forward(upstreamUrl, request);
    const onError = (error: unknown) => {
      errors.push(error);
    };
    proxies.set(way, await serve({ port: 0, hostname: '127.0.0.1', fetch: proxy, onError }));
  }
});

after(async () => {
  for (const proxy of proxies.values()) await proxy.close();
  upstream.closeAllConnections();
  upstream.close();
});

const chunks = '5\r\nhello\r\n0\r\n\r\n';
const requests: [what: string, method: string, fields: string[], sent: string, forwarded?: string][] = [
  ['nothing in particular', 'GET', [], ''],
  ['Keep-Alive', 'GET', ['connection: keep-alive', 'keep-alive: timeout=5'], ''],
  ['a list in Connection', 'GET', ['connection: keep-alive, x-hop', 'x-hop: 1'], ''],
  ['what Java offers', 'GET', ['connection: Upgrade, HTTP2-Settings', 'upgrade: h2c', 'http2-settings: AAEA'], ''],
  ['what begins a WebSocket', 'GET', ['connection: Upgrade', 'upgrade: websocket', 'sec-websocket-key: AAAA'], ''],
  ['Proxy-Connection and TE', 'GET', ['connection: TE', 'proxy-connection: keep-alive', 'te: trailers'], ''],
  ['Transfer-Encoding', 'POST', ['transfer-encoding: chunked'], chunks, 'hello'],
  ['Transfer-Encoding and trailers', 'PUT', ['transfer-encoding: chunked', 'trailer: x'], chunks, 'hello'],
  ['Content-Length', 'POST', ['content-length: 5'], 'hello', 'hello'],
  ['a body of no bytes', 'POST', ['content-length: 0'], ''],
  ['Expect', 'POST', ['expect: 100-continue', 'content-length: 5'], 'hello', 'hello'],
  ['a body of GET', 'GET', ['content-length: 5'], 'hello'],
  ['a body of GET in chunks', 'GET', ['transfer-encoding: chunked'], chunks],
  ['a body of DELETE', 'DELETE', ['content-length: 5'], 'hello', 'hello'],
];

/** @returns what the upstream server has seen */
function send(port: number, text: string): Promise<unknown> {
  return new Promise((resolve, reject) => {
    let received = '';
    const socket = connect(port, '127.0.0.1', () => socket.write(text));
    socket.setEncoding('latin1');
    socket.on('data', (piece) => {
      received += piece;
      const [, seen] = /^HTTP\/1\.1 (?:100 .*HTTP\/1\.1 )?200 .*\r\n\r\n.*?(\[".*?\])/s.exec(received) ?? [];
      if (seen === undefined && !/^HTTP\/1\.1 [45]/.test(received)) return;
      socket.destroy();
      if (seen === undefined) reject(new Error(received.slice(0, 100), { cause: errors.at(-1) }));
      else resolve(JSON.parse(seen));
    });
    socket.on('error', reject);
  });
}

for (const way of Object.keys(ways)) {
  test(`${way} forwards a request with any of the fields that belong to its connection`, async () => {
    const port = proxies.get(way)?.port ?? 0;
    await Promise.all(
      requests.map(async ([what, method, fields, sent, forwarded = '']) => {
        const head = [`${method} /x HTTP/1.1`, 'host: a', ...fields, 'x-end: to end', '', ''].join('\r\n');
        assert.deepEqual(await send(port, head + sent), [method, forwarded, 'to end', null, null], what);
      }),
    );
    assert.deepEqual(errors, []);
  });
}
