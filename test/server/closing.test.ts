// `close` over real sockets, on every layer: idle clients that never close, and requests that have arrived when it is called.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { describe, it } from 'node:test';
import { Network } from '#sluice/connection/network.js';
import { EpollLayer } from '#sluice/event-layer/epoll/epoll.js';
import type { EventLayer } from '#sluice/event-layer/event-layer.js';
import { PortableLayer } from '#sluice/event-layer/portable/portable.js';
import { UringLayer } from '#sluice/event-layer/uring/uring.js';
import { Response } from '#sluice/http/fetch/response.js';
import { type ServeOptions, type Server, serve } from '#sluice/server/serve.js';
import { skip } from '../support/linux.js';

const layers: Record<string, () => EventLayer> = {
  uring: () => new UringLayer(),
  epoll: () => new EpollLayer(),
  portable: () => new PortableLayer(),
};
const request = 'GET / HTTP/1.1\r\nHost: here\r\n\r\n';

/** A whole response. */
const answered = /^HTTP\/1\.1 200 OK\r\n.*\r\n\r\nhello$/s;

/** A client that keeps its side open after the server's FIN, and what it has received. */
class Client {
  readonly socket: net.Socket;
  text = '';
  /** `FIN`, or the code of an error. */
  readonly ending: Promise<string>;

  constructor(port: number) {
    this.socket = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    this.socket.setEncoding('latin1').on('data', (text) => {
      this.text += text;
    });
    this.ending = new Promise((resolve) => {
      this.socket.once('end', () => resolve('FIN'));
      this.socket.once('error', (error: NodeJS.ErrnoException) => resolve(String(error.code)));
    });
  }

  async response(): Promise<void> {
    while (!this.text.includes('\r\n\r\n')) await once(this.socket, 'data');
  }
}

for (const [name, make] of Object.entries(layers)) {
  describe(`close, on ${name}`, { skip: name === 'portable' ? false : skip }, () => {
    const withServer = async (
      options: Partial<ServeOptions>,
      act: (server: Server) => Promise<Client[]>,
    ): Promise<void> => {
      const layer = make();
      const network = new Network(layer);
      const fetch = () => new Response('hello');
      const server = await serve({ hostname: '127.0.0.1', port: 0, globals: false, network, fetch, ...options });
      const clients = await act(server);
      for (const { socket } of clients) socket.destroy();
      await server.close();
      await layer.close();
    };
    const connected = (server: Server, count: number): Promise<Client[]> =>
      Promise.all(
        Array.from({ length: count }, async () => {
          const client = new Client(server.port ?? 0);
          await once(client.socket, 'connect');
          return client;
        }),
      );

    it('ends 100 idle connections whose clients never close, and does not wait for them', async () => {
      await withServer({}, async (server) => {
        const clients = await connected(server, 100);
        for (const { socket } of clients) socket.write(request);
        await Promise.all(clients.map((client) => client.response()));
        const before = performance.now();
        await server.close();
        const took = performance.now() - before;
        assert.ok(took < 3000, `it took ${took} ms`); // in 0.1 s; not in lingerTimeout, which is 10 s
        assert.equal(server.connections.total, 0);
        const endings = await Promise.all(clients.map(({ ending }) => ending));
        assert.deepEqual(new Set(endings), new Set(['FIN']));
        return clients;
      });
    });

    it('answers requests that are in the kernel’s buffers when it is called, on connections old and new', async () => {
      await withServer({}, async (server) => {
        const old = await connected(server, 50);
        for (const { socket } of old) socket.write(request);
        await Promise.all(old.map((client) => client.response()));
        for (const client of old) client.text = '';
        const clients = [...old, ...(await connected(server, 50))];
        // In one go, so that the server does not run in between.
        for (const { socket } of clients) socket.write(request);
        await server.close();
        const endings = await Promise.all(clients.map(({ ending }) => ending));
        assert.deepEqual(new Set(endings), new Set(['FIN']));
        for (const { text } of clients) assert.match(text, answered);
        return clients;
      });
    });

    it('accepts and answers clients that the kernel has connected when it is called', async () => {
      await withServer({}, async (server) => {
        const clients = Array.from({ length: 50 }, () => new Client(server.port ?? 0));
        for (const { socket } of clients) socket.write(request);
        // node:net connects in the next tick: until the event loop goes on, nothing is accepted.
        await new Promise<void>((resolve) => process.nextTick(() => process.nextTick(resolve)));
        await server.close();
        const endings = await Promise.all(clients.map(({ ending }) => ending));
        assert.deepEqual(new Set(endings), new Set(['FIN']));
        for (const { text } of clients) assert.match(text, answered);
        return clients;
      });
    });

    it('delivers all of a response that its client has not read yet, though the client goes on sending', async () => {
      const body = 'x'.repeat(100_000);
      await withServer({ fetch: () => new Response(body) }, async (server) => {
        const [client] = await connected(server, 1);
        client.socket.pause();
        client.socket.write(request);
        while (server.connections.idle === 0) await new Promise((resolve) => setTimeout(resolve, 1));
        const closing = server.close();
        while (server.connections.closing === 0) await new Promise((resolve) => setTimeout(resolve, 1));
        const sending = setInterval(() => client.socket.write('more'), 10);
        await new Promise((resolve) => setTimeout(resolve, 50));
        client.socket.resume();
        assert.equal(await client.ending, 'FIN');
        clearInterval(sending);
        client.socket.end();
        await closing;
        assert.ok(client.text.endsWith(body));
        return [client];
      });
    });
  });
}
