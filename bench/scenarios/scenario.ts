// What a scenario is, and how windows are interleaved.

import type { Peer } from '../peers.js';
import type { Sample } from '../statistics.js';

export interface Column {
  /** The figure that it shows. */
  key: string;
  title: string;
  unit?: string;
  digits: number;
  /** Shows ratios to the baselines as well. */
  ratio?: boolean;
  /** Is drawn in the scenario's chart. */
  chart?: boolean;
}

export interface Table {
  name: string;
  title: string;
  columns: Column[];
}

export interface Context {
  peers: readonly Peer[];
  quick: boolean;
  record(table: string, sample: Sample): void;
  /** Something went wrong: the run is invalid. */
  problem(peer: Peer, message: string): void;
  /** Says what is being done. */
  progress(what: string): void;
}

export interface Scenario {
  name: string;
  title: string;
  /** What is done, and how to read the figures. */
  text: string;
  /** Names of the peers that ratios are taken to, beside the floor; default: node, ws, bun. */
  baselines?: readonly string[];
  /** How often and how large. */
  size(quick: boolean): string;
  tables: readonly Table[];
  /** Why it cannot be run here; undefined if it can. Default: it can. */
  obstacle?(): string | undefined;
  run(context: Context): Promise<void>;
}

/** A peer that is ready to be measured. */
export interface Ready<T> {
  peer: Peer;
  what: T;
}

/** Gets each peer ready, one after the other. A peer that fails is left out, and the run is invalid. */
export async function getReady<T>(
  context: Context,
  peers: readonly Peer[],
  prepare: (peer: Peer) => Promise<T>,
): Promise<Ready<T>[]> {
  const ready: Ready<T>[] = [];
  for (const peer of peers) {
    try {
      ready.push({ peer, what: await prepare(peer) });
    } catch (error) {
      context.problem(peer, (error as Error).message);
    }
  }
  return ready;
}

/**
 * Measures all peers in each round, forwards and backwards in turn, so that what is compared was measured within a second or two: the
 * machine's speed changes from second to second.
 * @param first the number of the first round
 */
export async function interleave<T>(
  context: Context,
  table: string,
  ready: readonly Ready<T>[],
  rounds: { first: number; count: number },
  measure: (what: T, peer: Peer) => Promise<Record<string, number>>,
): Promise<void> {
  for (let round = rounds.first; round < rounds.first + rounds.count; round++) {
    const order = round % 2 === 0 ? [...ready].reverse() : ready;
    for (const { peer, what } of order) {
      try {
        context.record(table, { peer: peer.name, round, figures: await measure(what, peer) });
      } catch (error) {
        context.problem(peer, `${table}, round ${round}: ${(error as Error).message}`);
      }
    }
  }
}
