// What upgrades connections: ws, Socket.IO with a thousand clients, http-proxy.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import { setTimeout as wait } from 'node:timers/promises';
import httpProxy from 'http-proxy';
import { Server as SocketServer } from 'socket.io';
import { io } from 'socket.io-client';
import { WebSocket, WebSocketServer } from 'ws';
import { ask, compare } from './compare.mjs';

const clients = 1000;

compare(
  'ws',
  (createServer) => {
    const server = createServer((_request, response) => response.end('http'));
    const sockets = new WebSocketServer({ server, perMessageDeflate: { threshold: 1024 } });
    sockets.on('connection', (socket, request) => {
      socket.send(`hello ${request.url} ${request.socket.remoteAddress}`);
      socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
    });
    return server;
  },
  {
    'messages of all sizes, and a close code': async (port) => {
      const socket = new WebSocket(`ws://127.0.0.1:${port}/path`);
      const [first] = await once(socket, 'message');
      const sizes = [];
      for (const size of [0, 1, 125, 126, 65_535, 65_536, 1_000_000]) {
        socket.send(Buffer.alloc(size, 1));
        const [data] = await once(socket, 'message');
        sizes.push(data.length);
      }
      socket.ping('x');
      const [pong] = await once(socket, 'pong');
      socket.close(4001, 'done');
      const [code] = await once(socket, 'close');
      return [String(first), sizes, String(pong), code];
    },
    'a burst in both directions': async (port) => {
      const socket = new WebSocket(`ws://127.0.0.1:${port}/`);
      await once(socket, 'open');
      let got = 0;
      socket.on('message', () => got++);
      for (let i = 0; i < 5000; i++) socket.send('x'.repeat(i % 200));
      while (got < 5001) await wait(5);
      socket.terminate();
      return got;
    },
    'requests beside': (port) => ask(port, '/'),
  },
);

compare(
  'Socket.IO',
  (createServer) => {
    const server = createServer((_request, response) => response.end('http'));
    const sockets = new SocketServer(server);
    sockets.on('connection', (socket) => {
      socket.join('room');
      socket.on('echo', (value, done) => done(value));
      socket.on('all', (value) => sockets.to('room').emit('news', value));
    });
    return server;
  },
  {
    'polling, WebSocket, and the upgrade from one to the other': async (port) => {
      const seen = [];
      for (const transports of [['polling'], ['websocket'], ['polling', 'websocket']]) {
        const socket = io(`http://127.0.0.1:${port}`, { transports, forceNew: true });
        await once(socket, 'connect');
        const value = { text: 'é', bytes: Buffer.from([1, 2, 3]) };
        const back = await socket.emitWithAck('echo', value);
        if (transports.length === 2 && socket.io.engine.transport.name !== 'websocket')
          await once(socket.io.engine, 'upgrade');
        seen.push([socket.io.engine.transport.name, back.text, [...back.bytes]]);
        socket.close();
      }
      return seen;
    },
    'a thousand clients': async (port) => {
      const counts = [];
      for (const transports of [['websocket'], ['polling']]) {
        const sockets = [];
        for (let i = 0; i < clients; i++) sockets.push(io(`http://127.0.0.1:${port}`, { transports, forceNew: true }));
        let got = 0;
        const all = new Promise((resolve) => {
          for (const socket of sockets)
            socket.on('news', () => {
              if (++got === clients) resolve();
            });
        });
        await Promise.all(sockets.map((socket) => (socket.connected ? undefined : once(socket, 'connect'))));
        sockets[0].emit('all', 'hello');
        await all;
        counts.push(got);
        for (const socket of sockets) socket.close();
      }
      return counts;
    },
    'requests beside': (port) => ask(port, '/'),
  },
);

const target = http.createServer((request, response) => {
  response.setHeader('x-forwarded', String(request.headers['x-forwarded-for']));
  request.pipe(response);
});
const behind = new WebSocketServer({ server: target });
behind.on('connection', (socket) => socket.on('message', (data) => socket.send(`behind ${data}`)));
target.listen(0, '127.0.0.1');
await once(target, 'listening');
target.unref();

compare(
  'http-proxy',
  (createServer) => {
    const proxy = httpProxy.createProxyServer({
      target: { host: '127.0.0.1', port: target.address().port },
      ws: true,
      xfwd: true,
    });
    proxy.on('error', (_error, _request, response) => response.destroy());
    const server = createServer((request, response) => proxy.web(request, response));
    server.on('upgrade', (request, socket, head) => proxy.ws(request, socket, head));
    return server;
  },
  {
    'a request with a body': (port) => ask(port, '/', { method: 'POST', body: 'x'.repeat(300_000) }),
    'a WebSocket': async (port) => {
      const socket = new WebSocket(`ws://127.0.0.1:${port}/`);
      await once(socket, 'open');
      socket.send('message');
      const [data] = await once(socket, 'message');
      socket.close();
      await once(socket, 'close');
      assert.ok(data.length > 0);
      return String(data);
    },
  },
);
