// An HTTP/1.1 connection at work: from a request that needs a thread to the moment that it has nothing to do. It is the task of the connection's
// thread, and the exchange of the request that it is at. Requests that need no thread are over before they come here: see fast-path.ts.

import type { Connection, Protocol } from '../../connection/connection.js';
import type { Duplex } from '../../connection/duplex.js';
import type { Reader } from '../../connection/reader.js';
import { requestWork } from '../../connection/turn-shares.js';
import { put, type Writer } from '../../connection/writer.js';
import type { ConnectionError } from '../../event-layer/event-layer.js';
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
import { type Request, requestFrom } from '../fetch/request.js';
import { Response } from '../fetch/response.js';
import { callHandlerInThread, conclude, continueHandling, endForClose, finishHandling, handle } from '../handle.js';
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
import { delimiterOf, Framing, makeHead, makeUpgradeHead, responseFraming, wholeText } from './response-head.js';
import type { H1Settings } from './settings.js';

/** A request body that its handler has not read is read to its end if no more than this is left; else the connection is closed. */
const discardedBytes = 64 * 1024;

/**
 * What is so of the connection, in one number: threads wait by the hundred thousand, and a field for each would take 8 bytes of every one. The lowest
 * bits are those of `Framing`, of the request at hand.
 */
const Flag = {
  /** The head of the response at hand has gone out, in part at least. */
  headSent: 1 << 4,
  /** All of it has. */
  wholeSent: 1 << 5,
  /** Its body ends with the connection: nothing else shows whether it is complete. */
  untilClose: 1 << 6,
  /** All requests have been answered, and the connection stays open. */
  keepOpen: 1 << 7,
  /** The client's FIN unwinds the thread: a thread handler is at work, or a streamed body is being sent. */
  unwindOnLeave: 1 << 8,
} as const;
const framingMask = 15;

export class H1Connection extends StagedTask implements Exchange, BodyHost, Protocol, TimerTarget {
  readonly connection: Connection<H1Settings>;
  /** What the response's body is written to by a task of the user's, until the request is over. */
  streaming: ResponseBody | undefined;
  /**
   * The request at hand. While its response is streamed and nothing asks for more, the text of its head: a stream may last for
   * days, and that takes the least. Behind the last request, the head of the next one, if it has come in part.
   */
  #current: ActiveRequest | string | Head | undefined;
  #flags = 0;
  #phase: Phase | undefined;
  /** The timer that ends the wait for an async handler whose client has left; 0 is none. */
  #leaveTimer = 0;

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

  get fault(): ConnectionError | undefined {
    return this.connection.fault;
  }

  // The request at hand.

  get busy(): boolean {
    return this.#current !== undefined && !(this.#current instanceof Head);
  }

  get active(): ActiveRequest | undefined {
    return typeof this.#current === 'string' || this.#current instanceof Head ? undefined : this.#current;
  }

  /** The request at hand as it came. Where no more than its text is kept, it is made from that each time. */
  get source(): IncomingRequest | undefined {
    const held = this.#current;
    return typeof held === 'string' ? requestFromText(this, held, this.settings) : this.active?.source;
  }

  get request(): Request | undefined {
    const held = this.#current;
    if (typeof held === 'string') this.onSignalRequested(requestFromText(this, held, this.settings));
    return this.active?.request;
  }

  get method(): string | undefined {
    return this.source?.method;
  }

  get leftReason(): unknown {
    return this.active?.source.aborted ?? this.streaming?.leftReason;
  }

  /**
   * A request has come whose head has been parsed.
   * @param bytes where it stands: from `start` on, lent for the duration of the call
   * @param isLast the connection is to be closed behind it
   */
  startRequest(head: Head, bytes: Uint8Array, start: number, isLast: boolean): ActiveRequest {
    const { settings } = this;
    const body = head.chunked || head.contentLength >= 0 ? this.#makeBody(head) : null;
    const source = new H1Request(this, head, bytes, start, body, settings.defaultHost);
    source.detachBorrowed();
    const active = activeRequest(source, requestFrom(source));
    this.resumeRequest(active, responseFraming(head, isLast));
    // RFC 9110 §9.3.7: asked of the server as a whole, to see whether it is there. No URL says that, so no handler gets it.
    if (head.asterisk) {
      active.result = new Response(null, { status: 204 });
      active.isCalled = true;
    }
    return active;
  }

  /** A request goes on that was started without a thread. @param framing bits of `Framing` */
  resumeRequest(active: ActiveRequest, framing: number): void {
    this.#current = active;
    this.#flags = framing; // of the response at hand nothing is so yet
    this.#enter('handling');
  }

  #makeBody(head: Head): RequestBody {
    const { settings } = this;
    const framing = head.chunked ? new ChunkedFraming(this.reader, settings) : undefined;
    return new RequestBody(this, head.contentLength, framing, head.expectsContinue, settings);
  }

  /** The connection does something else than before, or is not at work any more: see `H1Settings.phases`. */
  #enter(phase: Phase | undefined): void {
    const { phases } = this.settings;
    if (this.#phase !== undefined) phases[this.#phase]--;
    this.#phase = this.closed ? undefined : phase;
    if (this.#phase !== undefined) phases[this.#phase]++;
  }

  #has(flag: number): boolean {
    return (this.#flags & flag) !== 0;
  }

  #set(flag: number, isSo = true): void {
    if (isSo) this.#flags |= flag;
    else this.#flags &= ~flag;
  }

  // The task of the connection's thread.

  /** Answers requests for as long as there is a whole head of the next one, or until the connection is to be closed. */
  protected *start(): Task<Task<unknown> | undefined> {
    for (let active = this.active; ; active = undefined) {
      if (active === undefined) {
        // The next request has come; but if this client has had its share of the turn, the others go first.
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
      const stage = yield* handle(this, active);
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

  /** The next request, of what has come. @returns undefined if there is no whole head: then the connection has nothing to do @throws {HttpError} */
  #next(): ActiveRequest | undefined {
    const { connection, settings } = this;
    const { reader } = connection;
    this.#enter('reading');
    this.#flags = 0;
    const head = new Head();
    if (!head.parse(reader.bytes, reader.start, reader.limit, settings)) {
      if (reader.finished && head.hasStarted)
        throw new HttpError(400, 'RFC 9112 §8: the input ends within a request head', head.isHead);
      this.#current = head;
      this.#set(Flag.keepOpen, !reader.finished); // else the client has ended between two requests
      return undefined;
    }
    const { bytes, start } = reader;
    const isLast = settings.countRequest(connection.slot) || settings.closing;
    const active = this.startRequest(head, bytes, start, isLast);
    this.spend(requestWork);
    reader.consume(head.length);
    return active;
  }

  /** Sees to what an answered request leaves behind, and to what is left of its body. @returns whether the next request has come */
  *#finish(): Task<boolean> {
    const { settings, thread, reader } = this;
    const body = this.active?.source.body ?? null; // where it is not kept, it has been read
    this.#set(Flag.unwindOnLeave, false); // the client has its response
    if (body?.used && !body.complete) this.#enter('reading');
    yield* finishHandling(this, discardedBytes);
    this.#endRequest();
    // A thread that is to be unwound, and has not parked since, must not begin what it would be unwound in.
    if (!this.#has(Framing.keepAlive) || thread?.unwound) return false;
    if (body !== null && !body.complete && (body.isContinueAwaited || !(yield* body.discard(discardedBytes))))
      return false;
    if (reader.buffered > 0 || reader.finished) return true;
    this.#set(Flag.keepOpen, !settings.closing);
    return false;
  }

  protected conclude(failure: { error: unknown } | undefined): void {
    const { connection, settings, thread } = this;
    const partial = this.#current instanceof Head ? this.#current : undefined;
    conclude(this, failure);
    if (thread instanceof ExchangeThread) thread.requestEnds();
    this.#endRequest();
    this.#enter(undefined);
    if (this.#has(Flag.keepOpen)) settings.returnToIdle(connection, partial);
    else if (!connection.closed) settings.endConnection(connection.slot);
  }

  /** The request has been answered, or cannot be. */
  #endRequest(): void {
    const source = this.active?.source;
    if (source !== undefined) {
      source.owner = undefined;
      source.body?.release();
    }
    this.#current = undefined;
    this.streaming = undefined;
    this.#set(Flag.unwindOnLeave, false);
    if (this.#leaveTimer !== 0) this.scheduler.timers.cancel(this.#leaveTimer);
    this.#leaveTimer = 0;
  }

  // The response at hand.

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
      // Behind the response's head it would be too late to invite the body; and its stream may be what the response is made of.
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
    const { writer } = this;
    const { content } = out;
    const framing = this.#flags & framingMask;
    const length = content === null ? 0 : out.length;
    const head = makeHead(out, framing, this.settings.date(), length);
    if (writer.flooded) yield* writer.drain();
    this.#set(Flag.headSent);
    this.#set(Framing.keepAlive, head.keepAlive);
    yield* sendHead(writer, wholeText(head, length));
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
    const { writer, connection } = this;
    const body = this.active?.source.body ?? null;
    if (body !== null && !body.complete)
      throw new ResponseError('the connection cannot be taken over: the request has a body that has not been read');
    if ((this.#flags & Framing.chunked) === 0) throw new ResponseError('an HTTP/1.0 connection cannot be taken over');
    const head = makeUpgradeHead(out);
    if (writer.flooded) yield* writer.drain();
    this.end();
    this.#set(Framing.keepAlive, false);
    yield* sendHead(writer, head);
    this.#endRequest();
    this.#enter('handling');
    connection.reader.timeout = Infinity; // what follows is not a request
    return connection;
  }

  end(): void {
    this.#set(Flag.headSent | Flag.wholeSent);
  }

  sendStatus(wanted: unknown, isHead: boolean): number | undefined {
    return this.connection.finished ? undefined : sendStatus(this.connection, wanted, isHead, this.settings.date());
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

  // The client's leaving.

  /** Its signal is asked for: from now on the request is told when the client leaves. @returns why it has left, if it has */
  onSignalRequested(request: IncomingRequest): unknown {
    const { leftReason } = this;
    if (typeof this.#current === 'string') this.#current = activeRequest(request, requestFrom(request));
    return leftReason;
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
   * The client has sent FIN, and that counts as leaving: `request.signal` is aborted, and a thread unwound. What a plain or
   * async handler still answers is sent, if it comes in time.
   */
  peerEnded(): void {
    if (this.settings.allowHalfOpen || !this.busy || this.#leaveTimer !== 0) return;
    const reason = new ClientLeftError('the client has closed its side of the connection');
    this.abort(reason);
    if (this.#has(Flag.unwindOnLeave)) {
      this.thread?.unwind(reason);
      return;
    }
    this.#leaveTimer = this.scheduler.armIn(this.settings.leaveTimeout, this, 0);
  }

  lost(cause: ConnectionError | undefined): void {
    this.#enter(undefined);
    const reason = new ClientLeftError('the connection to the client is gone', { cause });
    this.abort(reason);
    this.thread?.unwind(reason);
  }

  /** A response whose body may end at any point ends. Others are finished: the response at hand, or the next one, says `Connection: close`. */
  closing(): void {
    endForClose(this);
  }

  /** The handler has not answered in time. */
  timerFired(): void {
    this.#leaveTimer = 0;
    this.thread?.unwind(this.leftReason);
  }

  /**
   * The body of the response is all that is left to be written, by a task. No more of the request is kept than may still be
   * asked for.
   */
  releaseRequest(): void {
    const { active, connection } = this;
    if (active === undefined) return;
    const { source, request } = active;
    if (source.body === null || source.body.complete) connection.releaseIdleHalves();
    if (source.isNeeded || active.trace !== undefined || !(source instanceof H1Request)) {
      const kept = activeRequest(source, request); // without what its handler has returned
      kept.trace = active.trace;
      this.#current = kept;
    } else {
      source.body?.release();
      source.owner = this.streaming; // what has kept it asks there, and hears of this response alone
      this.#current = source.text;
    }
  }
}
