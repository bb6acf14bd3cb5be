// Handles requests, for every version of HTTP: calls the handler, waits for its task or promise, sends the response, and handles errors. Only
// this file calls the handlers of requests. `Exchange` is the interface to the version.
//
//   callHandler ─► answerAtOnce ───────────────────────────────────────────► done      most requests: ordinary calls, with no thread
//                    │ not a small, complete response
//                    ▼
//               handleResult ─► the handler's task, or its promise ─► continueHandling
//                    │              (runs instead of the caller)             │
//                    ▼                                                       ▼
//                  the head ─► the body: sent here, or by a task of the user, which runs instead of the caller
//
// `handleResult` and `continueHandling` may return a task that the thread then runs in their place: see `StagedTask`.

import { ServerClosedError } from '../connection/listener.js';
import { captureContext } from '../threads/context.js';
import { ThreadError } from '../threads/errors.js';
import { sleep } from '../threads/sleep.js';
import { isTask, isThenable, type Task, Wait } from '../threads/task.js';
import { until } from '../threads/until.js';
import { isInstance } from '../util/inspect.js';
import { isClientError, refusalOf } from './client-errors.js';
import { publishEnd, publishResponse, publishStart } from './diagnostics.js';
import { type ActiveRequest, type Exchange, Progress, type Responder } from './exchange.js';
import type { PassedRequest, RequestFallback } from './fallback.js';
import { Takeover, ThreadBody } from './fetch/body.js';
import { isLightResponse } from './fetch/response.js';
import { ClientLeftError } from './incoming-request.js';
import { type OutgoingResponse, outgoing } from './outgoing.js';
import { beginBody, sendResponse } from './send-response.js';
import type { HttpSettings } from './settings.js';
import { startBody } from './stream.js';
import { startTakeover } from './take-over.js';
import { discardResponse } from './unsent.js';

/** The reason for unwinding threads that are still running when the request that spawned them ends. */
const answeredReason = new ThreadError('ERR_ANSWERED', 'the request that the thread was spawned for has been answered');

/** Why a response is discarded that comes too late. */
const clientLeft = 'the client has left before the response was there';

/** Calls the handler, and stores what it returns or throws. */
export function callHandler(settings: HttpSettings, active: ActiveRequest): void {
  active.isCalled = true;
  publishStart(active, settings);
  try {
    active.result = settings.fetch(active.request, active.source);
    if (settings.upgrades !== undefined) active.result = upgraded(settings, active, active.result);
  } catch (error) {
    active.failure = { error };
    active.source.isAnswered = true;
  }
}

/** @returns what the handler has returned, or the response of the upgrade in its place if the handler has upgraded the request */
function upgraded(settings: HttpSettings, active: ActiveRequest, result: unknown): unknown {
  if (settings.upgrades === undefined) return result;
  const response = settings.upgrades.responseTo(active.source);
  if (response === undefined) {
    if (isLightResponse(result) || !(isTask(result) || isThenable(result))) active.source.isAnswered = true;
    return result;
  }
  const report = (error: unknown) => settings.report(error, active.request, active.source);
  if (result !== undefined)
    discardResponse(result, 'the request has been upgraded', settings.network.scheduler, report);
  return response;
}

/** The same in a thread, which keeps what the handler enters in its async context. */
export function callHandlerInThread(exchange: Exchange, active: ActiveRequest): void {
  exchange.settings.context.run(callInContext, undefined, exchange, active);
}

function callInContext(exchange: Exchange, active: ActiveRequest): void {
  callHandler(exchange.settings, active);
  if (exchange.thread !== undefined) exchange.thread.context = captureContext();
}

/** Sends the handler's response if it is small and complete. @returns false if it is not, or cannot be sent: then `handleResult` continues */
export function answerAtOnce(settings: HttpSettings, responder: Responder, active: ActiveRequest): boolean {
  if (active.failure !== undefined || !isLightResponse(active.result)) return false;
  try {
    active.out = outgoing(active.result);
    if (!responder.respondAtOnce(active.out)) return false;
  } catch (error) {
    active.result = undefined;
    active.failure = { error };
    return false;
  }
  publishResponse(active, active.out.status);
  publishEnd(active, settings, true);
  return true;
}

/**
 * Handles the result of the handler, up to the end of the response.
 * @returns a task that must run first, in place of the caller
 * @throws what the handler has thrown
 */
export function* handleResult(exchange: Exchange, active: ActiveRequest): Task<Task<unknown> | undefined> {
  const { result, failure } = active;
  // What is still here at the end has not been used: see `endExchange`.
  active.result = undefined;
  active.failure = undefined;
  if (failure !== undefined) throw failure.error;
  return pendingTask(exchange, active, result) ?? (yield* sendAnswer(exchange, active, result));
}

/** Continues after the task that ran in its place. @param result what the task has returned */
export function* continueHandling(exchange: Exchange, result: unknown): Task<Task<unknown> | undefined> {
  const { streaming, active } = exchange;
  if (streaming !== undefined) {
    yield* streaming.end();
    streaming.finish();
    exchange.end();
    return undefined;
  }
  if (active === undefined) return undefined; // the task that has returned was the one that the connection was handed to
  const response = upgraded(exchange.settings, active, result);
  const next = pendingTask(exchange, active, response);
  if (next === undefined) return yield* sendAnswer(exchange, active, response);
  if (exchange.thread?.unwound) yield* sleep(0); // parks once: this thread is unwound here, so that `next` never starts
  return next;
}

/**
 * A handler returns a response, a task, or a promise. A task or a promise may result in any of the three again, for example when async middleware
 * wraps a thread handler.
 * @returns a task that must run first; undefined for any other result
 */
function pendingTask(exchange: Exchange, active: ActiveRequest, result: unknown): Task<unknown> | undefined {
  if (isLightResponse(result)) return undefined; // the common case, without looking for the methods of the other two
  if (isTask(result)) {
    exchange.unwindWhenLeft();
    return result;
  }
  return isThenable(result) ? awaitHandler(exchange, active, result) : undefined;
}

/**
 * Parks until the promise of an async handler, or of an async `error`, is settled. If the thread is unwound before, a response that comes later is discarded.
 */
function* awaitHandler(exchange: Exchange, active: ActiveRequest, response: PromiseLike<unknown>): Task<unknown> {
  let isSettled = false;
  try {
    const settled = yield* until(response);
    isSettled = true;
    return settled;
  } catch (error) {
    isSettled = true;
    throw error;
  } finally {
    if (!isSettled) discardResponse(response, clientLeft, exchange.scheduler, reporterOf(exchange, active));
  }
}

/** Reports errors to `onError`, except those that the client has caused. */
function reporterOf(exchange: Exchange, active: ActiveRequest): (error: unknown) => void {
  return (error) => {
    if (!isClientError(error, exchange, active, active.source.aborted))
      exchange.settings.report(error, active.request, exchange);
  };
}

/** Whether the option `error` may answer in place of a handler that has failed: nothing has been sent, and the client has not caused the error. */
export function mayAnswerError(exchange: Exchange, error: unknown): boolean {
  const { settings, active, thread } = exchange;
  if (settings.answerError === undefined || active === undefined || !exchange.busy) return false;
  if (exchange.closed || exchange.progress !== Progress.none || thread?.unwound) return false;
  return !isClientError(error, exchange, active, exchange.leftReason);
}

/**
 * Calls the option `error`, and sends the response that it returns.
 * @returns as `handleResult`
 * @throws what `error` throws, and a ResponseError if it does not return a response
 */
export function* answerError(exchange: Exchange, error: unknown): Task<Task<unknown> | undefined> {
  const { settings, active } = exchange;
  if (active === undefined || settings.answerError === undefined) throw error;
  let isAnswered = false;
  try {
    let result = settings.answerError(error);
    while (isTask(result) || isThenable(result)) {
      if (isLightResponse(result)) break;
      result = yield* isTask(result) ? result : awaitHandler(exchange, active, result);
    }
    active.out = outgoing(result, 'error');
    isAnswered = true;
  } finally {
    if (isAnswered) settings.reportAnswered(error, active.request, exchange);
    else settings.report(error, active.request, exchange);
  }
  return yield* sendAnswer(exchange, active, undefined);
}

/** Sends a response. @param response is converted unless `active.out` is set @returns the task that must write the body, if there is one; the head has been sent by then */
function* sendAnswer(exchange: Exchange, active: ActiveRequest, response: unknown): Task<Task<unknown> | undefined> {
  if (active.out === undefined) {
    if (active.source.body?.mayBeRead) {
      // A reader such as `for await` makes its first read a moment later: see `RequestBody.mayBeRead`.
      active.result = response; // see `endExchange`
      yield* sleep(0);
      active.result = undefined;
    }
    const { fallback } = exchange.settings;
    if (response === undefined && fallback !== undefined) return passOn(exchange, active, fallback);
    active.out = outgoing(response);
  }
  const { out } = active;
  const { content } = out;
  if (content instanceof Takeover) return yield* takeOver(exchange, active, out, content);
  const isStreamed = typeof content === 'object' && content !== null && !(content instanceof Uint8Array);
  exchange.prepare(isStreamed);
  if (exchange.respondAtOnce(out)) {
    publishResponse(active, out.status);
    return undefined;
  }
  if (isStreamed) exchange.unwindWhenLeft();
  const report = reporterOf(exchange, active);
  if (!(content instanceof ThreadBody)) {
    yield* sendResponse(exchange, out, report);
    exchange.end();
    return undefined;
  }
  const to = yield* beginBody(exchange, out, report);
  if (to === undefined) return undefined;
  exchange.streaming = to;
  if (exchange.thread !== undefined) exchange.thread.context = content.context;
  yield Wait.context;
  const task = startBody(content.start, to);
  exchange.releaseRequest(); // the task may run for a long time
  if (exchange.settings.closing) endForClose(exchange);
  return task;
}

/** Passes the request on, since `fetch` has returned nothing. @returns a task that hands it over, in place of the caller */
function passOn(exchange: Exchange, active: ActiveRequest, fallback: RequestFallback): Task<void> {
  const passed = exchange.passOn();
  publishEnd(active, exchange.settings, true);
  return handOver(fallback, passed);
}

function* handOver(fallback: RequestFallback, passed: PassedRequest): Task<void> {
  fallback.take(passed);
}

/** Hands the connection over. @returns the task of the other protocol, which runs in place of the caller */
function* takeOver(
  exchange: Exchange,
  active: ActiveRequest,
  out: OutgoingResponse,
  { start, context }: Takeover,
): Task<Task<unknown>> {
  const connection = yield* exchange.takeOver(out);
  publishResponse(active, out.status);
  publishEnd(active, exchange.settings, true);
  if (exchange.thread !== undefined) exchange.thread.context = context;
  yield Wait.context;
  return startTakeover(start, connection);
}

/**
 * After the response: waits for a handler that is still reading the request body, and unwinds threads that the request has spawned.
 * @param ahead see `RequestBody.finishReading`
 */
export function* finishHandling(exchange: Exchange, ahead: number): Task<void> {
  const { thread, active } = exchange;
  publishEnd(active, exchange.settings, true);
  const body = active?.source.body ?? null; // if the request has been released, its body has been read
  if (body?.used && !body.complete) yield* body.finishReading(ahead);
  if (thread !== undefined && thread.children.size > 0)
    yield* thread.closeChildren(exchange.leftReason ?? answeredReason);
}

/**
 * The exchange's thread ends: sends the status for an error or for unwinding, if it still can, and makes sure that the exchange has ended.
 * @param failure what was thrown, if anything
 */
export function endExchange(exchange: Exchange, failure?: { error: unknown }): void {
  const { settings, thread } = exchange;
  try {
    if (failure === undefined && thread?.unwound) endInGoodOrder(exchange, thread.reason);
    exchange.streaming?.finish();
    if (failure !== undefined) answerFailure(exchange, failure.error);
    else if (thread?.unwound && exchange.busy) answerUnwound(exchange);
    const { active } = exchange;
    if (active !== undefined) {
      // There is still a result if the handler has unwound its own thread before it returned or threw.
      const report = (error: unknown) => settings.report(error, active.request, exchange);
      if (active.failure !== undefined) report(active.failure.error);
      else if (active.result !== undefined) discardResponse(active.result, clientLeft, exchange.scheduler, report);
    }
    publishEnd(active, settings, exchange.progress === Progress.whole);
    if (exchange.busy) exchange.abort(thread?.reason ?? new ClientLeftError('the connection has ended'));
  } catch (error) {
    // Nothing above should throw. If something does, reset the exchange, because nothing else would end it.
    settings.report(error, undefined, exchange);
    exchange.reset();
  }
}

/** The server closes: a response whose body may end at any point ends. */
export function endForClose({ streaming, thread }: Exchange): void {
  if (streaming?.endable?.endsOnClose) thread?.unwind(new ServerClosedError('the server is closing'));
}

/** Ends a body that may end at any point, if it was unwound because the server closes. */
function endInGoodOrder(exchange: Exchange, reason: unknown): void {
  const { streaming } = exchange;
  if (streaming?.endable === undefined || !isInstance(reason, ServerClosedError)) return;
  if (exchange.closed || exchange.leftReason !== undefined || exchange.progress !== Progress.head) return;
  streaming.endable.beforeEnd();
  streaming.endNow();
  exchange.end();
}

/** Handles an error: from parsing, from the handler, or from sending. */
function answerFailure(exchange: Exchange, error: unknown): void {
  const { settings, fault, active } = exchange;
  const refusal = refusalOf(error, exchange, active);
  const isClients = refusal !== undefined || isClientError(error, exchange, active, exchange.leftReason);
  if (refusal !== undefined) settings.reportRefusal(refusal, exchange);
  else if (!isClients) settings.report(error, exchange.request, exchange);
  if (exchange.closed || exchange.progress === Progress.whole) return;
  const isSlow = fault !== undefined && error === fault && fault.code === 'ERR_WRITE_TIMEOUT';
  if (exchange.progress === Progress.head || isSlow) {
    exchange.reset(); // an incomplete response must not look complete, and a client that does not read gets nothing more
  } else if (refusal !== undefined) {
    sendStatus(exchange, refusal.status, refusal.isHead);
  } else if (!isClients) {
    sendStatus(exchange, 500);
  } else if (error === fault) {
    sendStatus(exchange, 408); // an error of reading, of a client that is still connected: it was too slow
  }
}

/** The thread is unwound before the response is complete. The client may still be connected. */
function answerUnwound(exchange: Exchange): void {
  if (exchange.closed || exchange.progress === Progress.whole) return;
  const { forceClosing } = exchange.settings;
  const hasLeft = exchange.leftReason !== undefined;
  if (exchange.progress === Progress.none) {
    if (!hasLeft) sendStatus(exchange, forceClosing ? 503 : 500);
  } else if (exchange.endsWithConnection || !(hasLeft || forceClosing)) {
    // The client must see that the response is incomplete. If the framing shows that, a client that has left, or a closing server, gets FIN instead of RST.
    exchange.reset();
  }
}

function sendStatus(exchange: Exchange, status: number, isHead = false): void {
  const { active } = exchange;
  const sent = exchange.sendStatus(status, isHead || exchange.method === 'HEAD');
  if (sent === undefined) return;
  publishResponse(active, sent);
  publishEnd(active, exchange.settings, true);
}
