// Checking options: what is wrong is told at once, with the name of the option, what was found, and what was expected.

import { show } from './inspect.js';

/** What an option may be. `null`-valued and `undefined` options count as not given only if they are `undefined`. */
export type OptionRule =
  | { type: 'function' | 'boolean' }
  /** A string that is not empty. */
  | { type: 'string' }
  /** A whole number in a range, both ends included. */
  | { whole: readonly [number, number] }
  /** A number in a range, both ends included. */
  | { number: readonly [number, number] }
  /** A number in a range, both ends included, or true or false. */
  | { switch: readonly [number, number] }
  | { instance: abstract new (...args: never[]) => object };

/** A day, in milliseconds: no timeout of a server may be longer, and none is without end. */
export const longestDelay = 86_400_000;

export type OptionRules = Readonly<Record<string, OptionRule>>;

/**
 * @param where the function whose options they are, for the message
 * @throws {TypeError} for an unknown option or one of the wrong type
 * @throws {RangeError} for a number that is out of range
 */
export function checkOptions(where: string, options: object, rules: OptionRules): void {
  if (typeof options !== 'object' || options === null) {
    throw new TypeError(`${where}: the options are ${show(options)}; expected an object`);
  }
  for (const [name, value] of Object.entries(options)) {
    const rule = rules[name];
    if (!Object.hasOwn(rules, name)) {
      throw new TypeError(
        `${where}: unknown option ${JSON.stringify(name)}; expected one of ${Object.keys(rules).join(', ')}`,
      );
    }
    if (value !== undefined) checkOption(`${where}: ${name}`, value, rule);
  }
}

function checkOption(name: string, value: unknown, rule: OptionRule): void {
  if ('type' in rule) {
    if (value === '') throw new TypeError(`${name} is empty; expected a string that is not`);
    if (typeof value !== rule.type) throw new TypeError(`${name} is ${show(value)}; expected a ${rule.type}`);
  } else if ('instance' in rule) {
    if (!(value instanceof rule.instance))
      throw new TypeError(`${name} is ${show(value)}; expected a ${rule.instance.name}`);
  } else {
    const whole = 'whole' in rule;
    const isSwitch = 'switch' in rule;
    if (isSwitch && typeof value === 'boolean') return;
    const [low, high] = whole ? rule.whole : isSwitch ? rule.switch : rule.number;
    const kind = whole ? 'a whole number' : isSwitch ? 'true, false or a number' : 'a number';
    const expected = `expected ${kind} from ${low} to ${high}`;
    if (typeof value !== 'number') throw new TypeError(`${name} is ${show(value)}; ${expected}`);
    if (!(value >= low && value <= high) || (whole && !Number.isInteger(value))) {
      throw new RangeError(`${name} is ${value}; ${expected}`);
    }
  }
}
