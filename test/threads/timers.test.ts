import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { type TimerTarget, TimerWheel } from '#sluice/threads/timers.js';
import { assertProportional } from '../support/cost.js';

/** Beyond what the wheel reaches in one go: it puts such timers back when they come up. */
const horizon = 2 ** 30 - 1;

/** Does with a sorted list what the wheel does with buckets. */
class Model {
  #now: number;
  #sequence = 0;
  readonly armed = new Map<number, { key: number; deadline: number; due: number; sequence: number }>();

  constructor(now: number) {
    this.#now = now;
  }

  arm(key: number, deadline: number): void {
    const due = Math.max(Math.ceil(deadline), Math.floor(this.#now) + 1);
    this.armed.set(key, { key, deadline, due, sequence: this.#sequence++ });
  }

  cancel(key: number): void {
    this.armed.delete(key);
  }

  nearest(): number {
    return Math.min(...[...this.armed.values()].map(({ due }) => due));
  }

  /** @param fired may arm and cancel */
  advance(now: number, fired: (key: number) => void): void {
    for (;;) {
      const next = [...this.armed.values()].sort((a, b) => a.due - b.due || a.sequence - b.sequence)[0];
      if (next === undefined || next.due > now) break;
      this.#now = Math.max(this.#now, next.due);
      this.armed.delete(next.key);
      fired(next.key);
    }
    this.#now = Math.max(this.#now, now);
  }
}

/** A wheel whose timers are known by keys. */
class Keyed implements TimerTarget {
  readonly wheel: TimerWheel;
  readonly ids = new Map<number, number>();
  fired: (key: number) => void = () => {};

  constructor(now: number) {
    this.wheel = new TimerWheel(now);
  }

  arm(key: number, deadline: number): void {
    this.ids.set(key, this.wheel.arm(deadline, this, key));
  }

  cancel(key: number): void {
    const id = this.ids.get(key);
    if (id === undefined) return;
    this.ids.delete(key);
    this.wheel.cancel(id);
  }

  timerFired(key: number): void {
    this.ids.delete(key);
    this.fired(key);
  }
}

/** Never so far that a timer armed in the middle of a long `advance` is beyond the horizon: the order of those is not promised. */
const distance = fc.oneof(
  fc.double({ min: -5, max: 3, noNaN: true }),
  fc.integer({ min: 0, max: 70 }),
  fc.double({ min: 0, max: 2_000, noNaN: true }),
  fc.integer({ min: 0, max: 50_000 }),
  fc.integer({ min: 0, max: 2 ** 29 - 2 }),
);

type Step =
  | { do: 'arm'; ms: number }
  | { do: 'cancel'; pick: number }
  | { do: 'advance'; ms: number }
  | { do: 'wake' }
  | { do: 'inside'; rearm: number | undefined; cancel: number | undefined };

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: distance.map((ms): Step => ({ do: 'arm', ms })) },
  { weight: 1, arbitrary: fc.nat().map((pick): Step => ({ do: 'cancel', pick })) },
  { weight: 2, arbitrary: distance.map((ms): Step => ({ do: 'advance', ms: Math.max(0, ms) })) },
  { weight: 2, arbitrary: fc.constant<Step>({ do: 'wake' }) },
  {
    weight: 1,
    arbitrary: fc
      .record({ rearm: fc.option(distance, { nil: undefined }), cancel: fc.option(fc.nat(), { nil: undefined }) })
      .map((inside): Step => ({ do: 'inside', ...inside })),
  },
);

/** Does the same to wheel and model, and compares what they say. */
function compare(origin: number, steps: readonly Step[]): void {
  const keyed = new Keyed(origin);
  const model = new Model(origin);
  let now = origin;
  let key = 0;
  let inside: { rearm: number | undefined; cancel: number | undefined } = { rearm: undefined, cancel: undefined };
  const pick = (number: number): number | undefined => [...model.armed.keys()][number % model.armed.size];

  /** What a firing timer does, at most so many times in one advance: a timer that is armed again for the past fires again. */
  const action = (target: { arm(key: number, deadline: number): void; cancel(key: number): void }, order: number[]) => {
    let next = key;
    return (fired: number) => {
      order.push(fired);
      if (order.length > 50) return;
      if (inside.rearm !== undefined) target.arm(1_000_000 + next++, now + inside.rearm);
      if (inside.cancel !== undefined) target.cancel(inside.cancel);
    };
  };
  const advance = (to: number) => {
    const before = new Map([...model.armed.values()].map(({ key, deadline }) => [key, deadline]));
    now = Math.max(now, to);
    const expected: number[] = [];
    const actual: number[] = [];
    keyed.fired = action(keyed, actual);
    model.advance(now, action(model, expected));
    keyed.wheel.advance(now);
    key += expected.length;
    assert.deepEqual(actual, expected);
    for (const fired of actual) assert.ok((before.get(fired) ?? -Infinity) <= now, 'a timer fired early');
  };

  for (const step of steps) {
    if (step.do === 'arm') {
      keyed.arm(key, now + step.ms);
      model.arm(key++, now + step.ms);
    } else if (step.do === 'cancel') {
      const chosen = model.armed.size === 0 ? undefined : pick(step.pick);
      if (chosen !== undefined) {
        keyed.cancel(chosen);
        model.cancel(chosen);
      }
    } else if (step.do === 'advance') {
      advance(now + step.ms);
    } else if (step.do === 'wake') {
      const wake = keyed.wheel.nextWake();
      if (wake !== Infinity) advance(wake);
    } else {
      const cancel = step.cancel === undefined || model.armed.size === 0 ? undefined : pick(step.cancel);
      inside = { rearm: step.rearm, cancel };
    }
    assert.equal(keyed.wheel.size, model.armed.size);
    if (model.armed.size === 0) assert.equal(keyed.wheel.nextWake(), Infinity);
    else assert.ok(keyed.wheel.nextWake() <= model.nearest(), `it wakes later than the next deadline`);
    assert.ok(keyed.wheel.nextWake() > now, 'it wants to be woken in the past');
  }
  // Woken only when it asks for it, it fires all that is left, each in its millisecond.
  inside = { rearm: undefined, cancel: undefined };
  for (let wakes = 0; keyed.wheel.size > 0; wakes++) {
    assert.ok(wakes < 10_000, 'it asks to be woken again and again, and nothing fires');
    advance(keyed.wheel.nextWake());
  }
}

describe('the timing wheel', () => {
  it('does what a sorted list does, whatever is armed, cancelled and advanced', () => {
    fc.assert(fc.property(fc.double({ min: 0, max: 1e6, noNaN: true }), fc.array(step, { maxLength: 60 }), compare), {
      numRuns: 400,
    });
  });

  it('does so too where its 32 bits of ticks wrap around', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: -70_000, max: 10 }).map((before) => 2 ** 32 + before + 0.5),
        fc.array(step, { maxLength: 60 }),
        compare,
      ),
      { numRuns: 300 },
    );
  });

  it('fires timers of one millisecond in the order in which they were armed, however far ahead each was armed', () => {
    const keyed = new Keyed(0);
    const order: number[] = [];
    keyed.fired = (key) => order.push(key);
    const deadline = 40 * 32 ** 3 + 32 * 5 + 7;
    const armings = [
      0,
      5,
      39 * 32 ** 3,
      deadline - 1_100,
      deadline - 1_000,
      deadline - 40,
      deadline - 20,
      deadline - 1,
    ];
    for (const [key, time] of armings.entries()) {
      keyed.wheel.advance(time);
      keyed.arm(key, deadline - (key % 2) / 2);
    }
    assert.deepEqual(order, []);
    keyed.wheel.advance(deadline);
    assert.deepEqual(order, [0, 1, 2, 3, 4, 5, 6, 7]);
  });

  it('keeps deadlines beyond its horizon of 12 days', () => {
    fc.assert(
      fc.property(fc.double({ min: 1, max: 5, noNaN: true }), fc.nat({ max: 2 ** 31 }), (times, origin) => {
        const keyed = new Keyed(origin);
        const deadline = origin + horizon * times;
        let firedAt = 0;
        keyed.arm(0, deadline);
        keyed.fired = () => {
          firedAt = Math.ceil(deadline);
        };
        for (let wakes = 0; keyed.wheel.size > 0 && wakes < 200; wakes++) {
          const wake = keyed.wheel.nextWake();
          assert.ok(wake <= Math.ceil(deadline));
          keyed.wheel.advance(wake);
          if (keyed.wheel.size === 0) assert.equal(wake, firedAt);
        }
        assert.equal(keyed.wheel.size, 0);
      }),
    );
  });

  it('never fires a timer for the end of time, and can cancel it', () => {
    const keyed = new Keyed(0);
    keyed.fired = () => assert.fail('it fired');
    keyed.arm(0, Infinity);
    keyed.wheel.advance(1e12);
    assert.equal(keyed.wheel.size, 1);
    keyed.cancel(0);
    assert.equal(keyed.wheel.nextWake(), Infinity);
  });

  it('lets a firing timer cancel others of its millisecond, which then do not fire', () => {
    const keyed = new Keyed(0);
    const order: number[] = [];
    keyed.fired = (key) => {
      order.push(key);
      keyed.cancel(key === 0 ? 2 : 99);
    };
    for (const key of [0, 1, 2, 3]) keyed.arm(key, 10);
    keyed.wheel.advance(10);
    assert.deepEqual(order, [0, 1, 3]);
    assert.equal(keyed.wheel.size, 0);
  });

  it('does not fire a timer that a firing timer arms for the past within the same millisecond', () => {
    const keyed = new Keyed(0);
    let count = 0;
    keyed.fired = (key) => {
      count++;
      keyed.arm(key, 0);
    };
    keyed.arm(0, 10);
    keyed.wheel.advance(10);
    assert.equal(count, 1);
    keyed.wheel.advance(13);
    assert.equal(count, 4);
  });

  it('uses the rows of timers that are gone again', () => {
    const wheel = new TimerWheel(0);
    const target = { timerFired() {} };
    const ids = new Set<number>();
    for (let i = 0; i < 10_000; i++) {
      const id = wheel.arm(i + 5, target, 0);
      ids.add(id);
      if (i % 2 === 0) wheel.cancel(id);
      else wheel.advance(i + 5);
    }
    assert.ok(ids.size <= 3, `${ids.size} rows were used for two timers at a time`);
  });

  it('arms and cancels in constant time', () => {
    const target = { timerFired() {} };
    assertProportional((size) => {
      const wheel = new TimerWheel(0);
      const ids = new Int32Array(size);
      for (let round = 0; round < 5; round++) {
        for (let i = 0; i < size; i++) ids[i] = wheel.arm(1 + ((i * 7919) % 1e9), target, i);
        for (let i = 0; i < size; i++) wheel.cancel(ids[(i * 7) % size]);
      }
      assert.equal(wheel.size, 0);
    }, 1_000);
  });

  it('holds timers that are months away, or have been due for as long', () => {
    const day = 24 * 3600 * 1000;
    const keyed = new Keyed(40 * day);
    const fired: number[] = [];
    keyed.fired = (key) => fired.push(key);
    for (const [key, days] of [-60, -30, 13, 24.9, 30, 49.8, 100].entries()) keyed.arm(key, (40 + days) * day);
    keyed.arm(7, Infinity);
    keyed.wheel.advance(40 * day + 1);
    assert.deepEqual(fired, [0, 1]);
    for (const [key, days] of [13, 24.9, 30, 49.8, 100].entries()) {
      keyed.wheel.advance((40 + days) * day - 1);
      assert.equal(fired.length, 2 + key);
      keyed.wheel.advance((40 + days) * day + 1);
      assert.equal(fired.length, 3 + key);
    }
    assert.equal(keyed.wheel.size, 1);
    keyed.cancel(7);
    assert.equal(keyed.wheel.nextWake(), Infinity);
  });

  it('calls its default target, and others, with the arguments that they were armed with', () => {
    const wheel = new TimerWheel(0);
    const told: [string, number][] = [];
    const usual: TimerTarget = { timerFired: (arg) => told.push(['usual', arg]) };
    const other: TimerTarget = { timerFired: (arg) => told.push(['other', arg]) };
    wheel.defaultTarget = usual;
    wheel.cancel(wheel.arm(1, other, 9));
    for (const arg of [0, 7, -3]) {
      wheel.arm(1, usual, arg);
      wheel.arm(1, other, arg);
    }
    wheel.advance(1);
    assert.deepEqual(
      told,
      [0, 7, -3].flatMap((arg) => [
        ['usual', arg],
        ['other', arg],
      ]),
    );
  });
});
