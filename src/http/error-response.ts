// What a client gets when its request cannot be answered as the handler meant: because of what it sent, because something was
// thrown, or because the thread is being unwound. Called by the serving loop, once for a connection, at its end.

import { AbortError } from '../util/abort-error.js';
import { isInstance, propertyOf } from '../util/inspect.js';
import { HttpConnectionFlag } from './connection-flags.js';
import { HttpError, reasonPhrases } from './errors.js';
import type { HttpConnection, RequestRef } from './http-connection.js';
import { isBodyFailure } from './incoming-body.js';
import type { Output } from './respond.js';
import type { HttpSettings } from './settings.js';

/** In how many seconds a client that gets 503 may try again. */
const retryAfter = 10;

/** Something was thrown: by the request's bytes, by the handler, or by the connection. The connection is closed afterwards. */
export function sendErrorFor(connection: HttpConnection, settings: HttpSettings, error: unknown): void {
  const { fault } = connection;
  const { requestRef } = connection;
  const refusal = refusalOf(error, connection, requestRef);
  const clients = refusal !== undefined || isClientError(error, connection, requestRef, connection.left);
  if (refusal !== undefined) settings.refused(refusal, connection);
  else if (!clients) settings.report(error, connection.request, connection);
  if (connection.closed || connection.hasFlag(HttpConnectionFlag.wholeSent)) return;
  if (
    connection.hasFlag(HttpConnectionFlag.headSent) ||
    (fault !== undefined && error === fault && fault.code === 'ERR_WRITE_TIMEOUT')
  ) {
    connection.reset(); // a response that was cut short must not look complete, and who takes nothing does not get more
  } else if (refusal !== undefined) {
    sendStatusTo(connection, settings, refusal.status, refusal.isHead);
  } else if (!clients) {
    sendStatusTo(connection, settings, 500);
  } else if (error === fault) {
    sendStatusTo(connection, settings, 408); // an open connection's fault is that it was too slow
  }
}

/**
 * Whether an error is what a client has caused, by what it sent or did not send, or by leaving: none of the handler's.
 * @param asked the request that it belongs to; undefined if it was thrown before there was one, or if nothing is kept of the request
 * @param left why the client of the request in question counts as gone, if it does
 */
export function isClientError(
  error: unknown,
  connection: HttpConnection,
  asked: RequestRef | undefined,
  left: unknown,
): boolean {
  if (refusalOf(error, connection, asked) !== undefined) return true;
  if (connection.fault !== undefined && error === connection.fault) return true;
  // Whoever was given `request.signal` throws its reason, an error of its own with the reason for its cause, or an AbortError.
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
function refusalOf(error: unknown, connection: HttpConnection, asked: RequestRef | undefined): HttpError | undefined {
  if (asked === undefined && !connection.busy) return isInstance(error, HttpError) ? error : undefined;
  const failure = asked?.exchange.body?.failure;
  const isAbout = failure !== undefined && (error === failure || propertyOf(error, 'cause') === failure);
  return isAbout && isInstance(failure, HttpError) ? failure : undefined;
}

/** The most errors that are looked at, each the cause of the one before. */
const longestChain = 10;

/**
 * Whether a promise has been rejected because a client has left, or has sent a body that cannot be read, or because the server's deadline
 * for closing has passed: with that error, or with one that has it for its cause.
 */
export function isClientsRejection(reason: unknown): boolean {
  let error = reason;
  for (let i = 0; i < longestChain && error !== undefined; i++) {
    if (isInstance(error, AbortError) || isBodyFailure(error)) return true;
    error = propertyOf(error, 'cause');
  }
  return false;
}

/** The thread is being unwound before its response was complete, and the client may still be there. */
export function sendForCancelled(connection: HttpConnection, settings: HttpSettings): void {
  if (connection.closed || connection.hasFlag(HttpConnectionFlag.wholeSent)) return;
  const left = connection.left !== undefined;
  if (!connection.hasFlag(HttpConnectionFlag.headSent)) {
    if (!left) sendStatusTo(connection, settings, settings.forceClosing ? 503 : 500);
  } else if (connection.hasFlag(HttpConnectionFlag.untilClose) || !(left || settings.forceClosing)) {
    // As for an error. Where the framing shows that the rest is missing, who has left or has had its time gets a FIN.
    connection.reset();
  }
}

function sendStatusTo(connection: HttpConnection, settings: HttpSettings, status: number, isHead = false): void {
  if (!connection.finished) sendStatus(connection, settings, status, isHead || connection.exchange?.method === 'HEAD');
}

/**
 * The whole of a refusal: a status, its phrase as the body, and the end of the connection. It never parks: it is little, and the last.
 * @param wanted a status that has a phrase; 500 is sent in place of any other value, which an application may have put into a refusal
 */
export function sendStatus(to: Output, settings: HttpSettings, wanted: unknown, isHead: boolean): void {
  const status = typeof wanted === 'number' && wanted >= 400 && Object.hasOwn(reasonPhrases, wanted) ? wanted : 500;
  const phrase = reasonPhrases[status];
  // RFC 9110 §10.2.3. What a server lacks, it lacks for some seconds.
  const later = status === 503 ? `retry-after: ${retryAfter}\r\n` : '';
  const head = `HTTP/1.1 ${status} ${phrase}\r\ncontent-type: text/plain\r\ncontent-length: ${phrase.length}\r\ndate: ${settings.date()}\r\n${later}connection: close\r\n\r\n`;
  const text = isHead ? head : head + phrase;
  const at = to.reserve(text.length);
  to.commit(at + to.output.latin1Write(text, at, text.length));
}
