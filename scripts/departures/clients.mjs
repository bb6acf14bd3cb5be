// The clients of scripts/departures.mjs: `clients.mjs PORT KIND NUMBER ADDRESS` opens the connections, says so, and closes all of them
// on a message that says how.
import { connect } from 'node:net';
import process from 'node:process';

const [port, kind, number, localAddress] = process.argv.slice(2);
const atATime = 200;
const sockets = [];

/** Resolves when the server has the connection in the state that is wanted. */
function open() {
  return new Promise((resolve, reject) => {
    const socket = connect({ port: Number(port), host: '127.0.0.1', localAddress });
    sockets.push(socket);
    socket.once('error', reject);
    socket.once('data', resolve);
    socket.once('connect', () => {
      if (kind === 'head') socket.write('GET / HTTP/1.1\r\nhost:', resolve);
      else if (kind === 'sleep' || kind === 'async') socket.write(`GET /${kind} HTTP/1.1\r\nhost: x\r\n\r\n`, resolve);
      else if (kind !== 'tcp') socket.write(`GET /${kind} HTTP/1.1\r\nhost: x\r\n\r\n`);
    });
  });
}

for (let left = Number(number); left > 0; left -= atATime)
  await Promise.all(Array.from({ length: Math.min(left, atATime) }, open));
process.on('message', (way) => {
  for (const socket of sockets) {
    socket.on('error', () => {});
    if (way === 'rst') socket.resetAndDestroy();
    else socket.destroy();
  }
});
process.send('ready');
