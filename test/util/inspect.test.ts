import assert from 'node:assert/strict';
import { test } from 'node:test';
import { describe, escapeControls, escapeControlsInLines, isInstance, propertyOf, show } from '#sluice/util/inspect.js';
import { hostileValues } from './hostile-values.js';

for (const [name, make] of Object.entries(hostileValues))
  test(`${name} can be looked at without being thrown at`, () => {
    const value = make();
    assert.equal(typeof isInstance(value, Error), 'boolean');
    for (const property of ['name', 'message', 'stack', 'code', 'cause']) propertyOf(value, property);
    for (const text of [describe(value), show(value)]) {
      assert.equal(typeof text, 'string');
      assert.ok(text.length < 1_100, `${text.length} characters`);
    }
  });

test('what can be looked at is described as it is', () => {
  assert.ok(isInstance(new TypeError('x'), Error));
  assert.equal(isInstance({ message: 'x' }, Error), false);
  assert.equal(propertyOf(new Error('x'), 'message'), 'x');
  assert.equal(propertyOf('text', 'length'), undefined, 'a primitive has no properties of its own');
  assert.equal(describe(new Error('text')), 'text');
  const values = ['a"b', undefined, null, Number.NaN, -0, 10n, Symbol('s'), new Map(), [], function named() {}];
  assert.deepEqual(
    values.map((value) => show(value)),
    [
      '"a\\"b"',
      'undefined',
      'null',
      'NaN',
      '0',
      '10',
      'Symbol(s)',
      '[object Map]',
      '[object Array]',
      '[Function: named]',
    ],
  );
  assert.equal(show('x'.repeat(1_000)), `"${'x'.repeat(80)}…"`);
});

test('control characters are escaped, and so is what turns the direction of text', () => {
  const text = 'a\0\x1b[2J\x7f\x9b\u202e\u2066\u2028é€😀\t\r\nb';
  assert.equal(escapeControls(text), 'a\\x00\\x1b[2J\\x7f\\x9b\\u202e\\u2066\\u2028é€😀\\t\\r\\nb');
  assert.equal(escapeControlsInLines(text), 'a\\x00\\x1b[2J\\x7f\\x9b\\u202e\\u2066\\u2028é€😀\t\\r\nb');
  assert.equal(show('\x1b\x9b'), '"\\u001b\\x9b"');
});
