// A process with many clients that ask for a stream, never read more of it than its head, and then vanish.

import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { answering } from '../support/program.js';

export type Ask = { open: readonly string[]; port: number } | { leave: 'fin' | 'rst' } | { drop: true };

let sockets: Socket[] = [];

async function open(port: number, path: string): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  socket.on('error', () => {}); // a reset by the server is one way for these clients to end
  socket.write(`GET ${path} HTTP/1.1\r\nhost: x\r\n\r\n`);
  await once(socket, 'readable');
  return socket;
}

answering<Ask, number>(async (message) => {
  if ('open' in message) {
    sockets = await Promise.all(message.open.map((path) => open(message.port, path)));
  } else if ('leave' in message) {
    for (const socket of sockets) {
      if (message.leave === 'rst') socket.resetAndDestroy();
      else socket.end();
    }
  } else {
    for (const socket of sockets) socket.destroy();
    sockets = [];
  }
  return sockets.length;
});
