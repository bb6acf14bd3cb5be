// `close` over real sockets, on every layer: idle clients that never close, and requests that have arrived when it is called.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Network } from '#sluice/connection/network.js';
import { Response } from '#sluice/http/fetch/response.js';
import { type ServeOptions, type Server, serve } from '#sluice/server/serve.js';
import { layers } from '../support/layers.js';
import { eventually, RawClient } from '../support/raw-client.js';

const request = 'GET / HTTP/1.1\r\nHost: here\r\n\r\n';

/** A whole response. */
const answered = /^HTTP\/1\.1 200 OK\r\n.*\r\n\r\nhello$/s;

const responded = (client: RawClient) => client.until((text) => text.includes('\r\n\r\n'));

for (const { name, make, skip } of layers) {
  describe(`close, on ${name}`, { skip }, () => {
    const withServer = async (
      options: Partial<ServeOptions>,
      act: (server: Server) => Promise<RawClient[]>,
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
    const connected = (server: Server, count: number): Promise<RawClient[]> =>
      Promise.all(Array.from({ length: count }, () => RawClient.open(server.port)));

    it('ends 100 idle connections whose clients never close, and does not wait for them', async () => {
      await withServer({ lingerTimeout: 60_000 }, async (server) => {
        const clients = await connected(server, 100);
        for (const client of clients) client.send(request);
        await Promise.all(clients.map(responded));
        const before = performance.now();
        await server.close();
        const took = performance.now() - before;
        assert.ok(took < 20_000, `it took ${took} ms`); // about 0.1 s, and not lingerTimeout
        assert.equal(server.connections.total, 0);
        const endings = await Promise.all(clients.map(({ ending }) => ending));
        assert.deepEqual(new Set(endings), new Set(['FIN']));
        return clients;
      });
    });

    it('answers requests that are in the kernel’s buffers when it is called, on connections old and new', async () => {
      await withServer({}, async (server) => {
        const old = await connected(server, 50);
        for (const client of old) client.send(request);
        await Promise.all(old.map(responded));
        for (const client of old) client.text = '';
        const clients = [...old, ...(await connected(server, 50))];
        // In one go, so that the server does not run in between.
        for (const client of clients) client.send(request);
        await server.close();
        const endings = await Promise.all(clients.map(({ ending }) => ending));
        assert.deepEqual(new Set(endings), new Set(['FIN']));
        for (const { text } of clients) assert.match(text, answered);
        return clients;
      });
    });

    it('accepts and answers clients that the kernel has connected when it is called', async () => {
      await withServer({}, async (server) => {
        const clients = Array.from({ length: 50 }, () => new RawClient(server.port));
        for (const client of clients) client.send(request);
        // node:net connects in the next tick: until the event loop goes on, nothing is accepted.
        await new Promise<void>((resolve) => process.nextTick(() => process.nextTick(resolve)));
        await server.close();
        const endings = await Promise.all(clients.map(({ ending }) => ending));
        assert.deepEqual(new Set(endings), new Set(['FIN']));
        for (const { text } of clients) assert.match(text, answered);
        return clients;
      });
    });

    it('delivers a whole response that its client has not read yet, although the client continues to send', async () => {
      const body = 'x'.repeat(100_000);
      await withServer({ fetch: () => new Response(body) }, async (server) => {
        const [client] = await connected(server, 1);
        client.socket.pause();
        client.send(request);
        await eventually('it is idle', () => server.connections.idle > 0);
        const closing = server.close();
        await eventually('it is closing', () => server.connections.closing > 0);
        const sending = setInterval(() => client.send('more'), 10);
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
