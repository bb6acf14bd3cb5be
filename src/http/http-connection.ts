// The record of a connection that speaks HTTP: which request it is at, how far the response has gone, and what its client's
// leaving means at that point. It is also the task of the connection's thread: it runs the serving loop, and, in the loop's
// place, what may take long: a handler that waits, the body of a stream. Beneath those the loop would stand for days, for
// nothing, and hold more memory than they do.

import { Connection } from '../connection/connection.js';
import type { Network } from '../connection/network.js';
import type { Reader } from '../connection/reader.js';
import type { Writer } from '../connection/writer.js';
import type { Slot } from '../event-layer/event-layer.js';
import type { Task, Wait } from '../threads/task.js';
import { ClientLeftError, type Exchange } from './exchange.js';
import { HttpFact } from './facts.js';
import type { Request } from './fetch/request.js';
import type { ResponseBody } from './response-body.js';
import { type Begun, conclude, continueConnection, type InPlace, serveConnection } from './serve-connection.js';
import type { HttpSettings } from './settings.js';

const over: IteratorResult<Wait, void> = { done: true, value: undefined };

export class HttpConnection extends Connection implements Task<void>, Iterator<Wait, void, void> {
  /** The request that is being handled. */
  exchange: Exchange | undefined;
  /** The same as the handler has got it. */
  request: Request | undefined;
  /** What the handler has returned is waited for. */
  begun: Begun | undefined;
  /** The response's body is written by a task of the user's. */
  streaming: ResponseBody | undefined;
  /** Requests answered, or begun, since others have had their turn. */
  answered = 0;
  readonly #settings: HttpSettings;
  /** The timer that ends the wait for an async handler whose client has left; 0 is none. */
  #leaveTimer = 0;
  /** What runs: the serving loop, or what it has left its place to. */
  #running: Iterator<Wait, unknown, void>;

  /** @param begun the first request, if its handler has been called already */
  constructor(network: Network, slot: Slot, settings: HttpSettings, begun: Begun | undefined) {
    super(network, slot);
    this.#settings = settings;
    this.exchange = begun?.exchange;
    this.request = begun?.request;
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

  /**
   * The client has sent FIN, and that counts as leaving: `request.signal` is aborted, and a thread unwound. What a plain or
   * async handler still answers is sent, if it comes in time.
   */
  clientEnded(): void {
    if (this.#settings.allowHalfOpen || this.exchange === undefined || this.#leaveTimer !== 0) return;
    const reason = new ClientLeftError('the client has closed its side of the connection');
    this.exchange.abort(reason);
    if (this.is(HttpFact.unwindOnLeave)) {
      this.thread?.unwind(reason);
      return;
    }
    this.#leaveTimer = this.network.scheduler.armIn(this.#settings.leaveTimeout, this, 0);
  }

  /** The handler has not answered in time. */
  timerFired(): void {
    this.#leaveTimer = 0;
    this.thread?.unwind(this.exchange?.aborted);
  }

  /** From here on the client's leaving unwinds the thread; if it has left already, that happens where the thread next parks. */
  unwindWhenLeft(): void {
    this.note(HttpFact.unwindOnLeave);
    if (this.exchange?.aborted !== undefined) this.thread?.unwind(this.exchange.aborted);
  }

  /** Nothing of the response's body is to be written any more. */
  endStreaming(): void {
    if (this.streaming !== undefined) this.streaming.over = true;
    this.streaming = undefined;
  }

  /** The request has been answered, or cannot be. */
  endExchange(): void {
    this.exchange = undefined;
    this.request = undefined;
    this.note(HttpFact.unwindOnLeave, false);
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
    this.note(HttpFact.returning);
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
        const next = this.is(HttpFact.returning) ? undefined : this.follow(step.value);
        if (next === undefined) {
          conclude(this, this.#settings);
          return over;
        }
        this.#running = next[Symbol.iterator]();
        this.note(HttpFact.inPlace, !this.is(HttpFact.inPlace));
        step = this.#running.next();
      }
      return step;
    } catch (error) {
      conclude(this, this.#settings, { error });
      return over;
    }
  }

  /** What is to run next. @param value what that has returned which ran until now */
  private follow(value: unknown): Task<unknown> | undefined {
    if (this.is(HttpFact.inPlace)) return continueConnection(this, this.#settings, value);
    return value as InPlace | undefined; // it was the loop
  }
}
