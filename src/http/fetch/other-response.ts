// Responses of other implementations: the platform's, npm's undici and node-fetch, ponyfills such as those of GraphQL Yoga, those of another realm. The sender
// uses only their public interface.

import { propertyOf } from '../../util/inspect.js';
import { PlatformResponse } from './platform.js';
import { isLightResponse } from './response.js';
import { fromIterable, mapped } from './streams.js';

/** What is read of a response of another implementation. */
export interface OtherResponse {
  readonly status: number;
  readonly statusText: string;
  readonly headers: Iterable<readonly [name: unknown, value: unknown]>;
  readonly body: unknown;
  readonly bodyUsed: boolean;
  readonly type: unknown;
  readonly url: unknown;
}

/** True for what says that it is a Response or has its members, with a body that is null or can be read; false for the light class. Never throws. */
export function isOtherResponse(value: unknown): value is OtherResponse {
  if (isLightResponse(value)) return false;
  const body = propertyOf(value, 'body');
  if (body !== null && !isReadable(body)) return false;
  if (propertyOf(value, Symbol.toStringTag) === 'Response') return true;
  const headers = propertyOf(value, 'headers');
  const isHeaders = [Symbol.iterator, 'get'].every((member) => typeof propertyOf(headers, member) === 'function');
  return isHeaders && typeof propertyOf(value, 'status') === 'number';
}

/** A stream of the platform or of another implementation, or one of Node's. */
function isReadable(body: unknown): boolean {
  return (
    typeof propertyOf(body, 'getReader') === 'function' || typeof propertyOf(body, Symbol.asyncIterator) === 'function'
  );
}

/** The body as a stream of the platform. */
export function streamOf({ body }: OtherResponse): ReadableStream<Uint8Array> | null {
  if (body === null) return null;
  if (body instanceof ReadableStream) return body as ReadableStream<Uint8Array>; // checked where it is sent
  if (typeof propertyOf(body, 'getReader') === 'function')
    return mapped(body as ReadableStream<Uint8Array>, (chunk) => chunk);
  return fromIterable(body as AsyncIterable<Uint8Array>);
}

/** Names and values as the response gives them, with each cookie by itself: node-fetch joins them when it is iterated. */
export function* fieldsOfOther(response: OtherResponse): Iterable<readonly [name: unknown, value: unknown]> {
  const { headers } = response;
  const cookies = response instanceof PlatformResponse ? undefined : cookiesOf(headers);
  for (const [name, value] of headers) {
    if (cookies === undefined || typeof name !== 'string' || name.toLowerCase() !== 'set-cookie') yield [name, value];
  }
  for (const cookie of cookies ?? []) yield ['set-cookie', cookie];
}

/** Undefined if the headers have no method that tells. */
function cookiesOf(headers: object): Iterable<unknown> | undefined {
  const get = propertyOf(headers, 'getSetCookie');
  if (typeof get === 'function') return Reflect.apply(get, headers, []);
  const raw = propertyOf(headers, 'raw');
  return typeof raw === 'function' ? Reflect.apply(raw, headers, [])['set-cookie'] : undefined;
}
