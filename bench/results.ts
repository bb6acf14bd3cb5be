// What a run of the bench leaves behind: the raw samples, and what is needed to read them. The tables, the charts and the page
// are made from this alone (see report/).

/** One measurement of one peer. */
export interface Sample {
  scenario: string;
  /** Which table of the scenario it belongs to. */
  table: string;
  /** Counted from 1. Ratios are taken between samples of the same round. */
  round: number;
  /** The row: a peer's name, or what the table calls its rows. */
  peer: string;
  figures: Record<string, number>;
  /** What makes it invalid: errors, wrong answers, a server that died. Empty for a good one. */
  problems: string[];
}

/** A peer, measured or not. */
export interface PeerRecord {
  name: string;
  title: string;
  version: string;
  /** Why it cannot be measured here, if it cannot. */
  missing?: string;
}

export interface Machine {
  processor: string;
  cores: number;
  memory: number;
  system: string;
  /** How server and load are kept apart. */
  separation: string;
  /** Nanoseconds for a load from memory, looked at every few seconds of the run: see memory-gauge.ts. Older runs have none. */
  loads?: number[];
}

/** Seconds that a scenario has taken: until all was ready, and to let it go; and to measure. */
export interface Spent {
  ready: number;
  measuring: number;
}

export interface Results {
  format: 1;
  /** When the run began, ISO 8601. */
  date: string;
  /** What was typed after `npm run bench --`. */
  command: string[];
  quick: boolean;
  /** How long it took. */
  seconds: number;
  machine: Machine;
  /** Of the tools that took part. */
  versions: Record<string, string>;
  peers: PeerRecord[];
  /** Those that were run, with how large they were, and how long they took: see `Spent`. Older runs do not have that. */
  scenarios: { name: string; settings: string; spent?: Spent }[];
  samples: Sample[];
  /** True if no sample has a problem. */
  valid: boolean;
}

/** The samples that a table of a scenario shows. */
export function samplesOf(
  results: Results,
  scenario: { name: string },
  table: { name: string; samples?: string },
): Sample[] {
  const name = table.samples ?? table.name;
  return results.samples.filter((sample) => sample.scenario === scenario.name && sample.table === name);
}
