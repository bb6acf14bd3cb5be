// Functions of the library that are given a value that cannot be inspected, as code without types may do.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Channel, run, Semaphore, sleep, spawn, stream } from '#sluice/index.js';
import { hostileValues } from './util/hostile-values.js';

/** A revoked Proxy: whatever looks at it throws. */
const hostile = (): never => hostileValues['a revoked Proxy']() as never;
const name = 'a value that cannot be inspected';

test('an argument that cannot be inspected is refused with the name of the argument', async () => {
  assert.throws(() => new Channel(hostile()), {
    message: `Channel: capacity is ${name}; expected a whole number of 1 or more`,
  });
  assert.throws(() => new Semaphore(hostile()), {
    message: `Semaphore: permits is ${name}; expected a whole number of 1 or more`,
  });
  assert.throws(() => sleep(hostile()), { message: `sleep: ms is ${name}; expected a number from 0 to Infinity` });
  assert.throws(() => spawn(hostile()), { code: 'ERR_NOT_A_TASK', message: new RegExp(name) });
  await assert.rejects(run(hostile()), { code: 'ERR_NOT_A_TASK', message: new RegExp(name) });
  assert.throws(() => stream(hostile()), { message: `stream: the body is ${name}; expected a generator function` });
});
