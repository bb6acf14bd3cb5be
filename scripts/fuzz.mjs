// The long form of the fuzzing: `npm run fuzz -- --minutes 10`. Tries the properties of test/fuzz/properties.ts with one seed after
// the other, in a process of its own, so that a run that does not come to an end is found as well. Says each half minute how far it
// is, and at the end how often each outcome has come. Exits with 1 if anything was found; each failure says how to repeat it.
//
//   --minutes N      how long. Default 1
//   --seed N         the first seed. Default: at random
//   --property ID    one of the properties alone, as test/fuzz/properties.ts names them: valid, mutated, both, responses, sealed-records or damaged-records
//   --path P         with --seed and --property: one case alone, as a failure has named it

import { fork } from 'node:child_process';
import { parseArgs } from 'node:util';

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '1' },
    seed: { type: 'string', default: `${Math.floor(Math.random() * 2 ** 31)}` },
    property: { type: 'string' },
    path: { type: 'string' },
  },
});
const minutes = Number(values.minutes);
if (!(minutes > 0 && minutes <= 10_000))
  throw new Error(`--minutes is ${values.minutes}; expected a number from 0 to 10000`);
if (!/^[0-9]{1,10}$/.test(values.seed) || Number(values.seed) >= 2 ** 31)
  throw new Error(`--seed is ${values.seed}; expected a whole number below 2147483648`);
if (values.path !== undefined && values.property === undefined)
  throw new Error('--path is given without --property, whose path it is');

/** A batch takes a second or two. In this time, in milliseconds, it must be over even where four others want the processor. */
const patience = 120_000;
/** Bytes that the heap may have grown by after the first batches, which have compiled and cached what there is. */
const margin = 16 * 2 ** 20;
const warmUp = 60;

/** For each property: runs, batches, and how often what came of them. */
const totals = new Map();
const most = { unread: 0, queued: 0, partialHeads: 0 };
const failures = [];
let heapThen = 0;
let heapNow = 0;
let batches = 0;
let batch = 'the first batch';

console.log(`seed ${values.seed}, ${minutes} minutes, node ${process.version}`);
const started = Date.now();
const args = [values.seed, values.property, values.path].filter((value) => value !== undefined);
const child = fork(new URL('../build/test/fuzz/campaign.js', import.meta.url), args, {
  execArgv: ['--expose-gc'],
});

function say() {
  const runs = [...totals].map(([property, { runs }]) => `${property} ${runs}`).join(', ');
  console.log(`${Math.round((Date.now() - started) / 1000)} s: ${runs}; failures: ${failures.length}`);
}

function end() {
  clearInterval(progress);
  clearTimeout(guard);
  clearTimeout(deadline);
  child.kill('SIGKILL');
}

const progress = setInterval(say, 30_000);
const deadline = setTimeout(end, minutes * 60_000);
const isLate = () => {
  failures.push(`${batch} has not come to an end in ${patience / 1000} s`);
  end();
};
let guard = setTimeout(isLate, patience);

child.on('message', (message) => {
  clearTimeout(guard);
  guard = setTimeout(isLate, patience);
  if (message.what === 'begins') {
    batch = `property ${message.property} with seed ${message.seed}`;
    return;
  }
  const total = totals.get(message.property) ?? { runs: 0, counts: new Map() };
  totals.set(message.property, total);
  total.runs += message.runs;
  for (const [what, count] of message.counts) total.counts.set(what, (total.counts.get(what) ?? 0) + count);
  for (const key of Object.keys(most)) most[key] = Math.max(most[key], message.most[key]);
  if (message.failure !== undefined) {
    failures.push(message.failure);
    console.log(message.failure);
  }
  batches++;
  if (batches <= warmUp) heapThen = Math.max(heapThen, message.heap);
  heapNow = message.heap;
});

child.on('exit', (code, signal) => {
  end();
  if (signal !== 'SIGKILL' && code !== 0) failures.push(`${batch} has ended its process with ${code ?? signal}`);
  say();
  for (const [property, { runs, counts }] of totals) {
    console.log(`\n${property}: ${runs} cases`);
    for (const [what, count] of [...counts].sort((a, b) => b[1] - a[1]))
      console.log(`${String(count).padStart(9)}  ${what}`);
  }
  console.log(
    `\nat most: ${most.unread} bytes unread and ${most.queued} queued of one connection, ${most.partialHeads} held for partial heads`,
  );
  if (batches > warmUp) {
    const mebibytes = (bytes) => (bytes / 2 ** 20).toFixed(1);
    console.log(
      `heap in use: ${mebibytes(heapThen)} MiB at most in the first ${warmUp} batches, ${mebibytes(heapNow)} MiB after the last of ${batches}`,
    );
    if (heapNow > heapThen + margin) failures.push(`the heap has grown from ${heapThen} to ${heapNow} bytes`);
  }
  for (const failure of failures) console.log(`\nFAILED: ${failure}`);
  if (failures.length === 0) console.log('nothing was found');
  process.exitCode = failures.length === 0 ? 0 : 1;
});
