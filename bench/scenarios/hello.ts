// Scenario 1: the smallest whole request, at different loads.

import { type Server, startServer } from '../load/server.js';
import { type LoadOptions, load, warmUp } from '../load/wrk.js';
import { inTurn, range, type Scenario, type Step } from '../scenario.js';
import type { Column, Table } from '../table.js';

const loads: { name: string; title: string; options: Omit<LoadOptions, 'seconds'> }[] = [
  { name: 'c1', title: '1 connection', options: { connections: 1 } },
  { name: 'c16', title: '16 connections', options: { connections: 16 } },
  { name: 'c256', title: '256 connections', options: { connections: 256 } },
  { name: 'pipelined', title: '256 connections, 16 requests at a time', options: { connections: 256, pipelined: 16 } },
];

const size = (quick: boolean) => (quick ? { rounds: 3, seconds: 0.3 } : { rounds: 5, seconds: 3 });

const columns: Column[] = [
  { key: 'cpu', title: 'CPU for a request', unit: 'µs', digits: 2, ratio: true, chart: true, cost: true },
  { key: 'throughput', title: 'requests a second', digits: 0 },
];
const delays: Column[] = [
  { key: 'p50', title: 'p50', unit: 'µs', digits: 0 },
  { key: 'p99', title: 'p99', unit: 'µs', digits: 0 },
];

export const hello: Scenario = {
  name: 'hello',
  title: 'Hello, world',
  text:
    'Every connection asks for 13 bytes of text as fast as it is answered. The servers all run throughout; wrk goes from one ' +
    'to the next. What wrk itself can take bounds the throughput, so the CPU time of the server is the figure that tells.',
  wrk: true,
  settings(quick) {
    const { rounds, seconds } = size(quick);
    return `${rounds} rounds of ${seconds} s`;
  },
  tables: loads.map(
    ({ name, title, options }): Table => ({
      name,
      title,
      columns: options.pipelined === undefined ? [...columns, ...delays] : columns,
    }),
  ),

  steps({ peers, quick, record }) {
    const { rounds, seconds } = size(quick);
    const servers = new Map<string, Server>();
    const steps: Step[] = peers.map((peer) => ({
      label: `start and warm up ${peer.title}`,
      seconds: 1.5,
      table: 'c16',
      round: 0,
      peer: peer.name,
      async run() {
        const server = await startServer(peer, { handler: 'hello' });
        servers.set(peer.name, server);
        await warmUp(server, 64);
      },
    }));
    for (const round of range(rounds)) {
      for (const { name: table, title, options } of loads) {
        for (const peer of inTurn(peers, round)) {
          steps.push({
            label: `${title}, round ${round} of ${rounds}: ${peer.title}`,
            seconds: seconds + 0.2,
            ...{ table, round, peer: peer.name },
            async run() {
              const server = servers.get(peer.name);
              if (server === undefined) return; // that it did not start is known already
              const { figures, problems } = await load(server, { ...options, seconds });
              record({ table, round, peer: peer.name, figures: { ...figures }, problems });
            },
          });
        }
      }
    }
    steps.push({
      label: 'stop the servers',
      seconds: 0.2,
      ...{ table: 'c16', round: 0, peer: '' },
      async run() {
        await Promise.all([...servers.values()].map((server) => server.stop()));
      },
    });
    return steps;
  },
};
