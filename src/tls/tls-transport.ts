// TLS as a transport over an event layer. The code above it sees plain bytes, the layer below it sees records.
//
// Output is written into memory of this transport, and sealed when the turn ends or another connection writes. So what a connection writes in a turn
// mostly becomes one record. Input that is the beginning of a record is kept until the rest has arrived.
//
// A connection is a row: flags and a session. It has a third object (`PendingBytes`) only while bytes are kept for it.
//
// Handshakes cost some hundred times as much as requests. Only so many are started in a turn; others keep their input and wait in the order in which
// they have come. They are worked on when all else that the turn has to report has been reported.

import { Buffer } from 'node:buffer';
import { checkReserve, slotClosed, writtenAfterFinish } from '../event-layer/errors.js';
import { ConnectionError, type EventLayer, highWaterMark, pieceSize, type Slot } from '../event-layer/event-layer.js';
import type { SecureTransport, SecureTransportEvents, TransportTimers } from '../event-layer/secure-transport.js';
import { SlotTimeouts } from '../event-layer/slot-timeouts.js';
import type { TlsInfo } from '../event-layer/tls-info.js';
import { type OutputMemory, outputMemory } from '../util/output-memory.js';
import { growTypedArray } from '../util/typed-array.js';
import { Alert, alertSent } from './alerts.js';
import { handshakeCutOff, handshakeTimedOut } from './handshake-errors.js';
import { PendingBytes } from './pending-bytes.js';
import { plainHttpResponse, startsLikeHttp } from './plain-http.js';
import {
  headerBytes,
  majorVersion,
  maxContent,
  maxExpansion,
  maxOverhead,
  Received,
  type TlsEngine,
  type TlsSession,
} from './session.js';

/** Memory for output that is not sealed yet. */
const outputBytes = 2 * pieceSize;

/** Reading is paused when a connection that waits for its handshake has sent so much: a ClientHello is shorter. */
const maxWaitingInput = maxContent;

// What is so of a connection, a bit each.
const present = 1;
const isClient = 2;
/** The handshake is complete, and what that brings about is done. */
const opened = 4;
/** As much output was queued as the high-water mark, and `drained` has not been reported yet. */
const flooded = 8;
/** Reading is paused by the code above. */
const paused = 16;
/** The peer sends no more. */
const peerEnded = 32;
/** `ended` is to be reported when reading is resumed. */
const endsLater = 64;
/** `finish` has been called. */
const finishRequested = 128;
/** `finish` has been passed to the layer below. */
const finSent = 256;
/** The session is broken, or the connection was reset or abandoned: nothing more is received, and output goes nowhere. */
const dead = 512;
/** `closed` has been called in this turn. */
const gone = 1024;
/** It has a `PendingBytes`. */
const hasPending = 2048;
/** The session has been given its first record. */
const started = 4096;
/** The handshake waits: all input is kept. */
const waiting = 8192;
/** It does so no longer for the application: it is in the queue of handshakes. */
const ready = 16_384;
/** Reading is paused because too much input is kept. */
const heldBack = 32_768;

/** Memory of all transports: a process may have one for each server that it connects to. */
interface SharedMemory {
  /** Output that is not sealed yet. */
  readonly output: OutputMemory;
  /** The transport that has written into it last: it seals what is there before another one writes. */
  writer: TlsTransport;
  /** Content of received records. It is delivered before the call that has received it returns. */
  readonly plain: Uint8Array;
}
let shared: SharedMemory | undefined;

export interface TlsTransportOptions {
  /** How many handshakes of servers are started in a turn. Default: no limit. */
  maxHandshakesPerTurn?: number;
  /** How long a handshake may take, in milliseconds. Default: no limit. */
  handshakeTimeout?: number;
  /** For `handshakeTimeout`. */
  timers?: TransportTimers;
}

export class TlsTransport implements SecureTransport {
  readonly #below: EventLayer;
  readonly #engine: TlsEngine;
  #above: SecureTransportEvents | undefined;

  // By slot.
  #flags = new Uint16Array(64);
  #sessions: (TlsSession | undefined)[] = [];
  readonly #pending = new Map<Slot, PendingBytes>();

  #isInTurn = false;
  /** Connections that were resumed and whose end is to be reported in the next turn. */
  #ending: Slot[] = [];
  /** Connections whose session could not seal their output, which is to be reported in the next turn. */
  #failing: Slot[] = [];
  /** Connections that have closed in this turn. */
  #gone: Slot[] = [];

  /** Connections whose handshake may go on, in order, from `#queueStart` on. */
  #queue: Slot[] = [];
  #queueStart = 0;
  readonly #handshakesPerTurn: number;
  #handshakesLeft: number;

  /** Of handshakes that are not complete. */
  readonly #timeouts: SlotTimeouts | undefined;

  readonly #memory: SharedMemory;
  /** Output that is not sealed yet: the first `#written` bytes of the memory for it, of the slot `#writer`; -1 is none. */
  #writer: Slot = -1;
  #written = 0;

  /** Content of received records, on its way to the code above: the first `#filled` bytes of the memory for it. */
  #filled = 0;

  /** @param below records go through it: an event layer */
  constructor(below: EventLayer, engine: TlsEngine, options: TlsTransportOptions = {}) {
    this.#below = below;
    this.#engine = engine;
    this.#handshakesPerTurn = options.maxHandshakesPerTurn ?? Infinity;
    this.#handshakesLeft = this.#handshakesPerTurn;
    const { handshakeTimeout = Infinity, timers } = options;
    if (timers !== undefined && handshakeTimeout !== Infinity)
      this.#timeouts = new SlotTimeouts(
        () => below.now(),
        timers,
        handshakeTimeout,
        (slot) => this.#fail(slot, handshakeTimedOut(handshakeTimeout)),
      );
    shared ??= {
      output: outputMemory(Buffer.alloc(outputBytes)),
      plain: Buffer.alloc(pieceSize + maxContent),
      writer: this,
    };
    this.#memory = shared;
  }

  start(above: SecureTransportEvents): void {
    this.#above = above;
  }

  protocol(slot: Slot): string | undefined {
    return this.tls(slot)?.alpnProtocol;
  }

  tls(slot: Slot): TlsInfo | undefined {
    return this.#sessions[slot]?.info;
  }

  // From above.

  get output(): OutputMemory {
    return this.#memory.output;
  }

  reserve(slot: Slot, bytes: number): number {
    this.#check(slot);
    checkReserve(bytes);
    const memory = this.#memory;
    if (memory.writer !== this) {
      memory.writer.#sealPending();
      memory.writer = this;
    }
    if (this.#writer !== slot || this.#written + bytes > outputBytes) {
      this.#sealPending();
      this.#writer = slot;
    }
    return this.#written;
  }

  commit(slot: Slot, end: number): void {
    const flags = this.#check(slot);
    const length = end - this.#written;
    if ((flags & dead) !== 0) {
      this.#pendingOf(slot).unsent += length;
      return;
    }
    if ((flags & finishRequested) !== 0) throw writtenAfterFinish();
    if ((flags & opened) !== 0) this.#written = end;
    else if (length > 0) this.#addEarly(slot, length);
    if (this.#queued(slot) >= highWaterMark) {
      this.#flags[slot] |= flooded;
      // Only a layer that is flooded itself reports `drained`, and what it has now may leave before the end of the turn.
      if (this.#below.queued(slot) < highWaterMark) this.#sealPending();
    }
    if (!this.#isInTurn) this.#below.requestTurn();
  }

  /** Seals the bytes where they are, and hands each piece to the kernel before the next is sealed: so no more than a piece is ever left to wait. */
  sendNow(slot: Slot, bytes: Uint8Array, start: number, end: number): number {
    const below = this.#below;
    if ((this.#check(slot) & (opened | dead | finishRequested)) !== opened) return 0;
    if (below.queued(slot) > 0) below.push(slot);
    if (below.queued(slot) > 0) return 0;
    if (this.#writer === slot) this.#sealPending(); // goes with the first piece: the head of a response, say
    let at = start;
    do {
      const next = Math.min(end, at + pieceSize);
      this.#sealRecords(slot, bytes, at, next);
      below.push(slot);
      at = next;
    } while (at < end && below.queued(slot) === 0 && (this.#flags[slot] & dead) === 0);
    if (this.#queued(slot) >= highWaterMark) this.#flags[slot] |= flooded;
    return at - start;
  }

  push(slot: Slot): void {
    this.#check(slot);
    if (this.#writer === slot) this.#sealPending();
    this.#below.push(slot);
  }

  queued(slot: Slot): number {
    this.#check(slot);
    return this.#queued(slot);
  }

  #queued(slot: Slot): number {
    const flags = this.#flags[slot];
    const unsent = (flags & hasPending) === 0 ? 0 : (this.#pending.get(slot)?.unsent ?? 0);
    if ((flags & (opened | dead)) === 0) return unsent; // what the layer below has is the handshake
    return this.#below.queued(slot) + this.#unsealed(slot) + unsent;
  }

  /** Bytes of the slot's output that are not sealed yet. */
  #unsealed(slot: Slot): number {
    return this.#writer === slot ? this.#written : 0;
  }

  notifyFlushed(slot: Slot): void {
    this.#check(slot);
    if (this.#writer === slot) this.#sealPending();
    const pending = this.#pending.get(slot);
    if (pending?.early !== undefined) pending.flushes++;
    else this.#below.notifyFlushed(slot);
  }

  pauseReading(slot: Slot): void {
    this.#check(slot);
    this.#flags[slot] |= paused;
    this.#below.pauseReading(slot);
  }

  resumeReading(slot: Slot): void {
    const flags = this.#check(slot);
    this.#flags[slot] &= ~paused;
    if ((flags & heldBack) === 0) this.#below.resumeReading(slot);
    if ((flags & endsLater) === 0) return;
    this.#ending.push(slot);
    this.#below.requestTurn();
  }

  finish(slot: Slot): void {
    const flags = this.#check(slot);
    if ((flags & finishRequested) !== 0) return;
    if (this.#writer === slot) this.#sealPending();
    this.#flags[slot] |= finishRequested;
    if ((flags & (opened | dead)) !== 0) this.#sendEnd(slot); // else when the handshake is complete
  }

  reset(slot: Slot): void {
    this.#check(slot);
    this.#die(slot);
    this.#below.reset(slot);
  }

  abandon(slot: Slot): void {
    this.#check(slot);
    this.#die(slot);
    this.#below.abandon(slot);
  }

  peer(slot: Slot): string {
    return this.#below.peer(slot);
  }

  local(slot: Slot): string {
    return this.#below.local(slot);
  }

  /** Nothing more is received, and output that the layer below does not have goes nowhere. */
  #die(slot: Slot): void {
    this.#flags[slot] |= dead;
    if (this.#writer === slot) this.#written = 0;
    this.#timeouts?.stop(slot);
    this.#dropPending(slot);
  }

  // From below.

  accepted(slot: Slot): void {
    this.#add(slot, present, this.#engine.accept());
    this.#timeouts?.start(slot);
  }

  connecting(slot: Slot): void {
    this.#add(slot, present | isClient | started, this.#engine.connect());
  }

  #add(slot: Slot, flags: number, session: TlsSession): void {
    if (slot >= this.#flags.length) this.#flags = growTypedArray(this.#flags, new Uint16Array(2 * slot));
    while (this.#sessions.length < slot) this.#sessions.push(undefined); // an array without holes
    this.#pending.delete(slot); // of a connection that has closed in this turn
    this.#flags[slot] = flags;
    this.#sessions[slot] = session;
  }

  connected(slot: Slot): void {
    this.#check(slot);
    this.#sendingTo = slot;
    const session = this.#sessionOf(slot);
    session.start(this.#send);
    if (session.failure !== undefined) this.#fail(slot, session.failure);
    else this.#timeouts?.start(slot);
  }

  beginTurn(): void {
    this.#isInTurn = true;
    this.#handshakesLeft = this.#handshakesPerTurn;
    if (this.#failing.length > 0) this.#reportFailing();
    if (this.#ending.length === 0) return;
    const ending = this.#ending;
    this.#ending = [];
    for (const slot of ending) {
      if ((this.#flags[slot] & (paused | endsLater | dead | gone)) !== endsLater) continue;
      this.#flags[slot] &= ~endsLater;
      this.#above?.ended(slot);
    }
  }

  endInput(): void {
    if (this.#queueStart === this.#queue.length) return;
    while (this.#queueStart < this.#queue.length && this.#handshakesLeft > 0) {
      const slot = this.#queue[this.#queueStart++];
      if ((this.#flags[slot] & (ready | dead)) === ready) this.#continueHandshake(slot);
    }
    if (this.#queueStart < this.#queue.length) {
      this.#below.requestTurn();
    } else {
      this.#queue = [];
      this.#queueStart = 0;
    }
  }

  endTurn(): void {
    this.#sealPending();
    this.#writer = -1;
    this.#isInTurn = false;
    if (this.#gone.length === 0) return;
    for (const slot of this.#gone) {
      if ((this.#flags[slot] & gone) === 0) continue; // the slot has its next connection
      this.#pending.delete(slot);
      this.#sessions[slot] = undefined;
      this.#flags[slot] = 0;
    }
    this.#gone = [];
  }

  received(slot: Slot, buffer: Uint8Array, start: number, end: number): void {
    let at = start;
    if ((this.#check(slot) & hasPending) !== 0) at = this.#completeRecord(slot, buffer, start, end);
    if ((this.#flags[slot] & waiting) === 0) at = this.#take(slot, buffer, at, end);
    if (at < end) this.#keepInput(slot, buffer, at, end);
    this.#deliver(slot);
  }

  /** Passes on the record whose beginning is kept. Only as much is copied as completes it: what follows is read in place. @returns where that starts */
  #completeRecord(slot: Slot, buffer: Uint8Array, start: number, end: number): number {
    let at = start;
    for (;;) {
      const pending = this.#pending.get(slot);
      if (at === end || pending === undefined || pending.inputLength === 0) return at;
      if ((this.#flags[slot] & waiting) !== 0) return at;
      const length = recordEnd(pending.input, 0, pending.inputLength);
      const next = Math.min(end, at + length - pending.inputLength);
      this.#keepInput(slot, buffer, at, next);
      at = next;
      const { inputLength } = pending;
      if (inputLength < recordEnd(pending.input, 0, inputLength)) continue;
      const record = this.#takeInput(slot, pending);
      const taken = this.#take(slot, record, 0, record.length);
      if (taken < record.length) this.#keepInput(slot, record, taken, record.length);
    }
  }

  ended(slot: Slot): void {
    const flags = this.#check(slot);
    if ((flags & (dead | peerEnded)) !== 0) return;
    if ((flags & opened) !== 0) {
      // Many peers close without close_notify. What HTTP sends shows by itself where it ends (RFC 9112 §9.8).
      this.#flags[slot] |= peerEnded;
      this.#above?.ended(slot, true);
    } else {
      this.#fail(slot, handshakeCutOff());
    }
  }

  drained(slot: Slot): void {
    if ((this.#check(slot) & (flooded | dead)) !== flooded) return; // records are longer than what was written
    this.#flags[slot] &= ~flooded;
    this.#above?.drained(slot);
  }

  flushed(slot: Slot): void {
    this.#check(slot);
    const hasMore = this.#pending.get(slot)?.early !== undefined || this.#unsealed(slot) > 0;
    if (hasMore) this.notifyFlushed(slot);
    else this.#above?.flushed(slot);
  }

  closed(slot: Slot): void {
    this.#check(slot);
    this.#die(slot);
    if (this.#writer === slot) this.#writer = -1;
    this.#sessionOf(slot).free();
    this.#flags[slot] |= gone;
    this.#gone.push(slot); // the code above, which learns of it next, may still give commands
  }

  /**
   * Takes the whole records in `bytes[start … end-1]`. Their content is in the memory for content afterwards, as far as it was not delivered.
   * @returns where the rest starts; `end` if nothing more is wanted of the peer
   */
  #take(slot: Slot, bytes: Uint8Array, start: number, end: number): number {
    let at = start;
    while (at < end) {
      const flags = this.#flags[slot];
      if ((flags & (dead | peerEnded)) !== 0) return end; // what follows close_notify is ignored (RFC 8446 §6.1)
      const next = recordEnd(bytes, at, end);
      if (next > end) break;
      if ((flags & started) === 0 && !this.#mayStart(slot, bytes, at, end)) {
        if ((this.#flags[slot] & dead) !== 0) return end;
        break;
      }
      this.#sendingTo = slot;
      const received = this.#sessionOf(slot).receive(bytes, at, next, this.#memory.plain, this.#filled, this.#send);
      at = next;
      this.#handle(slot, received);
      if ((this.#flags[slot] & waiting) !== 0) break;
    }
    return at;
  }

  /** What a session has made of a record. */
  #handle(slot: Slot, received: Received): void {
    const session = this.#sessionOf(slot);
    if ((this.#flags[slot] & opened) === 0) {
      this.#countSession(slot, session.memory ?? 0);
      if (session.isOpen) this.#opened(slot, session);
    }
    if (received === Received.content) this.#filled = session.contentEnd;
    if (this.#filled > pieceSize - maxContent || received >= Received.end) this.#deliver(slot);
    if (received === Received.wait) this.#wait(slot, session);
    else if (received >= Received.end && (this.#flags[slot] & dead) === 0) this.#end(slot, received);
  }

  /** The first record of a server's connection has come. @returns false if its handshake waits, or it has none */
  #mayStart(slot: Slot, bytes: Uint8Array, at: number, end: number): boolean {
    if (startsLikeHttp(bytes, at, end)) {
      this.#sendingTo = slot;
      this.#send(plainHttpResponse(this.#below.date()));
      this.#fail(
        slot,
        new ConnectionError('ERR_TLS_PROTOCOL', 'the client speaks HTTP without TLS to a port with TLS'),
      );
      return false;
    }
    if (this.#handshakesLeft > 0 && this.#queueStart === this.#queue.length) {
      this.#handshakesLeft--;
      this.#flags[slot] |= started;
      return true;
    }
    this.#flags[slot] |= waiting;
    this.#enqueue(slot);
    return false;
  }

  /** The handshake waits for the application. */
  #wait(slot: Slot, session: TlsSession): void {
    this.#flags[slot] |= waiting;
    session.whenReady?.(() => {
      if (this.#sessions[slot] === session && (this.#flags[slot] & dead) === 0) this.#enqueue(slot);
    });
  }

  #enqueue(slot: Slot): void {
    this.#flags[slot] |= ready;
    this.#queue.push(slot);
    this.#below.requestTurn();
  }

  #continueHandshake(slot: Slot): void {
    const flags = this.#flags[slot];
    this.#handshakesLeft--;
    this.#flags[slot] = (flags & ~(waiting | ready | heldBack)) | started;
    if ((flags & started) !== 0) {
      this.#sendingTo = slot;
      this.#handle(slot, this.#sessionOf(slot).resume?.(this.#send) ?? Received.nothing);
    }
    const pending = this.#pending.get(slot);
    if (pending !== undefined && pending.inputLength > 0 && (this.#flags[slot] & (waiting | dead)) === 0) {
      const input = this.#takeInput(slot, pending);
      const at = this.#take(slot, input, 0, input.length);
      if (at < input.length) this.#keepInput(slot, input, at, input.length);
    }
    this.#deliver(slot);
    if ((flags & heldBack) !== 0 && (this.#flags[slot] & (paused | heldBack)) === 0) this.#below.resumeReading(slot);
  }

  #deliver(slot: Slot): void {
    const filled = this.#filled;
    this.#filled = 0;
    if (filled > 0 && (this.#flags[slot] & dead) === 0) this.#above?.received(slot, this.#memory.plain, 0, filled);
  }

  /** The peer has ended the session, in order or not. */
  #end(slot: Slot, received: Received): void {
    if (received === Received.failure) {
      this.#fail(slot, this.#sessionOf(slot).failure ?? alertSent(Alert.handshakeFailure));
      return;
    }
    if ((this.#flags[slot] & opened) === 0) {
      const message = 'the peer has ended the TLS session before the handshake was complete';
      this.#fail(slot, new ConnectionError('ECONNRESET', message));
      return;
    }
    this.#flags[slot] |= peerEnded;
    if ((this.#flags[slot] & paused) !== 0) this.#flags[slot] |= endsLater;
    else this.#above?.ended(slot);
  }

  /** The session is broken. An alert may have been sent; the code above gives it time to arrive. */
  #fail(slot: Slot, reason: ConnectionError): void {
    this.#die(slot);
    if ((this.#flags[slot] & heldBack) !== 0) this.#below.resumeReading(slot);
    if ((this.#flags[slot] & (finishRequested | finSent)) === finishRequested) this.#sendEnd(slot); // it has waited for the handshake
    this.#above?.sessionFailed(slot, reason);
  }

  /** The handshake is complete. */
  #opened(slot: Slot, session: TlsSession): void {
    this.#flags[slot] |= opened;
    this.#timeouts?.stop(slot);
    const next = session.detach?.();
    if (next !== undefined) this.#sessions[slot] = next;
    const pending = this.#pending.get(slot);
    if (pending !== undefined) this.#sendEarly(slot, pending);
    if ((this.#flags[slot] & isClient) !== 0) this.#above?.connected(slot);
    else this.#above?.secured(slot);
    if ((this.#flags[slot] & (finishRequested | finSent)) === finishRequested) this.#sendEnd(slot);
  }

  /** Sends what was written before the handshake was complete. */
  #sendEarly(slot: Slot, pending: PendingBytes): void {
    const { early, flushes, memory } = pending;
    if (early === undefined) return;
    const bytes = early.toBytes();
    pending.early = undefined;
    pending.unsent = 0;
    pending.flushes = 0;
    this.#memoryChanged(slot, pending, memory);
    this.#sealRecords(slot, bytes, 0, bytes.length);
    for (let i = 0; i < flushes; i++) this.#below.notifyFlushed(slot);
  }

  // Memory.

  #pendingOf(slot: Slot): PendingBytes {
    let pending = this.#pending.get(slot);
    if (pending === undefined) {
      pending = new PendingBytes();
      this.#pending.set(slot, pending);
      this.#flags[slot] |= hasPending;
    }
    return pending;
  }

  /** @param before the memory it took before */
  #memoryChanged(slot: Slot, pending: PendingBytes, before: number): void {
    const { memory } = pending;
    if (memory !== before) this.#above?.outputHeld?.(slot, memory - before);
    if (!pending.isEmpty) return;
    this.#pending.delete(slot);
    this.#flags[slot] &= ~hasPending;
  }

  /** @param memory bytes that the session takes */
  #countSession(slot: Slot, memory: number): void {
    if (memory === 0 && (this.#flags[slot] & hasPending) === 0) return;
    const pending = this.#pendingOf(slot);
    const before = pending.memory;
    pending.session = memory;
    this.#memoryChanged(slot, pending, before);
  }

  /** Keeps output that was just written until the handshake is complete. */
  #addEarly(slot: Slot, length: number): void {
    const pending = this.#pendingOf(slot);
    const { memory } = pending;
    pending.addEarly(this.#memory.output, this.#written, length);
    this.#memoryChanged(slot, pending, memory);
  }

  #keepInput(slot: Slot, bytes: Uint8Array, start: number, end: number): void {
    const pending = this.#pendingOf(slot);
    const { memory } = pending;
    pending.addInput(bytes, start, end);
    this.#memoryChanged(slot, pending, memory);
    if ((this.#flags[slot] & (waiting | heldBack)) !== waiting || pending.inputLength < maxWaitingInput) return;
    this.#flags[slot] |= heldBack;
    this.#below.pauseReading(slot);
  }

  #takeInput(slot: Slot, pending: PendingBytes): Uint8Array {
    const { memory } = pending;
    const input = pending.takeInput();
    this.#memoryChanged(slot, pending, memory);
    return input;
  }

  #dropPending(slot: Slot): void {
    const pending = this.#pending.get(slot);
    if (pending === undefined) return;
    if (pending.memory > 0) this.#above?.outputHeld?.(slot, -pending.memory);
    this.#pending.delete(slot);
    this.#flags[slot] &= ~hasPending;
  }

  // Output.

  /** Passes what has been written to the layer below, as records. */
  #sealPending(): void {
    const length = this.#written;
    this.#written = 0;
    if (length > 0) this.#sealRecords(this.#writer, this.#memory.output, 0, length);
  }

  #sealRecords(slot: Slot, bytes: Uint8Array, start: number, end: number): void {
    const below = this.#below;
    const session = this.#sessionOf(slot);
    for (let from = start; from < end; from += maxContent) {
      const to = Math.min(end, from + maxContent);
      const at = below.reserve(slot, to - from + maxOverhead);
      below.commit(slot, session.seal(bytes, from, to, below.output, at));
      if (session.failure === undefined) continue;
      // Any command may be the reason that output is sealed, so this is no time for events.
      this.#die(slot);
      this.#failing.push(slot);
      below.requestTurn();
      return;
    }
  }

  #reportFailing(): void {
    const failing = this.#failing;
    this.#failing = [];
    for (const slot of failing) {
      const failure = this.#sessions[slot]?.failure;
      if ((this.#flags[slot] & (dead | gone)) === dead && failure !== undefined) this.#fail(slot, failure);
    }
  }

  /** Sends close_notify, unless the session is broken, and FIN. */
  #sendEnd(slot: Slot): void {
    const below = this.#below;
    const flags = this.#flags[slot];
    this.#flags[slot] |= finSent;
    if ((flags & (opened | dead)) === opened) {
      const at = below.reserve(slot, maxOverhead);
      below.commit(slot, this.#sessionOf(slot).sealEnd(below.output, at));
    }
    below.finish(slot);
  }

  /** The connection whose session is working: `#send` is one function for all. */
  #sendingTo: Slot = -1;

  /** Sends records of the session itself, unless FIN has been passed to the layer below. */
  readonly #send = (records: Uint8Array): void => {
    const below = this.#below;
    const slot = this.#sendingTo;
    if ((this.#check(slot) & finSent) !== 0) return;
    for (let start = 0; start < records.length; start += pieceSize) {
      const part = records.subarray(start, start + pieceSize);
      const at = below.reserve(slot, part.length);
      below.output.set(part, at);
      below.commit(slot, at + part.length);
    }
  };

  /** @returns the flags. @throws {ConnectionError} `ERR_SLOT` if there is no such connection */
  #check(slot: Slot): number {
    const flags = this.#flags[slot];
    if (flags === 0 || flags === undefined) throw slotClosed(slot);
    return flags;
  }

  #sessionOf(slot: Slot): TlsSession {
    const session = this.#sessions[slot];
    if (session === undefined) throw slotClosed(slot);
    return session;
  }
}

/**
 * Where the record ends that starts at `at`: at least one more than `end` if that is not known. A header that no record has is passed to the session
 * by itself, so that it is refused at once, whatever length it claims.
 */
function recordEnd(bytes: Uint8Array, at: number, end: number): number {
  if (end - at < headerBytes) return at + headerBytes;
  const length = (bytes[at + 3] << 8) | bytes[at + 4];
  const isRecord = isContentType(bytes[at]) && bytes[at + 1] === majorVersion && length <= maxContent + maxExpansion;
  return isRecord ? at + headerBytes + length : at + headerBytes;
}

/** change_cipher_spec, alert, handshake, application_data (RFC 8446 §5.1). */
function isContentType(type: number): boolean {
  return type >= 20 && type <= 23;
}
