// TLS as a transport over an event layer. The code above it sees plain bytes, the layer below it sees records.
//
// Output is written into memory of this transport, and sealed when the turn ends or another connection writes. So what a connection writes in a turn
// mostly becomes one record. Input that is the beginning of a record is kept until the rest has arrived.

import { Buffer } from 'node:buffer';
import { checkReserve, slotClosed, writtenAfterFinish } from '../event-layer/errors.js';
import { ConnectionError, type EventLayer, highWaterMark, pieceSize, type Slot } from '../event-layer/event-layer.js';
import type { SecureTransport, SecureTransportEvents } from '../event-layer/secure-transport.js';
import { ByteBuilder } from '../util/byte-builder.js';
import { type OutputMemory, outputMemory } from '../util/output-memory.js';
import { Alert, alertSent } from './alerts.js';
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

const nothing = new Uint8Array(0);

/** The memory for the beginning of a record has at least so many bytes, most of which is its header. */
const smallestPartial = 64;

/** Memory for output that is not sealed yet. */
const outputBytes = 2 * pieceSize;

/** One connection. */
class TlsConnection {
  readonly session: TlsSession;
  readonly isClient: boolean;
  /** The beginning of a record: the first `held` bytes of it. */
  partial: Uint8Array = nothing;
  held = 0;
  /** Output that was written before the handshake was complete. */
  early: ByteBuilder | undefined;
  /** Bytes of output that count as queued, and that the layer below does not have: those of `early`, and those that were dropped. */
  unsent = 0;
  /** How often `flushed` is to be reported when `early` has left. */
  flushes = 0;
  /** As much output was queued as the high-water mark, and `drained` has not been reported yet. */
  isFlooded = false;
  /** Reading is paused. */
  isPaused = false;
  /** The peer sends no more. */
  peerEnded = false;
  /** `ended` is to be reported when reading is resumed. */
  endsLater = false;
  /** `finish` has been called. */
  finishRequested = false;
  /** `finish` has been passed to the layer below. */
  finSent = false;
  /** The session is broken, or the connection was reset or abandoned: nothing more is received, and output goes nowhere. */
  isDead = false;

  constructor(session: TlsSession, isClient: boolean) {
    this.session = session;
    this.isClient = isClient;
  }

  /** Bytes of memory that are held for it. */
  get memory(): number {
    return this.partial.length + (this.early?.capacity ?? 0);
  }

  /** How many bytes are missing of the record whose beginning is held, or at first of its header. */
  get missing(): number {
    return recordEnd(this.partial, 0, this.held) - this.held;
  }

  /** Appends to the beginning of a record. Takes at most twice as much memory as the peer has sent, so that it cannot claim any by a length alone. */
  hold(bytes: Uint8Array, start: number, end: number): void {
    const held = this.held + end - start;
    if (held > this.partial.length) {
      const larger = new Uint8Array(Math.max(smallestPartial, 2 * held));
      larger.set(this.partial.subarray(0, this.held));
      this.partial = larger;
    }
    this.partial.set(bytes.subarray(start, end), this.held);
    this.held = held;
  }

  /** @returns the record, which is complete */
  release(): Uint8Array {
    const record = this.partial.subarray(0, this.held);
    this.partial = nothing;
    this.held = 0;
    return record;
  }
}

export class TlsTransport implements SecureTransport {
  readonly #below: EventLayer;
  readonly #engine: TlsEngine;
  #above: SecureTransportEvents | undefined;
  readonly #connections = new Map<Slot, TlsConnection>();
  #isInTurn = false;
  /** Connections that were resumed and whose end is to be reported in the next turn. */
  #ending: Slot[] = [];

  /** Connections that have closed in this turn. */
  #gone: { slot: Slot; connection: TlsConnection }[] = [];

  readonly #output: OutputMemory = outputMemory(Buffer.alloc(outputBytes));
  /** Output that is not sealed yet: `#output[0 … #written-1]`, of the slot `#writer`; -1 is none. */
  #writer: Slot = -1;
  #written = 0;

  /** Content of received records, on its way to the code above: the first `#filled` bytes. */
  readonly #plain = Buffer.alloc(pieceSize + maxContent);
  #filled = 0;

  /** @param below records go through it: an event layer */
  constructor(below: EventLayer, engine: TlsEngine) {
    this.#below = below;
    this.#engine = engine;
  }

  start(above: SecureTransportEvents): void {
    this.#above = above;
  }

  protocol(slot: Slot): string | undefined {
    return this.#connections.get(slot)?.session.protocol;
  }

  // From above.

  get output(): OutputMemory {
    return this.#output;
  }

  reserve(slot: Slot, bytes: number): number {
    this.#connectionOf(slot); // throws if there is none
    checkReserve(bytes);
    if (this.#writer !== slot || this.#written + bytes > outputBytes) {
      this.#sealPending();
      this.#writer = slot;
    }
    return this.#written;
  }

  commit(slot: Slot, end: number): void {
    const connection = this.#connectionOf(slot);
    const length = end - this.#written;
    if (connection.isDead) {
      connection.unsent += length;
      return;
    }
    if (connection.finishRequested) throw writtenAfterFinish();
    if (connection.session.isOpen) this.#written = end;
    else this.#addEarly(slot, connection, length);
    if (this.#queued(slot, connection) >= highWaterMark) {
      connection.isFlooded = true;
      // Only a layer that is flooded itself reports `drained`, and what it has now may leave before the end of the turn.
      if (this.#below.queued(slot) < highWaterMark) this.#sealPending();
    }
    if (!this.#isInTurn) this.#below.requestTurn();
  }

  queued(slot: Slot): number {
    return this.#queued(slot, this.#connectionOf(slot));
  }

  #queued(slot: Slot, { session, isDead, unsent }: TlsConnection): number {
    if (!session.isOpen && !isDead) return unsent; // what the layer below has is the handshake
    return this.#below.queued(slot) + this.#unsealed(slot) + unsent;
  }

  /** Bytes of the slot's output that are not sealed yet. */
  #unsealed(slot: Slot): number {
    return this.#writer === slot ? this.#written : 0;
  }

  notifyFlushed(slot: Slot): void {
    const connection = this.#connectionOf(slot);
    if (this.#writer === slot) this.#sealPending();
    if (connection.early !== undefined) connection.flushes++;
    else this.#below.notifyFlushed(slot);
  }

  pauseReading(slot: Slot): void {
    this.#connectionOf(slot).isPaused = true;
    this.#below.pauseReading(slot);
  }

  resumeReading(slot: Slot): void {
    const connection = this.#connectionOf(slot);
    connection.isPaused = false;
    this.#below.resumeReading(slot);
    if (!connection.endsLater) return;
    this.#ending.push(slot);
    this.#below.requestTurn();
  }

  finish(slot: Slot): void {
    const connection = this.#connectionOf(slot);
    if (connection.finishRequested) return;
    if (this.#writer === slot) this.#sealPending();
    connection.finishRequested = true;
    if (connection.session.isOpen || connection.isDead) this.#sendEnd(slot, connection); // else when the handshake is complete
  }

  reset(slot: Slot): void {
    this.#discardOutput(slot, this.#connectionOf(slot));
    this.#below.reset(slot);
  }

  abandon(slot: Slot): void {
    this.#discardOutput(slot, this.#connectionOf(slot));
    this.#below.abandon(slot);
  }

  peer(slot: Slot): string {
    return this.#below.peer(slot);
  }

  /** Nothing more is received, and output that the layer below does not have goes nowhere. */
  #discardOutput(slot: Slot, connection: TlsConnection): void {
    connection.isDead = true;
    if (this.#writer === slot) this.#written = 0;
    connection.unsent = 0;
    this.#freeMemory(slot, connection);
  }

  // From below.

  accepted(slot: Slot): void {
    this.#connections.set(slot, new TlsConnection(this.#engine.accept(), false));
  }

  connecting(slot: Slot): void {
    this.#connections.set(slot, new TlsConnection(this.#engine.connect(), true));
  }

  connected(slot: Slot): void {
    this.#sendingTo = slot;
    this.#connectionOf(slot).session.start(this.#send);
  }

  beginTurn(): void {
    this.#isInTurn = true;
    if (this.#ending.length === 0) return;
    const ending = this.#ending;
    this.#ending = [];
    for (const slot of ending) {
      const connection = this.#connections.get(slot);
      if (connection === undefined || connection.isPaused || !connection.endsLater || connection.isDead) continue;
      connection.endsLater = false;
      this.#above?.ended(slot);
    }
  }

  endTurn(): void {
    this.#sealPending();
    this.#writer = -1;
    this.#isInTurn = false;
    if (this.#gone.length === 0) return;
    for (const { slot, connection } of this.#gone)
      if (this.#connections.get(slot) === connection) this.#connections.delete(slot); // else the slot has its next connection
    this.#gone = [];
  }

  received(slot: Slot, buffer: Uint8Array, start: number, end: number): void {
    const connection = this.#connectionOf(slot);
    let at = start;
    // Only as much is copied as completes the record whose beginning is held: what follows is read in place.
    while (at < end && connection.held > 0) {
      const next = Math.min(end, at + connection.missing);
      this.#hold(slot, connection, buffer, at, next);
      at = next;
      if (connection.missing > 0) continue;
      const { memory } = connection;
      const record = connection.release();
      this.#above?.outputHeld?.(slot, connection.memory - memory);
      this.#take(slot, connection, record, 0, record.length);
    }
    at = this.#take(slot, connection, buffer, at, end);
    if (at < end) this.#hold(slot, connection, buffer, at, end);
    this.#deliver(slot, connection);
  }

  ended(slot: Slot): void {
    const connection = this.#connectionOf(slot);
    if (connection.isDead || connection.peerEnded) return;
    if (connection.session.isOpen) {
      // Many peers close without close_notify. What HTTP sends shows by itself where it ends (RFC 9112 §9.8).
      connection.peerEnded = true;
      this.#above?.ended(slot);
    } else {
      const message = 'the peer has ended the connection before the TLS handshake was complete';
      this.#fail(slot, connection, new ConnectionError('ECONNRESET', message));
    }
  }

  drained(slot: Slot): void {
    const connection = this.#connectionOf(slot);
    if (!connection.isFlooded || connection.isDead) return; // records are longer than what was written
    connection.isFlooded = false;
    this.#above?.drained(slot);
  }

  flushed(slot: Slot): void {
    const connection = this.#connectionOf(slot);
    if (connection.early === undefined && this.#unsealed(slot) === 0) this.#above?.flushed(slot);
    else this.notifyFlushed(slot); // more has been written since
  }

  closed(slot: Slot): void {
    const connection = this.#connectionOf(slot);
    this.#discardOutput(slot, connection);
    if (this.#writer === slot) this.#writer = -1;
    connection.session.free();
    this.#gone.push({ slot, connection }); // the code above, which learns of it next, may still give commands
  }

  /**
   * Takes the whole records in `bytes[start … end-1]`. Their content is in `#plain` afterwards, as far as it was not delivered.
   * @returns where the rest starts; `end` if nothing more is wanted of the peer
   */
  #take(slot: Slot, connection: TlsConnection, bytes: Uint8Array, start: number, end: number): number {
    const { session } = connection;
    let at = start;
    while (at < end) {
      if (connection.isDead || connection.peerEnded) return end; // what follows close_notify is ignored (RFC 8446 §6.1)
      const next = recordEnd(bytes, at, end);
      if (next > end) break;
      const wasOpen = session.isOpen;
      this.#sendingTo = slot;
      const received = session.receive(bytes, at, next, this.#plain, this.#filled, this.#send);
      at = next;
      if (!wasOpen && session.isOpen) this.#opened(slot, connection);
      if (received === Received.content) this.#filled = session.contentEnd;
      if (this.#filled > pieceSize - maxContent || received >= Received.end) this.#deliver(slot, connection);
      if (received >= Received.end && !connection.isDead) this.#end(slot, connection, received);
    }
    return at;
  }

  #deliver(slot: Slot, connection: TlsConnection): void {
    const filled = this.#filled;
    this.#filled = 0;
    if (filled > 0 && !connection.isDead) this.#above?.received(slot, this.#plain, 0, filled);
  }

  /** The peer has ended the session, in order or not. */
  #end(slot: Slot, connection: TlsConnection, received: Received): void {
    if (received === Received.failure) {
      this.#fail(slot, connection, connection.session.failure ?? alertSent(Alert.handshakeFailure));
      return;
    }
    if (!connection.session.isOpen) {
      const message = 'the peer has ended the TLS session before the handshake was complete';
      this.#fail(slot, connection, new ConnectionError('ECONNRESET', message));
      return;
    }
    connection.peerEnded = true;
    if (connection.isPaused) connection.endsLater = true;
    else this.#above?.ended(slot);
  }

  /** The session is broken. An alert may have been sent; the code above gives it time to arrive. */
  #fail(slot: Slot, connection: TlsConnection, reason: ConnectionError): void {
    this.#discardOutput(slot, connection);
    if (connection.finishRequested && !connection.finSent) this.#sendEnd(slot, connection); // it has waited for the handshake
    this.#above?.sessionFailed(slot, reason);
  }

  /** The handshake is complete. */
  #opened(slot: Slot, connection: TlsConnection): void {
    const { early, flushes } = connection;
    if (early !== undefined) {
      const bytes = early.toBytes();
      this.#freeMemory(slot, connection);
      connection.unsent = 0;
      this.#sealRecords(slot, connection, bytes, bytes.length);
    }
    connection.flushes = 0;
    for (let i = 0; i < flushes; i++) this.#below.notifyFlushed(slot);
    if (connection.isClient) this.#above?.connected(slot);
    if (connection.finishRequested && !connection.finSent) this.#sendEnd(slot, connection);
  }

  /** Keeps output that was just written until the handshake is complete. */
  #addEarly(slot: Slot, connection: TlsConnection, length: number): void {
    if (length === 0) return;
    const { memory } = connection;
    connection.early ??= new ByteBuilder();
    connection.early.add(this.#output, this.#written, length);
    connection.unsent += length;
    this.#above?.outputHeld?.(slot, connection.memory - memory);
  }

  #hold(slot: Slot, connection: TlsConnection, bytes: Uint8Array, start: number, end: number): void {
    const { memory } = connection;
    connection.hold(bytes, start, end);
    if (connection.memory !== memory) this.#above?.outputHeld?.(slot, connection.memory - memory);
  }

  #freeMemory(slot: Slot, connection: TlsConnection): void {
    const { memory } = connection;
    connection.release();
    connection.early = undefined;
    if (memory > 0) this.#above?.outputHeld?.(slot, -memory);
  }

  /** Passes what has been written to the layer below, as records. */
  #sealPending(): void {
    const length = this.#written;
    this.#written = 0;
    if (length > 0) this.#sealRecords(this.#writer, this.#connectionOf(this.#writer), this.#output, length);
  }

  #sealRecords(slot: Slot, { session }: TlsConnection, bytes: Uint8Array, length: number): void {
    const below = this.#below;
    for (let start = 0; start < length; start += maxContent) {
      const end = Math.min(length, start + maxContent);
      const at = below.reserve(slot, end - start + maxOverhead);
      below.commit(slot, session.seal(bytes, start, end, below.output, at));
    }
  }

  /** Sends close_notify, unless the session is broken, and FIN. */
  #sendEnd(slot: Slot, connection: TlsConnection): void {
    const below = this.#below;
    const { session, isDead } = connection;
    connection.finSent = true;
    if (session.isOpen && !isDead) {
      const at = below.reserve(slot, maxOverhead);
      below.commit(slot, session.sealEnd(below.output, at));
    }
    below.finish(slot);
  }

  /** The connection whose session is working: `#send` is one function for all. */
  #sendingTo: Slot = -1;

  /** Sends records of the session itself, unless FIN has been passed to the layer below. */
  readonly #send = (records: Uint8Array): void => {
    const below = this.#below;
    const slot = this.#sendingTo;
    if (this.#connectionOf(slot).finSent) return;
    for (let start = 0; start < records.length; start += pieceSize) {
      const part = records.subarray(start, start + pieceSize);
      const at = below.reserve(slot, part.length);
      below.output.set(part, at);
      below.commit(slot, at + part.length);
    }
  };

  #connectionOf(slot: Slot): TlsConnection {
    const connection = this.#connections.get(slot);
    if (connection === undefined) throw slotClosed(slot);
    return connection;
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
