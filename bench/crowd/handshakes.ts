// A process that makes TLS 1.3 handshakes with a server, some at a time, and ends. Each connection is closed as soon as its handshake is complete.
// Arguments: the port, how many, and `resumed` if each is to resume the session of a connection that was made before.

import { once } from 'node:events';
import { type ConnectionOptions, connect } from 'node:tls';

const atATime = 8;
const [, , port, count, kind] = process.argv;
const options: ConnectionOptions = { port: Number(port), host: '127.0.0.1', rejectUnauthorized: false };

/** Has a request answered, since a server of TLS 1.3 sends its tickets after the handshake. @returns a session to resume */
async function session(): Promise<Buffer> {
  const socket = connect(options);
  const [ticket] = await Promise.all([
    once(socket, 'session').then(([bytes]) => bytes as Buffer),
    once(socket, 'secureConnect').then(() => socket.write('GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n')),
  ]);
  socket.destroy();
  return ticket;
}

async function handshake(resuming: Buffer | undefined): Promise<void> {
  const socket = connect({ ...options, ...(resuming && { session: resuming }) });
  await once(socket, 'secureConnect');
  if (socket.isSessionReused() !== (resuming !== undefined))
    throw new Error(`the session was ${resuming === undefined ? '' : 'not '}resumed`);
  socket.on('error', () => {}); // the server may still be sending when it learns of the end
  socket.resume().end();
  await once(socket, 'close');
}

const resuming = kind === 'resumed' ? await session() : undefined;
let left = Number(count);
await Promise.all(
  Array.from({ length: atATime }, async () => {
    while (left-- > 0) await handshake(resuming);
  }),
);
