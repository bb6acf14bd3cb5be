// Header fields as a flat array of strings, and the light `Headers` over it. The response, the request and the sender work
// on the array; the class is made only when user code says `.headers`. https://fetch.spec.whatwg.org/#headers-class

import { Buffer } from 'node:buffer';
import { isProxy } from 'node:util/types';
import { describe } from '../../util/inspect.js';
import type { OptionRule } from '../../util/options.js';
import { type Inspect, inspect, masqueradeAs, PlatformHeaders } from './platform.js';

/** Field lines in order: lowercased name, value, lowercased name, value, … A name may occur more than once. */
export type Fields = string[];

export type HeadersInit =
  | Iterable<readonly string[]>
  | Readonly<Record<string, string | readonly string[]>>
  | globalThis.Headers
  | Headers;

/** Names that user code has given, in lower case. An application uses few names, and the same ones in each response. */
const lowerNames = new Map<string, string>();
/** The most names in `lowerNames`, which is emptied when it is full, and the most characters of a name in it. */
const lowerNamesLimit = { names: 512, length: 64 };

/** Lowercases and checks a name that user code gave; TypeError if it is no token (RFC 9110 §5.6.2). */
function fieldName(name: unknown): string {
  const text = typeof name === 'string' ? name : `${name}`;
  const known = lowerNames.get(text);
  if (known !== undefined) return known;
  const lower = lowerCased(text);
  if (text.length > lowerNamesLimit.length) return lower;
  if (lowerNames.size >= lowerNamesLimit.names) lowerNames.clear();
  // A copy: a name may be a slice of a long text, such as a request's head, which V8 keeps for as long as the slice.
  const key = Buffer.from(text, 'latin1').toString('latin1');
  lowerNames.set(key, lower === text ? key : lower);
  return lower;
}

function lowerCased(text: string): string {
  let upper = false;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    const kind = code < 128 ? TCHAR[code] : 0;
    if (kind === 0) throw new TypeError(`${JSON.stringify(text)} is an invalid header name: a token was expected`);
    if (kind === 2) upper = true;
  }
  if (text === '') throw new TypeError('"" is an invalid header name: a token was expected');
  return upper ? text.toLowerCase() : text;
}

/** For each ASCII code: 0 not in a token, 1 in a token, 2 in a token and an upper-case letter. */
const TCHAR = Uint8Array.from({ length: 128 }, (_, code) => {
  const char = String.fromCharCode(code);
  return /[A-Z]/.test(char) ? 2 : /[a-z0-9!#$%&'*+.^_`|~-]/.test(char) ? 1 : 0;
});

/** Normalises and checks a value: https://fetch.spec.whatwg.org/#concept-header-value */
function fieldValue(value: unknown): string {
  const text = typeof value === 'string' ? value : `${value}`;
  let start = 0;
  let end = text.length;
  while (start < end && isWhitespace(text.charCodeAt(start))) start++;
  while (end > start && isWhitespace(text.charCodeAt(end - 1))) end--;
  for (let i = start; i < end; i++) {
    const code = text.charCodeAt(i);
    if (code > 0xff || code === 0 || code === 10 || code === 13) {
      throw new TypeError(`${JSON.stringify(text)} is an invalid header value: U+${code.toString(16)} at index ${i}`);
    }
  }
  return end - start === text.length ? text : text.slice(start, end);
}

function isWhitespace(code: number): boolean {
  return code === 32 || code === 9 || code === 10 || code === 13;
}

/** The rule for an option `headers`. `fieldsOfOption` checks the names and values. */
export const headersRule: OptionRule = {
  accepts: (value) => typeof value === 'object' && value !== null,
  expected: 'an object of names and values, pairs, or Headers',
};

/** `fieldsFrom` of an option `headers`. @param where the function that was called, for the message @throws {TypeError} with what is wrong as its `cause` */
export function fieldsOfOption(where: string, init: unknown): Fields {
  try {
    return fieldsFrom(init);
  } catch (cause) {
    throw new TypeError(`${where}: headers is wrong: ${describe(cause)}`, { cause });
  }
}

/** Checked fields from whatever a constructor accepts; always a new array. */
export function fieldsFrom(init: unknown): Fields {
  if (init === undefined) return [];
  if (init === null || (typeof init !== 'object' && typeof init !== 'function')) {
    throw new TypeError(
      `headers: expected a sequence of pairs or a record, found ${init === null ? 'null' : typeof init}`,
    );
  }
  const record = init as Record<PropertyKey, unknown>; // whatever it is, it may be asked for any member
  const iterate = record[Symbol.iterator];
  if (iterate === undefined || iterate === null) return fieldsOfRecord(record);
  // What iterating would give, but for the spaces that are trimmed when an empty value was combined with another.
  if (iterate === iterateHeaders && isLightHeaders(init) && !fieldsOf(init).includes('')) return fieldsOf(init).slice();
  return fieldsOfPairs(init, iterate);
}

/** The union conversion of WebIDL: an object with an iterator is a sequence. @param iterate is read once; the loop checks that it is callable */
function fieldsOfPairs(init: object, iterate: unknown): Fields {
  const fields: Fields = [];
  const pairs = { [Symbol.iterator]: () => Reflect.apply(iterate as () => Iterator<unknown>, init, []) };
  for (const pair of pairs) {
    if (pair === null || (typeof pair !== 'object' && typeof pair !== 'function')) {
      throw new TypeError(`headers: expected a pair of name and value, found ${typeof pair}`);
    }
    const both = [...(pair as Iterable<unknown>)]; // as above: what is no iterable throws a TypeError
    if (both.length !== 2)
      throw new TypeError(`headers: expected a pair of name and value, found ${both.length} items`);
    fields.push(fieldName(both[0]), fieldValue(both[1]));
  }
  return fields;
}

/** https://webidl.spec.whatwg.org/#js-record */
function fieldsOfRecord(record: Readonly<Record<PropertyKey, unknown>>): Fields {
  if (isProxy(record)) return fieldsOfProxy(record);
  const names = Object.keys(record);
  const fields: Fields = new Array(2 * names.length); // exact size, because `push` reserves more, and nearly every response has such an array
  for (let i = 0; i < names.length; i++) {
    const name = names[i];
    fields[2 * i] = fieldName(name);
    fields[2 * i + 1] = fieldValue(record[name]);
  }
  refuseSymbols(record);
  return fields;
}

/** The same with each step that the standard names, which only the traps of a Proxy can tell from the above. */
function fieldsOfProxy(record: Readonly<Record<PropertyKey, unknown>>): Fields {
  const fields: Fields = [];
  for (const key of Reflect.ownKeys(record)) {
    if (!Reflect.getOwnPropertyDescriptor(record, key)?.enumerable) continue;
    if (typeof key === 'symbol') throw symbolKey(key);
    const name = fieldName(key);
    fields.push(name, fieldValue(record[key]));
  }
  return fields;
}

/** A record's keys are converted to strings, which symbols refuse: https://webidl.spec.whatwg.org/#es-to-record */
function refuseSymbols(record: object): void {
  for (const symbol of Object.getOwnPropertySymbols(record)) {
    if (Object.getOwnPropertyDescriptor(record, symbol)?.enumerable) throw symbolKey(symbol);
  }
}

function symbolKey(symbol: symbol): TypeError {
  return new TypeError(`headers: expected string keys, found ${symbol.toString()}`);
}

/** True if the lowercased name occurs. */
export function hasField(fields: readonly string[], name: string): boolean {
  for (let i = 0; i < fields.length; i += 2) if (fields[i] === name) return true;
  return false;
}

/** All values of the lowercased name, combined; null if there is none. */
export function getField(fields: readonly string[], name: string): string | null {
  let combined: string | undefined;
  for (let i = 0; i < fields.length; i += 2) {
    if (fields[i] !== name) continue;
    const value = fields[i + 1];
    combined = combined === undefined ? value : `${combined}${separator(name)}${value}`;
  }
  return combined ?? null;
}

/** Only Cookie is a list with semicolons (RFC 6265 §5.4); Node and Bun join it so, where the fetch standard says comma. */
function separator(name: string): string {
  return name === 'cookie' ? '; ' : ', ';
}

/** https://fetch.spec.whatwg.org/#concept-header-list-sort-and-combine */
function sortAndCombine(fields: readonly string[]): [string, string][] {
  const combined = new Map<string, string>();
  const pairs: [string, string][] = [];
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i] ?? '';
    const value = fields[i + 1] ?? '';
    if (name === 'set-cookie') {
      pairs.push([name, value]);
      continue;
    }
    const before = combined.get(name);
    combined.set(name, before === undefined ? value : before + separator(name) + value);
  }
  pairs.push(...combined);
  return pairs.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
}

function demand(given: readonly unknown[], count: number, operation: string): void {
  if (given.length < count) {
    throw new TypeError(
      `Headers.${operation}: expected ${count} argument${count > 1 ? 's' : ''}, found ${given.length}`,
    );
  }
}

/** The array of a light Headers itself, which shows every later change. */
let fieldsOf: (headers: Headers) => Fields;
/** The same, for changes. TypeError if the headers are immutable. */
let fieldsToChange: (headers: Headers) => Fields;
let pairsOf: (headers: Headers) => readonly (readonly [string, string])[];

/** A Headers over the caller's array: a change of one changes the other. */
export let headersOver: (fields: Fields, immutable: boolean) => Headers;
let isLightHeaders: (value: unknown) => value is Headers;

// Arguments are rest parameters where an omitted one must throw.
/** A light `Headers`, which is one array. @see https://fetch.spec.whatwg.org/#headers-class */
export class Headers {
  #fields: Fields;
  #immutable = false;
  /** The sorted pairs for iteration; null after a change. */
  #pairs: [string, string][] | null = null;

  static {
    fieldsOf = (headers) => headers.#fields;
    fieldsToChange = (headers) => {
      if (headers.#immutable) throw new TypeError('these headers are immutable');
      headers.#pairs = null;
      return headers.#fields;
    };
    pairsOf = (headers) => {
      headers.#pairs ??= sortAndCombine(headers.#fields);
      return headers.#pairs;
    };
    headersOver = (fields, immutable) => {
      const headers = new Headers();
      headers.#fields = fields;
      headers.#immutable = immutable;
      return headers;
    };
    isLightHeaders = (value): value is Headers => typeof value === 'object' && value !== null && #fields in value;
  }

  constructor(init: HeadersInit | undefined = undefined) {
    this.#fields = fieldsFrom(init);
  }

  append(...args: [name: string, value: string]): void {
    demand(args, 2, 'append');
    const name = fieldName(args[0]);
    const value = fieldValue(args[1]);
    fieldsToChange(this).push(name, value);
  }

  delete(...args: [name: string]): void {
    demand(args, 1, 'delete');
    const name = fieldName(args[0]);
    const fields = fieldsToChange(this);
    for (let i = fields.length - 2; i >= 0; i -= 2) if (fields[i] === name) fields.splice(i, 2);
  }

  get(...args: [name: string]): string | null {
    demand(args, 1, 'get');
    return getField(this.#fields, fieldName(args[0]));
  }

  getSetCookie(): string[] {
    return this.#fields.filter((_, i, fields) => i % 2 === 1 && fields[i - 1] === 'set-cookie');
  }

  has(...args: [name: string]): boolean {
    demand(args, 1, 'has');
    return hasField(this.#fields, fieldName(args[0]));
  }

  set(...args: [name: string, value: string]): void {
    demand(args, 2, 'set');
    const name = fieldName(args[0]);
    const value = fieldValue(args[1]);
    const fields = fieldsToChange(this);
    const first = fields.findIndex((field, i) => i % 2 === 0 && field === name);
    if (first < 0) {
      fields.push(name, value);
      return;
    }
    fields[first + 1] = value;
    for (let i = fields.length - 2; i > first; i -= 2) if (fields[i] === name) fields.splice(i, 2);
  }

  forEach(callback: (value: string, name: string, headers: Headers) => void, ...rest: [thisArg?: unknown]): void {
    if (typeof callback !== 'function') {
      throw new TypeError(`Headers.forEach: expected a function, found ${typeof callback}`);
    }
    // By index, with the pairs read again each time: pairs that the callback adds after the current one are visited, too (WebIDL).
    for (let i = 0; ; i++) {
      const pair = pairsOf(this)[i];
      if (pair === undefined) return;
      callback.call(rest[0], pair[1], pair[0], this);
    }
  }

  keys(): ReturnType<globalThis.Headers['keys']> {
    return new HeadersIterator(this, ([name]) => name);
  }

  values(): ReturnType<globalThis.Headers['values']> {
    return new HeadersIterator(this, ([, value]) => value);
  }

  entries(): ReturnType<globalThis.Headers['entries']> {
    return new HeadersIterator(this, ([name, value]) => [name, value]);
  }

  declare readonly [Symbol.iterator]: () => ReturnType<globalThis.Headers['entries']>;
  declare readonly [Symbol.toStringTag]: 'Headers';

  [inspect](depth: number, options: object, show: Inspect): string {
    const shown: Record<string, string> = {};
    for (const [name] of pairsOf(this)) shown[name] = getField(this.#fields, name) ?? '';
    return `Headers ${show(shown, { ...options, depth })}`;
  }
}

/** https://webidl.spec.whatwg.org/#js-iterator-prototype-object: live, so a change during a loop is seen by it. */
class HeadersIterator<T> {
  readonly #headers: Headers;
  readonly #pick: (pair: readonly [string, string]) => T;
  #index = 0;

  /** TypeError if they are no headers. */
  constructor(headers: Headers, pick: (pair: readonly [string, string]) => T) {
    if (!isLightHeaders(headers)) throw new TypeError('Headers: expected headers to iterate over');
    this.#headers = headers;
    this.#pick = pick;
  }

  next(): IteratorResult<T, undefined> {
    const pair = pairsOf(this.#headers)[this.#index];
    if (pair === undefined) return { value: undefined, done: true };
    this.#index++;
    return { value: this.#pick(pair), done: false };
  }

  // All the rest is inherited from %IteratorPrototype%.
  declare readonly [Symbol.iterator]: () => this;
  declare readonly [Symbol.toStringTag]: 'Headers Iterator';
}

export type { HeadersIterator };

Object.setPrototypeOf(HeadersIterator.prototype, Object.getPrototypeOf(Object.getPrototypeOf([].values())));
Reflect.deleteProperty(HeadersIterator.prototype, 'constructor'); // user code can make none
Object.defineProperty(HeadersIterator.prototype, 'next', { enumerable: true });
Object.defineProperty(HeadersIterator.prototype, Symbol.toStringTag, { value: 'Headers Iterator', configurable: true });

// The very same function under both names, as the standard has it.
const iterateHeaders = Headers.prototype.entries;
Object.defineProperty(Headers.prototype, Symbol.iterator, {
  value: iterateHeaders,
  writable: true,
  configurable: true,
});

for (const [operation, length] of Object.entries({ append: 2, delete: 1, get: 1, has: 1, set: 2 })) {
  const method: unknown = Reflect.get(Headers.prototype, operation);
  if (typeof method === 'function') Object.defineProperty(method, 'length', { value: length, configurable: true });
}

masqueradeAs(Headers, PlatformHeaders, (self) => new PlatformHeaders([...(self as Headers)]));
