// Tasks nested as deep as the stack allows, and trees of threads that are deeper.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { sleep } from '#sluice/threads/sleep.js';
import type { Task } from '#sluice/threads/task.js';
import { currentThread, spawn, type Thread } from '#sluice/threads/thread.js';
import { ManualClock } from '../support/manual-clock.js';

const codeOf = (error: unknown) => (error instanceof Error && 'code' in error ? error.code : undefined);

describe('tasks that are nested deep', () => {
  /** @param parks whether the `finally` blocks park */
  function* nested(depth: number, parks: boolean, log: number[]): Task<void> {
    try {
      if (depth > 1) yield* nested(depth - 1, parks, log);
      else yield* sleep(Infinity);
    } finally {
      if (parks) yield* sleep(0);
      log.push(depth);
    }
  }

  for (const parks of [false, true]) {
    it(`are unwound with every finally block run, the innermost first, ${parks ? 'also if each of them parks' : '3,000 levels deep'}`, () => {
      const clock = new ManualClock();
      const log: number[] = [];
      const depth = 3_000;
      const thread = clock.start(() => nested(depth, parks, log));
      assert.equal(thread.wait, 'timer');
      thread.unwind();
      clock.settle(2 * depth);
      assert.equal(thread.outcome, 'unwound');
      assert.deepEqual(
        log,
        Array.from({ length: depth }, (_, i) => i + 1),
      );
      assert.deepEqual(clock.reports, []);
    });
  }

  it('fail with an error that says so where they exhaust the stack, after their finally blocks', () => {
    const clock = new ManualClock();
    let entered = 0;
    let left = 0;
    function* endless(): Task<never> {
      entered++;
      try {
        return yield* endless();
      } finally {
        left++;
      }
    }
    const thread = clock.start(endless);
    assert.equal(codeOf(thread.failure), 'ERR_TOO_DEEP');
    assert.match(String(thread.failure), /nested too deep in yield\*.*1,000 levels are safe/);
    assert.ok(thread.failure instanceof Error && thread.failure.cause instanceof RangeError);
    assert.ok(entered > 1_000);
    assert.equal(left, entered);
  });

  it('may be 100,000 levels deep where threads are between them', () => {
    const clock = new ManualClock();
    function* count(depth: number): Task<number> {
      if (depth === 0) return 0;
      if (depth % 500 === 0) return 1 + (yield* spawn(() => count(depth - 1)).join());
      return 1 + (yield* count(depth - 1));
    }
    assert.equal(
      clock.run(() => count(100_000)),
      100_000,
    );
  });
});

describe('a tree of threads that is 10,000 deep', () => {
  const depth = 10_000;

  /** Starts a chain of threads, each of which waits for its child. */
  function start(clock: ManualClock, wait: (child: Thread<unknown>) => Task<unknown>, innermost: () => Task<unknown>) {
    const log: number[] = [];
    function* level(at: number): Task<unknown> {
      try {
        return yield* at === depth ? innermost() : wait(spawn(() => level(at + 1)));
      } finally {
        log.push(at);
      }
    }
    return { thread: clock.start(() => level(1)), log };
  }

  const fromInside = Array.from({ length: depth }, (_, i) => depth - i);
  const waits: [string, (child: Thread<unknown>) => Task<unknown>][] = [
    ['joins', (child) => child.join()],
    [
      'closes its children',
      function* () {
        yield* sleep(1);
        yield* currentThread()?.closeChildren('no more') ?? sleep(0);
      },
    ],
    ['sleeps', () => sleep(Infinity)],
  ];

  for (const [what, wait] of waits) {
    it(`is unwound from the inside out where each thread ${what}`, () => {
      const clock = new ManualClock();
      const { thread, log } = start(clock, wait, () => sleep(Infinity));
      if (what === 'closes its children') clock.advance(2);
      else thread.unwind();
      clock.settle();
      assert.equal(thread.state, 'over');
      assert.deepEqual(log, fromInside);
      assert.deepEqual(clock.reports, []);
    });
  }

  it('hands a failure from the innermost to the outermost, whether each thread joins its child or sleeps', () => {
    for (const wait of [(child: Thread<unknown>) => child.join(), () => sleep(Infinity)]) {
      const clock = new ManualClock();
      const failure = new Error('innermost');
      const { thread, log } = start(clock, wait, function* () {
        yield* sleep(1);
        throw failure;
      });
      clock.advance(5);
      assert.equal(thread.failure, failure);
      assert.deepEqual(log, fromInside);
      assert.deepEqual(clock.reports, [failure]);
    }
  });
});
