// The connection record: exists while a thread works for a connection, and joins its reader and its writer. It is what a
// handler of `listen` is given, what `connect` returns, and what the HTTP loop reads from and writes to.

import { ConnectionError, highWaterMark, type Slot } from '../event-layer/event-layer.js';
import type { Thread } from '../threads/thread.js';
import type { OutputMemory } from '../util/output-memory.js';
import { BufferedBytes } from './buffered-bytes.js';
import type { Network } from './network.js';
import { Reader } from './reader.js';
import { Writer } from './writer.js';

/** How long what is left of a connection may take to go away after it was closed, in milliseconds, unless an option says otherwise. */
export const defaultLinger = 10_000;

/** @internal Connection flags, packed to save memory: a field for each would take 8 bytes of every connection at work. */
export const ConnectionFlag = {
  /** Nothing can be received or sent any more. */
  closed: 1 << 0,
  /** Our side has ended: nothing can be written any more. */
  finished: 1 << 1,
} as const;

/**
 * A connection to a peer: a TCP or Unix-domain socket, as a pair of a {@link Reader} and a {@link Writer}.
 * It belongs to the thread that it was made for, and is closed when that thread is over.
 */
export class Connection {
  /** @internal The network it is on. */
  readonly network: Network;
  /** @internal Its row in the network's arrays. */
  readonly slot: Slot;
  /** @internal The thread that it belongs to. */
  thread: Thread<unknown> | undefined;

  /** @internal The last error that reading or writing has thrown because of the peer: tells it from one of another connection. */
  fault: ConnectionError | undefined;

  // Made when they are first asked for: a connection that only waits has neither.
  #reader: Reader | undefined;
  #writer: Writer | undefined;
  #facts = 0;
  #peer = '';
  #reason: ConnectionError | undefined;

  /** @internal */
  constructor(network: Network, slot: Slot) {
    this.network = network;
    this.slot = slot;
  }

  /** @internal Whether something is so. @param fact of `ConnectionFlag`, or of those that a subclass adds */
  hasFlag(fact: number): boolean {
    return (this.#facts & fact) !== 0;
  }

  /** @internal From now on something is so, or is not. */
  setFlag(fact: number, isSo = true): void {
    if (isSo) this.#facts |= fact;
    else this.#facts &= ~fact;
  }

  /** Reads what the peer sends. */
  get reader(): Reader {
    this.#reader ??= this.makeReader();
    return this.#reader;
  }

  /** @internal The reader, if it has been asked for. */
  get createdReader(): Reader | undefined {
    return this.#reader;
  }

  /** Writes to the peer. */
  get writer(): Writer {
    this.#writer ??= this.makeWriter();
    return this.#writer;
  }

  /**
   * The peer's address, `127.0.0.1:5678` or `[::1]:5678`. The empty string for a Unix-domain socket, and where it was not asked for before the
   * connection closed: it is looked up once, and costs system calls.
   */
  get peer(): string {
    this.rememberPeer();
    return this.#peer;
  }

  /** @internal Looks the peer's address up, if that is not done: the connection is about to end, and it may be asked for afterwards. */
  rememberPeer(): void {
    if (this.#peer === '' && !this.closed) this.#peer = this.network.layer.peer(this.slot);
  }

  /** @internal Where the memory that it takes is counted. */
  get buffers(): BufferedBytes {
    const owner = this.closed ? undefined : this.network.owner(this.slot);
    return owner?.buffers ?? BufferedBytes.ofProcess();
  }

  /** @internal From so many bytes of queued output on, a write parks. */
  get queuedBytes(): number {
    return this.buffers.isFull ? 1 : highWaterMark;
  }

  /** @internal How many bytes a second a peer must take, once its writer's `timeout` has passed, for a write to go on waiting for it; 0 is any. */
  get writeRate(): number {
    return 0;
  }

  /** @internal Connections take more memory than they may. */
  get isShortOfMemory(): boolean {
    return this.queuedBytes === 1 && this.buffers.isExceeded;
  }

  /** True when nothing can be received or sent any more. */
  get closed(): boolean {
    return this.hasFlag(ConnectionFlag.closed);
  }

  /** @internal Our side has ended. */
  get finished(): boolean {
    return this.hasFlag(ConnectionFlag.finished);
  }

  set finished(isSo: boolean) {
    this.setFlag(ConnectionFlag.finished, isSo);
  }

  /** Why the connection closed: undefined while it has not, and when both sides had ended. */
  get reason(): ConnectionError | undefined {
    return this.#reason;
  }

  /** Ends the connection at once with RST; what is still queued for the peer is dropped. */
  reset(): void {
    if (!this.closed) this.network.layer.reset(this.slot);
  }

  /** @internal Writing would have to wait. */
  get flooded(): boolean {
    if (this.closed) return false;
    const queued = this.network.layer.queued(this.slot);
    return queued > 0 && queued >= this.queuedBytes;
  }

  /** @internal The memory that `reserve` gives offsets into; to be asked for after it. */
  get output(): OutputMemory {
    return this.network.output;
  }

  /** @internal See `EventLayer.reserve`. @throws as `Writer.write` */
  reserve(bytes: number): number {
    if (this.closed) throw this.closedError();
    if (this.finished) throw new ConnectionError('ERR_ENDED', 'write after end: FIN has been sent');
    return this.network.layer.reserve(this.slot, bytes);
  }

  /** @internal See `EventLayer.commit`. */
  commit(end: number): void {
    this.network.layer.commit(this.slot, end);
  }

  /** @internal Lets go of the reader and the writer where nothing is known of them alone. For who has given them to nobody. */
  releaseIdleHalves(): void {
    if (this.#reader?.isIdle) this.#reader = undefined;
    if (this.#writer?.isIdle) this.#writer = undefined;
  }

  /** @internal For the primitives: makes the error to throw when the peer is the cause. */
  fail(code: string, message: string, cause?: ConnectionError): ConnectionError {
    this.fault = new ConnectionError(code, message, cause && { cause });
    return this.fault;
  }

  /** @internal For the primitives: the error that says why a closed connection cannot be used. */
  closedError(): ConnectionError {
    const cause = this.#reason;
    const why = cause === undefined ? '' : `: ${cause.message}`;
    return this.fail(cause?.code ?? 'ERR_CLOSED', `the connection is closed${why}`, cause);
  }

  /** @internal The layer says that it is gone. */
  close(reason: ConnectionError | undefined): void {
    this.setFlag(ConnectionFlag.closed);
    this.#reason = reason;
    this.#reader?.closed();
  }

  /** @internal The layer has room for output again. */
  drained(): void {
    this.#writer?.wake();
  }

  /** @internal The layer says that everything is with the kernel. */
  flushed(): void {
    this.#writer?.flushed();
  }

  /** @internal Whoever is parked on it looks again at what it waits for. */
  wake(): void {
    this.#reader?.wake();
    this.#writer?.wake();
  }

  /** @internal The slot's deadline, which the reader and the writer have set, has passed for one of them. */
  expire(): void {
    this.#reader?.expire();
    this.#writer?.expire();
    this.updateDeadline();
  }

  /** @internal Tells the network which of the two deadlines comes first. */
  updateDeadline(): void {
    if (this.closed) return;
    const { parkedUntil: readUntil = Infinity } = this.#reader ?? {};
    const { parkedUntil: writeUntil = Infinity } = this.#writer ?? {};
    this.network.setDeadline(this.slot, Math.min(readUntil, writeUntil));
  }

  /** @internal */
  protected makeReader(): Reader {
    return new Reader(this);
  }

  /** @internal */
  protected makeWriter(): Writer {
    return new Writer(this);
  }
}
