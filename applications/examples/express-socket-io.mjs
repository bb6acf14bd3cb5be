// Express with Socket.IO: a page of Express, and a chat over polling and WebSockets on the same port.
//
//   node express-socket-io.mjs
//   then open http://localhost:8080/ in two tabs

import express from 'express';
import { createServer } from 'sluice/node';
import { Server } from 'socket.io';

const app = express();
const server = createServer(app);
const sockets = new Server(server);
const history = [];

sockets.on('connection', (socket) => {
  socket.emit('history', history);
  socket.on('say', (text, acknowledge) => {
    history.push(text);
    sockets.emit('said', text);
    acknowledge?.(history.length);
  });
});

app.use(express.json());
app.get('/', (_request, response) => {
  response.send(`<!doctype html>
    <title>chat</title>
    <ul id="list"></ul>
    <form><input autofocus><button>say</button></form>
    <script src="/socket.io/socket.io.js"></script>
    <script>
      const socket = io();
      const [form] = document.forms;
      const show = (text) => list.append(Object.assign(document.createElement('li'), { textContent: text }));
      socket.on('history', (texts) => list.replaceChildren() ?? texts.forEach(show));
      socket.on('said', show);
      form.onsubmit = (event) => {
        event.preventDefault();
        socket.emit('say', form[0].value);
        form.reset();
      };
    </script>`);
});
app.get('/history', (_request, response) => response.json(history));
app.post('/history', ({ body }, response) => {
  history.push(body.text);
  sockets.emit('said', body.text);
  response.status(201).json({ count: history.length });
});

const port = Number(process.env.PORT ?? 8080);
server.listen(port, process.env.HOST ?? '127.0.0.1', () => {
  const { address, port } = server.address();
  console.log(`Express with Socket.IO: http://${address}:${port}/`);
});
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => server.sluice.close({ deadline: 1000 }));
