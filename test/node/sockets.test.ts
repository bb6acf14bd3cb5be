// Servers of node:http over real sockets, on each event layer, with the clients that Node has.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import http, { type IncomingMessage, type ServerResponse } from 'node:http';
import http2 from 'node:http2';
import https from 'node:https';
import type net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, it } from 'node:test';
import { Network } from '#sluice/connection/network.js';
import { createServer, type NodeServer, type NodeServerOptions } from '#sluice/node/create-server.js';
import { listen } from '#sluice/node/listen.js';
import { serve } from '#sluice/server/serve.js';
import { missingEngine } from '#sluice/tls/engines.js';
import { authority, local, signed } from '../support/certificates.js';
import { layers } from '../support/layers.js';
import { RawClient } from '../support/raw-client.js';

const { key, cert } = local;
const hostname = '127.0.0.1';

interface Got {
  response: IncomingMessage;
  body: string;
}

/** Sends a request with node:http or node:https. */
function request(
  options: https.RequestOptions & { body?: string },
  module: typeof http | typeof https = http,
): Promise<Got> {
  return new Promise((resolve, reject) => {
    const sent = module.request({ host: hostname, ...options }, (response) => {
      let body = '';
      response
        .setEncoding('utf8')
        .on('data', (part) => {
          body += part;
        })
        .on('end', () => resolve({ response, body }))
        .on('error', reject);
    });
    sent.on('error', reject).end(options.body);
  });
}

async function echo(request: IncomingMessage, response: ServerResponse): Promise<void> {
  let text = '';
  for await (const part of request.setEncoding('utf8')) text += part;
  response.end(`${request.method} ${request.url} ${text}`);
}

/** Starts to listen, as people do it. */
async function started(server: NodeServer, port = 0): Promise<number> {
  server.listen(port, hostname);
  await once(server, 'listening');
  const address = server.address();
  assert.ok(typeof address === 'object' && address !== null);
  return address.port;
}

async function closed(server: http.Server): Promise<void> {
  await new Promise((resolve) => server.close(resolve));
}

for (const { name, make, skip } of layers) {
  describe(`node:http over ${name}`, { skip }, () => {
    const withNetwork = (use: (network: Network) => Promise<void>) => async () => {
      const layer = make();
      const network = new Network(layer);
      try {
        await use(network);
        assert.equal(network.scheduler.timers.size, 0, 'armed timers');
      } finally {
        await layer.close();
      }
    };
    const withServer = (
      options: NodeServerOptions,
      use: (server: NodeServer, port: number, network: Network) => Promise<void>,
    ) =>
      withNetwork(async (network) => {
        const server = createServer({ ...options, network }, echo);
        const port = await started(server);
        assert.equal(server.sluice?.eventLayer, name);
        await use(server, port, network);
        if (server.listening) await closed(server);
        assert.equal(server.sluice?.connections.total, 0);
      });

    it(
      'an agent that keeps its connections alive, bodies of all sizes, and close with idle clients',
      withServer({}, async (server, port) => {
        const agent = new http.Agent({ keepAlive: true, maxSockets: 2 });
        const sizes = [0, 1, 1000, 100_000, 2_000_000];
        const all = sizes.map((size) => request({ port, agent, method: 'POST', path: '/x', body: 'é'.repeat(size) }));
        const got = await Promise.all(all);
        assert.deepEqual(
          got.map(({ body }) => body.length),
          sizes.map((size) => 'POST /x '.length + size),
        );
        const begin = performance.now();
        await closed(server);
        assert.ok(performance.now() - begin < 1000, 'idle connections are closed at once');
        agent.destroy();
      }),
    );

    it(
      'pipelined requests, and a client that leaves in the middle',
      withServer({}, async (server, port) => {
        const client = await RawClient.open(port);
        const get = (target: string, more = '') => `GET ${target} HTTP/1.1\r\nhost: a\r\n${more}\r\n`;
        client.send(get('/1') + get('/2') + get('/3', 'connection: close\r\n'));
        assert.equal(await client.ending, 'FIN');
        assert.deepEqual(client.text.match(/GET \/\d/g), ['GET /1', 'GET /2', 'GET /3']);
        client.socket.destroy();
        const aborted = once(server, 'clientError');
        const other = await RawClient.open(port);
        other.send('POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nhalf');
        await new Promise((resolve) => setTimeout(resolve, 20));
        other.socket.resetAndDestroy();
        const [error, socket] = await aborted;
        assert.equal(error.code, 'ECONNRESET');
        socket.destroy();
      }),
    );

    it(
      'headersTimeout and requestTimeout are checked as with node:http: 408',
      withServer({ headersTimeout: 40, requestTimeout: 60, connectionsCheckingInterval: 20 }, async (_, port) => {
        for (const sent of [
          'GET / HTTP/1.1\r\nhost: a\r\n',
          'POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\nx',
        ]) {
          const client = await RawClient.open(port);
          client.send(sent);
          await client.ending;
          assert.match(client.text, /^HTTP\/1\.1 408 Request Timeout\r\n/);
          client.socket.destroy();
        }
      }),
    );

    it(
      'an upgrade: data in both directions, more than buffers hold',
      withServer({}, async (server, port) => {
        server.on('upgrade', (_, socket) => {
          socket.write('HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n');
          socket.pipe(socket);
        });
        const sent = http.request({ port, host: hostname, headers: { connection: 'upgrade', upgrade: 'echo' } }).end();
        const [, socket] = (await once(sent, 'upgrade')) as [IncomingMessage, net.Socket];
        const size = 3_000_000;
        let got = 0;
        socket.on('data', (data) => {
          got += data.length;
        });
        socket.end(Buffer.alloc(size, 1));
        await once(socket, 'close');
        assert.equal(got, size);
      }),
    );

    it(
      'a port in use is an error event with the syscall listen; a server listens again after close',
      withServer({}, async (server, port, network) => {
        const other = createServer({ network });
        const failed = once(other, 'error');
        let called = false;
        other.listen({ port, host: hostname }, () => {
          called = true;
        });
        assert.throws(() => other.listen(0), { code: 'ERR_SERVER_ALREADY_LISTEN' });
        const [error] = await failed;
        assert.deepEqual([error.code, error.syscall, error.port, called], ['EADDRINUSE', 'listen', port, false]);
        assert.equal(other.listening, false);
        await closed(server);
        assert.equal(await started(server, port), port);
        assert.match((await request({ port })).body, /^GET \//);
      }),
    );

    it(
      'listen takes the arguments of net.Server, and close may be called before it listens',
      withNetwork(async (network) => {
        const file = path.join(tmpdir(), `sluice-node-${process.pid}-${name}`);
        const controller = new AbortController();
        const { signal } = controller;
        const forms: ((server: NodeServer, done: () => void) => http.Server)[] = [
          (server, done) => server.listen(0, done),
          (server, done) => server.listen('0', done),
          (server, done) => server.listen(done),
          (server, done) => server.listen(0, hostname, 16, done),
          (server, done) => server.listen({ port: 0, host: 'localhost' }, done),
          (server, done) => server.listen(file, done),
          (server, done) => server.listen({ path: file, signal }, done),
        ];
        for (const form of forms) {
          const server = createServer({ network }, echo);
          await new Promise<void>((resolve) => assert.equal(form(server, resolve), server));
          const address = server.address();
          const socketPath = typeof address === 'string' ? address : undefined;
          const port = typeof address === 'string' ? undefined : address?.port;
          const host = typeof address === 'string' ? undefined : 'localhost';
          assert.match((await request({ socketPath, port, host })).body, /^GET/);
          if (form === forms.at(-1)) {
            const ended = once(server, 'close');
            controller.abort();
            await ended;
          } else await closed(server);
        }
        for (const [values, message] of [
          [[70_000], /port is 70000/],
          [[{ port: '1x' }], /port is NaN/],
          [[{ fd: 3 }], /fd is given/],
          [[true], /port is true/],
        ] as const) {
          const server = createServer({ network });
          assert.throws(() => Reflect.apply(server.listen, server, values), message);
        }
        const early = createServer({ network }, echo).listen(0);
        await closed(early);
        assert.equal(early.listening, false);
      }),
    );

    it(
      'closeAllConnections behind close ends connections, too, that are accepted later',
      withServer({}, async (server, port) => {
        server.removeAllListeners('request').on('request', () => {}); // no response, ever
        const early = await RawClient.open(port);
        early.send('GET / HTTP/1.1\r\nhost: a\r\n\r\n');
        await once(server, 'request');
        const late = new RawClient(port);
        late.send('GET / HTTP/1.1\r\nhost: a\r\n\r\n');
        const ended = once(server, 'close');
        late.socket.once('connect', () => {
          server.close();
          server.closeAllConnections();
        });
        await ended;
        await Promise.all([early.ending, late.ending]);
        for (const { socket } of [early, late]) socket.destroy();
      }),
    );

    it(
      'async handlers that are rejected: a 500, once, and the process goes on',
      withNetwork(async (network) => {
        const errors: unknown[] = [];
        const handler = async (request: IncomingMessage) => {
          await new Promise((resolve) => setImmediate(resolve));
          throw new Error(`broken ${request.url}`);
        };
        const server = createServer({ network, onError: (error) => errors.push(error) }, handler);
        assert.deepEqual(server.listeners('request'), [handler]);
        const port = await started(server);
        const { response } = await request({ port, path: '/a' });
        assert.equal(response.statusCode, 500);
        assert.deepEqual(errors.map(String), ['Error: broken /a']);
        await closed(server);
      }),
    );

    it(
      'serve({ fetch, node }): one port for both',
      withNetwork(async (network) => {
        const fetch = (request: Request) => (request.url.endsWith('/fast') ? new Response('fast') : undefined);
        const server = await serve({ port: 0, hostname, network, fetch, node: echo });
        const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
        const { port } = server;
        const got = [];
        for (const target of ['/fast', '/slow', '/fast', '/slow'])
          got.push(await request({ port, agent, path: target, method: 'POST', body: 'body' }));
        assert.deepEqual(
          got.map(({ body }) => body),
          ['fast', 'POST /slow body', 'fast', 'POST /slow body'],
        );
        assert.equal(server.connections.total, 1);
        agent.destroy();
        await server.close();
      }),
    );

    it(
      'TLS by sluice: the socket is encrypted, and knows the client',
      withNetwork(async (network) => {
        if (missingEngine(network.layer) !== undefined) return;
        const handler = (request: IncomingMessage, response: ServerResponse): void => {
          const socket = request.socket as import('node:tls').TLSSocket;
          const { encrypted, authorized } = socket;
          const { subject } = socket.getPeerCertificate();
          const facts = {
            encrypted,
            authorized,
            name: subject?.CN,
            protocol: socket.getProtocol(),
            alpn: socket.alpnProtocol,
          };
          response.end(JSON.stringify(facts));
        };
        const tls = { key, cert, ca: authority.cert, requestCert: true };
        const client = { servername: 'localhost', ca: authority.cert, ...signed('client') };
        const facts = { encrypted: true, authorized: true, name: 'client', protocol: 'TLSv1.3', alpn: 'http/1.1' };
        const server = createServer({ network, tls }, handler);
        const port = await started(server);
        const options = { ...client, ALPNProtocols: ['http/1.1'] };
        assert.deepEqual(JSON.parse((await request({ port, ...options }, https)).body), facts);
        await closed(server);

        const both = await serve({ port: 0, hostname, network, tls, fetch: () => undefined, node: handler });
        assert.deepEqual(JSON.parse((await request({ port: both.port, ...options }, https)).body), facts);
        await both.close();

        const secure = https.createServer(handler);
        const listening = await listen(secure, { port: 0, hostname, network, tls });
        assert.deepEqual(JSON.parse((await request({ port: listening.port, ...options }, https)).body), facts);
        await listening.close();
      }),
    );

    it(
      'TLS by Node, over plain connections of sluice',
      withNetwork(async (network) => {
        const listening = await listen(https.createServer({ key, cert }, echo), { port: 0, hostname, network });
        const client = { servername: 'localhost', ca: authority.cert };
        const size = 300_000;
        const { body } = await request(
          { port: listening.port, ...client, method: 'POST', body: 'x'.repeat(size) },
          https,
        );
        assert.equal(body.length, size + 'POST / '.length);
        await listening.close();
      }),
    );

    it(
      'HTTP/2, in the clear and with TLS by sluice',
      withNetwork(async (network) => {
        const tls = missingEngine(network.layer) === undefined ? { key, cert } : undefined;
        for (const secured of tls === undefined ? [undefined] : [undefined, tls]) {
          const server = secured === undefined ? http2.createServer() : http2.createSecureServer({ allowHTTP1: true });
          server.on('stream', (stream) => {
            stream.respond({ ':status': 200 });
            stream.pipe(stream);
          });
          const listening = await listen(server, { port: 0, hostname, network, tls: secured });
          const url = `${secured === undefined ? 'http' : 'https'}://localhost:${listening.port}`;
          const session = http2.connect(url, { ca: authority.cert, family: 4 } as http2.SecureClientSessionOptions);
          const stream = session.request({ ':method': 'POST', ':path': '/' });
          const size = 500_000;
          let got = 0;
          stream.on('data', (part) => {
            got += part.length;
          });
          stream.end(Buffer.alloc(size));
          await once(stream, 'close');
          assert.equal(got, size);
          session.close();
          await listening.close();
        }
      }),
    );
  });
}
