// Whether two runs agree: every ratio of CPU for a unit of work, within 15 %.

import { type Results, samplesOf } from '../results.js';
import type { Scenario } from '../scenario.js';
import { ratioOf } from '../statistics.js';
import { defaultBaseline, rowsOf } from './markdown.js';

export const tolerance = 0.15;

/** @returns what is to be said of the ratios that both runs have: a line, and one for each that they do not agree on */
export function compareRatios(before: Results, now: Results, scenarios: readonly Scenario[]): string[] {
  if (before.quick !== now.quick) return [];
  let compared = 0;
  const apart: string[] = [];
  for (const scenario of scenarios) {
    for (const table of scenario.tables) {
      const of = (results: Results) => samplesOf(results, scenario, table);
      const baseline = table.baseline ?? defaultBaseline;
      for (const { key, title } of table.columns.filter(({ cost }) => cost)) {
        for (const { name } of rowsOf(table, now.peers)) {
          const was = ratioOf(of(before), name, baseline, key)?.median;
          const is = ratioOf(of(now), name, baseline, key)?.median;
          if (was === undefined || is === undefined || name === baseline) continue;
          compared++;
          const change = is / was - 1;
          if (Math.abs(change) <= tolerance) continue;
          const percent = `${change > 0 ? '+' : ''}${(change * 100).toFixed(0)} %`;
          apart.push(
            `  ${scenario.name}, ${table.title}, ${title}, ${name}: ${was.toFixed(2)} then, ${is.toFixed(2)} now (${percent})`,
          );
        }
      }
    }
  }
  if (compared === 0) return [];
  return [
    `Beside the run before (${before.date.slice(0, 16)}): ${compared - apart.length} of ${compared} ratios of CPU time agree within ${tolerance * 100} %.`,
    ...apart,
  ];
}
