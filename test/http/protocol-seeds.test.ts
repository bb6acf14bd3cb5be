// The protocol suite over a simulated network that cuts, merges, delays and breaks at random, one world for each seed.
// SEEDS=n runs that many seeds, on every core of the machine; SEED=n runs that one alone.

import assert from 'node:assert/strict';
import { availableParallelism } from 'node:os';
import { test } from 'node:test';
import { node, Program } from '../support/program.js';
import { cases } from './cases.js';
import { faultyRun, seedRange, soundRun } from './seeds.js';

const one = process.env.SEED === undefined ? undefined : Number(process.env.SEED);
/** Each case then comes about twelve times in either manner. CI runs 2,000. */
const usual = { sound: 30, faulty: 60 };

/** Runs the seeds from 0 up in as many processes as pay. */
async function runAll(manner: 'sound' | 'faulty'): Promise<void> {
  if (one !== undefined) {
    await seedRange(manner, one, one + 1, 1);
    return;
  }
  const count = Number(process.env.SEEDS ?? usual[manner]);
  const processes = Math.min(availableParallelism(), Math.ceil(count / 15));
  if (processes < 2) {
    await seedRange(manner, 0, count, 1);
    return;
  }
  const workers = Array.from({ length: processes }, (_, first) =>
    runProcess([manner, first, count, processes].map(String)),
  );
  await Promise.all(workers);
}

async function runProcess(args: string[]): Promise<void> {
  const { code, stderr } = await new Program(node(new URL('seeds.js', import.meta.url), ...args), { ipc: true }).ended;
  if (code !== 0) throw new Error(stderr);
}

test(`${cases.length} cases come out the same however a network cuts and merges them`, () => runAll('sound'));

test('clients and a network that break off leave nothing behind, and no other client sees it', () => runAll('faulty'));

test('the same seed gives the same run', async () => {
  const seed = one ?? 7;
  assert.equal((await soundRun(seed)).transcript, (await soundRun(seed)).transcript);
  assert.equal((await faultyRun(seed)).transcript, (await faultyRun(seed)).transcript);
});
