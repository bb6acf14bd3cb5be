// From samples to what a table shows: medians, their spread, and the mean of the ratios within rounds.

import type { Sample } from './results.js';

/** A sample, as far as it matters here. */
export type Measured = Pick<Sample, 'peer' | 'round' | 'figures' | 'problems'>;

/** What is known of one figure of one row. */
export interface Figure {
  median: number;
  lowest: number;
  highest: number;
  count: number;
}

export function summarize(values: readonly number[]): Figure | undefined {
  const sorted = values.filter(Number.isFinite).sort((a, b) => a - b);
  const [lowest] = sorted;
  const highest = sorted.at(-1);
  if (lowest === undefined || highest === undefined) return undefined;
  const middle = (sorted.length - 1) / 2;
  const below = sorted[Math.floor(middle)] ?? lowest;
  const above = sorted[Math.ceil(middle)] ?? highest;
  return { median: (below + above) / 2, lowest, highest, count: sorted.length };
}

/** A figure of a row, over the good samples of all rounds. */
export function figureOf(samples: readonly Measured[], peer: string, key: string): Figure | undefined {
  return summarize(good(samples, peer).map((sample) => sample.figures[key] ?? Number.NaN));
}

/** The ratio of a row's figure to the baseline's: the `meanRatio` of those within each round. */
export function ratioOf(samples: readonly Measured[], peer: string, baseline: string, key: string): number | undefined {
  return meanRatio(ratiosOf(samples, peer, baseline, key));
}

/** The standard error of that ratio, as a part of it; undefined where there are not two rounds to tell from. */
export function ratioError(
  samples: readonly Measured[],
  peer: string,
  baseline: string,
  key: string,
): number | undefined {
  const logarithms = ratiosOf(samples, peer, baseline, key).filter(Number.isFinite).map(Math.log);
  const { length } = logarithms;
  if (length < 2) return undefined;
  const mean = logarithms.reduce((sum, value) => sum + value, 0) / length;
  const squares = logarithms.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return Math.sqrt(squares / (length - 1) / length);
}

/** For each round the ratio of the two figures; NaN where one is missing. */
function ratiosOf(samples: readonly Measured[], peer: string, baseline: string, key: string): number[] {
  const base = good(samples, baseline);
  return good(samples, peer).map((sample) => {
    const other = base.find(({ round, figures }) => round === sample.round && figures[key] !== undefined);
    return (sample.figures[key] ?? Number.NaN) / (other?.figures[key] ?? Number.NaN);
  });
}

/**
 * The geometric mean without the lowest and the highest tenth, and at least one of each if there are three values. Not the median, nor
 * a mean of the middle half: a machine has two speeds, each for a round or two or for minutes, that do not cost all peers the same, and
 * what lies in the middle is now the one and now the other, whichever came a little more often.
 */
export function meanRatio(ratios: readonly number[]): number | undefined {
  const sorted = ratios.filter(Number.isFinite).sort((a, b) => a - b);
  if (sorted.length === 0) return undefined;
  const cut = sorted.length < 3 ? 0 : Math.max(1, Math.floor(sorted.length / 10));
  const kept = sorted.slice(cut, sorted.length - cut);
  return Math.exp(kept.reduce((sum, ratio) => sum + Math.log(ratio), 0) / kept.length);
}

function good(samples: readonly Measured[], peer: string): Measured[] {
  return samples.filter((sample) => sample.peer === peer && sample.problems.length === 0);
}
