import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { all, timeout } from '#sluice/threads/group.js';
import { sleep } from '#sluice/threads/sleep.js';
import type { Task } from '#sluice/threads/task.js';
import { currentThread, spawn } from '#sluice/threads/thread.js';
import { uninterruptible } from '#sluice/threads/uninterruptible.js';
import { ManualClock } from '../support/manual-clock.js';

const codeOf = (error: unknown) => (error instanceof Error && 'code' in error ? error.code : undefined);

describe('uninterruptible', () => {
  it('gives what its task returns, and throws what it throws', () => {
    const clock = new ManualClock(0);
    const failure = new Error('no');
    assert.equal(
      clock.run(() =>
        uninterruptible(function* () {
          return 1;
        }),
      ),
      1,
    );
    assert.throws(
      () =>
        clock.run(() =>
          uninterruptible(function* () {
            throw failure;
          }),
        ),
      failure,
    );
  });

  it('lets a finally block that was entered in the ordinary way run to its end when the thread is unwound', () => {
    const clock = new ManualClock(0);
    const order: string[] = [];
    const thread = clock.start(function* () {
      try {
        order.push('worked');
      } finally {
        yield* uninterruptible(function* () {
          yield* sleep(10);
          order.push('rolled back');
          yield* sleep(10);
          order.push('released');
        });
        order.push('done');
      }
      order.push('continues to where it next parks');
      yield* sleep(1);
      order.push('never');
    });
    thread.unwind('reason');
    assert.deepEqual([thread.unwound, thread.reason], [true, 'reason']);
    clock.advance(10);
    thread.unwind('again');
    clock.advance(10);
    assert.deepEqual(order, ['worked', 'rolled back', 'released', 'done', 'continues to where it next parks']);
    assert.equal(thread.outcome, 'unwound');
    assert.equal(clock.scheduler.timers.size, 0);
    assert.deepEqual(clock.reports, []);
  });

  it('holds for a thread that was unwound while it ran, before it came to the task', () => {
    const clock = new ManualClock(0);
    let isDone = false;
    const thread = clock.start(function* () {
      currentThread()?.unwind();
      yield* uninterruptible(sleep(5));
      isDone = true;
    });
    clock.advance(5);
    assert.deepEqual([isDone, thread.outcome], [true, 'returned']);
  });

  it('keeps an error on its way that the finally block was entered with', () => {
    const clock = new ManualClock(0);
    const failure = new Error('query failed');
    const thread = clock.start(function* () {
      try {
        throw failure;
      } finally {
        yield* uninterruptible(sleep(5));
      }
    });
    thread.unwind();
    clock.advance(5);
    assert.equal(thread.failure, failure);
    assert.deepEqual(clock.reports, [failure]);
  });

  it('does not unwind the children that its task has spawned before it is done', () => {
    const clock = new ManualClock(0);
    let results: unknown;
    const thread = clock.start(function* () {
      yield* uninterruptible(function* () {
        results = yield* all([
          function* () {
            yield* sleep(3);
            return 'a';
          },
          () => timeout(10, sleep(5)),
        ]);
      });
    });
    thread.unwind();
    clock.advance(5);
    assert.deepEqual(results, ['a', undefined]);
    assert.equal(thread.state, 'over');
  });

  it('may be nested, and may stand in a block that runs because of the unwinding', () => {
    const clock = new ManualClock(0);
    const order: string[] = [];
    const thread = clock.start(function* () {
      try {
        yield* uninterruptible(function* () {
          yield* uninterruptible(sleep(1));
          yield* sleep(1);
          order.push('first');
        });
        yield* sleep(Infinity);
      } finally {
        yield* uninterruptible(sleep(1));
        order.push('second');
      }
    });
    thread.unwind();
    clock.advance(3);
    assert.deepEqual(order, ['first', 'second']);
    assert.equal(thread.state, 'over');
  });

  it('makes whatever has unwound the thread wait; what it returns then is a result', () => {
    const clock = new ManualClock(0);
    let isDone = false;
    function* work(): Task<string> {
      yield* uninterruptible(sleep(20));
      isDone = true;
      return 'late';
    }
    const parent = clock.start(function* () {
      return yield* timeout(10, work);
    });
    clock.advance(19);
    assert.equal(parent.state, 'parked');
    clock.advance(1);
    assert.deepEqual([isDone, parent.result()], [true, 'late']);
  });

  it('holds when a child fails: the thread fails with it afterwards', () => {
    const clock = new ManualClock(0);
    const failure = new Error('child');
    let isDone = false;
    const thread = clock.start(function* () {
      spawn(function* () {
        yield* sleep(1);
        throw failure;
      });
      yield* uninterruptible(sleep(5));
      isDone = true;
      yield* sleep(Infinity);
    });
    clock.advance(5);
    assert.deepEqual([isDone, thread.failure], [true, failure]);
  });

  it('ends at the limit of unwinding, counted from unwind: the thread is reported and abandoned', () => {
    const clock = new ManualClock(0);
    const order: string[] = [];
    const thread = clock.start(function* () {
      try {
        yield* uninterruptible(function* () {
          try {
            yield* sleep(Infinity);
          } finally {
            order.push('inner');
          }
        });
      } finally {
        order.push('outer');
      }
    });
    clock.advance(60_000);
    assert.equal(thread.state, 'parked');
    thread.unwind();
    clock.advance(clock.scheduler.unwindLimit - 1);
    assert.equal(thread.state, 'parked');
    clock.advance(1);
    assert.equal(thread.state, 'over');
    assert.deepEqual(order, ['inner', 'outer']);
    assert.deepEqual(clock.reports.map(codeOf), ['ERR_UNWIND_LIMIT']);
    assert.equal(clock.scheduler.timers.size, 0);
  });

  it('runs nothing in a thread that is unwound before it has started', () => {
    const clock = new ManualClock(0);
    let calls = 0;
    const thread = clock.spawn(
      uninterruptible(() => {
        calls++;
        return sleep(1);
      }),
    );
    thread.unwind();
    clock.settle();
    assert.deepEqual([calls, thread.outcome], [0, 'unwound']);
  });

  it('needs a thread, and a task', () => {
    assert.throws(() => uninterruptible(sleep(1))[Symbol.iterator]().next(), { code: 'ERR_NO_THREAD' });
    const clock = new ManualClock(0);
    assert.throws(() => clock.run(() => uninterruptible(1 as unknown as Task<void>)), { code: 'ERR_NOT_A_TASK' });
  });

  it('does not appear among the tasks that an error has come through', () => {
    const clock = new ManualClock(0);
    const thread = clock.start(function* handler() {
      yield* uninterruptible(function* cleanUp() {
        yield* spawn(function* query() {
          throw new Error('no');
        }).join();
      });
    });
    assert.ok(thread.failure instanceof Error);
    assert.doesNotMatch(String(thread.failure.stack).split('in task')[1] ?? '', /uninterruptible/);
  });
});
