// The corpus against servers that echo, in both faces, and against the client: over a simulated network that cuts, merges and delays, and over sockets
// on every event layer.

import { test } from 'node:test';
import { Random } from '#sluice/event-layer/simulated/random.js';
import type { SimulatedOptions } from '#sluice/event-layer/simulated/simulated.js';
import { layers } from '../support/layers.js';
import { corpus } from './corpus/all.js';
import { isBulky } from './corpus/case.js';
import { faces } from './echo.js';
import { simulate, simulateClients } from './simulation.js';
import { type Cut, overSockets } from './sockets.js';

const whole: SimulatedOptions = { pieces: 'whole', capacity: 2 ** 20 };
/** Byte by byte is once enough, since the heads of requests, which are longer than most cases, are cut as well. */
const small = (pieces: number): SimulatedOptions => ({ pieces, latency: 0.01 });
/** For those that have very many. */
const crumbs: SimulatedOptions = { pieces: 997, capacity: 2 ** 20, latency: 0.01 };
const fromClients = corpus.filter((c) => c.peer === 'client');
const fromServers = corpus.filter((c) => c.peer === 'server');
const seeds = 3;

for (const face of faces) {
  const server = `a server of ${face}`;
  test(`${fromClients.length} cases against ${server}, each in one piece with its handshake`, () =>
    simulate({ network: whole, cases: fromClients, face, isEager: true }));

  const pieces = face === 'handlers' ? 1 : 3;
  test(`${fromClients.length} cases against ${server}, in pieces of ${pieces} byte${pieces === 1 ? '' : 's'}`, async () => {
    await simulate({ network: small(pieces), cases: fromClients.filter((c) => !isBulky(c)), face });
    await simulate({ network: crumbs, cases: fromClients.filter(isBulky), face });
  });

  test(`${fromClients.length} cases against ${server}, cut, merged and delayed at random`, async () => {
    for (let seed = 0; seed < seeds; seed++) {
      const random = new Random(seed);
      const network = { seed, latency: random.whole(0, 10), capacity: random.chance(0.5) ? 4096 : undefined };
      const cases = fromClients.filter((c) => random.chance(isBulky(c) ? 0.1 : 0.6));
      try {
        await simulate({ network, cases, face, pace: random.chance(0.7) ? new Random(seed) : undefined });
      } catch (error) {
        throw new Error(`seed ${seed}: ${error instanceof Error ? error.message : error}`, { cause: error });
      }
    }
  });

  for (const { name, make, skip } of layers)
    for (const cut of ['whole', 'bytes'] satisfies Cut[])
      test(`${fromClients.length} cases against ${server} over sockets, ${name}, ${cut}`, { skip }, () =>
        overSockets(make(), face, fromClients, cut),
      );
}

test(`${fromServers.length} cases against connectWebSocket, in one piece, byte by byte, and cut at random`, async () => {
  await simulateClients(whole, fromServers);
  await simulateClients(
    small(1),
    fromServers.filter((c) => !isBulky(c)),
  );
  await simulateClients({ seed: 1, latency: 3 }, fromServers);
});
