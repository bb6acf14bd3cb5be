// Scenario 1: the smallest whole request, at different loads.

import type { Server } from '../load/server.js';
import { sharedServer, stopShared } from '../load/shared.js';
import { type LoadOptions, load } from '../load/wrk.js';
import { type Block, inTurn, range, type Scenario, type Step } from '../scenario.js';
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

/** A whole run has several generations of servers, `rounds` rounds each: two processes of the same program do not cost quite the same. */
const size = (quick: boolean) =>
  quick ? { generations: 1, rounds: 6, seconds: 0.15 } : { generations: 4, rounds: 4, seconds: 0.6 };

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
    'Every connection asks for 13 bytes of text as fast as it is answered. The servers all run at the same time; wrk goes from one ' +
    'to the next. In a whole run they are started anew several times, since two processes of the same program do not cost quite the same. What wrk itself can take bounds the throughput, so the CPU time of the server is the figure that tells.',
  wrk: true,
  settings(quick) {
    const { generations, rounds, seconds } = size(quick);
    const servers = generations === 1 ? '' : `, ${generations} generations of servers`;
    return `${generations * rounds} rounds of ${seconds} s${servers}`;
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
    const { generations, rounds, seconds } = size(quick);
    const servers = new Map<string, Server>();
    const step = (table: string, round: number, peer: string, what: Pick<Step, 'label' | 'seconds' | 'run'>): Step => ({
      ...{ table, round, peer, ...what },
    });
    const ready = (before: number): Step[] =>
      peers.map((peer) =>
        step('c16', before + 1, peer.name, {
          label: `start and warm up ${peer.title}`,
          seconds: peer.compiled ? 1 : 2.2,
          async run() {
            servers.delete(peer.name);
            const server = await sharedServer(peer);
            servers.set(peer.name, server);
            // What only these loads run through.
            for (const { options } of loads) await load(server, { ...options, seconds: 0.1 });
          },
        }),
      );
    const measured = (round: number): Step[] =>
      loads.flatMap(({ name: table, title, options }) =>
        inTurn(peers, round).map((peer) =>
          step(table, round, peer.name, {
            label: `${title}, round ${round} of ${generations * rounds}: ${peer.title}`,
            seconds: seconds + 0.04,
            async run() {
              const server = servers.get(peer.name);
              if (server === undefined) return; // that it did not start is known already
              const { figures, problems } = await load(server, { ...options, seconds });
              record({ table, round, peer: peer.name, figures: { ...figures }, problems });
            },
          }),
        ),
      );
    return range(generations).map((generation): Block => {
      const before = (generation - 1) * rounds;
      const isLast = generation === generations; // its servers go on to other scenarios
      const over = step('c16', before + rounds, '', { label: 'stop the servers', seconds: 0.2, run: stopShared });
      return {
        ready: ready(before),
        rounds: range(rounds).map((round) => measured(before + round)),
        over: isLast ? [] : [over],
      };
    });
  },
};
