import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  type Connection,
  ConnectionError,
  connect,
  listen,
  type Reader,
  sleep,
  spawn,
  type Task,
  until,
} from '#sluice/index.js';
import { inManyWorlds, inWorld, type World } from '../support/world.js';

const text = (bytes: Uint8Array | undefined) => bytes && new TextDecoder().decode(bytes);
const code = (expected: string) => (error: unknown) => error instanceof ConnectionError && error.code === expected;

/** A server reads with `read`; a client sends `pieces`, one write each, and ends. */
function* reading(
  world: World,
  pieces: readonly (string | Uint8Array)[],
  read: (reader: Reader, connection: Connection) => Task<void>,
): Task<void> {
  let done = false;
  const errors: unknown[] = [];
  const server = yield* until(
    listen({ port: 0, network: world.network, onError: (error) => errors.push(error) }, function* handler(connection) {
      yield* read(connection.reader, connection);
      done = true;
    }),
  );
  const { writer, reader } = yield* connect({ port: server.port });
  for (const piece of pieces) {
    yield* writer.write(piece);
    yield* sleep(1);
  }
  yield* writer.end();
  while ((yield* reader.read()) !== undefined);
  yield* until(server.close());
  assert.deepEqual(errors, []);
  assert.ok(done, 'the reading task has not come to its end');
}

function* throws(task: Task<unknown>, expected: string): Task<void> {
  try {
    yield* task;
  } catch (error) {
    assert.ok(code(expected)(error), `expected ${expected}, found ${error}`);
    return;
  }
  assert.fail(`nothing was thrown; expected ${expected}`);
}

test('what takeOwned gives stays as it is: the reader’s own buffer where that is half full, else a copy', async () => {
  const all = `${'ab'.repeat(1000)}${'cd'.repeat(1000)}e`;
  for (const [taken, isCopied] of [
    [10, false],
    [3000, true],
  ] as const) {
    await inManyWorlds((world) =>
      reading(world, [all.slice(0, 2000), all.slice(2000, 4000), all.slice(4000)], function* (reader) {
        const parts: Uint8Array[] = [];
        const seen: (string | undefined)[] = [];
        const take = (most: number): Uint8Array => {
          const part = reader.takeOwned(most);
          assert.ok(part.length <= most);
          parts.push(part);
          seen.push(text(part));
          return part;
        };
        yield* reader.more();
        const first = take(3); // of what is lent
        while (reader.buffered < all.length - first.length) yield* reader.more();
        yield* sleep(1); // now the rest stands in a buffer of the reader's own
        const { bytes } = reader;
        assert.notEqual(take(taken).buffer, bytes.buffer); // a part of it
        assert.equal(take(Infinity).buffer !== bytes.buffer, isCopied); // all that is left
        assert.deepEqual([reader.buffered, reader.bytes.length], [0, 0]);
        const lent = new TextEncoder().encode('lent whole');
        reader.setBorrowed(lent, 0, lent.length);
        assert.notEqual(reader.takeOwned(Infinity).buffer, lent.buffer);
        while (yield* reader.more()) take(Infinity);
        assert.deepEqual(parts.map(text), seen);
        assert.equal(seen.join(''), all);
      }),
    );
  }
});

test('the buffer for more than is read ahead is at most 16 KiB larger than what is unread', async () => {
  await inWorld({}, (world) =>
    reading(world, [], function* (reader) {
      reader.setBorrowed(new Uint8Array(65_000), 0, 65_000);
      reader.copyBorrowed();
      assert.equal(reader.bytes.length, 65_536);
      for (const unread of [65_537, 100_000, 131_100]) {
        const more = unread - reader.buffered;
        reader.setBorrowed(new Uint8Array(more), 0, more);
        assert.equal(reader.bytes.length, Math.ceil(unread / 16_384) * 16_384);
      }
      reader.consume(131_100);
      assert.equal(reader.held, 0);
      yield* reader.skip(0);
    }),
  );
});

test('read gives all bytes in order, then undefined at the end of input, and again', async () => {
  await inManyWorlds((world) =>
    reading(world, ['hello ', 'wor', 'ld'], function* (reader) {
      let all = '';
      for (let part: Uint8Array | undefined; (part = yield* reader.read()) !== undefined; ) all += text(part);
      assert.equal(all, 'hello world');
      assert.equal(yield* reader.read(), undefined);
      assert.equal(reader.ended, true);
    }),
  );
});

test('readExactly gives as many bytes as asked for, which are the caller’s to keep', async () => {
  await inManyWorlds((world) =>
    reading(world, ['abcdefgh', 'ijkl'], function* (reader) {
      const first = yield* reader.readExactly(3);
      const second = yield* reader.readExactly(7);
      assert.equal((yield* reader.readExactly(0)).length, 0);
      assert.equal(text(yield* reader.readExactly(2)), 'kl');
      assert.equal(text(first), 'abc');
      assert.equal(text(second), 'defghij');
    }),
  );
});

test('readExactly of more than there is throws ERR_ENDED and leaves what had come unread', async () => {
  await inManyWorlds((world) =>
    reading(world, ['abc'], function* (reader) {
      yield* throws(reader.readExactly(4), 'ERR_ENDED');
      assert.equal(text(yield* reader.readExactly(3)), 'abc');
    }),
  );
});

test('readExactly of more than the read-ahead gives every byte', async () => {
  const size = 300_000;
  const bytes = Uint8Array.from({ length: size }, (_, i) => (i * 7) & 255);
  for (const seed of [1, 2, 3]) {
    await inWorld({ seed }, (world) =>
      reading(world, [bytes], function* (reader) {
        assert.deepEqual(yield* reader.readExactly(size), bytes);
      }),
    );
  }
});

test('readUntil consumes the delimiter and does not return it, also if the delimiter is cut', async () => {
  await inManyWorlds((world) =>
    reading(world, ['one\r', '\n\r\ntwo\r\nthree\r\n\r\n\r\n\r\n'], function* (reader) {
      assert.equal(text(yield* reader.readUntil('\r\n\r\n', 100)), 'one');
      assert.equal(text(yield* reader.readUntil('\r\n\r\n', 100)), 'two\r\nthree');
      assert.equal(text(yield* reader.readUntil('\r\n\r\n', 0)), '');
      assert.equal(yield* reader.readUntil('\r\n\r\n', 0), undefined);
    }),
  );
});

test('readUntil throws ERR_LIMIT for more bytes than the limit, and not for just as many', async () => {
  await inManyWorlds((world) =>
    reading(world, ['12345;123456;'], function* (reader) {
      assert.equal(text(yield* reader.readUntil(';', 5)), '12345');
      yield* throws(reader.readUntil(';', 5), 'ERR_LIMIT');
    }),
  );
});

test('readUntil without its delimiter throws ERR_ENDED', async () => {
  await inManyWorlds((world) =>
    reading(world, ['abc'], function* (reader) {
      yield* throws(reader.readUntil(';', 10), 'ERR_ENDED');
    }),
  );
});

test('readLine takes LF and CRLF, decodes UTF-8, and gives a last line without an end', async () => {
  await inManyWorlds((world) =>
    reading(world, ['a\r\n\nžluť', 'oučký\nlast'], function* (reader) {
      assert.equal(yield* reader.readLine(100), 'a');
      assert.equal(yield* reader.readLine(100), '');
      assert.equal(yield* reader.readLine(100), 'žluťoučký');
      assert.equal(yield* reader.readLine(100), 'last');
      assert.equal(yield* reader.readLine(100), undefined);
    }),
  );
});

test('readLine keeps a CR that stands within a line', async () => {
  await inManyWorlds((world) =>
    reading(world, ['a\rb\n'], function* (reader) {
      assert.equal(yield* reader.readLine(10), 'a\rb');
    }),
  );
});

test('readLine counts neither LF nor CRLF into its limit', async () => {
  await inManyWorlds((world) =>
    reading(world, ['12345\r\n12345\n123456\n'], function* (reader) {
      assert.equal(yield* reader.readLine(5), '12345');
      assert.equal(yield* reader.readLine(5), '12345');
      yield* throws(reader.readLine(5), 'ERR_LIMIT');
    }),
  );
});

test('readExactly takes memory for the bytes that come, and not for those that the peer promises', async () => {
  await inManyWorlds(
    (world) =>
      reading(world, ['x'.repeat(70_000)], function* (reader) {
        yield* throws(reader.readExactly(2 ** 40), 'ERR_ENDED');
      }),
    {},
    251,
  );
});

test('peek refuses more than is read ahead', async () => {
  await inWorld({}, (world) =>
    reading(world, ['abcd'], function* (reader) {
      yield* throws(reader.peek(65_537), 'ERR_RANGE');
      assert.equal((yield* reader.peek(65_536)).length, 4);
    }),
  );
});

test('peek shows bytes and consumes none; at the end of input it shows fewer', async () => {
  await inManyWorlds((world) =>
    reading(world, ['abcd'], function* (reader) {
      assert.equal(text((yield* reader.peek(2)).subarray(0, 2)), 'ab');
      assert.equal(text(yield* reader.readExactly(4)), 'abcd');
      assert.equal((yield* reader.peek(1)).length, 0);
    }),
  );
});

test('skip says how many bytes it has skipped', async () => {
  await inManyWorlds((world) =>
    reading(world, ['abcdef'], function* (reader) {
      assert.equal(yield* reader.skip(4), 4);
      assert.equal(yield* reader.skip(4), 2);
      assert.equal(yield* reader.skip(4), 0);
    }),
  );
});

test('readAll gives everything, and throws ERR_LIMIT if that is more than the limit', async () => {
  await inManyWorlds((world) =>
    reading(world, ['abc', 'def'], function* (reader) {
      assert.equal(text(yield* reader.readAll(6)), 'abcdef');
    }),
  );
  await inManyWorlds((world) =>
    reading(world, ['abc', 'def'], function* (reader) {
      yield* throws(reader.readAll(5), 'ERR_LIMIT');
    }),
  );
});

test('counts and limits that are no whole numbers are refused by name', async () => {
  await inWorld({}, (world) =>
    reading(world, ['x'], function* (reader) {
      for (const wrong of [-1, 1.5, Number.NaN, Infinity]) {
        yield* throws(reader.readExactly(wrong), 'ERR_RANGE');
        yield* throws(reader.readLine(wrong), 'ERR_RANGE');
        yield* throws(reader.skip(wrong), 'ERR_RANGE');
      }
      yield* throws(reader.readUntil('', 10), 'ERR_RANGE');
    }),
  );
});

test('whatever is read with whichever method, no byte is lost, doubled or out of order', async () => {
  const method = fc.oneof(
    fc.record({ name: fc.constant('read' as const) }),
    fc.record({ name: fc.constantFrom('readExactly' as const, 'peek' as const, 'skip' as const), count: fc.nat(40) }),
    fc.record({ name: fc.constantFrom('readLine' as const, 'readUntil' as const) }),
  );
  const letters = fc.string({ unit: fc.constantFrom('a', 'b', '\n', '\r', ';'), maxLength: 120 });
  await fc.assert(
    fc.asyncProperty(
      fc.nat(),
      fc.array(letters, { maxLength: 6 }),
      fc.array(method, { maxLength: 20 }),
      async (seed, sent, methods) => {
        await inWorld({ seed }, (world) =>
          reading(world, sent, function* (reader) {
            let left = sent.join('');
            const expectNext = (found: string | undefined, consumed: string) => {
              assert.equal(
                left.startsWith(consumed),
                true,
                `found ${JSON.stringify(consumed)} where ${JSON.stringify(left)} stands`,
              );
              left = left.slice(consumed.length);
              return found;
            };
            for (const { name, ...rest } of methods) {
              const count = 'count' in rest ? rest.count : 0;
              try {
                if (name === 'read') expectNext('', text(yield* reader.read()) ?? '');
                else if (name === 'readExactly') expectNext('', text(yield* reader.readExactly(count)) ?? '');
                else if (name === 'peek') assert.ok(left.startsWith(text(yield* reader.peek(count)) ?? ''));
                else if (name === 'skip') left = left.slice(yield* reader.skip(count));
                else if (name === 'readUntil') {
                  const found = text(yield* reader.readUntil(';', 1000));
                  if (found !== undefined) expectNext(found, `${found};`);
                } else {
                  const end = left.indexOf('\n');
                  const expected = end === -1 ? left : left.slice(0, end + 1);
                  const found = yield* reader.readLine(1000);
                  if (found !== undefined) assert.equal(found, expected.replace(/\r?\n$|\r$/, ''));
                  left = left.slice(expected.length);
                }
              } catch (error) {
                if (!code('ERR_ENDED')(error)) throw error;
              }
            }
            assert.equal(text(yield* reader.readAll(10_000)), left);
          }),
        );
      },
    ),
    { numRuns: 150 },
  );
});

test('a reader that does not read stops the sender: what is buffered stays within the read-ahead', async () => {
  const total = 4_000_000;
  for (const seed of [1, 2, 3]) {
    await inWorld({ seed, capacity: 32_768 }, function* (world) {
      let most = 0;
      const server = yield* until(
        listen({ port: 0, network: world.network }, function* ({ reader }) {
          for (let i = 0; i < 20; i++) {
            yield* sleep(100);
            most = Math.max(most, reader.buffered);
          }
          assert.equal((yield* reader.readAll(total)).length, total);
        }),
      );
      const { writer } = yield* connect({ port: server.port });
      yield* writer.write(new Uint8Array(total));
      yield* writer.end();
      yield* until(server.close({ deadline: 1e6 }));
      assert.ok(most > 0 && most < 2 * 65_536, `${most} bytes were buffered`);
    });
  }
});

test('a read that waits longer than its timeout throws ERR_READ_TIMEOUT; bytes that come make it wait again', async () => {
  await inWorld({ latency: 0 }, function* (world) {
    const seen: string[] = [];
    const server = yield* until(
      listen({ port: 0, network: world.network }, function* ({ reader }) {
        reader.timeout = 100;
        seen.push(text(yield* reader.read()) ?? '');
        seen.push(text(yield* reader.read()) ?? '');
        yield* throws(reader.read(), 'ERR_READ_TIMEOUT');
        seen.push('late');
      }),
    );
    const { writer } = yield* connect({ port: server.port });
    yield* sleep(80);
    yield* writer.write('a');
    yield* sleep(80);
    yield* writer.write('b');
    yield* sleep(200);
    yield* until(server.close());
    assert.deepEqual(seen, ['a', 'b', 'late']);
  });
});

test('a second thread that reads from the same connection gets an error', async () => {
  await inWorld({}, function* (world) {
    const server = yield* until(
      listen({ port: 0, network: world.network }, function* ({ reader }) {
        yield* reader.read();
      }),
    );
    const { reader } = yield* connect({ port: server.port });
    const other = spawn(function* other() {
      yield* reader.read();
    });
    yield* sleep(0);
    yield* throws(reader.read(), 'ERR_BUSY');
    other.unwind();
    yield* until(server.close({ deadline: 10 }));
  });
});
