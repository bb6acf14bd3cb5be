// The package ws, on node:http. Its broadcast is a loop, as its documentation has it.

import { createServer } from 'node:http';
import { type WebSocket, WebSocketServer } from 'ws';
import { deflates, hello, port, textHeaders } from './shared.js';

const server = createServer((_request, response) => {
  response.writeHead(200, textHeaders).end(hello);
});

// No context is taken over, as in Bun and sluice by default. A client's is the client's choice.
const perMessageDeflate = deflates && { serverNoContextTakeover: true, clientNoContextTakeover: true };
const subscribers = new Set<WebSocket>();

new WebSocketServer({ server, perMessageDeflate }).on('connection', (socket, { url }) => {
  if (url === '/echo') socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
  if (url === '/publish')
    socket.on('message', (data, isBinary) => {
      for (const subscriber of subscribers) subscriber.send(data, { binary: isBinary });
    });
  if (url === '/topic') {
    subscribers.add(socket);
    socket.on('close', () => subscribers.delete(socket));
  }
});

server.listen(port, '127.0.0.1');
