// What seldom happens with io_uring, made to happen by small sizes. Each test sees in the layer's counts that it has, and that every
// byte arrived nevertheless.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { host, kindMask, Operations } from '#sluice/event-layer/uring/operations.js';
import { type UringSettings, usualSettings } from '#sluice/event-layer/uring/settings.js';
import { UringLayer } from '#sluice/event-layer/uring/uring.js';
import { realTime } from '../../contract/contract.js';
import { type End, Harness, pour } from '../../contract/harness.js';
import { skip } from '../../support/linux.js';

/** Plays on a layer of these sizes, and holds it against the contract. */
async function play(sizes: Partial<UringSettings>, scene: (harness: Harness, layer: UringLayer) => Promise<void>) {
  const layer = new UringLayer(sizes);
  const harness = new Harness(layer, realTime);
  try {
    await scene(harness, layer);
  } catch (error) {
    await layer.close();
    throw error;
  }
  await harness.over();
}

/** Sends back what it gets, and does not read while it is flooded. */
function echo(end: End): void {
  end.onReceived = (bytes) => {
    end.write(bytes);
    if (end.isFlooded) end.pause();
  };
  end.onDrained = () => end.resume();
  end.onEnded = () => end.finish();
}

/** So many clients, each of which gets back what it sends. */
async function echoes(harness: Harness, clients: number, bytes: number, step = 16_384): Promise<void> {
  harness.onAccepted = echo;
  harness.onConnected = (end) => pour(end, bytes, step, () => end.finish());
  const { address } = await harness.listen();
  for (let i = 0; i < clients; i++) harness.connect(address);
  await harness.until(() => harness.open === 0 && harness.ends.length === 2 * clients, 'closed');
  for (const end of harness.ends) {
    assert.equal(end.reason, undefined);
    assert.equal(end.receivedBytes, bytes);
    assert.equal(end.digest(), end.sentDigest());
  }
}

describe('what seldom happens with io_uring', { skip }, () => {
  it('no buffer is left: the receives that end for want of one begin again', () =>
    play({ bufferCount: 2, bufferSize: 256 }, async (harness, layer) => {
      await echoes(harness, 8, 300_000);
      assert.ok(layer.counts.noBuffers > 0);
      assert.equal(layer.counts.buffers, 0);
    }));

  it('the submission queue is full: it is emptied in between', () =>
    play({ submissionEntries: 2, completionEntries: 1024 }, async (harness, layer) => {
      await echoes(harness, 50, 20_000);
      assert.ok(layer.counts.full > 0);
      assert.equal(layer.counts.overflows, 0);
    }));

  it('the completion queue overflows: nothing of it is lost, and all of it comes in order', () =>
    play({ submissionEntries: 4, completionEntries: 4, bufferSize: 512 }, async (harness, layer) => {
      await echoes(harness, 50, 100_000);
      assert.ok(layer.counts.overflows > 0);
    }));

  it('a send is not taken whole: the rest goes out when there is room', () =>
    play({}, async (harness, layer) => {
      const { client, server } = await harness.pair();
      client.pause();
      pour(server, 8_000_000, 50_000, () => server.finish());
      await harness.until(() => layer.counts.shortSends > 0 && server.isFlooded, 'flooded');
      client.resume();
      client.onEnded = () => client.finish();
      await harness.until(() => harness.open === 0, 'closed');
      assert.equal(client.receivedBytes, 8_000_000);
      assert.equal(client.digest(), server.sentDigest());
      assert.equal(layer.counts.outboxes, 0);
    }));

  it('a flooded client finishes, and reads later: until then nothing is sent, and nothing is tried', () =>
    play({}, async (harness, layer) => {
      const { client, server } = await harness.pair();
      client.pause();
      pour(server, 8_000_000, 50_000, () => server.finish());
      await harness.until(() => server.isFlooded && layer.counts.outboxes > 0, 'flooded');
      client.finish();
      await harness.until(() => server.hasEnded, 'the end');
      await harness.pass(20);
      const { shortSends } = layer.counts;
      const { turns } = harness;
      await harness.pass(200);
      assert.equal(layer.counts.shortSends, shortSends);
      assert.ok(harness.turns - turns < 10, `${harness.turns - turns} turns`);
      client.resume();
      await harness.until(() => harness.open === 0, 'closed');
      assert.equal(client.receivedBytes, 8_000_000);
      assert.equal(client.digest(), server.sentDigest());
    }));

  it('there is no table of descriptors: connections get ordinary ones', () =>
    play({ directDescriptors: 0 }, async (harness, layer) => {
      await echoes(harness, 20, 100_000);
      assert.equal(layer.counts.ordinary, 20);
      assert.equal(layer.counts.direct, 0);
    }));

  it('the table of descriptors is full: connections get ordinary ones until it has emptied', () =>
    play({ directDescriptors: 4, acceptsPerTurn: 1 }, async (harness, layer) => {
      harness.onAccepted = echo;
      const { address } = await harness.listen();
      const served = async (): Promise<End> => {
        const before = harness.ends.length;
        const client = harness.connect(address);
        client.write('ping');
        await harness.until(() => client.receivedBytes === 4 && harness.ends.length === before + 2, 'the echo');
        return client;
      };
      const clients: End[] = [];
      for (let i = 0; i < 10; i++) clients.push(await served());
      assert.equal(layer.counts.direct, 4);
      assert.equal(layer.counts.ordinary, 6);
      for (const client of clients) client.finish();
      await harness.until(() => harness.open === 0, 'closed');
      assert.equal(layer.counts.direct, 0);
      // The accept that was in flight at that time brings an ordinary one still.
      const last = [await served(), await served(), await served()];
      assert.equal(layer.counts.direct, 2);
      assert.equal(layer.counts.ordinary, 7);
      for (const client of last) client.finish();
      await harness.until(() => harness.open === 0, 'closed');
    }));

  it('bytes are in flight to a slot that is reset: its next connection gets nothing of them', () =>
    play({ bufferCount: 256, bufferSize: 512 }, async (harness, layer) => {
      const { address } = await harness.listen();
      const late = new Uint8Array(60_000).fill(0x6c);
      const slots = new Set<number>();
      for (let i = 0; i < 100; i++) {
        // The first piece is answered by a reset; in the same batch there are a hundred more of them.
        const first = await harness.pair(address);
        let pieces = 0;
        first.server.onReceived = () => {
          pieces++;
          first.server.reset();
        };
        first.client.write(late);
        await harness.until(() => first.server.isClosed, 'closed');
        assert.equal(pieces, 1);
        slots.add(first.server.slot);
        const next = await harness.pair(address);
        next.client.write('mine');
        await harness.until(() => next.server.receivedBytes >= 4, 'bytes');
        assert.equal(next.server.text, 'mine');
        slots.add(next.server.slot);
        next.client.finish();
        next.server.finish();
        await harness.until(() => harness.open === 0, 'closed');
      }
      assert.ok(slots.size <= 8, 'slots are used again');
      assert.equal(layer.counts.slots, 0);
      assert.equal(layer.counts.buffers, 0);
    }));

  it('an operation is never over: closing goes on without it after a while, and the event loop turns meanwhile', async (context) => {
    const layer = new UringLayer({ closeTimeout: 50 });
    const harness = new Harness(layer, realTime);
    await harness.listen();
    await harness.pass(5);
    // The poll of libuv's descriptor stays in flight.
    context.mock.method(Operations.prototype, 'cancelAll', () => {});
    const cancel = Operations.prototype.cancel;
    context.mock.method(Operations.prototype, 'cancel', function (this: Operations, low: number, high: number) {
      if ((low & kindMask) !== host) cancel.call(this, low, high);
    });
    let rounds = 0;
    const timer = setInterval(() => rounds++, 1);
    const start = performance.now();
    await harness.over();
    clearInterval(timer);
    const took = performance.now() - start;
    assert.equal(layer.counts.inFlight, 1);
    assert.ok(rounds > 5, `${rounds} rounds of the event loop in ${took} ms`);
    assert.ok(took < 5000, `${took} ms`);
  });

  for (const receiveLimit of [1000, usualSettings.receiveLimit])
    it(`reading is paused: no more comes than one receive brings, which is ${receiveLimit} bytes`, (context) =>
      play({ receiveLimit }, async (world, layer) => {
        if (layer.counts.receiveLimit === 0) {
          context.skip('needs Linux 6.17');
          return;
        }
        const { client, server } = await world.pair();
        server.onReceived = () => server.pause();
        pour(client, 1_000_000, 50_000, () => client.finish());
        await world.until(() => client.isFlooded && server.receivedBytes > 0, 'the client is flooded');
        await world.pass(20);
        const { bufferSize } = usualSettings;
        const most = Math.ceil(receiveLimit / bufferSize) * bufferSize; // it ends with a buffer
        assert.ok(server.receivedBytes > 0 && server.receivedBytes <= most, `${server.receivedBytes} bytes`);
        server.onReceived = () => {};
        server.onEnded = () => server.finish();
        server.resume();
        await world.until(() => world.open === 0, 'closed');
        assert.equal(server.receivedBytes, 1_000_000);
        assert.equal(server.digest(), client.sentDigest());
        assert.equal(layer.counts.buffers, 0);
      }));

  it('reading is paused and resumed in quick alternation, and every byte comes once, in order', () =>
    play({ bufferCount: 16, bufferSize: 1024 }, async (harness, layer) => {
      const { client, server } = await harness.pair();
      let step = 0;
      let isResting = false;
      const alternate = (): void => {
        for (let i = step++ % 5; i > 0; i--) {
          server.pause();
          server.resume();
        }
        if (step % 3 !== 0) return;
        server.pause();
        isResting = true;
      };
      server.onReceived = alternate;
      server.onEnded = () => server.finish();
      pour(client, 2_000_000, 10_000, () => client.finish());
      await harness.until(() => {
        // Outside of a turn, too.
        if (isResting && !server.isOver) {
          isResting = false;
          server.resume();
          server.pause();
          server.resume();
        }
        return harness.open === 0;
      }, 'closed');
      assert.equal(server.receivedBytes, 2_000_000);
      assert.equal(server.digest(), client.sentDigest());
      assert.equal(layer.counts.buffers, 0);
    }));
});
