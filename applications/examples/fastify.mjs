// Fastify: a schema that validates, a hook, an error handler. Only `serverFactory` differs from an application on node:http.
//
//   node fastify.mjs
//   curl localhost:8080/greet -H 'content-type: application/json' -d '{"name": "Ann"}'

import Fastify from 'fastify';
import { createServer } from 'sluice/node';

const app = Fastify({ serverFactory: (handler) => createServer(handler) });

app.addHook('onRequest', async (_request, reply) => {
  reply.header('x-served-by', 'sluice');
});
app.post(
  '/greet',
  {
    schema: {
      body: { type: 'object', required: ['name'], properties: { name: { type: 'string', minLength: 1 } } },
      response: { 200: { type: 'object', properties: { greeting: { type: 'string' } } } },
    },
  },
  async ({ body }) => ({ greeting: `hello ${body.name}` }),
);
app.get('/address', async ({ ip }) => ({ ip }));

const url = await app.listen({ port: Number(process.env.PORT ?? 8080), host: process.env.HOST ?? '127.0.0.1' });

for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => app.close());
console.log(`Fastify: ${url}/`);
