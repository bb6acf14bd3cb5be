// Whether two runs agree: every ratio of what a unit of work costs, within 15 %.

import { type Results, samplesOf } from '../results.js';
import type { Scenario } from '../scenario.js';
import { ratioOf, summarize } from '../statistics.js';
import type { Cost } from '../table.js';
import { defaultBaseline, rowsOf } from './markdown.js';

export const tolerance = 0.15;

/** A ratio that both runs have. */
interface Pair {
  cost: Cost;
  what: string;
  was: number;
  is: number;
}

/** @returns what is to be said of the ratios that both runs have: for each kind of cost a line, and one for each that they do not agree on */
export function compareRatios(before: Results, now: Results, scenarios: readonly Scenario[]): string[] {
  if (before.quick !== now.quick) return [];
  const pairs = scenarios.flatMap((scenario) => pairsOf(scenario, before, now));
  const costs = [...new Set(pairs.map(({ cost }) => cost))];
  if (costs.length === 0) return [];
  return [
    `Beside the run before (${before.date.slice(0, 16)}${memoryThenAndNow(before, now)}):`,
    ...costs.flatMap((cost) =>
      agreementOf(
        cost,
        pairs.filter((pair) => pair.cost === cost),
      ),
    ),
  ];
}

/** Ratios of two runs are the same only on the same machine, and one whose caches others have taken is another: see memory-gauge.ts. */
function memoryThenAndNow(before: Results, now: Results): string {
  const [then, since] = [before, now].map(({ machine }) => summarize(machine.loads ?? [])?.median.toFixed(0));
  if (then === undefined || since === undefined) return '';
  return `; a load from memory took ${then} ns then, ${since} ns now`;
}

function agreementOf(cost: Cost, pairs: readonly Pair[]): string[] {
  const apart = pairs.filter(({ was, is }) => Math.abs(is / was - 1) > tolerance);
  return [
    `${pairs.length - apart.length} of ${pairs.length} ratios of ${cost} agree within ${tolerance * 100} %.`,
    ...apart.map(({ what, was, is }) => {
      const percent = ((is / was - 1) * 100).toFixed(0);
      return `  ${what}: ${was.toFixed(2)} then, ${is.toFixed(2)} now (${is > was ? '+' : ''}${percent} %)`;
    }),
  ];
}

function pairsOf(scenario: Scenario, before: Results, now: Results): Pair[] {
  const pairs: Pair[] = [];
  for (const table of scenario.tables) {
    const [then, since] = [before, now].map((results) => samplesOf(results, scenario, table));
    const baseline = table.baseline ?? defaultBaseline;
    for (const { key, title, cost } of table.columns) {
      if (cost === undefined) continue;
      for (const { name } of rowsOf(table, now.peers)) {
        const was = ratioOf(then ?? [], name, baseline, key);
        const is = ratioOf(since ?? [], name, baseline, key);
        if (was === undefined || is === undefined || name === baseline) continue;
        pairs.push({ cost, what: `${scenario.name}, ${table.title}, ${title}, ${name}`, was, is });
      }
    }
  }
  return pairs;
}
