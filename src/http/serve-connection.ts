// An HTTP/1.1 connection at work: from a request that needs a thread to the moment that it has nothing to do, read top to bottom.
// Requests that need none are over before they come here: see intake.ts. (RFC 9112; the sections are named in the files that
// each step calls.)

import { SlotState } from '../connection/network.js';
import { ThreadError } from '../threads/errors.js';
import { sleep } from '../threads/sleep.js';
import { isTask, type Task } from '../threads/task.js';
import { until } from '../threads/until.js';
import { ClientLeftError, Exchange } from './exchange.js';
import { answerFailure, answerUnwound, isClients } from './failure.js';
import { ThreadBody } from './fetch/body.js';
import { type Request, requestFrom } from './fetch/request.js';
import { Head } from './head.js';
import type { HttpConnection } from './http-connection.js';
import { RequestBody } from './incoming-body.js';
import { Refusal } from './refusal.js';
import { beginBody, discardResponse, outgoing, respond, respondAtOnce, type Sent, writeBody } from './respond.js';
import { type Framing, framingOf, type Outgoing } from './response-head.js';
import type { HttpSettings } from './settings.js';

/** How many requests of one client are answered before the others have their turn. */
export const requestsPerTurn = 32;
/** A request body that its handler has not read is read to its end if no more than this is left; else the connection is closed. */
const discardedBytes = 64 * 1024;
/** After the server's deadline for closing, last bytes have this many milliseconds to arrive. */
export const overdueLinger = 100;
/** The reason that threads are unwound with which outlive the request that spawned them. */
const answeredReason = new ThreadError('ERR_ANSWERED', 'the request that the thread was spawned for has been answered');

/** A request whose handler has been called. */
export interface Begun {
  readonly exchange: Exchange;
  readonly request: Request;
  readonly framing: Framing;
  readonly body: RequestBody | null;
  /** What the handler has returned, or thrown. */
  result: unknown;
  failed: boolean;
  /** What has been made of the result, if it has been looked at. */
  out: Outgoing | undefined;
}

/**
 * Answers requests for as long as there is a whole head of the next one, or until the connection is to be closed. Heads of which
 * only the beginning has come go back to the intake.
 * @param begun the first request, if its handler has been called already
 */
export function* serveConnection(
  connection: HttpConnection,
  settings: HttpSettings,
  begun: Begun | undefined,
): Task<void> {
  const { network, slot, reader, writer, thread } = connection;
  /** How far the response at hand has gone: what fails before its head gets an answer, what fails before its end a reset. */
  const sent: Sent = { head: false, whole: false, untilClose: false };
  let request: unknown;
  /** What an async handler has returned, until it is settled. */
  let promised: PromiseLike<unknown> | undefined;
  let resting = false;
  let failed = false;
  try {
    for (let answered = 0, next = begun; ; next = undefined) {
      sent.head = false;
      sent.whole = false;
      sent.untilClose = false;
      next ??= beginNext(connection, settings);
      if (next === undefined) {
        resting = !reader.finished; // else the client has ended between two requests
        return;
      }
      const { exchange, framing, body } = next;
      request = next.request;
      if (next.failed) throw next.result;
      reader.timeout = settings.bodyTimeout;
      let response = next.result;
      if (isTask(response)) {
        connection.unwindWhenLeft();
        response = yield* response;
      } else if (isThenable(response)) {
        promised = response;
        response = yield* until(response);
        promised = undefined;
      }

      // The response.
      let out = next.out ?? outgoing(response);
      const streamed = typeof out.content === 'object' && out.content !== null && !(out.content instanceof Uint8Array);
      if (body !== null) {
        // Behind the response's head it would be too late to invite the body; and its stream may be what the response is made of.
        if (body.used || streamed) body.invite();
        if (body.awaited || (!streamed && body.undiscardable(discardedBytes))) framing.keepAlive = false;
      }
      if (settings.closing) framing.keepAlive = false;
      network.setState(slot, SlotState.writing);
      if (!respondAtOnce(writer, out, framing, settings.date())) {
        if (streamed) connection.unwindWhenLeft();
        if (out.content instanceof ThreadBody) {
          const { start } = out.content;
          const to = yield* beginBody(writer, out, framing, settings.date(), sent);
          // While it streams, which may be for days, nothing is held that only its beginning has needed.
          next.result = undefined;
          next.out = undefined;
          response = undefined;
          out = ended;
          if (to !== undefined) yield* writeBody(start, to);
        } else {
          const asked = next.request;
          yield* respond(writer, out, framing, settings.date(), sent, (error) => {
            if (!isClients(error, connection, exchange)) settings.report(error, asked);
          });
        }
      }
      sent.head = true;
      sent.whole = true;

      // What the request leaves behind: a body that is still being read for a promise, threads it has spawned, a body unread.
      if (body?.reading !== undefined) yield* settled(body.reading.join());
      if (thread !== undefined && thread.children.size > 0)
        yield* thread.closeChildren(exchange.aborted ?? answeredReason);
      connection.endExchange();
      request = undefined;
      if (!framing.keepAlive) return;
      if (body !== null && !body.complete && (body.awaited || !(yield* body.discard(discardedBytes)))) return;

      // The next request: at once if it has come, in a later turn if this client has had its share of this one.
      if (reader.buffered === 0 && !reader.finished) {
        resting = !settings.closing;
        return;
      }
      if (++answered % requestsPerTurn === 0) yield* sleep(0);
    }
  } catch (error) {
    failed = true;
    promised = undefined; // if one was waited for, it is settled: with this error
    answerFailure(connection, settings, error, request, sent);
  } finally {
    if (!failed && thread?.unwound && request !== undefined) answerUnwound(connection, settings, sent);
    if (promised !== undefined) {
      const { exchange } = connection;
      const late = request;
      discardResponse(promised, (error) => {
        if (!isClients(error, connection, exchange)) settings.report(error, late);
      });
    }
    connection.exchange?.abort(thread?.reason ?? new ClientLeftError('the connection has ended'));
    connection.endExchange();
    if (resting) settings.release(connection);
    else if (!connection.closed) network.linger(slot, settings.overdue ? overdueLinger : settings.lingerTimeout);
  }
}

/** What stands in place of a response whose beginning has been sent. */
const ended: Outgoing = { status: 200, statusText: '', fields: [], content: null, length: 0 };

/**
 * Takes the next request from what has come, and calls its handler: an ordinary call, with the head read where it stands.
 * @returns undefined if there is no whole head
 * @throws {Refusal}
 */
function beginNext(connection: HttpConnection, settings: HttpSettings): Begun | undefined {
  const { network, slot, reader } = connection;
  network.setState(slot, SlotState.reading);
  const head = new Head();
  if (!head.parse(reader.bytes, reader.start, reader.limit, settings)) {
    if (reader.finished && head.begun) throw new Refusal(400, 'RFC 9112 §8: the input ends within a request head');
    return undefined;
  }
  network.setState(slot, SlotState.handling);
  const body = head.chunked || head.contentLength >= 0 ? new RequestBody(connection, head, settings.bodySize) : null;
  const exchange = new Exchange(connection, head, reader.bytes, reader.start, body, settings.defaultHost);
  connection.exchange = exchange;
  body?.checkLength();
  if (head.methodEnd - head.methodStart === 7 && exchange.method === 'CONNECT')
    throw new Refusal(501, 'RFC 9110 §9.3.6: CONNECT is for proxies');
  const framing = { headOnly: false, chunked: false, keepAlive: false, sayKeepAlive: false };
  framingOf(head, exchange, settings.closing, framing);
  if (reader.finished) connection.clientEnded();
  const begun: Begun = {
    ...{ exchange, framing, body, request: requestFrom(exchange) },
    ...{ result: undefined, failed: false, out: undefined },
  };
  try {
    begun.result = settings.fetch(begun.request, exchange);
  } catch (error) {
    begun.failed = true;
    begun.result = error;
  }
  exchange.detach();
  reader.consume(head.length);
  return begun;
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function';
}

/** Waits for a task whose failure somebody else has been told of. */
function* settled(task: Task<unknown>): Task<void> {
  try {
    yield* task;
  } catch {
    // The promise that the handler holds has been rejected with it.
  }
}
