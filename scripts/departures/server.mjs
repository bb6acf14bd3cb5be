// The server of scripts/departures.mjs: a handler for each kind of connection, and raw TCP. Says what it holds and has spent when asked.
import process from 'node:process';
import { Channel, listen, serve, sleep, stream } from '../../dist/index.js';

const local = { port: 0, hostname: '127.0.0.1' };
const never = new Channel(1);

const handlers = {
  '/idle': () => new Response('x'),
  '/': () => new Response('x'),
  '/stream': () =>
    stream(function* (out) {
      yield* out.write('x');
      yield* never.receive();
    }),
  '/sleep': function* () {
    yield* sleep(3_600_000);
    return new Response('x');
  },
  '/async': (request) =>
    new Promise((resolve) => request.signal.addEventListener('abort', () => resolve(new Response('x')))),
};

const timeouts = { headTimeout: 600_000, idleTimeout: 600_000 };
const http = await serve({
  ...local,
  ...timeouts,
  fetch: (request) => handlers[new URL(request.url).pathname](request),
});
const tcp = await listen(local, function* ({ reader, writer }) {
  yield* writer.write('x');
  while ((yield* reader.read()) !== undefined);
});
process.on('message', () => {
  const { user, system } = process.cpuUsage();
  const open = http.connections.total + tcp.connections.total;
  process.send({ open, user: user / 1000, system: system / 1000 });
});
process.send({ http: http.port, tcp: tcp.port });
