import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { tasksOf } from '#sluice/threads/errors.js';
import { sleep } from '#sluice/threads/sleep.js';
import { until } from '#sluice/threads/until.js';
import { ManualClock, microtasks } from '../support/manual-clock.js';

function deferred<T>(): { promise: Promise<T>; resolve: (value: T) => void; reject: (error: unknown) => void } {
  let resolve: (value: T) => void = () => {};
  let reject: (error: unknown) => void = () => {};
  const promise = new Promise<T>((fulfil, refuse) => {
    resolve = fulfil;
    reject = refuse;
  });
  return { promise, resolve, reject };
}

/** Runs what is given, and collects rejections that are not handled. */
async function unhandled(action: () => Promise<void>): Promise<unknown[]> {
  const found: unknown[] = [];
  const listener = (reason: unknown) => found.push(reason);
  process.on('unhandledRejection', listener);
  try {
    await action();
    await new Promise((resolve) => setImmediate(resolve));
    await new Promise((resolve) => setImmediate(resolve));
  } finally {
    process.off('unhandledRejection', listener);
  }
  return found;
}

describe('until', () => {
  it('parks until the promise is fulfilled, and returns its value', async () => {
    const clock = new ManualClock();
    const { promise, resolve } = deferred<number>();
    const thread = clock.start(function* () {
      return (yield* until(promise)) + 1;
    });
    assert.deepEqual([thread.state, thread.wait], ['parked', 'promise']);
    resolve(41);
    await microtasks(clock);
    assert.equal(thread.result(), 42);
  });

  it('throws what the promise is rejected with', async () => {
    const clock = new ManualClock();
    const failure = new Error('no');
    const { promise, reject } = deferred<number>();
    let caught: unknown;
    clock.start(function* () {
      try {
        yield* until(promise);
      } catch (error) {
        caught = error;
      }
    });
    reject(failure);
    await microtasks(clock);
    assert.equal(caught, failure);
  });

  it('appends the tasks that waited for it to the error', async () => {
    const clock = new ManualClock();
    function* inner() {
      yield* until(Promise.reject(new Error('no')));
    }
    function* outer() {
      yield* inner();
    }
    const thread = clock.start(outer);
    thread.addJoiner({ threadOver() {} });
    await microtasks(clock);
    const tasks = tasksOf(thread.failure);
    assert.equal(tasks.length, 3, tasks.join('; '));
    assert.match(tasks[0] ?? '', /^inner.*until\.test/);
    assert.match(tasks[1] ?? '', /^outer.*until\.test/);
    assert.equal(tasks[2], `outer (thread ${thread.id})`);
  });

  it('takes a promise that is settled already, a thenable, and a value', async () => {
    const clock = new ManualClock();
    const thenable: PromiseLike<number> = Object.fromEntries([
      ['then', (fulfil: (value: number) => void) => fulfil(2)],
    ]) as unknown as PromiseLike<number>; // made so because a property called `then` is what the linter warns of
    const thread = clock.start(function* () {
      const settled = yield* until(Promise.resolve(1));
      return [settled, yield* until(thenable), yield* until(() => 3), yield* until(async () => 4)];
    });
    for (let i = 0; i < 4; i++) await microtasks(clock);
    assert.deepEqual(thread.result(), [1, 2, 3, 4]);
  });

  it('throws what the function throws, at once', () => {
    const clock = new ManualClock();
    const failure = new Error('at once');
    assert.throws(
      () =>
        clock.run(function* () {
          yield* until((): Promise<never> => {
            throw failure;
          });
        }),
      failure,
    );
  });

  it('aborts the signal with the reason of the unwinding', async () => {
    const clock = new ManualClock();
    let signal: AbortSignal | undefined;
    const reason = new Error('the client left');
    const thread = clock.start(function* () {
      yield* until((given) => {
        signal = given;
        return new Promise<void>(() => {});
      });
    });
    assert.equal(signal?.aborted, false);
    thread.unwind(reason);
    clock.settle();
    assert.equal(signal?.aborted, true);
    assert.equal(signal?.reason, reason);
  });

  it('does not abort the signal of a promise that has settled', async () => {
    const clock = new ManualClock();
    const signals: AbortSignal[] = [];
    const thread = clock.start(function* () {
      yield* until(async (signal) => void signals.push(signal));
      try {
        yield* until(async (signal) => {
          signals.push(signal);
          throw new Error('no');
        });
      } catch {}
      yield* sleep(Infinity);
    });
    await microtasks(clock);
    await microtasks(clock);
    thread.unwind();
    clock.settle();
    assert.deepEqual(
      signals.map(({ aborted }) => aborted),
      [false, false],
    );

    // Not even if the thread is unwound before it could go on.
    const { promise, resolve } = deferred<void>();
    let late: AbortSignal | undefined;
    const other = clock.start(function* () {
      yield* until((signal) => {
        late = signal;
        return promise;
      });
    });
    resolve();
    for (let i = 0; i < 10; i++) await Promise.resolve();
    other.unwind();
    clock.settle();
    assert.equal(other.outcome, 'unwound');
    assert.equal(late?.aborted, false);
  });

  it('ignores a promise that is rejected after it was left, and keeps it from being an unhandled rejection', async () => {
    const found = await unhandled(async () => {
      const clock = new ManualClock();
      const { promise, reject } = deferred<void>();
      const thread = clock.start(function* () {
        yield* until(promise);
      });
      thread.unwind();
      clock.settle();
      reject(new Error('too late'));
      await microtasks(clock);
      assert.deepEqual(clock.reports, []);
    });
    assert.deepEqual(found, []);
  });

  it('does not wake a thread that has left it and waits for something else', async () => {
    const clock = new ManualClock();
    const { promise, resolve } = deferred<string>();
    const { promise: second, resolve: resolveSecond } = deferred<string>();
    let got: string | undefined;
    const thread = clock.start(function* () {
      try {
        yield* until(promise);
      } finally {
        got = yield* until(second);
      }
    });
    thread.unwind();
    clock.settle();
    resolve('first');
    await microtasks(clock);
    assert.equal(thread.wait, 'promise');
    clock.scheduler.resume(thread); // nor does a wake-up that was meant for something else
    clock.settle();
    assert.equal(thread.wait, 'promise');
    resolveSecond('second');
    await microtasks(clock);
    assert.equal(got, 'second');
    assert.equal(thread.state, 'over');
  });

  it('needs a thread', () => {
    assert.throws(() => [...until(Promise.resolve())], { code: 'ERR_NO_THREAD', message: /until parks/ });
  });
});
