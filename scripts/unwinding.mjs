// Shows how threads are unwound on the JavaScript engine that runs this: `node`, `bun` or `deno run -A scripts/unwinding.mjs`.
// With `--freeze` the prototype of generators is frozen first, as hardened environments do. Prints `ok`, or fails.

import assert from 'node:assert/strict';

if (process.argv.includes('--freeze')) {
  const prototype = Object.getPrototypeOf(function* () {}.prototype);
  Object.freeze(prototype);
  Object.freeze(Object.getPrototypeOf(prototype));
}
const isFrozen = Object.isFrozen(Object.getPrototypeOf(function* () {}.prototype));

const { all, Channel, run, race, sleep, spawn, timeout, uninterruptible, until } = await import('../dist/index.js');

const order = [];

/** Has a `finally` block that parks, as deep in generators as is said. */
function* part(depth) {
  try {
    if (depth > 1) yield* part(depth - 1);
    else yield* sleep(Infinity);
    order.push(`behind ${depth}`);
  } finally {
    yield* sleep(1);
    yield* until(Promise.resolve());
    order.push(`finally ${depth}`);
  }
  order.push(`end ${depth}`);
}

/** Starts a thread, unwinds it, and waits until it is over. @returns how `join` has ended */
async function unwound(task) {
  order.length = 0;
  return await run(function* () {
    const thread = spawn(task);
    yield* sleep(2);
    thread.unwind('reason');
    try {
      return { returned: yield* thread.join() };
    } catch (error) {
      return { error };
    }
  });
}

for (const depth of [1, 2, 5, 500]) {
  const { error } = await unwound(function* () {
    yield* part(depth);
    order.push('behind all');
  });
  assert.equal(error?.code, 'ERR_UNWOUND');
  assert.equal(error.cause, 'reason');
  assert.deepEqual(
    order,
    Array.from({ length: depth }, (_, i) => `finally ${i + 1}`),
  );
}

// An error of a `finally` block that has parked is an error of the code around it.
const failure = new Error('in finally');
const failed = await unwound(function* () {
  try {
    yield* (function* () {
      try {
        yield* sleep(Infinity);
      } finally {
        yield* sleep(1);
        // biome-ignore lint/correctness/noUnsafeFinally: this is what is shown
        throw failure;
      }
    })();
  } catch (error) {
    order.push(error);
    throw error;
  }
});
assert.deepEqual(order, [failure]);
assert.equal(failed.error, failure);

// Children first; groups; a `finally` block that was entered in the ordinary way.
const channel = new Channel(1);
await unwound(function* () {
  try {
    yield* all([
      () => part(2),
      () => race([part(1), sleep(Infinity)]),
      () => timeout(60_000, part(1)),
      () => channel.receive(),
      function* () {
        try {
          yield* until(Promise.resolve());
        } finally {
          yield* uninterruptible(function* () {
            yield* sleep(5);
            order.push('rolled back');
          });
        }
      },
    ]);
  } finally {
    order.push('group over');
  }
});
assert.deepEqual(order.toSorted(), ['finally 1', 'finally 1', 'finally 1', 'finally 2', 'group over', 'rolled back']);
assert.equal(order.at(-1), 'group over');

// `catch` blocks see nothing, except where the engine allows no other way.
await unwound(function* () {
  try {
    yield* part(1);
  } catch (error) {
    order.push(`caught ${error.name}`);
    throw error;
  }
});
assert.deepEqual(order, isFrozen ? ['finally 1', 'caught UnwoundError'] : ['finally 1']);

// What was replaced for a moment is as it was.
const prototype = Object.getPrototypeOf(function* () {}.prototype);
assert.match(Function.prototype.toString.call(prototype.throw), /native code/);
console.log('ok');
