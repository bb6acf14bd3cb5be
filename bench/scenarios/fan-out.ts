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
    ? { rounds: 3, least: 3, group: 5, streams: 2000, messages: 2 }
    : { rounds: 24, least: 8, group: 1, streams: 10_000, messages: 4 };

/**
 * Waits for a moment in which no message is on its way: one that is cut in two would count for its time and not for its number.
 * @param awaitOne one must have come before it
 */
async function betweenMessages(crowd: Crowd, awaitOne: boolean): Promise<void> {
  const count = async () => (await crowd.report()).reduce((sum, { messages }) => sum + messages, 0);
  let before = await count();
  let moved = !awaitOne;
  for (let i = 0; i < 2 * (interval / glance); i++) {
    await wait(glance);
    const now = await count();
    if (now === before && moved) return;
    moved ||= now !== before;
    before = now;
  }
}

/** How long a server goes on when all its streams are there, in milliseconds. */
const settle = 600;

/** How long nothing must arrive, in milliseconds. */
const glance = 20;

export const fanOut: Scenario = {
  name: 'fan-out',
  title: 'Fan-out',
  text:
    `A timer in the server makes a message every ${interval} ms and gives it to every event stream. The delay of a message is ` +
    'counted from when it was made to when a client of the crowd has read it; a round of messages leaves at once, so half of it ' +
    'is the time that the whole round takes, and the crowd reads on a core of its own. Servers that are not being measured are stopped.',
  wrk: false,
  settings(quick) {
    const { rounds, least, streams, messages } = size(quick);
    return `${roundsText(rounds, least)} of ${messages} messages to ${streams} streams`;
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
    const { rounds, least, group, streams, messages } = size(context.quick);
    const variant: Variant = {
      ...{ name: 'streams', server: { handler: 'stream', interval } },
      crowd: { kind: 'stream', clients: streams },
    };
    const prepare = async ({ server, crowd }: Subject): Promise<Figures> => {
      const empty = server.memory();
      await crowd.open('stream', streams);
      await wait(settle); // the first messages to all; and the compilers
      return { memory: (server.memory() - empty) / 1024 / streams };
    };
    const measure = async (ready: Ready): Promise<Figures> => {
      const { server, crowd } = ready.subject(variant.name);
      server.thaw();
      // What its timer has missed comes first.
      await betweenMessages(crowd, true);
      await crowd.reset();
      const before = { server: server.cpu(), crowd: crowd.cpu(), time: performance.now() };
      await wait(messages * interval);
      await betweenMessages(crowd, false);
      const reports = await crowd.report();
      const took = (performance.now() - before.time) / 1000;
      const cpu = server.cpu() - before.server;
      const crowdCpu = crowd.cpu() - before.crowd;
      server.freeze();
      const received = reports.reduce((sum, report) => sum + report.messages, 0);
      if (received === 0) throw new Error('no message has arrived');
      const delays = reports.flatMap((report) => report.delays).sort((a, b) => a[0] - b[0]);
      return {
        cpu: (cpu * 1e6) / received,
        messages: received,
        'crowd itself': (crowdCpu * 1000) / took,
        // A round of messages more or less may fall into the time.
        delivered: Math.min(1, (received * interval) / (streams * took * 1000)) * 100,
        p50: percentile(delays, 0.5) / 1000,
        p99: percentile(delays, 0.99) / 1000,
      };
    };
    return inGroups(context, {
      ...{ table: 'streams', rounds, least, group, variants: [variant], prepare, measure },
      keys: ['cpu'],
      silence: ({ server }) => server.freeze(),
      seconds: { ready: 1 + streams / 3000, round: 0.3 + (messages * interval) / 1000 },
    });
  },
};
