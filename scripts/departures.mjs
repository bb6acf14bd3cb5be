// What it costs when very many connections end at the same moment, and how long another client waits meanwhile. Prints a table: for
// each event layer, kind of connection and way to leave, the server's CPU time and the longest answer time of one fast client.
//
//   node scripts/departures.mjs                                  everything, 1,000 to 15,000 connections; some 20 minutes
//   node scripts/departures.mjs --short                          a few seconds for each layer; fails if the cost is not linear
//   node scripts/departures.mjs --layers uring,epoll --kinds idle,tcp --ways kill --sizes 4000,8000
//
// Kinds: idle (kept alive), head (half of a request head), stream (a streamed response), sleep (a thread that sleeps), async (a
// promise that waits for the request's signal), tcp (`listen`). Ways: fin, rst, kill (their process is killed).
//
// The clients have a process of their own, as has the server: each of them may have 20,000 descriptors on common systems.
import { fork } from 'node:child_process';
import { connect } from 'node:net';
import { parseArgs } from 'node:util';

const { values } = parseArgs({
  options: {
    layers: { type: 'string', default: 'uring,epoll,portable' },
    kinds: { type: 'string', default: 'idle,head,stream,sleep,async,tcp' },
    ways: { type: 'string', default: 'fin,rst,kill' },
    sizes: { type: 'string', default: '1000,4000,8000,12000,15000' },
    short: { type: 'boolean', default: false },
  },
});
if (values.short) Object.assign(values, { kinds: 'idle,sleep', ways: 'kill', sizes: '500,4000' });
const list = (text) => text.split(',');

/** Of the short form: how much more a connection may cost among 4,000 than among 500. Quadratic cost is 8. */
const most = 3;

const later = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
const answer = (child) => new Promise((resolve) => child.once('message', resolve));

function start(file, parameters, env = {}) {
  const child = fork(new URL(`departures/${file}`, import.meta.url), parameters, { env: { ...process.env, ...env } });
  child.on('error', (error) => {
    throw error;
  });
  return child;
}

function ask(child, question) {
  const answered = answer(child);
  child.send(question);
  return answered;
}

/** A client that sends the next request when it has the answer, and notes the longest time between the two. */
class Probe {
  longest = 0;
  #socket;
  #isOver = false;

  constructor(port) {
    this.#socket = connect(port, '127.0.0.1');
    this.#socket.setNoDelay(true);
    this.#socket.on('error', (error) => {
      if (!this.#isOver) throw error;
    });
    void this.#go();
  }

  async #go() {
    while (!this.#isOver) {
      const start = performance.now();
      const answered = new Promise((resolve) => this.#socket.once('data', resolve));
      this.#socket.write('GET / HTTP/1.1\r\nhost: probe\r\n\r\n');
      await answered;
      this.longest = Math.max(this.longest, performance.now() - start);
      await later(1);
    }
  }

  stop() {
    this.#isOver = true;
    this.#socket.destroy();
  }
}

let run = 0;

async function measure(server, ports, kind, way, size) {
  // Each run has an address of its own: the ports of connections that have ended are not free at once.
  const address = `127.0.1.${(run++ % 250) + 1}`;
  const clients = start('clients.mjs', [String(kind === 'tcp' ? ports.tcp : ports.http), kind, String(size), address]);
  await answer(clients);
  const probe = new Probe(ports.http);
  await later(300);
  const before = await ask(server, 'state');
  probe.longest = 0;
  const began = performance.now();
  if (way === 'kill') clients.kill('SIGKILL');
  else clients.send(way);
  let after;
  do {
    await later(5);
    after = await ask(server, 'state');
  } while (after.open > 1 && performance.now() - began < 60_000);
  const gone = performance.now() - began;
  await later(50);
  const { longest } = probe;
  probe.stop();
  if (way !== 'kill') clients.kill('SIGKILL');
  if (after.open > 1) throw new Error(`${after.open} connections have not gone after a minute`);
  while ((await ask(server, 'state')).open > 0) await later(5);
  return { user: after.user - before.user, system: after.system - before.system, gone, longest };
}

const columns = [
  ['layer', 9],
  ['kind', 7],
  ['way', 5],
  ['number', 7],
  ['user ms', 8],
  ['kernel ms', 10],
  ['µs each', 8],
  ['gone after ms', 14],
  ['longest wait ms', 16],
];
const line = (cells) => cells.map((cell, i) => String(cell).padStart(columns[i][1])).join(' ');
console.log(line(columns.map(([name]) => name)));

let failed = false;
for (const layer of list(values.layers)) {
  const server = start('server.mjs', [], { SLUICE_EVENT_LAYER: layer });
  const ports = await answer(server);
  await measure(server, ports, 'idle', 'fin', 500); // compiled by then
  for (const kind of list(values.kinds))
    for (const way of list(values.ways)) {
      const costs = [];
      for (const size of list(values.sizes).map(Number)) {
        const { user, system, gone, longest } = await measure(server, ports, kind, way, size);
        const each = ((user + system) * 1000) / size;
        costs.push(each);
        const figures = [user, system, each, gone, longest].map((figure) => figure.toFixed(1));
        console.log(line([layer, kind, way, size, ...figures]));
      }
      if (values.short && costs[1] > most * costs[0]) {
        console.error(`${layer}, ${kind}: ${costs[1].toFixed(1)} µs each among many, ${costs[0].toFixed(1)} among few`);
        failed = true;
      }
    }
  server.kill();
}
process.exit(failed ? 1 : 0);
