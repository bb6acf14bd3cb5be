// What things cost, asserted so that it depends neither on the machine nor on what else runs on it.

import assert from 'node:assert/strict';

/** The most memory for what is parked, in bytes: a thread with its connection, on the clock or flooded, without what is queued. */
export const parkedMemory = 768;

/** Microseconds of processor time. What other processes do does not count. */
function time(work: () => void): number {
  const before = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(before);
  return user + system;
}

/**
 * Asserts that time is in proportion to size: work on `factor` times the size takes about as long as `factor` times the work.
 * Where it is quadratic, it takes `factor` times as long, for the part of it that is.
 * @param work on that much; it includes making what is worked on
 */
export function assertProportional(work: (size: number) => void, size: number, factor = 32): void {
  const most = 4;
  let least = Infinity;
  // Collections of garbage and the compiler can only make an attempt slower, so the best one counts.
  for (let attempt = 0; attempt < 5 && least > most; attempt++) {
    const long = time(() => work(size * factor));
    const short = time(() => {
      for (let n = 0; n < factor; n++) work(size);
    });
    least = Math.min(least, long / short);
  }
  assert.ok(least <= most, `${factor} times the size takes ${(least * factor).toFixed(0)} times as long`);
}
