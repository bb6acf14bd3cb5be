// docs/performance.md, from the results alone.

import { type Results, samplesOf } from '../results.js';
import type { Scenario } from '../scenario.js';
import { summarize } from '../statistics.js';
import { formatNumber, layOut, renderTable } from './markdown.js';

/** @param charts names of the scenarios that have a chart in docs/figures */
export function renderPage(results: Results, scenarios: readonly Scenario[], charts: ReadonlySet<string>): string {
  const { machine, date, command, quick, seconds, versions } = results;
  const facts = [
    ['', ''],
    ['date', `${date.slice(0, 16).replace('T', ' ')} UTC, ${formatNumber(seconds / 60, 0)} min`],
    ['machine', `${machine.processor}, ${machine.cores} cores, ${formatNumber(machine.memory / 2 ** 30, 0)} GiB`],
    ['system', machine.system],
    ['cores', machine.separation],
    ...memoryFacts(machine.loads),
    ['to repeat it', `\`npm run bench${command.length > 0 ? ` -- ${command.join(' ')}` : ''}\``],
    ...Object.entries(versions),
  ];
  const lines = [
    '# Performance',
    '',
    'What a connection and a request cost, beside what people use today. Written by `npm run bench`; every figure is as measured.',
    '',
    ...(results.valid ? [] : ['**This run is invalid:** there were errors, listed at the end.', '']),
    ...(quick
      ? ['This was a quick run: short, and with smaller crowds than a whole one. Its figures move more.', '']
      : []),
    layOut(facts, false, false),
    '',
    '## How it is measured',
    '',
    'Rounds of short windows go from peer to peer, and ratios (×) are taken between windows of the same round: absolute figures move ' +
      'by a third from second to second. A cell is the median of the rounds; ± is half the distance between the extremes; a ratio is the geometric mean of those within the rounds, without the lowest and the highest tenth. Every server ' +
      'is loaded until its requests get no cheaper before it is measured. CPU is that of the server, its children included, user and ' +
      'system, from `/proc/PID/task/*/schedstat`. An answer that is not 2xx, that has the wrong length, or that does ' +
      'not come makes the run invalid. Memory is the resident set of the server, without what the kernel holds. Where the load ' +
      'shares its core with a crowd of slow clients, throughput and delay show that too; CPU for a request does not. How long a load from 4 MiB of memory ' +
      'takes is looked at every five seconds. Where others on the machine have taken the larger caches away, it takes as long as one from the ' +
      'main memory, and what runs through much code and data grows dearer than the floor does: ' +
      'ratios of such a run are not those of another. The floor is ' +
      'a C program that does epoll, recv, find the end of the head, and send, and nothing else. Idle timeouts are set to 240 s for ' +
      'everybody who has one; nothing else is tuned. The raw samples are in `bench/results/latest.json`.',
    '',
    layOut(
      [
        ['peer', 'version'],
        ...results.peers.map(({ title, version, missing }) => [
          title,
          missing === undefined ? version : `not to be had: ${missing}`,
        ]),
      ],
      false,
      false,
    ),
    '',
  ];
  for (const scenario of scenarios) {
    const record = results.scenarios.find(({ name }) => name === scenario.name);
    if (record === undefined) continue;
    lines.push(`## ${scenario.title}`, '', `${scenario.text} (\`${scenario.name}\`; ${record.settings}.)`, '');
    if (charts.has(scenario.name)) lines.push(`![${scenario.title}](figures/${scenario.name}.svg)`, '');
    lines.push(...renderScenario(scenario, results));
  }
  const problems = problemLines(results);
  if (problems.length > 0) lines.push('## What went wrong', '', ...problems.map((line) => `- ${line}`), '');
  return `${lines.join('\n').trimEnd()}\n`;
}

function memoryFacts(loads: readonly number[] | undefined): string[][] {
  const figure = summarize(loads ?? []);
  if (figure === undefined) return [];
  const [median, lowest, highest] = [figure.median, figure.lowest, figure.highest].map((ns) => formatNumber(ns, 0));
  return [['a load from 4 MiB of memory', `${median} ns (${lowest} to ${highest} in the course of the run)`]];
}

/** The tables of a scenario, as lines of Markdown. */
export function renderScenario(scenario: Scenario, results: Results, compact = false): string[] {
  const failed = results.samples.filter(({ scenario: of, problems }) => of === scenario.name && problems.length > 0);
  return scenario.tables.flatMap((table) => {
    const samples = samplesOf(results, scenario, table);
    return [`**${table.title}**`, '', renderTable(table, results.peers, samples, compact, failed), ''];
  });
}

export function problemLines(results: Results): string[] {
  return results.samples.flatMap(({ scenario, table, round, peer, problems }) =>
    problems.map((problem) => `${scenario}, ${table}, round ${round}, ${peer}: ${problem}`),
  );
}
