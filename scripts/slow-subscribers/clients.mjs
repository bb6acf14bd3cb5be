// The clients of slow-subscribers.mjs: they read event streams and measure how old each message is, or read nothing.
import { connect as connectSocket } from 'node:net';
import { connect, run } from '../../dist/index.js';

const port = Number(process.argv[2]);
const request = `GET / HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n\r\n`;
const time = Buffer.from('"at":');
const later = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

let delays = [];
let connected = 0;

function* read() {
  const { reader, writer } = yield* connect({ hostname: '127.0.0.1', port });
  yield* writer.write(request);
  connected++;
  for (let bytes; (bytes = yield* reader.read()) !== undefined; ) {
    const piece = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    const now = performance.timeOrigin + performance.now();
    for (let at = piece.indexOf(time); at !== -1; at = piece.indexOf(time, at + 1))
      delays.push(now - Number.parseFloat(piece.latin1Slice(at + time.length, at + time.length + 20)));
  }
}

async function open(count) {
  const all = connected + count;
  for (let i = 1; i <= count; i++) {
    run(read).catch((error) => console.error(error));
    while (i % 200 === 0 && connected < all - count + i - 100) await later(5);
  }
  while (connected < all) await later(5);
}

/** Sockets that are never read. */
async function openLazy(count) {
  for (let i = 0; i < count; i++) {
    const socket = connectSocket({ port, host: '127.0.0.1' }).pause();
    socket.on('error', () => {}); // the topic may disconnect it
    await new Promise((resolve) => socket.write(request, resolve));
  }
}

process.on('message', async (question) => {
  if (question === 'forget') delays = [];
  else if (question === 'delays') {
    process.send(delays);
    return;
  } else if ('lazy' in question) await openLazy(question.lazy);
  else await open(question.readers);
  process.send('done');
});
process.send('ready');
