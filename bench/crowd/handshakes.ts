// A process that makes TLS 1.3 handshakes with a server, some at a time, and ends. Each connection is closed as soon as its handshake is complete.
// Arguments: the port, how many, and `resumed` if each is to resume the session of a connection that was made before. Exits with 3 if a server does
// not resume it.

import { once } from 'node:events';
import { type ConnectionOptions, connect } from 'node:tls';

const atATime = 8;
const notResumed = 3;
const [, , port, count, kind] = process.argv;
const options: ConnectionOptions = { port: Number(port), host: '127.0.0.1', rejectUnauthorized: false };

/** Has a request answered, since a server of TLS 1.3 sends its tickets after the handshake. @returns a session to resume */
async function makeSession(): Promise<Buffer> {
  const socket = connect(options);
  const [[session]] = await Promise.all([
    once(socket, 'session'),
    once(socket, 'secureConnect').then(() => socket.write('GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n')),
  ]);
  socket.destroy();
  return session as Buffer;
}

/** @param session to resume; undefined for a full handshake */
async function handshake(session: Buffer | undefined): Promise<void> {
  const socket = connect({ ...options, ...(session && { session }) });
  await once(socket, 'secureConnect');
  if (socket.isSessionReused() !== (session !== undefined)) process.exit(notResumed);
  socket.on('error', () => {}); // the server may still be sending when it learns of the end
  socket.resume().end();
  await once(socket, 'close');
}

const session = kind === 'resumed' ? await makeSession() : undefined;
let left = Number(count);
await Promise.all(
  Array.from({ length: atATime }, async () => {
    while (left-- > 0) await handshake(session);
  }),
);
