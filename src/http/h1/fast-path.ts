// Requests on connections without a thread: new ones, idle ones, and those with an incomplete head. Most requests are answered here, in one ordinary call
// from the bytes to the response, which never parks: the head is complete, the handler returns a response, and the response is small and complete.
// Any other request (with a body, a promise, a thread handler, a stream, a flooded client) continues in a thread from where it is: see
// h1-connection.ts. Both use handle.ts.

import { Connection } from '../../connection/connection.js';
import { requestWork } from '../../connection/turn-shares.js';
import type { Slot } from '../../event-layer/event-layer.js';
import type { TlsInfo } from '../../event-layer/tls-info.js';
import type { Transport } from '../../event-layer/transport.js';
import { captureContext } from '../../threads/context.js';
import { callWithoutThread, currentThread, type Thread, type ThreadlessCall } from '../../threads/thread.js';
import { isInstance } from '../../util/inspect.js';
import type { OutputMemory } from '../../util/output-memory.js';
import { HttpError } from '../errors.js';
import { type ActiveRequest, activeRequest, type Responder } from '../exchange.js';
import { requestFrom } from '../fetch/request.js';
import { answerAtOnce, callHandler } from '../handle.js';
import type { RequestOwner } from '../incoming-request.js';
import type { OutgoingResponse } from '../outgoing.js';
import { H1Connection } from './h1-connection.js';
import { H1Request } from './h1-request.js';
import { Head } from './head.js';
import type { PartialHead } from './partial-head.js';
import { PartialHeads } from './partial-heads.js';
import { type Output, respondAtOnce, Sent, sendStatus } from './respond.js';
import { Framing, responseFraming } from './response-head.js';
import type { H1Settings } from './settings.js';

export class H1FastPath implements ThreadlessCall<unknown>, RequestOwner, Responder, Output {
  readonly #settings: H1Settings;
  readonly #transport: Transport;
  readonly #partials: PartialHeads;
  /** Reused for every head that is complete in one piece. */
  #head = new Head();

  // The current exchange. It ends with the call, or continues in a thread.
  #slot: Slot = 0;
  #active: ActiveRequest | undefined;
  #isHandling = false;
  /** Bits of `Framing`. */
  #framing = 0;
  /** Set if code called by the handler has asked for the current thread: the request continues on this connection. */
  #connection: H1Connection | undefined;

  constructor(settings: H1Settings) {
    this.#settings = settings;
    this.#transport = settings.transport;
    this.#partials = new PartialHeads(settings.buffers);
  }

  /** How many connections have an incomplete head. */
  get reading(): number {
    return this.#partials.count;
  }

  /** How many requests are being handled here: one or none. */
  get handling(): number {
    return this.#isHandling && this.#connection === undefined ? 1 : 0;
  }

  /** Whether the slot has an incomplete head. */
  isReading(slot: Slot): boolean {
    return this.#partials.has(slot);
  }

  /** Bytes have arrived for a slot without a thread. They are valid only during the call. */
  received(slot: Slot, bytes: Uint8Array, start: number, end: number): void {
    const partial = this.#partials.take(slot);
    if (partial === undefined) {
      this.#handleAll(slot, bytes, start, end, undefined);
    } else if (this.#partials.add(partial, bytes, start, end)) {
      this.#handleAll(slot, partial.bytes, partial.start, partial.end, partial);
    } else {
      this.#partials.free(partial);
      this.#refuseAndClose(slot, this.#countRefusal(partial.head));
    }
  }

  /** The thread of a connection has ended, and part of the next request has arrived. @param head the parser's state after these bytes */
  takeBack(slot: Slot, bytes: Uint8Array, start: number, end: number, head: Head | undefined): void {
    if (head === undefined) this.received(slot, bytes, start, end);
    else this.#startPartial(slot, head, bytes, start, end);
  }

  /**
   * A connection has been given back with further input. It continues in a thread, as this may be called outside of a turn.
   * @param hasEnded the client has sent FIN behind these bytes
   */
  takeBackInThread(slot: Slot, bytes: Uint8Array, hasEnded: boolean): void {
    const connection = this.#connect(slot);
    if (hasEnded) connection.reader.end(false);
    this.#handOver(connection, bytes, 0, bytes.length);
  }

  /** Sends the status for a connection that exceeds a limit. The caller closes it. */
  sendRejection(slot: Slot, status: number, message: string): void {
    this.#slot = slot;
    this.#settings.reportRefusal(new HttpError(status, message), this);
    sendStatus(this, status, false, this.#settings.date());
  }

  /** The client of a slot without a thread has sent FIN. */
  ended(slot: Slot): void {
    const head = this.#partials.drop(slot);
    if (head?.hasStarted === true)
      this.#refuseAndClose(slot, new HttpError(400, 'RFC 9112 §8: the input ends within a request head', head.isHead));
    else this.#settings.endConnection(slot);
  }

  /** The deadline of the slot has passed. @returns false if it has no incomplete head */
  expired(slot: Slot): boolean {
    const head = this.#partials.drop(slot);
    if (head === undefined) return false;
    const { hasStarted, isHead } = head;
    if (hasStarted)
      this.#refuseAndClose(slot, new HttpError(408, 'RFC 9110 §15.5.9: the head has not arrived in time', isHead));
    else this.#settings.endConnection(slot);
    return true;
  }

  /** The server's deadline for closing has passed. @returns false if the slot has no incomplete head */
  forceClose(slot: Slot): boolean {
    if (this.#partials.drop(slot) === undefined) return false;
    this.#settings.endConnection(slot);
    return true;
  }

  /** The connection has closed. */
  closed(slot: Slot): void {
    this.#partials.drop(slot);
  }

  /** Handles the requests in `bytes[start … end-1]`, one after the other. @param partial the incomplete head that owns the bytes; undefined if they are borrowed */
  #handleAll(slot: Slot, bytes: Uint8Array, start: number, end: number, partial: PartialHead | undefined): void {
    const settings = this.#settings;
    const { shares } = settings.network;
    let head = partial?.head ?? this.#head;
    for (let at = start; at < end; at += head.length) {
      if (at > start || partial === undefined) {
        if (shares.isSpent(slot, settings.turnWork)) {
          this.#handOver(this.#connect(slot), bytes, at, end); // the rest waits for the next turn
          break;
        }
        head = this.#head;
        head.reset();
      }
      let isWhole: boolean;
      try {
        isWhole = head.parse(bytes, at, end, settings);
      } catch (error) {
        this.#refuseAndClose(slot, error);
        break;
      }
      if (!isWhole) {
        if (partial !== undefined && at === start) {
          this.#partials.put(slot, partial);
          return;
        }
        this.#head = new Head();
        this.#startPartial(slot, head, bytes, at, end);
        break;
      }
      if (!this.#handleOne(slot, head, bytes, at, end)) break;
      if (at + head.length >= end) settings.markIdle(slot);
    }
    if (partial !== undefined) this.#partials.free(partial);
  }

  /** Keeps an incomplete head. `headTimeout` starts. */
  #startPartial(slot: Slot, head: Head, bytes: Uint8Array, start: number, end: number): void {
    const partial = this.#partials.start(head, bytes, start, end);
    if (partial === undefined) {
      this.#refuseAndClose(slot, this.#countRefusal(head));
      return;
    }
    const { network, headTimeout } = this.#settings;
    this.#partials.put(slot, partial);
    network.release(slot);
    network.setDeadline(slot, network.scheduler.now + headTimeout);
  }

  #countRefusal(head: Head): HttpError {
    this.#settings.buffers.refused++;
    return new HttpError(
      503,
      'RFC 9110 §15.6.4: maxBufferedBytes is reached: there is no memory for an incomplete head',
      head.isHead,
    );
  }

  /** Answers a request at once, or lets a thread continue with it. @returns false if the caller must not continue with the connection */
  #handleOne(slot: Slot, head: Head, bytes: Uint8Array, at: number, end: number): boolean {
    const settings = this.#settings;
    const { shares } = settings.network;
    shares.spend(slot, requestWork);
    const isLast = settings.countRequest(slot) || settings.closing;
    if (head.chunked || head.contentLength >= 0 || head.asterisk) {
      const connection = this.#connect(slot);
      connection.startRequest(head, bytes, at, isLast);
      this.#handOver(connection, bytes, at + head.length, end);
      return false;
    }
    const source = new H1Request(this, head, bytes, at, null, settings);
    this.#slot = slot;
    this.#framing = responseFraming(head, isLast);
    const active = activeRequest(source, requestFrom(source));
    this.#active = active;
    return settings.context.run(this.#callAndRespond, this, active, bytes, at + head.length, end);
  }

  /** @param at the end of the request */
  #callAndRespond(active: ActiveRequest, bytes: Uint8Array, at: number, end: number): boolean {
    const settings = this.#settings;
    const slot = this.#slot;
    const { source } = active;
    this.#isHandling = true;
    callWithoutThread(settings.network.scheduler, this);
    this.#isHandling = false;
    if (this.#connection === undefined && answerAtOnce(settings, this, active)) {
      this.#active = undefined;
      source.end(true);
      source.copyBorrowed();
      if ((this.#framing & Framing.keepAlive) !== 0) return true;
      settings.endConnection(slot);
      return false;
    }
    const threadConnection = this.#connection;
    const connection = threadConnection ?? this.#begin();
    this.#active = undefined;
    this.#connection = undefined;
    if (threadConnection?.thread !== undefined) threadConnection.thread.context = captureContext(); // including what the handler has entered
    this.#handOver(connection, bytes, at, end);
    return false;
  }

  /** Calls the handler, for `callWithoutThread`. */
  run(): unknown {
    if (this.#active !== undefined) callHandler(this.#settings, this.#active);
    return undefined;
  }

  /** Code called by the handler needs the current thread: creates one, in which the request continues after the handler has returned. */
  makeThread(): Thread<unknown> {
    this.#connection = this.#begin();
    return this.#connection.thread as Thread<unknown>; // an H1Connection creates it
  }

  /** Creates the connection on which the current request continues in a thread. */
  #begin(): H1Connection {
    const connection = this.#connect(this.#slot);
    const active = this.#active;
    if (active !== undefined) {
      active.source.detachBorrowed();
      active.source.owner = connection;
      connection.continueRequest(active, this.#framing);
    }
    return connection;
  }

  #connect(slot: Slot): H1Connection {
    const settings = this.#settings;
    const { network } = settings;
    const connection = new Connection(settings, slot);
    network.attach(connection);
    network.setDeadline(slot, Infinity);
    return new H1Connection(connection);
  }

  /** Resumes the thread of a connection, with `bytes[at … end-1]` as input. */
  #handOver({ connection, thread }: H1Connection, bytes: Uint8Array, at: number, end: number): void {
    const reader = at < end ? connection.reader : undefined;
    reader?.setBorrowed(bytes, at, end);
    if (thread !== undefined) this.#settings.network.scheduler.resume(thread);
    reader?.copyBorrowed();
  }

  #refuseAndClose(slot: Slot, error: unknown): void {
    const settings = this.#settings;
    const refusal = isInstance(error, HttpError) ? error : undefined;
    this.#slot = slot;
    if (refusal === undefined) settings.report(error, undefined, this);
    else settings.reportRefusal(refusal, this);
    const { status, isHead } = refusal ?? { status: 500, isHead: false };
    sendStatus(this, status, isHead, settings.date());
    settings.endConnection(slot);
  }

  // The members of `RequestOwner`, `Responder` and `Output` (of `ThreadlessCall` see `run`), for the current exchange.

  get peer(): string {
    return this.#transport.peer(this.#slot);
  }

  get tls(): TlsInfo | undefined {
    return this.#transport.tls?.(this.#slot);
  }

  /** The client cannot leave during the call. If the exchange continues afterwards, the request has another owner. */
  onSignalRequested(): unknown {
    return undefined;
  }

  /** The request continues in a thread, which has the timeouts. */
  limitPauses(milliseconds: number): void {
    currentThread(); // calls `makeThread`
    this.#connection?.limitPauses(milliseconds);
  }

  respondAtOnce(out: OutgoingResponse): boolean {
    const settings = this.#settings;
    if (settings.closing) this.#framing &= ~Framing.keepAlive;
    const sent = respondAtOnce(this, out, this.#framing, settings.date());
    if (sent === Sent.close) this.#framing &= ~Framing.keepAlive;
    return sent !== Sent.not;
  }

  get writable(): number {
    return Math.max(0, this.#settings.queuedBytes - this.#transport.queued(this.#slot));
  }

  get output(): OutputMemory {
    return this.#transport.output;
  }

  reserve(bytes: number): number {
    return this.#transport.reserve(this.#slot, bytes);
  }

  commit(end: number): void {
    this.#transport.commit(this.#slot, end);
  }
}
