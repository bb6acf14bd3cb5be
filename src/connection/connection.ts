// The connection record: exists while a thread works for a connection, and joins its reader and its writer. It is what a
// handler of `listen` is given, what `connect` returns, and what a protocol such as HTTP reads from and writes to.

import { ConnectionError, highWaterMark, type Slot } from '../event-layer/event-layer.js';
import type { Scheduler } from '../threads/scheduler.js';
import type { Thread } from '../threads/thread.js';
import type { OutputMemory } from '../util/output-memory.js';
import type { BufferedBytes } from './buffered-bytes.js';
import { type Duplex, pieceBytes, smallPieceBytes } from './duplex.js';
import type { Owner, SlotRecord } from './network.js';
import { Reader } from './reader.js';
import { Writer } from './writer.js';

/** How long what is left of a connection may take to go away after it was closed, in milliseconds, unless an option says otherwise. */
export const defaultLinger = 10_000;

/** Packed to save memory: a field for each would take 8 bytes of every connection at work. */
const ConnectionFlag = {
  /** Nothing can be received or sent any more. */
  closed: 1 << 0,
  /** Our side has ended: nothing can be written any more. */
  finished: 1 << 1,
  /** The transport has been asked to tell when all output has left, and has not told it yet. */
  flushAwaited: 1 << 2,
} as const;

/** What most connections have nothing of. */
interface RareFields {
  peer: string;
  reason: ConnectionError | undefined;
  fault: ConnectionError | undefined;
}

/** @internal What speaks on a connection, where that is more than a thread that reads and writes. */
export interface Protocol {
  /** The peer has sent FIN, read or not. */
  peerEnded(): void;
  /** The connection is gone. @param reason why, if it was not closed in good order */
  lost(reason: ConnectionError | undefined): void;
  /** The server closes: the protocol says goodbye in its own words, if it has any besides those of its next response. */
  closing(): void;
}

/**
 * A connection to a peer: a TCP or Unix-domain socket, as a pair of a {@link Reader} and a {@link Writer}.
 * It belongs to the thread that it was made for, and is closed when that thread is over.
 */
export class Connection<O extends Owner = Owner> implements Duplex, SlotRecord {
  /** @internal What its slot belongs to. */
  readonly owner: O;
  /** @internal Its row in the network's arrays. */
  readonly slot: Slot;
  /** @internal The thread that it belongs to. */
  thread: Thread<unknown> | undefined;
  /** @internal What speaks on it. */
  protocol: Protocol | undefined;

  // Made when they are first asked for: a connection that only waits has neither.
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

  /** @internal The reader, if it has been asked for. */
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
   * The peer's address, `127.0.0.1:5678` or `[::1]:5678`. The empty string for a Unix-domain socket, and where it was not asked for before the
   * connection closed: it is looked up once, and costs system calls.
   */
  get peer(): string {
    this.rememberPeer();
    return this.#rareFields?.peer ?? '';
  }

  /** @internal Looks the peer's address up, if that is not done: the connection is about to end, and it may be asked for afterwards. */
  rememberPeer(): void {
    if (!this.closed && !this.#rareFields?.peer) this.rareFields().peer = this.owner.transport.peer(this.slot);
  }

  /** True when nothing can be received or sent any more. */
  get closed(): boolean {
    return (this.#flags & ConnectionFlag.closed) !== 0;
  }

  /** @internal Our side has ended. */
  get finished(): boolean {
    return (this.#flags & ConnectionFlag.finished) !== 0;
  }

  /** Why the connection closed: undefined while it has not, and when both sides had ended. */
  get reason(): ConnectionError | undefined {
    return this.#rareFields?.reason;
  }

  /** @internal The last error that reading or writing has thrown because of the peer: tells it from one of another connection. */
  get fault(): ConnectionError | undefined {
    return this.#rareFields?.fault;
  }

  /** Ends the connection at once with RST; what is still queued for the peer is dropped. */
  reset(): void {
    if (!this.closed) this.owner.transport.reset(this.slot);
  }

  // What its reader and its writer work on: see `Duplex`.

  /** @internal */
  get scheduler(): Scheduler {
    return this.owner.network.scheduler;
  }

  /** @internal */
  get buffers(): BufferedBytes {
    return this.owner.buffers;
  }

  /** @internal A whole piece while less is queued than may be, so that no small ones are made at the border. */
  get writable(): number {
    if (this.closed) return Infinity;
    const { queued } = this;
    const { queuedBytes, buffers } = this.owner;
    if (queued > 0 && queued >= queuedBytes) return 0;
    const isShort = queuedBytes === 1 && buffers.isExceeded;
    return Math.max(queuedBytes - queued, isShort ? smallPieceBytes : pieceBytes);
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

  /** @internal By itself the transport tells only of a queue that has been above its high-water mark. */
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

  /** @internal Tells the network which of the two deadlines comes first. */
  updateDeadline(): void {
    if (this.closed) return;
    const { parkedUntil: readUntil = Infinity } = this.#reader ?? {};
    const { parkedUntil: writeUntil = Infinity } = this.#writer ?? {};
    this.owner.network.setDeadline(this.slot, Math.min(readUntil, writeUntil));
  }

  /** @internal */
  fail(code: string, message: string, cause?: ConnectionError): ConnectionError {
    const fault = new ConnectionError(code, message, cause && { cause });
    this.rareFields().fault = fault;
    return fault;
  }

  /** @internal */
  closedError(): ConnectionError {
    const cause = this.reason;
    const why = cause === undefined ? '' : `: ${cause.message}`;
    return this.fail(cause?.code ?? 'ERR_CLOSED', `the connection is closed${why}`, cause);
  }

  /** @internal Drops the reader and the writer where nothing is known of them alone. For whatever has given them to no other. */
  releaseIdleHalves(): void {
    if (this.#reader?.isIdle) this.#reader = undefined;
    if (this.#writer?.isIdle) this.#writer = undefined;
  }

  // What its network tells: see `SlotRecord`.

  /** @internal */
  received(bytes: Uint8Array, start: number, end: number): void {
    const { reader } = this;
    reader.setBorrowed(bytes, start, end);
    reader.wake();
    reader.copyBorrowed();
  }

  /** @internal */
  ended(): void {
    const { reader } = this;
    reader.end();
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

  /** @internal The slot's deadline, which the reader and the writer have set, has passed for one of them. */
  expired(): void {
    this.#reader?.expire();
    this.#writer?.expire();
    this.updateDeadline();
  }

  /** @internal */
  detached(reason: ConnectionError | undefined): void {
    this.#flags |= ConnectionFlag.closed;
    if (reason !== undefined) this.rareFields().reason = reason;
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

  private rareFields(): RareFields {
    this.#rareFields ??= { peer: '', reason: undefined, fault: undefined };
    return this.#rareFields;
  }
}
