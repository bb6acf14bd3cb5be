import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkOptions, type OptionRules } from '#sluice/util/options.js';

const rules: OptionRules = {
  size: { whole: [1, 9] },
  name: { type: 'string' },
  when: { instance: Date },
  pieces: { words: ['few', 'many'], whole: [1, 9] },
  more: { type: 'object' },
};
const check = (options: unknown) => checkOptions('f', options as object, rules);
const fails = (options: unknown, message: RegExp, cause?: unknown) =>
  assert.throws(
    () => check(options),
    (error: Error) => message.test(String(error)) && error.cause === cause,
  );

test('each wrong option is refused with its name, what was found and what was expected', () => {
  fails({ size: '1' }, /^TypeError: f: size is "1"; expected a whole number from 1 to 9$/);
  fails({ size: 10 }, /^RangeError: f: size is 10; expected a whole number from 1 to 9$/);
  fails({ name: '' }, /^TypeError: f: name is empty; expected/);
  fails({ name: null }, /^TypeError: f: name is null; expected a string$/);
  fails({ when: {} }, /^TypeError: f: when is \[object Object\]; expected a Date$/);
  fails({ sise: 1 }, /^TypeError: f: unknown option "sise"; expected one of size, name, when, pieces, more$/);
  fails({ pieces: 'all' }, /^TypeError: f: pieces is "all"; expected "few" or "many" or a whole number from 1 to 9$/);
  fails({ pieces: 0 }, /^RangeError: f: pieces is 0; expected "few"/);
  fails({ more: 1 }, /^TypeError: f: more is 1; expected an object$/);
  fails({ more: null }, /^TypeError: f: more is null; expected an object$/);
  fails({ more: [] }, /^TypeError: f: more is \[object Array\]; expected an object$/);
  fails([], /^TypeError: f: the options are \[object Array\]; expected an object$/);
  fails(null, /^TypeError: f: the options are null; expected an object$/);
  fails({ [Symbol('size')]: 1 }, /^TypeError: f: unknown option Symbol\(size\); expected one of/);
  fails({ toString: 1 }, /^TypeError: f: unknown option "toString"; expected one of/);
});

test('options that are as they may be are taken', () => {
  check({ size: 9, name: 'x', when: new Date(), pieces: 'few', more: {} });
  check({ size: undefined, pieces: 1 });
});

test('an option that an object inherits is checked as its own ones are', () => {
  class Options {
    get size(): number {
      return 0;
    }
  }
  fails(new Options(), /^RangeError: f: size is 0; expected/);
  check(Object.create({ size: 1, other: 2 }));
});

test('properties that a copy would not have are no options', () => {
  check(Object.defineProperty({ size: 1 }, Symbol.toStringTag, { value: 'Module' }));
});

test('options that cannot be read are refused with the reason as the cause', () => {
  const reason = new Error('not now');
  const refuse = () => {
    throw reason;
  };
  fails(new Proxy({}, { ownKeys: refuse }), /^TypeError: f: the options cannot be read; expected an object/, reason);
  fails(Object.defineProperty({}, 'size', { get: refuse }), /^TypeError: f: size cannot be read; expected/, reason);
});

test('a value that cannot be inspected is no instance', () => {
  const { proxy, revoke } = Proxy.revocable(new Date(), {});
  revoke();
  fails({ when: proxy }, /^TypeError: f: when is a value that cannot be inspected; expected a Date$/);
});
