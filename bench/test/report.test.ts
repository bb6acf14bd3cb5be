import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseArguments } from '../arguments.js';
import { compareRatios } from '../report/agreement.js';
import { renderChart } from '../report/chart.js';
import { renderTable } from '../report/markdown.js';
import { problemLines, renderPage } from '../report/page.js';
import type { Results, Sample } from '../results.js';
import type { Scenario } from '../scenario.js';
import type { Table } from '../table.js';

const table: Table = {
  name: 't',
  title: 'CPU',
  columns: [
    {
      key: 'cpu',
      title: 'CPU',
      unit: 'µs',
      digits: 1,
      ratio: true,
      chart: true,
      cost: 'CPU for a request or a message',
    },
  ],
};
const scenario: Scenario = {
  ...{ name: 's', title: 'A <scenario>', text: 'It is measured.', wrk: false, tables: [table] },
  settings: () => '1 round',
  blocks: () => [],
};
const peers = [
  { name: 'floor', title: 'floor (C)', version: '1' },
  { name: 'a', title: 'A', version: '2' },
  { name: 'b', title: 'B', version: '', missing: 'there is no b' },
];

function results(cpu: number, problems: string[] = []): Results {
  const of = (peer: string, value: number): Sample => ({
    ...{ scenario: 's', table: 't', round: 1, peer, figures: { cpu: value }, problems: peer === 'a' ? problems : [] },
  });
  return {
    ...{ format: 1, date: '2026-01-01T00:00:00.000Z', command: ['--quick'], quick: true, seconds: 60 },
    machine: { processor: 'p', cores: 2, memory: 2 ** 34, system: 's', separation: 'none' },
    ...{ versions: {}, peers, scenarios: [{ name: 's', settings: '1 round' }] },
    samples: [of('floor', 10), of('a', cpu)],
    valid: problems.length === 0,
  };
}

test('a table names every peer, and says why one is missing', () => {
  const text = renderTable(table, peers, results(20).samples, true);
  assert.match(text, /\| +\| CPU, µs \| × floor \|/);
  assert.match(text, /\| A +\| +20\.0 \| +2\.00 \|/);
  assert.match(text, /\| B +\| not to be had: there is no b \|/);
});

test('what was dropped for a problem in one table says so in the others of the scenario', () => {
  const failed: Sample = {
    ...{ scenario: 's', table: 'u', round: 1, peer: 'a', figures: {}, problems: ['it did not start'] },
  };
  const [floor] = results(20).samples;
  assert.ok(floor);
  assert.match(renderTable(table, peers, [floor], true, [failed]), /\| A +\| INVALID: it did not start/);
  assert.doesNotMatch(renderTable(table, peers, results(20).samples, true, [failed]), /INVALID/);
});

test('a sample with a problem is shown as invalid, in the table and on the page', () => {
  const invalid = results(20, ['3 of 7 answers were not 2xx']);
  assert.match(renderTable(table, peers, invalid.samples, true), /\| A +\| INVALID: 3 of 7 answers/);
  assert.deepEqual(problemLines(invalid), ['s, t, round 1, a: 3 of 7 answers were not 2xx']);
  assert.match(renderPage(invalid, [scenario], new Set()), /This run is invalid/);
});

test('the page says how to repeat the run', () => {
  assert.match(renderPage(results(20), [scenario], new Set(['s'])), /npm run bench -- --quick/);
});

test('the page, and the comparison with the run before, say how the memory of the machine was', () => {
  const withLoads = (loads: number[]): Results => {
    const run = results(20);
    return { ...run, machine: { ...run.machine, loads } };
  };
  const slow = withLoads([100, 300, 200]);
  assert.match(renderPage(slow, [scenario], new Set()), /a load from 4 MiB of memory \| 200 ns \(100 to 300 /);
  assert.doesNotMatch(renderPage(results(20), [scenario], new Set()), /a load from 4 MiB of memory \|/);
  assert.match(compareRatios(withLoads([20]), slow, [scenario]).join('\n'), /took 20 ns then, 200 ns now/);
});

test('a chart is an SVG in which text is escaped', () => {
  const svg = renderChart(scenario, results(20)) ?? '';
  assert.match(svg, /^<svg /);
  assert.match(svg, /A &lt;scenario&gt;/);
});

test('two runs agree on ratios within 15 %', () => {
  assert.match(compareRatios(results(20), results(22), [scenario]).join('\n'), /1 of 1 ratios of CPU/);
  assert.match(compareRatios(results(20), results(24), [scenario]).join('\n'), /0 of 1 ratios of CPU.*\n.*\+20 %/);
});

test('ratios of CPU are counted apart from the others', () => {
  const switches: Table = {
    ...table,
    columns: table.columns.map((column) => ({ ...column, cost: 'time for a switch' })),
  };
  const other: Scenario = { ...scenario, tables: [table, switches] };
  const text = compareRatios(results(20), results(24), [other]).join('\n');
  assert.match(text, /0 of 1 ratios of CPU for a request or a message/);
  assert.match(text, /0 of 1 ratios of time for a switch/);
});

test('a column that was not measured is left out', () => {
  const columns = [...table.columns, { key: 'p99', title: 'p99', digits: 0 }];
  assert.doesNotMatch(renderTable({ ...table, columns }, peers, results(20).samples), /p99/);
});

test('what is not known on the command line is refused', () => {
  const known = { scenarios: ['hello'], peers: ['sluice', 'node', 'bun'], layers: ['epoll'] };
  assert.deepEqual(parseArguments(['hello', '--peers', 'node,bun'], known).peers, ['node', 'bun']);
  assert.throws(() => parseArguments(['hallo'], known), /unknown scenario hallo/);
  assert.throws(() => parseArguments(['--peers='], known), /--peers is empty/);
  assert.throws(() => parseArguments(['--peers', 'nodde'], known), /unknown peer nodde/);
  assert.throws(() => parseArguments(['--layer', 'kqueue'], known), /unknown event layer kqueue/);
  assert.throws(() => parseArguments(['--layer', 'epoll', '--peers', 'node'], known), /--layer epoll .* --peers node/);
});
