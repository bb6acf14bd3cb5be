// Scenario 5: whether a request costs more when there are idle connections.

import type { Scenario } from '../scenario.js';
import { fastClients, sessions } from './crowded.js';

const counts = [0, 1000, 5000, 15_000];
const size = (quick: boolean) => (quick ? { rounds: 1, seconds: 1 } : { rounds: 3, seconds: 3 });

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
          ...{ ratio: true, chart: true, cost: true },
        })),
        { key: 'growth', title: 'growth', digits: 2 },
      ],
    },
  ],

  steps(context) {
    const { rounds, seconds } = size(context.quick);
    const plan = {
      ...{ table: 'idle', rounds, server: { handler: 'hello' } as const },
      seconds: 1 + counts.length * (seconds + 0.1) + 2.5,
    };
    return sessions(context, plan, async ({ crowd, figures, fast }) => {
      await fast(1); // to warm up
      let open = 0;
      for (const count of counts) {
        await crowd.open('idle', count - open);
        open = count;
        figures[`cpu ${count}`] = (await fast(seconds)).cpu;
      }
      figures.growth = (figures[`cpu ${open}`] ?? Number.NaN) / (figures['cpu 0'] ?? Number.NaN);
    });
  },
};
