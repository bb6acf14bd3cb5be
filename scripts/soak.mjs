// A long load of every kind of client, and a check for leaks: `node scripts/soak.mjs --layer uring --seconds 600`, after a build.
//
// A server in a separate process gets clients of every kind (soak/clients.mjs), in rounds. Between two rounds all clients disconnect.
// Descriptors, slots, output, buffers, operations in flight, threads and memory must then be what they were after the first round,
// which warms the server up. Every response to a well-behaved client is compared to the byte. Exits with 1 if anything differs.
//
// Bounds on memory: after a collection the heap is exact except for caches, and may be 2 MiB larger. Resident memory is not exact: malloc
// is made to give back what it can, but pages that are partly in use remain, the more of them the higher the peak was. Growth of 15 MiB was
// seen; 32 are allowed. A leak shows nevertheless: a round has thousands of connections and rounds add up, so the report prints the
// growth for each connection.

import { fork } from 'node:child_process';
import { once } from 'node:events';
import { parseArgs } from 'node:util';

const { values } = parseArgs({
  options: { layer: { type: 'string', default: 'uring' }, seconds: { type: 'string', default: '600' } },
});
const seconds = Number(values.seconds);
if (!(seconds >= 10)) throw new Error(`--seconds is ${values.seconds}; expected 10 or more`);
const rounds = Math.max(3, Math.round(seconds / 60));
const heapMargin = 2 * 2 ** 20;
const residentMargin = 32 * 2 ** 20;
const kinds = ['fast', 'slow', 'flooding', 'vanishing', 'malformed', 'idle'];
/** Longer than any timeout of the server: a connection that is still there then stays. */
const patience = 40_000;

const failures = [];
const totals = new Map(kinds.map((kind) => [kind, { connections: 0, requests: 0, bytes: 0 }]));
const later = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
const mebibytes = (bytes) => (bytes / 2 ** 20).toFixed(1);

const server = fork(new URL('soak/server.mjs', import.meta.url), {
  // A young generation that is soon as large as it gets: else resident memory grows for minutes by what V8 makes of it.
  execArgv: ['--expose-gc', '--max-semi-space-size=2'],
  env: { ...process.env, SLUICE_EVENT_LAYER: values.layer },
});
const exit = once(server, 'exit');
exit.then(([code, signal]) => {
  if (code === 0) return;
  console.error(`the server has ended with ${code ?? signal}`);
  process.exit(1);
});

async function measure() {
  const answer = once(server, 'message');
  server.send('measure');
  return (await answer)[0];
}

/** What must be the same whenever there is no client. */
function holdings({ descriptors, threads, connections, streams, counts }) {
  const { slots, outboxes, buffers, inFlight, direct, listeners } = counts;
  return { connections, streams, slots, outboxes, buffers, inFlight, direct, listeners, descriptors, threads };
}

function differences(expected, found) {
  return Object.keys(expected)
    .filter((key) => expected[key] !== found[key])
    .map((key) => `${key}: ${found[key]} instead of ${expected[key]}`);
}

/** Waits until all clients are gone and the server holds what is expected, if that is known, or until the longest wait is over. */
async function quiet(expected) {
  const deadline = Date.now() + patience;
  for (;;) {
    await later(250);
    const found = await measure();
    const isQuiet = found.connections === 0 && found.workers === 0;
    if (isQuiet && (expected === undefined || differences(expected, holdings(found)).length === 0)) return found;
    if (Date.now() > deadline) return found;
  }
}

async function round(number, milliseconds) {
  const clients = kinds.map((kind, i) =>
    fork(new URL('soak/clients.mjs', import.meta.url), [kind, String(port), String(number * 1000 + i)]),
  );
  const reports = clients.map(async (client) => {
    const [message] = await Promise.race([once(client, 'message'), once(client, 'exit')]);
    return message;
  });
  await later(milliseconds);
  for (const client of clients) client.send('stop');
  for (const [i, awaited] of reports.entries()) {
    const late = later(patience).then(() => undefined);
    const report = await Promise.race([awaited, late]);
    if (typeof report !== 'object' || report === null) {
      failures.push(`round ${number}: the ${kinds[i]} clients have not come to an end`);
      clients[i].kill('SIGKILL');
      continue;
    }
    failures.push(...report.wrong.map((what) => `round ${number}: ${what}`));
    const total = totals.get(report.kind);
    for (const key of Object.keys(total)) total[key] += report[key];
  }
}

function line(name, { memory, counts, served, cpu }) {
  const { noBuffers = '-', full = '-', overflows = '-', shortSends = '-' } = counts;
  const figures = [served, mebibytes(memory.rss), mebibytes(memory.heap), mebibytes(memory.external)];
  const rare = [noBuffers, full, overflows, shortSends, ((cpu.user + cpu.system) / 1e6).toFixed(1)];
  console.log([name.padEnd(10), ...[...figures, ...rare].map((each) => String(each).padStart(10))].join(''));
}

const [first] = await once(server, 'message');
const { port } = first;
if (first.layer !== values.layer) failures.push(`the layer is ${first.layer}`);
console.log(`soak: ${values.layer}, ${seconds} s in ${rounds} rounds, node ${process.version}, pid ${server.pid}`);
const titles = ['served', 'rss MiB', 'heap MiB', 'ext MiB', 'noBuffers', 'full', 'overflows', 'short', 'cpu s'];
console.log(['after'.padEnd(10), ...titles.map((each) => each.padStart(10))].join(''));
line('start', first);

let warm;
let last;
for (let i = 0; i < rounds; i++) {
  await round(i, (seconds * 1000) / rounds);
  last = await quiet(warm && holdings(warm));
  line(i === 0 ? 'warm-up' : `round ${i}`, last);
  if (last.connections > 0) failures.push(`round ${i}: ${last.connections} connections are left`);
  if (warm === undefined) warm = last;
  else failures.push(...differences(holdings(warm), holdings(last)).map((each) => `round ${i}: ${each}`));
}

const connections = [...totals.values()].reduce((sum, each) => sum + each.connections, 0);
const grown = { heap: last.memory.heap - warm.memory.heap, rss: last.memory.rss - warm.memory.rss };
if (grown.heap > heapMargin) failures.push(`the heap has grown by ${mebibytes(grown.heap)} MiB`);
if (grown.rss > residentMargin) failures.push(`resident memory has grown by ${mebibytes(grown.rss)} MiB`);
for (const [error, times] of Object.entries(last.errors)) failures.push(`onError, ${times} times: ${error}`);
for (const [kind, { requests }] of totals)
  if (requests === 0 && kind !== 'vanishing') failures.push(`the ${kind} clients have done nothing`);

const closed = exit.then(([code]) => code);
server.send('close');
if ((await Promise.race([closed, later(patience)])) !== 0) {
  failures.push('the server has not ended by itself after close()');
  server.kill('SIGKILL');
}

console.log(`\nheld without clients: ${JSON.stringify(holdings(warm))}`);
for (const [kind, total] of totals)
  console.log(`${kind}: ${total.connections} connections, ${total.requests} answers, ${mebibytes(total.bytes)} MiB`);
const each = (bytes) => `${mebibytes(bytes)} MiB (${(bytes / connections).toFixed(1)} bytes for each connection)`;
console.log(`grown since the warm-up: heap ${each(grown.heap)}, resident ${each(grown.rss)}`);
if (failures.length > 0) {
  console.error(
    `\n${failures.length} failed:\n${failures
      .slice(0, 25)
      .map((failure) => `  ${failure.slice(0, 600)}`)
      .join('\n')}`,
  );
  process.exit(1);
}
console.log('all good');
process.exit(0); // clients that were given up on may still hold it
