// An HTTP/1.1 connection with a thread: from a request that needs one until the connection is idle. It is the task of the thread, and the exchange of the
// current request. fast-path.ts answers requests that need no thread.

import type { Connection, Protocol } from '../../connection/connection.js';
import type { Duplex } from '../../connection/duplex.js';
import type { Reader } from '../../connection/reader.js';
import { requestWork } from '../../connection/turn-shares.js';
import { put, type Writer } from '../../connection/writer.js';
import type { ConnectionError } from '../../event-layer/event-layer.js';
import type { TlsInfo } from '../../event-layer/tls-info.js';
import { captureContext, enterableContext } from '../../threads/context.js';
import type { Scheduler } from '../../threads/scheduler.js';
import { sleep } from '../../threads/sleep.js';
import { StagedTask } from '../../threads/staged-task.js';
import { type Task, Wait } from '../../threads/task.js';
import type { Thread } from '../../threads/thread.js';
import type { TimerTarget } from '../../threads/timers.js';
import { HttpError } from '../errors.js';
import { type ActiveRequest, activeRequest, type Exchange, Progress } from '../exchange.js';
import { ExchangeThread } from '../exchange-thread.js';
import type { PassedRequest } from '../fallback.js';
import { type Request, requestFrom } from '../fetch/request.js';
import { Response } from '../fetch/response.js';
import {
  answerError,
  callHandlerInThread,
  continueHandling,
  endExchange,
  endForClose,
  finishHandling,
  handleResult,
  mayAnswerError,
} from '../handle.js';
import { ClientLeftError, type IncomingRequest } from '../incoming-request.js';
import { declaredLength, isBodiless, type OutgoingResponse, ResponseError } from '../outgoing.js';
import { type BodyHost, RequestBody } from '../request-body.js';
import type { ResponseBody } from '../response-body.js';
import type { Phase } from '../settings.js';
import { ChunkedFraming } from './chunked-framing.js';
import { H1Request, requestFromText } from './h1-request.js';
import { Head } from './head.js';
import { respondAtOnce, Sent, sendHead, sendStatus } from './respond.js';
import { ChunkedBody, PlainBody } from './response-body.js';
import {
  delimiterOf,
  Framing,
  framingMask,
  makeHead,
  makeUpgradeHead,
  responseFraming,
  wholeText,
} from './response-head.js';
import type { H1Settings } from './settings.js';

/** If the handler has not read the request body, up to this many bytes of it are discarded; if there are more, the connection is closed. */
const discardedBytes = 64 * 1024;

/**
 * Flags, packed into one number because a field for each would take 8 bytes in each of very many connections. The lowest bits are the `Framing` of the
 * current request.
 */
const Flag = {
  /** The head of the current response has been sent, at least in part. */
  headSent: 1 << 4,
  /** The whole response has been sent. */
  wholeSent: 1 << 5,
  /** The body of the response ends with the connection. */
  untilClose: 1 << 6,
  /** The connection stays open and becomes idle when the thread ends. */
  returnsToIdle: 1 << 7,
  /** The client's FIN unwinds the thread: a thread handler is running, or a streamed body is being sent. */
  unwindOnLeave: 1 << 8,
  /** `limitPauses` has been called for the current request. */
  pausesLimited: 1 << 12,
  /** `error` of the server has been called for the current request. */
  errorHandled: 1 << 13,
  /** The connection belongs to another protocol. What is kept of the request is for `onError`. */
  takenOver: 1 << 11,
} as const;

/** What the connection is doing, by number; 0 is nothing. It stands in the bits above the flags. */
const phases: readonly (Phase | undefined)[] = [undefined, 'reading', 'handling', 'writing'];
const phaseAt = 9;
const phaseMask = 3 << phaseAt;

/** The timers that end the wait for async handlers whose clients have left. Few connections have one. */
const leaveTimers = new Map<H1Connection, number>();

export class H1Connection extends StagedTask implements Exchange, BodyHost, Protocol, TimerTarget {
  readonly connection: Connection<H1Settings>;
  streaming: ResponseBody | undefined;
  /**
   * The current request. Only the text of its head while its response is streamed, to save memory: a stream may last for days. After the last
   * request, the incomplete head of the next one.
   */
  #current: ActiveRequest | string | Head | undefined;
  #flags = 0;

  constructor(connection: Connection<H1Settings>) {
    super();
    this.connection = connection;
    connection.protocol = this;
    connection.thread = new ExchangeThread(this, connection.scheduler, connection.owner.reportThread);
    this.#enter('reading');
  }

  get settings(): H1Settings {
    return this.connection.owner;
  }

  get scheduler(): Scheduler {
    return this.connection.scheduler;
  }

  get thread(): Thread<unknown> | undefined {
    return this.connection.thread;
  }

  get duplex(): Duplex {
    return this.connection;
  }

  get reader(): Reader {
    return this.connection.reader;
  }

  get writer(): Writer {
    return this.connection.writer;
  }

  get closed(): boolean {
    return this.connection.closed;
  }

  get peer(): string {
    return this.connection.peer;
  }

  get tls(): TlsInfo | undefined {
    return this.connection.tls;
  }

  get fault(): ConnectionError | undefined {
    return this.connection.fault;
  }

  // The current request.

  get busy(): boolean {
    return this.#current !== undefined && !(this.#current instanceof Head) && !this.#has(Flag.takenOver);
  }

  get active(): ActiveRequest | undefined {
    return typeof this.#current === 'string' || this.#current instanceof Head ? undefined : this.#current;
  }

  /** The current request as received. If only its text is kept, it is made from that each time. */
  get source(): IncomingRequest | undefined {
    const held = this.#current;
    return typeof held === 'string' ? requestFromText(this, held, this.settings) : this.active?.source;
  }

  get request(): Request | undefined {
    const held = this.#current;
    if (typeof held === 'string') this.#keepRequest(requestFromText(this, held, this.settings));
    return this.active?.request;
  }

  get method(): string | undefined {
    return this.source?.method;
  }

  get leftReason(): unknown {
    return this.active?.source.aborted ?? this.streaming?.leftReason;
  }

  /**
   * Starts a request whose head has been parsed.
   * @param bytes contains the head from `start` on; valid only during the call
   * @param isLast the connection closes after its response
   */
  startRequest(head: Head, bytes: Uint8Array, start: number, isLast: boolean): ActiveRequest {
    const { settings } = this;
    const body = head.chunked || head.contentLength >= 0 ? this.#makeBody(head) : null;
    const source = new H1Request(this, head, bytes, start, body, settings);
    source.detachBorrowed();
    const active = activeRequest(source, requestFrom(source));
    this.continueRequest(active, responseFraming(head, isLast));
    // `OPTIONS *` is about the server as a whole (RFC 9110 §9.3.7). No URL can express that, so the handler is not called.
    if (head.asterisk) {
      active.result = new Response(null, { status: 204 });
      active.isCalled = true;
    }
    return active;
  }

  /** Continues a request that was started without a thread. @param framing bits of `Framing` */
  continueRequest(active: ActiveRequest, framing: number): void {
    this.#current = active;
    this.#flags = (this.#flags & phaseMask) | framing; // clears the flags of the previous response
    this.#enter('handling');
  }

  #makeBody(head: Head): RequestBody {
    const { settings } = this;
    const framing = head.chunked ? new ChunkedFraming(this.reader, settings) : undefined;
    return new RequestBody(this, head.contentLength, framing, head.expectsContinue, settings);
  }

  /** Counts the connection in another phase, or in none; see `HttpSettings.phases`. */
  #enter(phase: Phase | undefined): void {
    const counts = this.settings.phases;
    const before = phases[(this.#flags & phaseMask) >> phaseAt];
    const after = this.closed ? undefined : phase;
    if (before !== undefined) counts[before]--;
    if (after !== undefined) counts[after]++;
    this.#flags = (this.#flags & ~phaseMask) | (phases.indexOf(after) << phaseAt);
  }

  #has(flag: number): boolean {
    return (this.#flags & flag) !== 0;
  }

  #set(flag: number, isSo = true): void {
    if (isSo) this.#flags |= flag;
    else this.#flags &= ~flag;
  }

  // The task of the connection's thread.

  /** Handles requests until no complete head is left or the connection must close. */
  protected *start(): Task<Task<unknown> | undefined> {
    for (let active = this.active; ; active = undefined) {
      if (active === undefined) {
        // If this client has used its share of the turn, other connections go first.
        if (this.isSpent) yield* sleep(0);
        active = this.#next();
        if (active === undefined) return undefined;
      }
      if (!active.isCalled) {
        active.source.body?.checkLength();
        if (this.reader.finished) this.peerEnded();
        callHandlerInThread(this, active);
        yield Wait.context;
      }
      const stage = yield* handleResult(this, active);
      if (stage !== undefined) return stage;
      if (!(yield* this.#finish())) return undefined;
    }
  }

  protected *proceed(result: unknown): Task<Task<unknown> | undefined> {
    const stage = yield* continueHandling(this, result);
    if (stage !== undefined) return stage;
    if (!(yield* this.#finish())) return undefined;
    return yield* this.start();
  }

  /** Parses the next request. @returns undefined if its head is incomplete: then the thread ends @throws {HttpError} */
  #next(): ActiveRequest | undefined {
    const { connection, settings } = this;
    const { reader } = connection;
    this.#enter('reading');
    this.#flags &= phaseMask;
    const head = new Head();
    if (!head.parse(reader.bytes, reader.start, reader.limit, settings)) {
      if (reader.finished && head.hasStarted)
        throw new HttpError(400, 'RFC 9112 §8: the input ends within a request head', head.isHead);
      this.#current = head;
      this.#set(Flag.returnsToIdle, !reader.finished); // otherwise the client has sent FIN between two requests
      return undefined;
    }
    const { bytes, start } = reader;
    const isLast = settings.countRequest(connection.slot) || settings.closing;
    const active = this.startRequest(head, bytes, start, isLast);
    this.spend(requestWork);
    reader.consume(head.length);
    return active;
  }

  /** After the response: finishes or discards the rest of the request body. @returns whether there is input for the next request */
  *#finish(): Task<boolean> {
    const { settings, thread, reader } = this;
    const body = this.active?.source.body ?? null; // if the request has been released, its body has been read
    this.#set(Flag.unwindOnLeave, false); // the client has its response
    if (body?.used && !body.complete) this.#enter('reading');
    yield* finishHandling(this, discardedBytes);
    this.#endRequest();
    // A thread that is about to be unwound must not start to wait for input.
    if (!this.#has(Framing.keepAlive) || thread?.unwound) return false;
    if (body !== null && !body.complete && (body.isContinueAwaited || !(yield* body.discard(discardedBytes))))
      return false;
    if (reader.buffered > 0 || reader.finished) return true;
    this.#set(Flag.returnsToIdle, !settings.closing);
    return false;
  }

  protected override recover(error: unknown): Task<Task<unknown> | undefined> | undefined {
    if (this.#has(Flag.errorHandled) || !mayAnswerError(this, error)) return undefined;
    this.#set(Flag.errorHandled);
    return this.answerFailure(error);
  }

  // Not with `#`: methods that are private so take 8 bytes of each object.
  private *answerFailure(error: unknown): Task<Task<unknown> | undefined> {
    const stage = yield* answerError(this, error);
    if (stage !== undefined) return stage;
    if (!(yield* this.#finish())) return undefined;
    return yield* this.start();
  }

  protected conclude(failure: { error: unknown } | undefined): void {
    const { connection, settings, thread } = this;
    const partial = this.#current instanceof Head ? this.#current : undefined;
    if (failure !== undefined) connection.taskFailed();
    endExchange(this, failure);
    if (thread instanceof ExchangeThread) thread.requestEnds();
    this.#endRequest();
    this.#enter(undefined);
    if (this.#has(Flag.returnsToIdle)) settings.returnToIdle(connection, partial);
    else if (!connection.closed) settings.endConnection(connection.slot);
  }

  /** The request is over. */
  #endRequest(): void {
    const source = this.active?.source;
    if (source !== undefined) {
      source.end(this.progress === Progress.whole);
      source.body?.release();
    }
    if (this.#has(Flag.pausesLimited)) {
      this.reader.timeout = this.settings.readTimeout;
      this.writer.timeout = this.settings.writeTimeout;
    }
    if (!this.#has(Flag.takenOver)) this.#current = undefined;
    this.streaming = undefined;
    this.#set(Flag.unwindOnLeave, false);
    const leaveTimer = leaveTimers.get(this);
    if (leaveTimer === undefined) return;
    this.scheduler.timers.cancel(leaveTimer);
    leaveTimers.delete(this);
  }

  // The current response.

  get progress(): Progress {
    if (this.#has(Flag.wholeSent)) return Progress.whole;
    return this.#has(Flag.headSent) ? Progress.head : Progress.none;
  }

  get endsWithConnection(): boolean {
    return this.#has(Flag.untilClose);
  }

  prepare(isStreamed: boolean): void {
    const body = this.active?.source.body ?? null;
    if (body !== null) {
      // `100 Continue` cannot be sent after the head of the response. A streamed response may be made from the stream of the request body.
      if (body.used || isStreamed) body.acceptBody();
      if (body.isContinueAwaited || (!isStreamed && body.isTooLongToDiscard(discardedBytes)))
        this.#set(Framing.keepAlive, false);
    }
    if (this.settings.closing) this.#set(Framing.keepAlive, false);
    this.#enter('writing');
  }

  respondAtOnce(out: OutgoingResponse): boolean {
    const sent = respondAtOnce(this.connection, out, this.#flags & framingMask, this.settings.date());
    if (sent === Sent.not) return false;
    this.#set(Framing.keepAlive, sent === Sent.keepAlive);
    this.end();
    return true;
  }

  *begin(out: OutgoingResponse): Task<ResponseBody | undefined> {
    const { content } = out;
    const framing = this.#flags & framingMask;
    const length = content === null ? 0 : out.length;
    const head = makeHead(out, framing, this.settings.date(), length);
    if (this.duplex.writable === 0) yield* this.writer.drain();
    this.#set(Flag.headSent);
    this.#set(Framing.keepAlive, head.keepAlive);
    yield* sendHead(this, wholeText(head, length));
    if (isBodiless(out.status) || (framing & Framing.isHead) !== 0 || content === null) {
      this.end();
      return undefined;
    }
    const delimiter = delimiterOf(out, framing, length);
    this.#set(Flag.untilClose, delimiter === 'close');
    if (delimiter === 'chunked') return new ChunkedBody(this);
    return new PlainBody(this, delimiter === 'length' ? declaredLength(out, length) : undefined);
  }

  *takeOver(out: OutgoingResponse): Task<Connection> {
    const { connection, settings } = this;
    const source = this.active?.source;
    const body = source?.body ?? null;
    if (body !== null && !body.complete)
      throw new ResponseError('the connection cannot be taken over: the request has a body that has not been read');
    if ((this.#flags & Framing.chunked) === 0) throw new ResponseError('an HTTP/1.0 connection cannot be taken over');
    const head = makeUpgradeHead(out);
    if (connection.writable === 0) yield* this.writer.drain();
    this.end(); // from here on an error must not send a status
    this.#set(Framing.keepAlive, false);
    yield* sendHead(this, head);
    this.#endRequest();
    this.#set(Flag.takenOver);
    if (settings.keepsRequests && source instanceof H1Request) this.#current = source.text;
    this.#enter('handling');
    connection.reader.timeout = Infinity; // the other protocol has its own timeouts
    return connection;
  }

  passOn(): PassedRequest {
    const { connection } = this;
    const source = this.active?.source;
    // Requests of this class are from this connection.
    if (!(source instanceof H1Request))
      throw new ResponseError('the request cannot be passed on: it has been released');
    const { body, text: head } = source;
    if (body?.used)
      throw new ResponseError(
        'fetch returned nothing, to pass the request on to node, but has read from its body; expected that it reads none of it, or returns a Response',
      );
    const passed = { connection, head, unread: body?.unread ?? 0, isLast: !this.#has(Framing.keepAlive) };
    this.end(); // from here on an error must not send a status
    this.#set(Framing.keepAlive, false);
    this.#endRequest();
    this.#set(Flag.takenOver);
    connection.reader.timeout = Infinity;
    return passed;
  }

  end(): void {
    this.#set(Flag.headSent | Flag.wholeSent);
  }

  sendStatus(wanted: unknown, isHead: boolean): number | undefined {
    if (this.connection.finished) return undefined;
    this.end();
    return sendStatus(this.connection, wanted, isHead, this.settings.date());
  }

  sendContinue(): void {
    put(this.connection, 'HTTP/1.1 100 Continue\r\n\r\n');
  }

  reset(): void {
    this.connection.reset();
  }

  // The client's share of the turn.

  spend(work: number): void {
    const { owner, slot } = this.connection;
    owner.network.shares.spend(slot, work);
  }

  get isSpent(): boolean {
    const { owner, slot } = this.connection;
    return owner.network.shares.isSpent(slot, owner.turnWork);
  }

  // When the client disconnects.

  /** `request.signal` has been read: the request must be kept, so that it can be aborted. @returns the reason if the client has left already */
  onSignalRequested(request: IncomingRequest): unknown {
    const { leftReason } = this;
    if (typeof this.#current === 'string') this.#keepRequest(request);
    return leftReason;
  }

  /** Keeps a request that was made again from the text of its head. */
  #keepRequest(request: IncomingRequest): void {
    this.#current = activeRequest(request, requestFrom(request));
  }

  limitPauses(milliseconds: number): void {
    this.#set(Flag.pausesLimited);
    this.reader.timeout = milliseconds;
    this.writer.timeout = milliseconds;
    this.active?.source.body?.limitPauses(milliseconds);
  }

  unwindWhenLeft(): void {
    this.#set(Flag.unwindOnLeave);
    const { leftReason } = this;
    if (leftReason !== undefined) this.thread?.unwind(leftReason);
  }

  abort(reason: unknown): void {
    const { active, thread } = this;
    const context = thread?.context ?? captureContext();
    if (active !== undefined) enterableContext(context).runInAsyncScope(active.source.abort, active.source, reason);
    this.streaming?.abort(reason);
  }

  /**
   * The client has sent FIN, which counts as disconnecting: aborts `request.signal`, and unwinds a thread handler or a stream. The response of an async
   * handler is still sent, if it comes within `leaveTimeout`.
   */
  peerEnded(): void {
    if (this.settings.allowHalfOpen || !this.busy || leaveTimers.has(this)) return;
    const reason = new ClientLeftError('the client has closed its side of the connection');
    this.abort(reason);
    if (this.#has(Flag.unwindOnLeave)) {
      this.thread?.unwind(reason);
      return;
    }
    leaveTimers.set(this, this.scheduler.armIn(this.settings.leaveTimeout, this, 0));
  }

  lost(cause: ConnectionError | undefined): void {
    this.#enter(undefined);
    const reason = new ClientLeftError('the connection to the client is gone', { cause });
    this.abort(reason);
    this.thread?.unwind(reason);
  }

  /** Ends a response whose body may end at any point. Other responses continue: the current or the next one has `Connection: close`. */
  closing(): void {
    endForClose(this);
  }

  /** `leaveTimeout` has passed. */
  timerFired(): void {
    leaveTimers.delete(this);
    this.thread?.unwind(this.leftReason);
  }

  /**
   * See `Exchange`. Keeps only the text of the head, unless the body, the signal or a diagnostics channel still needs the request.
   */
  releaseRequest(): void {
    const { active, connection } = this;
    if (active === undefined) return;
    const { source, request } = active;
    const isOver = source.body === null || source.body.complete;
    if (isOver && !this.#has(Flag.pausesLimited)) connection.releaseIdleHalves();
    if (source.isNeeded || active.trace !== undefined || !(source instanceof H1Request)) {
      const kept = activeRequest(source, request); // without what its handler has returned
      kept.trace = active.trace;
      this.#current = kept;
    } else {
      source.body?.release();
      source.owner = this.streaming; // code that has kept the request gets its peer and its signal from there
      this.#current = source.text;
    }
  }
}
