// TLS as a transport over a transport. What is above sees plain bytes, what is below sees records.
//
// Output is written into memory of this transport, and sealed when the turn ends or another connection writes: so what a connection writes in a turn
// mostly becomes one record. Input that is the beginning of a record is kept until the rest has come.

import { Buffer } from 'node:buffer';
import { type EventLayer, pieceSize, type Slot } from '../event-layer/event-layer.js';
import type { SecureTransport, SecureTransportEvents } from '../event-layer/transport.js';
import { type OutputMemory, outputMemory } from '../util/output-memory.js';
import { headerBytes, maxContent, maxOverhead, Received, type TlsEngine, type TlsSession } from './session.js';

const nothing = new Uint8Array(0);

/** One connection. */
class Secured {
  readonly session: TlsSession;
  readonly isClient: boolean;
  /** The beginning of a record: the first `held` bytes of it. */
  partial: Uint8Array = nothing;
  held = 0;
  /** Output that was written before the handshake was complete. */
  early: Uint8Array[] = [];
  earlyBytes = 0;
  /** The peer sends no more, and that has been told. */
  hasEnded = false;
  /** This side sends no more. */
  isFinished = false;
  /** The transport below has been told so. */
  hasSentEnd = false;
  /** `flushed` is to be told when what is early has left. */
  awaitsFlush = false;
  /** It is broken, was reset, or abandoned: nothing more is told or sent. */
  isOver = false;

  constructor(session: TlsSession, isClient: boolean) {
    this.session = session;
    this.isClient = isClient;
  }

  /** How many bytes are missing, of the record that has come in part, or at first of its header. */
  get missing(): number {
    return recordEnd(this.partial, 0, this.held) - this.held;
  }

  /** Appends to the beginning of a record. A peer is given no more memory than twice what it has sent. @returns how many bytes */
  hold(bytes: Uint8Array, start: number, end: number): number {
    const held = this.held + end - start;
    if (held > this.partial.length) {
      const larger = new Uint8Array(Math.max(smallestPartial, 2 * held));
      larger.set(this.partial.subarray(0, this.held));
      this.partial = larger;
    }
    this.partial.set(bytes.subarray(start, end), this.held);
    this.held = held;
    return end - start;
  }

  /** The record is complete, and taken. */
  release(): void {
    this.partial = nothing;
    this.held = 0;
  }
}

const smallestPartial = 64;

/** Memory for what is written before it is sealed. */
const outputBytes = 2 * pieceSize;

export class TlsTransport implements SecureTransport {
  readonly #below: EventLayer;
  readonly #engine: TlsEngine;
  #above: SecureTransportEvents | undefined;
  readonly #connections = new Map<Slot, Secured>();
  #isInTurn = false;

  readonly #output: OutputMemory = outputMemory(Buffer.alloc(outputBytes));
  /** What has been written and not been sealed: `#output[#from … #to-1]`, of this slot. */
  #writer: Slot = -1;
  #from = 0;
  #to = 0;

  /** Content of records that have been received, on its way to those above. */
  readonly #plain = Buffer.alloc(pieceSize + maxContent);

  /** @param below records go through it: an event layer */
  constructor(below: EventLayer, engine: TlsEngine) {
    this.#below = below;
    this.#engine = engine;
  }

  start(above: SecureTransportEvents): void {
    this.#above = above;
  }

  /** The protocol that was chosen by ALPN; undefined if none was, or the handshake is not complete. */
  protocol(slot: Slot): string | undefined {
    return this.#connections.get(slot)?.session.protocol;
  }

  // From above.

  get output(): OutputMemory {
    return this.#output;
  }

  reserve(slot: Slot, bytes: number): number {
    this.#below.queued(slot); // throws if there is no such connection
    if (this.#writer !== slot || this.#to + bytes > outputBytes) {
      this.#seal();
      this.#writer = slot;
    }
    return this.#to;
  }

  commit(slot: Slot, end: number): void {
    const connection = this.#of(slot);
    if (!connection.session.isOpen && !connection.isOver) {
      connection.early.push(new Uint8Array(this.#output.subarray(this.#to, end)));
      connection.earlyBytes += end - this.#to;
      return;
    }
    this.#to = end;
    if (!this.#isInTurn) this.#below.requestTurn();
  }

  queued(slot: Slot): number {
    const written = this.#writer === slot ? this.#to - this.#from : 0;
    return this.#below.queued(slot) + written + (this.#connections.get(slot)?.earlyBytes ?? 0);
  }

  notifyFlushed(slot: Slot): void {
    if (this.#writer === slot) this.#seal();
    const connection = this.#of(slot);
    if (connection.earlyBytes > 0) connection.awaitsFlush = true;
    else this.#below.notifyFlushed(slot);
  }

  pauseReading(slot: Slot): void {
    this.#below.pauseReading(slot);
  }

  resumeReading(slot: Slot): void {
    this.#below.resumeReading(slot);
  }

  finish(slot: Slot): void {
    const connection = this.#of(slot);
    if (connection.isFinished) return;
    if (this.#writer === slot) this.#seal();
    connection.isFinished = true;
    if (connection.session.isOpen || connection.isOver) this.#sealEnd(slot, connection); // else when the handshake is complete
  }

  reset(slot: Slot): void {
    this.#drop(slot);
    this.#below.reset(slot);
  }

  abandon(slot: Slot): void {
    this.#drop(slot);
    this.#below.abandon(slot);
  }

  peer(slot: Slot): string {
    return this.#below.peer(slot);
  }

  /** What has been written for the slot goes nowhere. */
  #drop(slot: Slot): void {
    const connection = this.#connections.get(slot);
    if (connection === undefined) return; // a client's that is not connected yet
    connection.isOver = true;
    connection.early = [];
    connection.earlyBytes = 0;
    if (this.#writer === slot) this.#to = this.#from;
  }

  // From below.

  accepted(slot: Slot): void {
    this.#connections.set(slot, new Secured(this.#engine.accept(), false));
  }

  connected(slot: Slot): void {
    const connection = new Secured(this.#engine.connect(), true);
    this.#connections.set(slot, connection);
    connection.session.start((records) => this.#send(slot, records));
  }

  beginTurn(): void {
    this.#isInTurn = true;
  }

  endTurn(): void {
    this.#seal();
    this.#writer = -1;
    this.#isInTurn = false;
  }

  received(slot: Slot, buffer: Uint8Array, start: number, end: number): void {
    const connection = this.#of(slot);
    if (connection.isOver || connection.hasEnded) return;
    let at = start;
    // Only as much is copied as completes the record that has come in part: what follows is read in place.
    while (at < end && connection.held > 0) {
      at += connection.hold(buffer, at, Math.min(end, at + connection.missing));
      if (connection.missing > 0) continue;
      const { partial, held } = connection;
      connection.release();
      this.#take(slot, connection, partial, 0, held);
      if (connection.isOver || connection.hasEnded) return;
    }
    if (at < end) at = this.#take(slot, connection, buffer, at, end);
    if (at < end && !connection.isOver && !connection.hasEnded) connection.hold(buffer, at, end);
  }

  ended(slot: Slot): void {
    const connection = this.#of(slot);
    if (connection.isOver || connection.hasEnded) return;
    connection.hasEnded = true;
    if (connection.session.isOpen) {
      this.#above?.ended(slot);
    } else {
      connection.isOver = true; // there is no session in which something could be sent, or an end
      this.#below.reset(slot);
    }
  }

  drained(slot: Slot): void {
    if (!this.#of(slot).isOver) this.#above?.drained(slot);
  }

  flushed(slot: Slot): void {
    if (!this.#of(slot).isOver) this.#above?.flushed(slot);
  }

  closed(slot: Slot): void {
    const connection = this.#connections.get(slot);
    if (connection === undefined) return; // a client's that was never connected
    this.#connections.delete(slot);
    connection.session.free();
    if (this.#writer === slot) {
      this.#to = this.#from;
      this.#writer = -1;
    }
  }

  /** Takes the whole records in `bytes[start … end-1]`. @returns where the rest begins */
  #take(slot: Slot, connection: Secured, bytes: Uint8Array, start: number, end: number): number {
    const { session } = connection;
    const send = (records: Uint8Array) => this.#send(slot, records);
    let filled = 0;
    let at = start;
    while (at < end) {
      const next = recordEnd(bytes, at, end);
      if (next > end) break;
      const wasOpen = session.isOpen;
      const received = session.receive(bytes, at, next, this.#plain, filled, send);
      at = next;
      if (!wasOpen && session.isOpen) this.#opened(slot, connection);
      if (received === Received.content) filled = session.contentEnd;
      if (filled > pieceSize - maxContent || received >= Received.end) {
        if (filled > 0) this.#deliver(slot, connection, filled);
        filled = 0;
        if (connection.isOver) return end;
      }
      if (received >= Received.end) {
        connection.hasEnded = true;
        if (received === Received.failure) this.#fail(slot, connection);
        else this.#above?.ended(slot);
        return end;
      }
    }
    if (filled > 0) this.#deliver(slot, connection, filled);
    return at;
  }

  /** The session is broken. What has been sent about it is to arrive; then the connection ends. */
  #fail(slot: Slot, connection: Secured): void {
    connection.isOver = true;
    connection.early = [];
    connection.earlyBytes = 0;
    if (this.#writer === slot) this.#to = this.#from;
    if (connection.isClient && !connection.session.isOpen) this.#below.abandon(slot);
    else this.#above?.ended(slot); // then what is above ends its side, too
  }

  #deliver(slot: Slot, connection: Secured, filled: number): void {
    if (!connection.isOver) this.#above?.received(slot, this.#plain, 0, filled);
  }

  /** The handshake is complete. */
  #opened(slot: Slot, connection: Secured): void {
    const { early } = connection;
    connection.early = [];
    connection.earlyBytes = 0;
    for (const bytes of early) this.#sealAll(slot, connection, bytes, 0, bytes.length);
    if (connection.isClient) this.#above?.connected(slot);
    if (connection.awaitsFlush) this.#below.notifyFlushed(slot);
    connection.awaitsFlush = false;
    if (connection.isFinished && !connection.hasSentEnd) this.#sealEnd(slot, connection);
  }

  /** Seals what has been written. */
  #seal(): void {
    const slot = this.#writer;
    const from = this.#from;
    const to = this.#to;
    this.#from = 0;
    this.#to = 0;
    if (slot === -1 || from === to) return;
    const connection = this.#of(slot);
    if (!connection.isOver) this.#sealAll(slot, connection, this.#output, from, to);
  }

  #sealAll(slot: Slot, { session }: Secured, bytes: Uint8Array, from: number, to: number): void {
    const below = this.#below;
    for (let start = from; start < to; start += maxContent) {
      const end = Math.min(to, start + maxContent);
      const at = below.reserve(slot, end - start + maxOverhead);
      below.commit(slot, session.seal(bytes, start, end, below.output, at));
    }
  }

  #sealEnd(slot: Slot, connection: Secured): void {
    const below = this.#below;
    const { session, isOver } = connection;
    connection.hasSentEnd = true;
    if (session.isOpen && !isOver) {
      const at = below.reserve(slot, maxOverhead);
      below.commit(slot, session.sealEnd(below.output, at));
    }
    below.finish(slot);
  }

  /** Sends what the session has to say, unless this side has ended. */
  #send(slot: Slot, records: Uint8Array): void {
    const below = this.#below;
    if (this.#of(slot).hasSentEnd) return;
    for (let start = 0; start < records.length; start += pieceSize) {
      const part = records.subarray(start, start + pieceSize);
      const at = below.reserve(slot, part.length);
      below.output.set(part, at);
      below.commit(slot, at + part.length);
    }
  }

  #of(slot: Slot): Secured {
    const connection = this.#connections.get(slot);
    if (connection === undefined) throw new Error(`slot ${slot} has no TLS session`);
    return connection;
  }
}

/**
 * Where the record ends that begins at `at`: at least one more than `end` if that is not known. A length that no record may have counts as the most,
 * so that the session gets to see it, and refuses it.
 */
function recordEnd(bytes: Uint8Array, at: number, end: number): number {
  if (end - at < headerBytes) return at + headerBytes;
  const length = (bytes[at + 3] << 8) | bytes[at + 4];
  return at + headerBytes + Math.min(length, maxContent + 256);
}
