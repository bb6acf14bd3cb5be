// A crowd of clients leaves at once. The clients are sockets of node:net, in the same process as the layer.

import assert from 'node:assert/strict';
import { connect, type Socket } from 'node:net';
import { describe, it } from 'node:test';
import { Departures, departuresPerTurn } from '#sluice/event-layer/departures.js';
import type { EventLayer } from '#sluice/event-layer/event-layer.js';
import { UringLayer } from '#sluice/event-layer/uring/uring.js';
import { realTime } from '../contract/contract.js';
import { type End, Harness } from '../contract/harness.js';
import { layers } from '../support/layers.js';

const crowd = 600;

const ways: { name: string; leave: (socket: Socket) => void }[] = [
  { name: 'FIN', leave: (socket) => socket.destroy() },
  { name: 'RST', leave: (socket) => socket.resetAndDestroy() },
];

/** Plays with a crowd that is connected to a server, which closes when a client has, and with one more client. */
async function play(
  layer: EventLayer,
  scene: (harness: Harness, clients: Socket[], last: Socket) => Promise<void>,
): Promise<void> {
  const harness = new Harness(layer, realTime);
  harness.onAccepted = (end) => {
    end.onReceived = (bytes) => end.write(bytes);
    end.onEnded = () => end.finish();
  };
  const { address } = await harness.listen();
  const port = 'port' in address ? address.port : assert.fail();
  const connected = (): Socket => connect(port, '127.0.0.1').on('error', () => {});
  const clients = Array.from({ length: crowd }, connected);
  const last = connected();
  try {
    await harness.until(() => harness.open === crowd + 1, 'the crowd');
    await scene(harness, clients, last);
  } catch (error) {
    await layer.close();
    throw error;
  } finally {
    for (const client of [...clients, last]) client.destroy();
  }
  await harness.until(() => harness.open === 0, 'the last to leave');
  await harness.over();
}

/** Ends that have had an event of their client's leaving. */
function departed(ends: readonly End[]): number {
  return ends.filter((end) => end.hasEnded || end.isClosed).length;
}

for (const { name, make, skip } of layers) {
  describe(`a crowd leaves at once, on ${name}`, { skip }, () => {
    for (const way of ways) {
      it(`by ${way.name}: no turn reports more than ${departuresPerTurn}, and another client is answered in between`, () =>
        play(make(), async (harness, clients, last) => {
          let most = 0;
          let before = 0;
          harness.onTurnEnds = () => {
            const now = departed(harness.ends);
            most = Math.max(most, now - before);
            before = now;
          };
          let departedBefore: number | undefined;
          last.once('data', () => {
            departedBefore = departed(harness.ends);
          });
          for (const client of clients) way.leave(client);
          last.write('ping');
          await harness.until(() => harness.open === 1 && departedBefore !== undefined, 'the crowd to leave');
          assert.ok(
            departedBefore !== undefined && departedBefore < crowd / 2,
            `${departedBefore} left before the answer`,
          );
          assert.ok(most <= departuresPerTurn, `${most} in one turn`);
        }));
    }
  });
}

describe('a crowd leaves at once, on uring', { skip: layers.find(({ name }) => name === 'uring')?.skip }, () => {
  it('each departure costs the ring one operation, which closes the socket', async () => {
    const layer = new UringLayer();
    await play(layer, async (harness, clients) => {
      const { submitted, inFlight } = layer.counts;
      for (const client of clients) client.destroy();
      await harness.until(() => harness.open === 1, 'the crowd to leave');
      const operations = layer.counts.submitted - submitted;
      // Besides, libuv's descriptor is watched again each time that it has been ready.
      assert.ok(operations < 2 * crowd, `${operations} operations for ${crowd} departures`);
      assert.equal(layer.counts.inFlight, inFlight - crowd);
    });
  });
});

describe('departures that wait', () => {
  it('are reported in their order, so many in each turn', () => {
    const departures = new Departures<number>();
    const told: number[] = [];
    const leave = (number: number): void => {
      if (departures.mayReport()) told.push(number);
      else departures.add(number);
    };
    for (let i = 0; i < departuresPerTurn + 2; i++) leave(i);
    assert.equal(told.length, departuresPerTurn);
    departures.beginTurn();
    leave(departuresPerTurn + 2); // not before those that wait
    departures.report((number) => told.push(number));
    assert.deepEqual(
      told,
      Array.from({ length: departuresPerTurn + 3 }, (_, i) => i),
    );
    assert.equal(departures.isPending, false);
  });

  it('show that a crowd leaves, until a turn in which hardly any do', () => {
    const departures = new Departures<number>();
    departures.beginTurn();
    assert.equal(departures.isCrowd, false);
    for (let i = 0; i < 10; i++) departures.mayReport();
    departures.beginTurn();
    assert.equal(departures.isCrowd, true);
    departures.beginTurn();
    assert.equal(departures.isCrowd, false);
  });
});
