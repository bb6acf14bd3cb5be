// A Hono application, unchanged: `app.fetch` is all that a server needs. One of its routes returns `stream()`.
//
//   curl localhost:8080/users/7
//   curl -N localhost:8080/ticks

import { Hono } from 'hono';
import { logger } from 'hono/logger';
import { serve, sleep, stream } from 'sluice';

const app = new Hono();

app.use(logger());
app.get('/', (c) => c.text('hello from Hono'));
app.get('/users/:id', (c) => c.json({ id: Number(c.req.param('id')), agent: c.req.header('user-agent') ?? null }));
app.post('/sum', async (c) => {
  const numbers = await c.req.json<number[]>();
  return c.json({ sum: numbers.reduce((sum, number) => sum + number, 0) });
});
app.get('/ticks', () =>
  stream(
    function* (out) {
      try {
        for (let tick = 1; ; tick++) {
          yield* out.write(`tick ${tick}\n`);
          yield* sleep(100);
        }
      } finally {
        console.log('ticks: unwound');
      }
    },
    { headers: { 'content-type': 'text/plain' } },
  ),
);

const server = await serve({
  port: Number(process.env.PORT ?? 8080),
  hostname: process.env.HOST ?? '127.0.0.1',
  fetch: (request) => app.fetch(request),
});

process.once('SIGINT', () => server.close({ deadline: 100 }));
process.once('SIGTERM', () => server.close({ deadline: 100 }));
console.log(`hono: ${server.url}`);
