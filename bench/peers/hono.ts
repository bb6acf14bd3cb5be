// Hono on @hono/node-server

import { serve } from '@hono/node-server';
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

serve({
  fetch: app.fetch,
  port,
  hostname: '127.0.0.1',
  serverOptions: { keepAliveTimeout: idleSeconds * 1000 },
});
