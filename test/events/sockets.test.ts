// Event streams over real sockets, on every layer, read by Node's fetch and another parser.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { EventSourceMessage } from 'eventsource-parser';
import { EventSourceParserStream } from 'eventsource-parser/stream';
import { Network } from '#sluice/connection/network.js';
import { type EventHandler, type EventsOptions, events } from '#sluice/events/events.js';
import { type Server, serve } from '#sluice/server/serve.js';
import { sleep } from '#sluice/threads/sleep.js';
import { layers } from '../support/layers.js';

for (const { name, make, skip } of layers) {
  describe(`event streams, on ${name}`, { skip }, () => {
    const withServer = async (
      handler: EventHandler,
      options: EventsOptions,
      use: (server: Server) => Promise<void>,
    ): Promise<void> => {
      const layer = make();
      const network = new Network(layer);
      const server = await serve({
        hostname: '127.0.0.1',
        port: 0,
        globals: false,
        network,
        fetch: (request) => events(request, handler, options),
      });
      await use(server);
      await server.close();
      await layer.close();
    };
    const read = (response: Response, retries: number[] = []): ReadableStreamDefaultReader<EventSourceMessage> => {
      assert.equal(response.headers.get('content-type'), 'text/event-stream');
      assert.ok(response.body);
      const parser = new EventSourceParserStream({ onRetry: (retry) => retries.push(retry) });
      return response.body.pipeThrough(new TextDecoderStream()).pipeThrough(parser).getReader();
    };

    it('arrive as they were sent, one after the other, and go on after Last-Event-ID', async () => {
      const handler: EventHandler = function* (client) {
        for (let id = Number(client.lastEventId) + 1; id <= 5; id++) {
          yield* client.send({ id, event: 'tick', data: { text: `line\nof ${id}` } });
          yield* sleep(1);
        }
      };
      await withServer(handler, {}, async (server) => {
        const first = read(await fetch(server.url));
        for (let id = 1; id <= 5; id++) {
          const { value } = await first.read();
          assert.deepEqual(value, { id: `${id}`, event: 'tick', data: JSON.stringify({ text: `line\nof ${id}` }) });
        }
        assert.ok((await first.read()).done);
        const second = read(await fetch(server.url, { headers: { 'last-event-id': '4' } }));
        assert.equal((await second.read()).value?.id, '5');
        assert.ok((await second.read()).done);
      });
    });

    it('end in good order when the server closes, after the last retry', async () => {
      let ended = 0;
      const handler: EventHandler = function* (client) {
        try {
          yield* client.send({ data: 'hello' });
          yield* sleep(Infinity);
        } finally {
          ended++;
        }
      };
      await withServer(handler, { retryOnClose: 500 }, async (server) => {
        const retries: number[] = [];
        const readers = await Promise.all([1, 2, 3].map(async () => read(await fetch(server.url), retries)));
        for (const reader of readers) assert.equal((await reader.read()).value?.data, 'hello');
        const before = performance.now();
        await Promise.all([server.close(), ...readers.map(async (reader) => assert.ok((await reader.read()).done))]);
        assert.ok(performance.now() - before < 5000);
        assert.equal(ended, 3);
        assert.equal(retries.length, 3);
      });
    });
  });
}
