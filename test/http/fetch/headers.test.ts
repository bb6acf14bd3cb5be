import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { inspect } from 'node:util';
import fc from 'fast-check';
import { Headers, headersOver } from '#sluice/http/fetch/headers.js';
import { type Classes, light, outcome, platform, same, untyped } from './differential.js';

type Init = ConstructorParameters<Classes['Headers']>[0];
const build =
  (init: unknown) =>
  ({ Headers }: Classes) => [...new Headers(untyped<Init>(init))];

describe('Headers, beside the platform’s', () => {
  same('constructed from', {
    nothing: build(undefined),
    null: build(null),
    'a number': build(1),
    'a string': build('abc'),
    'a record': build({ B: '1', a: '2', 'X-Y': '3' }),
    'pairs with a repeated name': build([
      ['X', '1'],
      ['x', '2'],
    ]),
    'a map': build(new Map([['a', 'b']])),
    'a generator of pairs': ({ Headers }) => [...new Headers(untyped(new Map([['a', 'b']]).entries()))],
    'a pair of one': build([['a']]),
    'a pair of three': build([['a', 'b', 'c']]),
    'a string for a pair': build(['ab']),
    'numbers for pairs': build([1]),
    'an object whose iterator is no function': build({ [Symbol.iterator]: 1 }),
    'a record with a symbol key': build({ [Symbol('a')]: 'b' }),
    'a record with undefined': build({ a: undefined }),
    'a record with an array': build({ a: ['x', 'y'] }),
    'a record with a symbol value': build({ a: Symbol('b') }),
    'a record, by its traps': ({ Headers }) => {
      const seen: string[] = [];
      const trap = (name: string, key: PropertyKey) => seen.push(`${name} ${String(key)}`);
      const target = Object.defineProperty({ a: '1', b: '2' }, 'hidden', { value: '3' });
      new Headers(
        new Proxy(target, {
          get: (_, key) => {
            trap('get', key);
            return Reflect.get(target, key);
          },
          getOwnPropertyDescriptor: (_, key) => {
            trap('descriptor', key);
            return Reflect.getOwnPropertyDescriptor(target, key);
          },
          ownKeys: () => {
            seen.push('keys');
            return Reflect.ownKeys(target);
          },
        }),
      );
      return seen;
    },
    'a record that is a proxy with a symbol': build(new Proxy({ a: 'b', [Symbol('c')]: 'd' }, {})),
    'a record with inherited keys': build(Object.create({ a: '1' }, { b: { value: '2', enumerable: true } })),
    'the other implementation': () => [...new Headers(new platform.Headers({ a: 'b', 'set-cookie': 'c' }))],
    'its own kind': ({ Headers }) => [...new Headers(new Headers({ a: 'b' }))],
    'a subclass with an iterator of its own': ({ Headers }) => {
      class Odd extends Headers {}
      Object.defineProperty(Odd.prototype, Symbol.iterator, {
        *value() {
          yield ['x', 'y'];
        },
      });
      return [...new Headers(new Odd({ a: 'b' }))];
    },
  });

  const values = ['', ' \t\r\n x \n', 'a\tb', 'a\nb', 'a\rb', 'a\0b', 'a\u0001b', '\f', 'ÿ', 'Ā', '€', '\u00a0x\u00a0'];
  const names = ['', 'a b', 'a:', 'é', '€', "!#$%&'*+-.^_`|~", 'A-Z', 'a\n', '(x)', '\u007f'];
  same(
    'a value',
    Object.fromEntries(
      values.map((value) => [JSON.stringify(value), ({ Headers }) => new Headers({ a: value }).get('a')]),
    ),
  );
  for (const operation of ['append', 'set', 'get', 'has', 'delete'] as const) {
    same(
      `${operation} with the name`,
      Object.fromEntries(
        names.map((name) => [JSON.stringify(name), ({ Headers }) => new Headers()[operation](name, 'x') ?? null]),
      ),
    );
    same(`${operation} with`, {
      'no arguments': ({ Headers }) => Reflect.apply(new Headers()[operation], new Headers(), []),
      'one argument': ({ Headers }) => Reflect.apply(new Headers()[operation], new Headers(), ['a']) ?? null,
      'undefined as the name': ({ Headers }) =>
        Reflect.apply(new Headers()[operation], new Headers(), [undefined, '']) ?? 0,
      'an object that is no Headers': ({ Headers }) => Reflect.apply(Headers.prototype[operation], {}, ['a', 'b']),
      'its declared length': ({ Headers }) => Headers.prototype[operation].length,
    });
  }

  same('reading', {
    'several Set-Cookie fields': ({ Headers }) => {
      const headers = new Headers([
        ['Set-Cookie', 'a=1'],
        ['x', 'y'],
        ['set-cookie', 'b=2'],
      ]);
      return [headers.getSetCookie(), headers.get('SET-COOKIE'), [...headers], headers.has('set-cookie')];
    },
    'several Cookie fields': ({ Headers }) => {
      const headers = new Headers([
        ['Cookie', 'a=1'],
        ['cookie', 'b=2'],
      ]);
      return [headers.get('cookie'), [...headers]];
    },
    'keys, values, entries and forEach': ({ Headers }) => {
      const headers = new Headers({ b: '1', a: '2' });
      const seen: unknown[] = [];
      headers.forEach(function (this: unknown, value, name, all) {
        seen.push([this, value, name, all === headers]);
      }, 'this');
      return [[...headers.keys()], [...headers.values()], [...headers.entries()], seen];
    },
    'forEach without a function': ({ Headers }) => new Headers().forEach(untyped(1)),
    'a field added behind the place of a loop': ({ Headers }) => {
      const headers = new Headers({ a: '1', c: '3' });
      const seen: string[] = [];
      for (const [name] of headers) {
        seen.push(name);
        if (name === 'a') headers.append('b', '2');
      }
      return seen;
    },
    'a field added before the place of a loop': ({ Headers }) => {
      const headers = new Headers({ b: '1', c: '3' });
      const seen: string[] = [];
      for (const [name] of headers) {
        seen.push(name);
        if (seen.length === 1) headers.append('a', '2');
      }
      return seen;
    },
    'what an iterator is': ({ Headers }) => {
      const iterator = new Headers({ a: 'b' }).entries();
      const parent = Object.getPrototypeOf(Object.getPrototypeOf(iterator));
      return [String(iterator), parent === Object.getPrototypeOf(Object.getPrototypeOf([].values())), iterator.next()];
    },
    'what the prototype of an iterator has': ({ Headers }) => {
      const prototype = Object.getPrototypeOf(new Headers().keys());
      const next = Object.getOwnPropertyDescriptor(prototype, 'next');
      const tag = Object.getOwnPropertyDescriptor(prototype, Symbol.toStringTag);
      return [Reflect.ownKeys(prototype).map(String).sort(), { ...next, value: typeof next?.value }, tag];
    },
    'an iterator of something else': ({ Headers }) => Reflect.apply(Headers.prototype.keys, {}, []),
    'next of something else': ({ Headers }) => Reflect.apply(new Headers().keys().next, [].values(), []),
    'the default iterator': ({ Headers }) => Headers.prototype[Symbol.iterator] === Headers.prototype.entries,
    'its tag': ({ Headers }) => String(new Headers()),
    'its printed form': ({ Headers }) => inspect(new Headers({ a: 'x', 'content-type': 'y' })),
    'its keys in a loop': ({ Headers }) => {
      const keys: string[] = [];
      for (const key in new Headers()) keys.push(key);
      return keys.sort();
    },
  });
});

describe('Headers, whatever is done to them', () => {
  const name = fc.constantFrom('a', 'A', 'b', 'x-long-name', 'Set-Cookie', 'set-cookie', 'cookie', 'bad name');
  const value = fc.oneof(fc.constantFrom('1', ' 2 ', '', 'a, b', 'x\ny'), fc.string({ maxLength: 4 }));
  const step = fc.oneof(
    fc.tuple(fc.constantFrom('append', 'set'), name, value),
    fc.tuple(fc.constantFrom('delete', 'get', 'has'), name),
    fc.tuple(fc.constantFrom('getSetCookie', 'iterate')),
  );

  test('a sequence of operations gives the same results and the same fields as on the platform', async () => {
    const run =
      (init: [string, string][], steps: [string, ...string[]][]) =>
      async ({ Headers }: Classes) => {
        const headers = new Headers(init);
        const results: unknown[] = [];
        for (const [operation, ...args] of steps) {
          const apply = () =>
            operation === 'iterate' ? [...headers] : untyped<Record<string, () => unknown>>(headers)[operation];
          results.push(
            await outcome(() => {
              const found = apply();
              return typeof found === 'function' ? Reflect.apply(found, headers, args) : found;
            }, platform),
          );
        }
        return [results, [...headers], headers.getSetCookie(), [...new Headers(headers)]];
      };
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(name, value), { maxLength: 4 }),
        fc.array(step, { maxLength: 12 }),
        async (init, steps) => {
          const probe = run(init, steps);
          assert.deepEqual(await outcome(probe, light), await outcome(probe, platform));
        },
      ),
      { numRuns: 500 },
    );
  });

  test('any string as a name or a value is taken, or refused, as on the platform', async () => {
    const text = fc.oneof(fc.string(), fc.string({ unit: 'binary' }));
    await fc.assert(
      fc.asyncProperty(text, text, async (name, value) => {
        for (const pair of [
          [name, 'x'],
          ['x', value],
        ] as const) {
          const probe = build([pair]);
          assert.deepEqual(await outcome(probe, light), await outcome(probe, platform));
        }
      }),
      { numRuns: 500 },
    );
  });
});

describe('Headers over an array', () => {
  test('a change through the class is in the array, and the array itself stays', () => {
    const fields = ['a', '1', 'b', '2', 'a', '3'];
    const headers = headersOver(fields, false);
    headers.set('A', '4');
    headers.append('C', '5');
    headers.delete('b');
    assert.deepEqual(fields, ['a', '4', 'c', '5']);
  });

  test('immutable ones can be read, and throw a TypeError when they are to change', () => {
    const headers = headersOver(['a', '1'], true);
    assert.equal(headers.get('a'), '1');
    assert.throws(() => headers.set('a', '2'), TypeError);
    assert.throws(() => headers.append('b', '2'), TypeError);
    assert.throws(() => headers.delete('a'), TypeError);
    assert.deepEqual([...new Headers(headers)], [['a', '1']]);
  });

  test('a record’s keys that cannot be enumerated are left out, as the standard has it and Node has not', () => {
    const record = Object.create(null, { a: { value: '1', enumerable: true }, b: { value: '2', enumerable: false } });
    assert.deepEqual([...new Headers(record)], [['a', '1']]);
  });

  test('an entry that user code changes does not change the headers', () => {
    const headers = new Headers({ a: '1' });
    for (const entry of headers) entry[1] = 'changed';
    assert.deepEqual([...headers], [['a', '1']]);
  });

  test('the platform takes light headers for its own messages', () => {
    const headers = new Headers([
      ['a', '1'],
      ['set-cookie', 'x'],
      ['set-cookie', 'y'],
    ]);
    const init = { headers };
    assert.deepEqual([...new platform.Headers(headers)], [...headers]);
    assert.deepEqual([...new platform.Response(undefined, init).headers], [...headers]);
    assert.deepEqual([...new platform.Request('http://localhost/', init).headers], [...headers]);
  });
});

test('a record that is given again and again is taken as it is each time', () => {
  const record: Record<string, unknown> = { 'Content-Type': 'text/plain', 'x-a': ' 1 ' };
  const taken = () => [...new Headers(untyped<Init>(record))];
  const first = [
    ['content-type', 'text/plain'],
    ['x-a', '1'],
  ];
  for (let i = 0; i < 4; i++) assert.deepEqual(taken(), first);
  record['x-a'] = '2';
  for (let i = 0; i < 4; i++) assert.deepEqual(taken(), [first[0], ['x-a', '2']]);
  record['x-a'] = '2\n3';
  for (let i = 0; i < 4; i++) assert.throws(taken, TypeError);
  delete record['x-a'];
  for (let i = 0; i < 4; i++) assert.deepEqual(taken(), [first[0]]);
  record['x-b'] = '3';
  for (let i = 0; i < 4; i++) assert.deepEqual(taken(), [first[0], ['x-b', '3']]);
  const changes = new Headers(untyped<Init>(record));
  changes.set('x-b', '4'); // what is done with the fields of one is not done to the next
  assert.deepEqual(taken(), [first[0], ['x-b', '3']]);
});

test('what a record is asked for is asked once, also when it is given again', () => {
  let asked = 0;
  const record = {
    get 'x-count'() {
      return `${++asked}`;
    },
  };
  for (let i = 1; i < 6; i++) assert.deepEqual([...new Headers(record)], [['x-count', `${i}`]]);
  const turning = { 'x-a': { toString: () => `${++asked}` } };
  const before = asked;
  for (let i = 1; i < 6; i++) assert.deepEqual([...new Headers(untyped<Init>(turning))], [['x-a', `${before + i}`]]);
});

test('a record that is like one taken before is taken for what it is', async () => {
  const usual = () => ({ 'Content-Type': 'text/plain', 'x-a': '1', 'x-b': '2' });
  const records: Record<string, unknown> = {
    'other letters': { 'content-type': 'text/plain', 'x-a': '1', 'x-b': '2' },
    'another order': { 'x-a': '1', 'Content-Type': 'text/plain', 'x-b': '2' },
    'values exchanged': { 'Content-Type': 'text/plain', 'x-a': '2', 'x-b': '1' },
    'a name exchanged': { 'Content-Type': 'text/plain', 'x-a': '1', 'x-c': '2' },
    'white space': { 'Content-Type': ' text/plain', 'x-a': '1', 'x-b': '2 ' },
    numbers: { 'Content-Type': 'text/plain', 'x-a': 1, 'x-b': 2 },
    objects: { 'Content-Type': ['text/plain'], 'x-a': { toString: () => '1' }, 'x-b': Object('2') },
    'nothing at the end': { 'Content-Type': 'text/plain', 'x-a': '1', 'x-b': undefined },
    fewer: { 'Content-Type': 'text/plain', 'x-a': '1' },
    more: { ...usual(), 'x-c': '3' },
    'a line break': { ...usual(), 'x-b': '2\n3' },
    'a name that is none': { 'Content-Type': 'text/plain', 'x-a': '1', 'x b': '2' },
    'a symbol': { ...usual(), [Symbol('x')]: '1' },
    inherited: Object.create(usual()),
  };
  for (const [name, record] of Object.entries(records)) {
    for (let i = 0; i < 100; i++) new Headers(usual()); // one of them is kept to compare with
    for (let i = 0; i < 40; i++) {
      assert.deepEqual(await outcome(build(record), light), await outcome(build(record), platform), name);
    }
  }
});
