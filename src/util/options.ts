// Checks options. Each error names the option, what was found, and what was expected.

import { isInstance, show } from './inspect.js';

/** What an option may be. An option whose value is `undefined` counts as not given; `null` does not. */
export type OptionRule =
  | { type: 'function' | 'boolean' }
  /** See `isOptions`. */
  | { type: 'object' }
  /** A string that is not empty. */
  | { type: 'string' }
  /** A whole number in a range, both ends included. */
  | { whole: readonly [number, number] }
  /** A number in a range, both ends included. */
  | { number: readonly [number, number] }
  /** A number in a range, both ends included, or true or false. */
  | { switch: readonly [number, number] }
  /** One of several words, or a whole number in a range, both ends included. */
  | { words: readonly string[]; whole: readonly [number, number] }
  | { instance: abstract new (...args: never[]) => object }
  /** Whatever a function accepts, which must not throw; and what that is, for the message. The message says of a secret only what kind of value it is. A hint may follow. */
  | {
      accepts: (value: unknown) => boolean;
      expected: string;
      isSecret?: boolean;
      hint?: (value: unknown) => string | undefined;
    };

/** Whether a value may be an object of options: neither null nor an array. */
export function isOptions(value: unknown): value is object {
  try {
    return typeof value === 'object' && value !== null && !Array.isArray(value);
  } catch {
    return true; // a Proxy that was revoked, of which reading its properties says more
  }
}

/** A day, in milliseconds: no timeout of a server may be longer, and none is without end. */
export const longestDelay = 86_400_000;

/** A rule for each option of a type: an option without one does not compile. */
export type OptionRules<Options = Record<string, unknown>> = Readonly<Record<keyof Options & string, OptionRule>>;

/**
 * Checks the enumerable properties that the object itself has, and whatever it has, also by inheritance, under the names of the rules.
 *
 * @param where the function whose options they are, for the message
 * @throws {TypeError} for an unknown option, one of the wrong type, and one that cannot be read (its getter throws: see `cause`)
 * @throws {RangeError} for a number that is out of range
 */
export function checkOptions(where: string, options: object, rules: OptionRules): void {
  if (!isOptions(options)) {
    throw new TypeError(`${where}: the options are ${show(options)}; expected an object`);
  }
  for (const key of keysOf(where, options)) {
    if (typeof key === 'string' && Object.hasOwn(rules, key)) continue;
    const found = typeof key === 'string' ? show(key) : String(key);
    throw new TypeError(`${where}: unknown option ${found}; expected one of ${Object.keys(rules).join(', ')}`);
  }
  for (const [name, rule] of Object.entries(rules)) {
    const value = readOption(where, options, name);
    if (value !== undefined) checkOption(`${where}: ${name}`, value, rule);
  }
}

/** The names of what the object itself has and a copy of it (`{ ...options }`) would have. */
function keysOf(where: string, options: object): PropertyKey[] {
  try {
    return Reflect.ownKeys(options).filter((key) => Object.getOwnPropertyDescriptor(options, key)?.enumerable);
  } catch (cause) {
    throw new TypeError(`${where}: the options cannot be read; expected an object with readable properties`, { cause });
  }
}

function readOption(where: string, options: object, name: string): unknown {
  try {
    return Reflect.get(options, name);
  } catch (cause) {
    throw new TypeError(`${where}: ${name} cannot be read; expected a property with a value`, { cause });
  }
}

function checkOption(name: string, value: unknown, rule: OptionRule): void {
  if ('type' in rule) {
    if (value === '') throw new TypeError(`${name} is empty; expected a string that is not`);
    if (rule.type === 'object' ? isOptions(value) : typeof value === rule.type) return;
    throw new TypeError(`${name} is ${show(value)}; expected ${rule.type === 'object' ? 'an' : 'a'} ${rule.type}`);
  } else if ('accepts' in rule) {
    if (rule.accepts(value)) return;
    const hint = rule.hint?.(value);
    const found = rule.isSecret ? showKind(value) : show(value);
    throw new TypeError(`${name} is ${found}; expected ${rule.expected}${hint === undefined ? '' : `; ${hint}`}`);
  } else if ('instance' in rule) {
    if (!isInstance(value, rule.instance))
      throw new TypeError(`${name} is ${show(value)}; expected a ${rule.instance.name}`);
  } else {
    const whole = 'whole' in rule;
    const isSwitch = 'switch' in rule;
    const words = 'words' in rule ? rule.words : [];
    if (isSwitch && typeof value === 'boolean') return;
    if (typeof value === 'string' && words.includes(value)) return;
    const [low, high] = whole ? rule.whole : isSwitch ? rule.switch : rule.number;
    const others = isSwitch ? 'true, false or ' : words.map((word) => `"${word}" or `).join('');
    const kind = `${others}${whole ? 'a whole number' : 'a number'}`;
    const expected = `expected ${kind} from ${low} to ${high}`;
    if (typeof value !== 'number') throw new TypeError(`${name} is ${show(value)}; ${expected}`);
    if (!(value >= low && value <= high) || (whole && !Number.isInteger(value))) {
      throw new RangeError(`${name} is ${value}; ${expected}`);
    }
  }
}

/** What kind of value was found, for an option that may hold a secret. */
function showKind(value: unknown): string {
  if (value === '') return 'empty';
  if (Array.isArray(value)) return value.length === 0 ? 'an empty array' : 'an array with something else';
  return typeof value === 'object' ? show(value) : `a ${typeof value}`;
}
