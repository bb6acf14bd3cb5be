// Async contexts of threads, with a clock that is moved by hand.

import assert from 'node:assert/strict';
import { AsyncLocalStorage } from 'node:async_hooks';
import { describe, it } from 'node:test';
import { bindContext } from '#sluice/threads/bind-context.js';
import { Channel } from '#sluice/threads/channel.js';
import { sleep } from '#sluice/threads/sleep.js';
import type { Task } from '#sluice/threads/task.js';
import { currentThread, spawn } from '#sluice/threads/thread.js';
import { ManualClock } from '../support/manual-clock.js';

const storage = new AsyncLocalStorage<string>();

describe('the async context of a thread', () => {
  it('is that of its creator at first, and then its own', () => {
    const clock = new ManualClock();
    const seen: (string | undefined)[] = [];
    function* thread(name: string): Task<void> {
      for (const step of ['1', '2', '3']) {
        seen.push(storage.getStore());
        storage.enterWith(name + step);
        yield* sleep(0);
      }
      seen.push(storage.getStore());
    }
    storage.run('creator', () => {
      clock.spawn(() => thread('a'));
      clock.spawn(() => thread('b'));
    });
    clock.settle();
    assert.deepEqual(seen.toSorted(), ['a1', 'a2', 'a3', 'b1', 'b2', 'b3', 'creator', 'creator']);
    assert.equal(storage.getStore(), undefined);
  });

  it('is not that of the thread that wakes it', () => {
    const clock = new ManualClock();
    const channel = new Channel<number>(1);
    const seen: (string | undefined)[] = [];
    clock.spawn(function* () {
      storage.enterWith('receiver');
      yield* channel.receive();
      seen.push(storage.getStore());
    });
    clock.settle();
    clock.spawn(function* () {
      storage.enterWith('sender');
      yield* channel.send(1);
    });
    clock.settle();
    assert.deepEqual(seen, ['receiver']);
  });

  it('is there in `finally` blocks when the thread is unwound from elsewhere', () => {
    const clock = new ManualClock();
    const seen: (string | undefined)[] = [];
    const thread = clock.spawn(function* () {
      storage.enterWith('own');
      try {
        yield* sleep(Number.POSITIVE_INFINITY);
      } finally {
        seen.push(storage.getStore());
        yield* sleep(0);
        seen.push(storage.getStore());
      }
    });
    clock.settle();
    storage.run('of the caller', () => {
      thread.unwind();
      clock.settle();
    });
    assert.deepEqual(seen, ['own', 'own']);
  });
});

describe('bindContext', () => {
  function* look(): Task<(string | undefined)[]> {
    const seen = [storage.getStore()];
    yield* sleep(0);
    seen.push(storage.getStore());
    return seen;
  }

  it('keeps the context of its caller for a task, and gives the thread its own back', () => {
    const clock = new ManualClock();
    const task = storage.run('bound', () => bindContext(look()));
    const seen = clock.run(function* () {
      storage.enterWith('own');
      const inner = yield* task;
      const behind = yield* look();
      return [...inner, ...behind];
    });
    assert.deepEqual(seen, ['bound', 'bound', 'own', 'own']);
  });

  it('gives the context back when the task throws, and when the thread is unwound in it', () => {
    const clock = new ManualClock();
    const seen: (string | undefined)[] = [];
    function* failing(): Task<void> {
      yield* sleep(0);
      throw new Error('thrown');
    }
    const thread = clock.spawn(function* () {
      storage.enterWith('own');
      try {
        yield* storage.run('bound', () => bindContext(failing()));
      } catch {
        seen.push(storage.getStore());
      }
      try {
        yield* storage.run('bound', () => bindContext(sleep(Number.POSITIVE_INFINITY)));
      } finally {
        seen.push(storage.getStore());
      }
    });
    clock.settle();
    thread.unwind();
    clock.settle();
    assert.deepEqual(seen, ['own', 'own']);
    assert.equal(thread.outcome, 'unwound');
  });

  it('is inherited by what the task spawns', () => {
    const clock = new ManualClock();
    const task = function* () {
      return yield* spawn(look, { scheduler: currentThread()?.scheduler }).join();
    };
    const seen = clock.run(() => storage.run('bound', () => bindContext(task())));
    assert.deepEqual(seen, ['bound', 'bound']);
  });

  it('refuses what is no task', () => {
    const none: unknown = look;
    assert.throws(() => bindContext(none as Task<void>), {
      code: 'ERR_NOT_A_TASK',
      message: /^bindContext: the task is /,
    });
  });
});
