// Scenario 2: what a connection costs in memory while nothing happens on it.

import type { Kind } from '../crowd/protocol.js';
import { Crowd } from '../load/crowd.js';
import { type ServerOptions, startServer } from '../load/server.js';
import { load } from '../load/wrk.js';
import type { Peer } from '../peers.js';
import { wait } from '../processes.js';
import { inTurn, range, type Scenario } from '../scenario.js';

interface State {
  key: string;
  title: string;
  kind: Kind;
  handler: ServerOptions['handler'];
}

const states: State[] = [
  { key: 'fresh', title: 'fresh', kind: 'idle', handler: 'hello' },
  { key: 'head', title: 'in the middle of a head', kind: 'half', handler: 'hello' },
  { key: 'between', title: 'between requests', kind: 'kept', handler: 'hello' },
  { key: 'stream', title: 'in the middle of a stream', kind: 'stream', handler: 'stream' },
];

/** `together` is how many peers are measured at the same time. */
const size = (quick: boolean) =>
  quick
    ? { rounds: 1, from: 1000, to: 2500, settle: 100, warm: 0.1, together: 2 }
    : { rounds: 3, from: 5000, to: 15_000, settle: 1000, warm: 1, together: 1 };

export const idle: Scenario = {
  name: 'idle',
  title: 'Memory of a connection',
  text:
    'How much more resident memory the server has for each connection more, from the slope between two crowds, after a garbage ' +
    'collection where there is one, which gives back what is free. Pages of files do not count: they are the program. Each state is measured with a server of its own, all states at the same time, on all cores.',
  wrk: true,
  settings(quick) {
    const { rounds, from, to } = size(quick);
    return `${rounds} ${rounds === 1 ? 'round' : 'rounds'}, slope between ${from} and ${to} connections`;
  },
  tables: [
    {
      name: 'memory',
      title: 'Memory for each connection',
      columns: states.map(({ key, title }) => ({ key, title, unit: 'bytes', digits: 0, chart: true })),
    },
  ],

  blocks({ peers, quick, record }) {
    const { rounds, from, to, settle, warm, together } = size(quick);
    const measure = async (peer: Peer, round: number): Promise<void> => {
      const figures: Record<string, number> = {};
      const problems: string[] = [];
      const measureState = async ({ key, kind, handler }: State): Promise<void> => {
        const server = await startServer(peer, { handler, memoryOnly: true });
        const crowd = new Crowd(server);
        const memoryOf = async (more: number): Promise<number> => {
          await crowd.open(kind, more);
          await wait(settle);
          await server.quiet();
          await server.collect();
          return server.memory();
        };
        try {
          // What compilers leave behind is not the connections': they are to have done their work by then.
          if (handler === 'hello') await load(server, { connections: 64, seconds: warm });
          const low = await memoryOf(from);
          const high = await memoryOf(to - from);
          figures[key] = (high - low) / (to - from);
          figures[`${key} at ${from}`] = low;
          figures[`${key} at ${to}`] = high;
          problems.push(...(await crowd.problems()), ...server.problems());
        } catch (error) {
          problems.push(`${key}: ${error instanceof Error ? error.message : String(error)}`);
        } finally {
          await crowd.leave();
          await server.stop();
        }
      };
      await Promise.all(states.map(measureState));
      record({ table: 'memory', round, peer: peer.name, figures, problems });
    };
    const measured = range(rounds).map((round) =>
      chunksOf(inTurn(peers, round), together).map((some) => ({
        label: `round ${round} of ${rounds}: ${some.map(({ title }) => title).join(', ')}`,
        seconds: (1.5 + to / 2500 + (settle * 2) / 1000 + 3 * warm) * Math.max(1, some.length * 0.8),
        ...{ table: 'memory', round, peer: some[0]?.name ?? '' },
        async run() {
          await Promise.all(some.map((peer) => measure(peer, round)));
        },
      })),
    );
    return [{ ready: [], rounds: measured, over: [] }];
  },
};

function chunksOf<T>(things: readonly T[], size: number): T[][] {
  return range(Math.ceil(things.length / size)).map((i) => things.slice((i - 1) * size, i * size));
}
