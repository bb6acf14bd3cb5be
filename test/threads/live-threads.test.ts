// The scheduler's list of the threads that are not over.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { sleep } from '#sluice/threads/sleep.js';
import { spawn, type Thread, threadsOf } from '#sluice/threads/thread.js';
import { uninterruptible } from '#sluice/threads/uninterruptible.js';
import { ManualClock } from '../support/manual-clock.js';

const names = (clock: ManualClock) => [...threadsOf(clock.scheduler)].map(({ name }) => name);

function* forEver() {
  yield* sleep(Infinity);
}

describe('the threads of a scheduler', () => {
  it('are listed in the order of their creation, children and threads that have not started included', () => {
    const clock = new ManualClock();
    clock.start(function* parent() {
      spawn(forEver, { name: 'child' });
      yield* sleep(Infinity);
    });
    clock.start(forEver, 'second');
    clock.spawn(forEver, 'ready');
    assert.deepEqual(names(clock), ['parent', 'child', 'second', 'ready']);
  });

  it('leave the list when they are over, wherever they stand in it', () => {
    for (const order of [
      [0, 1, 2],
      [2, 1, 0],
      [1, 0, 2],
      [1, 2, 0],
    ]) {
      const clock = new ManualClock();
      const threads = ['a', 'b', 'c'].map((name) => clock.start(forEver, name));
      let left = ['a', 'b', 'c'];
      for (const index of order) {
        threads[index]?.unwind();
        clock.settle();
        left = left.filter((name) => name !== threads[index]?.name);
        assert.deepEqual(names(clock), left);
      }
      clock.start(forEver, 'later');
      assert.deepEqual(names(clock), ['later']);
    }
  });

  it('stay in it while they run `finally` blocks or wait for their children', () => {
    const clock = new ManualClock();
    const parent = clock.start(function* parent() {
      spawn(function* child() {
        try {
          yield* sleep(Infinity);
        } finally {
          yield* uninterruptible(sleep(10));
        }
      });
      yield* sleep(Infinity);
    });
    parent.unwind();
    clock.settle();
    assert.deepEqual(names(clock), ['parent', 'child']);
    clock.advance(20);
    assert.deepEqual(names(clock), []);
  });

  it('leave it however they end', () => {
    const clock = new ManualClock();
    clock.start(function* returns() {});
    clock.start(function* fails() {
      throw new Error('on purpose');
    });
    clock.spawn(forEver, 'unwound before it starts').unwind();
    const abandoned: Thread<void> = clock.start(function* abandoned() {
      try {
        yield* sleep(Infinity);
      } finally {
        yield* sleep(Infinity);
      }
    });
    abandoned.unwind();
    clock.settle();
    assert.deepEqual(names(clock), ['abandoned']);
    clock.advance(clock.scheduler.unwindLimit + 1);
    assert.deepEqual(names(clock), []);
    assert.equal(clock.reports.length, 2, 'the failure, and the thread that was abandoned');
  });
});
