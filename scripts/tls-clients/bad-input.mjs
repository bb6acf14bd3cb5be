// What is no TLS, what stalls, drips, is too large, or leaves in the middle; and the end of a server with many idle clients.
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import net from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import tls from 'node:tls';
import { fileURLToPath } from 'node:url';
import { expect, Program, run } from './program.mjs';

/** The beginning of a record with a ClientHello, of which the rest does not come. */
const beginning = Buffer.from([22, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3, ...new Array(40).fill(7)]);
const idleClients = fileURLToPath(new URL('idle_clients.py', import.meta.url));

/** Sends bytes without TLS. @returns what comes back until the server closes, and after how many milliseconds */
async function raw(port, bytes) {
  const began = performance.now();
  const socket = net.connect(port, '127.0.0.1');
  socket.on('error', () => {}); // a reset is an end as well
  socket.write(bytes);
  let answer = Buffer.alloc(0);
  socket.on('data', (piece) => {
    answer = Buffer.concat([answer, piece]);
  });
  const timer = setTimeout(() => socket.destroy(new Error('still open')), 10_000);
  await new Promise((resolve) => socket.once('close', resolve));
  clearTimeout(timer);
  if (performance.now() - began > 9_900) throw new Error('the connection is still open after 10 s');
  return { answer, time: performance.now() - began };
}

function connect(port, options = {}) {
  return new Promise((resolve, reject) => {
    const socket = tls.connect({ port, host: '127.0.0.1', servername: 'localhost', ...options });
    socket.once('error', reject);
    socket.once('secureConnect', () => resolve(socket));
  });
}

/** @returns how long a request on a connection of its own takes, in milliseconds */
async function timeOfRequest(port, options) {
  const began = performance.now();
  const socket = await connect(port, options);
  socket.end('GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n');
  let text = '';
  for await (const piece of socket) text += piece;
  expect(text, /200 OK/);
  return performance.now() - began;
}

/** Waits until the servers have no connection. @throws after 5 s */
async function untilEmpty(ask) {
  for (let i = 0; i < 100; i++) {
    const { connections } = await ask('held');
    if (connections === 0) return;
    await sleep(50);
  }
  throw new Error(`${JSON.stringify(await ask('held'))} are still open`);
}

/** Does `use(i)` for each number below `count`, some at a time. */
async function each(count, atOnce, use) {
  let next = 0;
  const worker = async () => {
    while (next < count) await use(next++);
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
}

function alertIn(answer) {
  if (answer[0] !== 21) return answer.length === 0 ? 'closed' : `${answer.length} bytes`;
  return `alert ${answer[6]}`;
}

async function drip({ ports, ca }) {
  const count = 1000;
  const began = performance.now();
  let open = count;
  const sockets = Array.from({ length: count }, () => {
    const socket = net.connect(ports.hasty, '127.0.0.1');
    socket.on('error', () => {}).on('close', () => open--);
    socket.resume();
    return socket;
  });
  let longest = 0;
  for (let at = 0; open > 0 && performance.now() - began < 10_000; at++) {
    for (const socket of sockets) if (!socket.destroyed) socket.write(beginning.subarray(at, at + 1));
    longest = Math.max(longest, await timeOfRequest(ports.plain, { ca }));
    await sleep(50);
  }
  const time = performance.now() - began;
  for (const socket of sockets) socket.destroy();
  if (time > 9000) throw new Error(`${open} of ${count} are still open after ${time.toFixed(0)} ms`);
  if (longest > 1500) throw new Error(`a request of another client took ${longest.toFixed(0)} ms`);
  return `all ended after ${time.toFixed(0)} ms; requests of others ${longest.toFixed(0)} ms at most`;
}

async function huge({ ports }) {
  // A ClientHello that claims 16 MiB, in records of 16 KiB.
  const record = Buffer.concat([Buffer.from([22, 3, 1, 0x40, 0]), Buffer.alloc(2 ** 14)]);
  const first = Buffer.from(record);
  first.set([1, 0xff, 0xff, 0xff, 3, 3], 5);
  const { answer, time } = await raw(ports.plain, Buffer.concat([first, ...new Array(63).fill(record)]));
  return `${alertIn(answer)}, after ${time.toFixed(0)} ms`;
}

async function resets({ ports, ca, ask }) {
  const hello = await helloBytes();
  await each(300, 20, async (i) => {
    const socket = net.connect(ports.plain, '127.0.0.1');
    socket.on('error', () => {});
    await once(socket, 'connect');
    socket.write(i % 3 === 0 ? hello.subarray(0, 100) : hello);
    if (i % 3 === 2) await once(socket, 'data'); // the server's flight
    socket.resetAndDestroy();
  });
  await each(300, 20, async (i) => {
    const below = net.connect(ports.plain, '127.0.0.1');
    const socket = await connect(ports.plain, { ca, socket: below, maxVersion: i % 2 ? 'TLSv1.2' : 'TLSv1.3' });
    socket.on('error', () => {});
    if (i % 3 === 1) socket.write('GET /mebibyte HTTP/1.1\r\nhost: localhost\r\n\r\n');
    if (i % 3 === 2) {
      socket.write('GET /mebibyte HTTP/1.1\r\nhost: localhost\r\n\r\n');
      await once(socket, 'data');
    }
    below.resetAndDestroy();
  });
  await untilEmpty(ask);
  return '600 resets, no connection left';
}

/** The ClientHello of node:tls. */
async function helloBytes() {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const client = tls.connect({ port: server.address().port, host: '127.0.0.1', servername: 'localhost' });
  client.on('error', () => {});
  const [socket] = await once(server, 'connection');
  const [bytes] = await once(socket, 'data');
  client.destroy();
  server.close();
  return bytes;
}

/** Milliseconds: on a quiet machine it takes a tenth. */
const longestClose = 2000;

/** Ends the server with many idle clients. @param end ends it and returns after how many milliseconds */
async function endWithIdleClients({ folder }, port, version, count, end) {
  const clients = new Program('python3', [idleClients, port, join(folder, 'ca.pem'), version, count], {
    timeout: 60_000,
  });
  for (let i = 0; i < 4 && !/^ready/m.test(clients.output); i++) await clients.sees(/^ready/m).catch(() => {});
  const time = await end();
  await clients.ended;
  const [, outcome] = expect(clients.output, /^ended (.*)$/m);
  if (time > longestClose) throw new Error(`it took ${time.toFixed(0)} ms`);
  if (!outcome.startsWith(`{'close_notify': ${count}}`)) throw new Error(outcome);
  return `${time.toFixed(0)} ms; ${count} close_notify`;
}

/** Memory after handshakes that have ended. */
async function memoryAfter({ ports, ca, ask }, count) {
  const one = async (i) => {
    const socket = await connect(ports.plain, { ca, maxVersion: i % 4 === 0 ? 'TLSv1.2' : 'TLSv1.3' });
    socket.on('error', () => {});
    if (i % 2 === 0) {
      socket.write('GET / HTTP/1.1\r\nhost: localhost\r\n\r\n');
      await once(socket, 'data');
    }
    if (i % 5 === 0) socket.destroy();
    else socket.end();
    socket.resume();
    await once(socket, 'close');
  };
  await each(5000, 64, one); // programs and heaps grow before anything is measured
  await untilEmpty(ask);
  await sleep(1000);
  const before = { memory: await ask('memory'), ...(await ask('held')) };
  await each(count, 64, one);
  await untilEmpty(ask);
  await sleep(1000);
  const after = { memory: await ask('memory'), ...(await ask('held')) };
  const grown = (after.memory - before.memory) / 2 ** 20;
  const descriptors = after.descriptors - before.descriptors;
  // A session that is kept would be 10 MiB with 1 KiB. V8's heap grows by some MiB for as many connections without TLS, too.
  if (grown > 8 || descriptors > 2) throw new Error(`${grown.toFixed(1)} MiB and ${descriptors} descriptors more`);
  return `${grown.toFixed(1)} MiB more, ${descriptors} descriptors more`;
}

/** @returns the checks. The last one ends the servers */
export function badInputChecks(world, { memory, isShort }) {
  const { ports, folder, ask, stop } = world;
  const idle = isShort ? 300 : 1000;
  world.ca = readFileSync(join(folder, 'ca.pem'));
  const checks = [];
  const check = (what, test) => checks.push({ client: 'bad input', what, test });
  check('HTTP without TLS', async () => {
    const text = await run('curl', ['-sS', '-i', '--max-time', '5', `http://127.0.0.1:${ports.plain}/`]);
    expect(text, /^HTTP\/1\.1 400 Bad Request/);
    return expect(text, /This port speaks HTTPS.*/)[0];
  });
  check('garbage', async () => {
    const seen = [];
    for (const bytes of [
      'garbage, and more of it\r\n',
      '\0\0\0\0\0\0\0\0',
      Buffer.alloc(100_000, 0xff),
      'SSH-2.0-x\r\n',
    ])
      seen.push(alertIn((await raw(ports.plain, bytes)).answer));
    return seen.join(', ');
  });
  check('half a ClientHello, handshakeTimeout of 1 s', async () => {
    const { time } = await raw(ports.hasty, beginning);
    if (time < 900 || time > 3000) throw new Error(`ended after ${time.toFixed(0)} ms`);
    return `ended after ${time.toFixed(0)} ms`;
  });
  check('nothing at all, handshakeTimeout of 1 s', async () => {
    const { time } = await raw(ports.hasty, '');
    if (time < 900 || time > 3000) throw new Error(`ended after ${time.toFixed(0)} ms`);
    return `ended after ${time.toFixed(0)} ms`;
  });
  check('1,000 connections that drip a ClientHello', () => drip(world));
  check('a ClientHello of 16 MiB', () => huge(world));
  check('resets in the handshake and after it', () => resets(world));
  if (memory) check('memory after 10,000 handshakes', () => memoryAfter(world, 10_000));
  check('descriptors and errors', async () => {
    await untilEmpty(ask);
    const { descriptors, errors } = await ask('held');
    if (errors.length > 0) throw new Error(`onError: ${errors[0]}`);
    return `${descriptors} descriptors, no error reported`;
  });
  check(`close() with ${idle} idle clients, TLSv1.3`, () =>
    endWithIdleClients(world, ports.crowded, 'TLSv1.3', idle, () => ask('close', 'crowded')),
  );
  check(`SIGTERM with ${idle} idle clients, TLSv1.2`, () =>
    endWithIdleClients(world, ports.plain, 'TLSv1.2', idle, async () => {
      const began = performance.now();
      const [code] = await stop();
      if (code !== 0) throw new Error(`the process ends with ${code}`);
      return performance.now() - began;
    }),
  );
  return checks;
}
