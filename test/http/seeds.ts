// What a seed of the protocol suite stands for. protocol-seeds.test.ts runs some of them itself, and many in processes of this file.

import { fileURLToPath } from 'node:url';
import { inspect } from 'node:util';
import { Random } from '#sluice/event-layer/simulated/random.js';
import { type Case, cases, isBulky } from './cases.js';
import { type Result, simulate } from './simulation.js';

/** Some of the cases, and fewer of the bulky ones, which take as long as ten others, on a network that cuts and merges, and of which nothing breaks. */
export function soundRun(seed: number): Promise<Result> {
  const random = new Random(seed);
  return simulate({
    network: { seed, latency: random.whole(0, 10) },
    cases: shuffled(random, cases).filter((c) => random.chance(isBulky(c) ? 0.1 : 0.4)),
    pace: random.chance(0.5) ? new Random(seed) : undefined,
  });
}

/** Some of the cases on a network that resets connections, lets clients vanish in the middle of a message, and takes little at once. */
export function faultyRun(seed: number): Promise<Result> {
  const random = new Random(seed);
  return simulate({
    network: {
      seed,
      latency: random.whole(0, 10),
      capacity: random.chance(0.5) ? 4096 : undefined,
      faults: { refuse: 0.01, reset: random.next() * 0.05, vanish: random.next() * 0.05 },
    },
    cases: shuffled(random, cases).filter((c) => random.chance(isBulky(c) ? 0.05 : 0.2)),
    pace: random.chance(0.7) ? new Random(seed) : undefined,
    isFaulty: true,
  });
}

function shuffled(random: Random, all: readonly Case[]): Case[] {
  const order = [...all];
  for (let i = order.length - 1; i > 0; i--) {
    const j = random.whole(0, i);
    [order[i], order[j]] = [order[j], order[i]];
  }
  return order;
}

/** Runs every `step`th seed from `from` up to `to` (exclusive). @throws naming the first seed that fails */
export async function seedRange(manner: 'sound' | 'faulty', from: number, to: number, step: number): Promise<void> {
  const run = manner === 'sound' ? soundRun : faultyRun;
  for (let seed = from; seed < to; seed += step) {
    try {
      await run(seed);
    } catch (error) {
      throw new Error(`seed ${seed}, ${manner} network; to run it alone: SEED=${seed} npm test\n${inspect(error)}`);
    }
  }
}

if (process.send !== undefined && process.argv[1] === fileURLToPath(import.meta.url)) {
  const [manner, from, to, step] = process.argv.slice(2);
  seedRange(manner === 'faulty' ? 'faulty' : 'sound', Number(from), Number(to), Number(step)).then(
    () => process.disconnect(),
    (error: Error) => {
      process.stderr.write(error.message);
      process.exitCode = 1;
      process.disconnect();
    },
  );
}
