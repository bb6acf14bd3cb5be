// What becomes of bytes on a connection that has no thread: new ones, idle ones, those in the middle of a head. Most requests are
// over here: a head that is whole, a handler that is ordinary code, a response that is small and complete. That is one ordinary
// call from the bytes to the answer, which parks nowhere and leaves nothing behind. Whatever needs more (a body, a promise, a
// thread handler, a stream, a client that is flooded) is handed over to a thread, which goes on in serve-connection.ts from
// there. What both do, they do with the same functions.

import { type Network, SlotState } from '../connection/network.js';
import { requestWork } from '../connection/turn-shares.js';
import type { Slot } from '../event-layer/event-layer.js';
import { captureContext } from '../threads/context.js';
import { callWithoutThread, type Thread, type ThreadlessCall } from '../threads/thread.js';
import { isInstance } from '../util/inspect.js';
import { ConnectionThread } from './connection-thread.js';
import { sendStatus } from './error-response.js';
import { HttpError } from './errors.js';
import { Exchange, type RequestOwner } from './exchange.js';
import type { Request } from './fetch/request.js';
import { requestFrom } from './fetch/request.js';
import { isLightResponse } from './fetch/response.js';
import { Head } from './head.js';
import { HttpConnection } from './http-connection.js';
import { PartialHead } from './partial-head.js';
import { type Output, outgoing, respondAtOnce } from './respond.js';
import { type Framing, responseFraming } from './response-head.js';
import type { ActiveRequest } from './serve-connection.js';
import type { HttpSettings } from './settings.js';

/** A connection that was turned away has this many milliseconds to go: others wait for its place. */
const rejectedLinger = 1000;

export class Http1FastPath implements ThreadlessCall<unknown>, RequestOwner {
  readonly #network: Network;
  readonly #settings: HttpSettings;
  readonly #output: SlotOutput;
  /** Of slots that are in the middle of a head. */
  readonly #partials: (PartialHead | undefined)[] = [];
  /** The head that is being parsed, if it is not one that has come in part before. */
  #head = new Head();
  readonly #framing: Framing = { isHead: false, chunked: true, keepAlive: true, sendKeepAlive: false };

  // Of the call that is under way.
  #slot: Slot = 0;
  #exchange: Exchange | undefined;
  #request: Request | undefined;
  /** It has failed, or what it has returned cannot be sent; and of what. */
  #failed = false;
  #failure: unknown;
  /** What is handed over, if the handler has asked for its thread, and that. */
  #begun: ActiveRequest | undefined;
  #thread: Thread<unknown> | undefined;

  constructor(network: Network, settings: HttpSettings) {
    this.#network = network;
    this.#settings = settings;
    this.#output = new SlotOutput(network, settings);
  }

  /** Bytes have come for a slot that has no thread. They are lent for the duration of the call. */
  received(slot: Slot, bytes: Uint8Array, start: number, end: number): void {
    const partial = this.#partials[slot];
    if (partial === undefined) {
      this.#take(slot, bytes, start, end, undefined);
    } else {
      this.#partials[slot] = undefined;
      if (!this.#add(partial, bytes, start, end)) {
        this.#free(partial);
        this.#refuse(slot, this.#noMemory(partial));
        return;
      }
      this.#take(slot, partial.bytes, partial.start, partial.end, partial);
    }
  }

  /** A connection that has just been accepted may not stay: its client is told why, and it is closed. */
  reject(slot: Slot, status: number, message: string): void {
    this.#output.slot = slot;
    this.#slot = slot;
    this.#settings.refused(new HttpError(status, message), this);
    sendStatus(this.#output, this.#settings, status, false);
    this.#network.linger(slot, Math.min(this.#settings.lingerTimeout, rejectedLinger));
  }

  /** The client has sent FIN, and no thread is there to see it. */
  ended(slot: Slot): void {
    const partial = this.#drop(slot);
    if (partial?.head.begun === true)
      this.#refuse(slot, new HttpError(400, 'RFC 9112 §8: the input ends within a request head', partial.head.isHead));
    else this.#settings.endConnection(slot);
  }

  /** The deadline of a slot has passed that is in the middle of a head. @returns false if it is not in the middle of one */
  expired(slot: Slot): boolean {
    const partial = this.#drop(slot);
    if (partial === undefined) return false;
    const { begun, isHead } = partial.head;
    if (begun) this.#refuse(slot, new HttpError(408, 'RFC 9110 §15.5.9: the head has not come in time', isHead));
    else this.#settings.endConnection(slot);
    return true;
  }

  /** The server's deadline for closing has passed. @returns false if the slot is not in the middle of a head */
  forceClose(slot: Slot): boolean {
    if (this.#drop(slot) === undefined) return false;
    this.#settings.endConnection(slot);
    return true;
  }

  /** The connection is gone. */
  closed(slot: Slot): void {
    this.#drop(slot);
  }

  /** The client of the call that is under way. */
  get peer(): string {
    return this.#network.layer.peer(this.#slot);
  }

  /** Nobody leaves while a call is under way; if it is not the whole of the exchange, that is handed over. */
  onSignalRequested(): unknown {
    return undefined;
  }

  /** The call that is under way, for `callWithoutThread`. */
  run(): unknown {
    try {
      // Both are set by #answer, which is the one to have this run.
      return this.#settings.fetch(this.#request, this.#exchange as Exchange);
    } catch (error) {
      this.#fail(error);
      return undefined;
    }
  }

  #fail(error: unknown): void {
    this.#failed = true;
    this.#failure = error;
  }

  /** Something that the handler has called wants to know its thread: the request is handed over, once the handler has returned. */
  makeThread(): Thread<unknown> {
    const begun = this.#begin();
    this.#begun = begun;
    this.#thread = this.#connect(this.#slot, begun);
    return this.#thread;
  }

  /** Takes what stands in `bytes[start … end-1]`: as many requests as there are, in turn. @param partial whose bytes they are, if they are not lent */
  #take(slot: Slot, bytes: Uint8Array, start: number, end: number, partial: PartialHead | undefined): void {
    const settings = this.#settings;
    const head = partial?.head ?? this.#head;
    const { shares } = this.#network;
    for (let at = start; at < end; ) {
      if (at > start || partial === undefined) head.reset();
      let isWhole: boolean;
      try {
        isWhole = head.parse(bytes, at, end, settings);
      } catch (error) {
        if (partial !== undefined) this.#free(partial);
        this.#refuse(slot, error);
        return;
      }
      if (!isWhole) {
        this.#keep(slot, bytes, at, end, partial);
        return;
      }
      const { length } = head;
      const isPlain =
        !head.chunked && head.contentLength < 0 && !head.asterisk && !shares.isSpent(slot, settings.turnWork);
      if (!isPlain || !this.#answer(slot, head, bytes, at, end)) {
        if (!isPlain) this.#handOver(slot, undefined, bytes, at, end);
        if (partial !== undefined) this.#free(partial);
        return;
      }
      at += length;
    }
    if (partial !== undefined) this.#free(partial);
    this.#settings.markIdle(slot);
  }

  /** Adds to the beginning of a head. @returns whether there is memory for it */
  #add(partial: PartialHead, bytes: Uint8Array, start: number, end: number): boolean {
    const { buffers } = this.#settings;
    const before = partial.size;
    partial.add(bytes, start, end);
    const growth = partial.size - before;
    if (growth > 0) buffers.add(growth);
    return growth === 0 || !buffers.isExceeded;
  }

  #free(partial: PartialHead): void {
    this.#settings.buffers.add(-partial.size);
    partial.free();
  }

  #noMemory({ head }: PartialHead): HttpError {
    this.#settings.buffers.refused++;
    return new HttpError(
      503,
      'RFC 9110 §15.6.4: maxBufferedBytes is reached: there is no memory for a head that comes in part',
      head.isHead,
    );
  }

  /** The beginning of a head has come. */
  #keep(slot: Slot, bytes: Uint8Array, at: number, end: number, partial: PartialHead | undefined): void {
    if (partial !== undefined && at === partial.start) {
      this.#partials[slot] = partial;
      return;
    }
    // Its first bytes: from here on it has so much time.
    const kept = new PartialHead(partial?.head ?? this.#head);
    if (partial === undefined) this.#head = new Head();
    const isKept = this.#add(kept, bytes, at, end);
    if (partial !== undefined) this.#free(partial);
    if (!isKept) {
      this.#free(kept);
      this.#refuse(slot, this.#noMemory(kept));
      return;
    }
    this.#partials[slot] = kept;
    this.#network.setState(slot, SlotState.reading);
    this.#network.setDeadline(slot, this.#network.scheduler.now + this.#settings.headTimeout);
  }

  /** Calls the handler, and sends what it returns if that can be done at once. @returns false if the connection is no longer ours */
  #answer(slot: Slot, head: Head, bytes: Uint8Array, at: number, end: number): boolean {
    const network = this.#network;
    const settings = this.#settings;
    network.setState(slot, SlotState.handling);
    network.shares.spend(slot, requestWork);
    const exchange = new Exchange(this, head, bytes, at, null, settings.defaultHost);
    responseFraming(head, settings.countRequest(slot) || settings.closing, this.#framing);
    this.#slot = slot;
    this.#exchange = exchange;
    this.#request = requestFrom(exchange);
    return settings.context.run(this.#answerInContext, this, slot, exchange, bytes, at + head.length, end);
  }

  /** @param at where what follows the request begins */
  #answerInContext(slot: Slot, exchange: Exchange, bytes: Uint8Array, at: number, end: number): boolean {
    const settings = this.#settings;
    const result = callWithoutThread(this.#network.scheduler, this);
    const thread = this.#thread;
    if (thread === undefined && this.#sendAtOnce(slot, exchange, result)) {
      if (this.#framing.keepAlive) return true;
      settings.endConnection(slot);
      return false;
    }
    const begun = this.#begun ?? this.#begin();
    begun.result = this.#failed ? this.#failure : result;
    begun.failed = this.#failed;
    this.#forget();
    if (thread !== undefined) thread.context = captureContext(); // as the handler has left it
    this.#handOver(slot, begun, bytes, at, end, thread);
    return false;
  }

  /** @returns false if it cannot be sent at once, or what was returned cannot be sent at all: that is for a thread to tell */
  #sendAtOnce(slot: Slot, exchange: Exchange, result: unknown): boolean {
    if (this.#failed || !isLightResponse(result)) return false;
    const settings = this.#settings;
    const framing = this.#framing;
    if (settings.closing) framing.keepAlive = false;
    try {
      const out = outgoing(result);
      this.#output.slot = slot;
      if (!respondAtOnce(this.#output, out, framing, settings.date())) {
        const begun = this.#begin();
        begun.out = out;
        this.#begun = begun;
        return false;
      }
    } catch (error) {
      this.#fail(error);
      return false;
    }
    exchange.origin = undefined;
    exchange.copyBorrowed();
    this.#forget();
    return true;
  }

  #forget(): void {
    this.#exchange = undefined;
    this.#request = undefined;
    this.#failed = false;
    this.#failure = undefined;
    this.#begun = undefined;
    this.#thread = undefined;
  }

  #begin(): ActiveRequest {
    const exchange = this.#exchange as Exchange; // called while there is one
    const request = this.#request as Request;
    exchange.detachText();
    const framing = { ...this.#framing };
    return { exchange, request, framing, body: null, result: undefined, failed: false, out: undefined };
  }

  /** Hands the connection over to a thread, with the bytes that have not been looked at. */
  #handOver(
    slot: Slot,
    begun: ActiveRequest | undefined,
    bytes: Uint8Array,
    at: number,
    end: number,
    made?: Thread<unknown>,
  ): void {
    const thread = made ?? this.#connect(slot, begun);
    const reader = at < end ? this.#network.connection(slot)?.reader : undefined;
    reader?.setBorrowed(bytes, at, end);
    this.#network.scheduler.resume(thread);
    reader?.copyBorrowed();
  }

  #connect(slot: Slot, begun: ActiveRequest | undefined): Thread<unknown> {
    const network = this.#network;
    const settings = this.#settings;
    const connection = new HttpConnection(network, slot, settings, begun);
    if (begun !== undefined) {
      begun.exchange.origin = connection;
    }
    network.attach(connection);
    network.setDeadline(slot, Infinity);
    const thread = new ConnectionThread(connection, settings.reportThread);
    connection.thread = thread;
    return thread;
  }

  #refuse(slot: Slot, error: unknown): void {
    const settings = this.#settings;
    const refusal = isInstance(error, HttpError) ? error : undefined;
    this.#slot = slot;
    if (refusal === undefined) settings.report(error, undefined, this);
    else settings.refused(refusal, this);
    this.#output.slot = slot;
    const { status, isHead } = refusal ?? { status: 500, isHead: false };
    sendStatus(this.#output, settings, status, isHead);
    settings.endConnection(slot);
  }

  #drop(slot: Slot): PartialHead | undefined {
    const partial = this.#partials[slot];
    if (partial === undefined) return undefined;
    this.#partials[slot] = undefined;
    this.#free(partial);
    return partial;
  }
}

/** The output of a slot that has no connection record. */
class SlotOutput implements Output {
  slot: Slot = 0;
  readonly #network: Network;
  readonly #settings: HttpSettings;

  constructor(network: Network, settings: HttpSettings) {
    this.#network = network;
    this.#settings = settings;
  }

  get flooded(): boolean {
    return this.#network.layer.queued(this.slot) >= this.#settings.queuedBytes;
  }

  get output(): Output['output'] {
    return this.#network.output;
  }

  reserve(bytes: number): number {
    return this.#network.layer.reserve(this.slot, bytes);
  }

  commit(end: number): void {
    this.#network.layer.commit(this.slot, end);
  }
}
