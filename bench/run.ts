// Runs scenarios: their steps one after the other, under a progress line. A step that fails makes the run invalid, not shorter.

import { endSpareCrowds } from './load/crowd.js';
import { stopShared } from './load/shared.js';
import type { Peer } from './peers.js';
import { Progress } from './progress.js';
import type { Sample } from './results.js';
import type { Block, Context, Scenario, Step } from './scenario.js';

/** A step, and whose it is. */
interface Planned extends Step {
  scenario: string;
  /** It measures, and does not get ready or let go. */
  measures: boolean;
  record: Context['record'];
}

/**
 * A whole run has blocks of all scenarios take turns, so that each scenario is spread over all of its time: the machine is another one an hour
 * later.
 * @param parties names of scenarios that are measured beside one another, if the run is a quick one: its windows are few, and a
 *   bad moment of the machine, which lasts for seconds, is not to fall into all those of one of them. Parties come first, in their
 *   order
 * @param between called before each step, while nothing is measured
 * @param spent told after each step how long it took, in seconds, and whether it was one that measures
 */
export async function runScenarios(
  scenarios: readonly Scenario[],
  peers: readonly Peer[],
  quick: boolean,
  parties: readonly (readonly string[])[] = [],
  between: () => void = () => {},
  spent: (scenario: string, seconds: number, measures: boolean) => void = () => {},
): Promise<Sample[]> {
  const samples: Sample[] = [];
  const plan = new Map(
    scenarios.map((scenario) => {
      const { name } = scenario;
      const record: Context['record'] = (sample) => samples.push({ scenario: name, ...sample });
      return [name, blocksOf(name, record, scenario.blocks({ peers, quick, record }))];
    }),
  );
  const steps = quick ? inParties(plan, parties) : spread([...plan.values()]).flatMap((block) => sideBySide([block]));
  const progress = new Progress(steps.reduce((sum, step) => sum + step.seconds, 0));
  for (const { scenario, measures, record, label, seconds, run, table, round, peer } of steps) {
    between();
    progress.begin(`${scenario} · ${label}`);
    const begun = performance.now();
    try {
      await run();
    } catch (error) {
      record({ table, round, peer, figures: {}, problems: [error instanceof Error ? error.message : String(error)] });
    }
    spent(scenario, (performance.now() - begun) / 1000, measures);
    progress.end(seconds);
  }
  await Promise.all([stopShared(), endSpareCrowds()]);
  progress.clear();
  return samples;
}

/** A block of steps that know whose they are. */
interface PlannedBlock {
  ready: Planned[];
  rounds: Planned[][];
  over: Planned[];
}

function blocksOf(scenario: string, record: Context['record'], blocks: readonly Block[]): PlannedBlock[] {
  const planned = (steps: readonly Step[], measures = false): Planned[] =>
    steps.map((step) => ({ scenario, measures, record, ...step }));
  return blocks.map(({ ready, rounds, over }) => ({
    ready: planned(ready),
    rounds: rounds.map((steps) => planned(steps, true)),
    over: planned(over),
  }));
}

/** The steps of all, parties first: block by block, those of a party side by side. */
function inParties(
  plan: ReadonlyMap<string, readonly PlannedBlock[]>,
  parties: readonly (readonly string[])[],
): Planned[] {
  const steps: Planned[] = [];
  const done = new Set<string>();
  for (const name of [...parties.flat(), ...plan.keys()]) {
    if (done.has(name) || !plan.has(name)) continue;
    const party = (parties.find((members) => members.includes(name)) ?? [name]).filter((member) => plan.has(member));
    const columns = party.map((member) => plan.get(member) ?? []);
    for (let i = 0; i < Math.max(...columns.map(({ length }) => length)); i++) {
      steps.push(...sideBySide(columns.flatMap((blocks) => blocks[i] ?? [])));
    }
    for (const member of party) done.add(member);
  }
  return steps;
}

/** All are got ready, their rounds take turns, spread evenly, and all are let go. */
export function sideBySide<S>(blocks: readonly { ready: S[]; rounds: S[][]; over: S[] }[]): S[] {
  return [
    ...blocks.flatMap(({ ready }) => ready),
    ...spread(blocks.map(({ rounds }) => rounds)).flat(),
    ...blocks.flatMap(({ over }) => over),
  ];
}

/** Lists become one, each spread evenly over it. */
function spread<T>(lists: readonly (readonly T[])[]): T[] {
  return lists
    .flatMap((list) => list.map((what, i) => ({ what, at: (i + 0.5) / list.length })))
    .sort((a, b) => a.at - b.at)
    .map(({ what }) => what);
}
