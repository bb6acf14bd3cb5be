import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { framesOf } from '#sluice/threads/frames.js';
import { sleep } from '#sluice/threads/sleep.js';
import { type Task, Wait } from '#sluice/threads/task.js';
import { until } from '#sluice/threads/until.js';
import { ManualClock } from '../support/manual-clock.js';

const program = fileURLToPath(new URL('../../../scripts/unwinding.mjs', import.meta.url));
const generatorPrototype: object = Object.getPrototypeOf(function* () {}.prototype);

function nativeMethods(): boolean {
  return ['next', 'return', 'throw'].every((name) =>
    Function.prototype.toString.call(Reflect.get(generatorPrototype, name)).includes('[native code]'),
  );
}

describe('unwinding', () => {
  // The other tests of threads show the same without that. The program is also for Bun and Deno.
  for (const { title, args } of [
    { title: 'where the prototype of generators is frozen', args: [program, '--freeze'] },
    { title: 'with --frozen-intrinsics', args: ['--frozen-intrinsics', program] },
  ]) {
    it(`runs finally blocks that park to their end, and no code behind them, ${title}`, async () => {
      const { stdout } = await promisify(execFile)(process.execPath, args);
      assert.equal(stdout, 'ok\n');
    });
  }

  it('lets no code of the application see generators that are changed', () => {
    const clock = new ManualClock();
    const seen: boolean[] = [];
    function* inner(): Task<void> {
      try {
        yield* sleep(Infinity);
      } finally {
        seen.push(nativeMethods());
        yield* until(new Promise<void>((resolve) => resolve()));
        seen.push(nativeMethods());
      }
    }
    const thread = clock.start(function* () {
      try {
        yield* inner();
      } finally {
        seen.push(nativeMethods());
      }
    });
    thread.unwind();
    clock.settle();
    clock.advance(10_000);
    assert.equal(thread.state, 'over');
    assert.ok(seen.length >= 2);
    assert.ok(seen.every((isNative) => isNative));
    assert.ok(nativeMethods());
  });
});

describe('the frames of a parked thread', () => {
  /** Parks as deep in generators as is said. */
  function* nested(depth: number, log: string[]): Task<void> {
    try {
      if (depth > 1) yield* nested(depth - 1, log);
      else yield* sleep(Infinity);
    } catch {
      log.push('caught');
    } finally {
      log.push('finally');
    }
  }

  it('are found without any of them running', () => {
    const clock = new ManualClock();
    for (const depth of [1, 2, 7]) {
      const log: string[] = [];
      const outermost = nested(depth, log)[Symbol.iterator]();
      clock.run(function* () {
        assert.equal(outermost.next().value, Wait.timer);
      });
      const frames = framesOf(outermost)?.frames ?? [];
      assert.equal(frames.length, depth);
      assert.equal(frames[0], outermost);
      assert.equal(new Set(frames).size, depth);
      assert.equal(outermost.next().value, Wait.timer);
      assert.deepEqual(log, []);
      assert.ok(nativeMethods());
    }
  });

  it('include the generators beneath a task that passes its calls on', () => {
    const clock = new ManualClock();
    const inner = nested(2, [])[Symbol.iterator]();
    const between: Task<void> = {
      [Symbol.iterator]: () => ({
        next: () => inner.next(),
        return: () => inner.return?.() ?? { done: true, value: undefined },
        throw: (error) => inner.throw?.(error) ?? { done: true, value: undefined },
      }),
    };
    function* outer(): Task<void> {
      yield* between;
    }
    const outermost = outer()[Symbol.iterator]();
    clock.run(function* () {
      outermost.next();
    });
    assert.equal(framesOf(outermost)?.frames.length, 3);
  });
});
