// Scenarios with a crowd of slow clients. Not all peers can hold their crowds at the same time, so each is measured in a group with the
// floor (and, with `--against`, with the other build of itself), whose rounds are compared.

import { percentile } from '../crowd/histogram.js';
import type { Kind } from '../crowd/protocol.js';
import { Crowd } from '../load/crowd.js';
import { Server } from '../load/server.js';
import { workloads } from '../load/workloads.js';
import { Load, warmUp } from '../load/wrk.js';
import { againstSuffix, type Peer } from '../peers.js';
import { wait } from '../processes.js';
import { type Column, type Context, getReady, interleave, type Scenario } from './scenario.js';

const cpuColumn: Column = { key: 'cpu', title: 'CPU for a request', unit: 'µs', digits: 2, ratio: true, chart: true };

/** The floor with each of the others. Both builds of sluice are in one group. */
function groups(all: readonly Peer[]): Peer[][] {
  const peers = all.filter(({ services }) => services.includes('events'));
  const floor = peers.filter(({ isFloor }) => isFloor);
  const names = new Set(peers.filter(({ isFloor }) => !isFloor).map(({ name }) => name.replace(againstSuffix, '')));
  return [...names].map((name) => [...floor, ...peers.filter((peer) => peer.name.replace(againstSuffix, '') === name)]);
}

interface Crowded {
  server: Server;
  crowd: Crowd;
}

async function leave({ server, crowd }: Crowded): Promise<void> {
  await crowd.leave();
  await server.stop();
}

/** Fast clients beside slow ones. */
function beside(
  about: Pick<Scenario, 'name' | 'title' | 'text'>,
  kind: Kind,
  sizeOf: (quick: boolean) => { clients: number; rounds: number; seconds: number },
): Scenario {
  const fast = { workload: workloads.hello, connections: 64 };
  return {
    ...about,
    size(quick) {
      const { clients, rounds, seconds } = sizeOf(quick);
      return `${clients} slow clients, ${rounds} rounds of ${seconds} s`;
    },
    tables: [
      {
        name: 'beside',
        title: 'CPU for a request of 64 fast clients, with that of the slow ones',
        columns: [
          cpuColumn,
          { key: 'alone', title: 'slow ones alone', unit: 'ms/s', digits: 0 },
          { key: 'memory', title: 'memory of a slow one', unit: 'KiB', digits: 1 },
          { key: 'p50', title: 'p50', unit: 'µs', digits: 0 },
          { key: 'p99', title: 'p99', unit: 'µs', digits: 0 },
          { key: 'sentAway', title: 'closed by the server', digits: 0 },
        ],
      },
    ],
    async run(context) {
      const { clients, rounds, seconds } = sizeOf(context.quick);
      for (const [index, group] of groups(context.peers).entries()) {
        const ready = await getReady(context, group, async (peer) => {
          context.progress(`${about.name}: ${peer.title}`);
          const server = await Server.start(peer);
          const crowd = new Crowd(server);
          await warmUp(server, fast, context.quick);
          await server.collect();
          const before = server.memory();
          await crowd.open(kind, clients);
          await server.quiet();
          await server.collect();
          const memory = (server.memory() - before) / clients / 1024;
          return { server, crowd, memory, load: await Load.start(server, fast) };
        });
        const first = index * rounds;
        await interleave(context, 'beside', ready, { first, count: rounds }, ({ load }) =>
          load.window(seconds).then(({ cpu }) => ({ cpu })),
        );
        await interleave(context, 'beside', ready, { first: 1000 + index, count: 1 }, async (each, peer) => {
          const { server, crowd, memory, load } = each;
          const before = server.cpu();
          await wait(1000);
          const alone = (server.cpu() - before) * 1000;
          const { problems } = await load.end();
          const { p50, p99, problems: more } = await Load.delays(server, fast, 1);
          const sentAway = (await crowd.report()).reduce((sum, report) => sum + report.sentAway, 0);
          for (const problem of [...problems, ...more, ...(await crowd.problems())]) context.problem(peer, problem);
          return { alone, memory, p50, p99, sentAway };
        });
        await Promise.all(ready.map(({ what }) => leave(what)));
      }
    },
  };
}

const interval = 200;
/** A message counts as delivered when it has come to so many of all streams: some clients may be late. */
const nearlyAll = 0.99;
/** How long a message may take to come to all, in milliseconds. */
const messageLimit = 2000;

const fanOutSize = (quick: boolean) =>
  quick ? { streams: 2000, rounds: 3, messages: 3 } : { streams: 10_000, rounds: 8, messages: 5 };

const fanOut: Scenario = {
  name: 'fan-out',
  title: 'Fan-out',
  text:
    `A timer in the server makes a message every ${interval} ms and writes it to all event streams. CPU is that of one message to one stream; a ` +
    'delay counts from when the message was made to when a client has read it.',
  size(quick) {
    const { streams, rounds, messages } = fanOutSize(quick);
    return `${streams} streams, ${rounds} rounds of ${messages} messages`;
  },
  tables: [
    {
      name: 'fan-out',
      title: 'Messages to event streams',
      columns: [
        { ...cpuColumn, title: 'CPU for a message' },
        { key: 'p50', title: 'p50', unit: 'ms', digits: 1 },
        { key: 'p99', title: 'p99', unit: 'ms', digits: 1 },
      ],
    },
  ],
  async run(context) {
    const { streams, rounds, messages } = fanOutSize(context.quick);
    for (const [index, group] of groups(context.peers).entries()) {
      const ready = await getReady(context, group, async (peer) => {
        context.progress(`fan-out: ${peer.title}`);
        const server = await Server.start(peer, { interval });
        const crowd = new Crowd(server);
        await crowd.open('events', streams);
        server.publish();
        await delivered(crowd, 2 * streams);
        server.freeze();
        return { server, crowd };
      });
      await interleave(
        context,
        'fan-out',
        ready,
        { first: index * rounds, count: rounds },
        async ({ server, crowd }) => {
          server.thaw();
          await crowd.reset();
          await delivered(crowd, streams); // what its timer has missed comes first
          await crowd.reset();
          const before = server.cpu();
          await delivered(crowd, messages * streams);
          const cpu = server.cpu() - before;
          server.freeze();
          const reports = await crowd.report();
          const received = reports.reduce((sum, report) => sum + report.messages, 0);
          const delays = reports.flatMap((report) => report.delays).sort((a, b) => a[0] - b[0]);
          return {
            cpu: (cpu * 1e6) / received,
            p50: percentile(delays, 0.5) / 1000,
            p99: percentile(delays, 0.99) / 1000,
          };
        },
      );
      await report(context, ready);
      await Promise.all(ready.map(({ what }) => leave(what)));
    }
  },
};

async function report(context: Context, ready: readonly { peer: Peer; what: Crowded }[]): Promise<void> {
  for (const { peer, what } of ready) for (const problem of await what.crowd.problems()) context.problem(peer, problem);
}

/** Waits until so many messages, or nearly, have come. @throws {Error} if they take too long */
async function delivered(crowd: Crowd, messages: number): Promise<void> {
  const deadline = performance.now() + messageLimit * 5;
  for (;;) {
    const received = await crowd.messages();
    if (received >= messages * nearlyAll) return;
    if (performance.now() > deadline) throw new Error(`${received} of ${messages} messages came in time`);
    await wait(10);
  }
}

export const crowdScenarios: Scenario[] = [
  fanOut,
  beside(
    {
      name: 'slow-senders',
      title: 'Slow senders',
      text: 'Each slow client sends a request head at one byte a second, again and again.',
    },
    'drip',
    (quick) => (quick ? { clients: 3000, rounds: 6, seconds: 0.1 } : { clients: 10_000, rounds: 16, seconds: 0.15 }),
  ),
  beside(
    {
      name: 'slow-readers',
      title: 'Slow readers',
      text: 'Each slow client asks for 4 MiB, which the server makes in pieces of 16 KiB, and reads 4 KiB a second.',
    },
    'sip',
    (quick) => (quick ? { clients: 300, rounds: 6, seconds: 0.1 } : { clients: 1000, rounds: 16, seconds: 0.15 }),
  ),
];
