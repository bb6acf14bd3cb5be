// What very many idle TLS connections cost, and what happens when all of them reconnect at once.
//
//   node scripts/tls-crowd.mjs                              100,000 connections to 6 servers; some five minutes
//   node scripts/tls-crowd.mjs --connections 20000 --storm  20,000, which then reconnect at once
//   node scripts/tls-crowd.mjs --connections 4000 --layer epoll
//
// Each server has a process, and so have each server's clients: a process may have 20,000 descriptors on common systems. The clients are threads on
// sluice's own connect(). Each has one request answered after its handshake. Then all of them send one more within a minute. Prints a table of memory:
// resident memory of the servers (without the program), and what the kernel holds (sockets' buffers and slabs, of both ends).
import { fork, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

const { values } = parseArgs({
  options: {
    connections: { type: 'string', default: '100000' },
    'per-server': { type: 'string', default: '16700' },
    layer: { type: 'string', default: '' },
    version: { type: 'string', default: 'TLSv1.3' },
    minute: { type: 'string', default: '60' },
    storm: { type: 'boolean', default: false },
  },
});
const connections = Number(values.connections);
const perServer = Number(values['per-server']);

function start(file, parameters) {
  const env = values.layer === '' ? process.env : { ...process.env, SLUICE_EVENT_LAYER: values.layer };
  const child = fork(new URL(`tls-crowd/${file}`, import.meta.url), parameters, { env, execArgv: ['--expose-gc'] });
  child.once('exit', (code, signal) => {
    if (signal === 'SIGTERM') return;
    console.error(`${file} has ended with ${signal ?? code}`);
    process.exit(1);
  });
  return child;
}

function ask(child, question) {
  return new Promise((resolve) => {
    child.once('message', resolve);
    if (question !== undefined) child.send(question);
  });
}

const wait = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
const sum = (numbers) => numbers.reduce((total, number) => total + number, 0);
const megabytes = (bytes) => (bytes / 2 ** 20).toFixed(1).padStart(9);

/** Bytes that the kernel holds for sockets: slabs, and buffers of TCP (a page is 4 KiB). */
function kernelMemory() {
  const slab = Number(/^Slab:\s*(\d+) kB/m.exec(readFileSync('/proc/meminfo', 'utf8'))[1]) * 1024;
  const buffers = Number(/^TCP: .* mem (\d+)/m.exec(readFileSync('/proc/net/sockstat', 'utf8'))[1]) * 4096;
  return slab + buffers;
}

async function serversMemory(servers) {
  return sum(await Promise.all(servers.map((server) => ask(server, 'memory'))));
}

/** Seconds of CPU, user and system. */
async function serversCpu(servers) {
  return sum(await Promise.all(servers.map((server) => ask(server, 'cpu'))));
}

function percentiles(delays) {
  const sorted = delays.flat().sort((a, b) => a - b);
  const at = (share) => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))]?.toFixed(1);
  return `p50 ${at(0.5)} ms, p99 ${at(0.99)} ms, longest ${at(1)} ms`;
}

const folder = mkdtempSync(join(tmpdir(), 'tls-crowd-'));
const files = { key: join(folder, 'key.pem'), cert: join(folder, 'cert.pem') };
process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', files.key];
const made = spawnSync('openssl', ['req', '-x509', '-days', '2', ...key, '-subj', '/CN=localhost', '-out', files.cert]);
if (made.status !== 0) {
  console.error(`openssl req fails: ${made.error?.message ?? made.stderr}`);
  process.exit(1);
}

const count = Math.ceil(connections / perServer);
const each = Math.ceil(connections / count);
const servers = Array.from({ length: count }, () => start('server.mjs', [files.key, files.cert, values.version]));
const ready = await Promise.all(servers.map((server) => ask(server)));
const clients = ready.map(({ port }) => start('clients.mjs', [String(port), values.version]));
await Promise.all(clients.map((child) => ask(child)));
console.log(`${count} server processes on ${ready[0].eventLayer}, ${values.version}, ${each} connections to each\n`);

// Programs and heaps grow before anything is measured.
const early = Math.min(2000, Math.floor(each / 5));
await Promise.all(clients.map((child) => ask(child, { open: early })));
await wait(1000);
const before = { count: early * count, memory: await serversMemory(servers), kernel: kernelMemory() };
const cpuBefore = await serversCpu(servers);
const began = performance.now();
const opened = await Promise.all(clients.map((child) => ask(child, { open: each - early })));
const seconds = (performance.now() - began) / 1000;
const handshakes = (each - early) * count;
const handshakeCpu = (((await serversCpu(servers)) - cpuBefore) * 1e6) / handshakes;
await wait(2000);
const after = { count: each * count, memory: await serversMemory(servers), kernel: kernelMemory() };

console.log('| connections | servers, MiB | kernel, MiB |\n| ----------: | -----------: | ----------: |');
for (const row of [before, after])
  console.log(
    `| ${String(row.count).padStart(11)} | ${megabytes(row.memory).padStart(12)} | ${megabytes(row.kernel).padStart(11)} |`,
  );
const more = after.count - before.count;
console.log(
  `\nfor each connection: ${((after.memory - before.memory) / more).toFixed(0)} B in the server, ${((after.kernel - before.kernel) / more).toFixed(0)} B in the kernel (both ends)`,
);
console.log(
  `${handshakes} handshakes with a request in ${seconds.toFixed(1)} s, ${handshakeCpu.toFixed(0)} µs of the servers' CPU each`,
);
if (sum(opened.map(({ failed }) => failed)) > 0)
  throw new Error(`connections failed: ${JSON.stringify(opened.map(({ failures }) => failures))}`);

const asked = await Promise.all(clients.map((child) => ask(child, { ask: Number(values.minute) * 1000 })));
console.log(`one request of each within ${values.minute} s: ${percentiles(asked.map(({ delays }) => delays))}`);
if (sum(asked.map(({ failed }) => failed)) > 0)
  throw new Error(`requests failed: ${JSON.stringify(asked.map(({ failures }) => failures))}`);

if (values.storm) {
  const probes = start('clients.mjs', [String(ready[0].port), values.version]);
  await ask(probes);
  await ask(probes, { open: 16 });
  const quiet = await ask(probes, { probe: 2000 });
  console.log(`16 connected clients, one request after the other, before: ${percentiles([quiet.delays])}`);
  const probing = ask(probes, { probe: 600_000 });
  const stormed = performance.now();
  const back = await Promise.all(clients.map((child) => ask(child, 'reconnect')));
  const took = (performance.now() - stormed) / 1000;
  probes.send('stop');
  const { delays } = await probing;
  console.log(
    `all reconnect at once: back after ${took.toFixed(1)} s; the connected ones meanwhile: ${percentiles([delays])}`,
  );
  if (sum(back.map(({ failed }) => failed)) > 0)
    throw new Error(`clients did not come back: ${JSON.stringify(back.map(({ failures }) => failures))}`);
  probes.kill();
}
for (const child of [...clients, ...servers]) child.kill();
