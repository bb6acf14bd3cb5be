// Scenario 1: the smallest whole request, at different loads.

import type { Server } from '../load/server.js';
import { sharedServer, stopShared } from '../load/shared.js';
import { StandingLoad } from '../load/standing.js';
import { type LoadOptions, load } from '../load/wrk.js';
import { type Block, inTurn, range, type Scenario, type Step } from '../scenario.js';
import type { Column, Table } from '../table.js';

interface Load {
  name: string;
  title: string;
  options: LoadOptions;
}

const loads: Load[] = [
  { name: 'c1', title: '1 connection', options: { connections: 1 } },
  { name: 'c16', title: '16 connections', options: { connections: 16 } },
  { name: 'c256', title: '256 connections', options: { connections: 256 } },
  { name: 'pipelined', title: '256 connections, 16 requests at a time', options: { connections: 256, pipelined: 16 } },
];

/**
 * A whole run has several generations of servers, `rounds` rounds each: two processes of the same program do not cost quite the same.
 * The delays are measured in every `delayEvery`th round, with windows of their own.
 */
const size = (quick: boolean) =>
  quick
    ? { generations: 1, rounds: 7, seconds: 0.06, delayEvery: 5, delaySeconds: 0.15 }
    : { generations: 4, rounds: 12, seconds: 0.1, delayEvery: 6, delaySeconds: 0.5 };

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
    'Every connection asks for 13 bytes of text as fast as it is answered. The servers all run at the same time, each with its loads, one of which goes on ' +
    'while the others stand still. In a whole run they are started anew several times, since two processes of the same program do not cost quite the same. What wrk itself can take bounds the throughput, so the CPU time of the server is the figure that tells. ' +
    'CPU does not include the making of connections.',
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
    const { generations, rounds, seconds, delayEvery, delaySeconds } = size(quick);
    /** What stands ready of a peer: its server, and a load of each kind. */
    const servers = new Map<string, Server>();
    const standing = new Map<string, StandingLoad>();
    const keyOf = (table: string, peer: string) => `${table} ${peer}`;
    const step = (table: string, round: number, peer: string, what: Pick<Step, 'label' | 'seconds' | 'run'>): Step => ({
      ...{ table, round, peer, ...what },
    });
    const ready = (before: number): Step[] =>
      peers.map((peer) =>
        step('c16', before + 1, peer.name, {
          label: `start and warm up ${peer.title}`,
          seconds: peer.compiled ? 1 : quick ? 2.2 : 4,
          async run() {
            servers.delete(peer.name);
            const server = await sharedServer(peer, quick);
            servers.set(peer.name, server);
            for (const { name, options } of loads) {
              standing.set(keyOf(name, peer.name), await StandingLoad.start(server, options));
            }
          },
        }),
      );
    const measured = (round: number): Step[] =>
      loads.flatMap(({ name: table, title, options }) => {
        const label = `${title}, round ${round} of ${generations * rounds}`;
        const windows = inTurn(peers, round).map((peer) =>
          step(table, round, peer.name, {
            label: `${label}: ${peer.title}`,
            seconds: seconds + (options.pipelined === undefined ? 0.03 : 0.1),
            async run() {
              const figures = await standing.get(keyOf(table, peer.name))?.window(seconds);
              if (figures === undefined) return; // that it did not start is known already
              record({ table, round, peer: peer.name, figures: { ...figures }, problems: [] });
            },
          }),
        );
        if (round % delayEvery !== 0 || options.pipelined !== undefined) return windows;
        const delays = inTurn(peers, round).map((peer) =>
          step(table, round, peer.name, {
            label: `${label}, delays: ${peer.title}`,
            seconds: delaySeconds + 0.1,
            async run() {
              const server = servers.get(peer.name);
              if (server === undefined) return;
              const { delays, problems } = await load(server, { ...options, seconds: delaySeconds });
              record({ table, round, peer: peer.name, figures: { ...delays }, problems });
            },
          }),
        );
        return [...windows, ...delays];
      });
    const over = (round: number): Step[] => [
      ...peers.map((peer) =>
        step('c16', round, peer.name, {
          label: `end the loads of ${peer.title}`,
          seconds: 0.1,
          async run() {
            const endOne = async ({ name: table }: Load): Promise<void> => {
              const problems = await standing.get(keyOf(table, peer.name))?.end();
              standing.delete(keyOf(table, peer.name));
              if (problems !== undefined && problems.length > 0) {
                record({ table, round, peer: peer.name, figures: {}, problems });
              }
            };
            await Promise.all(loads.map(endOne));
          },
        }),
      ),
      // Those of the last generation go on to other scenarios.
      ...(round === generations * rounds
        ? []
        : [step('c16', round, '', { label: 'stop the servers', seconds: 0.2, run: stopShared })]),
    ];
    return range(generations).map((generation): Block => {
      const before = (generation - 1) * rounds;
      return {
        ready: ready(before),
        rounds: range(rounds).map((round) => measured(before + round)),
        over: over(before + rounds),
      };
    });
  },
};
