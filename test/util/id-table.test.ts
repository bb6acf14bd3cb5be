import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { IdTable } from '#sluice/util/id-table.js';

describe('objects under numbers', () => {
  it('are found by the number that they were given, which is never 0', () => {
    const numbered = new IdTable<string>();
    const numbers = ['a', 'b', 'c'].map((thing) => numbered.add(thing));
    assert.deepEqual(
      numbers.map((number) => numbered.get(number)),
      ['a', 'b', 'c'],
    );
    assert.equal(new Set(numbers).size, 3);
    assert.ok(!numbers.includes(0));
    assert.equal(numbered.get(0), undefined);
  });

  it('leave their number to others when they go, and are not found under it any more', () => {
    const numbered = new IdTable<string>();
    const a = numbered.add('a');
    const b = numbered.add('b');
    numbered.drop(a);
    assert.equal(numbered.get(a), undefined);
    assert.equal(numbered.get(b), 'b');
    assert.equal(numbered.add('c'), a);
    assert.equal(numbered.get(a), 'c');
    assert.notEqual(numbered.add('d'), a);
  });
});
