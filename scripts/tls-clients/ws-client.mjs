// A WebSocket over TLS by the package ws. Arguments: the port, the file of the authority, and the version of TLS.
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import WebSocket from 'ws';

const [, , port, ca, version] = process.argv;
const options = { ca: readFileSync(ca), minVersion: version, maxVersion: version };
const socket = new WebSocket(`wss://localhost:${port}/echo`, options);
await once(socket, 'open');
for (const message of ['hello', 'a'.repeat(2 ** 20)]) {
  socket.send(message);
  const [heard] = await once(socket, 'message');
  if (heard.toString() !== message) throw new Error(`heard ${heard.length} bytes`);
}
socket.close();
const [code] = await once(socket, 'close');
if (code !== 1005) throw new Error(`closed with ${code}`);
console.log('feature WebSocket');
