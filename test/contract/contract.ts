// What every event layer must do, as one suite. A layer is added by a file of a few lines beside this one: see
// portable.test.ts. The rules that hold in every scenario (turns, order of events, borrowed buffers, drained when due) are held by
// harness.ts.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect as connectSocket } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, it } from 'node:test';
import { promisify } from 'node:util';
import { Worker } from 'node:worker_threads';
import {
  type Address,
  ConnectionError,
  type EventLayer,
  highWaterMark,
  pieceSize,
} from '#sluice/event-layer/event-layer.js';
import { type End, Harness, pour } from './harness.js';

/** One way to make a layer. */
export interface Variant {
  /** For the name of the test; empty if there is one variant only. */
  label: string;
  make: () => EventLayer;
  /** Bytes of a transfer that is to count as large: more than the kernels hold of it. */
  bulk: number;
  /** Connections that are to count as many. */
  crowd: number;
  /** What is sent at once arrives at once, if it is small. */
  isWhole: boolean;
}

export interface LayerDescription {
  name: string;
  variants: Variant[];
  /** Its connections have sessions: an end that finishes also sends bytes, which a peer that has gone answers with RST. */
  hasSessions?: boolean;
  /** What is pushed may take a moment to be with the kernel. */
  pushesLater?: boolean;
  /** No system below it: no files, no resolver, no process that it could hold open. */
  isSimulated: boolean;
  /** Lets turns happen for that many milliseconds of the layer's clock. */
  pass: (layer: EventLayer, milliseconds: number) => Promise<void>;
  /** Where the layer is made in a separate process, as `new exported()`. Not for a simulated one. */
  source?: { specifier: string; exported: string };
}

/** Lets real time pass, for layers that have a system below them. */
export function realTime(_layer: EventLayer, milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

export function contract(description: LayerDescription): void {
  for (const variant of description.variants)
    describe(`${description.name}${variant.label === '' ? '' : `, ${variant.label}`}`, () => {
      const scenario = (name: string, play: (harness: Harness) => Promise<void>): void => {
        it(name, async () => {
          const harness = new Harness(variant.make(), description.pass, description.hasSessions);
          let failed = true;
          try {
            await play(harness);
            failed = false;
          } finally {
            if (failed)
              await Promise.race([harness.layer.close(), new Promise((resolve) => setTimeout(resolve, 1000).unref())]);
          }
          await harness.over();
        });
      };
      transferring(scenario, variant);
      halfClosing(scenario, variant);
      breaking(scenario, variant, description.hasSessions);
      flooding(scenario, variant, description);
      crowding(scenario, variant);
      arriving(scenario);
      timing(scenario);
      if (description.isSimulated) return;
      onTheSystem(scenario);
      if (description.hasSessions !== true) withPlainSockets(scenario);
      if (description.source !== undefined) leaving(description.source);
    });
}

type Scenario = (name: string, play: (harness: Harness) => Promise<void>) => void;

/** A server's end that sends back what it gets, with backpressure both ways, and finishes after its peer. */
function echo(end: End): void {
  end.onReceived = (bytes) => {
    end.write(bytes);
    if (end.isFlooded) end.pause();
  };
  end.onDrained = () => end.resume();
  end.onEnded = () => end.finish(); // FIN goes out behind what is queued
}

function transferring(scenario: Scenario, variant: Variant): void {
  scenario('a line is echoed, and both ends close without a reason once both have finished', async (harness) => {
    harness.onAccepted = echo;
    const { address } = await harness.listen();
    const client = harness.connect(address);
    await harness.until(() => client.isThere, 'connected');
    client.write('hello, ');
    client.write('world');
    await harness.until(() => client.receivedBytes === 12, 'the echo');
    assert.equal(client.text, 'hello, world');
    client.finish();
    await harness.until(() => harness.open === 0, 'closed');
    assert.deepEqual(
      harness.ends.map((end) => end.reason),
      [undefined, undefined],
    );
    assert.deepEqual(client.events, ['connected', 'received', 'ended', 'closed']);
    assert.deepEqual(harness.ends[1].events, ['accepted', 'received', 'ended', 'closed']);
  });

  scenario('a large transfer is echoed to the byte', async (harness) => {
    harness.onAccepted = echo;
    const { address } = await harness.listen();
    const client = harness.connect(address);
    await harness.until(() => client.isThere, 'connected');
    pour(client, variant.bulk, 16_384, () => client.finish());
    await harness.until(() => harness.open === 0, 'closed');
    assert.equal(client.receivedBytes, variant.bulk);
    assert.equal(client.digest(), client.sentDigest());
  });

  scenario('what is written, and finished, before the connection is there goes out when it is', async (harness) => {
    harness.onAccepted = echo;
    const { address } = await harness.listen();
    const client = harness.connect(address);
    client.write('early ');
    client.write('bird');
    assert.equal(client.queued, 10);
    client.finish();
    client.notifyFlushed();
    await harness.until(() => harness.open === 0, 'closed');
    assert.equal(client.text, 'early bird');
    assert.equal(client.flushed, 1);
  });

  scenario('a client that finishes before it has sent anything: ended, and no bytes', async (harness) => {
    harness.onAccepted = echo;
    const { address } = await harness.listen();
    const client = harness.connect(address);
    client.finish();
    await harness.until(() => harness.open === 0, 'closed');
    assert.deepEqual(harness.ends[1].events, ['accepted', 'ended', 'closed']);
  });

  scenario('writes of many connections, interleaved in one turn, each arrive in order', async (harness) => {
    const { address } = await harness.listen();
    const pairs: { client: End; server: End }[] = [];
    for (let i = 0; i < 5; i++) pairs.push(await harness.pair(address));
    await harness.until(() => harness.open === 10, 'connections');
    let due = true;
    harness.onTurnBegins = () => {
      if (!due) return;
      due = false;
      for (let i = 0; i < 50; i++)
        for (const [n, { server }] of pairs.entries()) server.write(`<${n}:${i}>`.repeat(n === 2 ? 200 : 1));
    };
    harness.layer.requestTurn();
    await harness.until(
      () => pairs.every(({ client, server }) => client.receivedBytes === server.sentBytes && !due),
      'all',
    );
    for (const { client, server } of pairs) {
      assert.ok(server.sentBytes > 0);
      assert.equal(client.digest(), server.sentDigest());
    }
  });

  if (variant.isWhole)
    scenario('all that a turn writes to a connection is one send', async (harness) => {
      const { client, server } = await harness.pair();
      server.onReceived = () => {
        for (let i = 0; i < 100; i++) server.write('0123456789');
      };
      for (let round = 1; round <= 10; round++) {
        client.write('?');
        await harness.until(() => client.receivedBytes === 1000 * round, 'the answer');
      }
      assert.deepEqual(
        client.pieces,
        Array.from({ length: 10 }, () => 1000),
      );
    });

  scenario('output given outside a turn goes out by itself', async (harness) => {
    const { client, server } = await harness.pair();
    await harness.pass(5);
    server.write('unasked');
    await harness.until(() => client.text === 'unasked', 'it');
  });
}

function halfClosing(scenario: Scenario, variant: Variant): void {
  for (const side of ['client', 'server'] as const)
    scenario(`the ${side} finishes first: bytes go on flowing the other way`, async (harness) => {
      const { client, server } = await harness.pair();
      const first = side === 'client' ? client : server;
      const second = side === 'client' ? server : client;
      first.write('last words');
      first.finish();
      await harness.until(() => second.hasEnded, 'ended');
      assert.equal(second.text, 'last words');
      await harness.pass(10);
      assert.equal(harness.open, 2);
      pour(second, variant.bulk, pieceSize, () => second.finish());
      await harness.until(() => harness.open === 0, 'closed');
      assert.equal(first.receivedBytes, variant.bulk);
      assert.equal(first.digest(), second.sentDigest());
      assert.equal(first.reason, undefined);
      assert.equal(second.reason, undefined);
    });

  scenario('both finish at once: all bytes of both arrive, and both close without a reason', async (harness) => {
    const { client, server } = await harness.pair();
    const half = variant.bulk / 2;
    for (const end of [client, server]) pour(end, half, 10_000, () => end.finish());
    await harness.until(() => harness.open === 0, 'closed');
    for (const [from, to] of [
      [client, server],
      [server, client],
    ]) {
      assert.equal(to.receivedBytes, half);
      assert.equal(to.digest(), from.sentDigest());
      assert.equal(to.reason, undefined);
    }
  });

  scenario('a FIN behind output that has to wait comes after all of it', async (harness) => {
    const { client, server } = await harness.pair();
    client.pause();
    server.write(new Uint8Array(2 * highWaterMark).fill(7));
    server.finish();
    await harness.pass(20);
    client.resume();
    await harness.until(() => client.hasEnded, 'ended');
    assert.equal(client.receivedBytes, 2 * highWaterMark);
    client.finish();
    await harness.until(() => harness.open === 0, 'closed');
  });

  scenario('a FIN is not reported while reading is paused, and is reported when it is resumed', async (harness) => {
    const { client, server } = await harness.pair();
    server.pause();
    await harness.pass(10);
    client.finish();
    await harness.pass(30);
    assert.equal(server.hasEnded, false);
    server.resume();
    await harness.until(() => server.hasEnded, 'ended');
    server.finish();
    await harness.until(() => harness.open === 0, 'closed');
  });

  scenario('finish twice is finish once; output after it throws', async (harness) => {
    const { client, server } = await harness.pair();
    client.finish();
    client.finish();
    assert.throws(() => client.write('too late'), { code: 'ERR_FINISHED' });
    await harness.until(() => server.hasEnded, 'ended');
    assert.equal(server.receivedBytes, 0);
  });
}

function breaking(scenario: Scenario, variant: Variant, hasSessions = false): void {
  scenario('a reset: closed without a reason here, ECONNRESET at the reader there', async (harness) => {
    const { client, server } = await harness.pair();
    client.write('x');
    await harness.until(() => server.receivedBytes === 1, 'a byte');
    server.reset();
    await harness.until(() => harness.open === 0, 'closed');
    assert.equal(server.reason, undefined);
    assert.equal(client.reason?.code, 'ECONNRESET');
    assert.equal(client.reason.name, 'ConnectionError');
    assert.equal(client.events.at(-1), 'closed');
  });

  scenario(
    'an end that is abandoned: what it had finished with arrives whole, and an end, not a reset',
    async (harness) => {
      const { client, server } = await harness.pair();
      client.pause();
      server.write('x'.repeat(1000));
      server.finish();
      await harness.until(() => server.queued === 0, 'sent');
      await harness.pass(20);
      server.abandon();
      await harness.until(() => server.isClosed, 'closed');
      assert.equal(server.reason, undefined);
      client.resume();
      await harness.until(() => client.hasEnded, 'ended');
      assert.equal(client.receivedBytes, 1000);
      client.finish();
      await harness.until(() => harness.open === 0, 'closed');
      if (!hasSessions) assert.equal(client.reason, undefined);
    },
  );

  scenario('output that is written between a reset and closed goes nowhere, and counts as queued', async (harness) => {
    const { client, server } = await harness.pair();
    for (const end of [server, client]) {
      if (end === server) end.reset();
      else end.abandon();
      end.write(new Uint8Array(highWaterMark));
      assert.ok(end.queued >= highWaterMark);
    }
    await harness.until(() => harness.open === 0, 'closed');
    assert.equal(client.receivedBytes, 0);
  });

  scenario('a reset under a writer: it is reported, and the queue is gone', async (harness) => {
    const { client, server } = await harness.pair();
    pour(server, variant.bulk, pieceSize, () => {});
    await harness.until(() => client.receivedBytes > 0, 'some of it');
    client.reset();
    await harness.until(() => harness.open === 0, 'closed');
    assert.ok(['ECONNRESET', 'EPIPE'].includes(server.reason?.code ?? ''), String(server.reason));
  });

  scenario('a reset of an end that is flooded is reported to the other', async (harness) => {
    const { client, server } = await harness.pair();
    client.pause();
    server.write(new Uint8Array(variant.bulk + 2 * highWaterMark));
    await harness.pass(20);
    server.reset();
    if (!client.isClosed) client.resume();
    await harness.until(() => harness.open === 0, 'closed');
    assert.equal(server.reason, undefined);
    assert.equal(client.reason?.code, 'ECONNRESET');
  });

  scenario('finish, and reset at once, or soon: the slot comes back', async (harness) => {
    const { address } = await harness.listen();
    for (let round = 0; round < 6; round++) {
      const { client, server } = await harness.pair(address);
      client.finish();
      for (let turn = 0; turn < round / 2; turn++) await new Promise((resolve) => setImmediate(resolve));
      if (!client.isClosed) client.reset();
      await harness.until(() => client.isClosed, 'closed');
      if (!server.isClosed) server.reset();
      await harness.until(() => harness.open === 0, 'both closed');
    }
  });

  scenario('a reset before the connection is there', async (harness) => {
    const { address } = await harness.listen();
    const client = harness.connect(address);
    client.write('never read');
    client.reset();
    await harness.until(() => client.isClosed, 'closed');
    assert.deepEqual(client.events, ['closed']);
    assert.equal(client.reason, undefined);
  });

  scenario('a reset in `accepted`, and reset twice', async (harness) => {
    harness.onAccepted = (end) => {
      end.reset();
      end.reset();
    };
    const { address } = await harness.listen();
    const client = harness.connect(address);
    await harness.until(() => client.isClosed, 'closed');
    assert.equal(client.reason?.code, 'ECONNRESET');
    await harness.until(() => harness.open === 0, 'all closed');
    assert.deepEqual(harness.ends[1].events, ['accepted', 'closed']);
  });

  scenario('a reset in `received` ends its events at once', async (harness) => {
    const { client, server } = await harness.pair();
    server.onReceived = () => server.reset();
    pour(client, variant.bulk, pieceSize, () => {});
    await harness.until(() => harness.open === 0, 'closed');
    assert.equal(server.pieces.length, 1);
  });

  scenario('a slot without a connection takes no commands', async (harness) => {
    const { layer } = harness;
    for (const give of [
      () => layer.reserve(99, 1),
      () => layer.queued(99),
      () => layer.finish(99),
      () => layer.reset(99),
      () => layer.pauseReading(99),
      () => layer.resumeReading(99),
      () => layer.notifyFlushed(99),
      () => layer.peer(99),
      () => layer.local(99),
    ])
      assert.throws(give, { code: 'ERR_SLOT' });
  });
}

function flooding(scenario: Scenario, variant: Variant, description: LayerDescription): void {
  scenario(
    'a reader that stops: the writer is flooded, holds no more than it may, and goes on to the last byte',
    async (harness) => {
      const { client, server } = await harness.pair();
      client.pause();
      pour(server, variant.bulk, 10_000, () => server.finish());
      let before = -1;
      await harness.until(() => server.isFlooded, 'flooded');
      while (before !== server.sentBytes) {
        before = server.sentBytes;
        await harness.pass(40);
      }
      assert.ok(server.isFlooded);
      assert.ok(server.sentBytes < variant.bulk, 'the kernels hold it all: make bulk larger');
      assert.ok(server.queued < highWaterMark + 10_000);
      assert.ok(client.receivedBytes <= 2 * pieceSize, `${client.receivedBytes} bytes received while paused`);
      client.resume();
      await harness.until(() => client.hasEnded, 'all of it');
      assert.equal(client.receivedBytes, variant.bulk);
      assert.equal(client.digest(), server.sentDigest());
      assert.ok(server.drained > 0);
    },
  );

  scenario('output below the high-water mark drains without a word; at it, with one', async (harness) => {
    const { client, server } = await harness.pair();
    server.write(new Uint8Array(highWaterMark - 1));
    await harness.until(() => client.receivedBytes === highWaterMark - 1, 'all of it');
    await harness.pass(10);
    assert.equal(server.drained, 0);
    server.write(new Uint8Array(highWaterMark));
    assert.ok(server.isFlooded);
    await harness.until(() => client.receivedBytes === 2 * highWaterMark - 1 && server.drained === 1, 'the rest');
    assert.equal(server.queued, 0);
    await harness.pass(10);
    assert.equal(server.drained, 1);
  });

  scenario('small writes to a client that does not read wait in order', async (harness) => {
    const { client, server } = await harness.pair();
    client.pause();
    pour(server, variant.bulk, pieceSize, () => {});
    await harness.until(() => server.isFlooded, 'flooded');
    for (let i = 0; i < 200; i++) {
      server.write(`line ${i};`);
      if (i % 50 === 0) await harness.pass(1);
    }
    const { sentBytes } = server;
    server.onDrained = () => {};
    client.resume();
    await harness.until(() => client.receivedBytes === sentBytes, 'all of it');
    assert.equal(client.digest(), server.sentDigest());
  });

  scenario('output that is pushed is with the kernel before the turn is over', async (harness) => {
    const { client, server } = await harness.pair();
    let left = -1;
    let isDone = false;
    harness.onTurnBegins = () => {
      if (isDone) return;
      isDone = true;
      for (let i = 0; i < 3; i++) {
        server.write(new Uint8Array(20_000).fill(i));
        server.push();
        left = server.queued;
        if (left > 0) return;
      }
      server.write('after');
    };
    harness.layer.requestTurn();
    await harness.until(() => isDone && client.receivedBytes === server.sentBytes, 'all of it');
    if (!description.pushesLater) assert.ok(left < 20_000, `${left} bytes are queued after the last push`);
    assert.equal(client.digest(), server.sentDigest());
  });

  scenario('a push changes nothing for a client that does not read, and loses nothing', async (harness) => {
    const { client, server } = await harness.pair();
    client.pause();
    pour(server, variant.bulk, pieceSize, () => {});
    for (let before = -1; before !== server.sentBytes; ) {
      before = server.sentBytes;
      await harness.pass(40);
    }
    for (let i = 0; i < 30; i++) {
      server.write(`line ${i};`);
      server.push();
      if (i % 10 === 0) await harness.pass(1);
    }
    assert.ok(server.queued > 0);
    const { sentBytes } = server;
    server.onDrained = () => {};
    client.resume();
    await harness.until(() => client.receivedBytes === sentBytes, 'all of it');
    assert.equal(client.digest(), server.sentDigest());
  });

  scenario('what is sent from where it is keeps its place among what is written', async (harness) => {
    const { client, server } = await harness.pair();
    const canSendNow = harness.layer.sendNow !== undefined;
    const large = new Uint8Array(variant.bulk).map((_, i) => (i * 2_654_435_761) >>> 13);
    client.pause();
    server.write('before,');
    let at = server.sendNow(large);
    assert.equal(at > 0, canSendNow);
    // What is sealed counts as sent: a piece of it at most may wait, and what was written before, with the records' overhead.
    const mostLeft = description.hasSessions ? pieceSize + 1024 : 0;
    if (at > 0) assert.ok(server.queued <= mostLeft, 'what was written before has left first');
    // How much the kernels take changes from one moment to the next.
    for (let i = 0; i < 5; i++) {
      server.write(`between ${i},`);
      const sent = server.sendNow(large, at);
      if (sent > 0) assert.ok(server.queued <= mostLeft);
      at += sent;
      await harness.pass(2);
    }
    assert.ok(at < large.length, 'the kernels hold it all: make bulk larger');
    client.resume();
    const { sentBytes } = server;
    await harness.until(() => client.receivedBytes === sentBytes, 'all of it');
    server.write('after');
    server.sendNow(large.subarray(0, 300_000));
    server.finish();
    assert.equal(server.sendNow(large), 0, 'it has finished');
    await harness.until(() => client.hasEnded, 'the end');
    assert.equal(client.receivedBytes, server.sentBytes);
    assert.equal(client.digest(), server.sentDigest());
  });

  scenario('what is sent from where it is to a peer that has gone is not taken', async (harness) => {
    const { client, server } = await harness.pair();
    client.reset();
    await harness.until(() => server.isClosed || server.sendNow(new Uint8Array(200_000)) === 0, 'an end');
    await harness.until(() => server.isClosed, 'closed');
  });

  scenario('pausing in the middle of a stream, again and again, loses nothing', async (harness) => {
    const { client, server } = await harness.pair();
    const total = Math.min(variant.bulk, 2_000_000);
    let pieces = 0;
    let isPaused = false;
    client.onReceived = () => {
      if (++pieces % 7 !== 0) return;
      isPaused = true;
      client.pause();
      harness.layer.requestTurn();
    };
    harness.onTurnBegins = () => {
      if (isPaused && !client.isClosed) client.resume();
      isPaused = false;
    };
    pour(server, total, 5_000, () => server.finish());
    await harness.until(() => client.hasEnded, 'all of it');
    assert.equal(client.digest(), server.sentDigest());
  });

  scenario(
    'a writer that gets flushed, and writes up to the high-water mark at once, gets drained',
    async (harness) => {
      const { client, server } = await harness.pair();
      server.onFlushed = () => server.write(new Uint8Array(highWaterMark));
      server.write('head');
      server.notifyFlushed();
      await harness.until(
        () => client.receivedBytes === 4 + highWaterMark && server.drained === 1,
        'the rest, and drained',
      );
      await harness.pass(10);
      assert.equal(server.drained, 1);
      assert.equal(client.digest(), server.sentDigest());
    },
  );

  scenario('flushed is called once for each time that it was asked for, when nothing is queued', async (harness) => {
    const { client, server } = await harness.pair();
    server.notifyFlushed();
    assert.equal(server.flushed, 0);
    await harness.until(() => server.flushed === 1, 'flushed, with nothing queued');
    client.pause();
    // More than the kernels hold.
    server.write(new Uint8Array(variant.bulk));
    server.notifyFlushed();
    server.notifyFlushed();
    await harness.pass(30);
    assert.equal(server.flushed, 1);
    client.resume();
    await harness.until(() => server.flushed === 3, 'flushed');
    assert.equal(server.queued, 0);
    await harness.until(() => client.receivedBytes === variant.bulk, 'all of it');
    assert.equal(server.flushed, 3);
  });
}

function crowding(scenario: Scenario, variant: Variant): void {
  scenario(
    `${variant.crowd} connections opened and closed at once: all are served, and the slots come back`,
    async (harness) => {
      const { address } = await harness.listen();
      harness.onAccepted = echo;
      for (let wave = 0; wave < 2; wave++) {
        const clients: End[] = [];
        for (let i = 0; i < variant.crowd; i++) {
          const client = harness.connect(address);
          client.write(`number ${i}`);
          client.onReceived = () => {
            if (client.receivedBytes === client.sentBytes) client.finish();
          };
          clients.push(client);
        }
        await harness.until(() => harness.open === 0, 'all to close');
        for (const [i, client] of clients.entries()) {
          assert.equal(client.text, `number ${i}`);
          assert.equal(client.reason, undefined);
        }
      }
      const highest = Math.max(...harness.ends.map((end) => end.slot));
      assert.ok(highest < 2 * variant.crowd, `slot ${highest}`);
    },
  );

  scenario(
    'slots used again at once, while events of the last connection are in flight: none of them reaches the next',
    async (harness) => {
      const { address } = await harness.listen();
      let rounds = 0;
      let clean = 0;
      const tagOf = new Map<End, number>();
      /** Every byte that an end gets must be of its own connection. */
      const isPure = (end: End, bytes: Uint8Array): void => {
        const tag = tagOf.get(end) ?? bytes[0];
        tagOf.set(end, tag);
        if (bytes.some((byte) => byte !== tag))
          harness.violations.push(`slot ${end.slot}: bytes of another connection`);
        clean += bytes.length;
      };
      harness.onAccepted = (end) => {
        end.onReceived = (bytes) => {
          isPure(end, bytes);
          if (end.slot % 3 === 0) end.reset();
          else end.write(bytes.slice(0, 4000));
        };
        end.onEnded = () => end.finish();
      };
      const open = (): void => {
        if (++rounds > variant.crowd) return;
        const round = rounds;
        const tag = round % 251;
        const client = harness.connect(address);
        tagOf.set(client, tag);
        client.write(new Uint8Array(3000).fill(tag));
        client.onReceived = (bytes) => {
          isPure(client, bytes);
          if (round % 2 === 0) client.reset();
          else client.finish();
          client.onReceived = (more) => isPure(client, more);
        };
        client.onClosed = open;
        if (round % 5 === 0) client.reset();
      };
      for (let i = 0; i < 20; i++) open();
      await harness.until(
        () => rounds > variant.crowd && harness.ends.every((end) => end.listener !== undefined || end.isClosed),
        'all',
      );
      for (const end of harness.ends) if (!end.isClosed) end.reset();
      await harness.until(() => harness.open === 0, 'all to close');
      assert.ok(clean > 0);
    },
  );

  scenario('a slot that was left last is used first', async (harness) => {
    const { address } = await harness.listen();
    const clients = [harness.connect(address), harness.connect(address), harness.connect(address)];
    await harness.until(() => harness.open === 6, 'connections');
    clients[1].reset();
    await harness.until(() => clients[1].isClosed && harness.open === 4, 'closed');
    const left = harness.ends.filter((end) => end.isClosed).map((end) => end.slot);
    const again = harness.connect(address);
    assert.ok(left.includes(again.slot));
  });

  scenario(
    'closing with work in flight: closed is called once for each connection, and nothing after it',
    async (harness) => {
      const { address } = await harness.listen();
      harness.onAccepted = (end) => pour(end, variant.bulk, pieceSize, () => {});
      for (let i = 0; i < 10; i++) harness.connect(address);
      await harness.until(() => harness.ends.some((end) => end.receivedBytes > 0), 'something');
      for (let i = 0; i < 5; i++) harness.connect(address);
      for (const end of harness.ends) if (end.slot % 4 === 0 && !end.isOver) end.finish();
      for (const end of harness.ends) end.wasReset = true;
      await harness.layer.close();
      assert.equal(harness.open, 0);
      assert.ok(harness.ends.every((end) => end.isClosed && end.reason === undefined));
    },
  );
}

function arriving(scenario: Scenario): void {
  scenario('connect and listen fail with ERR_CLOSED while the layer closes', async (harness) => {
    const { client, server, address } = await harness.pair();
    client.wasReset = true;
    server.wasReset = true;
    let late: End | undefined;
    client.onClosed = () => {
      late = harness.connect(address);
    };
    await harness.layer.close();
    await assert.rejects(harness.listen(), { code: 'ERR_CLOSED' });
    assert.deepEqual(late?.events, ['closed']);
    assert.equal(late.reason?.code, 'ERR_CLOSED');
  });

  scenario('no server listens: only closed is reported, with ECONNREFUSED and the address', async (harness) => {
    const { listener, address } = await harness.listen();
    await harness.layer.unlisten(listener);
    const client = harness.connect(address);
    client.write('into the void');
    client.finish();
    await harness.until(() => client.isClosed, 'closed');
    assert.deepEqual(client.events, ['closed']);
    assert.equal(client.reason?.code, 'ECONNREFUSED');
    assert.ok('port' in address && client.reason.message.includes(String(address.port)), client.reason.message);
  });

  scenario('a failed connection leaves no trace in the next one with its slot', async (harness) => {
    const { listener, address } = await harness.listen();
    await harness.layer.unlisten(listener);
    const failed = harness.connect(address);
    failed.write(new Uint8Array(pieceSize).fill(1));
    failed.notifyFlushed();
    await harness.until(() => failed.isClosed, 'closed');
    const { client, server } = await harness.pair();
    client.write('clean');
    await harness.until(() => server.receivedBytes === 5, 'the line');
    assert.equal(server.text, 'clean');
    assert.equal(client.flushed, 0);
    assert.equal(client.drained, 0);
  });

  scenario('unlisten: connections go on, new ones are refused, and the address is free at once', async (harness) => {
    const { address, listener } = await harness.listen();
    const { client, server } = await harness.pair(address);
    await harness.layer.unlisten(listener);
    const late = harness.connect(address);
    await harness.until(() => late.isClosed, 'refused');
    assert.equal(late.reason?.code, 'ECONNREFUSED');
    client.write('still here');
    await harness.until(() => server.text === 'still here', 'the line');
    const again = await harness.listen(address);
    assert.notEqual(again.listener, listener);
    assert.deepEqual(again.address, address);
    const { server: newServer } = await harness.pair(address);
    assert.equal(newServer.listener, again.listener);
  });

  scenario('listening twice on one address: EADDRINUSE, and the first goes on', async (harness) => {
    const { address } = await harness.listen();
    await assert.rejects(harness.listen(address), { name: 'ConnectionError', code: 'EADDRINUSE' });
    await harness.pair(address);
  });

  scenario('two listeners: accepted says which', async (harness) => {
    const first = await harness.listen();
    const second = await harness.listen();
    assert.equal((await harness.pair(second.address)).server.listener, second.listener);
    assert.equal((await harness.pair(first.address)).server.listener, first.listener);
  });

  scenario('both ends are known by address and port', async (harness) => {
    const { client, server, address } = await harness.pair();
    assert.ok('port' in address);
    assert.equal(client.peer, `127.0.0.1:${address.port}`);
    assert.match(server.peer, /^127\.0\.0\.1:\d+$/);
    assert.equal(server.local, client.peer);
    assert.equal(client.local, server.peer);
  });

  scenario('a connection comes from the local address that was asked for, and only that one', async (harness) => {
    const { address } = await harness.listen();
    const { server } = await harness.pair(address, '127.0.0.2');
    assert.match(server.peer, /^127\.0\.0\.2:\d+$/);
    assert.match((await harness.pair(address)).server.peer, /^127\.0\.0\.1:\d+$/);
  });
}

function timing(scenario: Scenario): void {
  scenario('a wake-up comes, and never early', async (harness) => {
    for (const wait of [0, 1, 5.5, 20.25]) {
      const time = harness.layer.now() + wait;
      const { turns } = harness;
      harness.layer.wakeAt(time);
      await harness.until(() => harness.turns > turns, 'a turn');
      assert.ok(harness.turnTimes[turns] >= time, `at ${harness.turnTimes[turns]} instead of ${time}`);
      await harness.pass(30);
      assert.equal(harness.turns, turns + 1);
    }
  });

  scenario('a wake-up replaces the one before, sooner or later, and Infinity takes it back', async (harness) => {
    const { layer } = harness;
    const start = layer.now();
    layer.wakeAt(start + 1000);
    layer.wakeAt(start + 20);
    await harness.until(() => harness.turns > 0, 'the sooner');
    assert.equal(harness.turns, 1);
    assert.ok(layer.now() < start + 900);
    const second = layer.now();
    layer.wakeAt(second + 10);
    layer.wakeAt(second + 60);
    await harness.until(() => harness.turns > 1, 'the later');
    assert.equal(harness.turns, 2);
    assert.ok(harness.turnTimes[1] >= second + 60);
    layer.wakeAt(layer.now() + 10);
    layer.wakeAt(Infinity);
    await harness.pass(40);
    assert.equal(harness.turns, 2);
    // Farther than a timer of the system reaches.
    layer.wakeAt(layer.now() + 2 ** 40);
    await harness.pass(10);
    assert.equal(harness.turns, 2);
  });

  scenario('turns that are asked for several times are one; one asked for in a turn is another', async (harness) => {
    const { layer } = harness;
    for (let i = 0; i < 3; i++) layer.requestTurn();
    assert.equal(harness.turns, 0);
    await harness.until(() => harness.turns > 0, 'a turn');
    await harness.pass(10);
    assert.equal(harness.turns, 1);
    let more = 2;
    harness.onTurnEnds = () => {
      if (more-- > 0) layer.requestTurn();
    };
    layer.requestTurn();
    await harness.until(() => harness.turns === 4, 'three more turns');
    await harness.pass(10);
    assert.equal(harness.turns, 4);
  });

  scenario('the clock goes forward, and the date is that of today or later', async (harness) => {
    const before = harness.layer.now();
    await harness.pass(5);
    assert.ok(harness.layer.now() >= before + 4);
    assert.ok(harness.layer.date() > Date.UTC(2025, 0, 1));
  });
}

/** Scenarios that need a system: files, resolver, address families. */
/** Lets the event loop stand for so many milliseconds, or until something is so. */
function busyFor(milliseconds: number, isSo: () => boolean = () => false): void {
  for (const end = performance.now() + milliseconds; performance.now() < end && !isSo(); );
}

const readerProgram = `
  const { parentPort, workerData } = require('node:worker_threads');
  const socket = require('node:net').connect(workerData.port, '127.0.0.1').pause().on('error', () => {});
  let soon;
  socket.on('data', () => {
    clearTimeout(soon);
    soon = setTimeout(() => Atomics.store(workerData.hasRead, 0, 1), 20); // all that the kernels held
  });
  socket.pause();
  parentPort.once('message', () => socket.resume());`;

/** After how many seconds the system probes, of the end of a connection with these addresses; undefined if it does not. @param rows of /proc/net/tcp (proc_net_tcp(5)) */
function probesIn(rows: string[], local: string, remote: string): number | undefined {
  const hex = (text: string) => {
    const [host, port] = text.split(':');
    const bytes = host.split('.').reverse().map(Number);
    return `${Buffer.from(bytes).toString('hex')}:${Number(port).toString(16).padStart(4, '0')}`.toUpperCase();
  };
  const row = rows.find((each) => each.includes(`${hex(local)} ${hex(remote)}`)) ?? assert.fail('no such connection');
  const [timer, left] = row.trim().split(/\s+/)[5].split(':');
  return timer === '02' ? Math.round(Number.parseInt(left, 16) / 100) : undefined;
}

function onTheSystem(scenario: Scenario): void {
  const inFolder = async (play: (folder: string) => Promise<void>): Promise<void> => {
    const folder = mkdtempSync(path.join(tmpdir(), 'sluice-'));
    try {
      await play(folder);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  };

  scenario(
    'a port that is shared: two listeners on it, or an error that says that there is no sharing',
    async (harness) => {
      const shared = (port: number) =>
        harness.layer.listen({ address: { hostname: '127.0.0.1', port }, backlog: 16, reusePort: true });
      try {
        const { address } = await shared(0);
        assert.ok('port' in address);
        await shared(address.port);
        await harness.pair(address);
      } catch (error) {
        assert.match(String(error), /reusePort is unavailable/);
      }
    },
  );

  scenario(
    'sendBufferSize: the system holds so much for a peer that reads nothing, or says that it cannot be set',
    async (harness) => {
      const address = { hostname: '127.0.0.1', port: 0 };
      const held = async (sendBufferSize: number): Promise<number> => {
        const listening = await harness.layer.listen({ address, backlog: 16, sendBufferSize });
        const { client, server } = await harness.pair(listening.address);
        client.pause();
        pour(server, 16 * 2 ** 20, 16_384, () => {});
        for (let taken = -1, same = 0; same < 5; same++) {
          await harness.pass(1);
          if (taken !== server.sentBytes - server.queued) same = 0;
          taken = server.sentBytes - server.queued;
        }
        const taken = server.sentBytes - server.queued;
        server.reset();
        return taken;
      };
      try {
        const few = await held(8192);
        const many = await held(128 * 1024);
        assert.ok(few < many && few < 2 ** 20, `${few} and ${many} bytes are with the system`);
      } catch (error) {
        if (!(error instanceof ConnectionError)) throw error;
        assert.equal(error.code, 'ENOTSUP');
        assert.match(error.message, /sendBufferSize is 8192; the portable event layer cannot set it/);
        harness.connectOptions = { sendBufferSize: 8192 };
        const client = harness.connect((await harness.listen()).address);
        await harness.until(() => client.isClosed, 'closed');
        assert.equal(client.reason?.code, 'ENOTSUP');
        return;
      }
      const tooMuch = harness.layer.listen({ address, backlog: 16, sendBufferSize: 2 ** 30 });
      await assert.rejects(tooMuch, {
        code: 'ERR_SEND_BUFFER',
        message: /sendBufferSize is 1073741824; expected at most/,
      });
    },
  );

  scenario('a host that does not exist', async (harness) => {
    const client = harness.connect({ hostname: 'nobody.invalid', port: 80 });
    await harness.until(() => client.isClosed, 'closed');
    assert.deepEqual(client.events, ['closed']);
    assert.match(client.reason?.code ?? '', /^(ENOTFOUND|EAI_AGAIN)$/);
    assert.match(client.reason?.message ?? '', /nobody\.invalid:80/);
  });

  scenario('a port that cannot be', async (harness) => {
    const client = harness.connect({ hostname: '127.0.0.1', port: 70_000 });
    await harness.until(() => client.isClosed, 'closed');
    assert.deepEqual(client.events, ['closed']);
    await assert.rejects(harness.listen({ hostname: '127.0.0.1', port: 70_000 }), { name: 'ConnectionError' });
  });

  scenario('a host by name', async (harness) => {
    harness.onAccepted = echo;
    const { address } = await harness.listen({ hostname: 'localhost', port: 0 });
    assert.ok('hostname' in address && address.hostname === 'localhost' && address.port > 0);
    const client = harness.connect(address);
    client.write('by name');
    await harness.until(() => client.text === 'by name', 'the echo');
  });

  scenario('a local address that this machine does not have', async (harness) => {
    const { address } = await harness.listen();
    const client = harness.connect(address, '192.0.2.1');
    await harness.until(() => client.isClosed, 'closed');
    assert.deepEqual(client.events, ['closed']);
    assert.equal(client.reason?.code, 'EADDRNOTAVAIL');
    assert.match(client.reason.message, /192\.0\.2\.1/);
  });

  scenario('a host by name, from a local address: of its addresses, one of that family', async (harness) => {
    const { address } = await harness.listen();
    assert.ok('port' in address);
    const { server } = await harness.pair({ hostname: 'localhost', port: address.port }, '127.0.0.2');
    assert.match(server.peer, /^127\.0\.0\.2:\d+$/);
  });

  scenario('a Unix-domain socket: echo, no peer address, its file goes with the listener', (harness) =>
    inFolder(async (folder) => {
      const address: Address = { path: path.join(folder, 'socket') };
      const { listener } = await harness.listen(address);
      const { client, server } = await harness.pair(address);
      assert.equal(server.peer, '');
      assert.equal(client.peer, '');
      assert.equal(server.local, '');
      echo(server);
      pour(client, 1_000_000, pieceSize, () => client.finish());
      await harness.until(() => harness.open === 0, 'closed');
      assert.equal(client.digest(), client.sentDigest());
      const { client: reset, server: told } = await harness.pair(address);
      reset.write('unread');
      reset.reset();
      await harness.until(() => reset.isClosed && (told.isClosed || told.hasEnded), 'told');
      await harness.layer.unlisten(listener);
      assert.equal(existsSync(address.path), false);
    }),
  );

  scenario('a Unix-domain socket path that is taken: EADDRINUSE, and its file stays', (harness) =>
    inFolder(async (folder) => {
      const address: Address = { path: path.join(folder, 'taken') };
      writeFileSync(address.path, '');
      await assert.rejects(harness.listen(address), { name: 'ConnectionError', code: 'EADDRINUSE', message: /taken/ });
      assert.equal(existsSync(address.path), true);
    }),
  );

  scenario('a Unix-domain socket path that is too long is not cut short: ENAMETOOLONG', (harness) =>
    inFolder(async (folder) => {
      const address: Address = { path: path.join(folder, 'x'.repeat(120)) };
      await assert.rejects(harness.listen(address), { name: 'ConnectionError', code: 'ENAMETOOLONG', message: /107/ });
      const client = harness.connect(address);
      await harness.until(() => client.isClosed, 'closed');
      assert.equal(client.reason?.code, 'ENAMETOOLONG');
    }),
  );

  scenario('a Unix-domain socket path with a zero byte is not cut short: ERR_ADDRESS', (harness) =>
    inFolder(async (folder) => {
      const address: Address = { path: path.join(folder, 'a\0b') };
      await assert.rejects(harness.listen(address), {
        name: 'ConnectionError',
        code: 'ERR_ADDRESS',
        message: /zero byte/,
      });
      assert.deepEqual(readdirSync(folder), []);
      const client = harness.connect(address);
      await harness.until(() => client.isClosed, 'closed');
      assert.equal(client.reason?.code, 'ERR_ADDRESS');
    }),
  );

  scenario('a Unix-domain socket path that is not there: ENOENT', (harness) =>
    inFolder(async (folder) => {
      const client = harness.connect({ path: path.join(folder, 'nowhere') });
      await harness.until(() => client.isClosed, 'closed');
      assert.deepEqual(client.events, ['closed']);
      assert.equal(client.reason?.code, 'ENOENT');
      assert.match(client.reason?.message ?? '', /nowhere/);
    }),
  );

  scenario('IPv6, where there is any', async (harness) => {
    const listening = await harness.listen({ hostname: '::1', port: 0 }).catch((error: unknown) => {
      assert.match(String(error), /EADDRNOTAVAIL|EAFNOSUPPORT|address not available|not supported/i);
      return undefined;
    });
    if (listening === undefined) return;
    const { client, server, address } = await harness.pair(listening.address);
    assert.ok('port' in address);
    assert.equal(client.peer, `[::1]:${address.port}`);
    assert.match(server.peer, /^\[::1\]:\d+$/);
    const both = await harness.listen({ hostname: '::', port: 0 });
    assert.ok('port' in both.address);
    const mapped = await harness.pair({ hostname: '127.0.0.1', port: both.address.port });
    assert.match(mapped.server.peer, /^127\.0\.0\.1:\d+$/);
    assert.equal(mapped.server.local, `127.0.0.1:${both.address.port}`);
  });
}

/** With peers that speak no TLS, and sockets that have nothing unacknowledged. */
function withPlainSockets(scenario: Scenario): void {
  scenario(
    'input that came before a deadline is reported before the deadline passes, however long the process was busy',
    async (harness) => {
      const { address } = await harness.listen();
      assert.ok('port' in address);
      const { port } = address;
      const sockets = await Promise.all(
        ['a', 'b', 'c', 'd'].map(async (name) => {
          const socket = connectSocket({ port, host: '127.0.0.1', noDelay: true });
          socket.on('error', () => {});
          await once(socket, 'connect');
          return { name, socket };
        }),
      );
      const sendAll = (from: number) => {
        for (const { name, socket } of sockets.slice(from)) socket.write(name); // is with the kernel when this returns
      };
      await harness.until(() => harness.ends.length === sockets.length, 'connections');
      const order: string[] = [];
      for (const end of harness.ends)
        end.onReceived = (bytes) => {
          order.push(Buffer.from(bytes).toString());
        };
      const deadlineIn = (milliseconds: number): void => {
        const deadline = harness.layer.now() + milliseconds;
        harness.onTurnEnds = (due) => {
          if (due < deadline) return;
          order.push('deadline');
          harness.onTurnEnds = () => {};
        };
        harness.layer.wakeAt(deadline);
      };
      const passes = () => harness.until(() => order.includes('deadline'), 'the deadline');

      deadlineIn(10);
      sendAll(0);
      busyFor(20);
      await passes();
      assert.deepEqual([order.slice(0, -1).sort(), order.at(-1)], [['a', 'b', 'c', 'd'], 'deadline']);

      // The same while an event is reported, of which another one follows: output is flushed.
      order.length = 0;
      const [first] = sockets;
      for (const end of harness.ends) {
        const { onReceived } = end;
        end.onReceived = (bytes) => {
          onReceived(bytes);
          if (bytes[0] !== first.name.charCodeAt(0)) return;
          deadlineIn(10);
          sendAll(1);
          busyFor(20);
          end.write('x');
          end.notifyFlushed();
        };
      }
      first.socket.write(first.name);
      await passes();
      assert.deepEqual([order.slice(0, -1).sort(), order.at(-1)], [['a', 'b', 'c', 'd'], 'deadline']);
      for (const { socket } of sockets) socket.destroy();
    },
  );

  scenario(
    'output that a peer has made room for goes out before a deadline passes, however long the process was busy',
    async (harness) => {
      const { address } = await harness.listen();
      assert.ok('port' in address);
      // It reads nothing until it gets a message, and then continues while this thread is busy.
      const hasRead = new Int32Array(new SharedArrayBuffer(4));
      const worker = new Worker(readerProgram, { eval: true, workerData: { port: address.port, hasRead } });
      await harness.until(() => harness.ends.length === 1, 'a connection');
      const [end] = harness.ends;
      const fill = () => {
        while (end.queued < highWaterMark) end.write(new Uint8Array(highWaterMark));
      };
      for (let taken = -1, same = 0; same < 5; same++) {
        if (taken !== end.sentBytes - end.queued) same = 0;
        taken = end.sentBytes - end.queued;
        fill();
        await harness.pass(1);
      }
      const { queued } = end;
      let left: number | undefined;
      const deadline = harness.layer.now() + 10;
      harness.onTurnEnds = (due) => {
        if (due >= deadline) left ??= end.queued;
      };
      harness.layer.wakeAt(deadline);
      worker.postMessage('read');
      busyFor(10_000, () => Atomics.load(hasRead, 0) === 1);
      busyFor(10);
      await harness.until(() => left !== undefined, 'the deadline');
      assert.ok(queued > 0 && left === 0, `${left} of ${queued} bytes are left`);
      await worker.terminate();
    },
  );

  scenario('keep-alive probes: on accepted and on made connections, where they are asked for', async (harness) => {
    if (!existsSync('/proc/net/tcp')) return;
    const place = { hostname: '127.0.0.1', port: 0 };
    const probed = await harness.layer.listen({ address: place, backlog: 16, keepAlive: 100_000 });
    const silent = await harness.layer.listen({ address: place, backlog: 16 });
    const seconds = async ({ address }: { address: Address }, keepAlive: number | undefined) => {
      harness.connectOptions = { keepAlive };
      const { client, server } = await harness.pair(address);
      const rows = readFileSync('/proc/net/tcp', 'latin1').split('\n');
      return [probesIn(rows, server.peer, client.peer), probesIn(rows, client.peer, server.peer)];
    };
    assert.deepEqual(await seconds(probed, 200_000), [200, 100]);
    assert.deepEqual(await seconds(silent, undefined), [undefined, undefined]);
  });
}

/** In a separate process. */
function leaving(source: { specifier: string; exported: string }): void {
  const program = (body: string): string => `
    import { ${source.exported} as Layer } from ${JSON.stringify(import.meta.resolve(source.specifier))};
    const layer = new Layer();
    import { Buffer } from 'node:buffer';
    import process from 'node:process';
    const nothing = () => {};
    const sink = { beginTurn: nothing, accepted: nothing, connected: nothing, received: nothing, drained: nothing,
      flushed: nothing, closed: nothing, acceptFailed: nothing, endTurn: nothing, ended: (slot) => layer.finish(slot) };
    layer.start(sink);
    const send = (slot, text) => {
      const bytes = Buffer.from(text);
      const at = layer.reserve(slot, bytes.length);
      layer.output.set(bytes, at);
      layer.commit(slot, at + bytes.length);
    };
    const listen = () => layer.listen({ address: { hostname: '127.0.0.1', port: 0 }, backlog: 16 });
    process.on('exit', (code) => console.log('left', code));
    ${body}`;
  const run = async (body: string): Promise<string> => {
    // From a file, since Node, Bun and Deno differ in the options that take a program as text.
    const folder = mkdtempSync(path.join(tmpdir(), 'sluice-'));
    try {
      const file = path.join(folder, 'program.mjs');
      writeFileSync(file, program(body));
      const args = process.versions.deno === undefined ? [file] : ['run', '-A', file];
      const { stdout } = await promisify(execFile)(process.execPath, args, { timeout: 10_000 });
      return stdout;
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  };

  it('the process leaves by itself after close, whatever was under way', async () => {
    const stdout = await run(`
      const { address } = await listen();
      await listen();
      sink.accepted = (slot) => { for (let i = 0; i < 200; i++) send(slot, 'x'.repeat(60000)); };
      for (let i = 0; i < 20; i++) layer.pauseReading(layer.connect(address));
      sink.endTurn = () => layer.wakeAt(layer.now() + 60000);
      setTimeout(() => layer.close().then(() => console.log('closed')), 50);`);
    assert.equal(stdout, 'closed\nleft 0\n');
  });

  it('the process leaves by itself, without close, when no listener, connection or wake-up is left', async () => {
    const stdout = await run(`
      const { listener, address } = await listen();
      let closed = 0;
      sink.closed = () => { if (++closed === 2) { console.log('both closed'); layer.wakeAt(layer.now() + 50); } };
      let turns = 0;
      const client = layer.connect(address);
      sink.connected = () => { layer.unlisten(listener); send(client, 'bye'); layer.finish(client); };
      const start = layer.now();
      process.on('exit', () => console.log(layer.now() - start >= 50 ? 'woken' : 'not woken'));`);
    assert.equal(stdout, 'both closed\nleft 0\nwoken\n');
  });
}
