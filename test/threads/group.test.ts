import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { TimeoutError, UnwoundError } from '#sluice/threads/errors.js';
import { all, race, timeout } from '#sluice/threads/group.js';
import { sleep } from '#sluice/threads/sleep.js';
import type { Task } from '#sluice/threads/task.js';
import { currentThread, run, spawn, type Thread } from '#sluice/threads/thread.js';
import { assertProportional } from '../support/cost.js';
import { ManualClock } from '../support/manual-clock.js';

const forever = () => sleep(Infinity);

/** A task that returns, or fails, after a time, and whose finally block takes a time too. */
function* work(
  log: string[],
  name: string,
  ms: number,
  options: { fails?: Error; cleanup?: number } = {},
): Task<string> {
  try {
    yield* sleep(ms);
    if (options.fails) throw options.fails;
    return name;
  } finally {
    if (options.cleanup !== undefined) yield* sleep(options.cleanup);
    log.push(`${name} over`);
  }
}

/** A task whose finally block throws. */
function* failsLate(failure: Error): Task<never> {
  try {
    yield* forever();
  } finally {
    raise(failure);
  }
}

function raise(failure: unknown): never {
  throw failure;
}

/** Starts a thread whose failure is looked at by the test. */
function startJoined<T>(clock: ManualClock, source: () => Task<T>): Thread<T> {
  const thread = clock.spawn(source);
  thread.addJoiner({ threadOver() {} });
  clock.settle();
  return thread;
}

describe('all', () => {
  it('runs tasks side by side and returns their results in order', () => {
    const clock = new ManualClock(0);
    const log: string[] = [];
    const thread = clock.start(() => all([work(log, 'a', 30), () => work(log, 'b', 10), work(log, 'c', 20)]));
    assert.equal(thread.wait, 'join');
    clock.advance(31);
    assert.deepEqual(thread.result(), ['a', 'b', 'c']);
    assert.deepEqual(log, ['b over', 'c over', 'a over']);
  });

  it('is not ended by a wake-up that was meant for something else', () => {
    const clock = new ManualClock();
    const thread = clock.start(() => all([() => sleep(10), () => sleep(20)]));
    clock.scheduler.resume(thread);
    clock.settle();
    assert.equal(thread.wait, 'join');
    clock.advance(30);
    assert.equal(thread.outcome, 'returned');
  });

  it('of nothing returns nothing, at once', () => {
    assert.deepEqual(
      new ManualClock().run(() => all([])),
      [],
    );
  });

  it('throws the first failure, when the others have been unwound and are over', () => {
    const clock = new ManualClock();
    const log: string[] = [];
    const failure = new Error('b');
    const thread = startJoined(clock, () =>
      all([work(log, 'a', 100, { cleanup: 50 }), work(log, 'b', 10, { fails: failure }), work(log, 'c', 100)]),
    );
    clock.advance(20);
    assert.deepEqual([log, thread.state], [['b over', 'c over'], 'parked']);
    clock.advance(60);
    assert.deepEqual([log, thread.failure], [['b over', 'c over', 'a over'], failure]);
    assert.deepEqual(clock.reports, []);
  });

  it('reports what fails after the first failure', () => {
    const clock = new ManualClock();
    const [first, second] = [new Error('first'), new Error('second')];
    const thread = startJoined(clock, () => all([work([], 'a', 10, { fails: first }), failsLate(second)]));
    clock.advance(20);
    assert.equal(thread.failure, first);
    assert.deepEqual(clock.reports, [second]);
  });

  it('is unwound with all its tasks, whose failures are reported', () => {
    const clock = new ManualClock();
    const log: string[] = [];
    const failure = new Error('in finally');
    const thread = clock.start(() => all([work(log, 'a', 100, { cleanup: 10 }), failsLate(failure)]));
    thread.unwind();
    clock.advance(20);
    assert.deepEqual([thread.outcome, log, clock.reports], ['unwound', ['a over'], [failure]]);
  });

  it('unwinds the others also if one cannot even be started', () => {
    const clock = new ManualClock();
    const failure = new Error('no task');
    const log: string[] = [];
    const bad = (): Task<void> => {
      throw failure;
    };
    const children = clock.start(function* () {
      try {
        yield* all([() => work(log, 'a', 100), bad]);
      } catch (error) {
        return [error, [...(currentThread()?.children ?? [])]];
      }
      return undefined;
    });
    clock.settle();
    assert.deepEqual(children.result(), [failure, []]);
  });

  it('throws UnwoundError if one of its tasks is unwound by somebody else', () => {
    const clock = new ManualClock();
    const thread = startJoined(clock, () => all([forever, forever]));
    for (const child of [...thread.children].slice(1)) child.unwind('by hand');
    clock.settle();
    assert.ok(thread.failure instanceof UnwoundError);
    assert.equal(thread.failure.cause, 'by hand');
  });
});

describe('race', () => {
  it('returns what the first returns, when the losers are over', () => {
    const clock = new ManualClock();
    const log: string[] = [];
    const thread = clock.start(() => race([work(log, 'a', 100, { cleanup: 50 }), work(log, 'b', 10), forever]));
    clock.advance(20);
    assert.deepEqual([log, thread.state], [['b over'], 'parked']);
    clock.advance(60);
    assert.deepEqual([log, thread.result()], [['b over', 'a over'], 'b']);
    assert.equal(clock.scheduler.timers.size, 0);
  });

  it('throws what the first throws', () => {
    const clock = new ManualClock();
    const failure = new Error('a');
    const thread = startJoined(clock, () => race([work([], 'a', 10, { fails: failure }), forever]));
    clock.advance(20);
    assert.equal(thread.failure, failure);
  });

  it('has one winner when two would end in the same turn: the other is unwound', () => {
    const clock = new ManualClock();
    const log: string[] = [];
    const failure = new Error('in finally');
    const thread = clock.start(() => race([work(log, 'a', 10), work(log, 'b', 10), failsLate(failure)]));
    clock.advance(20);
    assert.equal(thread.result(), 'a');
    assert.deepEqual(log, ['a over', 'b over']);
    assert.deepEqual(clock.reports, [failure], 'a failure of a loser is not swallowed');
  });

  it('refuses to be run without tasks', () => {
    assert.throws(() => new ManualClock().run(() => race([])), { code: 'ERR_RANGE', message: /race: no task/ });
  });

  it('of very many tasks costs each the same', () => {
    assertProportional((size) => {
      const clock = new ManualClock();
      const thread = clock.start(() => race([() => sleep(1), ...Array.from({ length: size }, () => forever)]));
      clock.advance(2);
      assert.equal(thread.outcome, 'returned');
    }, 500);
  });
});

describe('timeout', () => {
  it('returns what the task returns in time, and leaves no timer', () => {
    const clock = new ManualClock();
    const thread = clock.start(() => timeout(100, work([], 'a', 10)));
    clock.advance(20);
    assert.equal(thread.result(), 'a');
    assert.equal(clock.scheduler.timers.size, 0);
  });

  it('throws TimeoutError when the task is late, after it has been unwound', () => {
    const clock = new ManualClock();
    const log: string[] = [];
    const thread = startJoined(clock, () => timeout(100, work(log, 'a', 1_000, { cleanup: 50 })));
    clock.advance(120);
    assert.deepEqual([thread.state, log], ['parked', []]);
    clock.advance(50);
    assert.deepEqual(log, ['a over']);
    assert.ok(thread.failure instanceof TimeoutError);
    assert.deepEqual(
      [thread.failure.code, thread.failure.message],
      ['ERR_TIMEOUT', 'the task was not done within 100 ms'],
    );
  });

  it('throws what the task throws in time; what a finally block throws after that is reported beside the TimeoutError', () => {
    const clock = new ManualClock();
    const failure = new Error('a');
    const early = startJoined(clock, () => timeout(100, work([], 'a', 10, { fails: failure })));
    const late = startJoined(clock, () => timeout(100, failsLate(failure)));
    clock.advance(200);
    assert.equal(early.failure, failure);
    assert.ok(late.failure instanceof TimeoutError);
    assert.deepEqual(clock.reports, [failure]);
  });

  it('does not take another unwinding for its own', () => {
    const clock = new ManualClock();
    const byHand = startJoined(clock, () => timeout(10, work([], 'a', 1_000, { cleanup: 50 })));
    for (const child of byHand.children) child.unwind('by hand');
    clock.advance(100);
    assert.ok(byHand.failure instanceof UnwoundError);
    assert.equal(byHand.failure.cause, 'by hand');

    const other = clock.start(forever);
    other.unwind('other');
    const nested = startJoined(clock, () =>
      timeout(10, function* () {
        try {
          yield* forever();
        } finally {
          yield* other.join();
        }
      }),
    );
    clock.advance(100);
    assert.ok(nested.failure instanceof TimeoutError);
    const [report] = clock.reports;
    assert.ok(report instanceof UnwoundError, 'what a finally block of the task has thrown is reported');
    assert.equal(report.cause, 'other');
  });

  it('of Infinity waits for ever, of 0 gives the task one turn', () => {
    const clock = new ManualClock();
    const endless = clock.start(() => timeout(Infinity, () => sleep(1e9)));
    assert.equal(clock.scheduler.timers.size, 1);
    clock.jump(2e9);
    assert.equal(endless.outcome, 'returned');
    assert.equal(
      clock.run(() => timeout(0, work([], 'a', 0))),
      'a',
    );
  });

  it('refuses times that are none', () => {
    for (const ms of [-1, Number.NaN]) {
      assert.throws(() => new ManualClock().run(() => timeout(ms, forever)), {
        code: 'ERR_RANGE',
        message: /timeout: ms/,
      });
    }
  });

  it('leaves no timer when it is unwound, also if its time passes meanwhile', () => {
    const clock = new ManualClock();
    const threads = [1_000_000, 20].map((ms) =>
      clock.start(() =>
        timeout(ms, function* () {
          spawn(forever);
          try {
            yield* forever();
          } finally {
            yield* sleep(50);
          }
        }),
      ),
    );
    for (const thread of threads) thread.unwind();
    clock.advance(100);
    assert.deepEqual(
      threads.map(({ outcome }) => outcome),
      ['unwound', 'unwound'],
    );
    assert.equal(clock.scheduler.timers.size, 0);
    assert.deepEqual(clock.reports, []);
  });
});

it('all and race say what they were given if it is no array', async () => {
  for (const [group, name] of [
    [all, 'all'],
    [race, 'race'],
  ] as const) {
    for (const [tasks, shown] of [
      [new Set(), 'a Set|Set'],
      [5, '5'],
    ] as const) {
      await assert.rejects(
        run(() => group(tasks as never)),
        {
          code: 'ERR_NOT_A_TASK',
          message: new RegExp(`^${name}: tasks is .*(${shown}).*; expected an array of tasks$`),
        },
      );
    }
  }
});
