// Scenario 6: one message to very many event streams.

import { percentile } from '../crowd/histogram.js';
import type { Crowd } from '../load/crowd.js';
import { wait } from '../processes.js';
import type { Scenario } from '../scenario.js';
import { sessions } from './crowded.js';

const interval = 200;
const size = (quick: boolean) =>
  quick
    ? { rounds: 1, streams: 2000, seconds: 1.6, settle: 0.5 }
    : { rounds: 3, streams: 10_000, seconds: 10, settle: 2 };

/** Waits for a moment in which no message is on its way: one that is cut in two would count for its time and not for its number. */
async function betweenMessages(crowd: Crowd): Promise<void> {
  const count = async () => (await crowd.report()).reduce((sum, { messages }) => sum + messages, 0);
  let before = await count();
  let moved = false;
  for (let i = 0; i < 2 * (interval / glance); i++) {
    await wait(glance);
    const now = await count();
    if (now === before && moved) return;
    moved = now !== before;
    before = now;
  }
}

/** How long nothing must arrive, in milliseconds. */
const glance = 20;

export const fanOut: Scenario = {
  name: 'fan-out',
  title: 'Fan-out',
  text:
    `A timer in the server makes a message every ${interval} ms and gives it to every event stream. The delay of a message is ` +
    'counted from when it was made to when a client of the crowd has read it; a round of messages leaves at once, so half of it ' +
    'is the time that the whole round takes, and the crowd reads on a core of its own.',
  wrk: false,
  settings(quick) {
    const { rounds, streams, seconds } = size(quick);
    return `${rounds} ${rounds === 1 ? 'round' : 'rounds'}, ${streams} streams, ${seconds} s`;
  },
  tables: [
    {
      name: 'streams',
      title: 'Messages to event streams',
      columns: [
        { key: 'cpu', title: 'CPU for a message', unit: 'µs', digits: 2, ratio: true, chart: true, cost: true },
        { key: 'delivered', title: 'delivered', unit: '%', digits: 0 },
        { key: 'p50', title: 'delay p50', unit: 'ms', digits: 1 },
        { key: 'p99', title: 'p99', unit: 'ms', digits: 1, chart: 'delay p99' },
        { key: 'crowd itself', title: "the crowd's own CPU", unit: 'ms/s', digits: 0 },
        { key: 'memory', title: 'memory of a stream', unit: 'KiB', digits: 1, chart: true },
      ],
    },
  ],

  steps(context) {
    const { rounds, streams, seconds, settle } = size(context.quick);
    const plan = {
      ...{ table: 'streams', rounds, server: { handler: 'stream', interval } as const, fast: false },
      seconds: seconds + settle + 0.5 + streams / 3000,
    };
    return sessions(context, plan, async ({ server, crowd, figures, problems }) => {
      const empty = server.memory();
      await crowd.open('stream', streams);
      await wait(settle * 1000);
      await betweenMessages(crowd);
      await crowd.reset();
      const before = server.cpu();
      const crowdBefore = crowd.cpu();
      const began = performance.now();
      await wait(seconds * 1000);
      await betweenMessages(crowd);
      const reports = await crowd.report();
      const took = (performance.now() - began) / 1000;
      const messages = reports.reduce((sum, report) => sum + report.messages, 0);
      const delays = reports.flatMap((report) => report.delays).sort((a, b) => a[0] - b[0]);
      const due = (streams * took * 1000) / interval;
      figures.cpu = ((server.cpu() - before) * 1e6) / messages;
      figures.messages = messages;
      figures['crowd itself'] = ((crowd.cpu() - crowdBefore) * 1000) / took;
      // A round of messages more or less may fall into the time.
      figures.delivered = Math.min(1, messages / due) * 100;
      figures.p50 = percentile(delays, 0.5) / 1000;
      figures.p99 = percentile(delays, 0.99) / 1000;
      figures.memory = (server.memory() - empty) / 1024 / streams;
      if (messages === 0) problems.push('no message has arrived');
    });
  },
};
