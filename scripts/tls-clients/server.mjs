// The servers that the clients are tried on: one process with one event layer. Argument: the folder with the certificates. Sends the ports, then answers
// questions: what it holds, and `close` of one server. On SIGTERM it closes all of them, as the command does.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { events, Response, serve, sleep, stream, webSocket } from '../../dist/index.js';
import { memory } from '../memory.mjs';

const folder = process.argv[2];
const file = (name) => join(folder, name);
const certificate = (name) => ({ key: file(`${name}-key.pem`), cert: file(`${name}.pem`) });

function* words(out) {
  for (const word of ['one ', 'two ', 'three\n']) {
    yield* out.write(word);
    yield* out.flush();
    yield* sleep(10);
  }
}

function* threeEvents(client) {
  for (let id = 1; id <= 3; id++) yield* client.send({ id, data: `event ${id}` });
  yield* sleep(60_000);
}

function* echo(socket) {
  for (;;) {
    const message = yield* socket.receive();
    if (message === undefined) return;
    yield* socket.send(message);
  }
}

async function lengthOf(request) {
  const bytes = await request.bytes();
  let sum = 0;
  for (const byte of bytes) sum = (sum + byte) % 65_521;
  return new Response(`${bytes.length} bytes, sum ${sum}\n`);
}

function show(request, { peer, tls }) {
  const { peerCertificate, ...rest } = tls;
  return Response.json({ method: request.method, peer, ...rest, client: peerCertificate?.subject });
}

function fetch(request, info) {
  switch (new URL(request.url).pathname) {
    case '/page':
      return new Response(readFileSync(new URL('page.html', import.meta.url)), {
        headers: { 'content-type': 'text/html' },
      });
    case '/length':
      return lengthOf(request);
    case '/mebibyte':
      return new Response(new Uint8Array(2 ** 20).fill(97));
    case '/stream':
      return stream(words);
    case '/events':
      return events(request, threeEvents);
    case '/echo':
      return webSocket(request, echo);
    default:
      return show(request, info);
  }
}

const ca = file('ca.pem');
const servers = {
  // What people get who give a key and a certificate.
  plain: { tls: certificate('local') },
  // For testssl.sh: signed by itself.
  alone: { tls: certificate('alone') },
  // For cipher suites that need RSA; dhparam for DHE.
  both: {
    tls: {
      key: [file('local-key.pem'), file('rsa-key.pem')],
      cert: [file('local.pem'), file('rsa.pem')],
      dhparam: 'auto',
    },
  },
  names: { tls: [certificate('local'), certificate('one'), certificate('two')] },
  required: { tls: { ...certificate('local'), ca, requestCert: true } },
  requested: { tls: { ...certificate('local'), ca, requestCert: true, rejectUnauthorized: false } },
  attached: { tls: { ...certificate('local'), detached: false } },
  hasty: { tls: { ...certificate('local'), handshakeTimeout: 1000 } },
  crowded: { tls: certificate('local'), idleTimeout: 600_000 },
};
const running = {};
const errors = [];
for (const [name, options] of Object.entries(servers)) {
  running[name] = await serve({
    port: 0,
    hostname: '127.0.0.1',
    globals: false,
    maxConnectionsPerAddress: 20_000,
    backlog: 4096,
    onError: (error) => errors.push(String(error?.stack ?? error)),
    fetch,
    ...options,
  });
}

const wait = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

const answers = {
  /** Connections, descriptors, errors of `onError`. */
  held: () => ({
    connections: Object.values(running).reduce((total, server) => total + server.connections.total, 0),
    descriptors: readdirSync('/proc/self/fd').length,
    errors,
  }),
  memory,
  cpu: () => process.cpuUsage(),
  async close(name) {
    const began = performance.now();
    await running[name].close();
    return performance.now() - began;
  },
};

process.on('message', async ({ id, question, about }) => {
  process.send({ id, answer: await answers[question](about) });
});
process.once('disconnect', () => process.exit(1)); // the script has ended
process.once('SIGTERM', async () => {
  await Promise.all(Object.values(running).map((server) => server.close()));
  await wait(0);
  process.exit(0);
});
process.send({
  ports: Object.fromEntries(Object.entries(running).map(([name, { port }]) => [name, port])),
  eventLayer: running.plain.eventLayer,
});
