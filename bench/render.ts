// Writes the charts and docs/performance.md from the results: the last step of a run of everything, and, started by itself,
// the same from bench/results/latest.json, after a change of how they look.

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { figuresFolder, performancePage, resultsFolder } from './paths.js';
import { renderChart } from './report/chart.js';
import { renderPage } from './report/page.js';
import type { Results } from './results.js';
import { scenarios } from './scenarios/index.js';

/** @returns the names of the charts */
export function writePage(results: Results): string[] {
  mkdirSync(figuresFolder, { recursive: true });
  const charts = new Set<string>();
  for (const scenario of scenarios) {
    const chart = renderChart(scenario, results);
    if (chart === undefined) continue;
    charts.add(scenario.name);
    writeFileSync(join(figuresFolder, `${scenario.name}.svg`), chart);
  }
  writeFileSync(performancePage, renderPage(results, scenarios, charts));
  return [...charts];
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  writePage(JSON.parse(readFileSync(join(resultsFolder, 'latest.json'), 'utf8')) as Results);
}
