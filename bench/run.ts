// Runs scenarios: their steps one after the other, under a progress line. A step that fails makes the run invalid, not shorter.

import type { Peer } from './peers.js';
import { Progress } from './progress.js';
import type { Sample } from './results.js';
import type { Context, Scenario } from './scenario.js';

export async function runScenarios(
  scenarios: readonly Scenario[],
  peers: readonly Peer[],
  quick: boolean,
): Promise<Sample[]> {
  const samples: Sample[] = [];
  const planned = scenarios.map((scenario) => {
    const record: Context['record'] = (sample) => samples.push({ scenario: scenario.name, ...sample });
    return { scenario, record, steps: scenario.steps({ peers, quick, record }) };
  });
  const progress = new Progress(planned.flatMap(({ steps }) => steps).reduce((sum, step) => sum + step.seconds, 0));
  for (const { scenario, record, steps } of planned) {
    for (const { label, seconds, run, table, round, peer } of steps) {
      progress.begin(`${scenario.name} · ${label}`);
      try {
        await run();
      } catch (error) {
        record({ table, round, peer, figures: {}, problems: [error instanceof Error ? error.message : String(error)] });
      }
      progress.end(seconds);
    }
  }
  progress.clear();
  return samples;
}
