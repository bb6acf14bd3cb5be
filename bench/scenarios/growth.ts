// Scenario 5: whether a request costs more when there are idle connections.

import type { Scenario } from '../scenario.js';
import { fastClients, sessions } from './crowded.js';

/** The tables name all; a quick run leaves out some. */
const counts = [0, 1000, 5000, 15_000];
const size = (quick: boolean) =>
  quick ? { rounds: 1, seconds: 0.9, left: [1000, 5000] as number[] } : { rounds: 3, seconds: 3, left: [] as number[] };

export const growth: Scenario = {
  name: 'growth',
  title: 'Idle connections beside a load',
  text:
    `${fastClients} fast clients, beside more and more connections on which nothing happens. The last column is the last figure ` +
    'divided by the first, within a server.',
  wrk: true,
  settings(quick) {
    const { rounds, seconds } = size(quick);
    return `${rounds} ${rounds === 1 ? 'round' : 'rounds'} of ${seconds} s`;
  },
  tables: [
    {
      name: 'idle',
      title: 'CPU for a request, by the number of idle connections',
      columns: [
        ...counts.map((count) => ({
          ...{ key: `cpu ${count}`, title: `${count} idle`, unit: 'µs', digits: 2 },
          ...{ ratio: true, cost: true, chart: `CPU for a request, ${count} idle connections` },
        })),
        { key: 'growth', title: 'growth', digits: 2 },
      ],
    },
  ],

  steps(context) {
    const { rounds, seconds, left } = size(context.quick);
    const measured = counts.filter((count) => !left.includes(count));
    const plan = {
      ...{ table: 'idle', rounds, server: { handler: 'hello' } as const, fast: true },
      seconds: measured.length * (seconds + 1) + 2.5,
    };
    return sessions(context, plan, async ({ server, crowd, figures, fast }) => {
      let open = 0;
      for (const count of measured) {
        await crowd.open('idle', count - open);
        open = count;
        await server.collect(); // what accepting them has left behind
        figures[`cpu ${count}`] = (await fast(seconds)).cpu;
      }
      figures.growth = (figures[`cpu ${open}`] ?? Number.NaN) / (figures['cpu 0'] ?? Number.NaN);
    });
  },
};
