// Scenario 6: one message to very many event streams.

import { percentile } from '../crowd/histogram.js';
import type { Crowd } from '../load/crowd.js';
import { wait } from '../processes.js';
import type { Scenario } from '../scenario.js';
import { type Figures, inGroups, type Ready, type Subject, type Variant } from './crowded.js';
import { roundsText } from './enough.js';

const interval = 200;
const size = (quick: boolean) =>
  quick
    ? { generations: 1, rounds: 3, least: 3, group: 5, streams: 2000, messages: 2 }
    : { generations: 2, rounds: 12, least: 4, group: 1, streams: 10_000, messages: 4 };

/**
 * Waits until so many messages have come to all streams, or nearly, since it was last counted anew. It is always the same number that is
 * measured, from the end of one message to that of another: one that is cut in two would count for its time and not for its number, and of
 * a server that has more to do than time, those that it was slow with would count alone if it were a time.
 * @throws {Error} if they have not come within 2 s each
 */
async function messagesToAll(crowd: Crowd, messages: number, streams: number): Promise<void> {
  const enough = (messages - nearlyAll) * streams;
  const deadline = performance.now() + messages * patience;
  for (;;) {
    const received = (await crowd.report()).reduce((sum, report) => sum + report.messages, 0);
    if (received >= enough) return;
    if (performance.now() > deadline)
      throw new Error(
        `${received} of ${messages * streams} messages have come within ${(messages * patience) / 1000} s`,
      );
    await wait(glance);
  }
}

/** What is missing of a message that counts as having come to all: there may be stragglers. */
const nearlyAll = 0.01;

/** How long a message may take to come to all, in milliseconds. */
const patience = 2000;

/** How long a server goes on when all its streams are there, in milliseconds. */
const settle = 600;

/** How often is looked whether they have come, in milliseconds. */
const glance = 10;

export const fanOut: Scenario = {
  name: 'fan-out',
  title: 'Fan-out',
  text:
    `When all event streams are there, a timer in the server makes a message every ${interval} ms and gives it to each. The delay of a message is ` +
    'counted from when it was made to when a client of the crowd has read it; a round of messages leaves at once, so half of it ' +
    'is the time that the whole round takes, and the crowd reads on a core of its own. Servers that are not being measured are stopped.',
  wrk: false,
  settings(quick) {
    const { streams, messages, ...rounds } = size(quick);
    return `${roundsText(rounds)} of ${messages} messages to ${streams} streams`;
  },
  tables: [
    {
      name: 'streams',
      title: 'Messages to event streams',
      columns: [
        {
          key: 'cpu',
          title: 'CPU for a message',
          unit: 'µs',
          digits: 2,
          ratio: true,
          chart: true,
          cost: 'CPU for a request or a message',
        },
        { key: 'delivered', title: 'delivered', unit: '%', digits: 0 },
        { key: 'p50', title: 'delay p50', unit: 'ms', digits: 1 },
        { key: 'p99', title: 'p99', unit: 'ms', digits: 1, chart: 'delay p99' },
        { key: 'crowd itself', title: "the crowd's own CPU", unit: 'ms/s', digits: 0 },
        { key: 'memory', title: 'memory of a stream', unit: 'KiB', digits: 1, chart: true },
      ],
    },
  ],

  blocks(context) {
    const { streams, messages, ...rounds } = size(context.quick);
    const variant: Variant = {
      ...{ name: 'streams', server: { handler: 'stream', interval } },
      crowd: { kind: 'stream', clients: streams },
    };
    const prepare = async ({ server, crowd }: Subject): Promise<Figures> => {
      const empty = server.memory();
      await crowd.open('stream', streams);
      server.publish();
      await wait(settle); // the first messages to all; and the compilers
      return { memory: (server.memory() - empty) / 1024 / streams };
    };
    const measure = async (ready: Ready): Promise<Figures> => {
      const { server, crowd } = ready.subject(variant.name);
      server.thaw();
      // What its timer has missed comes first.
      await crowd.reset();
      await messagesToAll(crowd, 1, streams);
      await crowd.reset();
      const before = { server: server.cpu(), crowd: crowd.cpu(), time: performance.now() };
      await messagesToAll(crowd, messages, streams);
      const reports = await crowd.report();
      const took = (performance.now() - before.time) / 1000;
      const cpu = server.cpu() - before.server;
      const crowdCpu = crowd.cpu() - before.crowd;
      server.freeze();
      const received = reports.reduce((sum, report) => sum + report.messages, 0);
      const delays = reports.flatMap((report) => report.delays).sort((a, b) => a[0] - b[0]);
      return {
        cpu: (cpu * 1e6) / received,
        messages: received,
        'crowd itself': (crowdCpu * 1000) / took,
        // It is looked at every so often, so it may come to a little more than all.
        delivered: Math.min(1, (received * interval) / (streams * took * 1000)) * 100,
        p50: percentile(delays, 0.5) / 1000,
        p99: percentile(delays, 0.99) / 1000,
      };
    };
    return inGroups(context, {
      ...{ table: 'streams', ...rounds, variants: [variant], prepare, measure },
      keys: ['cpu'],
      silence: ({ server }) => server.freeze(),
      seconds: { ready: 1 + streams / 3000, round: 0.1 + ((messages + 1) * interval) / 1000 },
    });
  },
};
