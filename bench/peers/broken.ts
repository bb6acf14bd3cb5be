// A server that is broken on purpose, so that the bench can be seen to notice: it answers every hundredth request with 500, and of WebSocket
// messages it shouts back every hundredth, and each that is "wrong".

import { createServer } from 'node:http';
import { WebSocketServer } from 'ws';
import { hello, port } from './shared.js';

let requests = 0;
const server = createServer((_request, response) => {
  if (++requests % 100 === 0) response.statusCode = 500;
  response.end(hello);
});

let messages = 0;
new WebSocketServer({ server }).on('connection', (socket) => {
  socket.on('message', (data) => {
    const text = String(data);
    socket.send(++messages % 100 === 0 || text === 'wrong' ? text.toUpperCase() : text);
  });
});

server.listen(port, '127.0.0.1');
