// node:http

import { createServer, type RequestListener, type ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { everyInterval, greeting, handler, hello, idleSeconds, message, piece, pieces, port } from './settings.js';

const subscribers = new Set<ServerResponse>();

function* flood(): Generator<Uint8Array> {
  for (let i = 0; i < pieces; i++) yield piece;
}

const handlers: Record<string, RequestListener> = {
  hello(_request, response) {
    response.setHeader('content-type', 'text/plain');
    response.end(hello);
  },

  flood(request, response) {
    if (request.url === '/flood') {
      pipeline(Readable.from(flood()), response).catch(() => {}); // the client has left
    } else {
      response.setHeader('content-type', 'text/plain');
      response.end(hello);
    }
  },

  stream(_request, response) {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.write(greeting);
    subscribers.add(response);
    response.on('close', () => subscribers.delete(response));
  },
};

everyInterval(() => {
  const text = message();
  for (const response of subscribers) response.write(text);
});

createServer({ keepAliveTimeout: idleSeconds * 1000 }, handlers[handler]).listen(port, '127.0.0.1');
