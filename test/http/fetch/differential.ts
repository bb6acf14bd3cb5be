// Runs the same piece of user code with the platform's classes and with ours, and compares what comes of it. Values are
// compared whole, errors by their type: messages are each implementation's own.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Headers } from '#sluice/http/fetch/headers.js';
import { Request } from '#sluice/http/fetch/request.js';
import { Response } from '#sluice/http/fetch/response.js';

/** The classes as user code knows them. */
export interface Classes {
  Headers: typeof globalThis.Headers;
  Request: typeof globalThis.Request;
  Response: typeof globalThis.Response;
}

const { Headers: PlatformHeaders, Request: PlatformRequest, Response: PlatformResponse } = globalThis;
export const platform: Classes = { Headers: PlatformHeaders, Request: PlatformRequest, Response: PlatformResponse };
// The constructors' parameters are stricter or laxer than undici's types in places; the tests feed them what is wrong anyway.
export const light = { Headers, Request, Response } as unknown as Classes;

export type Probe = (classes: Classes) => unknown;

export async function outcome(probe: Probe, classes: Classes): Promise<unknown> {
  try {
    return { value: await probe(classes) };
  } catch (error) {
    return { thrown: error instanceof Error ? error.name : error };
  }
}

/** One test for each row: both implementations give the same value, or throw an error of the same type. */
export function same(subject: string, rows: Readonly<Record<string, Probe>>): void {
  for (const [name, probe] of Object.entries(rows)) {
    test(`${subject}: ${name}`, async () => {
      assert.deepEqual(await outcome(probe, light), await outcome(probe, platform));
    });
  }
}

/** For what the types forbid and JavaScript allows. */
export function untyped<T>(value: unknown): T {
  return value as T;
}
