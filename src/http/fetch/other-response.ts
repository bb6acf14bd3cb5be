// Responses of other implementations: the platform's, npm's undici and node-fetch, ponyfills such as those of GraphQL Yoga, those of another realm. The sender
// uses only their public interface.

import { propertyOf } from '../../util/inspect.js';
import { PlatformResponse } from './platform.js';
import { isLightResponse } from './response.js';
import { fromIterable, mapped } from './streams.js';

/** The members of a response of another implementation that the sender reads. */
export interface OtherResponse {
  readonly status: number;
  readonly statusText: string;
  readonly headers: Iterable<readonly [name: unknown, value: unknown]>;
  readonly body: unknown;
  readonly bodyUsed: boolean;
  readonly type: unknown;
  readonly url: unknown;
}

/** True for an object with the tag or the members of a Response, and a body that is null or can be read; false for the light class. Never throws. */
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

/** Names and values as the response has them, with a separate value for each cookie: iterating over headers of node-fetch joins them. */
export function* fieldsOfOther(response: OtherResponse): Iterable<readonly [name: unknown, value: unknown]> {
  const { headers } = response;
  const cookies = response instanceof PlatformResponse ? undefined : cookiesOf(headers);
  for (const [name, value] of headers) {
    if (cookies === undefined || typeof name !== 'string' || name.toLowerCase() !== 'set-cookie') yield [name, value];
  }
  for (const cookie of cookies ?? []) yield ['set-cookie', cookie];
}

/** The values of Set-Cookie; undefined if the headers have no method for them. */
function cookiesOf(headers: object): Iterable<unknown> | undefined {
  const get = propertyOf(headers, 'getSetCookie');
  if (typeof get === 'function') return Reflect.apply(get, headers, []);
  const raw = propertyOf(headers, 'raw');
  return typeof raw === 'function' ? Reflect.apply(raw, headers, [])['set-cookie'] : undefined;
}
