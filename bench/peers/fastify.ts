// Fastify

import type { ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import { fastify } from 'fastify';
import { everyInterval, greeting, handler, hello, idleSeconds, message, piece, pieces, port } from './settings.js';

const app = fastify({ keepAliveTimeout: idleSeconds * 1000 });
const subscribers = new Set<ServerResponse>();

function* flood(): Generator<Uint8Array> {
  for (let i = 0; i < pieces; i++) yield piece;
}

if (handler !== 'stream') app.get('/', async () => hello);

if (handler === 'flood') app.get('/flood', async (_request, reply) => reply.send(Readable.from(flood())));

if (handler === 'stream') {
  app.get('/', (_request, reply) => {
    reply.hijack();
    reply.raw.writeHead(200, { 'content-type': 'text/event-stream' });
    reply.raw.write(greeting);
    subscribers.add(reply.raw);
    reply.raw.on('close', () => subscribers.delete(reply.raw));
  });
}

everyInterval(() => {
  const text = message();
  for (const response of subscribers) response.write(text);
});

await app.listen({ port, host: '127.0.0.1' });
