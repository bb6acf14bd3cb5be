// What clients that read nothing do to the other subscribers of a topic. For each policy there are two servers, with a topic each and as many event streams
// that follow it. Of one of them, some of the clients read nothing. Both publish in turn, and the clients that read measure the delay of each message.
//
//   node scripts/slow-subscribers.mjs                             10,000 subscribers, of which 100 read nothing; some five minutes
//   node scripts/slow-subscribers.mjs --subscribers 1000 --policies dropOldest --rounds 3
//
// Prints a table. Fails if the p99 of the delays differs by more than a fifth, if the memory exceeds the bound of the policy, or if a client is not treated as the
// policy says. Under `park` the publisher waits for the slow ones until `writeTimeout` resets them; the delays are those from then on. Servers and clients have a process each: each of them may have 20,000 descriptors on common systems.
import { fork } from 'node:child_process';
import { parseArgs } from 'node:util';

const { values } = parseArgs({
  options: {
    subscribers: { type: 'string', default: '10000' },
    lazy: { type: 'string', default: '100' },
    policies: { type: 'string', default: 'dropOldest,dropNewest,latest,disconnect,park' },
    rounds: { type: 'string', default: '25' },
    messages: { type: 'string', default: '2' },
    interval: { type: 'string', default: '400' },
    layer: { type: 'string', default: '' },
  },
});
const number = (name) => Number(values[name]);
const policies = values.policies.split(',');
const mostRatio = 1.2;
/** Bytes that a server queues for one client, and how many messages wait for it besides: see server.mjs. */
const queued = 64 * 1024;
const maxWaiting = 64;
/** Bytes of the messages that flood the clients that read nothing. */
const filling = 16 * 1024;
/** The `writeTimeout` of the servers under `park`, and of the others, in milliseconds. */
const parkTimeout = 5000;
const longTimeout = 300_000;
/** Clients that read from the beginning. */
const first = 20;

const later = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

class Child {
  #process;

  constructor(file, parameters) {
    const env = values.layer === '' ? process.env : { ...process.env, SLUICE_EVENT_LAYER: values.layer };
    const options = { env, execArgv: ['--expose-gc'] };
    this.#process = fork(new URL(`slow-subscribers/${file}`, import.meta.url), parameters, options);
  }

  answer() {
    return new Promise((resolve) => this.#process.once('message', resolve));
  }

  ask(question) {
    const answered = this.answer();
    this.#process.send(question);
    return answered;
  }

  end() {
    this.#process.kill();
  }
}

/** A server with its clients. */
class Pair {
  /** The delays of each round. */
  rounds = [];

  static async open(policy, readers, lazy) {
    const pair = new Pair();
    pair.server = new Child('server.mjs', [
      policy,
      String(maxWaiting),
      String(policy === 'park' ? parkTimeout : longTimeout),
    ]);
    const { port } = await pair.server.answer();
    pair.clients = new Child('clients.mjs', [String(port)]);
    await pair.clients.answer();
    await pair.clients.ask({ readers: first });
    await pair.server.ask({ publish: 300, interval: 2, size: filling }); // the heap and the program grow before anything is measured
    const before = await pair.server.ask('state');
    if (lazy > 0) {
      await pair.clients.ask({ lazy });
      await later(500);
      pair.alone = await pair.server.ask({ flood: filling, lazy, readers: first });
      pair.held = (await pair.server.ask('state')).memory - before.memory;
      if (policy === 'park') pair.behind = await pair.server.ask('publish behind');
    }
    await pair.clients.ask({ readers: readers - first });
    await later(1000);
    return pair;
  }

  async round(messages, interval) {
    await this.clients.ask('forget');
    await this.server.ask({ publish: messages, interval, size: 150 });
    await later(500);
    const delays = await this.clients.ask('delays');
    this.rounds.push(delays.sort((a, b) => a - b));
  }

  /** Of each round. */
  percentiles(part) {
    return this.rounds.map((delays) => delays[Math.floor(delays.length * part)] ?? 0);
  }

  get count() {
    return this.rounds.reduce((sum, { length }) => sum + length, 0);
  }

  end() {
    this.clients.end();
    this.server.end();
  }
}

const median = (all) => [...all].sort((a, b) => a - b)[Math.floor(all.length / 2)];

/** How the policy has treated the lazy ones, and what speaks against it. */
function judge(policy, { alone, held, behind }, last, lazy, sent) {
  const faults = [];
  const { published, dropped, disconnected, subscribers } = last;
  if (policy === 'disconnect') {
    if (disconnected !== lazy || dropped !== 0) faults.push(`${disconnected} of ${lazy} were disconnected`);
    if (subscribers !== sent.readers) faults.push(`${subscribers} subscribers are left of ${sent.readers}`);
  } else if (policy === 'park') {
    if (disconnected !== 0 || dropped !== 0) faults.push(`${disconnected} were disconnected, ${dropped} dropped`);
    if (alone.subscribers !== first + lazy)
      faults.push(`the publisher waited for ${alone.subscribers - first} of ${lazy}`);
    if (behind.waited > 2 * parkTimeout + 1000) faults.push(`the publisher waited for ${behind.waited} ms`);
    if (subscribers !== sent.readers) faults.push(`${subscribers} subscribers are left of ${sent.readers}`);
  } else {
    if (disconnected !== 0) faults.push(`${disconnected} were disconnected`);
    const since = published - alone.published;
    if (dropped - alone.dropped !== since * lazy)
      faults.push(`${dropped - alone.dropped} were dropped of ${since} for each of ${lazy}`);
  }
  // The queues of the connections, which keep room of up to twice as much, and the messages that wait, with their frames: the newest are the same for all. Those
  // of `dropNewest` are the oldest, and all clients were flooded within a few messages.
  // What `disconnect` has given back may stay with the process's allocator.
  const bound = lazy * 2 * (queued + filling) + 4 * maxWaiting * filling;
  const slack = 4 * 1024 * 1024;
  if (held > bound + slack) faults.push(`${held} bytes are held, of ${bound}`);
  return { faults, bound };
}

const table = [];
const allFaults = [];
for (const policy of policies) {
  const lazy = number('lazy');
  const readers = number('subscribers') - lazy;
  const beside = await Pair.open(policy, readers, lazy);
  const without = await Pair.open(policy, readers + lazy, 0);
  for (const pair of [beside, without]) await pair.round(5, number('interval')); // compilers
  for (const pair of [beside, without]) pair.rounds.length = 0;
  for (let round = 0; round < number('rounds'); round++) {
    const order = round % 2 === 0 ? [beside, without] : [without, beside];
    for (const pair of order) await pair.round(number('messages'), number('interval'));
  }
  const last = await beside.server.ask('state');
  const [p99, p99Without] = [beside.percentiles(0.99), without.percentiles(0.99)];
  const ratio = median(p99.map((delay, round) => delay / p99Without[round])); // what else the machine does changes from second to second
  const { faults, bound } = judge(policy, beside, last, lazy, { readers });
  const expected = number('rounds') * number('messages');
  if (beside.count !== expected * readers)
    faults.push(`${beside.count} of ${expected * readers} messages have arrived`);
  if (without.count !== expected * (readers + lazy)) faults.push('not all messages have arrived without lazy clients');
  if (ratio > mostRatio) faults.push(`p99 is ${ratio.toFixed(2)} of that without lazy clients`);
  table.push({
    policy,
    layer: last.layer,
    'p50, ms': median(beside.percentiles(0.5)).toFixed(1),
    'p99, ms': median(p99).toFixed(1),
    'p99 without': median(p99Without).toFixed(1),
    'p99 ratio': ratio.toFixed(3),
    'held for lazy, MiB': (beside.held / 2 ** 20).toFixed(1),
    'bound, MiB': (bound / 2 ** 20).toFixed(1),
    'publisher waited, s': ((beside.behind?.waited ?? 0) / 1000).toFixed(1),
    dropped: last.dropped,
    disconnected: last.disconnected,
  });
  for (const fault of faults) allFaults.push(`${policy}: ${fault}`);
  for (const pair of [beside, without]) pair.end();
}
console.table(table);
for (const fault of allFaults) console.error(fault);
process.exit(allFaults.length > 0 ? 1 : 0);
