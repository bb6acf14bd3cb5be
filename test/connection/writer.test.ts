import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BufferedBytes } from '#sluice/connection/buffered-bytes.js';
import type { Owner } from '#sluice/connection/network.js';
import { highWaterMark, lowWaterMark } from '#sluice/event-layer/event-layer.js';
import {
  Connection,
  ConnectionError,
  connect,
  currentThread,
  listen,
  Network,
  SimulatedLayer,
  sleep,
  spawn,
  type Task,
  UnwoundError,
  until,
} from '#sluice/index.js';
import { parkedMemory } from '../support/cost.js';
import { countsWireBytes } from '../support/transport.js';
import { inManyWorlds, inWorld, type World } from '../support/world.js';

/** A server that writes with `write`; what it has sent, as the client has read it. */
function* writing(world: World, write: (connection: Connection) => Task<void>): Task<string> {
  const errors: unknown[] = [];
  const server = yield* until(
    listen({ port: 0, network: world.network, onError: (error) => errors.push(error) }, write),
  );
  const { reader } = yield* connect({ port: server.port });
  const all = new TextDecoder().decode(yield* reader.readAll(10_000_000));
  yield* until(server.close());
  assert.deepEqual(errors, []);
  return all;
}

test('strings and bytes arrive in the order in which they were written', async () => {
  await inManyWorlds(function* (world) {
    const all = yield* writing(world, function* ({ writer }) {
      yield* writer.write('abc');
      yield* writer.write(new Uint8Array([100, 101]));
      yield* writer.write('');
      yield* writer.write('žluť 🐎');
    });
    assert.equal(all, 'abcdežluť 🐎');
  });
});

test('a string of any length arrives whole, whatever its characters', async () => {
  for (const text of [
    'x'.repeat(5461),
    'x'.repeat(5462),
    'ž'.repeat(5461),
    '🐎'.repeat(200_000),
    'a'.repeat(1_000_000),
  ]) {
    await inWorld({}, function* (world) {
      const all = yield* writing(world, ({ writer }) => writer.write(text));
      assert.ok(all === text, `${text.length} units`);
    });
  }
});

test('the memory that was written is the caller’s again when write returns', async () => {
  await inWorld({}, function* (world) {
    const all = yield* writing(world, function* ({ writer }) {
      const bytes = new Uint8Array(4).fill(97);
      yield* writer.write(bytes);
      bytes.fill(98);
      yield* writer.write(bytes);
    });
    assert.equal(all, 'aaaabbbb');
  });
});

test('a writer whose peer does not read parks, flooded, with no more than the high-water mark and a piece queued', async () => {
  await inWorld({ capacity: 4096 }, function* (world) {
    let seen: string | undefined;
    let queued = 0;
    const server = yield* until(
      listen({ port: 0, network: world.network }, function* (connection) {
        yield* connection.writer.write(new Uint8Array(1_000_000));
      }),
    );
    const { reader } = yield* connect({ port: server.port });
    yield* reader.peek(1);
    yield* sleep(1000);
    for (const thread of server.threads()) seen = thread.wait;
    for (let slot = 0; slot < 2; slot++) queued = Math.max(queued, world.traffic.queued(slot));
    assert.equal(seen, 'flooded');
    assert.ok(queued > lowWaterMark && queued <= highWaterMark + 16_384, `${queued} bytes are queued`);
    assert.equal((yield* reader.readAll(1_000_000)).length, 1_000_000);
    yield* until(server.close());
  });
});

test('flush parks until the kernel has everything', async () => {
  await inManyWorlds(
    function* (world) {
      const server = yield* until(
        listen({ port: 0, network: world.network }, function* ({ writer }) {
          yield* writer.write(new Uint8Array(30_000));
          yield* writer.flush();
          assert.equal(world.traffic.queued(1), 0);
          yield* writer.flush();
        }),
      );
      const { reader } = yield* connect({ port: server.port });
      assert.equal((yield* reader.readAll(30_000)).length, 30_000);
      yield* until(server.close());
    },
    { capacity: 1024 },
    251,
  );
});

test('flush returns when nothing is queued, and not before, also if another thread that wanted to wait was refused meanwhile', async () => {
  await inManyWorlds(
    function* (world) {
      const codes: string[] = [];
      const queued: number[] = [];
      const server = yield* until(
        listen({ port: 0, network: world.network }, function* ({ writer }) {
          yield* writer.write(new Uint8Array(highWaterMark));
          spawn(function* () {
            try {
              yield* writer.flush();
            } catch (error) {
              codes.push(error instanceof ConnectionError ? error.code : String(error));
            }
          });
          yield* writer.flush();
          queued.push(world.traffic.queued(1));
        }),
      );
      const { reader } = yield* connect({ port: server.port });
      assert.equal((yield* reader.readAll(highWaterMark)).length, highWaterMark);
      yield* until(server.close());
      assert.deepEqual(codes, ['ERR_BUSY']);
      assert.deepEqual(queued, [0]);
    },
    { capacity: 1024 },
    251,
  );
});

test('a write that is not awaited writes nothing, and one that is waited for again writes nothing more', async () => {
  await inManyWorlds(function* (world) {
    const all = yield* writing(world, function* ({ writer }) {
      writer.write('never');
      const once = writer.write('once');
      yield* writer.write('before, ');
      yield* once;
      yield* once;
    });
    assert.equal(all, 'before, once');
  });
});

test('a thread that is unwound while it is flooded leaves the writer to others', async () => {
  await inManyWorlds(
    function* (world) {
      const server = yield* until(
        listen({ port: 0, network: world.network }, function* ({ writer }) {
          const flooded = spawn(() => writer.write(new Uint8Array(1_000_000)));
          yield* sleep(1);
          flooded.unwind();
          try {
            yield* flooded.join();
          } catch (error) {
            assert.ok(error instanceof UnwoundError, String(error));
          }
          yield* writer.write('end');
        }),
      );
      const { reader } = yield* connect({ port: server.port });
      yield* sleep(10);
      const got = yield* reader.readAll(1_000_000);
      assert.ok(got.length > highWaterMark && got.length < 1_000_000, `${got.length} bytes`);
      assert.equal(Buffer.from(got.subarray(-3)).toString(), 'end');
      yield* until(server.close());
    },
    { capacity: 1024 },
    251,
  );
});

test('after end, writing throws ERR_ENDED and reading goes on', async () => {
  await inManyWorlds(function* (world) {
    let got = '';
    const server = yield* until(
      listen({ port: 0, network: world.network }, function* ({ reader, writer }) {
        yield* writer.end();
        yield* writer.end();
        try {
          yield* writer.write('x');
          assert.fail('nothing was thrown');
        } catch (error) {
          assert.ok(error instanceof ConnectionError && error.code === 'ERR_ENDED');
        }
        got = (yield* reader.readLine(100)) ?? '';
      }),
    );
    const { reader, writer } = yield* connect({ port: server.port });
    assert.equal(yield* reader.read(), undefined);
    yield* writer.write('still here\n');
    yield* writer.end();
    yield* until(server.close());
    assert.equal(got, 'still here');
  });
});

test('a peer that takes nothing for the timeout makes write throw ERR_WRITE_TIMEOUT; one that takes a little does not', async () => {
  await inWorld({ capacity: 1024, latency: 1 }, function* (world) {
    const codes: string[] = [];
    const server = yield* until(
      listen({ port: 0, network: world.network, onError() {} }, function* ({ writer }) {
        writer.timeout = 5000;
        try {
          yield* writer.write(new Uint8Array(200_000));
          codes.push('written');
        } catch (error) {
          codes.push(error instanceof ConnectionError ? error.code : String(error));
        }
      }),
    );
    const slow = yield* connect({ port: server.port });
    for (let i = 0; i < 20; i++) {
      yield* slow.reader.readExactly(10_000);
      yield* sleep(700);
    }
    yield* slow.reader.readAll(1_000_000);
    assert.deepEqual(codes, ['written']);
    yield* connect({ port: server.port });
    yield* sleep(20_000);
    assert.deepEqual(codes, ['written', 'ERR_WRITE_TIMEOUT']);
    yield* until(server.close({ deadline: 10 }));
  });
});

test(
  'a peer that has taken something is given all of the time that it is worth, to the fraction of a millisecond',
  countsWireBytes,
  async () => {
    await inWorld({ capacity: 1024, latency: 0.3 }, function* (world) {
      const rate = 8192;
      let began = 0;
      let over = 0;
      const server = yield* until(
        listen({ port: 0, network: world.network, onError() {} }, function* (connection) {
          Object.defineProperty(connection, 'writeRate', { value: rate });
          const { reader, writer } = connection;
          writer.timeout = 5000;
          yield* writer.write(new Uint8Array(65_000));
          yield* reader.read(); // so that the writer parks when something has come, which is at no whole millisecond
          began = world.network.scheduler.now;
          try {
            yield* writer.write(new Uint8Array(32_000));
          } finally {
            over = world.network.scheduler.now;
          }
        }),
      );
      const { layer } = world.network;
      const { writer, slot } = yield* connect({ port: server.port });
      layer.pauseReading(slot);
      yield* writer.write('go on');
      yield* sleep(100);
      const other = slot === 0 ? 1 : 0;
      const queued = layer.queued(other);
      layer.resumeReading(slot);
      yield* sleep(3);
      layer.pauseReading(slot);
      yield* sleep(100);
      const worth = ((queued - layer.queued(other)) * 1000) / rate;
      yield* sleep(20_000);
      assert.notEqual(began % 1, 0);
      assert.ok(worth > 0 && worth < 5000, `what the peer has taken is worth ${worth} ms`);
      const late = over - (began + 5000 + worth);
      assert.ok(late >= 0 && late <= 2, `${late} ms late`);
      yield* until(server.close({ deadline: 10 }));
    });
  },
);

test('a peer that resets the connection unwinds the handler’s thread where it is parked, and finally runs once', async () => {
  const parks: Record<string, (connection: Connection) => Task<unknown>> = {
    dry: ({ reader }) => reader.read(),
    flooded: ({ writer }) => writer.write(new Uint8Array(1_000_000)),
    timer: () => sleep(1e9),
    promise: () => until(new Promise(() => {})),
  };
  for (const [kind, park] of Object.entries(parks)) {
    await inWorld({ capacity: 1024 }, function* (world) {
      let ran = 0;
      let left: boolean | undefined;
      const server = yield* until(
        listen({ port: 0, network: world.network }, function* (connection) {
          try {
            yield* park(connection);
          } finally {
            ran++;
            left = currentThread()?.unwound;
          }
        }),
      );
      const connection = yield* connect({ port: server.port });
      yield* sleep(100);
      assert.deepEqual(
        [...server.threads()].map((thread) => thread.wait),
        [kind],
      );
      connection.reset();
      yield* sleep(100);
      assert.equal(ran, 1, kind);
      assert.equal(left, true, kind);
      assert.equal(server.connections.total, 0);
      yield* until(server.close());
    });
  }
});

test('a client whose server vanishes gets an error with the system’s code', async () => {
  await inWorld({}, function* (world) {
    const server = yield* until(
      listen({ port: 0, network: world.network }, function* (connection) {
        yield* sleep(1000);
        connection.reset();
      }),
    );
    const { reader } = yield* connect({ port: server.port });
    try {
      yield* reader.read();
      assert.fail('nothing was thrown');
    } catch (error) {
      assert.ok(error instanceof ConnectionError && error.code === 'ECONNRESET', String(error));
    }
    yield* until(server.close());
  });
});

test('a long string arrives as it is in UTF-8, wherever it is cut', async () => {
  // Characters of one to four bytes, and halves of characters, so that each falls on the end of a piece.
  for (const [unit, before] of [
    ['a', 0],
    ['é', 0],
    ['€', 0],
    ['😀', 0],
    ['😀', 1],
    ['\ud83d', 0],
    ['\ud83d😀', 0],
    ['\ude00', 1],
  ] as const) {
    const text = 'b'.repeat(before) + unit.repeat(20_000);
    await inWorld({}, function* (world) {
      const server = yield* until(
        listen({ port: 0, network: world.network }, function* ({ writer }) {
          yield* writer.write(text);
        }),
      );
      const { reader } = yield* connect({ port: server.port });
      assert.deepEqual(Buffer.from(yield* reader.readAll(1_000_000)), Buffer.from(text));
      yield* until(server.close());
    });
  }
});

test('threads that are parked because their clients are flooded take little memory', async () => {
  const collect = globalThis.gc ?? (() => assert.fail('to be run with --expose-gc'));
  const heap = () => {
    collect();
    return process.memoryUsage().heapUsed;
  };
  class Flooded extends SimulatedLayer {
    override queued(): number {
      return highWaterMark;
    }
  }
  const layer = new Flooded();
  const network = new Network(layer);
  const owner: Owner = {
    network,
    transport: layer,
    buffers: BufferedBytes.ofProcess(),
    queuedBytes: highWaterMark,
    readTimeout: Infinity,
    writeTimeout: Infinity,
    writeRate: 0,
    opened() {},
    secured() {},
    received() {},
    ended() {},
    expired() {},
    closed() {},
    sessionFailed() {},
  };
  const { scheduler } = network;
  const park = (count: number) =>
    Array.from({ length: count }, () => spawn(new Connection(owner, 0).writer.write('text'), { scheduler }));
  const first = park(1000); // V8 learns from these how large such objects are
  await layer.run();
  const before = heap();
  const threads = park(20_000);
  await layer.run();
  assert.ok(threads.every(({ wait }) => wait === 'flooded'));
  const each = (heap() - before) / threads.length;
  assert.ok(each < parkedMemory, `${each} bytes each`);
  for (const thread of [...first, ...threads]) thread.unwind();
  await layer.run();
  assert.ok(threads.every(({ outcome }) => outcome === 'unwound'));
});
