import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { timeout } from '#sluice/threads/group.js';
import { sleep } from '#sluice/threads/sleep.js';
import { currentThread, spawn } from '#sluice/threads/thread.js';
import { ManualClock } from '../support/manual-clock.js';

describe('sleep', () => {
  it('parks for the time asked for, and never for less', () => {
    const clock = new ManualClock(10.75);
    let woke: number | undefined;
    clock.start(function* () {
      yield* sleep(5.5);
      woke = clock.now();
    });
    clock.advance(5.4);
    assert.equal(woke, undefined);
    clock.advance(1);
    assert.ok(woke !== undefined && woke >= 16.25 && woke <= 17);
  });

  it('counts from the moment of the call, not from the beginning of the turn', () => {
    const clock = new ManualClock(0);
    const thread = clock.spawn(function* () {
      clock.jumpWithin(50);
      yield* sleep(10);
    });
    clock.settle();
    clock.advance(9);
    assert.equal(thread.state, 'parked');
    clock.advance(2);
    assert.equal(thread.state, 'over');
  });

  it('wakes sleepers in the order of their deadlines, and those of one millisecond in the order in which they came', () => {
    const clock = new ManualClock(0);
    const order: string[] = [];
    for (const [name, ms] of [
      ['c', 30],
      ['a', 10],
      ['b1', 20],
      ['b2', 20],
      ['d', 2_000],
    ] as const) {
      clock.spawn(function* () {
        yield* sleep(ms);
        order.push(name);
      });
    }
    clock.settle();
    clock.jump(5_000);
    assert.deepEqual(order, ['a', 'b1', 'b2', 'c', 'd']);
  });

  it('of 0 lets everything else that is ready run first, in the same millisecond', () => {
    const clock = new ManualClock();
    const order: string[] = [];
    clock.spawn(function* () {
      order.push('first');
      yield* sleep(0);
      order.push('first again');
    });
    clock.spawn(function* () {
      order.push('second');
    });
    clock.settle();
    assert.deepEqual(order, ['first', 'second', 'first again']);
    assert.equal(clock.scheduler.timers.size, 0);
  });

  it('of 0 is unwound within the turn in which it is asked for', () => {
    const clock = new ManualClock();
    let finallyRan = 0;
    const thread = clock.spawn(function* () {
      try {
        for (;;) yield* sleep(0);
      } finally {
        finallyRan++;
      }
    });
    clock.turn();
    assert.equal(thread.state, 'parked');
    thread.unwind();
    clock.turn();
    assert.equal(thread.state, 'over');
    clock.settle();
    assert.equal(finallyRan, 1);

    const child = clock.spawn(function* () {
      const sleeper = spawn(function* () {
        yield* sleep(0);
        assert.fail('it went on');
      });
      yield* sleep(1);
      assert.equal(sleeper.state, 'over');
    });
    clock.turn();
    clock.turn(() => child.unwind());
    assert.equal(child.state, 'over');
  });

  it('of 0 that is unwound in the very turn in which it parked is over at the end of that turn', () => {
    const clock = new ManualClock();
    const sleeper = clock.spawn(() => sleep(0));
    clock.spawn(function* () {
      assert.equal(sleeper.wait, 'timer');
      sleeper.unwind();
    });
    clock.turn();
    assert.equal(sleeper.outcome, 'unwound');
    assert.equal(clock.turnRequested, true); // for its place in the next turn, which is empty by then
    clock.settle();
  });

  it('of Infinity parks until unwound, and arms no timer', () => {
    const clock = new ManualClock();
    const thread = clock.start(function* () {
      yield* sleep(Infinity);
    });
    clock.jump(1e12);
    assert.equal(thread.wait, 'timer');
    assert.equal(clock.wake, Infinity);
    thread.unwind('enough');
    clock.settle();
    assert.equal(thread.outcome, 'unwound');
  });

  for (const ms of [-1, -Infinity, Number.NaN]) {
    it(`refuses ${ms}`, () => {
      const clock = new ManualClock();
      assert.throws(() => clock.run(() => sleep(ms)), {
        code: 'ERR_RANGE',
        message: new RegExp(`sleep: ms is ${ms};`),
      });
    });
  }

  for (const wrong of [undefined, null, '5', 'over', [5], true, 5n, { valueOf: () => 5 }]) {
    it(`refuses what is no number: ${typeof wrong} ${String(wrong)}`, () => {
      const clock = new ManualClock();
      // As code that no compiler has looked at may call it.
      assert.throws(() => clock.run(() => sleep(wrong as number)), { code: 'ERR_RANGE', message: /^sleep: ms is / });
      assert.throws(() => clock.run(() => timeout(wrong as number, sleep(1))), {
        code: 'ERR_RANGE',
        message: /^timeout: ms is /,
      });
    });
  }

  it('leaves no timer armed when it is unwound', () => {
    const clock = new ManualClock();
    const thread = clock.start(function* () {
      yield* sleep(1_000_000);
    });
    assert.equal(clock.scheduler.timers.size, 1);
    assert.notEqual(clock.wake, Infinity);
    thread.unwind();
    clock.settle();
    assert.equal(clock.scheduler.timers.size, 0);
    assert.equal(clock.wake, Infinity);
  });

  it('is not ended by a wake-up that was meant for something else', () => {
    const clock = new ManualClock(0);
    const sleepers = [100, Infinity].map((ms) =>
      clock.spawn(function* () {
        yield* sleep(ms);
      }),
    );
    clock.settle();
    for (const thread of sleepers) clock.scheduler.resume(thread);
    clock.turn(() => {
      for (const thread of sleepers) clock.scheduler.resume(thread);
    });
    for (const thread of sleepers) assert.equal(thread.wait, 'timer');
    clock.advance(101);
    assert.deepEqual(
      sleepers.map(({ state }) => state),
      ['over', 'parked'],
    );
  });

  it('cancels no other timer when it is unwound in the turn in which its own has fired', () => {
    const clock = new ManualClock(0);
    const sleeper = clock.start(function* () {
      yield* sleep(10);
    });
    let others = 0;
    for (let i = 0; i < 3; i++) {
      clock.start(function* () {
        yield* sleep(50 + i);
        others++;
      });
    }
    sleeper.unwind(); // outside a turn: it stands in the queue when its timer fires
    clock.jump(10);
    assert.equal(sleeper.outcome, 'unwound');
    assert.equal(clock.scheduler.timers.size, 3);
    clock.advance(100);
    assert.equal(others, 3);
  });

  it('cancels no other timer when its own fires while its children are being unwound', () => {
    const clock = new ManualClock(0);
    const parent = clock.start(function* () {
      spawn(function* () {
        try {
          yield* sleep(Infinity);
        } finally {
          yield* sleep(50);
        }
      });
      yield* sleep(20);
    });
    let other = false;
    parent.unwind();
    clock.advance(30); // the parent's own timer has fired, and its row is free
    clock.start(function* () {
      yield* sleep(100);
      other = true;
    });
    assert.equal(parent.state, 'closing');
    clock.advance(30);
    assert.equal(parent.state, 'over');
    assert.equal(clock.scheduler.timers.size, 1);
    clock.advance(100);
    assert.equal(other, true);
  });

  it('shows what it waits for and since when', () => {
    const clock = new ManualClock(100);
    const thread = clock.start(function* () {
      assert.equal(currentThread()?.wait, undefined);
      yield* sleep(10);
      yield* sleep(10);
    });
    assert.deepEqual([thread.wait, thread.waitingSince], ['timer', 100]);
    clock.advance(15);
    assert.deepEqual([thread.wait, thread.waitingSince], ['timer', 110]);
    clock.advance(15);
    assert.equal(thread.wait, undefined);
  });
});
