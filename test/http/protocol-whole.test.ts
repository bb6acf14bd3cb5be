// The protocol suite in the two extremes of how bytes may come: all that a client sends at once, and byte by byte; over a simulated
// network, and over sockets on every event layer that there is.

import { test } from 'node:test';
import { inspect } from 'node:util';
import type { SimulatedOptions } from '#sluice/event-layer/simulated/simulated.js';
import { layers } from '../support/layers.js';
import { chosenTransport } from '../support/transport.js';
import { cases, isBulky } from './cases.js';
import { simulate } from './simulation.js';
import { type Cut, overSockets } from './sockets.js';

const whole: SimulatedOptions = { pieces: 'whole', capacity: 2 ** 20 };
const bytes: SimulatedOptions = { pieces: 1, latency: 0.01 };
/** Byte by byte, for those that have very many. */
const crumbs: SimulatedOptions = { pieces: 251, latency: 0.01 };
const timeless = cases.filter((c) => !c.isVirtual);
/** Sockets do not go through the transport of the simulated tests: another one shows nothing more of them. */
const onSockets = chosenTransport === 'plain' ? layers : [];
const names: Record<Cut, string> = { whole: 'in one piece', bytes: 'byte by byte' };

/** Those whose answers do not show the scheme of the URL. */
const schemeless = timeless.filter((c) => !inspect(c.responses, { depth: 5 }).includes('http:'));

/** Each case takes a handshake, so each layer has a quarter of them. */
const overTls = onSockets.filter(({ name }) => name !== 'portable');
for (const [index, { name, make, skip }] of overTls.entries()) {
  const share = schemeless.filter((_, i) => i % 4 === index);
  test(`${share.length} cases over sockets with TLS, ${name}`, { skip }, async () => {
    await overSockets(make(), share, 'whole', true);
  });
}

for (const cut of ['whole', 'bytes'] as const) {
  test(`${cases.length} cases, each alone on a simulated network, ${names[cut]}`, async () => {
    for (const c of cases) {
      const drip = isBulky(c) ? crumbs : bytes;
      await simulate({ network: cut === 'whole' ? whole : drip, cases: [c] });
    }
  });

  for (const { name, make, skip } of onSockets) {
    test(`${timeless.length} cases over sockets, ${name}, ${names[cut]}`, { skip }, async () => {
      await overSockets(make(), timeless, cut);
    });
  }
}
