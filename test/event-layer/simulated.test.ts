import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { ConnectionError, EventSink, Slot } from '#sluice/event-layer/event-layer.js';
import { noopSink } from '#sluice/event-layer/noop-sink.js';
import { Agenda } from '#sluice/event-layer/simulated/agenda.js';
import { Random } from '#sluice/event-layer/simulated/random.js';
import { SimulatedLayer, type SimulatedOptions } from '#sluice/event-layer/simulated/simulated.js';

const address = { hostname: 'server', port: 80 };

function send(layer: SimulatedLayer, slot: Slot, bytes: Uint8Array): void {
  const offset = layer.reserve(slot, bytes.length);
  layer.output.set(bytes, offset);
  layer.commit(slot, offset + bytes.length);
}

interface Run {
  /** Every event, with its time and its bytes. */
  transcript: string[];
  reasons: (ConnectionError | undefined)[];
  layer: SimulatedLayer;
}

/** Clients that send to an echo and finish, until the world is still. */
async function play(options: SimulatedOptions, clients = 20, bytes = 30_000): Promise<Run> {
  const layer = new SimulatedLayer(options);
  const transcript: string[] = [];
  const reasons: (ConnectionError | undefined)[] = [];
  const servers = new Set<Slot>();
  const left = new Map<Slot, number>();
  const log = (line: string): void => {
    transcript.push(`${layer.now()} ${line}`);
  };
  const sink: EventSink = {
    beginTurn: () => log('turn'),
    accepted(slot) {
      log(`accepted ${slot} ${layer.peer(slot)}`);
      servers.add(slot);
    },
    connected(slot) {
      log(`connected ${slot}`);
      send(layer, slot, new Uint8Array(bytes).fill(slot));
      layer.finish(slot);
    },
    received(slot, buffer, start, end) {
      const borrowed = buffer.subarray(start, end);
      log(`received ${slot} ${start} ${end} ${createHash('sha256').update(borrowed).digest('hex')}`);
      if (servers.has(slot)) send(layer, slot, borrowed);
      else left.set(slot, (left.get(slot) ?? bytes) - borrowed.length);
    },
    ended(slot) {
      log(`ended ${slot}`);
      layer.finish(slot);
    },
    drained: (slot) => log(`drained ${slot}`),
    flushed: (slot) => log(`flushed ${slot}`),
    closed(slot, reason) {
      log(`closed ${slot} ${reason?.code}`);
      reasons.push(reason);
      servers.delete(slot);
    },
    acceptFailed: (listener) => log(`acceptFailed ${listener}`),
    endTurn() {},
  };
  layer.start(sink);
  await layer.listen({ address, backlog: 10 });
  for (let i = 0; i < clients; i++) layer.connect(address);
  await layer.run();
  return { transcript, reasons, layer };
}

describe('a simulated run', () => {
  it('is the same to the byte for the same seed, with faults too', async () => {
    for (const faults of [{}, { refuse: 0.1, reset: 0.02, vanish: 0.02, silence: 0.01, accept: 0.1, stall: 0.1 }]) {
      const first = await play({ seed: 7, faults });
      const second = await play({ seed: 7, faults });
      assert.ok(first.transcript.length > 100);
      assert.deepEqual(second.transcript, first.transcript);
      const other = await play({ seed: 8, faults });
      assert.notDeepEqual(other.transcript, first.transcript);
    }
  });

  it('without faults ends with every connection closed for no reason', async () => {
    for (let seed = 0; seed < 20; seed++) {
      const { reasons, layer } = await play({ seed });
      assert.equal(layer.open, 0);
      assert.deepEqual(new Set(reasons), new Set([undefined]));
      assert.equal(reasons.length, 40);
    }
  });

  it('goes on until every connection is closed, whatever breaks', async () => {
    const codes = new Set<string | undefined>();
    for (let seed = 0; seed < 50; seed++) {
      const { reasons, layer } = await play({ seed, faults: { refuse: 0.1, reset: 0.02, vanish: 0.02 } }, 10, 5_000);
      assert.equal(layer.open, 0, `seed ${seed}`);
      for (const reason of reasons) codes.add(reason?.code);
    }
    assert.deepEqual([...codes].sort(), ['ECONNREFUSED', 'ECONNRESET', undefined]);
  });

  it('breaks as often as it was asked to', async () => {
    const all = await play({ seed: 1, faults: { refuse: 1 } });
    assert.ok(all.reasons.every((reason) => reason?.code === 'ECONNREFUSED'));
    assert.equal(all.reasons.length, 20);
    const resets = await play({ seed: 1, faults: { reset: 1 } });
    assert.ok(resets.reasons.every((reason) => reason?.code === 'ECONNRESET'));
    assert.equal(resets.reasons.length, 40);
  });

  it('keeps clients waiting while accepting fails, and says so once for each spell', async () => {
    const { transcript, reasons } = await play({ seed: 1, faults: { accept: 0.5 } });
    const times = (event: string) => {
      const lines = transcript.map((line) => line.split(' ')).filter(([, other]) => other === event);
      return lines.map(([time]) => time);
    };
    const spells = times('acceptFailed');
    assert.ok(spells.length > 0);
    assert.equal(new Set(spells).size, spells.length, 'one at a time');
    assert.equal(times('accepted').length, 20);
    assert.deepEqual(new Set(reasons), new Set([undefined]));
  });

  it('stalls: what was due meanwhile happens in one turn', async () => {
    const busiest = async (stall: number): Promise<number> => {
      const { transcript, layer } = await play({ seed: 1, faults: { stall } });
      assert.equal(layer.open, 0);
      let most = 0;
      let events = 0;
      for (const line of transcript) {
        events = line.endsWith(' turn') ? 0 : events + 1;
        most = Math.max(most, events);
      }
      return most;
    };
    assert.ok((await busiest(0.2)) > (await busiest(0)));
  });

  it('cut off: the other end gets no event until its kernel gives up what it has sent', async () => {
    const { reasons, layer } = await play({ seed: 1, faults: { silence: 1 } });
    assert.equal(layer.open, 20, 'servers that have nothing to send wait for ever');
    assert.deepEqual(new Set(reasons), new Set([undefined]));
    await layer.close();

    const told: string[] = [];
    const world = new SimulatedLayer({ latency: 1, capacity: 100 });
    const tell = (what: string) => told.push(`${what} at ${Math.floor(world.now() / 10) * 10}`);
    let client: Slot = -1;
    world.start({
      beginTurn() {},
      accepted(slot) {
        send(world, slot, new Uint8Array(1_000));
        world.unplug(client);
      },
      connected: () => tell('connected'),
      received: () => tell('received'),
      ended: () => tell('ended'),
      drained() {},
      flushed() {},
      closed: (slot, reason) => tell(`${slot === client ? 'client' : 'server'} closed ${reason?.code}`),
      acceptFailed() {},
      endTurn() {},
    });
    await world.listen({ address, backlog: 10 });
    client = world.connect(address);
    await world.run();
    assert.deepEqual(told, ['client closed undefined at 0', 'server closed ETIMEDOUT at 924600']);
    assert.equal(world.open, 0);
  });

  it('cuts what is sent as it was asked to', async () => {
    const sizes = async (pieces: SimulatedOptions['pieces']): Promise<Set<number>> => {
      const { transcript } = await play({ pieces, capacity: 100_000 }, 3, 2_000);
      const received = transcript.map((line) => line.split(' ')).filter(([, event]) => event === 'received');
      return new Set(received.map(([, , , start, end]) => Number(end) - Number(start)));
    };
    assert.deepEqual(await sizes(1), new Set([1]));
    assert.deepEqual(await sizes(500), new Set([500]));
    assert.deepEqual(await sizes('whole'), new Set([2_000]));
    assert.ok((await sizes('random')).size > 5);
  });

  it('may be stopped at a time, and goes on from there', async () => {
    const layer = new SimulatedLayer();
    const turns: number[] = [];
    layer.start({ ...noopSink, beginTurn: () => turns.push(layer.now()) });
    layer.wakeAt(100);
    await layer.run(50);
    assert.equal(layer.now(), 50);
    assert.deepEqual(turns, []);
    await layer.run();
    assert.deepEqual(turns, [100]);
  });

  it('ends its turns even where nothing takes any time', async () => {
    const { layer, reasons } = await play({ latency: 0 });
    assert.equal(layer.now(), 0);
    assert.equal(reasons.length, 40);
    assert.ok(layer.turns > 10);
  });
});

/** A layer with one connection, and the events of its ends. */
async function pair(sink: Partial<EventSink>, options: SimulatedOptions = {}) {
  const layer = new SimulatedLayer(options);
  let server = -1;
  layer.start({
    ...noopSink,
    ...sink,
    accepted(slot) {
      server = slot;
    },
  });
  await layer.listen({ address, backlog: 10 });
  const client = layer.connect(address);
  await layer.run();
  return { layer, client, server };
}

describe('the simulated layer detects', () => {
  it('a receiver that keeps a borrowed buffer', async () => {
    const kept: Uint8Array[] = [];
    const { layer, client } = await pair({
      received: (_slot, buffer, start, end) => kept.push(buffer.subarray(start, end)),
    });
    send(layer, client, Buffer.from('precious'));
    await layer.run();
    assert.ok(kept.length > 0);
    for (const borrowed of kept) assert.ok(borrowed.every((byte) => byte === 0xdb));
  });

  it('a receiver that reads outside the borrowed bytes', async () => {
    const around: number[] = [];
    const { layer, client } = await pair({
      received(_slot, buffer, start, end) {
        around.push(...buffer.subarray(0, start), ...buffer.subarray(end));
      },
    });
    for (let i = 0; i < 20; i++) {
      send(layer, client, Buffer.from([1, 2, 3]));
      await layer.run();
    }
    assert.ok(around.length > 0 && around.every((byte) => byte === 0x5a));
  });

  it('who looks up `output` once and for all, or commits what was not reserved', async () => {
    const { layer, client, server } = await pair({});
    const { output } = layer;
    layer.reserve(client, 10);
    assert.notEqual(layer.output, output);
    assert.throws(() => layer.commit(server, 5), { code: 'ERR_RESERVE' });
    assert.throws(() => layer.commit(client, 64), { code: 'ERR_RESERVE' });
    const offset = layer.reserve(client, 10);
    layer.commit(client, offset + 10);
    assert.throws(() => layer.commit(client, offset + 10), { code: 'ERR_RESERVE' });
    assert.throws(() => layer.reserve(client, 64 * 1024 + 1), { code: 'ERR_RESERVE' });
  });

  it('who has missed that a connection closed', async () => {
    const { layer, client, server } = await pair({});
    layer.reset(client);
    await layer.run();
    for (const slot of [client, server]) assert.throws(() => layer.reset(slot), { code: 'ERR_SLOT' });
  });

  it('who waits for a process that has vanished: what is sent to it is answered with a reset', async () => {
    const events: string[] = [];
    const { layer, client, server } = await pair(
      {
        ended: (slot) => events.push(`ended ${slot}`),
        closed: (slot, reason) => events.push(`closed ${slot} ${reason?.code}`),
      },
      { faults: { vanish: 1 } },
    );
    layer.pauseReading(client);
    send(layer, client, Buffer.from('x'));
    await layer.run();
    assert.deepEqual(events, [`closed ${client} ECONNRESET`, `ended ${server}`]);
    // The end that is left has sent nothing yet; what it sends next is answered.
    send(layer, server, Buffer.from('are you there?'));
    await layer.run();
    assert.equal(layer.open, 0);
  });
});

describe('the agenda', () => {
  it('gives back by time, and what has the same time in the order in which it came', () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(fc.nat(20), fc.constant(-1)), { maxLength: 200 }), (steps) => {
        const agenda = new Agenda();
        const expected: { time: number; order: number }[] = [];
        const taken: number[] = [];
        const take = (): void => {
          expected.sort((a, b) => a.time - b.time || a.order - b.order);
          const first = expected.shift();
          assert.equal(agenda.next, first?.time ?? Infinity);
          const happen = agenda.take();
          assert.equal(happen === undefined, first === undefined);
          happen?.();
          if (first !== undefined) assert.equal(taken.at(-1), first.order);
        };
        for (const [order, step] of steps.entries()) {
          if (step < 0) {
            take();
          } else {
            agenda.add(step, () => taken.push(order));
            expected.push({ time: step, order });
          }
        }
        while (expected.length > 0) take();
        take();
      }),
    );
  });
});

describe('the random numbers', () => {
  it('are the same for the same seed, and within their bounds', () => {
    fc.assert(
      fc.property(fc.integer(), fc.nat(100), fc.nat(100), (seed, low, span) => {
        const first = new Random(seed);
        const second = new Random(seed);
        for (let i = 0; i < 20; i++) {
          const value = first.whole(low, low + span);
          assert.equal(second.whole(low, low + span), value);
          assert.ok(Number.isInteger(value) && value >= low && value <= low + span);
        }
        assert.equal(first.chance(0), false);
        assert.equal(first.chance(1), true);
      }),
    );
  });
});

it('options that are wrong are refused with their names', () => {
  assert.throws(
    () => new SimulatedLayer({ sead: 1 } as SimulatedOptions),
    /unknown option "sead"; expected one of seed/,
  );
  assert.throws(
    () => new SimulatedLayer({ pieces: 'small' as never }),
    /pieces is "small"; expected "random" or "whole"/,
  );
  const faults = { resets: 0.5 } as SimulatedOptions['faults'];
  assert.throws(() => new SimulatedLayer({ faults }), /faults: unknown option "resets"; expected one of refuse, reset/);
  assert.throws(
    () => new SimulatedLayer({ faults: { reset: 2 } }),
    /faults: reset is 2; expected a number from 0 to 1/,
  );
});
