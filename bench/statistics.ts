// From samples to figures: medians, their spread, and ratios taken within rounds.

/** One measurement of one peer. Ratios are taken between samples of the same round: they were taken within a second or two. */
export interface Sample {
  peer: string;
  round: number;
  figures: Readonly<Record<string, number>>;
}

export interface Figure {
  median: number;
  lowest: number;
  highest: number;
  count: number;
}

/** @returns undefined if there is no value */
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

export function figureOf(samples: readonly Sample[], peer: string, key: string): Figure | undefined {
  const own = samples.filter((sample) => sample.peer === peer);
  return summarize(own.map(({ figures }) => figures[key] ?? Number.NaN));
}

/** The median of the ratios within each round. */
export function ratioOf(samples: readonly Sample[], peer: string, baseline: string, key: string): number | undefined {
  const ratios = samples
    .filter((sample) => sample.peer === peer)
    .map(({ round, figures }) => {
      const other = samples.find(
        (sample) => sample.peer === baseline && sample.round === round && key in sample.figures,
      );
      return (figures[key] ?? Number.NaN) / (other?.figures[key] ?? Number.NaN);
    });
  return summarize(ratios)?.median;
}
