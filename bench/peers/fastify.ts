// Fastify

import type { ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import { fastify } from 'fastify';
import {
  confirm,
  documents,
  download,
  eventHeaders,
  everyInterval,
  greeting,
  hello,
  idleSeconds,
  message,
  piece,
  pieces,
  port,
  statusFor,
} from './shared.js';

const app = fastify({ keepAliveTimeout: idleSeconds * 1000, bodyLimit: 2 * download.length });
const subscribers = new Set<ServerResponse>();

app.addContentTypeParser('application/octet-stream', { parseAs: 'buffer' }, (_request, bytes, done) => {
  done(null, bytes);
});
app.get('/', async () => hello);
for (const path of ['/small', '/medium', '/large']) {
  app.get<{ Querystring: { page?: string } }>(path, async (request, reply) => {
    const status = statusFor(request.query.page ?? null, String(request.headers['x-client']));
    return reply.code(status).type('application/json').send(documents[path]);
  });
}
app.post<{ Body: Parameters<typeof confirm>[0] }>('/order', async (request) => confirm(request.body));
app.post<{ Body: Buffer }>('/upload', async (request) => String(request.body.length));
app.get('/download', async (_request, reply) => reply.send(Buffer.from(download.buffer)));
app.get('/flood', async (_request, reply) => reply.send(Readable.from(flood())));
app.get('/events', (_request, reply) => {
  reply.hijack();
  reply.raw.writeHead(200, eventHeaders);
  reply.raw.write(greeting);
  subscribers.add(reply.raw);
  reply.raw.on('close', () => subscribers.delete(reply.raw));
});

function* flood(): Generator<Uint8Array> {
  for (let i = 0; i < pieces; i++) yield piece;
}

everyInterval(() => {
  const text = message();
  for (const response of subscribers) response.write(text);
});

await app.listen({ port, host: '127.0.0.1' });
