import assert from 'node:assert/strict';
import { test } from 'node:test';
import { figureOf, ratioOf, type Sample, summarize } from '../statistics.js';

const sample = (peer: string, round: number, cpu: number): Sample => ({ peer, round, figures: { cpu } });

test('a figure is the median, with the extremes', () => {
  assert.deepEqual(summarize([5, 1, 3, Number.NaN]), { median: 3, lowest: 1, highest: 5, count: 3 });
  assert.equal(summarize([4, 2])?.median, 3);
  assert.equal(summarize([]), undefined);
  assert.equal(figureOf([sample('a', 1, 2), sample('b', 1, 9)], 'a', 'cpu')?.median, 2);
});

test('a ratio is the median of the ratios within the rounds, not the ratio of the medians', () => {
  const samples = [
    ...[sample('a', 1, 10), sample('b', 1, 5)],
    ...[sample('a', 2, 30), sample('b', 2, 10)],
    ...[sample('a', 3, 4), sample('b', 3, 1)],
  ];
  assert.equal(ratioOf(samples, 'a', 'b', 'cpu'), 3);
});

test('a round in which the baseline was not measured does not count', () => {
  const samples = [sample('a', 1, 10), sample('b', 1, 5), sample('a', 2, 100)];
  assert.equal(ratioOf(samples, 'a', 'b', 'cpu'), 2);
  assert.equal(ratioOf(samples, 'a', 'c', 'cpu'), undefined);
});
