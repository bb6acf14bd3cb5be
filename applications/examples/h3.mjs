// H3: routes, a body of JSON, an error, a streamed response.
//
//   node h3.mjs
//   curl localhost:8080/users/7
//   curl localhost:8080/sum -H 'content-type: application/json' -d '[1, 2, 3]'
//   curl -N localhost:8080/ticks

import { setTimeout as wait } from 'node:timers/promises';
import { H3, HTTPError } from 'h3';
import { serve } from 'sluice';

const app = new H3();

app.get('/users/:id', ({ context }) => {
  const id = Number(context.params.id);
  if (Number.isNaN(id)) throw new HTTPError({ status: 400, message: 'expected a number' });
  return { id };
});
app.post('/sum', async (event) => {
  const numbers = await event.req.json();
  return { sum: numbers.reduce((sum, number) => sum + number, 0) };
});
app.get('/ticks', async function* () {
  for (let tick = 1; tick <= 3; tick++) {
    yield `tick ${tick}\n`;
    await wait(100);
  }
});

const server = await serve({
  port: Number(process.env.PORT ?? 8080),
  hostname: process.env.HOST ?? '127.0.0.1',
  fetch: (request) => app.fetch(request),
});

for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => server.close({ deadline: 1000 }));
console.log(`H3: ${server.url}`);
