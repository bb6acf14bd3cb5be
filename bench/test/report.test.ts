import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Peer } from '../peers.js';
import { renderPage } from '../report.js';
import { type Results, resultOf } from '../results.js';
import type { Scenario } from '../scenarios/scenario.js';

const peer = (name: string, title: string): Peer => ({
  ...{ name, title, version: '1', command: [], env: {}, compiled: false, isFloor: name === 'floor', services: [] },
});
const peers = [peer('floor', 'floor (C, epoll)'), peer('sluice-epoll', 'sluice, epoll'), peer('node', 'node:http')];
const scenario: Scenario = {
  name: 'hello',
  title: 'Hello',
  text: 'What is done.',
  size: () => '2 rounds',
  tables: [{ name: 't', title: 'T', columns: [{ key: 'cpu', title: 'CPU', unit: 'µs', digits: 1, ratio: true }] }],
  async run() {},
};
const samples = new Map([
  [
    't',
    [1, 2].flatMap((round) => [
      { peer: 'floor', round, figures: { cpu: 5 } },
      { peer: 'sluice-epoll', round, figures: { cpu: 6 } },
      { peer: 'node', round, figures: { cpu: 20 } },
    ]),
  ],
]);

function page(problems: string[]): string {
  const results: Results = {
    ...{ date: '2026-01-02T03:04:05Z', command: ['--quick'], quick: true, seconds: 60, facts: { machine: 'M' } },
    ...{ peers: [], missing: [{ name: 'go', title: 'Go', reason: 'go is not installed' }], problems },
    scenarios: [resultOf(scenario, true, peers, samples)],
  };
  return renderPage(results, new Set());
}

test('the page shows figures and their ratios to the floor and to node:http', () => {
  const text = page([]);
  assert.match(text, /\| +\| CPU, µs \| × floor \| × node:http \|/);
  assert.match(text, /\| sluice, epoll +\| +6\.0 \| +1\.20 \| +0\.30 \|/);
  assert.match(text, /\| Go +\| not measured: go is not installed \|/);
  assert.doesNotMatch(text, /This run is invalid/);
});

test('a run with problems says so', () => {
  const text = page(['hello, Go: it broke']);
  assert.match(text, /This run is invalid/);
  assert.match(text, /## What went wrong\n\n- hello, Go: it broke/);
});
