// Whose fault an error is: what a client has caused, by what it sent or did not send, or by leaving, is none of the handler's and is not reported.

import { AbortError } from '../util/abort-error.js';
import { isInstance, propertyOf } from '../util/inspect.js';
import { HttpError } from './errors.js';
import type { ActiveRequest, Exchange } from './exchange.js';
import { isBodyFailure } from './request-body.js';

/**
 * Whether an error is what a client has caused.
 * @param active the request that it belongs to; undefined if it was thrown before there was one, or if nothing is kept of the request
 * @param left why the client of the request in question counts as gone, if it does
 */
export function isClientError(
  error: unknown,
  exchange: Exchange,
  active: ActiveRequest | undefined,
  left: unknown,
): boolean {
  if (refusalOf(error, exchange, active) !== undefined) return true;
  if (exchange.fault !== undefined && error === exchange.fault) return true;
  // What was given `request.signal` throws its reason, an error of its own with the reason for its cause, or an AbortError.
  if (left === undefined) return false;
  if (error === left) return true;
  return (
    isInstance(error, Error) && (propertyOf(error, 'cause') === left || propertyOf(error, 'name') === 'AbortError')
  );
}

/**
 * The refusal that an error is, or that it names as its cause, if it is about the request in question: a head that cannot be parsed, or
 * its own body. Any other has been made by the handler, or belongs to another request, and is an error of the handler's.
 */
export function refusalOf(
  error: unknown,
  exchange: Exchange,
  active: ActiveRequest | undefined,
): HttpError | undefined {
  if (active === undefined && !exchange.busy) return isInstance(error, HttpError) ? error : undefined;
  const failure = active?.source.body?.failure;
  const isAbout = failure !== undefined && (error === failure || propertyOf(error, 'cause') === failure);
  return isAbout && isInstance(failure, HttpError) ? failure : undefined;
}

/** The most errors that are looked at, each the cause of the one before. */
const maxCauses = 10;

/**
 * Whether a promise has been rejected because a client has left, or has sent a body that cannot be read, or because the server's deadline
 * for closing has passed: with that error, or with one that has it for its cause.
 */
export function isClientsRejection(reason: unknown): boolean {
  let error = reason;
  for (let i = 0; i < maxCauses && error !== undefined; i++) {
    if (isInstance(error, AbortError) || isBodyFailure(error)) return true;
    error = propertyOf(error, 'cause');
  }
  return false;
}
