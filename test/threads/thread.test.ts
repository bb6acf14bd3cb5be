import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Channel, Semaphore } from '#sluice/threads/channel.js';
import { UnwoundError } from '#sluice/threads/errors.js';
import { all, timeout } from '#sluice/threads/group.js';
import { sleep } from '#sluice/threads/sleep.js';
import { type Task, Wait } from '#sluice/threads/task.js';
import { currentThread, run, spawn, type Thread } from '#sluice/threads/thread.js';
import { until } from '#sluice/threads/until.js';
import { assertProportional, parkedMemory } from '../support/cost.js';
import { ManualClock, microtasks } from '../support/manual-clock.js';
import { runProgram } from '../support/program.js';

const forever = () => sleep(Infinity);

function raise(failure: unknown): never {
  throw failure;
}

/**
 * A task that begins again whatever happens to it. Made from a text because the linter, rightly, does not let it be written.
 */
const begins: (action: () => Task<unknown>) => () => Task<void> = new Function(
  'action',
  'return function* () { for (;;) { try { yield* action(); } finally { continue; } } }',
) as typeof begins;

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : error;
}

describe('spawn', () => {
  it('starts a child that first runs when its parent parks', () => {
    const clock = new ManualClock();
    const order: string[] = [];
    clock.start(function* () {
      const child = spawn(function* () {
        order.push('child');
        yield* sleep(1);
      });
      assert.equal(child.state, 'ready');
      assert.equal(child.parent, currentThread());
      order.push('parent');
      yield* sleep(0);
      order.push('parent again');
    });
    assert.deepEqual(order, ['parent', 'child', 'parent again']);
  });

  it('names a thread after its generator function, or by the option', () => {
    const clock = new ManualClock();
    const names = [
      clock.spawn(function* page() {}),
      clock.spawn(function* page() {}, 'front page'),
      clock.spawn(sleep(0)),
      clock.spawn(() => sleep(0)),
    ].map(({ name }) => name);
    assert.deepEqual(names, ['page', 'front page', 'task', 'task']);
    assert.equal(String(clock.spawn(function* page() {})), `thread ${clock.spawn(forever).id - 1} (page)`);
  });

  it('gives the children of a thread, in the order in which they were spawned', () => {
    const clock = new ManualClock();
    const parent = clock.start(function* () {
      spawn(forever, { name: 'a' });
      spawn(() => sleep(1), { name: 'b' });
      spawn(forever, { name: 'c' });
      yield* forever();
    });
    const names = () => [...parent.children].map(({ name }) => name);
    assert.deepEqual(names(), ['a', 'b', 'c']);
    clock.advance(2);
    assert.deepEqual(names(), ['a', 'c']);
  });

  it('makes a failed thread of a function that throws, and calls none for a thread that never runs', () => {
    const clock = new ManualClock();
    const failure = new Error('no task');
    const thread = clock.start((): Task<void> => {
      throw failure;
    });
    assert.equal(thread.failure, failure);
    assert.deepEqual(clock.reports, [failure]);
    clock.spawn((): Task<void> => assert.fail('it was called')).unwind();
    clock.settle();
  });

  it('calls the function without a this', () => {
    const clock = new ManualClock();
    let found: unknown = 'nothing';
    clock.start(function* (this: unknown) {
      found = this;
    });
    assert.equal(found, undefined);
  });

  it('takes tasks that are no generators', () => {
    const clock = new ManualClock();
    let left = 3;
    const countdown: Task<string> = {
      [Symbol.iterator]: () => ({
        next: () => {
          if (left-- === 0) return { done: true, value: 'lift-off' };
          const thread = currentThread();
          thread?.scheduler.resumeNextTurn(thread);
          return { done: false, value: Wait.timer };
        },
      }),
    };
    assert.equal(clock.run(countdown), 'lift-off');
    left = 1e9;
    const thread = clock.spawn(countdown);
    clock.turn();
    thread.unwind(); // such a task cannot be recognized: it is over
    clock.turn();
    assert.equal(thread.outcome, 'unwound');
  });

  it('needs a thread for what parks', () => {
    const primitives: [string, () => Task<unknown>][] = [
      ['sleep', () => sleep(1)],
      ['until', () => until(Promise.resolve())],
      ['timeout', () => timeout(1, forever)],
      ['all', () => all([forever])],
      ['Channel.receive', () => new Channel<number>(1).receive()],
      ['join', () => new ManualClock().spawn(forever).join()],
    ];
    for (const [name, make] of primitives) {
      assert.throws(() => make()[Symbol.iterator]().next(), {
        code: 'ERR_NO_THREAD',
        message: `${name} parks, so it needs a thread: call it with yield* in a task`,
      });
    }
  });
});

describe('a thread that ends', () => {
  it('is over only when its children are, grandchildren first', () => {
    const clock = new ManualClock();
    const order: string[] = [];
    function* leaf(name: string, inner?: () => Task<void>) {
      if (inner) spawn(inner);
      try {
        yield* forever();
      } finally {
        order.push(name);
      }
    }
    const parent = clock.start(function* () {
      spawn(() => leaf('a', () => leaf('a.a', () => leaf('a.a.a'))));
      spawn(() => leaf('b', () => leaf('b.a')));
      yield* sleep(1);
      return 'done';
    });
    clock.advance(2);
    assert.equal(parent.result(), 'done');
    assert.deepEqual(order, ['b.a', 'a.a.a', 'b', 'a.a', 'a']);
  });

  it('waits for children whose finally blocks park, and says so', () => {
    const clock = new ManualClock();
    let reason: unknown;
    const parent = clock.start(function* () {
      spawn(function* () {
        try {
          yield* forever();
        } finally {
          reason = currentThread()?.reason;
          yield* sleep(100);
        }
      });
      yield* sleep(1);
      return 'done';
    });
    clock.advance(50);
    assert.deepEqual([parent.state, parent.wait, parent.outcome], ['closing', 'join', undefined]);
    assert.throws(() => parent.result(), { code: 'ERR_NOT_OVER' });
    parent.unwind('too late: it has returned');
    clock.advance(100);
    assert.equal(parent.result(), 'done');
    assert.equal(codeOf(reason), 'ERR_PARENT_OVER');
    assert.deepEqual([parent.unwound, parent.reason, parent.wait], [false, undefined, undefined]);
  });

  it('may stand above a tree that is deeper than the stack', () => {
    const clock = new ManualClock();
    let unwound = 0;
    let deepest = 0;
    function* level(depth: number): Task<void> {
      deepest = depth;
      if (depth < 30_000) spawn(() => level(depth + 1));
      try {
        yield* forever();
      } finally {
        unwound++;
      }
    }
    const root = clock.start(() => level(1));
    assert.equal(deepest, 30_000);
    root.unwind();
    clock.settle();
    assert.deepEqual([root.state, unwound], ['over', 30_000]);
  });

  it('calls whenOver, once, whether it returned, failed or was unwound, and at once if it is over already', () => {
    const clock = new ManualClock();
    const told: string[] = [];
    for (const end of ['returned', 'failed', 'unwound']) {
      const thread = clock.spawn(function* () {
        if (end === 'failed') throw new Error(end);
        if (end === 'unwound') yield* forever();
      });
      thread.whenOver(() => told.push(`${end} 1`));
      thread.whenOver(() => told.push(`${end} 2`));
      clock.settle();
      if (end === 'unwound') thread.unwind();
      clock.settle();
      assert.equal(thread.outcome, end);
      thread.whenOver(() => told.push(`${end} 3`));
    }
    assert.deepEqual(
      told,
      ['returned', 'failed', 'unwound'].flatMap((end) => [`${end} 1`, `${end} 2`, `${end} 3`]),
    );
  });
});

describe('unwinding', () => {
  it('runs each finally block once, the innermost first, and nothing after them', () => {
    const clock = new ManualClock();
    const order: string[] = [];
    function* inner() {
      try {
        yield* forever();
        order.push('never');
      } catch {
        order.push('never: it is no exception');
      } finally {
        order.push('inner');
      }
      order.push('never');
    }
    function* outer() {
      try {
        try {
          yield* inner();
        } finally {
          order.push('middle');
        }
      } finally {
        order.push('outer');
      }
    }
    const thread = clock.start(outer);
    thread.unwind('reason');
    clock.settle();
    assert.deepEqual(order, ['inner', 'middle', 'outer']);
    assert.deepEqual([thread.outcome, thread.reason, thread.unwound], ['unwound', 'reason', true]);
  });

  it('lets finally blocks park on the clock, on promises, on channels and on other threads', async () => {
    const clock = new ManualClock();
    const channel = new Channel<string>(1);
    const order: unknown[] = [];
    const thread = clock.start(function* () {
      try {
        try {
          yield* forever();
        } finally {
          yield* sleep(10);
          order.push('slept');
          order.push(yield* until(Promise.resolve('promised')));
        }
      } finally {
        order.push(yield* channel.receive());
        order.push(
          yield* spawn(function* () {
            yield* sleep(5);
            return 'joined';
          }).join(),
        );
      }
    });
    thread.unwind();
    clock.advance(20);
    await microtasks(clock);
    assert.equal(thread.wait, 'channel');
    channel.trySend('received');
    clock.advance(20);
    assert.deepEqual(order, ['slept', 'promised', 'received', 'joined']);
    assert.deepEqual([thread.outcome, clock.reports], ['unwound', []]);
    assert.equal(clock.scheduler.timers.size, 0);
  });

  it('runs nothing behind a task whose finally block has parked, but the finally blocks around it', () => {
    const clock = new ManualClock();
    const order: string[] = [];
    function* cleanUp(name: string): Task<void> {
      yield* sleep(1);
      yield* sleep(1);
      order.push(name);
    }
    function* innermost(): Task<void> {
      try {
        yield* forever();
      } finally {
        yield* cleanUp('innermost');
        yield* sleep(1);
        order.push('innermost, to its end');
      }
      order.push('never');
    }
    function* inner(): Task<void> {
      try {
        for (;;) yield* innermost();
      } catch {
        order.push('never: it is no exception');
      } finally {
        order.push('inner');
      }
      order.push('never');
    }
    function* outer(): Task<void> {
      try {
        yield* inner();
        order.push('never');
        yield* sleep(1);
      } finally {
        yield* cleanUp('outer');
      }
      order.push('never');
    }
    const thread = clock.start(function* () {
      yield* outer();
      order.push('never');
      yield* forever();
    });
    thread.unwind('reason');
    clock.advance(20);
    assert.deepEqual(order, ['innermost', 'innermost, to its end', 'inner', 'outer']);
    assert.deepEqual([thread.outcome, thread.reason, clock.reports], ['unwound', 'reason', []]);
    assert.equal(clock.scheduler.timers.size, 0);
  });

  it('lets an error from a finally block that has parked go the way of every error', () => {
    const clock = new ManualClock();
    const order: unknown[] = [];
    const failure = new Error('in finally');
    function* inner(): Task<void> {
      try {
        yield* forever();
      } finally {
        yield* sleep(1);
        raise(failure);
      }
    }
    function* outer(): Task<void> {
      try {
        yield* inner();
        order.push('never');
      } catch (error) {
        order.push(error);
        throw error;
      } finally {
        order.push('outer');
      }
    }
    const thread = clock.start(outer);
    thread.addJoiner({ threadOver() {} });
    thread.unwind('reason');
    clock.advance(20);
    assert.deepEqual(order, [failure, 'outer']);
    assert.deepEqual([thread.outcome, thread.failure], ['failed', failure]);
  });

  it('abandons a nested task that does not end in time, with the finally blocks around it run', () => {
    const clock = new ManualClock();
    clock.scheduler.unwindLimit = 100;
    const order: string[] = [];
    function* inner(): Task<void> {
      try {
        yield* forever();
      } finally {
        yield* sleep(1);
        yield* forever();
      }
    }
    const thread = clock.start(function* () {
      try {
        yield* inner();
        order.push('never');
      } finally {
        order.push('outer');
      }
    });
    thread.unwind();
    clock.advance(102);
    assert.deepEqual([order, thread.outcome], [['outer'], 'unwound']);
    assert.deepEqual(clock.reports.map(codeOf), ['ERR_UNWIND_LIMIT']);
  });

  it('leaves the generators of the process as they were', () => {
    const prototype = Object.getPrototypeOf(function* () {}.prototype);
    const before = Object.getOwnPropertyDescriptor(prototype, 'return');
    const clock = new ManualClock();
    let during: unknown;
    const thread = clock.start(function* () {
      try {
        yield* forever();
      } finally {
        // What a finally block does with generators of its own is not the thread's business.
        const numbers = (function* () {
          yield 1;
          yield 2;
        })();
        for (const number of numbers) {
          during = number;
          break;
        }
        assert.deepEqual(numbers.next(), { done: true, value: undefined });
        yield* sleep(1);
      }
    });
    thread.unwind();
    assert.deepEqual(Object.getOwnPropertyDescriptor(prototype, 'return'), before);
    clock.advance(5);
    assert.deepEqual([during, thread.outcome], [1, 'unwound']);
    assert.deepEqual(Object.getOwnPropertyDescriptor(prototype, 'return'), before);
  });

  for (const wait of ['timer', 'promise', 'channel', 'join', 'dry', 'flooded'] as const) {
    it(`reaches a thread that is parked on ${wait} within the turn`, () => {
      const clock = new ManualClock(7);
      let finallyRan = 0;
      const thread = clock.start(function* () {
        try {
          if (wait === 'timer') yield* forever();
          if (wait === 'promise') yield* until(new Promise(() => {}));
          if (wait === 'channel') yield* new Channel(1).receive();
          if (wait === 'join') yield* spawn(forever).join();
          yield Wait[wait];
        } finally {
          finallyRan++;
        }
      });
      assert.deepEqual([thread.state, thread.wait, thread.waitingSince], ['parked', wait, 7]);
      clock.turn(() => thread.unwind());
      assert.deepEqual([thread.state, thread.outcome, finallyRan], ['over', 'unwound', 1]);
      assert.equal(clock.turnRequested, false);
    });
  }

  it('says since when a thread is parked, in whole milliseconds, on a clock that has run for however long', () => {
    for (const [now, since] of [
      [7.75, 7],
      [2 ** 31 - 0.5, 2 ** 31 - 1],
      [2 ** 40 + 0.25, 2 ** 40],
    ]) {
      const clock = new ManualClock(now);
      const thread = clock.start(forever);
      assert.equal(thread.waitingSince, since);
      clock.advance(0.5);
      clock.turn(() => clock.scheduler.resume(thread));
      assert.equal(thread.waitingSince, Math.floor(now + 0.5));
    }
  });

  it('runs nothing of a thread that has not started', () => {
    const clock = new ManualClock();
    const thread = clock.spawn(function* () {
      assert.fail('it ran');
    });
    assert.equal(thread.state, 'ready');
    thread.unwind('never mind');
    clock.settle();
    assert.deepEqual([thread.outcome, thread.reason, clock.reports], ['unwound', 'never mind', []]);
  });

  it('by the thread itself takes place where it next parks; if it ends before, it was not unwound', () => {
    const clock = new ManualClock();
    const order: string[] = [];
    function* suicidal(end: 'park' | 'return' | 'throw'): Task<string> {
      try {
        currentThread()?.unwind(end);
        order.push('goes on');
        if (end === 'park') yield* forever();
        if (end === 'throw') throw new Error('thrown');
        return 'returned';
      } finally {
        order.push('finally');
      }
    }
    const [parks, returns, throws] = (['park', 'return', 'throw'] as const).map((end) =>
      clock.start(() => suicidal(end)),
    );
    assert.deepEqual(order, ['goes on', 'finally', 'goes on', 'finally', 'goes on', 'finally']);
    assert.deepEqual([parks?.outcome, parks?.reason], ['unwound', 'park']);
    assert.deepEqual([returns?.result(), returns?.unwound, returns?.reason], ['returned', false, undefined]);
    assert.deepEqual([throws?.outcome, throws?.unwound], ['failed', false]);
  });

  it('twice is unwinding once, with the first reason; after the end it is nothing', () => {
    const clock = new ManualClock();
    let finallyRan = 0;
    const thread = clock.start(function* () {
      try {
        yield* forever();
      } finally {
        finallyRan++;
        yield* sleep(10);
        finallyRan++;
      }
    });
    thread.unwind(1);
    thread.unwind(2);
    clock.settle();
    thread.unwind(3);
    clock.advance(20);
    thread.unwind(4);
    clock.settle();
    assert.deepEqual([finallyRan, thread.reason, thread.outcome], [2, 1, 'unwound']);
    const done = clock.start(function* () {
      return 'done';
    });
    done.unwind();
    clock.settle();
    assert.deepEqual([done.result(), done.unwound], ['done', false]);
  });

  it('comes before a wake-up that is under way', () => {
    const clock = new ManualClock();
    const channel = new Channel<string>(1);
    const thread = clock.start(function* () {
      yield* channel.receive();
      assert.fail('it went on');
    });
    channel.trySend('a');
    thread.unwind();
    clock.settle();
    assert.equal(thread.outcome, 'unwound');
    assert.equal(channel.tryReceive(), 'a');
    assert.deepEqual(clock.reports, []);
  });

  it('does not let a wake-up for the wait that was left end the wait of a finally block', () => {
    const clock = new ManualClock();
    const channel = new Channel<string>(1);
    let woke: number | undefined;
    const thread = clock.start(function* () {
      try {
        yield* channel.receive();
      } finally {
        yield* sleep(100);
        woke = clock.now();
      }
    });
    const began = clock.now();
    thread.unwind();
    channel.trySend('a');
    clock.settle();
    clock.scheduler.resume(thread);
    clock.settle();
    assert.deepEqual([thread.state, thread.wait], ['parked', 'timer']);
    clock.advance(200);
    assert.ok(woke !== undefined && woke - began >= 100);
  });

  it('unwinds children first, which get the reason', () => {
    const clock = new ManualClock();
    const order: unknown[] = [];
    const parent = clock.start(function* () {
      try {
        spawn(function* () {
          try {
            yield* forever();
          } finally {
            yield* sleep(10);
            order.push('child', currentThread()?.reason);
          }
        });
        yield* forever();
      } finally {
        order.push('parent');
      }
    });
    parent.unwind('gone');
    clock.settle();
    assert.deepEqual([parent.state, parent.wait, order], ['closing', 'join', []]);
    clock.scheduler.resume(parent);
    clock.settle();
    assert.equal(parent.state, 'closing');
    clock.advance(20);
    assert.deepEqual(order, ['child', 'gone', 'parent']);
  });

  it('reports a thread once that is not done in time, and abandons it with its outer finally blocks run', () => {
    const clock = new ManualClock();
    clock.scheduler.unwindLimit = 100;
    const order: string[] = [];
    const thread = clock.start(function* stubborn() {
      try {
        try {
          yield* forever();
        } finally {
          order.push('inner');
          yield* sleep(1_000_000);
          order.push('never');
        }
      } finally {
        order.push('outer');
        yield* forever();
      }
    });
    thread.unwind('reason');
    clock.advance(99);
    assert.deepEqual([order, thread.state], [['inner'], 'parked']);
    clock.advance(3);
    assert.deepEqual(order, ['inner', 'outer']);
    assert.deepEqual([thread.outcome, thread.reason], ['unwound', 'reason']);
    assert.deepEqual(clock.reports.map(codeOf), ['ERR_UNWIND_LIMIT']);
    assert.match(
      String(clock.reports[0]),
      /thread \d+ \(stubborn\) was still parked \(timer\) 100 ms after it was unwound/,
    );
    assert.equal(clock.scheduler.timers.size, 0);
  });

  it('abandons a thread that will not return, whatever it does, and leaves no timer of it', () => {
    const clock = new ManualClock();
    clock.scheduler.unwindLimit = 100;
    const channel = new Channel<string>(1);
    const threads = [() => sleep(50), () => channel.receive(), forever].map((park) => clock.start(begins(park)));
    for (const thread of threads) thread.unwind();
    clock.advance(102);
    assert.deepEqual(
      threads.map(({ outcome }) => outcome),
      ['unwound', 'unwound', 'unwound'],
    );
    assert.deepEqual(clock.reports.map(codeOf), Array(3).fill('ERR_UNWIND_LIMIT'));
    assert.equal(clock.scheduler.timers.size, 0);
    const next = clock.start(() => channel.receive());
    channel.trySend('a');
    clock.settle();
    assert.equal(next.result(), 'a', 'the abandoned thread took a wake-up with it');
  });

  it('does not bound the time of threads that are not unwound, nor report those that are done in time', () => {
    const clock = new ManualClock();
    clock.scheduler.unwindLimit = 100;
    const thread = clock.start(function* () {
      try {
        yield* sleep(1_000);
      } finally {
        yield* sleep(90);
      }
    });
    clock.advance(1_050);
    assert.equal(thread.state, 'parked');
    clock.advance(100);
    const other = clock.start(function* () {
      try {
        yield* forever();
      } finally {
        yield* sleep(90);
      }
    });
    other.unwind();
    clock.advance(500);
    assert.deepEqual([other.outcome, clock.reports], ['unwound', []]);
  });
});

describe('a failure', () => {
  it('of a child that no thread joined unwinds its parent, which fails with it', () => {
    const clock = new ManualClock();
    const failure = new Error('child');
    const order: unknown[] = [];
    const parent = clock.start(function* () {
      spawn(function* sibling() {
        try {
          yield* forever();
        } finally {
          order.push('sibling');
        }
      });
      spawn(function* () {
        yield* sleep(1);
        throw failure;
      });
      try {
        yield* forever();
      } finally {
        order.push(currentThread()?.reason, currentThread()?.unwound);
      }
    });
    parent.addJoiner({ threadOver: () => order.push('over') });
    clock.advance(5);
    assert.deepEqual(order, ['sibling', failure, true, 'over']);
    assert.deepEqual([parent.outcome, parent.failure, clock.reports], ['failed', failure, []]);
  });

  it('of a child after its parent has returned is still the parent’s', () => {
    const clock = new ManualClock();
    const parent = clock.start(function* () {
      spawn(function* () {
        try {
          yield* forever();
        } finally {
          raise(new Error('in finally'));
        }
      });
      yield* sleep(1);
      return 'done';
    });
    clock.advance(5);
    assert.equal(parent.outcome, 'failed');
    assert.deepEqual(clock.reports, [parent.failure]);
  });

  it('that was joined is the joiner’s, and the parent goes on', () => {
    const clock = new ManualClock();
    const failure = new Error('child');
    const result = clock.run(function* () {
      const child = spawn(function* () {
        throw failure;
      });
      try {
        yield* child.join();
      } catch (error) {
        return error;
      }
      return undefined;
    });
    assert.equal(result, failure);
    assert.deepEqual(clock.reports, []);
  });

  it('of undefined is a failure too', () => {
    const clock = new ManualClock();
    const joined = clock.spawn(function* () {
      yield* sleep(1);
      throw undefined;
    });
    const joiner = clock.start(() => joined.join());
    joiner.addJoiner({ threadOver() {} });
    clock.advance(2);
    assert.deepEqual([joiner.outcome, joiner.failure, clock.reports], ['failed', undefined, []]);
    clock.start(function* () {
      throw undefined;
    });
    assert.deepEqual(clock.reports, [undefined]);
  });

  it('that is the second is reported; the first stays the outcome', () => {
    const clock = new ManualClock();
    const failures = ['first', 'second', 'in finally'].map((text) => new Error(text));
    const parent = clock.start(function* () {
      for (const failure of failures.slice(0, 2)) {
        spawn(function* () {
          yield* sleep(1);
          throw failure;
        });
      }
      try {
        yield* forever();
      } finally {
        raise(failures[2]);
      }
    });
    parent.addJoiner({ threadOver() {} });
    clock.advance(5);
    assert.equal(parent.failure, failures[0]);
    assert.deepEqual(clock.reports, [failures[1], failures[2]]);
  });

  it('in a finally block while unwinding is the outcome, and not lost', () => {
    const clock = new ManualClock();
    const failure = new Error('in finally');
    const thread = clock.start(function* () {
      try {
        yield* forever();
      } finally {
        raise(failure);
      }
    });
    thread.unwind();
    clock.settle();
    assert.deepEqual([thread.outcome, thread.reason, clock.reports], ['failed', undefined, [failure]]);
  });

  it('of a root is reported once, to the root’s own report if it has one', () => {
    const clock = new ManualClock();
    const own: unknown[] = [];
    const failure = new Error('root');
    const fails = function* () {
      spawn(function* () {
        throw failure;
      });
      yield* forever();
    };
    clock.start(fails);
    assert.deepEqual(clock.reports, [failure]);
    spawn(fails, { scheduler: clock.scheduler, report: (error, thread) => own.push(error, thread.outcome) });
    clock.settle();
    assert.deepEqual(own, [failure, 'failed']);
    assert.equal(clock.reports.length, 1);
  });
});

describe('join', () => {
  it('returns what the thread returned, also when it is over already, and to as many as ask', () => {
    const clock = new ManualClock();
    const thread = clock.spawn(function* () {
      yield* sleep(5);
      return { answer: 42 };
    });
    const joiners = [1, 2, 3].map(() => clock.start(() => thread.join()));
    assert.deepEqual(
      joiners.map(({ wait }) => wait),
      ['join', 'join', 'join'],
    );
    clock.advance(10);
    for (const joiner of joiners) assert.equal(joiner.result(), thread.result());
    assert.equal(
      clock.run(() => thread.join()),
      thread.result(),
    );
  });

  it('throws UnwoundError, with the reason as its cause, if the thread was unwound', () => {
    const clock = new ManualClock();
    const thread = clock.start(forever);
    const joiner = clock.start(() => thread.join());
    joiner.addJoiner({ threadOver() {} });
    thread.unwind('reason');
    clock.settle();
    assert.ok(joiner.failure instanceof UnwoundError);
    assert.equal(joiner.failure.cause, 'reason');
  });

  it('refuses a thread that would wait for itself', () => {
    const clock = new ManualClock();
    assert.throws(() => clock.run(() => currentThread()?.join() ?? forever()), { code: 'ERR_JOIN' });
  });

  it('is left without a trace when the joiner is unwound: the failure is the parent’s again', () => {
    const clock = new ManualClock();
    const failure = new Error('late');
    const thread = clock.start(function* () {
      yield* sleep(10);
      throw failure;
    });
    const joiner = clock.start(() => thread.join());
    joiner.unwind();
    clock.settle();
    assert.equal(joiner.outcome, 'unwound');
    clock.advance(20);
    assert.deepEqual(clock.reports, [failure]);
  });

  it('loses no failure that was on its way when the joiner was unwound', () => {
    const clock = new ManualClock();
    const failure = new Error('crossed');
    const thread = clock.start(function* () {
      yield* sleep(10);
      throw failure;
    });
    const joiner = clock.start(() => thread.join());
    thread.whenOver(() => joiner.unwind());
    clock.advance(20);
    assert.deepEqual([joiner.outcome, clock.reports], ['unwound', [failure]]);
  });

  it('of one thread by very many costs the same for each, also when they are unwound', () => {
    assertProportional((size) => {
      const clock = new ManualClock();
      const thread = clock.start(forever);
      const joiners = Array.from({ length: size }, () => clock.spawn(() => thread.join()));
      clock.settle();
      for (const joiner of joiners) joiner.unwind();
      clock.settle();
      assert.ok(joiners.every(({ outcome }) => outcome === 'unwound'));
    }, 500);
  });
});

describe('closeChildren', () => {
  it('unwinds the children of the thread that calls it, and parks until they are over', () => {
    const clock = new ManualClock();
    const order: unknown[] = [];
    clock.run(function* () {
      yield* currentThread()?.closeChildren('none') ?? forever();
      order.push('none');
    });
    const thread = clock.start(function* () {
      for (const ms of [30, 10]) {
        spawn(function* () {
          try {
            yield* forever();
          } finally {
            yield* sleep(ms);
            order.push(ms, currentThread()?.reason);
          }
        });
      }
      yield* sleep(1);
      yield* currentThread()?.closeChildren('enough') ?? forever();
      order.push('closed');
      return 'goes on';
    });
    clock.advance(100);
    assert.deepEqual(order, ['none', 10, 'enough', 30, 'enough', 'closed']);
    assert.equal(thread.result(), 'goes on');
  });
});

describe('yield where yield* is meant', () => {
  // The types refuse it; from JavaScript it is the most likely mistake of all.
  const wrong = (value: unknown) => value as Wait;

  it('fails the thread with an error that says so, and runs finally blocks, which may park', () => {
    const clock = new ManualClock();
    const order: string[] = [];
    const thread = clock.start(function* page() {
      try {
        yield wrong(sleep(1));
        order.push('never');
      } finally {
        yield* sleep(10);
        order.push('finally');
      }
    });
    clock.advance(20);
    assert.deepEqual(order, ['finally']);
    assert.deepEqual(clock.reports, [thread.failure]);
    assert.equal(
      thread.failure instanceof Error && thread.failure.message,
      `${thread} yielded [object Task], which is nothing to wait for: write yield* where it says yield`,
    );
  });

  it('is refused whatever is yielded, also again and again in finally blocks', () => {
    const clock = new ManualClock();
    const values = [undefined, null, 1, 'text', Symbol('s'), Promise.resolve(), Object.create(null)];
    for (const value of values) {
      let outer = false;
      const thread = clock.start(function* () {
        try {
          try {
            yield wrong(value);
          } finally {
            yield wrong(value);
          }
        } finally {
          outer = true;
          yield wrong(value);
        }
      });
      assert.equal(codeOf(thread.failure), 'ERR_NOT_A_WAIT');
      assert.equal(outer, true);
    }
    const loops = clock.start(
      begins(function* () {
        yield wrong(1);
      }),
    );
    assert.equal(codeOf(loops.failure), 'ERR_NOT_A_WAIT');
  });
});

describe('run', () => {
  it('gives a promise of what the task returns or throws', async () => {
    const clock = new ManualClock();
    const { scheduler } = clock;
    const failure = new Error('no');
    const promises = [
      run(() => sleep(5), { scheduler }),
      run(
        function* () {
          throw failure;
        },
        { scheduler },
      ),
      run(
        (): Task<void> => {
          throw failure;
        },
        { scheduler },
      ),
    ];
    const settled = Promise.allSettled(promises);
    clock.advance(10);
    assert.deepEqual(await settled, [
      { status: 'fulfilled', value: undefined },
      { status: 'rejected', reason: failure },
      { status: 'rejected', reason: failure },
    ]);
    assert.deepEqual(clock.reports, []);
  });

  it('unwinds the thread when its signal is aborted, at any time', async () => {
    const clock = new ManualClock();
    const { scheduler } = clock;
    let finallyRan = 0;
    const task = function* () {
      try {
        yield* forever();
      } finally {
        finallyRan++;
      }
    };
    const abort = new AbortController();
    const promise = run(task, { scheduler, signal: abort.signal });
    clock.settle();
    abort.abort('reason');
    clock.settle();
    await assert.rejects(promise, { code: 'ERR_UNWOUND', cause: 'reason' });
    const early = run(task, { scheduler, signal: abort.signal });
    clock.settle();
    await assert.rejects(early, { code: 'ERR_UNWOUND', cause: 'reason' });
    assert.equal(finallyRan, 1);
  });

  it('leaves nothing on a signal that outlives it', async () => {
    const clock = new ManualClock();
    const { signal } = new AbortController();
    let listeners = 0;
    const { addEventListener, removeEventListener } = signal;
    signal.addEventListener = (...given: Parameters<typeof addEventListener>) => {
      listeners++;
      addEventListener.apply(signal, given);
    };
    signal.removeEventListener = (...given: Parameters<typeof removeEventListener>) => {
      listeners--;
      removeEventListener.apply(signal, given);
    };
    const promise = run(() => sleep(1), { scheduler: clock.scheduler, signal });
    assert.equal(listeners, 1);
    clock.advance(5);
    await promise;
    assert.equal(listeners, 0);
  });
});

describe('very many threads', () => {
  const count = 100_000;
  const collect = globalThis.gc ?? (() => assert.fail('to be run with --expose-gc'));
  const heap = () => {
    collect();
    return process.memoryUsage().heapUsed;
  };

  // In a separate process: the test runner uses async hooks, and with those each thread has its own async context.
  for (const { doing, wait } of [
    { doing: 'sleep', wait: 'sleep(1_000_000)' },
    { doing: 'wait in an empty channel each', wait: 'new Channel(8).receive()' },
  ]) {
    it(`${doing} in little memory, are unwound at once, and give their memory back`, async () => {
      const { stdout, stderr } = await runProgram(
        `import { Channel, sleep, spawn } from ${JSON.stringify(import.meta.resolve('#sluice/index.js'))};
         import { ManualClock } from ${JSON.stringify(import.meta.resolve('../support/manual-clock.js'))};
         const count = ${count};
         const heap = () => {
           gc();
           return process.memoryUsage().heapUsed;
         };
         const clock = new ManualClock();
         let finallyRan = 0;
         function* one() {
           try {
             yield* ${wait};
           } finally {
             finallyRan++;
           }
         }
         const cycle = () => {
           const before = heap();
           const parent = clock.start(function* () {
             for (let i = 0; i < count; i++) spawn(one);
             yield* sleep(Infinity);
           });
           const parked = heap();
           parent.unwind();
           clock.settle();
           const { state } = parent;
           return { bytes: (parked - before) / count, state, timers: clock.scheduler.timers.size, left: (heap() - before) / count };
         };
         cycle(); // the first one pays for tables that stay
         console.log(JSON.stringify({ ...cycle(), finallyRan }));`,
        { execArgv: ['--expose-gc'] },
      );
      assert.equal(stderr, '');
      const { bytes, left, ...rest } = JSON.parse(stdout);
      assert.deepEqual(rest, { state: 'over', timers: 0, finallyRan: 2 * count });
      assert.ok(bytes < parkedMemory, `${bytes} bytes for a parked thread`);
      assert.ok(left < 16, `${left} bytes of each are left`);
    });
  }

  it('wait for one permit, and are unwound in time in proportion to their number', () => {
    assertProportional((size) => {
      const clock = new ManualClock();
      const semaphore = new Semaphore(1);
      clock.run(() => semaphore.acquire());
      const threads = Array.from({ length: size }, () => clock.spawn(() => semaphore.acquire()));
      clock.settle();
      for (const thread of threads.toReversed()) thread.unwind();
      clock.settle();
      assert.ok(threads.every(({ outcome }) => outcome === 'unwound'));
    }, 1_000);
  });

  it('keep nothing alive when they are over and only their result is kept', () => {
    const clock = new ManualClock();
    const kept: Thread<unknown>[] = [];
    const before = heap();
    for (let i = 0; i < 1_000; i++) {
      const thread = clock.spawn(() => all([() => sleep(0)]));
      const ballast = new Array(1_000).fill(i);
      thread.whenOver(() => void ballast.length);
      kept.push(thread);
    }
    clock.settle();
    assert.ok((heap() - before) / kept.length < 1_000);
    assert.ok(kept.every(({ state }) => state === 'over'));
  });
});
