// A process of the long form, which scripts/fuzz.mjs starts: tries the properties in turn until it is ended, and reports each batch.
//
//   node campaign.js SEED [PROPERTY [PATH]]

import fc from 'fast-check';
import { type Property, properties, Tally } from './properties.js';

const batch = 100;

/** The messages: that a batch begins, and what has come of it. */
export type Told =
  | { what: 'begins'; property: string; seed: number }
  | {
      what: 'over';
      property: string;
      runs: number;
      counts: [string, number][];
      most: Tally['most'];
      /** Bytes of the heap that are in use. */
      heap: number;
      failure: string | undefined;
    };

const [seedText, id, path] = process.argv.slice(2);
const chosen = properties.filter((property) => id === undefined || property.id === id);
if (chosen.length === 0)
  throw new Error(`--property is ${id}; expected one of ${properties.map((property) => property.id).join(', ')}`);

const tell = (reported: Told) => new Promise((resolve) => process.send?.(reported, undefined, undefined, resolve));

async function tryBatch({ id, make }: Property, seed: number): Promise<boolean> {
  await tell({ what: 'begins', property: id, seed });
  const tally = new Tally();
  const details = await fc.check(make(tally), { seed, path, numRuns: batch, includeErrorInReport: true });
  const repeat = `npm run fuzz -- --property ${id} --seed ${seed} --path ${details.counterexamplePath}`;
  globalThis.gc?.();
  await tell({
    ...{ what: 'over', property: id, runs: details.numRuns, counts: [...tally.counts], most: tally.most },
    heap: process.memoryUsage().heapUsed,
    failure: details.failed ? `to repeat it: ${repeat}\n${fc.defaultReportMessage(details)}` : undefined,
  });
  return !details.failed;
}

const sound = new Set(chosen);
for (let seed = Number(seedText); sound.size > 0; seed = (seed + 1) % 2 ** 31) {
  for (const property of sound) if (!(await tryBatch(property, seed))) sound.delete(property);
  if (path !== undefined) break;
}
process.disconnect?.();
