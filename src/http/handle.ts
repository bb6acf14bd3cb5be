// From a request to its answer: the one place that calls a handler, tells what it returns apart (a response, a promise, a task), has the response
// sent, and sees to what fails. It is the same for every version of HTTP: see `Exchange`.
//
//   callHandler ─► answerAtOnce ───────────────────────────────────────────► done      most requests: ordinary calls, with no thread
//                    │ not a small, complete response
//                    ▼
//                  handle ─► the handler's task, or its promise ─► continueHandling
//                    │          (runs in the place of the caller)        │
//                    ▼                                                   ▼
//                  the head ─► the body: sent here, or by a task of the user's, which runs in the place of the caller
//
// `handle` and `continueHandling` return what is to run in their place, if something is: see `StagedTask`.

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
import { Takeover, ThreadBody } from './fetch/body.js';
import { isLightResponse } from './fetch/response.js';
import { ClientLeftError } from './incoming-request.js';
import { type OutgoingResponse, outgoing } from './outgoing.js';
import { beginBody, sendResponse } from './send-response.js';
import type { HttpSettings } from './settings.js';
import { startBody } from './stream.js';
import { startTakeover } from './take-over.js';
import { discardResponse } from './unsent.js';

/** The reason that threads are unwound with which outlive the request that spawned them. */
const answeredReason = new ThreadError('ERR_ANSWERED', 'the request that the thread was spawned for has been answered');

/** Calls the handler: an ordinary call. Never throws. */
export function callHandler(settings: HttpSettings, active: ActiveRequest): void {
  active.isCalled = true;
  publishStart(active, settings);
  try {
    active.result = settings.fetch(active.request, active.source);
    if (settings.upgrades !== undefined) active.result = settings.upgrades.responseTo(active.source) ?? active.result;
  } catch (error) {
    active.failed = true;
    active.result = error;
  }
}

/** The same in a thread, which is left the async context that the handler has left. */
export function callHandlerInThread(exchange: Exchange, active: ActiveRequest): void {
  exchange.settings.context.run(callInContext, undefined, exchange, active);
}

function callInContext(exchange: Exchange, active: ActiveRequest): void {
  callHandler(exchange.settings, active);
  if (exchange.thread !== undefined) exchange.thread.context = captureContext();
}

/** Sends what the handler has returned, if it is a response that is small and complete. @returns false if it is not, or cannot be sent: `handle` goes on */
export function answerAtOnce(settings: HttpSettings, responder: Responder, active: ActiveRequest): boolean {
  if (active.failed || !isLightResponse(active.result)) return false;
  try {
    active.out = outgoing(active.result);
    if (!responder.respondAtOnce(active.out)) return false;
  } catch (error) {
    active.failed = true;
    active.result = error;
    return false;
  }
  publishResponse(active, active.out.status);
  publishEnd(active, settings, true);
  return true;
}

/** Sees to what the handler has returned or thrown, up to the end of the response. @returns what is to run first, in the place of the caller @throws what the handler has thrown */
export function* handle(exchange: Exchange, active: ActiveRequest): Task<Task<unknown> | undefined> {
  const { result } = active;
  active.result = undefined; // what is left of it at the end has not been looked at: see `conclude`
  if (active.failed) throw result;
  return unfinished(exchange, active, result) ?? (yield* answer(exchange, active, result));
}

/** Goes on: what has run in its place has returned. @param result what that was */
export function* continueHandling(exchange: Exchange, result: unknown): Task<Task<unknown> | undefined> {
  const { streaming, active } = exchange;
  if (streaming !== undefined) {
    yield* streaming.end();
    streaming.finish();
    exchange.end();
    return undefined;
  }
  if (active === undefined) return undefined; // what has returned had taken the connection over
  const response = exchange.settings.upgrades?.responseTo(active.source) ?? result;
  const next = unfinished(exchange, active, response);
  if (next === undefined) return yield* answer(exchange, active, response);
  if (exchange.thread?.unwound) yield* sleep(0); // it is not started if the client has left
  return next;
}

/**
 * What a handler returns is a response, a task, or a promise, and each of the last two may result in another one of the three: middleware
 * that is an async function wraps handlers that are threads.
 * @returns what is to run first; undefined if the result is none of these
 */
function unfinished(exchange: Exchange, active: ActiveRequest, result: unknown): Task<unknown> | undefined {
  if (isLightResponse(result)) return undefined; // the common case, without looking for the methods of the other two
  if (isTask(result)) {
    exchange.unwindWhenLeft();
    return result;
  }
  return isThenable(result) ? promised(exchange, active, result) : undefined;
}

/** Parks until the promise of an async handler is settled. What comes too late is seen to. */
function* promised(exchange: Exchange, active: ActiveRequest, response: PromiseLike<unknown>): Task<unknown> {
  let isSettled = false;
  try {
    const settled = yield* until(response);
    isSettled = true;
    return settled;
  } catch (error) {
    isSettled = true;
    throw error;
  } finally {
    if (!isSettled) discardResponse(response, exchange.scheduler, reporterOf(exchange, active));
  }
}

/** Tells `onError` of what is none of the client's fault. */
function reporterOf(exchange: Exchange, active: ActiveRequest): (error: unknown) => void {
  return (error) => {
    if (!isClientError(error, exchange, active, active.source.aborted))
      exchange.settings.report(error, active.request, exchange);
  };
}

/** Sends a response. @returns the task that writes its body, if one is to: its head has been sent by then */
function* answer(exchange: Exchange, active: ActiveRequest, response: unknown): Task<Task<unknown> | undefined> {
  const { body } = active.source;
  if (body?.mayBeRead) {
    active.result = response; // see `conclude`
    yield* sleep(0);
    active.result = undefined;
  }
  active.out ??= outgoing(response);
  const { out } = active;
  const { content } = out;
  const isStreamed = typeof content === 'object' && content !== null && !(content instanceof Uint8Array);
  exchange.prepare(isStreamed);
  if (exchange.respondAtOnce(out)) {
    publishResponse(active, out.status);
    return undefined;
  }
  if (content instanceof Takeover) return yield* takeOver(exchange, active, out, content);
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
  exchange.releaseRequest(); // it may be long before anything but the task is needed again
  if (exchange.settings.closing) endForClose(exchange);
  return task;
}

/** Hands the connection over. @returns what is to run on it, in the place of the caller */
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

/** Sees to what an answered request leaves behind: a body that is still being read for a promise or a stream, and threads that it has spawned. @param ahead see `RequestBody.finishReading` */
export function* finishHandling(exchange: Exchange, ahead: number): Task<void> {
  const { thread, active } = exchange;
  publishEnd(active, exchange.settings, true);
  const body = active?.source.body ?? null; // where it is not kept, it has been read
  if (body?.used && !body.complete) yield* body.finishReading(ahead);
  if (thread !== undefined && thread.children.size > 0)
    yield* thread.closeChildren(exchange.leftReason ?? answeredReason);
}

/**
 * The exchange's thread is done with it: the client is told what there is to tell.
 * @param failure what was thrown, if something was
 */
export function conclude(exchange: Exchange, failure?: { error: unknown }): void {
  const { settings, thread } = exchange;
  try {
    if (failure === undefined && thread?.unwound) endInGoodOrder(exchange, thread.reason);
    exchange.streaming?.finish();
    if (failure !== undefined) answerFailure(exchange, failure.error);
    else if (thread?.unwound && exchange.busy) answerUnwound(exchange);
    const { active } = exchange;
    if (active !== undefined && active.result !== undefined) {
      // The handler has unwound its own thread before it returned or threw.
      const report = (error: unknown) => settings.report(error, active.request, exchange);
      if (active.failed) report(active.result);
      else discardResponse(active.result, exchange.scheduler, report);
    }
    publishEnd(active, settings, exchange.progress === Progress.whole);
    if (exchange.busy) exchange.abort(thread?.reason ?? new ClientLeftError('the connection has ended'));
  } catch (error) {
    // Nothing in there should throw. If something does, the exchange must not stay: nothing else would ever end it.
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

/** Something was thrown: by the request's bytes, by the handler, or in sending. */
function answerFailure(exchange: Exchange, error: unknown): void {
  const { settings, fault, active } = exchange;
  const refusal = refusalOf(error, exchange, active);
  const isClients = refusal !== undefined || isClientError(error, exchange, active, exchange.leftReason);
  if (refusal !== undefined) settings.refused(refusal, exchange);
  else if (!isClients) settings.report(error, exchange.request, exchange);
  if (exchange.closed || exchange.progress === Progress.whole) return;
  const isSlow = fault !== undefined && error === fault && fault.code === 'ERR_WRITE_TIMEOUT';
  if (exchange.progress === Progress.head || isSlow) {
    exchange.reset(); // a response that was cut short must not look complete, and who takes nothing does not get more
  } else if (refusal !== undefined) {
    sendStatus(exchange, refusal.status, refusal.isHead);
  } else if (!isClients) {
    sendStatus(exchange, 500);
  } else if (error === fault) {
    sendStatus(exchange, 408); // the fault of a client that is still there is that it was too slow
  }
}

/** The thread is being unwound before its response was complete, and the client may still be there. */
function answerUnwound(exchange: Exchange): void {
  if (exchange.closed || exchange.progress === Progress.whole) return;
  const { forceClosing } = exchange.settings;
  const hasLeft = exchange.leftReason !== undefined;
  if (exchange.progress === Progress.none) {
    if (!hasLeft) sendStatus(exchange, forceClosing ? 503 : 500);
  } else if (exchange.endsWithConnection || !(hasLeft || forceClosing)) {
    // As for an error. Where the framing shows that the rest is missing, who has left or has had its time gets an end in good order.
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
