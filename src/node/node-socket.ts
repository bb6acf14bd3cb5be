// A connection as code for Node wants it: a `stream.Duplex` that passes for a `net.Socket`. It is the record of its slot: the network tells it of each
// event, and it writes straight into the transport. No thread works for it.

import type net from 'node:net';
import { Duplex, type DuplexOptions } from 'node:stream';
import { pieceBytes, sendNow, writableBytes } from '../connection/duplex.js';
import type { Owner, SlotRecord } from '../connection/network.js';
import { leastAtOnce, mostAtOnce } from '../connection/writer.js';
import { ConnectionError, highWaterMark, type Slot } from '../event-layer/event-layer.js';
import type { TlsInfo } from '../event-layer/tls-info.js';
import { type SocketAddress, socketAddressOf } from '../http/socket-address.js';
import type { ServerContext } from '../threads/context.js';
import { show } from '../util/inspect.js';
import { Pace } from '../util/pace.js';
import { copyOfInput } from './input-copies.js';
import { errorOf, isSystemCode, systemError } from './socket-errors.js';

/** What accepted the connection. */
export interface NodeSocketOwner extends Owner {
  /** The async context in which the socket's listeners run. */
  readonly context: ServerContext;
  /** Closes the connection: sends FIN after the queued output. */
  endConnection(slot: Slot): void;
}

/** What has made the socket. */
export interface NodeSocketMaker {
  /** A listener has thrown. Never throws. */
  listenerFailed(error: unknown, socket: NodeSocket): void;
  /** The socket has been destroyed. */
  socketDestroyed(socket: NodeSocket): void;
  /** The server that has accepted the connection is closing. */
  socketClosing(socket: NodeSocket): void;
}

/** What a write that waits for room has left. */
interface PendingWrite {
  readonly bytes: Uint8Array;
  /** How many of them have been written. */
  written: number;
  readonly callback: (error?: Error | null) => void;
  /** How slowly the peer may take output meanwhile. */
  readonly pace: Pace;
}

type WriteCallback = (error: Error | null | undefined) => void;

/** Flags, packed to save memory. */
const Flag = {
  /** The slot belongs to it no more: it has been given up here, or the connection has closed. */
  detached: 1 << 0,
  /** Reading is paused, because what has been read is not consumed. */
  paused: 1 << 1,
  /** FIN has been sent, or will be after the queued output. */
  finished: 1 << 2,
  /** The peer has sent FIN, and that has been passed on. */
  ended: 1 << 3,
  /** `notifyFlushed` of the transport has been called, and `flushed` has not. */
  flushAwaited: 1 << 4,
  /** The connection is to be closed with RST. */
  resets: 1 << 5,
} as const;

/** Longer strings are converted to bytes first: as UTF-8 these take at most a piece. */
const shortText = Math.floor(pieceBytes / 3);
/** The longest timeout of a timer of Node's, in milliseconds. */
const longestTimeout = 2 ** 31 - 1;

/**
 * A connection of an `http.Server` that sluice listens for. It is used as a `net.Socket`. These differ:
 *
 * - It is no `instanceof net.Socket`: to Node's own code that means that there is a handle.
 * - TCP_NODELAY is always set, and the server's option `keepAlive` decides on SO_KEEPALIVE: `setNoDelay` and `setKeepAlive` change nothing.
 * - `ref` and `unref` change nothing.
 * - An IPv4 address of a client is shown as such where the server listens on `::`, and not as `::ffff:127.0.0.1`.
 */
export class NodeSocket extends Duplex implements SlotRecord {
  /** @internal */
  readonly slot: Slot;
  /** @internal */
  readonly owner: NodeSocketOwner;
  readonly #maker: NodeSocketMaker;
  /** @internal Node's parser of its input; null when Node has given it up, because the connection is upgraded. Set by Node. */
  declare readonly parser: object | null | undefined;
  /** After how many milliseconds without input or output `timeout` is emitted; 0 or undefined: never. Set by `setTimeout`. */
  timeout: number | undefined;
  #flags = 0;
  #bytesRead = 0;
  /** Bytes that the transport has got. */
  #bytesWritten = 0;
  /** When `timeout` is to be emitted, in milliseconds of the scheduler's clock. */
  #idleUntil = Infinity;
  /** Bytes queued when something was last written, or `#idleUntil` has passed. Kept only while there is a timeout. */
  #queuedBefore = 0;
  #pending: PendingWrite | undefined;
  /** Undefined until it is asked for; null if there is none. */
  #peer: SocketAddress | null | undefined;
  #local: SocketAddress | null | undefined;
  #tls: TlsInfo | undefined;
  /** Why the connection has closed. */
  #reason: ConnectionError | undefined;

  /** @internal The caller makes it the record of the slot. */
  constructor(maker: NodeSocketMaker, owner: NodeSocketOwner, slot: Slot, options: DuplexOptions) {
    super(options);
    this.owner = owner;
    this.#maker = maker;
    this.slot = slot;
    // As net.Socket does: from now on what is pushed goes to the listener at once.
    this.read(0);
  }

  /** @internal Options of a socket for a server. The listener emits `close` itself, with the argument that `net.Socket` passes. */
  static options(server: net.Server): DuplexOptions {
    // Since Node 20 a server has the option `highWaterMark`, which no types declare as a property.
    const mark: unknown = Reflect.get(server, 'highWaterMark');
    const { allowHalfOpen } = server as { allowHalfOpen?: boolean };
    return {
      allowHalfOpen: allowHalfOpen ?? false,
      emitClose: false,
      decodeStrings: false,
      ...(typeof mark === 'number' ? { readableHighWaterMark: mark, writableHighWaterMark: mark } : {}),
    };
  }

  /** @internal No thread works for it. */
  get thread(): undefined {
    return undefined;
  }

  /** @internal */
  get peer(): string {
    return this.#has(Flag.detached) ? '' : this.owner.transport.peer(this.slot);
  }

  // Addresses. They are looked up on first use, and are undefined if that is after the connection has closed.

  get #peerAddress(): SocketAddress | null {
    if (this.#peer === undefined) this.#peer = this.#has(Flag.detached) ? null : socketAddressOf(this.peer);
    return this.#peer;
  }

  get #localAddress(): SocketAddress | null {
    if (this.#local === undefined) {
      const { owner, slot } = this;
      this.#local = this.#has(Flag.detached) ? null : socketAddressOf(owner.transport.local(slot));
    }
    return this.#local;
  }

  /** The client's IP address; undefined for a Unix-domain socket. */
  get remoteAddress(): string | undefined {
    return this.#peerAddress?.address;
  }

  /** The client's port. */
  get remotePort(): number | undefined {
    return this.#peerAddress?.port;
  }

  /** `IPv4` or `IPv6`. */
  get remoteFamily(): string | undefined {
    return this.#peerAddress?.family;
  }

  /** The IP address of this end. */
  get localAddress(): string | undefined {
    return this.#localAddress?.address;
  }

  /** The port of this end. */
  get localPort(): number | undefined {
    return this.#localAddress?.port;
  }

  /** `IPv4` or `IPv6`. */
  get localFamily(): string | undefined {
    return this.#localAddress?.family;
  }

  /** Address, port and family of this end; an empty object for a Unix-domain socket. */
  address(): net.AddressInfo | Record<string, never> {
    return this.#localAddress === null ? {} : { ...this.#localAddress };
  }

  /** @internal The TLS session; undefined if there is none. Looked up on first use, as addresses are. */
  protected get tlsInfo(): TlsInfo | undefined {
    if (this.#tls === undefined && !this.#has(Flag.detached)) this.#tls = this.owner.transport.tls?.(this.slot);
    return this.#tls;
  }

  // Its state.

  /** Always false: a server's socket is connected. */
  get connecting(): boolean {
    return false;
  }

  /** Always false, too. */
  get pending(): boolean {
    return false;
  }

  /** `open`, `readOnly`, `writeOnly` or `closed`. */
  get readyState(): 'open' | 'readOnly' | 'writeOnly' | 'closed' {
    if (this.readable) return this.writable ? 'open' : 'readOnly';
    return this.writable ? 'writeOnly' : 'closed';
  }

  /** Bytes that have been received. */
  get bytesRead(): number {
    return this.#bytesRead;
  }

  /** Bytes that have been written, including those that wait to be sent. */
  get bytesWritten(): number {
    if (this.destroyed) return this.#bytesWritten;
    return this.#bytesWritten + this.writableLength - (this.#pending?.written ?? 0);
  }

  /** Bytes that wait to be sent, besides those that sluice has queued. */
  get bufferSize(): number {
    return this.writableLength;
  }

  #has(flag: number): boolean {
    return (this.#flags & flag) !== 0;
  }

  #set(flag: number, isSo = true): void {
    if (isSo) this.#flags |= flag;
    else this.#flags &= ~flag;
  }

  /** @internal The slot belongs to it no more. */
  protected get isDetached(): boolean {
    return this.#has(Flag.detached);
  }

  /** @internal Reading is paused. */
  protected get isInputPaused(): boolean {
    return this.#has(Flag.paused);
  }

  // Options.

  /** Changes nothing: see the class. */
  setNoDelay(): this {
    return this;
  }

  /** Changes nothing: see the class. */
  setKeepAlive(): this {
    return this;
  }

  /** Changes nothing. */
  ref(): this {
    return this;
  }

  /** Changes nothing. */
  unref(): this {
    return this;
  }

  /**
   * After that many milliseconds without input or output `timeout` is emitted; the connection stays open. 0 is never.
   * @param callback is called at the next `timeout`; with 0, is no longer called
   * @throws {TypeError | RangeError}
   */
  setTimeout(milliseconds: number, callback?: () => void): this {
    if (this.destroyed) return this;
    checkTimeout(milliseconds);
    if (callback !== undefined) {
      if (milliseconds === 0) this.removeListener('timeout', callback);
      else this.once('timeout', callback);
    }
    this.timeout = milliseconds;
    if (milliseconds > 0) this.#noteActivity();
    else if (this.#idleUntil !== Infinity) this.#waitUntil(Infinity);
    return this;
  }

  #noteActivity(): void {
    const { timeout = 0 } = this;
    if (timeout === 0 || this.#has(Flag.detached)) return;
    // Not the time of the turn: Node's code runs between turns, too.
    this.#waitUntil(this.owner.network.scheduler.moment + Math.min(timeout, longestTimeout));
  }

  #waitUntil(time: number): void {
    this.#idleUntil = time;
    this.#updateDeadline();
  }

  #updateDeadline(): void {
    if (this.#has(Flag.detached)) return;
    this.owner.network.setDeadline(this.slot, Math.min(this.#idleUntil, this.#pending?.pace.until ?? Infinity));
  }

  // The members of Duplex that an implementation has.

  /** @internal */
  override _read(): void {
    if (!this.#has(Flag.paused) || !this.wantsInput) return;
    this.#set(Flag.paused, false);
    this.#count(-this.readableHighWaterMark);
    if (!this.#has(Flag.detached)) this.owner.transport.resumeReading(this.slot);
  }

  /** @internal False: reading stays paused, even if what has been read is consumed. */
  protected get wantsInput(): boolean {
    return true;
  }

  /** @internal Stops reading until `_read` is called. What waits in the streams of the application may be as much as the high-water mark. */
  protected pauseInput(): void {
    if (this.#has(Flag.paused | Flag.detached)) return;
    this.#set(Flag.paused);
    this.#count(this.readableHighWaterMark);
    this.owner.transport.pauseReading(this.slot);
  }

  #count(bytes: number): void {
    this.owner.buffers.add(bytes);
  }

  /**
   * Writes a string, or bytes. A short string, as responses most often are, goes straight into the transport if nothing waits before it.
   * @returns false if more should be written only after `drain`
   */
  override write(chunk: unknown, callback?: WriteCallback): boolean;
  /** The same, with the encoding of a string. */
  override write(chunk: unknown, encoding: BufferEncoding | null | undefined, callback?: WriteCallback): boolean;
  override write(
    chunk: unknown,
    encoding?: BufferEncoding | WriteCallback | null,
    callback?: WriteCallback | null,
  ): boolean {
    if (typeof encoding === 'function') return super.write(chunk, encoding);
    const isClear = this.writable && this.writableLength + this.writableCorked === 0 && !this.#has(Flag.detached);
    if (isClear && typeof chunk === 'string' && (chunk === '' || this.#putText(chunk, encoding ?? 'utf8'))) {
      this.#noteActivity();
      if (callback) process.nextTick(callback);
      return true;
    }
    return encoding ? super.write(chunk, encoding, callback ?? undefined) : super.write(chunk, callback ?? undefined);
  }

  /** @internal */
  override _write(
    chunk: string | Uint8Array,
    encoding: BufferEncoding,
    callback: (error?: Error | null) => void,
  ): void {
    if (this.#has(Flag.detached)) {
      callback(this.#lostError('write'));
      return;
    }
    if (chunk.length === 0) {
      callback();
      return;
    }
    this.#noteActivity();
    let bytes: Uint8Array;
    if (typeof chunk !== 'string') bytes = chunk;
    else if (this.#putText(chunk, encoding)) {
      callback();
      return;
    } else bytes = Buffer.from(chunk, encoding);
    const written = this.#put(bytes, 0);
    if (written === bytes.length) {
      callback();
      return;
    }
    const { writeTimeout, writeRate, network } = this.owner;
    const limit = { timeout: writeTimeout, rate: writeRate };
    const pace = new Pace(limit, network.scheduler.moment, this.#bytesTaken());
    this.#pending = { bytes, written, callback, pace };
    this.#updateDeadline();
    this.#notifyWritable();
  }

  /** Writes a short string, as it is most often: the head of a response with its body. @returns false if it is to be written as bytes */
  #putText(text: string, encoding: BufferEncoding): boolean {
    if (text.length > shortText || this.#room() === 0) return false;
    const { transport } = this.owner;
    if (encoding === 'utf8' || encoding === 'utf-8') {
      const at = transport.reserve(this.slot, text.length * 3);
      this.#commit(at, transport.output.utf8Write(text, at, text.length * 3));
    } else if (encoding === 'latin1' || encoding === 'binary') {
      const at = transport.reserve(this.slot, text.length);
      this.#commit(at, transport.output.latin1Write(text, at, text.length));
    } else return false;
    return true;
  }

  /** Writes bytes from a place on, as many as there is room for. @returns how many of all have been written */
  #put(bytes: Uint8Array, written: number): number {
    const { transport } = this.owner;
    let at = written;
    const left = bytes.length - at;
    if (left >= leastAtOnce && this.#room() > 0) {
      const sent = sendNow(this.owner, this.slot, bytes, at, at + Math.min(left, mostAtOnce));
      this.#bytesWritten += sent;
      at += sent;
    }
    while (at < bytes.length) {
      const room = this.#room();
      if (room === 0) break;
      const count = Math.min(room, pieceBytes, bytes.length - at);
      const to = transport.reserve(this.slot, count);
      transport.output.set(count === bytes.length ? bytes : bytes.subarray(at, at + count), to);
      this.#commit(to, count);
      at += count;
    }
    return at;
  }

  #commit(at: number, bytes: number): void {
    this.owner.transport.commit(this.slot, at + bytes);
    this.#bytesWritten += bytes;
    if (this.timeout) this.#queuedBefore = this.#queued();
  }

  // Methods, because the engine calls private getters through its runtime.

  #queued(): number {
    return this.owner.transport.queued(this.slot);
  }

  /** How many bytes may be written now. */
  #room(): number {
    const { queuedBytes, buffers } = this.owner;
    return writableBytes(this.#queued(), queuedBytes, buffers);
  }

  /** How many bytes the kernel has taken. */
  #bytesTaken(): number {
    return this.#bytesWritten - this.#queued();
  }

  /** The transport reports `drained` by itself, but only for a queue that was above its high-water mark. */
  #notifyWritable(): void {
    if (this.owner.queuedBytes >= highWaterMark || this.#has(Flag.flushAwaited)) return;
    this.#set(Flag.flushAwaited);
    this.owner.transport.notifyFlushed(this.slot);
  }

  #continueWriting(): void {
    const pending = this.#pending;
    if (pending === undefined || this.#has(Flag.detached)) return;
    pending.written = this.#put(pending.bytes, pending.written);
    if (pending.written < pending.bytes.length) {
      this.#notifyWritable();
      return;
    }
    this.#pending = undefined;
    this.#noteActivity();
    this.#updateDeadline();
    this.call(pending.callback);
  }

  /** @internal */
  override _final(callback: (error?: Error | null) => void): void {
    if (!this.#has(Flag.detached | Flag.finished)) {
      this.#set(Flag.finished);
      this.owner.transport.finish(this.slot);
    }
    callback();
  }

  /** @internal */
  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    const { owner, slot } = this;
    const pending = this.#pending;
    this.#pending = undefined;
    if (!this.#has(Flag.detached)) {
      owner.network.setDeadline(slot, Infinity);
      this.detach();
      if (this.#has(Flag.resets)) owner.transport.reset(slot);
      else owner.endConnection(slot);
    }
    callback(error);
    pending?.callback(error ?? this.#lostError('write'));
    this.#maker.socketDestroyed(this);
    process.nextTick(emitClose, this, error !== null);
  }

  /** @internal The slot belongs to it no more. */
  protected detach(): void {
    this.#set(Flag.detached);
    if (!this.#has(Flag.paused)) return;
    this.#set(Flag.paused, false);
    this.#count(-this.readableHighWaterMark);
  }

  /** Ends the connection with RST. Output that has not been sent is dropped. */
  resetAndDestroy(): this {
    this.#set(Flag.resets);
    this.destroy();
    return this;
  }

  /** Ends this side when everything has been written, and then destroys the socket. */
  destroySoon(): void {
    if (this.writable) this.end();
    if (this.writableFinished) this.destroy();
    else this.once('finish', () => this.destroy());
  }

  /** @internal Gives it to a server, in the server's async context. */
  give(server: net.Server, event: 'connection' | 'secureConnection'): void {
    this.call(() => server.emit(event, this));
  }

  // The members of `SlotRecord`, called by the network.

  /** @internal Calls code of the application. What it throws is reported, and ends the connection with RST. */
  protected call<Arguments extends unknown[]>(
    called: (this: this, ...values: Arguments) => unknown,
    ...values: Arguments
  ): void {
    try {
      this.owner.context.run(called, this, ...values);
    } catch (error) {
      this.#failed(error);
    }
  }

  #failed(error: unknown): void {
    this.#maker.listenerFailed(error, this);
    this.resetAndDestroy();
  }

  /** @internal */
  received(bytes: Uint8Array, start: number, end: number): void {
    this.countInput(end - start);
    this.deliver(copyOfInput(bytes, start, end));
  }

  /** @internal Something has been received. */
  protected countInput(bytes: number): void {
    this.#bytesRead += bytes;
    this.#noteActivity();
  }

  /** @internal */
  protected deliver(chunk: Buffer): void {
    if (!this.parser) {
      this.call(this.#push, chunk);
      return;
    }
    // Node's parser is most often the only listener, and enters the context of the connection by itself. While nothing is buffered, the stream need not be asked.
    try {
      if (this.readableFlowing === true && this.readableLength === 0) this.emit('data', chunk);
      else this.#push(chunk);
    } catch (error) {
      this.#failed(error);
    }
  }

  #push(chunk: Buffer): void {
    if (!this.push(chunk)) this.pauseInput();
  }

  /** @internal */
  ended(): void {
    this.#set(Flag.ended);
    this.call(this.#pushEnd);
  }

  #pushEnd(): void {
    if (this.destroyed) return;
    this.push(null);
    this.read(0); // emits `end` if nothing is buffered, even while nothing is consumed: as net.Socket does
  }

  /** @internal */
  drained(): void {
    this.#continueWriting();
  }

  /** @internal */
  flushed(): void {
    this.#set(Flag.flushAwaited, false);
    this.#continueWriting();
  }

  /** @internal */
  expired(): void {
    const { network, writeTimeout, writeRate } = this.owner;
    const { now, due } = network.scheduler;
    const pace = this.#pending?.pace;
    if (pace !== undefined) {
      pace.note({ timeout: writeTimeout, rate: writeRate }, now, this.#bytesTaken());
      if (pace.until <= due) {
        this.#tooSlow();
        return;
      }
    }
    if (this.#idleUntil <= due) {
      const queued = this.#queued();
      if (queued > 0 && queued !== this.#queuedBefore) {
        this.#queuedBefore = queued; // the peer takes output, which counts as activity
        this.#noteActivity();
        return;
      }
      this.#idleUntil = Infinity;
      this.call(this.#emitTimeout);
    }
    this.#updateDeadline();
  }

  #tooSlow(): void {
    const { writeTimeout } = this.owner;
    const message = `the peer has taken no output, or too little, for ${writeTimeout} ms or more`;
    this.#set(Flag.resets);
    // Node has no such error: where code does not expect one, it must not become an uncaught exception.
    const isExpected = this.listenerCount('error') > 0;
    this.destroy(isExpected ? new ConnectionError('ERR_WRITE_TIMEOUT', message) : undefined);
  }

  #emitTimeout(): void {
    this.emit('timeout');
  }

  /** @internal */
  detached(_reason: ConnectionError | undefined): void {
    this.detach();
  }

  /** @internal */
  lost(reason: ConnectionError | undefined): void {
    this.#reason = reason;
  }

  /** @internal The server is closing. */
  closing(): void {
    // Node's own code takes a connection that has sent nothing for one with a request.
    if (this.#bytesRead === 0) this.destroy();
    else this.#maker.socketClosing(this);
  }

  /** @internal The connection has closed. */
  wake(): void {
    this.call(this.#concluded);
  }

  #concluded(): void {
    if (this.destroyed) return;
    const reason = this.#reason;
    if (reason !== undefined) this.destroy(errorOf(reason));
    else if (!this.#has(Flag.finished))
      this.destroy(); // this side has closed it
    else if (!this.#has(Flag.ended)) this.ended(); // both sides have ended: the stream destroys itself when everything has been read
  }

  /** The error for what is done with a connection that has closed. */
  #lostError(call: 'read' | 'write'): Error {
    const reason = this.#reason;
    return systemError(call, reason !== undefined && isSystemCode(reason.code) ? reason.code : 'ECONNRESET', reason);
  }
}

function emitClose(socket: NodeSocket, hadError: boolean): void {
  socket.emit('close', hadError);
}

/** @throws {TypeError | RangeError} */
function checkTimeout(milliseconds: unknown): void {
  if (typeof milliseconds !== 'number')
    throw new TypeError(`setTimeout: the timeout is ${show(milliseconds)}; expected a number of milliseconds`);
  if (!(milliseconds >= 0 && Number.isFinite(milliseconds)))
    throw new RangeError(`setTimeout: the timeout is ${milliseconds}; expected a number of milliseconds from 0 on`);
}
