// A simulated network for a test: runs a task in it to its end, and sees to it that nothing is left behind.

import assert from 'node:assert/strict';
import { Network, run, SimulatedLayer, type SimulatedOptions, type Task } from '#sluice/index.js';

export interface World {
  layer: SimulatedLayer;
  network: Network;
}

export const seeds = [1, 2, 3, 4, 5, 6, 7, 8];
export const pieces = ['random', 'whole', 1] as const;

/** Runs the task on a network of its own, and checks afterwards that no connection and no timer is left. */
export async function inWorld<T>(options: SimulatedOptions, task: (world: World) => Task<T>): Promise<T> {
  const layer = new SimulatedLayer(options);
  const network = new Network(layer);
  network.scheduler.report = (error) => {
    throw error;
  };
  const result = run(() => task({ layer, network }), { scheduler: network.scheduler });
  result.catch(() => {}); // it is looked at below; until the world has stopped, nobody does
  await layer.run();
  const value = await result;
  assert.equal(layer.open, 0, 'connections are left');
  assert.equal(network.scheduler.timers.size, 0, 'timers are left armed');
  return value;
}

/** Runs the test for several seeds and ways to cut bytes; the message of what fails says which. */
export async function inManyWorlds(task: (world: World) => Task<void>, options: SimulatedOptions = {}): Promise<void> {
  for (const seed of seeds) {
    for (const cut of pieces) {
      try {
        await inWorld({ seed, pieces: cut, ...options }, task);
      } catch (error) {
        throw new Error(`seed ${seed}, pieces ${cut}: ${error instanceof Error ? error.message : error}`, {
          cause: error,
        });
      }
    }
  }
}
