// Replaces the global `Request`, `Response` and `Headers` by the light classes, so that handlers and frameworks that call `new Response` create light ones,
// and restores them. `serve` calls it unless `globals` is false.

import { Headers } from './headers.js';
import { PlatformHeaders, PlatformRequest, PlatformResponse } from './platform.js';
import { isLightRequest, Request, type RequestInit, toPlatformRequest } from './request.js';
import { Response } from './response.js';

const platformFetch = globalThis.fetch;

/** The platform's `fetch` reads private fields of a Request, so a light one is converted to the platform's first. */
async function fetch(
  ...args: [input: string | URL | Request | globalThis.Request, init?: RequestInit]
): Promise<globalThis.Response> {
  const [input, ...rest] = args;
  if (isLightRequest(input)) return platformFetch(toPlatformRequest(input, rest[0]));
  return Reflect.apply(platformFetch, globalThis, args);
}
Object.defineProperty(fetch, 'length', { value: platformFetch.length, configurable: true });

const light: Readonly<Record<string, unknown>> = { Headers, Request, Response, fetch };
const platform: Readonly<Record<string, unknown>> = {
  Headers: PlatformHeaders,
  Request: PlatformRequest,
  Response: PlatformResponse,
  fetch: platformFetch,
};

/** The previous property of each name, to be restored exactly; empty while nothing is installed. */
const before = new Map<string, PropertyDescriptor>();

/** Safe to call more than once. Skips a name that other code has replaced since this module was loaded. */
export function installGlobals(): void {
  for (const [name, value] of Object.entries(light)) {
    const descriptor = Object.getOwnPropertyDescriptor(globalThis, name);
    if (descriptor === undefined || before.has(name) || Reflect.get(globalThis, name) !== platform[name]) continue;
    before.set(name, descriptor);
    const { enumerable = false } = descriptor;
    Object.defineProperty(globalThis, name, { value, writable: true, configurable: true, enumerable });
  }
}

/** Number of calls of `holdGlobals` without a matching `releaseGlobals`. */
let holders = 0;

/** Installs the light classes until every call has been matched by one of `releaseGlobals`: there may be several servers. */
export function holdGlobals(): void {
  holders++;
  installGlobals();
}

/** Uninstalls the light classes when it has been called as often as `holdGlobals`. */
export function releaseGlobals(): void {
  if (--holders === 0) uninstallGlobals();
}

/** Restores what `installGlobals` replaced, except for names that other code has replaced since. */
export function uninstallGlobals(): void {
  for (const [name, descriptor] of before) {
    if (Reflect.get(globalThis, name) === light[name]) Object.defineProperty(globalThis, name, descriptor);
  }
  before.clear();
}
