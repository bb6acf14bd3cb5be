// Distinguishes errors of clients from errors of handlers. Errors that a client causes, by what it sends or by disconnecting, are not reported to
// `onError`.

import { AbortError } from '../util/abort-error.js';
import { isInstance, propertyOf } from '../util/inspect.js';
import { HttpError } from './errors.js';
import type { ActiveRequest, Exchange } from './exchange.js';
import { isBodyFailure } from './request-body.js';

/**
 * Whether a client has caused an error.
 * @param active the request that it belongs to; undefined if there was none yet, or if it has been released
 * @param left the reason if the client has disconnected
 */
export function isClientError(
  error: unknown,
  exchange: Exchange,
  active: ActiveRequest | undefined,
  left: unknown,
): boolean {
  if (refusalOf(error, exchange, active) !== undefined) return true;
  if (exchange.fault !== undefined && error === exchange.fault) return true;
  // Functions that take `request.signal` throw its reason, an error with the reason as its cause, or an AbortError.
  if (left === undefined) return false;
  if (error === left) return true;
  return (
    isInstance(error, Error) && (propertyOf(error, 'cause') === left || propertyOf(error, 'name') === 'AbortError')
  );
}

/**
 * The HttpError of an error or of its cause, if this request has caused it: its head cannot be parsed, or its body cannot be read. Any other HttpError was
 * created by the handler or belongs to another request, and counts as an error of the handler.
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

/** The most errors of a chain of causes that are checked. */
const maxCauses = 10;

/**
 * Whether a promise was rejected because a client has disconnected or has sent a body that cannot be read, or because the server's deadline for closing has
 * passed: with such an error, or with one that has it as its cause.
 */
export function isClientsRejection(reason: unknown): boolean {
  let error = reason;
  for (let i = 0; i < maxCauses && error !== undefined; i++) {
    if (isInstance(error, AbortError) || isBodyFailure(error)) return true;
    error = propertyOf(error, 'cause');
  }
  return false;
}
