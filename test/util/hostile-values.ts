// Values that fight back when they are looked at, and errors of unusual make: a handler may throw any of them.

const refuse = (): never => {
  throw new Error('not to be looked at');
};

/** An object of which each property of these is an accessor that throws. */
function throwing<T extends object>(target: T, ...names: PropertyKey[]): T {
  for (const name of names) Object.defineProperty(target, name, { get: refuse, configurable: true });
  return target;
}

export const hostileValues: Readonly<Record<string, () => unknown>> = {
  'a revoked Proxy': () => {
    const { proxy, revoke } = Proxy.revocable({}, {});
    revoke();
    return proxy;
  },
  'a revoked Proxy of a function': () => {
    const { proxy, revoke } = Proxy.revocable(() => {}, {});
    revoke();
    return proxy;
  },
  'a Proxy whose traps all throw': () => new Proxy({}, new Proxy({}, { get: () => refuse })),
  'a Proxy of an error whose traps all throw': () =>
    new Proxy(new Error('inner'), new Proxy({}, { get: () => refuse })),
  'an error without readable message, stack, name, code and cause': () =>
    throwing(new Error('x'), 'stack', 'message', 'name', 'code', 'cause'), // the stack first: it is made of the others
  'an error whose message and stack are no strings': () =>
    Object.assign(new Error('x'), { message: { toString: refuse }, stack: Symbol('stack'), name: 7 }),
  'a RangeError whose message cannot be converted': () =>
    Object.assign(new RangeError('x'), { message: { toString: refuse } }),
  'an object that cannot be converted': () =>
    throwing({}, Symbol.toPrimitive, Symbol.toStringTag, 'toString', 'valueOf', 'then', 'constructor'),
  'an object that throws when it is printed': () =>
    Object.assign(new Error('x'), { [Symbol.for('nodejs.util.inspect.custom')]: refuse }),
  'an object without a prototype': () => Object.create(null),
  'a frozen error': () => Object.freeze(new Error('frozen')),
  'an error that is its own cause': () => {
    const error = new Error('circular');
    error.cause = error;
    return error;
  },
  'an error with a message of four million characters': () => new Error('m'.repeat(4_000_000)),
  'an error that is called AbortError': () => Object.assign(new Error('x'), { name: 'AbortError' }),
  'a DOMException': () => new DOMException('x', 'AbortError'),
  'an AggregateError of what cannot be looked at': () => new AggregateError([throwing({}, 'message'), Symbol('s')]),
  'a function that cannot be named': () => throwing(() => {}, 'name', 'toString'),
  undefined: () => undefined,
  null: () => null,
  'a string with a line feed': () => 'text\nof two lines',
  'a number': () => Number.NaN,
  'a symbol': () => Symbol('s'),
  'a BigInt': () => 10n,
};
