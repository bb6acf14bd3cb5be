// Clients of one server. Each connects over TLS, has a request answered, and waits. Arguments: the port, and the version of TLS.
import { connect, run, Semaphore, sleep } from '../../dist/index.js';

const [, , port, version] = process.argv;
const options = { port: Number(port), hostname: '127.0.0.1', tls: { rejectUnauthorized: false, maxVersion: version } };
const request = 'GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n';
/** An address on loopback has 28,000 ports, and closed connections keep theirs for a minute. */
const perAddress = 4000;
/** How many may be connecting at a time, but for a storm. */
const gate = new Semaphore(200);
let made = 0;
const clients = [];

function* exchange({ reader, writer }) {
  const began = performance.now();
  yield* writer.write(request);
  const head = new TextDecoder().decode(yield* reader.readUntil('\r\n\r\n', 4096));
  if (!head.startsWith('HTTP/1.1 200')) throw new Error(head);
  yield* reader.readExactly(Number(/content-length: (\d+)/i.exec(head)[1]));
  return performance.now() - began;
}

function nextAddress() {
  const number = Math.floor(made++ / perAddress);
  return `127.${2 + (process.pid % 200)}.${1 + Math.floor(number / 250)}.${1 + (number % 250)}`;
}

function* open(client) {
  client.connection = yield* connect({ ...options, localAddress: nextAddress() });
  yield* exchange(client.connection);
}

/** Runs a task for each, and counts those that fail. */
async function forEach(list, task) {
  const failures = {};
  let failed = 0;
  const delays = [];
  await Promise.all(
    list.map((client) =>
      run(() => task(client)).then(
        (delay) => delays.push(delay),
        (error) => {
          failed++;
          failures[error.message] = (failures[error.message] ?? 0) + 1;
        },
      ),
    ),
  );
  return { failed, failures, delays };
}

const orders = {
  async open(count) {
    const fresh = Array.from({ length: count }, () => ({ connection: undefined }));
    clients.push(...fresh);
    return forEach(fresh, function* (client) {
      yield* gate.acquire();
      try {
        yield* open(client);
      } finally {
        gate.release();
      }
    });
  },
  ask: (milliseconds) =>
    forEach(clients, function* ({ connection }) {
      yield* sleep(Math.random() * milliseconds);
      return yield* exchange(connection);
    }),
  async probe(milliseconds) {
    stopped = false;
    const delays = [];
    const until = performance.now() + milliseconds;
    await forEach(clients, function* ({ connection }) {
      while (!stopped && performance.now() < until) {
        delays.push(yield* exchange(connection));
        yield* sleep(10);
      }
    });
    return { failed: 0, delays };
  },
  /** All at once. */
  reconnect() {
    for (const { connection } of clients) connection.reset();
    return forEach(clients, open);
  },
};

let stopped = false;
process.on('message', async (order) => {
  if (order === 'stop') {
    stopped = true;
    return;
  }
  const [name, value] = typeof order === 'string' ? [order] : Object.entries(order)[0];
  process.send(await orders[name](value));
});
process.send('ready');
