// The bench's command: finds the peers, runs the scenarios, prints the tables, and after a run of everything writes results.json,
// docs/performance.md and the charts.

import { readFileSync } from 'node:fs';
import { cpus, release, totalmem } from 'node:os';
import { join } from 'node:path';
import { wrkVersion } from './load/wrk.js';
import { parseOptions, usage } from './options.js';
import { findPeers, folder, layers, node, type Peer, peerNames } from './peers.js';
import { canPin, clientCore, endAll, serverCore, versionOf } from './processes.js';
import { renderScenario, writePage, writeResults } from './report.js';
import { type Results, resultOf } from './results.js';
import { crowdScenarios } from './scenarios/crowds.js';
import { memory } from './scenarios/memory.js';
import { requestScenarios } from './scenarios/requests.js';
import type { Context } from './scenarios/scenario.js';
import { socketScenarios } from './scenarios/sockets.js';
import { tlsScenarios } from './scenarios/tls.js';
import type { Sample } from './statistics.js';

const scenarios = [...requestScenarios, ...socketScenarios, ...tlsScenarios, memory, ...crowdScenarios];

process.once('exit', endAll);
for (const [signal, code] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const) {
  process.once(signal, () => process.exit(code));
}

const command = process.argv.slice(2);
const options = readOptions();
const wrk = wrkVersion();
if (wrk === undefined) {
  console.error('bench: wrk is not installed (on Debian: apt-get install wrk)');
  process.exit(1);
}
const against =
  options.against === undefined ? undefined : join(folder, 'node_modules', 'sluice-against', 'dist', 'index.js');
const began = Date.now();
const { peers, missing } = findPeers(options.peers, options.layers, against);
const problems: string[] = [];
const results: Results = {
  date: new Date(began).toISOString(),
  command,
  quick: options.quick,
  seconds: 0,
  facts: {
    machine: `${cpus()[0]?.model ?? 'unknown'}, ${cpus().length} cores, ${(totalmem() / 2 ** 30).toFixed(0)} GiB`,
    system: `Linux ${release()}${distribution()}`,
    cores: canPin ? `servers on core ${serverCore}, clients on core ${clientCore}` : 'shared: taskset is not installed',
    wrk,
    'Node of servers and clients': versionOf(node, '--version') ?? '',
  },
  peers: peers.map(({ title, version }) => ({ title, version })),
  missing,
  scenarios: [],
  problems,
};

for (const scenario of scenarios) {
  if (options.scenarios.length > 0 && !options.scenarios.includes(scenario.name)) continue;
  const obstacle = scenario.obstacle?.();
  if (obstacle !== undefined) {
    missing.push({ name: scenario.name, title: `The scenario ${scenario.name}`, reason: obstacle });
    continue;
  }
  const samples = new Map<string, Sample[]>();
  const context: Context = {
    peers,
    quick: options.quick,
    record(table, sample) {
      const list = samples.get(table) ?? [];
      samples.set(table, list);
      list.push(sample);
    },
    problem(peer: Peer, message: string) {
      problems.push(`${scenario.name}, ${peer.title}: ${message}`);
      console.error(`bench: ${problems.at(-1)}`);
    },
    progress,
  };
  await scenario.run(context);
  endAll(); // whatever a failure has left
  const result = resultOf(scenario, options.quick, peers, samples);
  results.scenarios.push(result);
  progress('');
  console.log(`\n## ${scenario.title} (${scenario.name}: ${result.size})\n\n${renderScenario(result).join('\n')}`);
}
results.seconds = (Date.now() - began) / 1000;
for (const { title, reason } of missing) console.log(`${title} was not measured: ${reason}`);
const isWhole = options.scenarios.length === 0 && options.peers === undefined && options.layers === undefined;
if (isWhole && options.against === undefined) {
  writeResults(results);
  writePage(results);
  console.log('Written: bench/results.json, docs/performance.md, docs/figures/');
}
if (problems.length > 0) {
  console.error(`\nbench: INVALID\n${problems.join('\n')}`);
  process.exit(1);
}

function readOptions() {
  try {
    const known = { scenarios: scenarios.map(({ name }) => name), peers: peerNames, layers };
    const parsed = parseOptions(command, known);
    if (!parsed.help) return parsed;
    console.log(usage);
    process.exit(0);
  } catch (error) {
    console.error(`bench: ${(error as Error).message}\n\n${usage}`);
    process.exit(2);
  }
}

/** One line on a terminal, which the next replaces. */
function progress(what: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\u001b[K${what}`);
}

function distribution(): string {
  try {
    const name = /^PRETTY_NAME="?([^"\n]*)/m.exec(readFileSync('/etc/os-release', 'utf8'));
    return name?.[1] === undefined ? '' : `, ${name[1]}`;
  } catch {
    return ''; // systems without the file are identified by their kernel alone
  }
}
