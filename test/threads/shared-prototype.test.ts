// Generator functions that share a prototype.

import assert from 'node:assert/strict';
import { it } from 'node:test';
import { withSharedPrototype } from '#sluice/threads/shared-prototype.js';

it('generators of two functions have the same prototype, and work as before', () => {
  const make = (text: string) =>
    withSharedPrototype(function* (): Generator<string, string> {
      try {
        yield text;
        yield text;
      } catch (error) {
        return `caught ${error}`;
      }
      return 'end';
    });
  const one = make('one');
  const other = make('other');
  const generator = one();
  assert.equal(Object.getPrototypeOf(generator), Object.getPrototypeOf(other()));
  assert.ok(generator instanceof one);
  assert.deepEqual(generator.next(), { done: false, value: 'one' });
  assert.deepEqual(generator.throw('this'), { done: true, value: 'caught this' });
  assert.deepEqual([...other()], ['other', 'other']);
  assert.deepEqual(other().return('early'), { done: true, value: 'early' });
});

it('a prototype that has been changed stays, and so do those of other functions', () => {
  function* extended() {}
  extended.prototype.extra = 1;
  function* replaced() {}
  replaced.prototype = null;
  function* frozen() {}
  Object.freeze(frozen);
  function plain() {}
  async function* asynchronous() {}
  for (const task of [extended, replaced, frozen, plain, asynchronous, () => {}]) {
    const { prototype } = task;
    assert.equal(withSharedPrototype(task), task);
    assert.equal(task.prototype, prototype);
  }
});
