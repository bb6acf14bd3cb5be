// Runs the world of a seed, and says which seed has failed and how to run it again.

import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';
import { inspect } from 'node:util';
import type { SimulatedOptions } from '#sluice/event-layer/simulated/simulated.js';
import { Client } from './clients.js';
import { Observer } from './observer.js';
import { planOf } from './plan.js';

export interface Lived {
  /** The same for every run of the same seed. */
  digest: string;
  turns: number;
  clients: number;
  requests: number;
  answers: number;
  /** Virtual milliseconds. */
  time: number;
  isSound: boolean;
  /** Of each client that nothing keeps from getting all that it has asked for. */
  exact: unknown[];
}

interface Changes {
  /** How the network cuts, in place of what the seed says. */
  pieces?: SimulatedOptions['pieces'];
  /** What the world is made of. */
  world?: typeof Observer;
}

/** @throws with the seed, and what happened last */
export async function live(seed: number, { pieces, world: Making = Observer }: Changes = {}): Promise<Lived> {
  const plan = planOf(seed);
  const world = new Making({ ...plan.network, ...(pieces === undefined ? {} : { pieces }) }, plan.options);
  try {
    await world.open();
    const clients = plan.clients.map((client) => new Client(world, client, seed));
    for (const { at, deadline } of plan.closes) world.later(at, () => world.closeServer(deadline));
    await world.runToEnd();
    for (const client of clients) client.check();
    return {
      digest: world.trace.digest,
      turns: world.layer.turns,
      clients: clients.length,
      requests: world.ledger.calls.length,
      answers: clients.reduce((sum, client) => sum + client.outcome.parser.responses.length, 0),
      time: world.layer.now(),
      isSound: plan.isSound,
      exact: clients.filter((client) => client.plan.isExact).map((client) => client.answers),
    };
  } catch (error) {
    const what = inspect(error);
    const manner = inspect({ network: plan.network, options: plan.options, closes: plan.closes }, { breakLength: 140 });
    throw new Error(
      `seed ${seed}; to run it alone: npm run simulate -- --seed ${seed}\n${what}\nin a world of\n${manner}\nafter\n${world.trace.last()}`,
    );
  }
}

/** Every so many seeds a world is lived through twice, and every so many with other cuts. */
const twice = 10;
const otherwise = 5;

/** Runs a seed, some of them again: the same must come of it. @throws as `live` */
export async function trial(seed: number): Promise<Lived> {
  const lived = await live(seed);
  if (seed % twice === 0) {
    const { digest } = await live(seed);
    assert.equal(digest, lived.digest, `seed ${seed}: another run of it is another`);
  }
  if (seed % otherwise === 0 && lived.isSound) {
    const { exact } = await live(seed, { pieces: seed % (2 * otherwise) === 0 ? 'whole' : 'random' });
    assert.deepEqual(exact, lived.exact, `seed ${seed}: cut otherwise, clients get something else`);
  }
  return lived;
}

/** A child of scripts/simulate.mjs: runs every `step`th seed from `from` up to `to` (exclusive), and reports each. */
if (process.send !== undefined && process.argv[1] === fileURLToPath(import.meta.url)) {
  const [from, to, step] = process.argv.slice(2).map(Number);
  for (let seed = from; seed < to; seed += step) {
    const tell = (reported: object) => process.send?.({ seed, ...reported });
    try {
      const { turns, clients, requests, answers, time } = await trial(seed);
      tell({ turns, clients, requests, answers, time });
    } catch (error) {
      tell({ failure: error instanceof Error ? error.message : inspect(error) });
    }
  }
  process.disconnect();
}
