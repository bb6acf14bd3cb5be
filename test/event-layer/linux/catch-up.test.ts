// `catchUp` resolves even if connections close whose events were expected.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { describe, test } from 'node:test';
import type { Slot } from '#sluice/event-layer/event-layer.js';
import { noopSink } from '#sluice/event-layer/noop-sink.js';
import { linuxLayers } from '../../support/layers.js';

/** More than the epoll layer takes from the kernel at once. */
const count = 1100;
const atOnce = 1024;

for (const { name, make, skip } of linuxLayers)
  describe(name, { skip }, () => {
    test('catching up with more connections than fit in one look, all of which are reset meanwhile', async () => {
      const layer = make();
      const slots: Slot[] = [];
      let received = 0;
      let accepted = (): void => {};
      const allAccepted = new Promise<void>((resolve) => {
        accepted = resolve;
      });
      layer.start({
        ...noopSink,
        accepted(slot) {
          if (slots.push(slot) === count) accepted();
        },
        received() {
          // After the turn, which has counted on an event of each connection.
          if (++received === atOnce) setImmediate(() => slots.forEach((slot) => void layer.reset(slot)));
        },
      });
      const { address } = await layer.listen({ address: { hostname: '127.0.0.1', port: 0 }, backlog: count });
      assert.ok('port' in address);
      const { port } = address;
      const clients = Array.from({ length: count }, () => connect(port, '127.0.0.1').on('error', () => {}));
      await Promise.all([...clients.map((client) => once(client, 'connect')), allAccepted]);
      const caughtUp = layer.catchUp();
      for (const client of clients) client.write('x');
      await caughtUp;
      for (const client of clients) client.destroy();
      await layer.close();
    });
  });
