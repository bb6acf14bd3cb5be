import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { Channel, Semaphore } from '#sluice/threads/channel.js';
import { sleep } from '#sluice/threads/sleep.js';
import { spawn, type Thread } from '#sluice/threads/thread.js';
import { assertProportional } from '../support/cost.js';
import { ManualClock } from '../support/manual-clock.js';

describe('a channel', () => {
  it('gives values out in the order in which they went in, and shows the end by undefined', () => {
    const clock = new ManualClock();
    const channel = new Channel<number | null>(3);
    const got: (number | null)[] = [];
    clock.start(function* () {
      for (let value: number | null | undefined; (value = yield* channel.receive()) !== undefined; ) got.push(value);
    });
    clock.start(function* () {
      for (let i = 0; i < 10; i++) yield* channel.send(i);
      yield* channel.send(null);
      channel.close();
    });
    assert.deepEqual(got, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, null]);
    assert.equal(channel.closed, true);
  });

  it('never holds more than its capacity: a sender parks', () => {
    const clock = new ManualClock();
    const channel = new Channel<number>(2);
    let sent = 0;
    const sender = clock.start(function* () {
      for (;;) yield* channel.send(sent++);
    });
    assert.deepEqual([sent, channel.length, sender.wait], [3, 2, 'channel']);
    assert.equal(channel.trySend(99), false);
    assert.equal(channel.tryReceive(), 0);
    clock.settle();
    assert.deepEqual([sent, channel.length], [4, 2]);
  });

  it('can be used from outside threads', () => {
    const clock = new ManualClock();
    const channel = new Channel<string>(1);
    assert.equal(channel.tryReceive(), undefined);
    const receiver = clock.start(() => channel.receive());
    assert.equal(receiver.wait, 'channel');
    assert.equal(channel.trySend('a'), true);
    clock.settle();
    assert.equal(receiver.result(), 'a');
    assert.throws(() => [...channel.receive()], { code: 'ERR_NO_THREAD' });
  });

  it('lets receivers go in the order in which they came', () => {
    const clock = new ManualClock();
    const channel = new Channel<string>(4);
    const got: string[] = [];
    for (const name of ['first', 'second', 'third']) {
      clock.start(function* () {
        for (;;) got.push(`${name} ${yield* channel.receive()}`);
      });
    }
    for (const value of ['a', 'b', 'c', 'd']) assert.ok(channel.trySend(value));
    clock.settle();
    assert.deepEqual(got, ['first a', 'second b', 'third c', 'first d']);
  });

  it('lets senders go in the order in which they came, though others come along', () => {
    const clock = new ManualClock();
    const channel = new Channel<string>(1);
    const sent: string[] = [];
    for (const name of ['a', 'b', 'c']) {
      clock.start(function* () {
        yield* channel.send(name);
        sent.push(name);
      });
    }
    const got: unknown[] = [];
    clock.start(function* () {
      for (const name of ['d', 'e']) {
        got.push(channel.tryReceive()); // the first of the line is woken; this one comes behind them all
        yield* channel.send(name);
        sent.push(name);
      }
    });
    for (let value: string | undefined; (value = channel.tryReceive()) !== undefined; clock.settle()) got.push(value);
    assert.deepEqual(got, ['a', 'b', 'c', 'd', 'e'].slice(0, got.length));
    assert.deepEqual(sent, ['a', 'b', 'c', 'd', 'e']);
  });

  it('keeps the place in the line of a thread whose value was taken before it ran', () => {
    const clock = new ManualClock();
    const channel = new Channel<string>(4);
    const got: string[] = [];
    for (const name of ['first', 'second']) {
      clock.start(function* () {
        got.push(`${name} ${yield* channel.receive()}`);
      });
    }
    channel.trySend('a');
    assert.equal(channel.tryReceive(), 'a');
    clock.settle();
    assert.deepEqual(got, []);
    channel.trySend('b');
    channel.trySend('c');
    clock.settle();
    assert.deepEqual(got, ['first b', 'second c']);
  });

  it('when it is closed, refuses what is sent, wakes everybody, and gives out what it holds', () => {
    const clock = new ManualClock();
    const full = new Channel<number>(2);
    const outcomes: unknown[] = [];
    for (let i = 0; i < 4; i++) {
      clock.start(function* () {
        try {
          yield* full.send(i);
          outcomes.push(i);
        } catch (error) {
          outcomes.push(error instanceof Error && 'code' in error ? error.code : error);
        }
      });
    }
    full.close();
    full.close();
    clock.settle();
    assert.deepEqual(outcomes, [0, 1, 'ERR_CHANNEL_CLOSED', 'ERR_CHANNEL_CLOSED']);
    assert.throws(() => full.trySend(5), { code: 'ERR_CHANNEL_CLOSED' });
    assert.throws(() => clock.run(() => full.send(5)), { code: 'ERR_CHANNEL_CLOSED' });
    assert.deepEqual([full.tryReceive(), clock.run(() => full.receive())], [0, 1]);
    assert.equal(
      clock.run(() => full.receive()),
      undefined,
    );

    const empty = new Channel<number>(2);
    const receivers = [0, 1, 2].map(() => clock.start(() => empty.receive()));
    empty.close();
    clock.settle();
    assert.deepEqual(
      receivers.map((thread) => thread.result()),
      [undefined, undefined, undefined],
    );
  });

  it('refuses undefined, and capacities that are none', () => {
    const clock = new ManualClock();
    const channel: Channel<string> = new Channel(1);
    const nothing: unknown = undefined;
    assert.throws(() => channel.trySend(nothing as string), { code: 'ERR_VALUE' });
    channel.trySend('full');
    assert.throws(() => clock.run(() => channel.send(nothing as string)), { code: 'ERR_VALUE' });
    for (const capacity of [0, -1, 1.5, Number.NaN, Infinity]) {
      assert.throws(() => new Channel(capacity), { code: 'ERR_RANGE', message: new RegExp(`${capacity}`) });
    }
  });

  it('gives nothing to a receiver that is woken by mistake before the first of the line', () => {
    const clock = new ManualClock();
    const channel = new Channel<string>(4);
    const [first, second] = [clock.start(() => channel.receive()), clock.start(() => channel.receive())];
    clock.scheduler.resume(second);
    channel.trySend('a');
    clock.settle();
    assert.deepEqual([first.outcome, second.wait], ['returned', 'channel']);
    channel.trySend('b');
    clock.settle();
    assert.deepEqual([first.result(), second.result()], ['a', 'b']);
  });

  it('passes the wake-up of a receiver that is unwound on to the next', () => {
    const clock = new ManualClock();
    const channel = new Channel<string>(1);
    const first = clock.start(() => channel.receive());
    const second = clock.start(() => channel.receive());
    channel.trySend('a');
    first.unwind();
    clock.settle();
    assert.equal(first.outcome, 'unwound');
    assert.equal(second.result(), 'a');
  });

  it('does not let a receiver that waits for its children to be unwound hold up the others', () => {
    const clock = new ManualClock();
    const channel = new Channel<string>(1);
    const first = clock.start(function* () {
      spawn(function* () {
        try {
          yield* sleep(Infinity);
        } finally {
          yield* sleep(100);
        }
      });
      yield* channel.receive();
    });
    const second = clock.start(() => channel.receive());
    first.unwind();
    clock.settle();
    assert.equal(first.state, 'closing');
    channel.trySend('a');
    clock.settle();
    assert.equal(second.result(), 'a');
    assert.ok(channel.trySend('b'));
    assert.equal(
      clock.run(() => channel.receive()),
      'b',
      'nor those who come later',
    );
    clock.advance(200);
    assert.equal(first.state, 'over');
  });

  it('keeps the order of those who wait when others leave from the front, the middle and the end of the line', () => {
    const clock = new ManualClock();
    const channel = new Channel<number>(4);
    for (const leaving of [
      [0],
      [9],
      [0, 9],
      [4, 5],
      [5, 4],
      [9, 8, 7],
      [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
      [1, 3, 9, 7, 5],
    ]) {
      const got: string[] = [];
      const threads = Array.from({ length: 10 }, (_, i) =>
        clock.start(function* () {
          got.push(`${i} ${yield* channel.receive()}`);
        }),
      );
      for (const i of leaving) threads[i]?.unwind();
      clock.settle();
      const staying = threads.flatMap((_, i) => (leaving.includes(i) ? [] : [i]));
      for (let i = 0; i < staying.length; i++) {
        channel.trySend(i);
        if (i % 3 === 2) clock.settle();
      }
      clock.settle();
      assert.deepEqual(
        got,
        staying.map((who, i) => `${who} ${i}`),
        `${leaving} left`,
      );
      assert.ok(channel.trySend(99), 'nobody waits any more');
      assert.equal(channel.tryReceive(), 99);
    }
  });

  it('lets a sender wait while a receiver that was woken still stands in its own line', () => {
    const clock = new ManualClock();
    const channel = new Channel<string>(1);
    const order: string[] = [];
    for (const name of ['first', 'second', 'third']) {
      clock.start(function* () {
        order.push(`${name} got ${yield* channel.receive()}`);
      });
    }
    clock.start(function* () {
      for (const value of ['a', 'b', 'c']) {
        yield* channel.send(value);
        order.push(`sent ${value}`);
      }
    });
    assert.deepEqual(order.toSorted(), ['first got a', 'second got b', 'sent a', 'sent b', 'sent c', 'third got c']);
    assert.equal(channel.length, 0);
  });

  it('when it is closed, wakes all of many senders and receivers, in the order in which they came', () => {
    const clock = new ManualClock();
    const full = new Channel<number>(1);
    full.trySend(0);
    const empty = new Channel<number>(1);
    const told: string[] = [];
    for (let i = 0; i < 50; i++) {
      clock.start(function* () {
        try {
          yield* full.send(i);
        } catch {
          told.push(`sender ${i}`);
        }
      });
      clock.start(function* () {
        yield* empty.receive();
        told.push(`receiver ${i}`);
      });
    }
    for (const [channel, who] of [
      [full, 'sender'],
      [empty, 'receiver'],
    ] as const) {
      channel.close();
      clock.settle();
      assert.deepEqual(
        told.splice(0),
        Array.from({ length: 50 }, (_, i) => `${who} ${i}`),
      );
    }
  });

  it('gives out whatever it holds, be it one value or many', () => {
    const values = [null, Number.NaN, 0, '', false, [1, 2], {}];
    const channel = new Channel<NonNullable<unknown> | null>(values.length);
    for (const value of values) {
      assert.ok(channel.trySend(value));
      assert.equal(channel.length, 1);
      assert.ok(Object.is(channel.tryReceive(), value));
      assert.equal(channel.length, 0);
      assert.equal(channel.tryReceive(), undefined);
    }
    for (const value of values) assert.ok(channel.trySend(value));
    assert.equal(channel.trySend('more'), false);
    assert.equal(channel.tryReceive(), null);
    assert.ok(channel.trySend('more'));
    for (const value of [...values.slice(1), 'more']) assert.ok(Object.is(channel.tryReceive(), value));
    assert.equal(channel.tryReceive(), undefined);
  });

  it('can be long: taking a value costs the same however many are behind it', () => {
    assertProportional((size) => {
      const channel = new Channel<number>(size);
      for (let i = 0; i < size; i++) channel.trySend(i);
      for (let i = 0; i < size; i++) {
        if (channel.tryReceive() !== i) assert.fail(`not ${i}`);
        channel.trySend(i);
      }
      assert.equal(channel.length, size);
    }, 2_000);
  });

  it('loses no value, doubles none and forgets no thread, whichever is unwound and when', () => {
    const action = fc.oneof(
      fc.record({ do: fc.constantFrom('send' as const), from: fc.nat() }),
      fc.record({ do: fc.constantFrom('receive' as const), from: fc.nat() }),
      fc.record({ do: fc.constantFrom('unwind' as const), from: fc.nat() }),
      fc.record({ do: fc.constantFrom('tryReceive' as const, 'trySend' as const, 'turn' as const), from: fc.nat() }),
    );
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 4 }), fc.array(action, { maxLength: 80 }), (capacity, actions) => {
        const clock = new ManualClock();
        const channel = new Channel<number>(capacity);
        const threads: Thread<unknown>[] = [];
        const sent: number[] = [];
        const received: number[] = [];
        let next = 0;
        for (const { do: what, from } of actions) {
          if (what === 'send') {
            threads.push(
              clock.spawn(function* () {
                const value = next++;
                yield* channel.send(value);
                sent.push(value);
              }),
            );
          } else if (what === 'receive') {
            threads.push(
              clock.spawn(function* () {
                const value = yield* channel.receive();
                if (value !== undefined) received.push(value);
              }),
            );
          } else if (what === 'unwind') {
            if (threads.length > 0) threads[from % threads.length]?.unwind();
          } else if (what === 'tryReceive') {
            const value = channel.tryReceive();
            if (value !== undefined) received.push(value);
          } else if (what === 'trySend') {
            if (channel.trySend(next)) sent.push(next);
            next++;
          } else {
            clock.settle();
          }
          assert.ok(channel.length <= capacity);
        }
        clock.settle();
        const parked = threads.filter(({ state }) => state === 'parked');
        if (channel.length > 0 && channel.length < capacity) assert.deepEqual(parked, [], 'somebody was forgotten');
        for (let value: number | undefined; (value = channel.tryReceive()) !== undefined; clock.settle())
          received.push(value);
        assert.deepEqual(
          [...received].sort((a, b) => a - b),
          [...sent].sort((a, b) => a - b),
        );
        // Now it is empty, so all that are still parked are receivers, and one value for each is what they wait for.
        for (let i = 0; i < threads.length && channel.length < capacity; i++) {
          channel.trySend(next++);
          clock.settle();
        }
        assert.deepEqual(
          threads.filter(({ state }) => state !== 'over'),
          [],
        );
      }),
      { numRuns: 500 },
    );
  });
});

describe('a semaphore', () => {
  it('never lets more hold a permit than it has, and gives permits in the order of asking', () => {
    const clock = new ManualClock();
    const semaphore = new Semaphore(2);
    const order: number[] = [];
    let holders = 0;
    for (let i = 0; i < 9; i++) {
      clock.start(() =>
        semaphore.use(
          (function* () {
            order.push(i);
            assert.ok(++holders <= 2);
            yield* sleep(10);
            holders--;
          })(),
        ),
      );
    }
    clock.advance(1_000);
    assert.deepEqual(order, [0, 1, 2, 3, 4, 5, 6, 7, 8]);
    assert.equal(semaphore.available, 2);
    assert.deepEqual(clock.reports, []);
  });

  it('keeps the order when several permits come back at once', () => {
    const clock = new ManualClock();
    const semaphore = new Semaphore(2);
    const order: string[] = [];
    clock.run(function* () {
      yield* semaphore.acquire();
      yield* semaphore.acquire();
    });
    for (const name of ['a', 'b', 'c', 'd', 'e']) {
      clock.start(function* () {
        yield* semaphore.acquire();
        order.push(name);
      });
    }
    for (let i = 0; i < 2; i++) {
      semaphore.release();
      semaphore.release();
      clock.settle();
    }
    assert.deepEqual(order, ['a', 'b', 'c', 'd']);
    assert.equal(semaphore.available, 0);
  });

  it('lets no later thread take the permit of those that wait', () => {
    const clock = new ManualClock();
    const semaphore = new Semaphore(1);
    const order: string[] = [];
    clock.run(() => semaphore.acquire());
    clock.start(function* () {
      yield* semaphore.acquire();
      order.push('waiting');
      semaphore.release();
    });
    clock.start(function* () {
      semaphore.release();
      yield* semaphore.acquire();
      order.push('releasing');
    });
    assert.deepEqual(order, ['waiting', 'releasing']);
  });

  it('gives the permit back when the task that holds it fails or is unwound', () => {
    const clock = new ManualClock();
    const semaphore = new Semaphore(1);
    assert.throws(
      () =>
        clock.run(() =>
          semaphore.use(
            (function* () {
              throw new Error('no');
            })(),
          ),
        ),
      /no/,
    );
    assert.equal(semaphore.available, 1);
    const holder = clock.start(() => semaphore.use(sleep(Infinity)));
    const waiting = clock.start(() => semaphore.acquire());
    assert.deepEqual([semaphore.available, waiting.wait], [0, 'channel']);
    holder.unwind();
    clock.settle();
    assert.equal(waiting.outcome, 'returned');
  });

  it('refuses a release without a permit, and wrong numbers of permits', () => {
    assert.throws(() => new Semaphore(1).release(), { code: 'ERR_RANGE' });
    for (const permits of [0, -1, 0.5, Number.NaN]) {
      assert.throws(() => new Semaphore(permits), { code: 'ERR_RANGE', message: new RegExp(`${permits}`) });
    }
  });

  it('conserves its permits and forgets no thread, whichever is unwound and when', () => {
    const action = fc.record({
      do: fc.constantFrom('use' as const, 'use' as const, 'unwind' as const, 'advance' as const, 'turn' as const),
      number: fc.nat({ max: 100 }),
    });
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 3 }), fc.array(action, { maxLength: 80 }), (permits, actions) => {
        const clock = new ManualClock();
        const semaphore = new Semaphore(permits);
        const threads: Thread<unknown>[] = [];
        let holders = 0;
        for (const { do: what, number } of actions) {
          if (what === 'use') {
            threads.push(
              clock.spawn(() =>
                semaphore.use(
                  (function* () {
                    try {
                      assert.ok(++holders <= permits);
                      yield* sleep(number);
                    } finally {
                      holders--; // before it parks: who is unwound in a finally block leaves it where it stands
                      if (number % 3 === 0) yield* sleep(1);
                    }
                  })(),
                ),
              ),
            );
          } else if (what === 'unwind') {
            if (threads.length > 0) threads[number % threads.length]?.unwind();
          } else if (what === 'advance') {
            clock.advance(number / 4);
          } else {
            clock.settle();
          }
        }
        clock.advance(10_000);
        assert.deepEqual(
          threads.filter(({ state }) => state !== 'over'),
          [],
        );
        assert.equal(semaphore.available, permits);
        assert.deepEqual(clock.reports, []);
      }),
      { numRuns: 300 },
    );
  });
});
