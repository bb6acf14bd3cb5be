// Scenario: what a connection costs in memory while nothing happens on it.

import type { Kind, TlsVersion } from '../crowd/protocol.js';
import { certificateObstacle } from '../load/certificate.js';
import { Crowd } from '../load/crowd.js';
import { Server } from '../load/server.js';
import { workloads } from '../load/workloads.js';
import { warmUp } from '../load/wrk.js';
import type { Peer, Service } from '../peers.js';
import { wait } from '../processes.js';
import { interleave, type Scenario } from './scenario.js';

interface State {
  key: string;
  kind: Kind;
  title: string;
  needs: Service;
  tls?: TlsVersion;
}

const states: State[] = [
  { key: 'idle', kind: 'idle', title: 'fresh', needs: 'requests' },
  { key: 'half', kind: 'half', title: 'within a request head', needs: 'requests' },
  { key: 'kept', kind: 'kept', title: 'between requests', needs: 'requests' },
  { key: 'events', kind: 'events', title: 'event stream', needs: 'events' },
  { key: 'socket', kind: 'socket', title: 'WebSocket', needs: 'sockets' },
  { key: 'tls', kind: 'kept', title: 'TLS 1.3, between requests', needs: 'tls', tls: 'TLSv1.3' },
  { key: 'tls12', kind: 'kept', title: 'TLS 1.2, between requests', needs: 'tls', tls: 'TLSv1.2' },
];

const size = (quick: boolean) =>
  quick ? { rounds: 1, from: 1000, to: 3000, settle: 100 } : { rounds: 3, from: 5000, to: 15_000, settle: 1000 };

export const memory: Scenario = {
  name: 'memory',
  title: 'Memory of a connection',
  text:
    'How much the resident memory of the server grows with each connection: the slope between two crowds, after a garbage collection that ' +
    'returns free memory. Pages of files (the program) do not count, nor does what the kernel holds. Each state has a server of its own.',
  size(quick) {
    const { rounds, from, to } = size(quick);
    return `${rounds} round(s), slope between ${from} and ${to} connections`;
  },
  tables: [
    {
      name: 'memory',
      title: 'Memory for each connection',
      columns: states.map(({ key, title }) => ({ key, title, unit: 'bytes', digits: 0, chart: true })),
    },
  ],
  async run(context) {
    const { rounds, from, to, settle } = size(context.quick);
    const measure = async (peer: Peer, { kind, tls }: State): Promise<number> => {
      const server = await Server.start(peer, { memoryOnly: true, isSecure: tls !== undefined });
      const crowd = new Crowd(server, tls);
      const memoryWith = async (more: number): Promise<number> => {
        await crowd.open(kind, more);
        await wait(settle);
        await server.quiet();
        await server.collect();
        return server.memory();
      };
      try {
        // Compilers are to have done their work before.
        await warmUp(server, { workload: workloads.hello, connections: 64 }, true);
        const low = await memoryWith(from);
        const high = await memoryWith(to - from);
        const problems = [...(await crowd.problems()), ...server.problems()];
        if (problems.length > 0) throw new Error(problems.join('; '));
        return (high - low) / (to - from);
      } finally {
        await crowd.leave();
        await server.stop();
      }
    };
    const ready = context.peers.map((peer) => ({ peer, what: peer }));
    await interleave(context, 'memory', ready, { first: 0, count: rounds }, async (peer) => {
      context.progress(`memory: ${peer.title}`);
      const figures: Record<string, number> = {};
      for (const state of states) {
        const { key, needs, tls } = state;
        if (!peer.services.includes(needs) || (tls !== undefined && certificateObstacle() !== undefined)) continue;
        figures[key] = await measure(peer, state);
      }
      return figures;
    });
  },
};
