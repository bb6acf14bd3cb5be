// The life of one HTTP/1.1 connection, from its first byte to the moment that it has nothing to do: one thread, read top to
// bottom. (RFC 9112; the sections are named in the files that each step calls.)

import { Connection } from '../connection/connection.js';
import type { Network } from '../connection/network.js';
import { SlotState } from '../connection/network.js';
import type { Slot } from '../event-layer/event-layer.js';
import { ThreadError } from '../threads/errors.js';
import { sleep } from '../threads/sleep.js';
import { isTask, type Task } from '../threads/task.js';
import { until } from '../threads/until.js';
import { ClientLeftError, Exchange } from './exchange.js';
import { requestFrom } from './fetch/request.js';
import { Head } from './head.js';
import { RequestBody } from './incoming-body.js';
import { Refusal, reasonPhrases } from './refusal.js';
import { discardResponse, type Framing, outgoing, respond, respondAtOnce, type Sent } from './respond.js';
import type { HttpSettings } from './settings.js';

/** How many requests of one client are answered before the others have their turn. */
const requestsPerTurn = 32;
/** A request body that its handler has not read is read to its end if no more than this is left; else the connection is closed. */
const discardedBytes = 64 * 1024;
/** After the server's deadline for closing, last bytes have this many milliseconds to arrive. */
const overdueLinger = 100;
/** The reason that threads are unwound with which outlive the request that spawned them. */
const answeredReason = new ThreadError('ERR_ANSWERED', 'the request that the thread was spawned for has been answered');

/** The record of a connection that speaks HTTP. */
export class HttpConnection extends Connection {
  /** The request that is being handled. */
  exchange: Exchange | undefined;
  /** The client's leaving by FIN unwinds the thread: a thread handler is at work, or a streamed body is being sent. */
  unwindOnLeave = false;
  readonly #settings: HttpSettings;
  /** The timer that ends the wait for an async handler whose client has left; 0 is none. */
  #leaveTimer = 0;

  constructor(network: Network, slot: Slot, settings: HttpSettings) {
    super(network, slot);
    this.#settings = settings;
    this.writer.timeout = settings.writeTimeout;
    this.reader.timeout = settings.bodyTimeout;
  }

  /**
   * The client has sent FIN, and that counts as leaving: `request.signal` is aborted, and a thread unwound. What a plain or
   * async handler still answers is sent, if it comes in time.
   */
  clientEnded(): void {
    if (this.#settings.allowHalfOpen || this.exchange === undefined || this.#leaveTimer !== 0) return;
    const reason = new ClientLeftError('the client has closed its side of the connection');
    this.exchange.abort(reason);
    if (this.unwindOnLeave) {
      this.thread?.unwind(reason);
      return;
    }
    const { leaveTimeout } = this.#settings;
    if (leaveTimeout !== Infinity) this.#leaveTimer = this.network.scheduler.armIn(leaveTimeout, this, 0);
  }

  /** The handler has not answered in time. */
  timerFired(): void {
    this.#leaveTimer = 0;
    this.thread?.unwind(this.exchange?.aborted);
  }

  /** From here on the client's leaving unwinds the thread; if it has left already, that happens where the thread next parks. */
  unwindWhenLeft(): void {
    this.unwindOnLeave = true;
    if (this.exchange?.aborted !== undefined) this.thread?.unwind(this.exchange.aborted);
  }

  /** The request has been answered, or cannot be. */
  endExchange(): void {
    this.exchange = undefined;
    this.unwindOnLeave = false;
    if (this.#leaveTimer !== 0) this.network.scheduler.timers.cancel(this.#leaveTimer);
    this.#leaveTimer = 0;
  }
}

/**
 * Answers requests until nothing of the next one has come, or the connection is to be closed.
 * Started when the first bytes are there; the connection's thread is the running one.
 */
export function* serveConnection(connection: HttpConnection, settings: HttpSettings): Task<void> {
  const { network, slot, reader, writer, thread } = connection;
  /** How far the response at hand has gone: what fails before its head gets an answer, what fails before its end a reset. */
  const sent: Sent = { head: false, whole: false, untilClose: false };
  let head = new Head();
  let request: unknown;
  /** What an async handler has returned, until it is settled. */
  let promised: PromiseLike<unknown> | undefined;
  let resting = false;
  let failed = false;
  try {
    for (let answered = 0; ; ) {
      // The head. Whatever time its bytes take, all of them together have `headTimeout`.
      sent.head = false;
      sent.whole = false;
      sent.untilClose = false;
      network.setState(slot, SlotState.reading);
      reader.deadline = network.scheduler.now + settings.headTimeout;
      reader.timeout = Infinity;
      head = new Head();
      while (!head.parse(reader.bytes, reader.start, reader.limit, settings)) {
        if (yield* reader.more()) continue;
        if (!head.begun) return; // the client has ended between two requests
        throw new Refusal(400, 'RFC 9112 §8: the input ends within a request head');
      }
      reader.deadline = Infinity;
      reader.timeout = settings.bodyTimeout;

      // The handler. A plain one is an ordinary call: nothing is captured, and the head is read where the kernel put it.
      network.setState(slot, SlotState.handling);
      const body =
        head.chunked || head.contentLength >= 0 ? new RequestBody(connection, head, settings.bodySize) : null;
      const exchange = new Exchange(connection, head, body, settings.defaultHost);
      connection.exchange = exchange;
      body?.checkLength();
      const framing = framingOf(head, exchange, settings);
      if (reader.finished) connection.clientEnded();
      const light = requestFrom(exchange);
      request = light;
      let response: unknown = settings.fetch(light);
      exchange.detach();
      reader.consume(head.length);
      if (isTask(response)) {
        connection.unwindWhenLeft();
        response = yield* response;
      } else if (isThenable(response)) {
        promised = response;
        response = yield* until(response);
        promised = undefined;
      }

      // The response.
      const out = outgoing(response);
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
    answerFailure(connection, settings, error, request, sent, head);
  } finally {
    if (!failed && thread?.unwound && request !== undefined) answerUnwound(connection, settings, sent);
    if (promised !== undefined) {
      const late = request;
      discardResponse(promised, (error) => settings.report(error, late));
    }
    connection.exchange?.abort(thread?.reason ?? new ClientLeftError('the connection has ended'));
    connection.endExchange();
    if (resting) settings.rest(connection);
    else if (!connection.closed) network.linger(slot, settings.overdue ? overdueLinger : settings.lingerTimeout);
  }
}

/** What the head of a request says about the response (RFC 9112 §9.3 for the connection, RFC 9110 §9.3.2 for HEAD). */
function framingOf(head: Head, exchange: Exchange, settings: HttpSettings): Framing {
  const headOnly = head.methodEnd - head.methodStart === 4 && exchange.method === 'HEAD';
  if (head.methodEnd - head.methodStart === 7 && exchange.method === 'CONNECT') {
    throw new Refusal(501, 'RFC 9110 §9.3.6: CONNECT is for proxies');
  }
  const keepAlive = !head.close && (head.minor === 1 || head.keepAlive) && !settings.closing;
  return { headOnly, chunked: head.minor === 1, keepAlive, sayKeepAlive: head.minor === 0 };
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

/** Something was thrown: by the request's bytes, by the handler, or by the connection. The connection is closed afterwards. */
function answerFailure(
  connection: HttpConnection,
  settings: HttpSettings,
  error: unknown,
  request: unknown,
  sent: Sent,
  head: Head,
): void {
  const { exchange, fault } = connection;
  const clients = isClients(error, connection, exchange);
  if (!clients) settings.report(error, request);
  if (connection.closed || sent.whole) return;
  if (sent.head || (fault !== undefined && error === fault && fault.code === 'ERR_WRITE_TIMEOUT')) {
    connection.reset(); // a response that was cut short must not look complete, and who takes nothing does not get more
  } else if (error instanceof Refusal) {
    answerStatus(connection, settings, error.status);
  } else if (!clients) {
    answerStatus(connection, settings, 500);
  } else if (error === fault && head.begun) {
    answerStatus(connection, settings, 408); // an open connection's fault is that it was too slow
  }
}

/** Whether an error is what a client has caused, by what it sent or did not send, or by leaving: none of the handler's. */
function isClients(error: unknown, connection: HttpConnection, exchange: Exchange | undefined): boolean {
  if (error instanceof Refusal) return true;
  if (connection.fault !== undefined && error === connection.fault) return true;
  // Whoever was given `request.signal` throws its reason, or an error of its own with the reason for its cause.
  const left = exchange?.aborted;
  return left !== undefined && (error === left || (error instanceof Error && error.cause === left));
}

/** The thread is being unwound before its response was complete, and the client may still be there. */
function answerUnwound(connection: HttpConnection, settings: HttpSettings, sent: Sent): void {
  if (connection.closed || sent.whole) return;
  const left = connection.exchange?.aborted !== undefined;
  if (!sent.head) {
    if (!left) answerStatus(connection, settings, settings.overdue ? 503 : 500);
  } else if (sent.untilClose || !(left || settings.overdue)) {
    // As for an error. Where the framing shows that the rest is missing, who has left or has had its time gets a FIN.
    connection.reset();
  }
}

/** The whole of a refusal: a status, its phrase as the body, and the end of the connection. It never parks: it is little, and the last. */
function answerStatus(connection: HttpConnection, settings: HttpSettings, status: number): void {
  const { writer } = connection;
  if (writer.finished) return;
  const phrase = reasonPhrases[status] ?? '';
  const headOnly = connection.exchange?.method === 'HEAD';
  writer.put(
    `HTTP/1.1 ${status} ${phrase}\r\ncontent-type: text/plain\r\ncontent-length: ${phrase.length}\r\ndate: ${settings.date()}\r\nconnection: close\r\n\r\n${headOnly ? '' : phrase}`,
  );
}
