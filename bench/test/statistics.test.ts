import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Histogram, percentile } from '../crowd/histogram.js';
import type { Sample } from '../results.js';
import { figureOf, meanRatio, ratioError, ratioOf, summarize } from '../statistics.js';

const sample = (peer: string, round: number, cpu: number, problems: string[] = []): Sample => ({
  ...{ scenario: 's', table: 't', round, peer, figures: { cpu }, problems },
});

test('a summary is the median and the extremes, without what is no number', () => {
  assert.deepEqual(summarize([3, 1, Number.NaN, 2]), { median: 2, lowest: 1, highest: 3, count: 3 });
  assert.deepEqual(summarize([4, 2]), { median: 3, lowest: 2, highest: 4, count: 2 });
  assert.equal(summarize([]), undefined);
});

test('ratios are taken within a round: what changes for all from round to round changes none', () => {
  const samples = [sample('floor', 1, 10), sample('a', 1, 20), sample('floor', 2, 15), sample('a', 2, 30)];
  assert.equal(ratioOf(samples, 'a', 'floor', 'cpu'), 2);
});

test('a ratio is the geometric mean of the rounds, without the lowest and the highest tenth', () => {
  const near = (ratio: number | undefined, wanted: number) =>
    assert.ok(Math.abs((ratio ?? 0) - wanted) < 1e-9, `${ratio}`);
  near(meanRatio([9, 1, 2, 8, Number.NaN]), 4);
  near(meanRatio([7, 2, 3]), 3);
  near(meanRatio([2, 8]), 4);
  near(meanRatio([...Array(9).fill(2), ...Array(9).fill(8), 0.001, 0.001, 900, 900]), 4);
  assert.equal(meanRatio([]), undefined);
});

test('a ratio needs both samples of its round', () => {
  const samples = [sample('floor', 1, 10), sample('a', 2, 30)];
  assert.equal(ratioOf(samples, 'a', 'floor', 'cpu'), undefined);
});

test('a ratio is taken to that sample of its round which has the figure', () => {
  const memory: Sample = { ...sample('floor', 1, 0), figures: { memory: 5 } };
  const samples = [memory, sample('floor', 1, 10), sample('a', 1, 20)];
  assert.equal(ratioOf(samples, 'a', 'floor', 'cpu'), 2);
});

test('samples with problems count nowhere', () => {
  const samples = [sample('a', 1, 20), sample('a', 2, 99, ['500'])];
  assert.equal(figureOf(samples, 'a', 'cpu')?.median, 20);
});

test('percentiles of a histogram are right to 2 %', () => {
  const histogram = new Histogram();
  for (let i = 1; i <= 10_000; i++) histogram.add(i);
  const entries = histogram.entries();
  for (const share of [0.5, 0.99]) {
    const found = percentile(entries, share);
    assert.ok(Math.abs(found / (share * 10_000) - 1) < 0.02, `${share}: ${found}`);
  }
  histogram.clear();
  assert.ok(Number.isNaN(percentile(histogram.entries(), 0.5)));
});

test('the standard error of a ratio is a part of it', () => {
  const samples = [1, 2, 3, 4].flatMap((round) => [
    sample('floor', round, 10),
    sample('a', round, round % 2 === 0 ? 20 : 20 * Math.E),
  ]);
  const error = ratioError(samples, 'a', 'floor', 'cpu') ?? 0;
  assert.ok(Math.abs(error - Math.sqrt(1 / 3 / 4)) < 1e-9, `${error}`);
  assert.equal(ratioError(samples, 'floor', 'floor', 'cpu'), 0);
  assert.equal(ratioError(samples.slice(0, 2), 'a', 'floor', 'cpu'), undefined);
});
