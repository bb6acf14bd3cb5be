// https://fetch.spec.whatwg.org/#headers-class

import {
  type Classes,
  operation,
  propertyOf,
  type Row,
  type Statement,
  statements,
  tag,
  typeError,
} from './statement.js';

const entries = (init?: unknown) => (classes: Classes) => [...new classes.Headers(init)];
const pair = (name: string, value: string): [string, string] => [name, value];

const inits: Row[] = [
  ['nothing', [], ({ Headers }) => [...new Headers()]],
  ['undefined', [], entries(undefined)],
  ['null', typeError, entries(null)],
  ['a number', typeError, entries(1)],
  ['a string', typeError, entries('abc')],
  ['a boolean', typeError, entries(true)],
  ['a symbol', typeError, entries(Symbol('a'))],
  ['a bigint', typeError, entries(1n)],
  ['an empty object', [], entries({})],
  ['an empty array', [], entries([])],
  ['a function', [], entries(() => {})],
  ['a record', [pair('a', '2'), pair('b', '1')], entries({ B: '1', A: '2' })],
  ['a record of numbers', [pair('a', '1')], entries({ a: 1 })],
  ['a record of undefined', [pair('a', 'undefined')], entries({ a: undefined })],
  ['a record of null', [pair('a', 'null')], entries({ a: null })],
  ['a record of an array', [pair('a', 'x,y')], entries({ a: ['x', 'y'] })],
  ['a record of a symbol', typeError, entries({ a: Symbol('b') })],
  ['a record with a symbol key', typeError, entries({ [Symbol('a')]: 'b' })],
  ['a record whose symbol is not enumerable', [], entries(Object.defineProperty({}, Symbol('a'), { value: 'b' }))],
  ['a record whose key is not enumerable', [], entries(Object.defineProperty({}, 'a', { value: 'b' }))],
  ['a record with inherited keys', [], entries(Object.create({ a: 'b' }))],
  ['a record without a prototype', [pair('a', 'b')], entries(Object.assign(Object.create(null), { a: 'b' }))],
  ['a record with names that differ in case', [pair('a', '1, 2')], entries({ a: '1', A: '2' })],
  ['a record whose iterator is null: a symbol as key', typeError, entries({ a: 'b', [Symbol.iterator]: null })],
  ['an object whose iterator is no function', typeError, entries({ [Symbol.iterator]: 1 })],
  ['an object whose iterator throws', typeError, entries({ [Symbol.iterator]: () => 1 })],
  ['pairs', [pair('a', 'b')], entries([['a', 'b']])],
  ['pairs of one name', [pair('a', '1, 2')], entries([pair('a', '1'), pair('A', '2')])],
  ['a pair of one', typeError, entries([['a']])],
  ['a pair of three', typeError, entries([['a', 'b', 'c']])],
  ['an empty pair', typeError, entries([[]])],
  ['a number for a pair', typeError, entries([1])],
  ['null for a pair', typeError, entries([null])],
  ['a string for a pair', typeError, entries(['ab'])],
  ['an object for a pair', typeError, entries([{}])],
  ['a set for a pair', [pair('a', 'b')], entries([new Set(['a', 'b'])])],
  ['a map', [pair('a', 'b')], entries(new Map([['a', 'b']]))],
  ['a set of pairs', [pair('a', 'b')], entries(new Set([['a', 'b']]))],
  ['search parameters', [pair('a', 'b')], entries(new URLSearchParams('a=b'))],
  ['headers', [pair('a', 'b')], ({ Headers }) => [...new Headers(new Headers({ a: 'b' }))]],
  [
    'headers with an empty value that was combined',
    [pair('a', ', b')],
    ({ Headers }) => [...new Headers(new Headers([pair('a', ''), pair('a', 'b')]))],
  ],
  [
    'headers whose iterator was replaced',
    [pair('x', 'y')],
    ({ Headers }) => {
      const headers = new Headers({ a: 'b' });
      Object.defineProperty(headers, Symbol.iterator, { value: () => [pair('x', 'y')].values() });
      return [...new Headers(headers)];
    },
  ],
  [
    'headers, which are copied',
    [[pair('a', 'b')], [pair('a', 'c')]],
    ({ Headers }) => {
      const first = new Headers({ a: 'b' });
      const second = new Headers(first);
      second.set('a', 'c');
      return [[...first], [...second]];
    },
  ],
];

/** Which steps a Proxy is asked for. */
function traps(target: object, { Headers }: Classes, seen: string[] = []): string[] {
  const handler: ProxyHandler<object> = {
    get(_, key) {
      seen.push(`get ${String(key)}`);
      return Reflect.get(target, key);
    },
    getOwnPropertyDescriptor(_, key) {
      seen.push(`descriptor ${String(key)}`);
      return Reflect.getOwnPropertyDescriptor(target, key);
    },
    ownKeys() {
      seen.push('keys');
      return Reflect.ownKeys(target);
    },
    has(_, key) {
      seen.push(`has ${String(key)}`);
      return Reflect.has(target, key);
    },
  };
  try {
    new Headers(new Proxy(target, handler));
  } catch (error) {
    seen.push((error as Error).name);
  }
  return seen;
}

const iterator = 'get Symbol(Symbol.iterator)';
const proxies: Row[] = [
  [
    'each key in turn',
    [iterator, 'keys', 'descriptor a', 'get a', 'descriptor b', 'get b'],
    (classes) => traps({ a: '1', b: '2' }, classes),
  ],
  [
    'no value of a key that is not enumerable',
    [iterator, 'keys', 'descriptor b', 'get b', 'descriptor a'],
    (classes) => traps(Object.defineProperty({ b: '1' }, 'a', { value: '2' }), classes),
  ],
  [
    'nothing after a name that is invalid',
    [iterator, 'keys', 'descriptor a', 'get a', 'descriptor b c', 'TypeError'],
    (classes) => traps({ a: '1', 'b c': '2', d: '3' }, classes),
  ],
  [
    'nothing after a value that is invalid',
    [iterator, 'keys', 'descriptor a', 'get a', 'TypeError'],
    (classes) => traps({ a: Symbol('a'), b: '2' }, classes),
  ],
  [
    'symbols last',
    [iterator, 'keys', 'descriptor a', 'get a', 'descriptor Symbol(b)', 'TypeError'],
    (classes) => traps({ [Symbol('b')]: '1', a: '2' }, classes),
  ],
];

const operations = ['append', 'set', 'get', 'has', 'delete'] as const;
const isSetting = (name: string) => name === 'append' || name === 'set';

function call({ Headers }: Classes, name: string, args: readonly unknown[]): unknown {
  const headers = new Headers();
  const method: unknown = Reflect.get(headers, name);
  return Reflect.apply(method as () => unknown, headers, args);
}

const invalidNames = [
  '',
  ' ',
  'a b',
  'a\t',
  '\n',
  'a\r',
  'a\0',
  '\u007f',
  '\u0080',
  'é',
  '€',
  'ａ',
  ...'(),/:;<=>?@[\\]{}"',
];
const validNames = [..."!#$%&'*+-.^_`|~", '0', 'a', 'Z', 'x-A-1', "!#$%&'*+-.^_`|~019azAZ"];

const names: Row[] = operations.flatMap((name): Row[] => [
  ...invalidNames.map(
    (invalid): Row => [
      `${name} ${JSON.stringify(invalid)}`,
      typeError,
      (classes) => call(classes, name, [invalid, 'b']),
    ],
  ),
  [`${name} without arguments`, typeError, (classes) => call(classes, name, [])],
  [`${name} a symbol`, typeError, (classes) => call(classes, name, [Symbol('a'), 'b'])],
  [
    `${name} an object`,
    isSetting(name) || name === 'delete' ? undefined : name === 'has' ? false : null,
    (classes) => call(classes, name, [{ toString: () => 'a' }, 'b']),
  ],
  [`${name} on something else`, typeError, ({ Headers }) => Reflect.apply(Headers.prototype[name], {}, ['a', 'b'])],
]);
const settings: Row[] = ['append', 'set'].flatMap((name): Row[] => [
  [`${name} without a value`, typeError, (classes) => call(classes, name, ['a'])],
  [`${name} a symbol as value`, typeError, (classes) => call(classes, name, ['a', Symbol('b')])],
]);
const valid: Row[] = validNames.map((name) => [
  JSON.stringify(name),
  [pair(name.toLowerCase(), 'x')],
  ({ Headers }) => [...new Headers([pair(name, 'x')])],
]);

const normalised: [value: unknown, stored: string][] = [
  ['', ''],
  ['x', 'x'],
  [' x', 'x'],
  ['x ', 'x'],
  ['\tx\t', 'x'],
  ['\r\nx\r\n', 'x'],
  [' \t\r\n x y \n\r\t ', 'x y'],
  [' \t\r\n', ''],
  ['a\tb', 'a\tb'],
  ['a  b', 'a  b'],
  ['\f', '\f'],
  ['\v x', '\v x'],
  ['\u0001', '\u0001'],
  ['\u001f', '\u001f'],
  ['\u007f', '\u007f'],
  ['\u0080', '\u0080'],
  ['\u00a0x\u00a0', '\u00a0x\u00a0'],
  ['ÿ', 'ÿ'],
  [1, '1'],
  [null, 'null'],
  [undefined, 'undefined'],
  [true, 'true'],
  [{ toString: () => ' b ' }, 'b'],
];
const invalidValues = ['a\nb', 'a\rb', 'a\0b', '\0', '\0x', 'Ā', '€', '😀', '\ud800', ' a\n\tb '];
const setters: [name: string, set: (classes: Classes, value: unknown) => Headers][] = [
  ['the constructor with a record', ({ Headers }, value) => new Headers({ a: value })],
  ['the constructor with pairs', ({ Headers }, value) => new Headers([['a', value]])],
  [
    'append',
    ({ Headers }, value) => {
      const headers = new Headers();
      headers.append('a', value as string);
      return headers;
    },
  ],
  [
    'set',
    ({ Headers }, value) => {
      const headers = new Headers({ a: 'before' });
      headers.set('a', value as string);
      return headers;
    },
  ],
];
const shown = (value: unknown) =>
  typeof value === 'object' && value !== null ? 'an object' : (JSON.stringify(value) ?? 'undefined');
const values: Row[] = setters.flatMap(([name, set]): Row[] => [
  ...normalised.map(
    ([value, stored]): Row => [`${name}, ${shown(value)}`, stored, (classes) => set(classes, value).get('a')],
  ),
  ...invalidValues.map(
    (value): Row => [`${name}, ${shown(value)}`, typeError, (classes) => set(classes, value).get('a')],
  ),
]);

const cookies: Row[] = [
  [
    'by get',
    'a=1, b=2',
    ({ Headers }) => new Headers([pair('set-cookie', 'a=1'), pair('Set-Cookie', 'b=2')]).get('set-cookie'),
  ],
  [
    'iterated',
    [pair('set-cookie', 'z'), pair('set-cookie', 'a')],
    entries([pair('set-cookie', 'z'), pair('Set-Cookie', 'a')]),
  ],
  [
    'set-cookie2 is combined',
    [pair('set-cookie2', 'a, b')],
    entries([pair('set-cookie2', 'a'), pair('Set-Cookie2', 'b')]),
  ],
  [
    'among others',
    [pair('a', '1, 4'), pair('set-cookie', '2'), pair('set-cookie', '3'), pair('z', '0')],
    entries([pair('z', '0'), pair('a', '1'), pair('set-cookie', '2'), pair('set-cookie', '3'), pair('a', '4')]),
  ],
  ['getSetCookie of none', [], ({ Headers }) => new Headers().getSetCookie()],
  ['getSetCookie of one', ['a=1'], ({ Headers }) => new Headers({ 'Set-Cookie': 'a=1' }).getSetCookie()],
  ['getSetCookie of an empty one', [''], ({ Headers }) => new Headers({ 'Set-Cookie': '' }).getSetCookie()],
  [
    'getSetCookie of equal ones',
    ['a', 'a'],
    ({ Headers }) => new Headers([pair('set-cookie', 'a'), pair('set-cookie', 'a')]).getSetCookie(),
  ],
  [
    'getSetCookie leaves others out',
    ['b'],
    ({ Headers }) => new Headers([pair('set-cookie2', 'a'), pair('set-cookie', 'b')]).getSetCookie(),
  ],
  [
    'getSetCookie in order',
    ['z', 'a', 'n'],
    ({ Headers }) => new Headers(['z', 'a', 'n'].map((value) => pair('set-cookie', value))).getSetCookie(),
  ],
  ['has in any case', true, ({ Headers }) => new Headers({ 'set-cookie': 'a' }).has('sEt-cOoKiE')],
  [
    'set replaces all',
    [pair('set-cookie', 'c')],
    ({ Headers }) => {
      const headers = new Headers([pair('set-cookie', 'a'), pair('set-cookie', 'b')]);
      headers.set('Set-Cookie', 'c');
      return [...headers];
    },
  ],
  [
    'delete removes all',
    [],
    ({ Headers }) => {
      const headers = new Headers([pair('set-cookie', 'a'), pair('set-cookie', 'b')]);
      headers.delete('Set-Cookie');
      return [...headers];
    },
  ],
  [
    'appended while iterated',
    [pair('a', '1'), pair('set-cookie', 'x'), pair('set-cookie', 'x'), pair('x', '2'), pair('x', '2')],
    ({ Headers }) => {
      const headers = new Headers({ a: '1', x: '2' });
      const seen: unknown[] = [];
      const iterated = headers.entries();
      const next = () => seen.push(iterated.next().value);
      next();
      headers.append('set-cookie', 'x');
      next();
      headers.append('0', 'first');
      next();
      next();
      headers.append('set-cookie', 'y');
      next();
      return seen;
    },
  ],
  [
    'cookie is joined by commas',
    'a=1, b=2',
    ({ Headers }) => new Headers([pair('cookie', 'a=1'), pair('Cookie', 'b=2')]).get('cookie'),
  ],
];

const reading: Row[] = [
  ['get of none', null, ({ Headers }) => new Headers().get('a')],
  ['get in any case', '1', ({ Headers }) => new Headers({ 'X-A': '1' }).get('x-a')],
  ['get combines', '1, , 2', ({ Headers }) => new Headers([pair('a', '1'), pair('a', ''), pair('a', '2')]).get('a')],
  ['has', [true, true, false], ({ Headers }) => ['a', 'A', 'b'].map((name) => new Headers({ a: '' }).has(name))],
  ['append keeps the case of none', ['x-a'], ({ Headers }) => [...new Headers({ 'X-A': '1' }).keys()]],
  ['sorted', ['a', 'b', 'c', 'z'], ({ Headers }) => [...new Headers({ z: '', b: '', c: '', a: '' }).keys()]],
  [
    'sorted by code units',
    ['!a', '0', 'a', 'a-', 'aa'],
    ({ Headers }) => [...new Headers({ aa: '', 'a-': '', a: '', 0: '', '!a': '' }).keys()],
  ],
  ['keys', ['a', 'b'], ({ Headers }) => [...new Headers({ b: '1', a: '2' }).keys()]],
  ['values', ['2', '1'], ({ Headers }) => [...new Headers({ b: '1', a: '2' }).values()]],
  ['entries', [pair('a', '2'), pair('b', '1')], ({ Headers }) => [...new Headers({ b: '1', a: '2' }).entries()]],
  [
    'entries are new each time',
    false,
    ({ Headers }) => {
      const headers = new Headers({ a: 'b' });
      const first = headers.entries().next().value;
      return headers.entries().next().value === first;
    },
  ],
  [
    'forEach',
    [['this', '1', 'a', true]],
    ({ Headers }) => {
      const seen: unknown[] = [];
      const headers = new Headers({ a: '1' });
      headers.forEach(function (this: unknown, value, name, all) {
        seen.push([this, value, name, all === headers]);
      }, 'this');
      return seen.map((one) =>
        (one as unknown[]).map((member) => (typeof member === 'object' ? String(member) : member)),
      );
    },
  ],
  [
    'forEach without a function',
    typeError,
    ({ Headers }) => Reflect.apply(Headers.prototype.forEach, new Headers(), []),
  ],
  ['forEach of an object', typeError, ({ Headers }) => Reflect.apply(Headers.prototype.forEach, new Headers(), [{}])],
  [
    'forEach sees what it adds',
    ['a', 'b'],
    ({ Headers }) => {
      const headers = new Headers({ a: '' });
      const seen: string[] = [];
      headers.forEach((_, name) => {
        seen.push(name);
        if (name === 'a') headers.append('b', '');
      });
      return seen;
    },
  ],
  [
    'a loop that deletes what follows',
    ['a', 'c'],
    ({ Headers }) => {
      const headers = new Headers({ a: '', b: '', c: '' });
      const seen: string[] = [];
      for (const [name] of headers) {
        seen.push(name);
        headers.delete('b');
      }
      return seen;
    },
  ],
  [
    'an iterator that has ended goes on with what is added',
    [true, false],
    ({ Headers }) => {
      const headers = new Headers();
      const iterated = headers.keys();
      const first = iterated.next().done;
      headers.set('a', 'b');
      return [first, iterated.next().done];
    },
  ],
  [
    'delete of none',
    [pair('a', 'b')],
    ({ Headers }) => {
      const headers = new Headers({ a: 'b' });
      headers.delete('c');
      return [...headers];
    },
  ],
  [
    'set keeps the place of the first',
    [pair('a', '3')],
    ({ Headers }) => {
      const headers = new Headers([pair('a', '1'), pair('A', '2')]);
      headers.set('a', '3');
      return [...headers];
    },
  ],
];

const iterators: Row[] = (['keys', 'values', 'entries'] as const).flatMap((name): Row[] => [
  [`${name} on something else`, typeError, ({ Headers }) => Reflect.apply(Headers.prototype[name], {}, [])],
  [
    `the prototypes of ${name}`,
    [true, true],
    ({ Headers }) => {
      const prototype = Object.getPrototypeOf(new Headers()[name]());
      const ofIterators = Object.getPrototypeOf(Object.getPrototypeOf([][Symbol.iterator]()));
      return [
        prototype === Object.getPrototypeOf(new Headers().keys()),
        Object.getPrototypeOf(prototype) === ofIterators,
      ];
    },
  ],
  [
    `${name} is its own iterator`,
    true,
    ({ Headers }) => {
      const iterated = new Headers()[name]();
      return iterated[Symbol.iterator]() === iterated;
    },
  ],
  [
    `the tag of ${name}`,
    '[object Headers Iterator]',
    ({ Headers }) => Object.prototype.toString.call(new Headers()[name]()),
  ],
  [`own keys of ${name}`, 0, ({ Headers }) => Object.keys(new Headers()[name]()).length],
]);
const iteratorPrototype = ({ Headers }: Classes): object => Object.getPrototypeOf(new Headers().keys());
iterators.push(
  ['next', operation('next', 0), (classes) => propertyOf(iteratorPrototype(classes), 'next')],
  ['next of something else', typeError, ({ Headers }) => Reflect.apply(new Headers().keys().next, {}, [])],
  ['next of an array', typeError, ({ Headers }) => Reflect.apply(new Headers().keys().next, [].values(), [])],
  [
    'the property of the tag',
    tag('Headers Iterator'),
    (classes) => propertyOf(iteratorPrototype(classes), Symbol.toStringTag),
  ],
  ['no constructor of its own', false, (classes) => Object.hasOwn(iteratorPrototype(classes), 'constructor')],
  ['no iterator of its own', false, (classes) => Object.hasOwn(iteratorPrototype(classes), Symbol.iterator)],
  [
    'the end',
    { done: true },
    ({ Headers }) => {
      const { done, value } = new Headers().keys().next();
      return value === undefined ? { done } : value;
    },
  ],
);

const lengths = {
  append: 2,
  delete: 1,
  get: 1,
  getSetCookie: 0,
  has: 1,
  set: 2,
  forEach: 1,
  keys: 0,
  values: 0,
  entries: 0,
};
const shape: Row[] = [
  ...Object.entries(lengths).map(
    ([name, length]): Row => [name, operation(name, length), ({ Headers }) => propertyOf(Headers.prototype, name)],
  ),
  [
    'Symbol.iterator is entries',
    true,
    ({ Headers }) => Headers.prototype[Symbol.iterator] === Headers.prototype.entries,
  ],
  [
    'Symbol.iterator',
    { ...(operation('entries', 0) as object), enumerable: false },
    ({ Headers }) => propertyOf(Headers.prototype, Symbol.iterator),
  ],
  ['the tag', tag('Headers'), ({ Headers }) => propertyOf(Headers.prototype, Symbol.toStringTag)],
  ['the tag of one', '[object Headers]', ({ Headers }) => Object.prototype.toString.call(new Headers())],
  ['name and length', ['Headers', 0], ({ Headers }) => [Reflect.get(Headers, 'name'), Reflect.get(Headers, 'length')]],
  ['without new', typeError, ({ Headers }) => Reflect.apply(Headers as unknown as () => void, undefined, [])],
  ['own keys of one', [], ({ Headers }) => Object.keys(new Headers({ a: 'b' }))],
  [
    'a subclass',
    [true, true, 'b'],
    ({ Headers }) => {
      class Own extends Headers {}
      const own = new Own({ a: 'b' });
      return [own instanceof Own, own instanceof Headers, own.get('a')];
    },
  ],
];

export const headersStatements: Statement[] = [
  ...statements('Headers from', inits),
  ...statements('a Proxy as a record', proxies),
  ...statements('a name of a header', names),
  ...statements('a header', settings),
  ...statements('a valid name', valid),
  ...statements('a value', values),
  ...statements('Set-Cookie', cookies),
  ...statements('reading headers', reading),
  ...statements('iterators of headers', iterators),
  ...statements('the class Headers', shape),
];
