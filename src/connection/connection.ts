// A connection with a thread: joins its reader and its writer. Handlers of `listen` get one, `connect` returns one, and protocols such as HTTP read from
// one and write to it. An idle connection has no such object.

import { ConnectionError, highWaterMark, type Slot } from '../event-layer/event-layer.js';
import type { TlsInfo } from '../event-layer/tls-info.js';
import type { Scheduler } from '../threads/scheduler.js';
import type { Thread } from '../threads/thread.js';
import type { OutputMemory } from '../util/output-memory.js';
import type { BufferedBytes } from './buffered-bytes.js';
import { type Duplex, sendNow, writableBytes } from './duplex.js';
import type { Owner, SlotRecord } from './network.js';
import { Reader } from './reader.js';
import { Writer } from './writer.js';

/** The default of `lingerTimeout`, in milliseconds. */
export const defaultLinger = 10_000;

/** Flags, packed to save memory: a field for each would take 8 bytes in every connection. */
const ConnectionFlag = {
  /** Nothing can be received or sent. */
  closed: 1 << 0,
  /** This side has ended: nothing can be written. */
  finished: 1 << 1,
  /** `notifyFlushed` of the transport has been called, and `flushed` has not. */
  flushAwaited: 1 << 2,
  /** Its slot has another record, which reads and writes in its place. */
  handedOver: 1 << 3,
  /** The task that its protocol has run has thrown. */
  failed: 1 << 4,
} as const;

/** Fields that most connections do not need. */
interface RareFields {
  peer: string;
  reason: ConnectionError | undefined;
  fault: ConnectionError | undefined;
}

/** @internal A protocol that needs to know of more than its reader and its writer report. */
export interface Protocol {
  /** The peer has sent FIN; input before it may still be unread. */
  peerEnded(): void;
  /** The connection has closed. @param reason the error, unless both sides had ended */
  lost(reason: ConnectionError | undefined): void;
  /** The server is closing. For protocols that say so to their peers, or end responses early. */
  closing(): void;
}

/**
 * A connection to a peer: a TCP or Unix-domain socket, as a pair of a {@link Reader} and a {@link Writer}.
 * It belongs to one thread, and is closed when that thread is over.
 */
export class Connection<O extends Owner = Owner> implements Duplex, SlotRecord {
  /** @internal The listener or the client that its slot belongs to. */
  readonly owner: O;
  /** @internal */
  readonly slot: Slot;
  /** @internal */
  thread: Thread<unknown> | undefined;
  /** @internal */
  protocol: Protocol | undefined;

  // Created on first use: a parked thread of a connection often needs neither.
  #reader: Reader | undefined;
  #writer: Writer | undefined;
  #flags = 0;
  #rareFields: RareFields | undefined;

  /** @internal */
  constructor(owner: O, slot: Slot) {
    this.owner = owner;
    this.slot = slot;
  }

  /** Reads what the peer sends. */
  get reader(): Reader {
    if (this.#reader === undefined) {
      this.#reader = new Reader(this);
      this.#reader.timeout = this.owner.readTimeout;
    }
    return this.#reader;
  }

  /** @internal The reader, if it has been created. */
  get createdReader(): Reader | undefined {
    return this.#reader;
  }

  /** Writes to the peer. */
  get writer(): Writer {
    if (this.#writer === undefined) {
      this.#writer = new Writer(this);
      this.#writer.timeout = this.owner.writeTimeout;
    }
    return this.#writer;
  }

  /**
   * The peer's address, `127.0.0.1:5678` or `[::1]:5678`. The empty string for a Unix-domain socket, and if it is first asked for after the connection
   * has closed: it is looked up on first use, which costs a system call.
   */
  get peer(): string {
    this.rememberPeer();
    return this.#rareFields?.peer ?? '';
  }

  /** What is known of its TLS session; undefined if it has none, or has closed. Looked up on each use. */
  get tls(): TlsInfo | undefined {
    return (this.#flags & ConnectionFlag.closed) === 0 ? this.owner.transport.tls?.(this.slot) : undefined;
  }

  /** @internal Looks the peer's address up now, because it may be asked for after the connection has closed. */
  rememberPeer(): void {
    if ((this.#flags & ConnectionFlag.closed) === 0 && !this.#rareFields?.peer)
      this.ensureRareFields().peer = this.owner.transport.peer(this.slot);
  }

  /** @internal It is passed on for a client with this address. */
  setPeer(peer: string): void {
    this.ensureRareFields().peer = peer;
  }

  /** True when the connection has closed: nothing can be received or sent. */
  get closed(): boolean {
    return (this.#flags & (ConnectionFlag.closed | ConnectionFlag.handedOver)) !== 0;
  }

  /** @internal This side has ended. */
  get finished(): boolean {
    return (this.#flags & ConnectionFlag.finished) !== 0;
  }

  /** The error that closed the connection: undefined while it is open, and if both sides had ended. */
  get reason(): ConnectionError | undefined {
    return this.#rareFields?.reason;
  }

  /** @internal The last error that reading or writing has thrown because of the peer. By comparing with it, code knows that an error comes from this connection. */
  get fault(): ConnectionError | undefined {
    return this.#rareFields?.fault;
  }

  /** Closes the connection at once with RST; output that is still queued is dropped. */
  reset(): void {
    if (!this.closed) this.owner.transport.reset(this.slot);
  }

  // The members of `Duplex`, for its reader and its writer.

  /** @internal */
  get scheduler(): Scheduler {
    return this.owner.network.scheduler;
  }

  /** @internal */
  get buffers(): BufferedBytes {
    return this.owner.buffers;
  }

  /** @internal */
  get writable(): number {
    if (this.closed) return Infinity;
    const { queuedBytes, buffers } = this.owner;
    return writableBytes(this.queued, queuedBytes, buffers);
  }

  /** @internal */
  get queued(): number {
    return this.owner.transport.queued(this.slot);
  }

  /** @internal */
  get writeRate(): number {
    return this.owner.writeRate;
  }

  /** @internal */
  get output(): OutputMemory {
    return this.owner.transport.output;
  }

  /** @internal @throws as `Writer.write` */
  reserve(bytes: number): number {
    if (this.closed) throw this.closedError();
    if (this.finished) throw new ConnectionError('ERR_ENDED', 'write after end: FIN has been sent');
    return this.owner.transport.reserve(this.slot, bytes);
  }

  /** @internal */
  commit(end: number): void {
    this.owner.transport.commit(this.slot, end);
  }

  /** @internal */
  push(): void {
    if (!this.closed) this.owner.transport.push(this.slot);
  }

  /** @internal */
  sendNow(bytes: Uint8Array, start: number, end: number): number {
    if (this.closed || this.finished) return 0; // `reserve` says why
    return sendNow(this.owner, this.slot, bytes, start, end);
  }

  /** @internal The transport reports `drained` by itself, but only for a queue that was above its high-water mark. */
  notifyWritable(): void {
    if (this.owner.queuedBytes < highWaterMark) this.notifyFlushed();
  }

  /** @internal */
  notifyFlushed(): void {
    if ((this.#flags & ConnectionFlag.flushAwaited) !== 0) return;
    this.#flags |= ConnectionFlag.flushAwaited;
    this.owner.transport.notifyFlushed(this.slot);
  }

  /** @internal */
  finish(): void {
    if (this.finished || this.closed) return;
    this.#flags |= ConnectionFlag.finished;
    this.owner.transport.finish(this.slot);
  }

  /** @internal */
  pauseReading(): void {
    if (!this.closed) this.owner.transport.pauseReading(this.slot);
  }

  /** @internal */
  resumeReading(): void {
    if (!this.closed) this.owner.transport.resumeReading(this.slot);
  }

  /** @internal Sets the slot's deadline to the earlier one of the reader and the writer. */
  updateDeadline(): void {
    if (this.closed) return;
    const { parkedUntil: readUntil = Infinity } = this.#reader ?? {};
    const { parkedUntil: writeUntil = Infinity } = this.#writer ?? {};
    this.owner.network.setDeadline(this.slot, Math.min(readUntil, writeUntil));
  }

  /** @internal */
  recordFault(code: string, message: string, cause?: ConnectionError): ConnectionError {
    const fault = new ConnectionError(code, message, cause && { cause });
    this.ensureRareFields().fault = fault;
    return fault;
  }

  /** @internal */
  closedError(): ConnectionError {
    const cause = this.reason;
    const why = cause === undefined ? '' : `: ${cause.message}`;
    return this.recordFault(cause?.code ?? 'ERR_CLOSED', `the connection is closed${why}`, cause);
  }

  /** @internal Drops the reader and the writer if they hold no state. Only for callers that know that no other code refers to them. */
  releaseIdleHalves(): void {
    if (this.#reader?.isIdle) this.#reader = undefined;
    if (this.#writer?.isIdle) this.#writer = undefined;
  }

  // The members of `SlotRecord`, called by the network.

  /** @internal */
  received(bytes: Uint8Array, start: number, end: number): void {
    const { reader } = this;
    reader.setBorrowed(bytes, start, end);
    reader.wake();
    reader.copyBorrowed();
  }

  /** @internal */
  ended(isCut: boolean): void {
    const { reader } = this;
    reader.end(isCut);
    this.protocol?.peerEnded();
    reader.wake();
  }

  /** @internal */
  drained(): void {
    this.#writer?.wake();
  }

  /** @internal */
  flushed(): void {
    this.#flags &= ~ConnectionFlag.flushAwaited;
    this.#writer?.wake();
  }

  /** @internal The deadline of the reader or of the writer has passed. */
  expired(): void {
    this.#reader?.expire();
    this.#writer?.expire();
    this.updateDeadline();
  }

  /** @internal The task that its protocol has run has thrown; the protocol has reported the error, so the thread itself has not failed. */
  get hasFailed(): boolean {
    return (this.#flags & ConnectionFlag.failed) !== 0;
  }

  /** @internal */
  taskFailed(): void {
    this.#flags |= ConnectionFlag.failed;
  }

  /** @internal Its slot has another record from now on. Nothing can be received or sent here, as if it had closed; the peer's address is still known. */
  handedOver(): void {
    this.#flags |= ConnectionFlag.handedOver;
    this.releaseIdleHalves();
  }

  /** @internal */
  detached(reason: ConnectionError | undefined): void {
    this.#flags |= ConnectionFlag.closed;
    if (reason !== undefined) this.ensureRareFields().reason = reason;
    this.#reader?.closed();
  }

  /** @internal */
  lost(reason: ConnectionError | undefined): void {
    this.protocol?.lost(reason);
  }

  /** @internal */
  closing(): void {
    this.protocol?.closing();
  }

  /** @internal */
  wake(): void {
    this.#reader?.wake();
    this.#writer?.wake();
  }

  // Not with `#`: methods that are private so take 8 bytes of each object.
  private ensureRareFields(): RareFields {
    this.#rareFields ??= { peer: '', reason: undefined, fault: undefined };
    return this.#rareFields;
  }
}
