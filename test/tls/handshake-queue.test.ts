// How handshakes wait for their turn: in order, behind what connections that are open have received, and no longer than they may.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ConnectionError, Slot } from '#sluice/event-layer/event-layer.js';
import type { TransportTimers } from '#sluice/event-layer/secure-transport.js';
import { maxContent } from '#sluice/tls/session.js';
import { TlsTransport } from '#sluice/tls/tls-transport.js';
import { ToyEngine } from '#sluice/tls/toy-engine.js';
import { StubLayer } from './stub-layer.js';
import { record, recordType } from './toy-peer.js';

const hello = record(recordType.handshake, 'toy http/1.1');

/** One timer, which the test fires. */
class Timers implements TransportTimers {
  time: number | undefined;
  #fire: (() => void) | undefined;

  armAt(time: number, target: { timerFired(argument: number): void }, argument: number): number {
    assert.equal(this.time, undefined, 'one timer is armed at a time');
    this.time = time;
    this.#fire = () => target.timerFired(argument);
    return 1;
  }
  cancel(): void {
    this.time = undefined;
  }
  fire(): void {
    this.time = undefined;
    this.#fire?.();
  }
}

function setUp(maxHandshakesPerTurn: number) {
  const layer = new StubLayer();
  const timers = new Timers();
  let now = 0;
  layer.now = () => now;
  const transport = new TlsTransport(layer, new ToyEngine(), { maxHandshakesPerTurn, handshakeTimeout: 1000, timers });
  const events: string[] = [];
  let held = 0;
  transport.start({
    received: (slot, bytes, start, end) => events.push(`received ${slot} ${Buffer.from(bytes.subarray(start, end))}`),
    ended: (slot) => events.push(`ended ${slot}`),
    drained: () => {},
    flushed: () => {},
    connected: () => {},
    secured: () => {},
    sessionFailed: (slot, { code }: ConnectionError) => events.push(`failed ${slot} ${code}`),
    outputHeld: (_, bytes) => {
      held += bytes;
    },
  });
  const receive = (slot: Slot, bytes: Uint8Array) => transport.received(slot, bytes, 0, bytes.length);
  /** A turn with these events. */
  const turn = (report: () => void = () => {}): void => {
    transport.beginTurn();
    report();
    transport.endInput();
    transport.endTurn();
  };
  return {
    layer,
    timers,
    transport,
    events,
    receive,
    turn,
    get held() {
      return held;
    },
    /** The slots whose handshakes were answered. */
    answered: () =>
      [...layer.committed].filter(([, [first]]) => first[0] === recordType.handshake).map(([slot]) => slot),
    advance: (milliseconds: number) => {
      now += milliseconds;
    },
  };
}

/** A client of the toy. @returns a function that makes its records */
function openClient(reply: Uint8Array): (text: string) => Uint8Array {
  const session = new ToyEngine().connect();
  session.start(() => {});
  session.receive(reply, 0, reply.length, new Uint8Array(maxContent), 0, () => {});
  return (text) => {
    const output = new Uint8Array(text.length + 300);
    return output.slice(0, session.seal(Buffer.from(text), 0, text.length, output, 0));
  };
}

test('a turn starts so many handshakes; the others follow in order, each turn behind what open connections receive', () => {
  const setup = setUp(2);
  const { transport, events, receive, turn, layer } = setup;
  turn(() => {
    transport.accepted(0);
    receive(0, hello);
  });
  const reply = layer.committed.get(0)?.[0] ?? assert.fail('no reply');
  const seal = openClient(reply);
  const early = openClient(reply)('early');
  turn(() => {
    for (let slot = 1; slot <= 5; slot++) transport.accepted(slot);
    for (let slot = 1; slot <= 5; slot++) receive(slot, slot === 4 ? Buffer.concat([hello, early]) : hello);
    receive(0, seal('first'));
  });
  assert.deepEqual(setup.answered(), [0, 1, 2]);
  assert.ok(setup.held > 0);
  layer.commands.length = 0;
  turn(() => {
    receive(0, seal('second'));
    assert.deepEqual(setup.answered(), [0, 1, 2]);
  });
  assert.deepEqual(setup.answered(), [0, 1, 2, 3, 4]);
  assert.ok(layer.commands.includes('requestTurn'), 'the rest asks for a turn');
  turn();
  assert.deepEqual(setup.answered(), [0, 1, 2, 3, 4, 5]);
  assert.deepEqual(events, ['received 0 first', 'received 0 second', 'received 4 early']);
  assert.equal(setup.held, 0);
});

test('connections that close while their handshakes wait leave the queue; their slots may be used again', () => {
  const setup = setUp(1);
  const { transport, receive, turn } = setup;
  turn(() => {
    for (let slot = 0; slot < 3; slot++) transport.accepted(slot);
    for (let slot = 0; slot < 3; slot++) receive(slot, hello);
  });
  turn(() => {
    transport.closed(1);
    transport.accepted(1);
  });
  assert.deepEqual(setup.answered(), [0, 2]);
  turn(() => receive(1, hello));
  assert.deepEqual(setup.answered(), [0, 2, 1]);
  assert.equal(setup.held, 0);
});

test('reading is paused while a client sends more than a ClientHello has, and goes on with its handshake', () => {
  const setup = setUp(1);
  const { transport, receive, turn, layer } = setup;
  turn(() => {
    for (let slot = 0; slot < 2; slot++) transport.accepted(slot);
    receive(0, hello);
    receive(1, hello);
    receive(1, new Uint8Array(maxContent));
  });
  assert.ok(layer.commands.includes('pause 1'));
  assert.ok(!layer.commands.includes('resume 1'));
  turn();
  assert.ok(layer.commands.includes('resume 1'));
});

test('the deadline of handshakes: of each from when it was accepted, waiting or not; none is armed when none is left', () => {
  const setup = setUp(1);
  const { transport, events, receive, turn, timers, advance } = setup;
  turn(() => {
    for (let slot = 0; slot < 3; slot++) transport.accepted(slot);
    receive(0, hello);
    receive(2, hello);
  });
  assert.equal(timers.time, 1000);
  advance(400);
  turn(() => transport.accepted(3));
  assert.deepEqual(setup.answered(), [0, 2]);
  advance(600);
  turn(() => timers.fire());
  assert.deepEqual(events, ['failed 1 ERR_TLS_HANDSHAKE_TIMEOUT']);
  assert.equal(timers.time, 1400);
  turn(() => transport.closed(3));
  assert.equal(timers.time, undefined);
});
