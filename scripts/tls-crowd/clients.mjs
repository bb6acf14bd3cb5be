// Clients of one server. Each is a thread that connects over TLS, has a request answered, and waits for orders. Arguments: the port, and the version of TLS.
import { Channel, connect, run, Semaphore, sleep } from '../../dist/index.js';

const [, , port, version] = process.argv;
const options = { port: Number(port), hostname: '127.0.0.1', tls: { rejectUnauthorized: false, maxVersion: version } };
const request = 'GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n';
/** An address on loopback has 28,000 ports, and closed connections keep theirs for a minute. */
const perAddress = 4000;
/** How many may be connecting at a time, but for a storm. */
const gate = new Semaphore(200);
let made = 0;
/** The orders of each client. */
const clients = [];
/** Ends what `probe` does. */
let isStopped = false;

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

function* open() {
  const connection = yield* connect({ ...options, localAddress: nextAddress() });
  yield* exchange(connection);
  return connection;
}

/** A client. The connection of a thread ends with it. @param opened is called when its first request has been answered */
function* client(orders, opened) {
  yield* gate.acquire();
  let connection;
  try {
    connection = yield* open();
  } finally {
    gate.release();
  }
  opened();
  for (;;) {
    const { kind, milliseconds, done } = yield* orders.receive();
    if (kind === 'ask') {
      yield* sleep(Math.random() * milliseconds);
      done([yield* exchange(connection)]);
    } else if (kind === 'probe') {
      const delays = [];
      for (const until = performance.now() + milliseconds; !isStopped && performance.now() < until; ) {
        delays.push(yield* exchange(connection));
        yield* sleep(10);
      }
      done(delays);
    } else {
      connection.reset();
      connection = yield* open();
      done([]);
    }
  }
}

/** Why clients have ended, and how many. */
const failures = {};
let failed = 0;
let whenFailed = () => {};

function start(orders, opened) {
  run(() => client(orders, opened)).catch((error) => {
    failed++;
    failures[error.message] = (failures[error.message] ?? 0) + 1;
    whenFailed();
  });
}

/** Has each client do something, and waits for all that live. */
function all(count, give) {
  return new Promise((resolve) => {
    const delays = [];
    let left = count - (give === undefined ? 0 : failed);
    const done = (own = []) => {
      for (const delay of own) delays.push(delay);
      if (--left === 0) resolve({ failed, failures, delays });
    };
    whenFailed = done;
    if (give !== undefined) for (const orders of clients) give(orders, done);
    else for (const orders of clients.slice(-count)) start(orders, done);
  });
}

function order(kind, milliseconds) {
  return all(clients.length, (orders, done) => void orders.trySend({ kind, milliseconds, done }));
}

const orders = {
  open(count) {
    for (let i = 0; i < count; i++) clients.push(new Channel(1));
    return all(count);
  },
  ask: (milliseconds) => order('ask', milliseconds),
  probe(milliseconds) {
    isStopped = false;
    return order('probe', milliseconds);
  },
  /** All at once. */
  reconnect: () => order('reconnect', 0),
};

process.on('message', async (message) => {
  if (message === 'stop') {
    isStopped = true;
    return;
  }
  const [name, value] = typeof message === 'string' ? [message] : Object.entries(message)[0];
  process.send(await orders[name](value));
});
process.on('disconnect', () => process.exit());
process.send('ready');
