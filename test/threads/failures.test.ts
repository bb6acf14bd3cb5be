import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Random } from '#sluice/event-layer/simulated/random.js';
import { all, race, timeout } from '#sluice/threads/group.js';
import { sleep } from '#sluice/threads/sleep.js';
import type { Task } from '#sluice/threads/task.js';
import { run, spawn, type Thread } from '#sluice/threads/thread.js';
import { uninterruptible } from '#sluice/threads/uninterruptible.js';
import { until } from '#sluice/threads/until.js';
import { ManualClock, microtasks } from '../support/manual-clock.js';

function raise(failure: unknown): never {
  throw failure;
}

/** Runs a task to its end. @returns what the promise that `run` gives was rejected with, and everything that was reported */
async function outcomeOf(task: () => Task<unknown>): Promise<{ rejected: unknown; reports: unknown[] }> {
  const clock = new ManualClock();
  let rejected: unknown;
  run(task, { scheduler: clock.scheduler }).catch((error: unknown) => {
    rejected = error;
  });
  clock.advance(1_000);
  await microtasks(clock);
  return { rejected, reports: clock.reports };
}

describe('the failure of a child that fails at once', () => {
  const failure = new Error('at once');
  const failsAtOnce = (): Task<never> => raise(failure);

  const joins: [string, (child: Thread<never>) => Task<unknown>][] = [
    ['join', (child) => child.join()],
    ['a join inside timeout', (child) => timeout(50, child.join())],
    ['a join inside race', (child) => race([child.join(), sleep(50)])],
    ['a join inside all', (child) => all([child.join(), sleep(50)])],
    [
      'a join three levels deep',
      (child) =>
        all([
          race([
            timeout(50, function* () {
              yield* child.join();
            }),
          ]),
        ]),
    ],
    ['two joins inside all', (child) => all([child.join(), child.join()])],
  ];

  for (const [where, join] of joins) {
    it(`is received by ${where}, and by nothing else`, async () => {
      const passedOn = await outcomeOf(function* () {
        return yield* join(spawn(failsAtOnce));
      });
      assert.deepEqual(passedOn, { rejected: failure, reports: [] });

      let caught: unknown;
      const handled = await outcomeOf(function* () {
        try {
          yield* join(spawn(failsAtOnce));
        } catch (error) {
          caught = error;
        }
      });
      assert.deepEqual(handled, { rejected: undefined, reports: [] });
      assert.equal(caught, failure);
    });
  }

  it('is received by the parent in the same turn if no thread joins it', () => {
    const clock = new ManualClock();
    const parent = clock.spawn(function* () {
      spawn(failsAtOnce);
      yield* sleep(Infinity);
    });
    clock.turn();
    assert.equal(parent.failure, failure);
    assert.deepEqual(clock.reports, [failure]);
  });

  it('is received by the parent in the same turn also while other threads are always ready', () => {
    const clock = new ManualClock();
    const busy: Thread<unknown>[] = [];
    for (let i = 0; i < 2; i++) {
      busy.push(
        clock.spawn(function* () {
          for (;;) {
            const other = busy[1 - i];
            if (other !== undefined) clock.scheduler.resume(other);
            yield* until(new Promise<void>(() => {}));
          }
        }),
      );
    }
    const parent = clock.spawn(function* () {
      spawn(failsAtOnce);
      yield* sleep(Infinity);
    });
    clock.turn();
    clock.turn();
    assert.equal(parent.failure, failure);
  });
});

describe('a failure whose joiner is unwound before it receives it', () => {
  it('goes to the parent, or to another thread that joins', () => {
    for (const hasOther of [false, true]) {
      const clock = new ManualClock();
      const failure = new Error('no');
      let received: unknown;
      const parent = clock.start(function* () {
        const fails = spawn(function* () {
          yield* sleep(5);
          raise(failure);
        });
        const joins = spawn(function* () {
          yield* fails.join();
        });
        if (hasOther) {
          spawn(function* () {
            try {
              yield* fails.join();
            } catch (error) {
              received = error;
            }
          });
        }
        fails.whenOver(() => joins.unwind());
        yield* sleep(20);
      });
      clock.advance(100);
      if (hasOther) assert.equal(received, failure);
      assert.equal(parent.failure, hasOther ? undefined : failure);
      assert.deepEqual(clock.reports, hasOther ? [] : [failure]);
    }
  });
});

describe('every failure in a tree of threads', () => {
  it('is received exactly once, whatever spawns, joins, unwinds and fails, and when', () => {
    const seeds = Number(process.env.SEEDS ?? 200);
    let failures = 0;
    for (let seed = 1; seed <= seeds; seed++) failures += runRandomTree(seed);
    assert.ok(failures > seeds, `${failures} failures were seen`);
  });
});

/**
 * Runs threads that spawn, join and unwind one another, wait in groups and fail, all at random, and counts who is given each failure.
 * @returns how many failures there were
 */
function runRandomTree(seed: number): number {
  const random = new Random(seed);
  const clock = new ManualClock();
  const thrown: Error[] = [];
  const received: unknown[] = [];
  const handles: Thread<unknown>[] = [];
  /** Threads that are joined, or are going to be: each once, since all who join a thread are given its failure. */
  const joined = new Set<Thread<unknown>>();
  let budget = 40;

  const fail = (): never => {
    const failure = new Error(`failure ${thrown.length}`);
    thrown.push(failure);
    throw failure;
  };
  const delay = () => sleep([0, 0, 1, 2, 3][random.whole(0, 4)] ?? 0);

  function* join(): Task<void> {
    const free = handles.filter((thread) => thread.state !== 'over' && !joined.has(thread));
    const thread = free[random.whole(0, free.length - 1)];
    if (thread === undefined) return;
    joined.add(thread);
    if (random.chance(0.3)) yield* delay();
    // Who joins later than the end has asked for a failure that another has received.
    if (thread.state !== 'over') yield* thread.join();
  }

  function* step(depth: number): Task<void> {
    budget--;
    const choice = random.whole(0, 9);
    if (choice <= 2) {
      handles.push(spawn(() => body(depth + 1)));
    } else if (choice === 3) {
      yield* join();
    } else if (choice === 4) {
      yield* timeout(random.whole(0, 3), random.chance(0.5) ? join() : body(depth + 1));
    } else if (choice === 5) {
      yield* race([random.chance(0.5) ? join() : body(depth + 1), body(depth + 1)]);
    } else if (choice === 6) {
      yield* all([random.chance(0.5) ? join() : body(depth + 1), body(depth + 1)]);
    } else if (choice === 7) {
      handles[random.whole(0, handles.length - 1)]?.unwind('chosen');
    } else {
      yield* delay();
    }
  }

  function* body(depth: number): Task<void> {
    let isFailing = false;
    try {
      const steps = depth === 0 ? 12 : depth > 4 || budget < 0 ? 0 : random.whole(0, 5);
      for (let i = 0; i < steps; i++) {
        if (depth > 0 && random.chance(0.6)) {
          yield* step(depth);
          continue;
        }
        try {
          yield* step(depth);
        } catch (error) {
          received.push(error);
        }
      }
      if (random.chance(0.3)) fail();
    } catch (error) {
      isFailing = true;
      throw error;
    } finally {
      // Cut short there, the block would lose the error that is on its way, as one that returns would.
      if (random.chance(0.2)) yield* isFailing ? uninterruptible(delay()) : delay();
      if (!isFailing && random.chance(0.1)) fail(); // else it would replace the other one, as in any function
    }
  }

  const root = clock.spawn(() => body(0));
  root.addJoiner({
    threadOver() {
      try {
        root.result();
      } catch (error) {
        received.push(error);
      }
    },
  });
  if (random.chance(0.5)) clock.advance(random.whole(0, 10));
  if (random.chance(0.2)) root.unwind('from outside');
  clock.advance(20_000);
  received.push(...clock.reports);

  assert.equal(root.state, 'over', `seed ${seed}`);
  const counts = new Map<unknown, number>();
  for (const error of received) counts.set(error, (counts.get(error) ?? 0) + 1);
  for (const failure of thrown) assert.equal(counts.get(failure), 1, `seed ${seed}: ${failure.message}`);
  for (const [error, count] of counts) assert.equal(count, 1, `seed ${seed}: ${error}`);
  return thrown.length;
}
