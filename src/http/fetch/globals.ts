// Puts the light classes under the platform's global names, so that handlers and frameworks that say `new Response` make
// light ones, and takes them away again. Called by serve(), unless its options say no, and by tests.

import { Headers } from './headers.js';
import { PlatformHeaders, PlatformRequest, PlatformResponse } from './platform.js';
import { isLightRequest, Request, type RequestInit, toPlatformRequest } from './request.js';
import { Response } from './response.js';

const platformFetch = globalThis.fetch;

/** `fetch` of the platform looks for private fields in a Request, so a light one is exchanged for a heavy one first. */
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

/** What stood under each name before, to be put back exactly; empty while nothing is installed. */
const before = new Map<string, PropertyDescriptor>();

/** Safe to call more than once. A name under which somebody else has put a class since we were loaded is left to them. */
export function installGlobals(): void {
  for (const [name, value] of Object.entries(light)) {
    const descriptor = Object.getOwnPropertyDescriptor(globalThis, name);
    if (descriptor === undefined || before.has(name) || Reflect.get(globalThis, name) !== platform[name]) continue;
    before.set(name, descriptor);
    const { enumerable = false } = descriptor;
    Object.defineProperty(globalThis, name, { value, writable: true, configurable: true, enumerable });
  }
}

/** How many hold the light classes under the global names; see `holdGlobals`. */
let holders = 0;

/** Installs them until each call has been matched by one of `releaseGlobals`: for servers, of which there may be several. */
export function holdGlobals(): void {
  holders++;
  installGlobals();
}

/** Uninstalls them when it has been called as often as `holdGlobals`. */
export function releaseGlobals(): void {
  if (--holders === 0) uninstallGlobals();
}

/** Puts back what `installGlobals` replaced, except where somebody else has replaced it in turn. */
export function uninstallGlobals(): void {
  for (const [name, descriptor] of before) {
    if (Reflect.get(globalThis, name) === light[name]) Object.defineProperty(globalThis, name, descriptor);
  }
  before.clear();
}
