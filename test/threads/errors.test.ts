import assert from 'node:assert/strict';
import { it, describe as suite } from 'node:test';
import { addTask, ThreadError, tasksOf, UnwoundError } from '#sluice/threads/errors.js';
import { all, timeout } from '#sluice/threads/group.js';
import { sleep } from '#sluice/threads/sleep.js';
import { spawn } from '#sluice/threads/thread.js';
import { until } from '#sluice/threads/until.js';
import { ManualClock, microtasks } from '../support/manual-clock.js';

suite('the chain of tasks that an error carries', () => {
  it('names the thread in which it was thrown, by the name of the generator function', () => {
    const clock = new ManualClock();
    const thread = clock.start(function* answer() {
      throw new Error('no');
    });
    assert.deepEqual(tasksOf(clock.reports[0]), [`answer (thread ${thread.id})`]);
  });

  it('shows who joined the thread that failed, from thread to thread', () => {
    const clock = new ManualClock();
    function* query() {
      yield* sleep(1);
      throw new Error('no such table');
    }
    function* page() {
      yield* spawn(query).join();
    }
    clock.start(function* request() {
      yield* page();
    });
    clock.advance(2);
    const tasks = tasksOf(clock.reports[0]).map((task) => task.split(' (')[0]?.replace('Thread.', ''));
    assert.deepEqual(tasks, ['query', 'page', 'request', 'request']);
  });

  it('does so through all and timeout', () => {
    const clock = new ManualClock();
    function* slow() {
      yield* sleep(100);
    }
    function* page() {
      yield* all([() => timeout(10, slow)]);
    }
    clock.start(page);
    clock.advance(20);
    const [error] = clock.reports;
    assert.ok(error instanceof Error && error.name === 'TimeoutError');
    const tasks = tasksOf(error).map((task) => task.split(' (')[0]);
    assert.deepEqual(tasks, ['task', 'all', 'page', 'page']);
  });

  it('does not grow for ever on an error that is thrown again and again', async () => {
    const clock = new ManualClock();
    const failure = new Error('the database is gone');
    const lost = Promise.reject(failure);
    for (let i = 0; i < 2_000; i++) {
      clock.start(function* () {
        yield* until(lost);
      });
    }
    await microtasks(clock);
    assert.equal(clock.reports.length, 2_000);
    assert.ok((failure.stack ?? '').length < 20_000, `its stack has ${failure.stack?.length} characters`);
  });

  it('leaves errors alone that cannot be written to, and whatever else is thrown', async () => {
    const clock = new ManualClock();
    const frozen = Object.freeze(new Error('frozen'));
    const hostile = new Error('hostile');
    Object.defineProperty(hostile, 'stack', {
      get: () => {
        throw new Error('not this one');
      },
    });
    const thrown = [frozen, hostile, 'a string', undefined, null, Symbol('symbol'), Object.create(null)];
    for (const value of thrown) {
      clock.start(function* () {
        yield* until(Promise.reject(value));
      });
    }
    await microtasks(clock);
    assert.deepEqual(clock.reports, thrown);
    for (const value of thrown) if (!(value instanceof Error)) assert.deepEqual(tasksOf(value), []);
  });

  it('puts up with an application that makes something else of stacks', async () => {
    const clock = new ManualClock();
    const before = Error.prepareStackTrace;
    const failure = new Error('no');
    try {
      Error.prepareStackTrace = (_, sites) => sites;
      clock.start(function* () {
        yield* until(Promise.reject(failure));
      });
      await microtasks(clock);
    } finally {
      Error.prepareStackTrace = before;
    }
    assert.deepEqual(clock.reports, [failure]);
  });

  it('is read back as it was written', () => {
    const error = new Error('no');
    assert.deepEqual(tasksOf(error), []);
    addTask(error, 'one (a:1:2)');
    addTask(error, 'two');
    assert.deepEqual(tasksOf(error), ['one (a:1:2)', 'two']);
    assert.deepEqual(tasksOf('no error'), []);
  });
});

suite('the errors of threads', () => {
  it('have a code, a name, a message and a cause', () => {
    const reason = new Error('the client left');
    const error = new UnwoundError('thread 1 (page)', reason);
    assert.ok(error instanceof ThreadError);
    assert.deepEqual([error.code, error.name, error.cause], ['ERR_UNWOUND', 'UnwoundError', reason]);
    assert.equal(error.message, 'thread 1 (page) was unwound before it returned: the client left');
  });

  it('can be made of any reason', () => {
    const hostile = {
      get [Symbol.toStringTag]() {
        throw new Error('not this one');
      },
    };
    const reasons = [undefined, null, 0, 'text', Symbol('s'), Object.create(null), hostile, () => {}, 10n];
    for (const reason of reasons) assert.match(new UnwoundError('t', reason).message, /^t was unwound before/);
  });
});
