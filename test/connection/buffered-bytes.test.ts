import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { BufferedBytes, type BufferShare } from '#sluice/connection/buffered-bytes.js';
import { listen } from '#sluice/connection/listen.js';
import { memoryLimit } from '#sluice/connection/memory-limit.js';
import type { ConnectionError } from '#sluice/event-layer/event-layer.js';
import { Random } from '#sluice/event-layer/simulated/random.js';
import { sleep } from '#sluice/threads/sleep.js';
import { World } from '../support/world.js';

const limit = 8000;

test('it is full from 7/8 of the limit on, until no more than 3/4 is held', () => {
  const buffers = new BufferedBytes(limit);
  const reported: boolean[] = [];
  const unobserve = buffers.observe((isFull) => reported.push(isFull));
  for (const [bytes, isFull] of [
    [6999, false],
    [1, true],
    [-999, true],
    [-1, false],
    [999, false],
    [1, true],
  ] as const) {
    buffers.add(bytes);
    assert.equal(buffers.isFull, isFull, `${buffers.counts.held}`);
  }
  assert.deepEqual(reported, [true, false, true]);
  unobserve();
  buffers.add(-7000);
  assert.equal(reported.length, 3);
});

test('beyond 7/8 one body goes on, and the others wait for what it gives back', () => {
  const buffers = new BufferedBytes(limit);
  const woken: string[] = [];
  const [first, second, third] = ['first', 'second', 'third'].map((name) => buffers.open(() => woken.push(name)));
  for (const share of [first, second, third]) assert.ok(share.grow(2300));
  assert.ok(first.grow(500));
  assert.ok(!third.grow(100));
  assert.ok(!second.grow(100));
  assert.ok(first.grow(600));
  assert.deepEqual(woken, []);
  first.complete();
  assert.deepEqual(woken, [], 'it holds what it has until its request is over');
  first.release();
  assert.deepEqual(woken, ['second', 'third']);
  assert.deepEqual(buffers.counts, { held: 4800, limit, refused: 0 });
});

test('where all wait and unread input takes the memory, the last is refused and its unread input is dropped', () => {
  const buffers = new BufferedBytes(limit);
  const woken: string[] = [];
  const shares = ['first', 'second', 'third'].map((name) => {
    const unread = {
      held: 2500,
      discard() {
        buffers.add(-unread.held);
        unread.held = 0;
      },
    };
    buffers.add(unread.held);
    return buffers.open(() => woken.push(name), unread);
  });
  for (const share of shares) share.grow(1000);
  assert.deepEqual(woken, ['third', 'first', 'second'], 'the third is refused for the others');
  assert.deepEqual(
    shares.map(({ isRefused }) => isRefused),
    [false, false, true],
  );
  assert.deepEqual(buffers.counts, { held: 7000, limit, refused: 1 });
});

test('the first that waits may use the last eighth when the body that could is complete', () => {
  const buffers = new BufferedBytes(limit);
  const woken: string[] = [];
  const [first, second, third] = ['first', 'second', 'third'].map((name) => buffers.open(() => woken.push(name)));
  for (const share of [first, second, third]) assert.ok(share.grow(2300));
  assert.ok(first.grow(500));
  assert.ok(!third.grow(100) && !second.grow(100));
  first.complete();
  assert.deepEqual(woken, ['second']);
});

test('where the last eighth is not enough and all of them wait, the body that was started last is refused', () => {
  const buffers = new BufferedBytes(limit);
  const woken: string[] = [];
  const [first, second, third] = ['first', 'second', 'third'].map((name) => buffers.open(() => woken.push(name)));
  for (const share of [first, second, third]) assert.ok(share.grow(2300));
  assert.ok(!third.grow(2000) && !second.grow(2000), 'neither fits');
  assert.ok(!third.isRefused, 'the first may still be complete');
  assert.ok(first.grow(2000), 'it is given what the third has held');
  assert.deepEqual(woken, ['third', 'first']);
  assert.ok(third.isRefused && !second.isRefused);
  assert.deepEqual(buffers.counts, { held: 6600, limit, refused: 1 });
  assert.ok(!third.grow(1), 'what was refused gets nothing any more');
  assert.equal(third.wanted, 0);
});

test('a body that is refused while it asks is not granted memory', () => {
  const buffers = new BufferedBytes(limit);
  const [first, second] = [buffers.open(() => {}), buffers.open(() => {})];
  assert.ok(first.grow(3000) && second.grow(3000));
  assert.ok(!first.grow(4000));
  assert.ok(!second.grow(4000));
  assert.ok(second.isRefused);
  assert.deepEqual(buffers.counts, { held: 7000, limit, refused: 1 });
});

test('whatever bodies ask for, no more is held than the limit, and never does every one of them wait', () => {
  for (let seed = 1; seed <= 50; seed++) {
    const random = new Random(seed);
    const buffers = new BufferedBytes(limit);
    const open = new Map<BufferShare, number>();
    let complete = 0;
    let refused = 0;
    for (let step = 0; step < 500 || open.size > 0; step++) {
      assert.ok(step < 5000, `seed ${seed}: no end`);
      if (step < 500 && !buffers.isFull)
        open.set(
          buffers.open(() => {}),
          random.whole(1, 4000),
        );
      for (const [share, wanted] of [...open]) {
        if (share.isRefused) {
          refused++;
          open.delete(share);
        } else if (share.bytes >= wanted && share.wanted === 0) {
          complete++;
          share.complete();
          share.release();
          open.delete(share);
        } else if (share.wanted === 0 && random.chance(0.5)) {
          share.grow(random.whole(1, Math.min(1000, limit - share.bytes)));
        }
      }
      assert.ok(buffers.counts.held <= limit, `seed ${seed}: ${buffers.counts.held} bytes`);
      const stuck = open.size > 0 && [...open.keys()].every((share) => share.wanted > 0 && !share.isRefused);
      assert.ok(!stuck, `seed ${seed}: all ${open.size} wait`);
    }
    assert.ok(complete > 0, `seed ${seed}`);
    assert.equal(buffers.counts.held, 0);
    assert.equal(buffers.counts.refused, refused);
  }
});

test('thousands of bodies that wait are refused without delay, one after the other', () => {
  const buffers = new BufferedBytes(2 ** 20);
  const shares = Array.from({ length: 10_000 }, () => buffers.open(() => {}));
  for (const share of shares) share.grow(104);
  for (const share of shares) if (share.wanted === 0) share.grow(1000);
  for (const share of shares) share.refuse();
  assert.equal(buffers.counts.held, 0);
  assert.equal(buffers.counts.refused, 10_000);
});

/** A machine of 8,000 bytes of memory, with these files. */
function limitOf(files: Record<string, string>): number {
  const root = mkdtempSync(join(tmpdir(), 'sluice-memory-'));
  try {
    for (const [file, text] of Object.entries(files)) {
      mkdirSync(dirname(join(root, file)), { recursive: true });
      writeFileSync(join(root, file), text);
    }
    return memoryLimit(root, 8000);
  } finally {
    rmSync(root, { recursive: true });
  }
}

test('the memory that there is, is that of the machine, or of the least control group above the process', () => {
  const groups = 'sys/fs/cgroup';
  const unified = { 'proc/self/cgroup': '0::/a/b\n' };
  const old = { 'proc/self/cgroup': '5:cpu,cpuacct:/x\n4:memory:/docker/c\n1:name=systemd:/y\n' };
  assert.equal(limitOf({}), 8000);
  assert.equal(limitOf(unified), 8000);
  assert.equal(limitOf({ ...unified, [`${groups}/a/b/memory.max`]: 'max\n' }), 8000);
  assert.equal(limitOf({ ...unified, [`${groups}/a/b/memory.max`]: '3000\n' }), 3000);
  assert.equal(limitOf({ ...unified, [`${groups}/a/b/memory.high`]: '2000\n' }), 2000);
  assert.equal(
    limitOf({ ...unified, [`${groups}/a/b/memory.max`]: '3000\n', [`${groups}/a/memory.max`]: '2500\n' }),
    2500,
  );
  assert.equal(limitOf({ 'proc/self/cgroup': '0::/\n', [`${groups}/memory.max`]: '1000\n' }), 1000, 'in a container');
  assert.equal(limitOf({ ...old, [`${groups}/memory/docker/c/memory.limit_in_bytes`]: '4000\n' }), 4000);
  assert.equal(limitOf({ ...old, [`${groups}/memory/memory.limit_in_bytes`]: '4500\n' }), 4500, 'in a container');
  assert.equal(
    limitOf({ ...old, [`${groups}/memory/docker/c/memory.limit_in_bytes`]: '9223372036854771712\n' }),
    8000,
    'no limit',
  );
});

test('listen: reads for which there is no memory throw ERR_MAX_BUFFERED_BYTES, and what the others hold is bounded', async () => {
  const limit = 2 ** 20;
  for (const [how, size] of [
    ['readLine', 10_000],
    ['readAll', 200_000],
  ] as const) {
    const world = new World({ latency: 0.01, pieces: 'whole', capacity: 2 ** 18 });
    const { network } = world;
    const codes = new Set<unknown>();
    let complete = 0;
    const server = await listen(
      {
        ...{ network, port: 0, maxBufferedBytes: limit },
        onError: (error) => codes.add((error as ConnectionError).code),
      },
      function* ({ reader }) {
        if (how === 'readLine') yield* reader.readLine(1_000_000);
        else yield* reader.readAll(1_000_000);
        complete++;
      },
    );
    const clients = Array.from({ length: 300 }, () =>
      world.client(
        function* ({ reader, writer }) {
          yield* writer.write('x'.repeat(size));
          yield* sleep(1000);
          yield* writer.write('\n');
          yield* writer.end();
          yield* reader.readAll(0);
        },
        { port: server.port },
      ),
    );
    const settled = Promise.allSettled(clients);
    await world.pass(900);
    const { held } = server.buffered;
    assert.ok(held > limit / 2 && held <= limit + 32 * 1024, `${how}: ${held} bytes`);
    await world.pass();
    await settled;
    assert.deepEqual([...codes], ['ERR_MAX_BUFFERED_BYTES'], how);
    assert.ok(complete > 0, how);
    assert.equal(complete + server.buffered.refused, 300, how);
    const closing = server.close();
    await world.close();
    await closing;
    assert.equal(server.buffered.held, 0);
  }
});
