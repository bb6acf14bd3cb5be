// Converts what a handler has returned, a light Response, the platform's or one of another implementation, to one form for sending.

import { propertyOf, show } from '../util/inspect.js';
import type { Content } from './fetch/body.js';
import { getField } from './fetch/headers.js';
import { fieldsOfOther, isOtherResponse, type OtherResponse, streamOf } from './fetch/other-response.js';
import { isLightResponse, knownLength, type Response, responseFields, takeContent } from './fetch/response.js';
import type { OpenStream } from './open-stream.js';

/** A response to be sent. */
export interface OutgoingResponse {
  status: number;
  statusText: string;
  /** Lowercased names, each followed by its value. */
  fields: readonly string[];
  content: Content | OpenStream;
  /** The length of the content in bytes, if known before it is read. */
  length: number | undefined;
  /** The content is a stream that may have been made from a text. Chunks that are available at once are read before the head, for the length. */
  readsAhead: boolean;
}

/** Passed to `onError` for a response that cannot be sent. The message says what was found and what was expected. */
export class ResponseError extends Error {
  override readonly name = 'ResponseError';
  /** Always `ERR_RESPONSE`. */
  readonly code = 'ERR_RESPONSE';
}

/**
 * Converts what a handler has returned.
 * @param by the name of the option that the handler is, for messages
 * @throws {ResponseError | TypeError} if it is no Response, or its body is used already
 */
export function outgoing(response: unknown, by = 'fetch'): OutgoingResponse {
  if (isLightResponse(response)) return fromLight(response, by);
  if (isOtherResponse(response)) return fromOther(response, by);
  throw new ResponseError(
    `${by} returned ${show(response)}; expected a Response, a promise of one, or a task that returns one`,
  );
}

function fromLight(response: Response, by: string): OutgoingResponse {
  if (response.type === 'error') throw new ResponseError(`${by} returned Response.error(), which cannot be sent`);
  const length = knownLength(response);
  return {
    status: response.status,
    statusText: response.statusText,
    fields: responseFields(response),
    content: takeContent(response),
    length,
    readsAhead: false,
  };
}

function fromOther(response: OtherResponse, by: string): OutgoingResponse {
  if (response.type === 'error') throw new ResponseError(`${by} returned Response.error(), which cannot be sent`);
  const { status, statusText, url, body } = response;
  if (response.bodyUsed || propertyOf(body, 'locked') === true)
    throw new TypeError(`${by} returned a Response whose body is already used`);
  const fields: string[] = [];
  // `fetch` decodes compressed content, but leaves the fields of the encoded form in the response.
  const isFetched = typeof url === 'string' && url !== '' && body !== null;
  let isDecoded = false;
  for (const [given, value] of fieldsOfOther(response)) {
    if (fields.length >= 2 * maxFields) throw new ResponseError(`the response has more than ${maxFields} fields`);
    // Another implementation may return any names and values; `makeHead` checks them.
    const name = typeof given === 'string' ? given.toLowerCase() : given;
    if (isFetched && name === 'content-encoding') isDecoded = true;
    else fields.push(name as string, value as string);
  }
  if (isDecoded) {
    for (let i = fields.length - 2; i >= 0; i -= 2) if (fields[i] === 'content-length') fields.splice(i, 2);
  }
  return { status, statusText, fields, content: streamOf(response), length: undefined, readsAhead: true };
}

/** The most fields of a response of another implementation, whose iterator may have no end. */
const maxFields = 10_000;

/** Statuses of responses without a body (RFC 9110 §6.4.1). 205 is sent with an empty body (§15.3.6). */
export function isBodiless(status: number): boolean {
  return status === 204 || status === 304 || status === 205;
}

/** The handler's content-length; several values are joined, and are then malformed. */
export function lengthField({ fields }: OutgoingResponse): string | undefined {
  return getField(fields, 'content-length') ?? undefined;
}

/** @throws {ResponseError} if the handler's content-length is malformed, or not that of the content */
export function declaredLength(out: OutgoingResponse, length: number | undefined): number {
  const declared = lengthField(out);
  if (declared === undefined) return length ?? 0;
  if (!/^[0-9]{1,15}$/.test(declared))
    throw new ResponseError(`content-length is ${show(declared)}; expected one number of at most 15 digits`);
  if (length !== undefined && length !== Number(declared)) {
    throw new ResponseError(`content-length is ${declared}, and the body has ${length} bytes`);
  }
  return Number(declared);
}
