// What a module exports for the command: the conventions of Bun, Deno, srvx and frameworks.

import { propertyOf, show } from '../util/inspect.js';

/** What a module exports. */
export type Exported =
  /** A function that answers requests. */
  | { readonly kind: 'function'; readonly fetch: unknown }
  /** An object with options beside `fetch`. */
  | { readonly kind: 'options'; readonly options: Readonly<Record<string, unknown>> }
  /** An application of a framework (Hono, H3, Elysia, …), whose other members are not options, whatever their names are. */
  | { readonly kind: 'application'; readonly fetch: (...args: unknown[]) => unknown }
  /** Nothing that can be served. `found` says what there is, and follows the name of the module in a message. */
  | { readonly kind: 'nothing'; readonly found: string };

/** @param module the namespace of a module */
export function classify(module: object): Exported {
  const exported = defaultOf(module);
  const named = propertyOf(module, 'fetch');
  if (typeof exported === 'function') return { kind: 'function', fetch: exported };
  if (exported === undefined && typeof named === 'function') return { kind: 'function', fetch: named };
  if (exported === undefined) return { kind: 'nothing', found: 'has no default export to serve' };
  if (typeof exported !== 'object' || exported === null)
    return { kind: 'nothing', found: `has the default export ${show(exported)}` };
  const fetch = propertyOf(exported, 'fetch');
  if (typeof fetch !== 'function') return { kind: 'nothing', found: withoutFetch(exported, fetch) };
  if (isPlainObject(exported)) return { kind: 'options', options: exported };
  return { kind: 'application', fetch: (...args) => fetch.apply(exported, args) };
}

/** Whether it is an object from a literal, and not an instance of a class. */
export function isPlainObject(value: unknown): value is Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

/** The default export. For CommonJS that was compiled from an ES module, the default export of that module. */
export function defaultOf(module: object): unknown {
  const exported = propertyOf(module, 'default');
  return propertyOf(exported, '__esModule') === true ? propertyOf(exported, 'default') : exported;
}

function withoutFetch(exported: object, fetch: unknown): string {
  if (fetch !== undefined) return `has a default export whose fetch is ${show(fetch)}, and not a function`;
  const names = Object.keys(exported)
    .slice(0, 10)
    .map((name) => show(name).slice(1, -1));
  return names.length === 0
    ? 'has a default export without fetch'
    : `has a default export without fetch, but with ${names.join(', ')}`;
}
