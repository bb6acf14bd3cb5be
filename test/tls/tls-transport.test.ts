// The transport between a layer and a receiver of events, both of the test: when records are sealed, what is reported and when, what memory is held.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ConnectionError, highWaterMark, pieceSize, type Slot } from '#sluice/event-layer/event-layer.js';
import { maxContent } from '#sluice/tls/session.js';
import { TlsTransport } from '#sluice/tls/tls-transport.js';
import { ToyEngine } from '#sluice/tls/toy-engine.js';
import { StubLayer } from './stub-layer.js';
import { closeNotify, recordType } from './toy-peer.js';

/** The transport, with servers' connections whose clients are sessions of the test. */
class Setup {
  readonly layer = new StubLayer();
  readonly transport = new TlsTransport(this.layer, new ToyEngine());
  readonly events: string[] = [];
  readonly pieces: string[] = [];
  held = 0;
  /** All growth of `held`. */
  allocated = 0;
  readonly #engine = new ToyEngine();

  constructor() {
    this.transport.start({
      received: (_slot, buffer, start, end) =>
        this.pieces.push(Buffer.from(buffer.subarray(start, end)).toString('latin1')),
      ended: (slot) => this.events.push(`ended ${slot}`),
      drained: (slot) => this.events.push(`drained ${slot}`),
      flushed: (slot) => this.events.push(`flushed ${slot}`),
      connected: (slot) => this.events.push(`connected ${slot}`),
      secured: () => {},
      sessionFailed: (slot, { code }: ConnectionError) => this.events.push(`failed ${slot} ${code}`),
      outputHeld: (_slot, bytes) => {
        this.held += bytes;
        if (bytes > 0) this.allocated += bytes;
      },
    });
  }

  /** Starts a connection whose handshake is complete. @returns a function that makes records of its client */
  open(slot: Slot): (text: string) => Uint8Array {
    this.turn(() => this.transport.accepted(slot));
    return this.shake(slot);
  }

  shake(slot: Slot): (text: string) => Uint8Array {
    const session = this.#engine.connect();
    const send = (records: Uint8Array): void => this.receive(slot, records);
    session.start(send);
    const reply = this.layer.committed.get(slot)?.find(([type]) => type === recordType.handshake);
    assert.ok(reply !== undefined);
    session.receive(reply, 0, reply.length, new Uint8Array(maxContent), 0, send);
    return (text) => {
      const output = new Uint8Array(text.length + 300);
      return output.slice(0, session.seal(Buffer.from(text, 'latin1'), 0, text.length, output, 0));
    };
  }

  turn(events: () => void): void {
    this.transport.beginTurn();
    events();
    this.transport.endTurn();
  }

  receive(slot: Slot, bytes: Uint8Array): void {
    this.turn(() => this.transport.received(slot, bytes, 0, bytes.length));
  }

  write(slot: Slot, length: number): void {
    const at = this.transport.reserve(slot, length);
    this.transport.output.fill(0x61, at, at + length);
    this.transport.commit(slot, at + length);
  }

  /** How many records of content were passed down for the slot. */
  records(slot: Slot): number {
    return (this.layer.committed.get(slot) ?? []).filter(([type]) => type === recordType.content).length;
  }
}

test('all that a connection writes in a turn becomes one record, at the end of the turn', () => {
  const setup = new Setup();
  setup.open(1);
  setup.turn(() => {
    for (let i = 0; i < 50; i++) setup.write(1, 100);
    assert.equal(setup.records(1), 0);
  });
  assert.equal(setup.records(1), 1);
});

test('output outside a turn counts as queued and asks for a turn, which sends it', () => {
  const setup = new Setup();
  setup.open(1);
  setup.layer.queuedBefore = 0;
  setup.layer.commands.length = 0;
  setup.write(1, 100);
  setup.write(1, 100);
  assert.equal(setup.transport.queued(1), 200);
  assert.deepEqual(setup.layer.commands, ['requestTurn', 'requestTurn']);
  setup.turn(() => {});
  assert.equal(setup.records(1), 1);
});

test('writes of two connections that take turns are not mixed', () => {
  const setup = new Setup();
  setup.open(1);
  setup.open(2);
  setup.turn(() => {
    for (let i = 0; i < 4; i++) setup.write(1 + (i % 2), 10);
  });
  assert.deepEqual([setup.records(1), setup.records(2)], [2, 2]);
});

test('a writer that is flooded by what was queued before gets drained, even if that leaves within the turn', () => {
  const setup = new Setup();
  setup.open(1);
  setup.turn(() => {
    setup.layer.queuedBefore = highWaterMark - 100;
    setup.write(1, 100); // the writer parks here
    assert.ok(setup.layer.queuedBefore >= highWaterMark, 'a layer that has less never reports drained');
    setup.layer.queuedBefore = 0;
    setup.transport.drained(1);
  });
  assert.deepEqual(setup.events, ['drained 1']);
});

test('a layer that is flooded by the overhead of records alone: the writer was not, and gets no drained', () => {
  const setup = new Setup();
  setup.open(1);
  setup.layer.queuedBefore = 0;
  setup.turn(() => setup.write(1, highWaterMark - 10));
  assert.ok(setup.layer.queuedBefore >= highWaterMark);
  setup.turn(() => setup.transport.drained(1));
  assert.deepEqual(setup.events, []);
});

test('a writer that is flooded before the handshake is complete gets drained after it', () => {
  const setup = new Setup();
  setup.turn(() => setup.transport.accepted(1));
  setup.turn(() => setup.write(1, highWaterMark));
  assert.equal(setup.transport.queued(1), highWaterMark);
  assert.equal(setup.held, highWaterMark);
  setup.shake(1);
  assert.equal(setup.held, 0);
  assert.equal(setup.records(1), highWaterMark / maxContent);
  setup.turn(() => setup.transport.drained(1));
  assert.deepEqual(setup.events, ['drained 1']);
});

test('small writes before the handshake is complete become one record after it', () => {
  const setup = new Setup();
  setup.turn(() => setup.transport.accepted(1));
  for (let i = 0; i < 20; i++) setup.write(1, 100);
  setup.shake(1);
  assert.equal(setup.records(1), 1);
});

test('flushed is not reported while something is written and not sealed', () => {
  const setup = new Setup();
  setup.open(1);
  setup.transport.notifyFlushed(1);
  setup.layer.commands.length = 0;
  setup.turn(() => {
    setup.write(1, 100);
    setup.transport.flushed(1);
  });
  assert.deepEqual(setup.events, []);
  assert.deepEqual(setup.layer.commands, ['commit 1', 'notifyFlushed 1']);
  setup.turn(() => setup.transport.flushed(1));
  assert.deepEqual(setup.events, ['flushed 1']);
});

test('flushed that was asked for before the handshake is complete is reported as often as it was asked for', () => {
  const setup = new Setup();
  setup.turn(() => setup.transport.accepted(1));
  setup.write(1, 100);
  for (let i = 0; i < 3; i++) setup.transport.notifyFlushed(1);
  assert.ok(!setup.layer.commands.includes('notifyFlushed 1'));
  setup.shake(1);
  assert.equal(setup.layer.commands.filter((command) => command === 'notifyFlushed 1').length, 3);
});

test('finish before the handshake is complete: close_notify and FIN follow what was written, when it is', () => {
  const setup = new Setup();
  setup.turn(() => setup.transport.accepted(1));
  setup.write(1, 100);
  setup.transport.finish(1);
  setup.transport.finish(1);
  assert.throws(() => setup.write(1, 1), { code: 'ERR_FINISHED' });
  assert.ok(!setup.layer.commands.includes('finish 1'));
  setup.shake(1);
  const types = setup.layer.committed.get(1)?.map(([type]) => type);
  assert.deepEqual(types, [recordType.handshake, recordType.content, recordType.alert]);
  assert.deepEqual(
    setup.layer.commands.filter((command) => command === 'finish 1'),
    ['finish 1'],
  );
});

test('a session that fails after finish was called within the handshake: FIN follows the alert', () => {
  const setup = new Setup();
  setup.turn(() => setup.transport.accepted(1));
  setup.transport.finish(1);
  setup.receive(1, Buffer.from('garbage'));
  assert.deepEqual(setup.layer.commands.slice(-2), ['commit 1', 'finish 1']);
  assert.deepEqual(setup.events, ['failed 1 ERR_TLS_PROTOCOL']);
});

test('close_notify while reading is paused is reported in a turn after reading is resumed', () => {
  const setup = new Setup();
  const seal = setup.open(1);
  setup.transport.pauseReading(1);
  setup.receive(1, Buffer.concat([seal('on its way'), closeNotify]));
  assert.deepEqual(setup.pieces, ['on its way']);
  assert.deepEqual(setup.events, []);
  setup.layer.commands.length = 0;
  setup.transport.resumeReading(1);
  setup.transport.pauseReading(1);
  setup.turn(() => {});
  assert.deepEqual(setup.events, []);
  setup.transport.resumeReading(1);
  setup.transport.resumeReading(1);
  assert.deepEqual(setup.events, []);
  assert.ok(setup.layer.commands.includes('requestTurn'));
  setup.turn(() => {});
  setup.turn(() => setup.transport.ended(1)); // the FIN
  assert.deepEqual(setup.events, ['ended 1']);
});

test('an end that waits for reading to be resumed is not that of the next connection of the slot', () => {
  const setup = new Setup();
  setup.open(1);
  setup.transport.pauseReading(1);
  setup.receive(1, closeNotify);
  setup.transport.resumeReading(1);
  setup.transport.closed(1);
  setup.transport.accepted(1);
  setup.turn(() => {});
  assert.deepEqual(setup.events, []);
});

test('a record that comes byte by byte takes at most twice the memory of what came, and is copied a bounded number of times', () => {
  const setup = new Setup();
  const seal = setup.open(1);
  const text = 'x'.repeat(maxContent);
  const sealed = seal(text);
  for (let at = 0; at < sealed.length; at++) {
    setup.turn(() => setup.transport.received(1, sealed, at, at + 1));
    assert.ok(setup.held <= Math.max(64, 2 * (at + 1)), `${setup.held} bytes are held after ${at + 1}`);
  }
  assert.deepEqual(setup.pieces, [text]);
  assert.equal(setup.held, 0);
  assert.ok(setup.allocated <= 4 * sealed.length, `${setup.allocated} bytes were allocated`);
});

test('a header alone, whatever length it claims, takes no memory for what has not come', () => {
  const setup = new Setup();
  setup.open(1);
  setup.receive(1, Uint8Array.of(recordType.content, 3, 3, 0x40, 0));
  assert.ok(setup.held <= 64);
  assert.deepEqual(setup.events, []);
});

test('many small records that come at once are reported as one piece', () => {
  const setup = new Setup();
  const seal = setup.open(1);
  const records = Array.from({ length: 1000 }, (_, i) => seal(`record ${i};`));
  setup.receive(1, Buffer.concat(records));
  assert.equal(setup.pieces.length, 1);
  assert.equal(setup.pieces[0], Array.from({ length: 1000 }, (_, i) => `record ${i};`).join(''));
});

test('the content of a record whose beginning was held, and of those behind it, is one piece', () => {
  const setup = new Setup();
  const seal = setup.open(1);
  const all = Buffer.concat([seal('one;'), seal('two;'), seal('three')]);
  setup.receive(1, all.subarray(0, 8));
  assert.deepEqual(setup.pieces, []);
  setup.receive(1, all.subarray(8));
  assert.deepEqual(setup.pieces, ['one;two;three']);
});

test('no piece is larger than an event layer may report', () => {
  const setup = new Setup();
  const seal = setup.open(1);
  const all = Buffer.concat(Array.from({ length: 5 }, () => seal('x'.repeat(maxContent))));
  for (let at = 0; at < all.length; at += pieceSize) setup.receive(1, all.subarray(at, at + pieceSize));
  assert.ok(setup.pieces.every(({ length }) => length <= pieceSize));
  assert.equal(setup.pieces.join('').length, 5 * maxContent);
});

test('a broken connection takes output as if it was queued, sends none, and holds no memory', () => {
  const setup = new Setup();
  const seal = setup.open(1);
  setup.receive(1, seal('half of a record').subarray(0, 10));
  setup.receive(1, new Uint8Array(20).fill(0xff));
  const { length } = setup.layer.committed.get(1) ?? [];
  const queued = setup.transport.queued(1);
  setup.turn(() => setup.write(1, 1000));
  assert.equal(setup.layer.committed.get(1)?.length, length);
  assert.equal(setup.transport.queued(1), queued + 1000);
  assert.equal(setup.held, 0);
  assert.deepEqual(setup.events, ['failed 1 ERR_TLS_PROTOCOL']);
});

test('commands while `closed` is being reported do nothing; after the turn they throw', () => {
  const setup = new Setup();
  setup.open(1);
  setup.turn(() => {
    setup.write(1, 10);
    setup.transport.closed(1);
    setup.write(1, 10);
    setup.transport.notifyFlushed(1);
    setup.transport.finish(1);
    setup.transport.pauseReading(1);
    setup.transport.resumeReading(1);
    setup.transport.reset(1);
  });
  assert.equal(setup.records(1), 0);
  for (const give of [
    () => setup.transport.reserve(1, 1),
    () => setup.transport.queued(1),
    () => setup.transport.finish(1),
    () => setup.transport.reset(1),
    () => setup.transport.abandon(1),
    () => setup.transport.pauseReading(1),
    () => setup.transport.notifyFlushed(1),
  ])
    assert.throws(give, { code: 'ERR_SLOT' });
});
