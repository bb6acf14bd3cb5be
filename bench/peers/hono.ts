// Hono on @hono/node-server

import { serve } from '@hono/node-server';
import { Hono } from 'hono';
import { stream } from 'hono/streaming';
import { everyInterval, greeting, handler, hello, idleSeconds, message, piece, pieces, port } from './settings.js';

const app = new Hono();
type Stream = Parameters<Parameters<typeof stream>[1]>[0];
const subscribers = new Set<Stream>();

if (handler !== 'stream') app.get('/', (c) => c.text(hello));

if (handler === 'flood') {
  app.get('/flood', (c) =>
    stream(c, async (out) => {
      for (let i = 0; i < pieces && !out.aborted; i++) await out.write(piece);
    }),
  );
}

if (handler === 'stream') {
  app.get('/', (c) => {
    c.header('content-type', 'text/event-stream');
    return stream(c, async (out) => {
      await out.write(greeting);
      subscribers.add(out);
      await new Promise<void>((left) => out.onAbort(left));
      subscribers.delete(out);
    });
  });
}

everyInterval(() => {
  const text = message();
  for (const out of subscribers) out.write(text);
});

serve({
  fetch: app.fetch,
  port,
  hostname: '127.0.0.1',
  serverOptions: { keepAliveTimeout: idleSeconds * 1000 },
});
