// The bench's command: finds the peers, runs the scenarios, prints the tables, and writes the JSON, the charts and the page.

import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { parseArguments, usage } from './arguments.js';
import { wrkHint, wrkVersion } from './load/wrk.js';
import { describeMachine, versionOf } from './machine.js';
import { MemoryGauge } from './memory-gauge.js';
import { resultsFolder } from './paths.js';
import { findPeers, layerNames, node, peerNames } from './peers.js';
import { endAll } from './processes.js';
import { writePage } from './render.js';
import { compareRatios } from './report/agreement.js';
import { problemLines, renderScenario } from './report/page.js';
import type { Results, Spent } from './results.js';
import { runScenarios } from './run.js';
import { parties, scenarios } from './scenarios/index.js';

process.once('exit', endAll);
for (const [signal, code] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const) {
  process.once(signal, () => process.exit(code));
}

const command = process.argv.slice(2);
const options = readArguments();
const wrk = wrkVersion();
const chosen = scenarios.filter(({ name }) => options.scenarios.length === 0 || options.scenarios.includes(name));
const runnable = chosen.filter((scenario) => wrk !== undefined || !scenario.wrk);
if (wrk === undefined) {
  const left = chosen.filter((scenario) => scenario.wrk).map(({ name }) => name);
  if (left.length > 0) console.error(`bench: ${wrkHint}. Left out: ${left.join(', ')}`);
}
if (runnable.length === 0) process.exit(1);

/** How often the memory is looked at. */
const secondsBetweenLooks = 5;

const begun = Date.now();
const { peers, records } = findPeers(options.peers, options.layers);
const gauge = new MemoryGauge();
const times = new Map<string, Spent>(runnable.map(({ name }) => [name, { ready: 0, measuring: 0 }]));
const samples = await runScenarios(
  runnable,
  peers,
  options.quick,
  parties,
  () => gauge.look(secondsBetweenLooks),
  (scenario, seconds, measures) => {
    const spent = times.get(scenario);
    if (spent !== undefined) spent[measures ? 'measuring' : 'ready'] += seconds;
  },
);
const results: Results = {
  format: 1,
  date: new Date(begun).toISOString(),
  command,
  quick: options.quick,
  seconds: (Date.now() - begun) / 1000,
  machine: { ...describeMachine(), loads: gauge.readings },
  versions: { wrk: wrk ?? 'missing', 'Node of servers and crowd': versionOf(node, '--version') ?? '' },
  peers: records,
  scenarios: runnable.map(({ name, settings }) => {
    const spent = times.get(name);
    return { name, settings: settings(options.quick), ...(spent && { spent }) };
  }),
  samples,
  valid: samples.length > 0 && samples.every(({ problems }) => problems.length === 0),
};

for (const scenario of runnable) {
  console.log(`\n## ${scenario.title} (${scenario.name})\n\n${renderScenario(scenario, results, true).join('\n')}`);
}
console.log(
  `\nSeconds to get ready, and to measure: ${[...times].map(([name, { ready, measuring }]) => `${name} ${ready.toFixed(0)} + ${measuring.toFixed(0)}`).join(', ')}`,
);
write();
if (!results.valid) {
  console.error(`\nbench: INVALID\n${problemLines(results).join('\n') || 'nothing was measured'}`);
  process.exit(1);
}

function readArguments() {
  try {
    const known = { scenarios: scenarios.map(({ name }) => name), peers: peerNames, layers: layerNames };
    const parsed = parseArguments(command, known);
    if (!parsed.help) {
      makeFolder(parsed.results ?? resultsFolder); // before an hour of measuring, and not after it
      return parsed;
    }
    console.log(usage);
    process.exit(0);
  } catch (error) {
    console.error(`bench: ${(error as Error).message}\n\n${usage}`);
    process.exit(2);
  }
}

/** @throws {Error} if results cannot be written there */
function makeFolder(folder: string): void {
  try {
    // One by one: Node's `recursive` never comes back from a file system that takes no new folders, like /proc.
    const missing: string[] = [];
    for (let path = resolve(folder); !existsSync(path); path = dirname(path)) missing.unshift(path);
    for (const path of missing) mkdirSync(path);
    rmdirSync(mkdtempSync(join(folder, 'tried-'))); // what permissions say is not all: it may be a file, or /proc
  } catch (error) {
    throw new Error(`results cannot be written into ${folder}: ${(error as Error).message}`);
  }
}

/** Writes the JSON, and says how its ratios compare with those of the one before; and, if the run was a whole one, the charts and the page: they are not to be mixed from several runs. */
function write(): void {
  const folder = options.results ?? resultsFolder;
  const { scenarios: named, peers: only, layers, results: elsewhere } = options;
  const isPart = named.length > 0 || only !== undefined || layers !== undefined;
  // The figures of the whole are not to be lost to a look at some of them.
  const latest = join(folder, isPart && elsewhere === undefined ? 'partial.json' : 'latest.json');
  if (existsSync(latest)) {
    const before = JSON.parse(readFileSync(latest, 'utf8')) as Results;
    for (const line of compareRatios(before, results, scenarios)) console.log(line);
  }
  writeFileSync(latest, `${JSON.stringify(results, undefined, 1)}\n`);
  console.log(`\nWritten: ${relative('', latest)}`);
  if (isPart || elsewhere !== undefined) {
    console.log(
      'The charts and docs/performance.md are written by a run of everything: npm run bench, with or without --quick',
    );
    return;
  }
  const charts = writePage(results);
  console.log(`Written: docs/performance.md, docs/figures/ (${charts.join(', ')})`);
}
