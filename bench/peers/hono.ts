// Hono on the server that SERVER names: `node-server` (@hono/node-server), `bun` (Bun.serve) or `sluice`.

import { Hono } from 'hono';
import { stream } from 'hono/streaming';
import {
  confirm,
  documents,
  download,
  everyInterval,
  greeting,
  hello,
  idleSeconds,
  jsonHeaders,
  message,
  piece,
  pieces,
  port,
  statusFor,
} from './shared.js';

const app = new Hono();
type Stream = Parameters<Parameters<typeof stream>[1]>[0];
const subscribers = new Set<Stream>();

app.get('/', (c) => c.text(hello));
for (const path of ['/small', '/medium', '/large']) {
  app.get(path, (c) => {
    const status = statusFor(c.req.query('page') ?? null, c.req.header('x-client')) === 200 ? 200 : 400;
    return c.body(documents[path] ?? '', status, jsonHeaders);
  });
}
app.post('/order', async (c) => c.json(confirm(await c.req.json())));
app.post('/upload', async (c) => c.text(String((await c.req.arrayBuffer()).byteLength)));
app.get('/download', (c) => c.body(download));
app.get('/flood', (c) =>
  stream(c, async (out) => {
    for (let i = 0; i < pieces && !out.aborted; i++) await out.write(piece);
  }),
);
app.get('/events', (c) => {
  c.header('content-type', 'text/event-stream');
  return stream(c, async (out) => {
    await out.write(greeting);
    subscribers.add(out);
    await new Promise<void>((left) => out.onAbort(left));
    subscribers.delete(out);
  });
});

everyInterval(() => {
  const text = message();
  for (const out of subscribers) out.write(text);
});

const hostname = '127.0.0.1';
const { fetch } = app;

declare const Bun: {
  serve(options: { fetch: typeof fetch; port: number; hostname: string; idleTimeout: number }): void;
};

// Imported only where it is used: each server has a process of its own.
if (process.env.SERVER === 'bun') Bun.serve({ fetch, port, hostname, idleTimeout: idleSeconds });
else if (process.env.SERVER === 'sluice') {
  const { serve } = await import('sluice');
  await serve({ fetch, port, hostname, idleTimeout: idleSeconds * 1000 });
} else {
  const { serve } = await import('@hono/node-server');
  serve({ fetch, port, hostname, serverOptions: { keepAliveTimeout: idleSeconds * 1000 } });
}
