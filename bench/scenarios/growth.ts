// Scenario 5: whether a request costs more when there are idle connections.

import { warmUp } from '../load/warm-up.js';
import type { Scenario } from '../scenario.js';
import type { Column } from '../table.js';
import { type Figures, fastClients, inGroups, type Ready, type Variant } from './crowded.js';
import { roundsText } from './enough.js';

/** The tables name all; a quick run leaves out some. */
const counts = [0, 1000, 5000, 15_000];
const size = (quick: boolean) =>
  quick
    ? { generations: 1, rounds: 6, least: 6, group: 9, seconds: 0.08, measured: [0, 5000] }
    : { generations: 2, rounds: 50, least: 12, group: 1, seconds: 0.1, measured: counts };

export const growth: Scenario = {
  name: 'growth',
  title: 'Idle connections beside a load',
  text:
    `${fastClients} fast clients, beside more and more connections on which one request has been answered, and nothing happens any more. For each number there is a server of ` +
    'its own, and all of a peer are measured one after the other in every round. The last column is the last figure divided by the first.',
  wrk: true,
  settings(quick) {
    const { seconds, ...rounds } = size(quick);
    return `${roundsText(rounds)} of ${seconds} s`;
  },
  tables: [
    {
      name: 'idle',
      title: 'CPU for a request, by the number of idle connections',
      columns: [
        ...counts.map(
          (count): Column => ({
            ...{ key: `cpu ${count}`, title: `${count} idle`, unit: 'µs', digits: 2 },
            ...{
              ratio: true,
              cost: 'CPU for a request or a message',
              chart: `CPU for a request, ${count} idle connections`,
            },
          }),
        ),
        { key: 'growth', title: 'growth', digits: 2 },
      ],
    },
  ],

  blocks(context) {
    const { seconds, measured, ...rounds } = size(context.quick);
    const variants = measured.map(
      (clients): Variant => ({
        name: String(clients),
        server: clients === 0 && context.quick ? 'shared' : { handler: 'hello' },
        ...(clients > 0 && { crowd: { kind: 'kept', clients } }),
      }),
    );
    const measure = async (ready: Ready): Promise<Figures> => {
      const figures: Figures = {};
      for (const { name } of variants) figures[`cpu ${name}`] = (await ready.fast(ready.subject(name), seconds)).cpu;
      const cpuAt = (count: number | undefined) => figures[`cpu ${count}`] ?? Number.NaN;
      figures.growth = cpuAt(measured.at(-1)) / cpuAt(measured[0]);
      return figures;
    };
    return inGroups(context, {
      ...{ table: 'idle', ...rounds, variants, measure },
      keys: variants.map(({ name }) => `cpu ${name}`),
      async prepare({ variant, crowd }) {
        if (variant.crowd !== undefined) await crowd.open(variant.crowd.kind, variant.crowd.clients);
        return {};
      },
      async warm({ variant, server }) {
        if (variant.server !== 'shared') await warmUp(server, fastClients, context.quick); // a shared one is warm
      },
      seconds: { ready: (context.quick ? 1.5 : 3) * measured.length, round: (seconds + 0.02) * measured.length },
    });
  },
};
