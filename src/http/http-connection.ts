// The record of a connection that speaks HTTP: which request it is at, how far the response has gone, and what its client's
// leaving means at that point. It is also the task of the connection's thread: it runs the serving loop, and, in the loop's
// place, what may take long: a handler that waits, the body of a stream. Beneath those the loop would stand for days, for
// nothing, and hold more memory than they do.

import { Connection } from '../connection/connection.js';
import type { Network } from '../connection/network.js';
import type { Reader } from '../connection/reader.js';
import type { Writer } from '../connection/writer.js';
import type { Slot } from '../event-layer/event-layer.js';
import { captureContext, enterableContext } from '../threads/context.js';
import { clarified, UnwindSignal } from '../threads/errors.js';
import type { Task, Wait } from '../threads/task.js';
import { isInstance } from '../util/inspect.js';
import { HttpConnectionFlag } from './connection-flags.js';
import { ClientLeftError, type Exchange, type RequestOwner, reparseExchange } from './exchange.js';
import { type Request, requestFrom } from './fetch/request.js';
import type { ResponseBody } from './response-body.js';
import {
  type ActiveRequest,
  type Continuation,
  conclude,
  continueConnection,
  serveConnection,
} from './serve-connection.js';
import type { HttpSettings } from './settings.js';

const over: IteratorResult<Wait, void> = { done: true, value: undefined };

/** A request, and the same as its handler has got it. */
export interface RequestRef {
  readonly exchange: Exchange;
  readonly request: Request;
}

export class HttpConnection extends Connection implements RequestOwner, Task<void>, Iterator<Wait, void, void> {
  /**
   * The request at hand. While its response is streamed and nobody asks for more, the text of its head: a stream may last for
   * days, and that takes the least.
   */
  #requestRef: RequestRef | string | undefined;
  /** What the response's body is written to by a task of the user's, until the request is over. */
  streaming: ResponseBody | undefined;
  readonly #settings: HttpSettings;
  /** The timer that ends the wait for an async handler whose client has left; 0 is none. */
  #leaveTimer = 0;
  /** What runs: the serving loop, or what it has left its place to. */
  #running: Iterator<Wait, unknown, void>;

  /** @param begun the first request, if its handler has been called already */
  constructor(network: Network, slot: Slot, settings: HttpSettings, begun: ActiveRequest | undefined) {
    super(network, slot);
    this.#settings = settings;
    this.#requestRef = begun;
    this.#running = serveConnection(this, settings, begun)[Symbol.iterator]();
  }

  protected override makeReader(): Reader {
    const reader = super.makeReader();
    reader.timeout = this.#settings.bodyTimeout;
    return reader;
  }

  protected override makeWriter(): Writer {
    const writer = super.makeWriter();
    writer.timeout = this.#settings.writeTimeout;
    return writer;
  }

  override get queuedBytes(): number {
    return this.#settings.queuedBytes;
  }

  override get writeRate(): number {
    return this.#settings.writeRate;
  }

  /** There is a request at hand. */
  get busy(): boolean {
    return this.#requestRef !== undefined;
  }

  /** The request at hand, as long as all of it is kept. */
  get requestRef(): RequestRef | undefined {
    return typeof this.#requestRef === 'string' ? undefined : this.#requestRef;
  }

  /** The request at hand as it came. Where no more than its text is kept, it is made anew each time. */
  get exchange(): Exchange | undefined {
    const asked = this.#requestRef;
    return typeof asked === 'string' ? reparseExchange(this, asked, this.#settings) : asked?.exchange;
  }

  /** The request at hand as its handler has got it. Where no more than its text is kept, it is made anew, and kept from then on. */
  get request(): Request | undefined {
    if (typeof this.#requestRef === 'string')
      this.onSignalRequested(reparseExchange(this, this.#requestRef, this.#settings));
    return this.requestRef?.request;
  }

  /** Why the client of the request at hand counts as gone, if it does. */
  get left(): unknown {
    return this.requestRef?.exchange.aborted ?? this.streaming?.left;
  }

  /** A request has come, and its handler is to be called. */
  startRequest(asked: RequestRef): void {
    this.#requestRef = asked;
  }

  /**
   * The body of the response is all that is left to be written, by a task. No more of the request is kept than somebody may still
   * ask for.
   */
  releaseRequest(): void {
    const { requestRef } = this;
    if (requestRef === undefined) return;
    const { exchange, request } = requestRef;
    if (exchange.isNeeded) {
      this.#requestRef = { exchange, request }; // and not what its handler has returned
    } else {
      exchange.body?.release();
      exchange.origin = this.streaming; // whoever has kept it asks there, and hears of this response alone
      this.#requestRef = exchange.text;
    }
  }

  /** Its signal is asked for: from now on the exchange is told when the client leaves. @returns why it has left, if it has */
  onSignalRequested(exchange: Exchange): unknown {
    const { left } = this;
    if (typeof this.#requestRef === 'string') this.#requestRef = { exchange, request: requestFrom(exchange) };
    return left;
  }

  /** The client has left: whoever works on its request is told, once. */
  abort(reason: unknown): void {
    const { requestRef, thread } = this;
    const context = thread?.context ?? captureContext();
    if (requestRef !== undefined)
      enterableContext(context).runInAsyncScope(requestRef.exchange.abort, requestRef.exchange, reason);
    this.streaming?.abort(reason);
  }

  /**
   * The client has sent FIN, and that counts as leaving: `request.signal` is aborted, and a thread unwound. What a plain or
   * async handler still answers is sent, if it comes in time.
   */
  clientEnded(): void {
    if (this.#settings.allowHalfOpen || !this.busy || this.#leaveTimer !== 0) return;
    const reason = new ClientLeftError('the client has closed its side of the connection');
    this.abort(reason);
    if (this.hasFlag(HttpConnectionFlag.unwindOnLeave)) {
      this.thread?.unwind(reason);
      return;
    }
    this.#leaveTimer = this.network.scheduler.armIn(this.#settings.leaveTimeout, this, 0);
  }

  /** The handler has not answered in time. */
  timerFired(): void {
    this.#leaveTimer = 0;
    this.thread?.unwind(this.left);
  }

  /** From here on the client's leaving unwinds the thread; if it has left already, that happens where the thread next parks. */
  unwindWhenLeft(): void {
    this.setFlag(HttpConnectionFlag.unwindOnLeave);
    const { left } = this;
    if (left !== undefined) this.thread?.unwind(left);
  }

  /** The request has been answered, or cannot be. */
  endExchange(): void {
    const { requestRef } = this;
    if (requestRef !== undefined) {
      requestRef.exchange.origin = undefined;
      requestRef.exchange.body?.release();
    }
    this.#requestRef = undefined;
    this.streaming = undefined;
    this.setFlag(HttpConnectionFlag.unwindOnLeave, false);
    if (this.#leaveTimer !== 0) this.network.scheduler.timers.cancel(this.#leaveTimer);
    this.#leaveTimer = 0;
  }

  // The task of the connection's thread.

  [Symbol.iterator](): this {
    return this;
  }

  next(): IteratorResult<Wait, void> {
    return this.advance((running) => running.next());
  }

  return(): IteratorResult<Wait, void> {
    this.setFlag(HttpConnectionFlag.returning);
    return this.advance((running) => running.return?.() ?? over);
  }

  throw(error: unknown): IteratorResult<Wait, void> {
    return this.advance((running) => {
      if (running.throw === undefined) throw error;
      return running.throw(error);
    });
  }

  // Not with `#`: methods that are private so take 8 bytes of each object.
  private advance(
    move: (running: Iterator<Wait, unknown, void>) => IteratorResult<Wait, unknown>,
  ): IteratorResult<Wait, void> {
    try {
      let step = move(this.#running);
      while (step.done) {
        const next = this.hasFlag(HttpConnectionFlag.returning) ? undefined : this.nextTask(step.value);
        if (next === undefined) {
          conclude(this, this.#settings);
          return over;
        }
        this.#running = next[Symbol.iterator]();
        this.setFlag(HttpConnectionFlag.runningContinuation, !this.hasFlag(HttpConnectionFlag.runningContinuation));
        step = this.#running.next();
      }
      return step;
    } catch (error) {
      conclude(this, this.#settings, isInstance(error, UnwindSignal) ? undefined : { error: clarified(error) });
      return over;
    }
  }

  /** What is to run next. @param value what that has returned which ran until now */
  private nextTask(value: unknown): Task<unknown> | undefined {
    if (this.hasFlag(HttpConnectionFlag.runningContinuation)) return continueConnection(this, this.#settings, value);
    return value as Continuation | undefined; // it was the loop
  }
}
