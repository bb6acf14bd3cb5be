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
import { requestFrom } from './fetch/request.js';
import { Head } from './head.js';
import type { HttpConnection } from './http-connection.js';
import { RequestBody } from './incoming-body.js';
import type { Begun } from './intake.js';
import { Refusal } from './refusal.js';
import { discardResponse, outgoing, respond, respondAtOnce, type Sent } from './respond.js';
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
  let first = begun;
  const head = new Head();
  let request: unknown = begun?.request;
  /** What an async handler has returned, until it is settled. */
  let promised: PromiseLike<unknown> | undefined;
  let resting = false;
  let failed = false;
  try {
    for (let answered = 0; ; ) {
      sent.head = false;
      sent.whole = false;
      sent.untilClose = false;
      let body: RequestBody | null = null;
      let exchange: Exchange;
      let framing: Framing;
      let response: unknown;
      let out: Outgoing | undefined;
      if (first !== undefined) {
        if (first.failed) throw first.result;
        ({ exchange, framing, out, result: response } = first);
        first = undefined;
      } else {
        network.setState(slot, SlotState.reading);
        head.reset();
        if (!head.parse(reader.bytes, reader.start, reader.limit, settings)) {
          if (reader.finished) {
            if (!head.begun) return; // the client has ended between two requests
            throw new Refusal(400, 'RFC 9112 §8: the input ends within a request head');
          }
          resting = true;
          return;
        }
        // The handler. A plain one is an ordinary call: nothing is captured, and the head is read where the kernel put it.
        network.setState(slot, SlotState.handling);
        if (head.chunked || head.contentLength >= 0) body = new RequestBody(connection, head, settings.bodySize);
        exchange = new Exchange(connection, head, reader.bytes, reader.start, body, settings.defaultHost);
        connection.exchange = exchange;
        body?.checkLength();
        if (head.methodEnd - head.methodStart === 7 && exchange.method === 'CONNECT')
          throw new Refusal(501, 'RFC 9110 §9.3.6: CONNECT is for proxies');
        framing = { headOnly: false, chunked: false, keepAlive: false, sayKeepAlive: false };
        framingOf(head, exchange, settings.closing, framing);
        if (reader.finished) connection.clientEnded();
        const light = requestFrom(exchange);
        request = light;
        response = settings.fetch(light, exchange);
        exchange.detach();
        reader.consume(head.length);
      }
      const light = request;
      reader.timeout = settings.bodyTimeout;
      if (isTask(response)) {
        connection.unwindWhenLeft();
        response = yield* response;
      } else if (isThenable(response)) {
        promised = response;
        response = yield* until(response);
        promised = undefined;
      }

      // The response.
      out ??= outgoing(response);
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
        yield* respond(writer, out, framing, settings.date(), sent, (error) => {
          if (!isClients(error, connection, exchange)) settings.report(error, light);
        });
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
    answerFailure(connection, settings, error, request, sent, head);
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
