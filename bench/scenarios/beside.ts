// Scenarios 3 and 4: fast clients alone, then beside a crowd that is slow to send or slow to read.

import type { Kind } from '../crowd/protocol.js';
import type { Server, ServerOptions } from '../load/server.js';
import { wait } from '../processes.js';
import type { Scenario } from '../scenario.js';
import type { Table } from '../table.js';
import { fastClients, sessions } from './crowded.js';

interface Size {
  rounds: number;
  clients: number;
  /** How long each load lasts. */
  seconds: number;
  /** How long the crowd is left alone, first to settle and then to see what it costs by itself. */
  alone: number;
}

const tables: Table[] = [
  {
    name: 'fast',
    title: `CPU with ${fastClients} fast clients, without and with the slow ones`,
    columns: [
      { key: 'cpu without', title: 'a request, without', unit: 'µs', digits: 2, ratio: true, cost: true },
      {
        ...{ key: 'cpu with', title: 'a request, with', unit: 'µs', digits: 2, ratio: true, cost: true },
        chart: 'CPU for a request of the fast clients, beside the slow ones',
      },
      { key: 'crowd', title: 'slow ones alone', unit: 'ms/s', digits: 0 },
      {
        key: 'memory',
        title: 'memory of a slow one',
        unit: 'KiB',
        digits: 1,
        chart: 'memory of the server for each slow client',
      },
    ],
  },
  {
    name: 'delay',
    samples: 'fast',
    title: 'Throughput and delay of the fast clients, without and with the slow ones',
    columns: [
      { key: 'throughput without', title: 'requests a second, without', digits: 0 },
      { key: 'throughput with', title: 'with', digits: 0 },
      { key: 'p50 without', title: 'p50 without', unit: 'µs', digits: 0 },
      { key: 'p50 with', title: 'with', unit: 'µs', digits: 0 },
      { key: 'p99 without', title: 'p99 without', unit: 'µs', digits: 0 },
      { key: 'p99 with', title: 'with', unit: 'µs', digits: 0, chart: 'p99 of the fast clients, beside the slow ones' },
      { key: 'crowd itself', title: "the crowd's own CPU", unit: 'ms/s', digits: 0 },
    ],
  },
];

/** Waits until the kernel has taken what it takes of the floods, and the server has nothing to do. */
async function quiet(server: Server): Promise<void> {
  for (let i = 0; i < patience / 250; i++) {
    const before = server.cpu();
    await wait(250);
    if (server.cpu() - before < 0.025) return;
  }
}

/** How long that may take, in milliseconds. */
const patience = 5000;

function beside(
  what: { name: string; title: string; text: string; kind: Kind; handler: ServerOptions['handler'] },
  size: (quick: boolean) => Size,
): Scenario {
  const { name, title, text, kind, handler } = what;
  return {
    name,
    title,
    text:
      `${text} CPU for a request is all CPU of the server, for the slow clients too, divided by the requests of the ` +
      `${fastClients} fast ones; what the slow ones cost by themselves is measured while there are no others.`,
    wrk: true,
    settings(quick) {
      const { rounds, clients, seconds } = size(quick);
      return `${rounds} ${rounds === 1 ? 'round' : 'rounds'}, ${clients} slow clients, ${seconds} s`;
    },
    tables,

    steps(context) {
      const { rounds, clients, seconds, alone } = size(context.quick);
      const plan = {
        ...{ table: 'fast', rounds, server: { handler }, fast: true },
        seconds: seconds * 2 + 1 + alone * 2 + clients / 4000 + 0.6,
      };
      return sessions(context, plan, async ({ server, crowd, figures, fast }) => {
        const without = await fast(seconds);
        await server.collect();
        const memory = server.memory();
        await crowd.open(kind, clients);
        await wait(alone * 1000);
        if (kind === 'sip') await quiet(server);
        const before = { server: server.cpu(), crowd: crowd.cpu(), time: performance.now() };
        await wait(alone * 1000);
        const took = (performance.now() - before.time) / 1000;
        figures.crowd = ((server.cpu() - before.server) * 1000) / took;
        figures['crowd itself'] = ((crowd.cpu() - before.crowd) * 1000) / took;
        await server.collect();
        figures.memory = (server.memory() - memory) / 1024 / clients;
        const beside = await fast(seconds);
        for (const key of ['cpu', 'throughput', 'p50', 'p99'] as const) {
          figures[`${key} without`] = without[key];
          figures[`${key} with`] = beside[key];
        }
      });
    },
  };
}

export const slow = beside(
  {
    ...{ name: 'slow', title: 'Slow senders', kind: 'drip', handler: 'hello' },
    text: 'Each slow client sends a request head at one byte a second, again and again.',
  },
  (quick) =>
    quick
      ? { rounds: 1, clients: 4000, seconds: 0.9, alone: 0.5 }
      : { rounds: 3, clients: 15_000, seconds: 5, alone: 3 },
);

export const flood = beside(
  {
    ...{ name: 'flood', title: 'Slow readers', kind: 'sip', handler: 'flood' },
    text: 'Each slow client asks for 4 MiB, which the server makes in pieces of 16 KiB, and reads 4 KiB a second.',
  },
  (quick) =>
    quick ? { rounds: 1, clients: 300, seconds: 0.9, alone: 0.5 } : { rounds: 3, clients: 1000, seconds: 5, alone: 3 },
);
