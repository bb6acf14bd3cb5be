// What a scenario is: some tables, and blocks of steps that fill them with samples. The runner (run.ts) puts the steps in order.

import type { Peer } from './peers.js';
import type { Sample } from './results.js';
import type { Table } from './table.js';

export interface Context {
  peers: readonly Peer[];
  quick: boolean;
  /** Keeps a sample. */
  record(sample: Omit<Sample, 'scenario'>): void;
}

/** A part of a scenario that can be announced, and is over in seconds. */
export interface Step {
  label: string;
  /** About how long it takes. */
  seconds: number;
  /** If it throws, that is a problem of the given peer, and the run is invalid. */
  run(): Promise<void>;
  /** What a failure is booked under. */
  table: string;
  round: number;
  peer: string;
}

/** What of a scenario stands ready at the same time: what gets it ready, rounds that measure it, and what lets it go. */
export interface Block {
  ready: Step[];
  rounds: Step[][];
  over: Step[];
}

export interface Scenario {
  name: string;
  title: string;
  /** What is done, and how the figures are to be read: a paragraph for the page. */
  text: string;
  /** Whether it needs wrk. */
  wrk: boolean;
  tables: Table[];
  /** How large it is, in a few words, for the page. */
  settings(quick: boolean): string;
  blocks(context: Context): Block[];
}

/** The peers in the order in which a round takes them: forwards and backwards in turn, so that no peer always follows the same one. */
export function inTurn(peers: readonly Peer[], round: number): Peer[] {
  return round % 2 === 1 ? [...peers] : [...peers].reverse();
}

/** Does it with each, two at a time: what has to wait does not keep the other core waiting. */
export async function twoAtATime<T>(things: readonly T[], act: (thing: T) => Promise<void>): Promise<void> {
  const left = [...things];
  const worker = async () => {
    for (let thing = left.shift(); thing !== undefined; thing = left.shift()) await act(thing);
  };
  await Promise.all([worker(), worker()]);
}

export function range(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i + 1);
}
