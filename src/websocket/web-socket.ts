// A WebSocket in a thread: `receive` parks until a message has come, `send` while the peer is flooded, and the thread is unwound when the peer goes
// away. Frames are read as they come, whatever the thread is doing, so pings are answered and the closing handshake is taken part in at any time.
// Messages that the thread has not asked for wait in a queue; when that is long, the connection is not read.

import type { BufferedBytes } from '../connection/buffered-bytes.js';
import type { Connection } from '../connection/connection.js';
import { type Duplex, pieceBytes, smallPieceBytes } from '../connection/duplex.js';
import { checkData, Flooded, Writer } from '../connection/writer.js';
import { ConnectionError, highWaterMark } from '../event-layer/event-layer.js';
import { ClientLeftError } from '../http/incoming-request.js';
import { parked, type Task, type Wait, WaitingTask } from '../threads/task.js';
import { runningThread, type Thread } from '../threads/thread.js';
import type { OutputMemory } from '../util/output-memory.js';
import { checkClose, closeCodes } from './close-codes.js';
import type { Compression } from './compression.js';
import type { WebSocketError } from './errors.js';
import { SocketBase, type SocketEndpoint } from './socket-base.js';

/** A message: text, or bytes that are the receiver's to keep. */
export type WebSocketMessage = string | Uint8Array<ArrayBuffer>;

/** Of messages that wait for the thread: from so many bytes on the connection is not read, and from so few on it is again. */
const mostWaiting = 64 * 1024;
const fewWaiting = 16 * 1024;
/** What a waiting message takes besides its content, so that empty ones are bounded, too. */
const messageOverhead = 64;

/** A WebSocket of a thread: see {@link webSocket} and {@link connectWebSocket}. */
export class WebSocketConnection extends SocketBase implements Duplex {
  /** The sub-protocol that was agreed on; empty if there is none. */
  readonly protocol: string;
  readonly #connection: Connection;
  /** Made when a thread is about to park in it: most sockets never have one. */
  #writer: Writer | undefined;
  /** The first message that waits, and the ones behind it. Most often there is none, or one. */
  #first: WebSocketMessage | undefined;
  #others: WebSocketMessage[] | undefined;
  /** Bytes of the messages that wait, each with its overhead. */
  #waiting = 0;
  #isPaused = false;
  /** The thread that is parked in `receive`. */
  #receiver: Thread<unknown> | undefined;
  #code = 0;
  #reason = '';
  #error: WebSocketError | undefined;
  /** When something is to come at the latest. */
  #inputUntil = Infinity;
  /** A message is being sent in several frames. */
  #isSending = false;

  /** @internal @param connection its record is replaced by this; what has come on it is read first */
  constructor(
    connection: Connection,
    endpoint: SocketEndpoint,
    protocol: string,
    compression: Compression | undefined,
  ) {
    super(endpoint, connection.slot, compression);
    this.#connection = connection;
    this.protocol = protocol;
    const { reader } = connection;
    const { bytes, start, limit } = reader;
    endpoint.owner.network.replace(this);
    this.awaitInput();
    if (limit > start) this.received(bytes, start, limit);
    reader.consume(limit - start);
    if (reader.finished && !this.hasEnded) this.ended();
    connection.releaseIdleHalves();
    connection.detached(undefined);
    this.thread?.whenOver(() => this.#threadOver());
  }

  /** @internal */
  get thread(): Thread<unknown> | undefined {
    return this.#connection.thread;
  }

  /** @internal */
  get writer(): Writer {
    if (this.#writer === undefined) {
      this.#writer = new Writer(this);
      this.#writer.timeout = this.endpoint.owner.writeTimeout;
    }
    return this.#writer;
  }

  /** The peer's address: see `Connection.peer`. */
  get peer(): string {
    return this.#connection.peer;
  }

  /** Bytes of output, frames included, that have not left. */
  get bufferedAmount(): number {
    return this.queued;
  }

  /** The code of the end: 1005 if the peer gave none, 1006 if the connection was lost; 0 while it is open. */
  get code(): number {
    return this.#code;
  }

  /** The reason that the peer gave. */
  get reason(): string {
    return this.#reason;
  }

  /** What the peer did wrong, if that is why the WebSocket was closed from here. */
  get error(): Error | undefined {
    return this.#error;
  }

  /**
   * The next message; parks while there is none.
   * @returns text, or bytes that are the caller's; `undefined` when no more will come: `code` and `reason` say why
   */
  receive(): Task<WebSocketMessage | undefined> {
    return new Receiving(this);
  }

  /**
   * Sends a message: a string as text, bytes as binary. Parks while the peer is flooded. Long ones go out in several frames.
   * @throws {ConnectionError} `ERR_CLOSED` if the WebSocket is closed or closing; `ERR_WRITE_TIMEOUT`; `ERR_BUSY` if another thread is sending a long message
   * @throws {TypeError} if it is neither a string nor a Uint8Array
   */
  send(data: string | Uint8Array): Task<void> {
    return new Sending(this, data);
  }

  /**
   * Sends a ping (RFC 6455 §5.5.2). Pings are sent by themselves, too: see `pingInterval`.
   * @param data at most 125 bytes
   * @throws {ConnectionError} `ERR_CLOSED` @throws {RangeError} for more bytes
   */
  ping(data: string | Uint8Array = ''): void {
    const payload = typeof data === 'string' ? new TextEncoder().encode(data) : data;
    checkData(payload);
    if (payload.length > 125) throw new RangeError(`ping: the data has ${payload.length} bytes; expected at most 125`);
    this.checkOpen();
    this.putPing(payload);
  }

  /**
   * Starts the closing handshake (RFC 6455 §7.1.2). What the peer sends until it has answered can still be received. Calling it again changes nothing.
   * @param code 1000 to 1003, 1007 to 1009, 1011 to 1014, or 3000 to 4999. Default 1000
   * @param reason at most 123 bytes of UTF-8
   * @throws {RangeError | TypeError} for others
   */
  close(code: number = closeCodes.normal, reason = ''): void {
    checkClose('close', code, reason, this.endpoint.isClient ? 'client' : 'server');
    this.sendClose(code, reason);
  }

  /** @internal @throws {ConnectionError} `ERR_CLOSED` */
  checkOpen(): void {
    if (!this.isOpen) throw this.closedError();
  }

  // For `Receiving` and `Sending`.

  /** @internal Takes the first message that waits. */
  take(): WebSocketMessage | undefined {
    const message = this.#first;
    if (message === undefined) return undefined;
    this.#first = this.#others?.shift();
    if (this.#first === undefined) this.#others = undefined;
    const size = message.length + messageOverhead;
    this.#waiting -= size;
    this.buffers.add(-size);
    if (this.#isPaused && this.#waiting <= fewWaiting) {
      this.#isPaused = false;
      this.resumeReading();
    }
    return message;
  }

  /** @internal The running thread is about to park in `receive`. @throws {ConnectionError} `ERR_BUSY` */
  beginReceiving(): void {
    const thread = runningThread('receive');
    if (this.#receiver !== undefined)
      throw new ConnectionError(
        'ERR_BUSY',
        `${this.#receiver} receives from this WebSocket already; only one thread can`,
      );
    this.#receiver = thread;
  }

  /** @internal */
  endReceiving(): void {
    this.#receiver = undefined;
  }

  /** @internal Sends a message as a whole, or its first fragment. */
  putMessage(data: string | Uint8Array): void {
    this.put(data);
  }

  /** @internal @throws {ConnectionError} `ERR_BUSY` if another thread is within a message */
  checkIdle(): void {
    if (this.#isSending)
      throw new ConnectionError('ERR_BUSY', 'another thread is sending a long message on this WebSocket');
  }

  /** @internal A message of several frames begins, or is complete, or given up. */
  set isSending(isSo: boolean) {
    this.#isSending = isSo;
  }

  /** @internal */
  putPart(opcode: number, data: Uint8Array, isLast: boolean): void {
    this.putFragment(opcode, data, isLast);
  }

  // What the base reports.

  /** @internal */
  protected message(data: WebSocketMessage): void {
    const size = data.length + messageOverhead;
    if (this.#first === undefined) this.#first = data;
    else if (this.#others === undefined) this.#others = [data];
    else this.#others.push(data);
    this.#waiting += size;
    this.buffers.add(size);
    const most = this.buffers.isFull ? 1 : mostWaiting;
    if (this.#waiting >= fewWaiting) this.handedOn();
    if (this.#waiting >= most && !this.#isPaused && !this.isOver) {
      this.#isPaused = true;
      this.pauseReading();
    }
  }

  /** @internal A receiver is resumed once for the messages that have come together: it costs as much as reading them. */
  protected override handedOn(): void {
    if (this.#receiver !== undefined && this.#first !== undefined) this.scheduler.resume(this.#receiver);
  }

  /** @internal */
  protected pinged(): void {}

  /** @internal */
  protected ponged(): void {}

  /** @internal */
  protected concluded(code: number, reason: string, error: WebSocketError | undefined, isAnswer: boolean): void {
    this.#code = code;
    this.#reason = reason;
    this.#error = error;
    const { thread } = this;
    if (this.#receiver !== undefined) this.scheduler.resume(this.#receiver);
    else if (!isAnswer && this.#first === undefined)
      thread?.unwind(new ClientLeftError(`the peer has closed the WebSocket (${code})`));
    this.#writer?.wake();
  }

  #threadOver(): void {
    this.buffers.add(-this.#waiting);
    this.#waiting = 0;
    this.#first = undefined;
    this.#others = undefined;
    if (this.isOver) return;
    const isWell = this.thread?.outcome === 'returned';
    if (this.hasEnded) {
      this.finishNow();
      return;
    }
    if (this.isOpen) this.sendClose(isWell ? closeCodes.normal : closeCodes.internalError, '');
    if (this.#isPaused) this.resumeReading(); // for the peer's Close frame
  }

  /** @internal */
  override lost(reason: ConnectionError | undefined): void {
    super.lost(reason);
    this.#connection.detached(reason);
    this.thread?.unwind(new ClientLeftError('the connection to the client is gone', { cause: reason }));
  }

  /** @internal */
  protected writableAgain(): void {
    this.#writer?.wake();
  }

  /** @internal No other frame may come between those of a message. */
  override get hasRoom(): boolean {
    return !this.#isSending && super.hasRoom;
  }

  /** @internal */
  override wake(): void {
    this.#writer?.wake();
    if (this.#receiver !== undefined) this.scheduler.resume(this.#receiver);
  }

  /** @internal */
  override expired(): void {
    this.#writer?.expire();
    if (this.#inputUntil <= this.scheduler.due) {
      this.#inputUntil = Infinity;
      super.expired();
    }
    this.updateDeadline();
  }

  /** @internal */
  protected override setDeadline(time: number): void {
    this.#inputUntil = time;
    this.updateDeadline();
  }

  // What the writer works on: see `Duplex`.

  /** @internal */
  get buffers(): BufferedBytes {
    return this.endpoint.owner.buffers;
  }

  /** @internal */
  get closed(): boolean {
    return this.isOver;
  }

  /** @internal */
  get finished(): boolean {
    return !this.isOpen;
  }

  /** @internal */
  get writable(): number {
    if (this.isOver) return Infinity;
    const { queued } = this;
    const { queuedBytes, buffers } = this.endpoint.owner;
    if (queued > 0 && queued >= queuedBytes) return 0;
    return Math.max(queuedBytes - queued, queuedBytes === 1 && buffers.isExceeded ? smallPieceBytes : pieceBytes);
  }

  /** @internal */
  get writeRate(): number {
    return this.endpoint.owner.writeRate;
  }

  /** @internal */
  get output(): OutputMemory {
    return this.endpoint.owner.transport.output;
  }

  /** @internal */
  reserve(bytes: number): number {
    return this.endpoint.owner.transport.reserve(this.slot, bytes);
  }

  /** @internal */
  commit(end: number): void {
    this.endpoint.owner.transport.commit(this.slot, end);
  }

  /** @internal By itself the transport tells only of a queue that has been above its high-water mark. */
  notifyWritable(): void {
    if (this.endpoint.owner.queuedBytes < highWaterMark) this.notifyFlushed();
  }

  /** @internal */
  notifyFlushed(): void {
    this.notifyRoom();
  }

  /** @internal */
  finish(): void {
    this.sendClose(closeCodes.normal, '');
  }

  /** @internal */
  pauseReading(): void {
    if (!this.isOver) this.endpoint.owner.transport.pauseReading(this.slot);
  }

  /** @internal */
  resumeReading(): void {
    if (!this.isOver) this.endpoint.owner.transport.resumeReading(this.slot);
  }

  /** @internal */
  updateDeadline(): void {
    if (this.isOver) return;
    const writeUntil = this.#writer === undefined ? Infinity : this.#writer.parkedUntil;
    this.endpoint.owner.network.setDeadline(this.slot, Math.min(this.#inputUntil, writeUntil));
  }

  /** @internal */
  fail(code: string, message: string, cause?: ConnectionError): ConnectionError {
    return this.#connection.fail(code, message, cause);
  }

  /** @internal */
  closedError(): ConnectionError {
    const why = this.#code === 0 ? 'is closing' : `was closed with ${this.#code}`;
    return this.fail('ERR_CLOSED', `the WebSocket ${why}`, this.#connection.reason);
  }
}

/** `receive` */
class Receiving extends WaitingTask<WebSocketMessage | undefined> {
  readonly #socket: WebSocketConnection;
  #isParked = false;

  constructor(socket: WebSocketConnection) {
    super();
    this.#socket = socket;
  }

  next(): IteratorResult<Wait, WebSocketMessage | undefined> {
    const socket = this.#socket;
    if (this.#isParked) socket.endReceiving();
    this.#isParked = false;
    const message = socket.take();
    if (message !== undefined || socket.hasEnded) return { done: true, value: message };
    socket.beginReceiving();
    this.#isParked = true;
    return parked.dry;
  }

  protected leave(): void {
    if (this.#isParked) this.#socket.endReceiving();
    this.#isParked = false;
  }
}

/** The most bytes of payload of one frame of a long message: others, a pong say, may go out in between. */
const fragmentBytes = 32 * 1024;

/** `send` */
class Sending extends Flooded {
  readonly #socket: WebSocketConnection;
  readonly #data: string | Uint8Array;
  /** A long message, as bytes, and how much of it has been sent. */
  #bytes: Uint8Array | undefined;
  #sent = 0;

  constructor(socket: WebSocketConnection, data: string | Uint8Array) {
    super();
    this.#socket = socket;
    this.#data = data;
  }

  protected begin(): void {
    checkData(this.#data);
    this.#socket.checkOpen();
    this.#socket.checkIdle();
  }

  protected proceed(): Writer | undefined {
    const socket = this.#socket;
    socket.checkOpen();
    const data = this.#data;
    if (this.#bytes === undefined) {
      if (socket.writable === 0) return socket.writer;
      socket.checkIdle();
      if (data.length <= fragmentBytes / 3) {
        socket.putMessage(data);
        return undefined;
      }
      this.#bytes = typeof data === 'string' ? new TextEncoder().encode(data) : data;
      socket.isSending = true;
    }
    const bytes = this.#bytes;
    const { length } = bytes;
    while (socket.writable > 0) {
      const end = Math.min(length, this.#sent + fragmentBytes);
      const opcode = this.#sent > 0 ? 0 : typeof data === 'string' ? 1 : 2;
      socket.putPart(opcode, bytes.subarray(this.#sent, end), end === length);
      this.#sent = end;
      if (end < length) continue;
      socket.isSending = false;
      return undefined;
    }
    return socket.writer;
  }

  protected override leave(): void {
    super.leave();
    if (this.#bytes === undefined || this.#sent === this.#bytes.length) return;
    // Half a message has been sent: nothing but its rest could follow.
    this.#socket.isSending = false;
    this.#socket.breakOff();
  }
}
