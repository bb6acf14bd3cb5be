// The short form of the fuzzing: always the same cases, or those of FUZZ_SEED. `npm run fuzz` is the long one, and repeats what fails
// in either.

import { test } from 'node:test';
import fc from 'fast-check';
import { properties, Tally } from './properties.js';

const seed = Number(process.env.FUZZ_SEED ?? 9112);
if (!Number.isInteger(seed)) throw new Error(`FUZZ_SEED is ${process.env.FUZZ_SEED}; expected a whole number`);

for (const { id, name, runs, make } of properties) {
  test(name, async (t) => {
    const tally = new Tally();
    const details = await fc.check(make(tally), { seed, numRuns: runs, includeErrorInReport: true });
    for (const [what, count] of [...tally.counts].sort()) t.diagnostic(`${what}: ${count}`);
    if (!details.failed) return;
    const repeat = `npm run fuzz -- --property ${id} --seed ${details.seed} --path ${details.counterexamplePath}`;
    throw new Error(`to repeat it: ${repeat}\n${fc.defaultReportMessage(details)}`);
  });
}
