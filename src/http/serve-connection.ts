// An HTTP/1.1 connection at work: from a request that needs a thread to the moment that it has nothing to do, read top to bottom.
// Requests that need none are over before they come here: see fast-path.ts. (RFC 9112; the sections are named in the files that
// each step calls.)

import { SlotState } from '../connection/network.js';
import { requestWork } from '../connection/turn-shares.js';
import { captureContext } from '../threads/context.js';
import { ThreadError } from '../threads/errors.js';
import { sleep } from '../threads/sleep.js';
import { isTask, isThenable, type Task, Wait } from '../threads/task.js';
import { until } from '../threads/until.js';
import { HttpConnectionFlag } from './connection-flags.js';
import { ConnectionThread } from './connection-thread.js';
import { isClientError, sendErrorFor, sendForCancelled } from './error-response.js';
import { HttpError } from './errors.js';
import { ClientLeftError, Exchange } from './exchange.js';
import { ThreadBody } from './fetch/body.js';
import { requestFrom } from './fetch/request.js';
import { isLightResponse, Response } from './fetch/response.js';
import { Head } from './head.js';
import type { HttpConnection, RequestRef } from './http-connection.js';
import { RequestBody } from './incoming-body.js';
import { beginBody, discardResponse, outgoing, respond, respondAtOnce } from './respond.js';
import { type Framing, type OutgoingResponse, responseFraming } from './response-head.js';
import type { HttpSettings } from './settings.js';
import { startBody } from './stream.js';

/** A request body that its handler has not read is read to its end if no more than this is left; else the connection is closed. */
const discardedBytes = 64 * 1024;
/** The reason that threads are unwound with which outlive the request that spawned them. */
const answeredReason = new ThreadError('ERR_ANSWERED', 'the request that the thread was spawned for has been answered');

/** A request whose handler has been called. */
export interface ActiveRequest extends RequestRef {
  readonly framing: Framing;
  readonly body: RequestBody | null;
  /** What the handler has returned, or thrown. */
  result: unknown;
  failed: boolean;
  /** What has been made of the result, if it has been looked at. */
  out: OutgoingResponse | undefined;
}

/** A task that is to run in the place of the loop, which goes on from `continueConnection` with what it returns. */
export type Continuation = Task<unknown>;

/**
 * Answers requests for as long as there is a whole head of the next one, or until the connection is to be closed. Heads of which
 * only the beginning has come go back to the intake.
 * @param first the first request, if its handler has been called already
 * @returns what is to run in its place; undefined if the connection has nothing to do any more
 */
export function* serveConnection(
  connection: HttpConnection,
  settings: HttpSettings,
  first: ActiveRequest | undefined,
): Task<Continuation | undefined> {
  for (let begun = first; ; begun = undefined) {
    // The next request has come; but if this client has had its share of the turn, the others go first.
    if (begun === undefined && connection.network.shares.isSpent(connection.slot, settings.turnWork)) yield* sleep(0);
    if (begun === undefined) {
      begun = beginNext(connection, settings);
      if (begun === undefined) {
        connection.setFlag(HttpConnectionFlag.keepOpen, !connection.reader.finished); // else the client has ended between two requests
        return undefined;
      }
      yield Wait.context;
    }
    const { result } = begun;
    begun.result = undefined; // what is left of it at the end has not been looked at: see `conclude`
    if (begun.failed) throw result;
    const unfinished = unfinishedResult(connection, settings, begun, result);
    if (unfinished !== undefined) return unfinished;
    const body = yield* answer(connection, settings, begun, result);
    if (body !== undefined) return body;
    if (!(yield* finishRequest(connection, settings))) return undefined;
  }
}

/** The loop goes on: what has run in its place has returned. @param result what that was */
export function* continueConnection(
  connection: HttpConnection,
  settings: HttpSettings,
  result: unknown,
): Task<Continuation | undefined> {
  const { streaming } = connection;
  if (streaming === undefined) {
    const begun = connection.requestRef as ActiveRequest; // all of it, until the body of its response is streamed
    const unfinished = unfinishedResult(connection, settings, begun, result);
    if (unfinished !== undefined) {
      if (connection.thread?.unwound) yield* sleep(0); // it is not started if the client has left
      return unfinished;
    }
    const body = yield* answer(connection, settings, begun, result);
    if (body !== undefined) return body;
  } else {
    yield* streaming.end();
    streaming.finish();
    connection.setFlag(HttpConnectionFlag.wholeSent);
  }
  if (!(yield* finishRequest(connection, settings))) return undefined;
  return yield* serveConnection(connection, settings, undefined);
}

/**
 * What a handler returns is a response, a task, or a promise, and each of the last two may result in another one of the three: middleware
 * that is an async function wraps handlers that are threads.
 * @returns what is to run in the place of the loop, which goes on with what it results in; undefined if the result is none of these
 */
function unfinishedResult(
  connection: HttpConnection,
  settings: HttpSettings,
  begun: ActiveRequest,
  result: unknown,
): Continuation | undefined {
  if (isLightResponse(result)) return undefined; // the common case, without looking for the methods of the other two
  if (isTask(result)) {
    connection.unwindWhenLeft();
    return result;
  }
  return isThenable(result) ? promised(connection, settings, begun, result) : undefined;
}

/** Parks until the promise of an async handler is settled. What comes too late is seen to. */
function* promised(
  connection: HttpConnection,
  settings: HttpSettings,
  begun: ActiveRequest,
  response: PromiseLike<unknown>,
): Task<unknown> {
  let isSettled = false;
  try {
    const settled = yield* until(response);
    isSettled = true;
    return settled;
  } catch (error) {
    isSettled = true;
    throw error;
  } finally {
    if (!isSettled) {
      discardResponse(response, connection.network.scheduler, (error) => {
        if (!isClientError(error, connection, begun, begun.exchange.aborted))
          settings.report(error, begun.request, connection);
      });
    }
  }
}

/** Sends a response. @returns the task that writes its body, if one is to: its head has been sent by then */
function* answer(
  connection: HttpConnection,
  settings: HttpSettings,
  begun: ActiveRequest,
  response: unknown,
): Task<Continuation | undefined> {
  const { network, slot } = connection;
  const { exchange, framing, body, request } = begun;
  if (body?.mayBeRead) {
    begun.result = response; // see `conclude`
    yield* sleep(0);
    begun.result = undefined;
  }
  const out = begun.out ?? outgoing(response);
  const { content } = out;
  const streamed = typeof content === 'object' && content !== null && !(content instanceof Uint8Array);
  if (body !== null) {
    // Behind the response's head it would be too late to invite the body; and its stream may be what the response is made of.
    if (body.used || streamed) body.invite();
    if (body.awaited || (!streamed && body.undiscardable(discardedBytes))) framing.keepAlive = false;
  }
  if (settings.closing) framing.keepAlive = false;
  network.setState(slot, SlotState.writing);
  if (!respondAtOnce(connection, out, framing, settings.date())) {
    if (streamed) connection.unwindWhenLeft();
    const report = (error: unknown) => {
      if (!isClientError(error, connection, begun, exchange.aborted)) settings.report(error, request, connection);
    };
    if (content instanceof ThreadBody) {
      const to = yield* beginBody(connection, out, framing, settings.date(), report);
      if (to !== undefined) {
        connection.setFlag(HttpConnectionFlag.keepAlive, framing.keepAlive);
        connection.streaming = to;
        if (connection.thread !== undefined) connection.thread.context = content.context;
        yield Wait.context;
        const task = startBody(content.start, to);
        // It may be long before anything but the task is needed again.
        if (body === null || body.complete) connection.releaseIdleHalves();
        connection.releaseRequest();
        return task;
      }
    } else {
      yield* respond(connection, out, framing, settings.date(), report);
    }
  }
  connection.setFlag(HttpConnectionFlag.headSent | HttpConnectionFlag.wholeSent);
  connection.setFlag(HttpConnectionFlag.keepAlive, framing.keepAlive); // a body that ends with the connection has changed it
  return undefined;
}

/**
 * Sees to what an answered request leaves behind: a body that is still being read for a promise, threads it has spawned, a body
 * unread.
 * @returns whether the next request has come
 */
function* finishRequest(connection: HttpConnection, settings: HttpSettings): Task<boolean> {
  const { requestRef, network, reader, slot, thread } = connection;
  const body = requestRef?.exchange.body ?? null; // where it is not kept, it has been read
  connection.setFlag(HttpConnectionFlag.unwindOnLeave, false); // the client has its response
  if (body?.used && !body.complete) {
    network.setState(slot, SlotState.reading);
    yield* body.finishReading(discardedBytes);
  }
  if (thread !== undefined && thread.children.size > 0) yield* thread.closeChildren(connection.left ?? answeredReason);
  connection.endExchange();
  // A thread that is to be unwound, and has not parked since, must not begin what it would be unwound in.
  if (!connection.hasFlag(HttpConnectionFlag.keepAlive) || thread?.unwound) return false;
  if (body !== null && !body.complete && (body.awaited || !(yield* body.discard(discardedBytes)))) return false;

  if (reader.buffered === 0 && !reader.finished) {
    connection.setFlag(HttpConnectionFlag.keepOpen, !settings.closing);
    return false;
  }
  return true;
}

/**
 * The connection's thread is done with it: the client is told what there is to tell, and the connection rests or ends.
 * @param failure what was thrown, if something was
 */
export function conclude(connection: HttpConnection, settings: HttpSettings, failure?: { error: unknown }): void {
  const { network, slot, thread } = connection;
  connection.streaming?.finish();
  try {
    if (failure !== undefined) sendErrorFor(connection, settings, failure.error);
    else if (thread?.unwound && connection.busy) sendForCancelled(connection, settings);
    const { requestRef } = connection;
    if (requestRef !== undefined && 'result' in requestRef && requestRef.result !== undefined) {
      // The handler has unwound its own thread before it returned or threw.
      const { failed, result, request } = requestRef as ActiveRequest;
      const report = (error: unknown) => settings.report(error, request, connection);
      if (failed) report(result);
      else discardResponse(result, network.scheduler, report);
    }
    if (connection.busy) connection.abort(thread?.reason ?? new ClientLeftError('the connection has ended'));
  } catch (error) {
    // Nothing in there should throw. If something does, the connection must not stay: nothing else would ever end it.
    settings.report(error, undefined, connection);
    connection.reset();
  }
  if (thread instanceof ConnectionThread) thread.requestEnds();
  connection.endExchange();
  if (connection.hasFlag(HttpConnectionFlag.keepOpen)) settings.returnToIdle(connection);
  else if (!connection.closed) settings.endConnection(slot);
}

/**
 * Takes the next request from what has come, and calls its handler: an ordinary call, with the head read where it stands.
 * @returns undefined if there is no whole head
 * @throws {HttpError}
 */
function beginNext(connection: HttpConnection, settings: HttpSettings): ActiveRequest | undefined {
  const { network, slot, reader } = connection;
  network.setState(slot, SlotState.reading);
  connection.setFlag(HttpConnectionFlag.headSent | HttpConnectionFlag.wholeSent | HttpConnectionFlag.untilClose, false);
  const head = new Head();
  if (!head.parse(reader.bytes, reader.start, reader.limit, settings)) {
    if (reader.finished && head.begun)
      throw new HttpError(400, 'RFC 9112 §8: the input ends within a request head', head.isHead);
    return undefined;
  }
  network.setState(slot, SlotState.handling);
  const body = head.chunked || head.contentLength >= 0 ? new RequestBody(connection, head, settings) : null;
  const exchange = new Exchange(connection, head, reader.bytes, reader.start, body, settings.defaultHost);
  exchange.detachText();
  const request = requestFrom(exchange);
  const framing = { isHead: false, chunked: false, keepAlive: false, sendKeepAlive: false };
  const begun: ActiveRequest = { exchange, request, framing, body, result: undefined, failed: false, out: undefined };
  connection.startRequest(begun);
  body?.checkLength();
  responseFraming(head, settings.countRequest(slot) || settings.closing, framing);
  network.shares.spend(slot, requestWork);
  if (reader.finished) connection.clientEnded();
  try {
    // RFC 9110 §9.3.7: asked of the server as a whole, to see whether it is there. No URL says that, so it is none of the handler's.
    begun.result = head.asterisk
      ? new Response(null, { status: 204 })
      : settings.context.run(callHandler, undefined, connection, settings, request, exchange);
  } catch (error) {
    begun.failed = true;
    begun.result = error;
  }
  reader.consume(head.length);
  return begun;
}

/** @returns what the handler returns. The thread is left the async context that the handler has left */
function callHandler(
  connection: HttpConnection,
  settings: HttpSettings,
  request: Request,
  exchange: Exchange,
): unknown {
  try {
    return settings.fetch(request, exchange);
  } finally {
    if (connection.thread !== undefined) connection.thread.context = captureContext();
  }
}
