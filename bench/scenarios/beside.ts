// Scenarios 3 and 4: fast clients alone, then beside a crowd that is slow to send or slow to read.

import type { Kind } from '../crowd/protocol.js';
import type { ServerOptions } from '../load/server.js';
import { warmUp } from '../load/warm-up.js';
import { load } from '../load/wrk.js';
import { wait } from '../processes.js';
import type { Scenario } from '../scenario.js';
import type { Table } from '../table.js';
import { type Figures, fastClients, inGroups, type Ready, type Subject, type Variant } from './crowded.js';
import { type Rounds, roundsText } from './enough.js';

interface Size extends Rounds {
  /** Delays are looked at in the rounds whose number can be divided by it. */
  delayEvery: number;
  /** Peers that are there at the same time. */
  group: number;
  clients: number;
  /** How long a window lasts, and one in which delays are looked at. */
  seconds: number;
  delaySeconds: number;
  /** How long the crowd is left alone, to see what it costs by itself. */
  alone: number;
  /** Whether a server without a crowd is measured in every round, too. */
  compared: boolean;
  /** Whether it is looked at what the crowd costs in memory. After the garbage collections that this needs a server is to be warmed up anew. */
  weighed: boolean;
}

const tables: Table[] = [
  {
    name: 'fast',
    title: `CPU with ${fastClients} fast clients, without and with the slow ones`,
    columns: [
      {
        key: 'cpu without',
        title: 'a request, without',
        unit: 'µs',
        digits: 2,
        ratio: true,
        cost: 'CPU for a request or a message',
      },
      {
        ...{
          key: 'cpu with',
          title: 'a request, with',
          unit: 'µs',
          digits: 2,
          ratio: true,
          cost: 'CPU for a request or a message',
        },
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
      { key: 'throughput with', title: 'requests a second, with', digits: 0 },
      { key: 'p50 without', title: 'p50 without', unit: 'µs', digits: 0 },
      { key: 'p50 with', title: 'p50 with', unit: 'µs', digits: 0 },
      { key: 'p99 without', title: 'p99 without', unit: 'µs', digits: 0 },
      {
        key: 'p99 with',
        title: 'p99 with',
        unit: 'µs',
        digits: 0,
        chart: 'p99 of the fast clients, beside the slow ones',
      },
      { key: 'crowd itself', title: "the crowd's own CPU", unit: 'ms/s', digits: 0 },
      { key: 'sent away', title: 'sent away', digits: 0 },
    ],
  },
];

/** How long a crowd that goes on is left until it counts, in milliseconds. */
const settle = 50;

/** Opens the crowd, sees what its clients cost in memory and in CPU while there are no others, and has it pause. */
async function openCrowd({ variant, server, crowd }: Subject, { alone, weighed }: Size): Promise<Figures> {
  const figures: Figures = {};
  if (variant.crowd !== undefined) {
    const { kind, clients } = variant.crowd;
    if (weighed) {
      await load(server, { connections: fastClients, seconds: 0.2 }); // what it needs for any clients at all
      await server.collect();
    }
    const memory = server.memory();
    await crowd.open(kind, clients);
    if (kind === 'sip') await server.quiet(0.005); // the kernel takes what it takes of the floods
    const before = { server: server.cpu(), crowd: crowd.cpu(), time: performance.now() };
    await wait(alone * 1000);
    const took = (performance.now() - before.time) / 1000;
    figures.crowd = ((server.cpu() - before.server) * 1000) / took;
    figures['crowd itself'] = ((crowd.cpu() - before.crowd) * 1000) / took;
    await crowd.pause();
    if (weighed) {
      await server.collect();
      figures.memory = (server.memory() - memory) / 1024 / clients;
    }
  }
  return figures;
}

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
      `${fastClients} fast ones; what the slow ones cost by themselves is measured while there are no others. "Without" is another ` +
      'server of the same peer, measured in the same round; a quick run leaves it out.',
    wrk: true,
    settings(quick) {
      const { clients, seconds, ...rounds } = size(quick);
      return `${roundsText(rounds)} of ${seconds} s, ${clients} slow clients`;
    },
    tables,

    blocks(context) {
      const chosen = size(context.quick);
      const { generations, rounds, least, delayEvery, group, clients, seconds, delaySeconds, alone, compared } = chosen;
      const server: ServerOptions = { handler };
      const isShared = handler === 'hello'; // then the server that others are measured with will do
      const variants: Variant[] = compared
        ? [
            { name: 'with', server, crowd: { kind, clients } },
            { name: 'without', server: isShared ? 'shared' : server },
          ]
        : [{ name: 'with', server: isShared ? 'shared' : server, crowd: { kind, clients } }];

      const measure = async (ready: Ready, withDelays: boolean): Promise<Figures> => {
        const figures: Figures = {};
        const fast = async (name: string): Promise<void> => {
          const subject = ready.subject(name);
          const loaded: Figures = { ...(await ready.fast(subject, seconds)) };
          if (withDelays) Object.assign(loaded, await ready.delays(subject, delaySeconds));
          for (const [key, value] of Object.entries(loaded)) figures[`${key} ${name}`] = value;
        };
        if (compared) await fast('without');
        const { crowd } = ready.subject('with');
        await crowd.resume();
        await wait(settle);
        await fast('with');
        await crowd.pause();
        if (kind === 'drip') figures['sent away'] = await crowd.sentAway();
        return figures;
      };
      return inGroups(context, {
        ...{ table: 'fast', generations, rounds, least, delayEvery, group, variants, measure },
        keys: variants.map(({ name }) => `cpu ${name}`),
        prepare: (subject) => openCrowd(subject, chosen),
        async warm({ variant, server }) {
          const isWarm = variant.server === 'shared' && !chosen.weighed;
          if (!isWarm) await warmUp(server, fastClients, context.quick);
        },
        seconds: {
          ready: (context.quick ? 1.5 : 3) * variants.length + alone + clients / 4000,
          round: (seconds + 0.02 + (delaySeconds + 0.1) / delayEvery) * variants.length + 0.05,
        },
      });
    },
  };
}

export const slow = beside(
  {
    ...{ name: 'slow', title: 'Slow senders', kind: 'drip', handler: 'hello' },
    text:
      'Each slow client sends a request head at one byte a second, again and again. A server that gives a head less time than that ' +
      'takes sends it away, and it comes again: the last column counts these, up to the round.',
  },
  (quick) =>
    quick
      ? {
          generations: 1,
          rounds: 6,
          least: 6,
          delayEvery: 4,
          group: 5,
          clients: 3000,
          seconds: 0.08,
          delaySeconds: 0.1,
          alone: 0.2,
          compared: false,
          weighed: false,
        }
      : {
          generations: 2,
          rounds: 40,
          least: 12,
          delayEvery: 8,
          group: 1,
          clients: 15_000,
          seconds: 0.1,
          delaySeconds: 0.5,
          alone: 0.5,
          compared: true,
          weighed: true,
        },
);

export const flood = beside(
  {
    ...{ name: 'flood', title: 'Slow readers', kind: 'sip', handler: 'flood' },
    text: 'Each slow client asks for 4 MiB, which the server makes in pieces of 16 KiB, and reads 4 KiB a second.',
  },
  (quick) =>
    quick
      ? {
          generations: 1,
          rounds: 6,
          least: 6,
          delayEvery: 4,
          group: 5,
          clients: 300,
          seconds: 0.08,
          delaySeconds: 0.1,
          alone: 0.2,
          compared: false,
          weighed: true,
        }
      : {
          generations: 2,
          rounds: 40,
          least: 12,
          delayEvery: 8,
          group: 2,
          clients: 1000,
          seconds: 0.1,
          delaySeconds: 0.5,
          alone: 0.5,
          compared: true,
          weighed: true,
        },
);
