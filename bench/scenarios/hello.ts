// Scenario 1: the smallest whole request, at different loads.

import type { Server } from '../load/server.js';
import { sharedServer } from '../load/shared.js';
import { type LoadOptions, load } from '../load/wrk.js';
import { inTurn, range, type Scenario, type Step } from '../scenario.js';
import type { Column, Table } from '../table.js';

interface Load {
  name: string;
  title: string;
  options: Omit<LoadOptions, 'seconds'>;
}

const loads: Load[] = [
  { name: 'c1', title: '1 connection', options: { connections: 1 } },
  { name: 'c16', title: '16 connections', options: { connections: 16 } },
  { name: 'c256', title: '256 connections', options: { connections: 256 } },
  { name: 'pipelined', title: '256 connections, 16 requests at a time', options: { connections: 256, pipelined: 16 } },
];

const size = (quick: boolean) => (quick ? { rounds: 6, seconds: 0.15 } : { rounds: 12, seconds: 0.8 });

const columns: Column[] = [
  {
    key: 'cpu',
    title: 'CPU for a request',
    unit: 'µs',
    digits: 2,
    ratio: true,
    chart: true,
    cost: 'CPU for a request or a message',
  },
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
      beside: 'node',
    }),
  ),

  blocks({ peers, quick, record }) {
    const { rounds, seconds } = size(quick);
    const servers = new Map<string, Server>();
    const ready = peers.map(
      (peer): Step => ({
        label: `start and warm up ${peer.title}`,
        seconds: peer.compiled ? 1 : 2.2,
        ...{ table: 'c16', round: 1, peer: peer.name },
        async run() {
          const server = await sharedServer(peer);
          servers.set(peer.name, server);
          // What only these loads run through.
          for (const { options } of loads) await load(server, { ...options, seconds: 0.1 });
        },
      }),
    );
    const measured = (round: number): Step[] =>
      loads.flatMap(({ name: table, title, options }) =>
        inTurn(peers, round).map((peer) => ({
          label: `${title}, round ${round} of ${rounds}: ${peer.title}`,
          seconds: seconds + 0.04,
          ...{ table, round, peer: peer.name },
          async run() {
            const server = servers.get(peer.name);
            if (server === undefined) return; // that it did not start is known already
            const { figures, problems } = await load(server, { ...options, seconds });
            record({ table, round, peer: peer.name, figures: { ...figures }, problems });
          },
        })),
      );
    return [{ ready, rounds: range(rounds).map(measured), over: [] }];
  },
};
