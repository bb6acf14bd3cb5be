// A crowd of clients comes at once. The clients are sockets of node:net, in the same process as the layer.

import assert from 'node:assert/strict';
import { connect, type Socket } from 'node:net';
import { describe, it } from 'node:test';
import { departuresPerTurn } from '#sluice/event-layer/departures.js';
import type { EventLayer } from '#sluice/event-layer/event-layer.js';
import { loadLibraries } from '#sluice/event-layer/linux/libc.js';
import { UringLayer } from '#sluice/event-layer/uring/uring.js';
import { realTime } from '../contract/contract.js';
import { type End, Harness } from '../contract/harness.js';
import { linuxLayers } from '../support/layers.js';
import { skip } from '../support/linux.js';

const crowd = 200;

/** Plays with a crowd of clients that are connecting. */
async function play<Layer extends EventLayer>(
  layer: Layer,
  scene: (harness: Harness, clients: Socket[], layer: Layer) => Promise<void>,
): Promise<void> {
  const harness = new Harness(layer, realTime);
  harness.onAccepted = (end) => {
    end.onEnded = () => end.finish();
  };
  const { address } = await harness.listen();
  const port = 'port' in address ? address.port : assert.fail();
  const clients = Array.from({ length: crowd }, () => connect(port, '127.0.0.1').on('error', () => {}));
  try {
    await scene(harness, clients, layer);
  } catch (error) {
    await layer.close();
    throw error;
  } finally {
    for (const client of clients) client.destroy();
  }
  await harness.until(() => harness.open === 0, 'all to leave');
  await harness.over();
}

for (const { name, make, skip } of linuxLayers) {
  describe(`a crowd comes at once, on ${name}`, { skip }, () => {
    it(`no turn accepts more than ${departuresPerTurn}`, () =>
      play(make(), async (harness) => {
        let most = 0;
        let before = 0;
        harness.onTurnEnds = () => {
          most = Math.max(most, harness.ends.length - before);
          before = harness.ends.length;
        };
        await harness.until(() => harness.open === crowd, 'all');
        assert.ok(most <= departuresPerTurn, `${most} in one turn`);
      }));
  });
}

describe('a crowd comes at once, on uring', { skip }, () => {
  it('the address of a client is known when it is accepted, even if the client has left by then', () =>
    play(new UringLayer(), async (harness, clients) => {
      const peers = new Map<End, string>();
      let wasTold = 0;
      harness.onAccepted = (end) => {
        peers.set(end, end.peer);
        end.onEnded = () => end.finish();
        end.onClosed = () => wasTold++;
      };
      for (const client of clients) client.once('connect', () => client.resetAndDestroy());
      await harness.until(() => wasTold === crowd, 'all to come and to leave');
      for (const peer of peers.values()) assert.match(peer, /^127\.0\.0\.1:\d+$/);
    }));

  it('asking for the address of a client that is being accepted makes no system call', async (context) => {
    const { libc } = loadLibraries();
    const getpeername = context.mock.method(libc, 'getpeername');
    await play(new UringLayer(), async (harness) => {
      harness.onAccepted = (end) => {
        assert.notEqual(end.peer, '');
        end.onEnded = () => end.finish();
      };
      await harness.until(() => harness.open === crowd, 'all');
      assert.equal(getpeername.mock.callCount(), 0);
    });
  });

  it('each turn arms no more receives than there are buffers', () =>
    play(new UringLayer({ bufferCount: 4, bufferSize: 512 }), async (harness, clients, layer) => {
      await harness.until(() => harness.open === crowd, 'all');
      for (const client of clients) client.write('x');
      await harness.until(() => harness.ends.every((end) => end.receivedBytes === 1), 'a byte of each');
      const { noBuffers } = layer.counts;
      assert.ok(noBuffers > 0 && noBuffers < 1.5 * crowd, `${noBuffers} receives have found no buffer`);
    }));
});
