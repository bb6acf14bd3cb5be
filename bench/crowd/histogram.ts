// A histogram of durations: each bucket is 2 % wider than the one before, so percentiles are within 1 %.

const growth = Math.log(1.02);
const bucketCount = 1300;

export class Histogram {
  readonly #buckets = new Uint32Array(bucketCount);

  /** @param microseconds less than one counts as one */
  add(microseconds: number): void {
    const bucket = microseconds <= 1 ? 0 : Math.floor(Math.log(microseconds) / growth);
    const place = Math.min(bucket, bucketCount - 1);
    this.#buckets[place] = (this.#buckets[place] ?? 0) + 1;
  }

  clear(): void {
    this.#buckets.fill(0);
  }

  /** The buckets that are not empty. */
  entries(): [bucket: number, count: number][] {
    return [...this.#buckets.entries()].filter(([, count]) => count > 0);
  }
}

/** The duration in microseconds that a share of all durations do not exceed; `NaN` if there are none. */
export function percentile(entries: readonly (readonly [bucket: number, count: number])[], share: number): number {
  const total = entries.reduce((sum, [, count]) => sum + count, 0);
  let left = total * share;
  for (const [bucket, count] of entries) {
    left -= count;
    if (left <= 0) return Math.exp((bucket + 0.5) * growth);
  }
  return Number.NaN;
}
