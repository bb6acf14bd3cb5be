// A process that makes TLS 1.3 handshakes with a server, some at a time, and ends. Each connection is closed as soon as its handshake is complete.
// Arguments: the port, how many, and `resumed` if each is to resume the session of a connection that was made before.

import { once } from 'node:events';
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls';

const atATime = 8;
const [, , port, count, kind] = process.argv;
const options: ConnectionOptions = { port: Number(port), host: '127.0.0.1', rejectUnauthorized: false };

/** Resolves with a session to resume. A server of TLS 1.3 sends it after the handshake, and some allow each to be used once. */
async function sessionOf(socket: TLSSocket): Promise<Buffer> {
  const [session] = await once(socket, 'session');
  return session as Buffer;
}

/** @param session to resume; undefined for a full handshake @returns the session to resume next */
async function handshake(session?: Buffer): Promise<Buffer | undefined> {
  const socket = connect({ ...options, ...(session && { session }) });
  const next = kind === 'resumed' ? sessionOf(socket) : undefined;
  await once(socket, 'secureConnect');
  if (socket.isSessionReused() !== (session !== undefined))
    throw new Error(`the session was ${session === undefined ? '' : 'not '}resumed`);
  socket.resume();
  const result = await next;
  socket.on('error', () => {}); // the server may still be sending when it learns of the end
  socket.end();
  await once(socket, 'close');
  return result;
}

let left = Number(count);
await Promise.all(
  Array.from({ length: atATime }, async () => {
    let session = kind === 'resumed' ? await handshake() : undefined;
    while (left-- > 0) session = await handshake(session);
  }),
);
