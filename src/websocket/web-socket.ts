// The WebSocket of a thread. Frames are read as they arrive, whatever the thread is doing: messages wait here until it receives them, pings are answered,
// and the closing handshake takes its course.

import { Buffer } from 'node:buffer';
import type { BufferedBytes } from '../connection/buffered-bytes.js';
import type { Connection } from '../connection/connection.js';
import { type Duplex, writableBytes } from '../connection/duplex.js';
import { checkData, endOfPiece, Flooded, Writer } from '../connection/writer.js';
import { ConnectionError, highWaterMark } from '../event-layer/event-layer.js';
import { ExchangeThread, type Successor } from '../http/exchange-thread.js';
import { isLightRequest, type Request } from '../http/fetch/request.js';
import { ClientLeftError, type IncomingRequest, type RequestOwner } from '../http/incoming-request.js';
import { captureContext, enterableContext } from '../threads/context.js';
import { parked, type Task, type Wait, WaitingTask } from '../threads/task.js';
import { runningThread, type Thread } from '../threads/thread.js';
import type { TimerTarget } from '../threads/timers.js';
import { isInstance, propertyOf } from '../util/inspect.js';
import type { OutputMemory } from '../util/output-memory.js';
import { checkClose, closeCodes } from './close-codes.js';
import type { Compression } from './compression.js';
import { WebSocketError } from './errors.js';
import { maxControlPayload, opcodes, RSV1 } from './frames.js';
import { firstOwnFlag, SocketBase, type SocketEndpoint } from './socket-base.js';

/** A message: text, or bytes that are the receiver's to keep. */
export type WebSocketMessage = string | Uint8Array<ArrayBuffer>;

/** From so many bytes of messages that wait for the thread on, the connection is not read; and from so few on it is again. */
const mostWaiting = 64 * 1024;
const fewWaiting = 16 * 1024;
/** How many bytes a waiting message counts besides its content, so that empty ones are bounded, too. */
const messageOverhead = 64;

/** A part of a message. */
class Part {
  readonly data: WebSocketMessage;
  readonly isLast: boolean;

  constructor(data: WebSocketMessage, isLast: boolean) {
    this.data = data;
    this.isLast = isLast;
  }
}

/** How the WebSocket ends. */
interface End {
  readonly code: number;
  readonly reason: string;
}

/** No Close frame has come (RFC 6455 §7.1.5). */
const lost: End = { code: closeCodes.abnormal, reason: '' };

/** Besides those of the base. */
const Flag = {
  /** Messages wait, as many as may: the connection is not read. */
  paused: firstOwnFlag,
  /** A message is being sent in several frames. */
  sending: firstOwnFlag << 1,
  /** The running thread is in `receive`: it learns of the end from what that returns. */
  receiving: firstOwnFlag << 2,
  /** The thread is over. */
  threadOver: firstOwnFlag << 3,
} as const;

/** A WebSocket of a thread: see {@link webSocket} and {@link connectWebSocket}. */
export class WebSocketConnection extends SocketBase implements Duplex, RequestOwner, Successor, TimerTarget {
  /** The sub-protocol that was agreed on; empty if there is none. */
  readonly protocol: string;
  readonly #connection: Connection;
  #writer: Writer | undefined;
  /** The first message that waits for the thread, and the ones behind it. Most often there is none, or one. */
  #first: WebSocketMessage | Part | undefined;
  #others: (WebSocketMessage | Part)[] | undefined;
  /** Bytes of what waits, each message with its overhead. */
  #waiting = 0;
  /** Bytes that came when too much was waiting. */
  #unread: Uint8Array | undefined;
  /** The thread that is parked in `receive`. */
  #receiver: Thread<unknown> | undefined;
  #end: End | undefined;
  /** When something is to have come, in milliseconds of the scheduler; 0 for never. Whole, since a fraction would take 16 bytes more. */
  #inputUntil = 0;
  /** What ends the thread some time after the WebSocket; 0 is none. */
  #timer = 0;
  /** The request, if its signal is in use. */
  #request: IncomingRequest | undefined;

  /** @internal @param connection is replaced by this as the record of its slot; what has come on it is read first */
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
    const { bytes, start, limit, finished } = reader;
    endpoint.owner.network.replace(this);
    this.awaitInput();
    if (limit > start) this.received(bytes, start, limit);
    reader.consume(limit - start);
    connection.handedOver();
    if (finished) this.ended();
    const { thread } = this;
    if (isInstance(thread, ExchangeThread)) thread.handOver(this);
    else thread?.whenOver(() => this.threadOver());
  }

  /** @internal */
  get thread(): Thread<unknown> | undefined {
    return this.#connection.thread;
  }

  /** @internal The request that it was made of, for errors of its threads, if it is kept. */
  get request(): Request | undefined {
    const request = propertyOf(this.#connection.protocol, 'request');
    return isLightRequest(request) ? request : undefined;
  }

  /** The peer's address: see `Connection.peer`. */
  get peer(): string {
    return this.#connection.peer;
  }

  /** Bytes of output, frames included, that have not left. */
  get bufferedAmount(): number {
    return this.queued;
  }

  /**
   * The code of the peer's Close frame, when the WebSocket has ended (RFC 6455 §7.1.5): 1005 if there was none in it, 1006 if no such frame has come, whichever
   * side has ended the connection. 0 until then. See also `error`.
   */
  get code(): number {
    return this.ending?.code ?? 0;
  }

  /** The reason in the peer's Close frame; empty if there was none. */
  get reason(): string {
    return this.ending?.reason ?? '';
  }

  /** How it has ended, if it has. */
  private get ending(): End | undefined {
    // At the deadline of the server's `close` threads are unwound before their connections end.
    const hasEnded = this.isConcluded || this.isOver || this.endpoint.owner.forceClosing === true;
    return hasEnded ? (this.#end ?? lost) : undefined;
  }

  /**
   * The next message; parks while there is none. When `receiveParts` has been called, the message is put together from its parts.
   * @returns text, or bytes that are the caller's; `undefined` when no more will come: `code` and `reason` say why
   * @throws {ConnectionError} `ERR_BUSY` if another thread receives
   */
  receive(): Task<WebSocketMessage | undefined> {
    return this.isInParts ? joined(this) : (nextItem(this) as Task<WebSocketMessage | undefined>); // no parts are queued
  }

  /**
   * The next message, as parts that can be read while it is still arriving, so that it is never in memory as a whole. From the first call on messages
   * are no longer gathered: one that started before has what had come of it as its first part. What is left unread of the message before is
   * skipped. `maxPayloadLength` bounds the whole message.
   *
   * ```ts
   * for (let message; (message = yield* socket.receiveParts()) !== undefined; )
   *   for (let part; (part = yield* message.read()) !== undefined; ) yield* save(part);
   * ```
   * @returns `undefined` when no more will come @throws as `receive`
   */
  *receiveParts(): Task<MessageParts | undefined> {
    this.startParts();
    const { open } = this;
    if (open !== undefined) while ((yield* open.read()) !== undefined);
    const first = yield* nextItem(this);
    if (first === undefined) return undefined;
    this.open = new MessageParts(this, asPart(first));
    return this.open;
  }

  /** @internal The message whose parts are being received. */
  open: MessageParts | undefined;

  /**
   * Sends a message: a string as text, bytes as binary. Parks while the peer is flooded. Long ones go out in several frames, between which
   * pings are answered. When the thread is unwound in the middle of a message, the connection is reset.
   * @throws {ConnectionError} `ERR_CLOSED` if the WebSocket is closed or closing, by whichever side; `ERR_WRITE_TIMEOUT` if it was reset because the peer took no
   *   output: the thread that the WebSocket of a server belongs to is unwound then; `ERR_BUSY` if another thread is sending a long message, or is parked in `send`
   * @throws {TypeError} if it is neither a string nor a Uint8Array
   */
  send(data: string | Uint8Array): Task<void> {
    return new Sending(this, data);
  }

  /**
   * Sends a ping (RFC 6455 §5.5.2). Pings are sent without it, too: see `pingInterval`.
   * @param data at most 125 bytes
   * @throws {ConnectionError} `ERR_CLOSED` @throws {RangeError} for more bytes @throws {TypeError} if it is neither a string nor a Uint8Array
   */
  ping(data: string | Uint8Array = ''): void {
    checkData(data, 'ping');
    const payload = typeof data === 'string' ? Buffer.from(data) : data;
    if (payload.length > maxControlPayload)
      throw new RangeError(`ping: the data has ${payload.length} bytes; expected at most ${maxControlPayload}`);
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

  /** @internal Takes what has waited longest. Where nothing waits and the peer has ended, the WebSocket ends. */
  take(): WebSocketMessage | Part | undefined {
    this.setFlag(Flag.receiving, true);
    if (this.hasFlag(Flag.paused) && this.#waiting <= fewWaiting) this.continueReading();
    const next = this.#first;
    if (next !== undefined) {
      this.#first = this.#others?.shift(); // no more than about a thousand wait
      if (this.#first === undefined) this.#others = undefined;
      const size = sizeOf(next);
      this.#waiting -= size;
      this.buffers.add(-size);
      if (this.#waiting === 0 && this.hasFlag(Flag.paused)) this.continueReading();
    } else if (this.#end !== undefined && !this.isConcluded) this.finishClosing(this.#end.code, this.#end.reason);
    this.setFlag(Flag.receiving, false);
    return next;
  }

  private continueReading(): void {
    this.setFlag(Flag.paused, false);
    const unread = this.#unread;
    this.#unread = undefined;
    this.awaitInput();
    if (unread !== undefined) {
      this.buffers.add(-unread.length);
      this.received(unread, 0, unread.length);
    } else if (this.isInParts) this.received(nothing, 0, 0); // more of what has come may have to be decompressed
    if (!this.hasFlag(Flag.paused)) this.resumeReading();
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

  /** @internal Sends a message as a whole. */
  putMessage(data: string | Uint8Array): void {
    this.put(data);
  }

  /** @internal A message of several frames starts: its data, and the first byte of its first frame but FIN. */
  startMessage(data: string | Uint8Array): { data: string | Uint8Array; first: number } {
    this.setFlag(Flag.sending, true);
    const compressed = this.compressed(data);
    const opcode = typeof data === 'string' ? opcodes.text : opcodes.binary;
    return compressed === undefined ? { data, first: opcode } : { data: compressed, first: RSV1 | opcode };
  }

  /** @internal */
  putPart(first: number, data: Uint8Array, isLast: boolean): void {
    this.putFragment(first, data, isLast);
    if (isLast) this.setFlag(Flag.sending, false);
  }

  /** @internal A message that is not complete is given up: nothing but its rest could follow. */
  breakMessage(): void {
    this.setFlag(Flag.sending, false);
    this.abort();
  }

  /** @internal @throws {ConnectionError} `ERR_BUSY` if another thread is within a message */
  checkIdle(): void {
    if (this.hasFlag(Flag.sending))
      throw new ConnectionError('ERR_BUSY', 'another thread is sending a long message on this WebSocket');
  }

  // What the base reports.

  /** @internal */
  protected override get isFull(): boolean {
    return this.hasFlag(Flag.paused);
  }

  /** @internal */
  protected message(data: WebSocketMessage, isLast: boolean): void {
    if (this.hasFlag(Flag.threadOver)) return;
    const item = this.isInParts ? new Part(data, isLast) : data;
    const size = sizeOf(item);
    if (this.#first === undefined) this.#first = item;
    else if (this.#others === undefined) this.#others = [item];
    else this.#others.push(item);
    this.#waiting += size;
    this.buffers.add(size);
    if (this.#waiting >= (this.buffers.isFull ? 1 : mostWaiting)) {
      this.setFlag(Flag.paused, true);
      this.pauseReading();
      this.stopWaiting(); // the peer cannot show that it is there
    }
    if (this.#waiting >= fewWaiting) this.messagesReported();
  }

  /** @internal A receiver is resumed once for the messages that have come together: that costs as much as reading them. It may run at once. */
  protected override messagesReported(): void {
    if (this.#receiver !== undefined && this.#first !== undefined) this.scheduler.resume(this.#receiver);
  }

  /** @internal */
  protected pinged(): void {}

  /** @internal */
  protected ponged(): void {}

  /** @internal Messages that came before the peer's end can be received and answered before this side ends, too. */
  protected override peerEnded(code: number, reason: string): void {
    const isAwaited = this.#waiting > 0 || this.hasFlag(Flag.receiving) || this.thread?.state === 'running';
    if (!isAwaited || this.hasFlag(Flag.threadOver)) {
      this.finishClosing(code, reason);
      return;
    }
    this.#end = { code, reason };
    this.setDeadline(this.scheduler.now + this.endpoint.closeTimeout);
  }

  /** @internal */
  protected concluded(code: number, reason: string, isAnswer: boolean): void {
    this.#end ??= { code, reason }; // a Close frame that has come counts, also if the connection is lost before it is answered
    const { thread } = this;
    const left = this.leftError();
    if (!isAnswer) this.abortRequest(left);
    // The thread of a client has other things to do.
    if (!this.endpoint.isClient && thread !== undefined && !this.hasFlag(Flag.threadOver)) {
      if (this.#receiver === undefined && !this.hasFlag(Flag.receiving) && !isAnswer) thread.unwind(left);
      else this.#timer = this.scheduler.armIn(this.endpoint.closeTimeout, this, 0);
    }
    this.#writer?.wake();
    if (this.#receiver !== undefined) this.scheduler.resume(this.#receiver);
  }

  /** What the thread is unwound with, and the request's signal aborted, when the WebSocket has ended. @param cause why the connection was lost */
  private leftError(cause?: ConnectionError): ClientLeftError {
    const { error } = this;
    const code = this.#end?.code ?? closeCodes.abnormal;
    let message = `the peer has closed the WebSocket (${code})`;
    if (isInstance(error, WebSocketError)) message = `the WebSocket was closed with ${error.closeCode}`;
    else if (error !== undefined) message = 'the connection was ended from here';
    else if (cause !== undefined || this.isOver) message = 'the connection to the client is gone';
    else if (code === closeCodes.abnormal) message = 'the peer has ended the connection without a Close frame';
    return new ClientLeftError(message, { cause: error ?? cause });
  }

  /** @internal The thread has had its time after the end. */
  timerFired(): void {
    this.#timer = 0;
    this.thread?.unwind(new ClientLeftError(`the WebSocket was closed with ${this.code} some time ago`));
  }

  /** @internal */
  protected override end(): void {
    if (!this.isOver && !this.hasFlag(Flag.threadOver)) this.#connection.rememberPeer(); // for what the thread may yet throw
    super.end();
  }

  /** @internal */
  threadOver(): void {
    this.setFlag(Flag.threadOver, true);
    if (this.#timer !== 0) this.scheduler.timers.cancel(this.#timer);
    this.#timer = 0;
    this.buffers.add(-this.#waiting);
    this.#waiting = 0;
    this.#first = undefined;
    this.#others = undefined;
    if (this.isOver || this.isConcluded) return;
    const { thread } = this;
    const hasFailed = thread?.outcome === 'failed' || this.#connection.hasFailed;
    const pending = this.#end;
    if (pending !== undefined) {
      this.finishClosing(pending.code, pending.reason);
      return;
    }
    if (this.hasFlag(Flag.paused)) this.continueReading(); // for the peer's Close frame, which may have come
    if (this.isOver || this.isConcluded) return;
    if (hasFailed) this.sendClose(closeCodes.internalError, '');
    else this.sendClose(thread?.outcome === 'unwound' ? closeCodes.goingAway : closeCodes.normal, '');
    if (this.endpoint.owner.forceClosing === true && !this.isOver) this.abort();
  }

  // The owner of the request.

  /** @internal */
  ownRequest(request: IncomingRequest): void {
    request.owner = this;
    if (request.isNeeded) this.#request = request;
  }

  /** @internal The response was the opening handshake. */
  get hasResponded(): boolean {
    return true;
  }

  /** @internal */
  onSignalRequested(request: IncomingRequest): unknown {
    this.#request = request;
    return this.isConcluded ? new ClientLeftError(`the WebSocket was closed with ${this.code}`) : undefined;
  }

  private abortRequest(reason: ClientLeftError): void {
    const request = this.#request;
    if (request === undefined) return;
    const context = this.thread?.context ?? captureContext();
    enterableContext(context).runInAsyncScope(request.abort, request, reason);
  }

  // What the network reports.

  /** @internal */
  override received(bytes: Uint8Array, start: number, end: number): void {
    if (this.hasFlag(Flag.paused)) {
      this.keep(bytes, start, end);
      return;
    }
    this.inputSeen();
    const at = this.read(bytes, start, end);
    if (at < end) this.keep(bytes, at, end);
  }

  private keep(bytes: Uint8Array, start: number, end: number): void {
    const unread = this.#unread;
    const before = unread?.length ?? 0;
    const kept = new Uint8Array(before + end - start);
    if (unread !== undefined) kept.set(unread);
    kept.set(bytes.subarray(start, end), before);
    this.#unread = kept;
    this.buffers.add(kept.length - before);
  }

  /** @internal */
  override detached(reason: ConnectionError | undefined): void {
    super.detached(reason);
    this.#connection.detached(reason);
    if (this.#unread !== undefined) this.buffers.add(-this.#unread.length);
    this.#unread = undefined;
  }

  /** @internal */
  override lost(reason: ConnectionError | undefined): void {
    if (this.isConcluded) return;
    const left = this.leftError(reason);
    this.abortRequest(left);
    this.thread?.unwind(left);
  }

  /** @internal */
  protected writableAgain(): void {
    this.#writer?.wake();
  }

  /** @internal See `WatchedSocket`. */
  override get isAwaited(): boolean {
    return this.#writer !== undefined && this.#writer.parkedUntil !== Infinity;
  }

  /** @internal No other frame may come between those of a message. */
  override get hasRoom(): boolean {
    return !this.hasFlag(Flag.sending) && super.hasRoom;
  }

  /** @internal */
  override wake(): void {
    super.wake();
    this.#writer?.wake();
    if (this.#receiver !== undefined) this.scheduler.resume(this.#receiver);
  }

  /** @internal */
  override expired(): void {
    // The end comes first: what the thread finds when it runs again, or is unwound, is how the WebSocket has ended.
    if (this.#writer?.isOverdue()) this.tooSlow();
    if (this.isOver) return;
    if (this.#inputUntil !== 0 && this.#inputUntil <= this.scheduler.due) {
      this.#inputUntil = 0;
      const end = this.#end;
      if (end !== undefined && !this.isConcluded)
        this.finishClosing(end.code, end.reason); // the thread has not received in time
      else super.expired();
    }
    this.updateDeadline();
  }

  /** @internal */
  protected override setDeadline(time: number): void {
    this.#inputUntil = time === Infinity ? 0 : Math.ceil(time);
    this.updateDeadline();
  }

  // The members of `Duplex`, for its writer.

  /** @internal */
  get writer(): Writer {
    if (this.#writer === undefined) {
      this.#writer = new Writer(this);
      this.#writer.timeout = this.endpoint.owner.writeTimeout;
    }
    return this.#writer;
  }

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
    const { queuedBytes, buffers } = this.endpoint.owner;
    return writableBytes(this.queued, queuedBytes, buffers);
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

  /** @internal By itself the transport reports only a queue that has been above its high-water mark. */
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
    const inputUntil = this.#inputUntil === 0 ? Infinity : this.#inputUntil;
    this.endpoint.owner.network.setDeadline(this.slot, Math.min(inputUntil, this.#writer?.parkedUntil ?? Infinity));
  }

  /** @internal */
  recordFault(code: string, message: string, cause?: ConnectionError): ConnectionError {
    return this.#connection.recordFault(code, message, cause);
  }

  /** @internal */
  closedError(): ConnectionError {
    const { error } = this;
    if (isInstance(error, ConnectionError) && error.code === 'ERR_WRITE_TIMEOUT')
      return this.recordFault(error.code, error.message, error);
    const why = this.code === 0 ? 'is closing' : `was closed with ${this.code}`;
    return this.recordFault('ERR_CLOSED', `the WebSocket ${why}`, this.#connection.reason);
  }
}

const nothing = new Uint8Array(0);

/** What was queued before messages came in parts is a whole message. */
function asPart(item: WebSocketMessage | Part): Part {
  return item instanceof Part ? item : new Part(item, true);
}

/** As how many bytes it counts while it waits. */
function sizeOf(item: WebSocketMessage | Part): number {
  return messageOverhead + (item instanceof Part ? item.data.length : item.length);
}

/** What has waited longest; parks while there is nothing. */
function nextItem(socket: WebSocketConnection): Task<WebSocketMessage | Part | undefined> {
  return new Receiving(socket);
}

/** `receive`, where messages come in parts. */
function* joined(socket: WebSocketConnection): Task<WebSocketMessage | undefined> {
  const message = yield* socket.receiveParts();
  if (message === undefined) return undefined;
  const parts: WebSocketMessage[] = [];
  for (let part: WebSocketMessage | undefined; (part = yield* message.read()) !== undefined; ) parts.push(part);
  if (!message.isComplete) return undefined;
  if (message.isText) return parts.join('');
  let length = 0;
  for (const part of parts) length += part.length;
  const whole = new Uint8Array(length);
  let at = 0;
  for (const part of parts as Uint8Array[]) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** A message as parts, while it is arriving: see `receiveParts`. */
export class MessageParts {
  /** Whether it is text; then parts are strings, and end with a whole code point. */
  readonly isText: boolean;
  /** All of it has been read. It stays false if the WebSocket ends before the message. */
  isComplete = false;
  readonly #socket: WebSocketConnection;
  #next: Part | undefined;

  /** @internal */
  constructor(socket: WebSocketConnection, first: Part) {
    this.#socket = socket;
    this.#next = first;
    this.isText = typeof first.data === 'string';
  }

  /**
   * The next part; parks until it has come. Parts have about 64 KiB at most, and are the caller's.
   * @returns `undefined` at the end of the message, and if the WebSocket has ended before: `isComplete` tells which
   * @throws as `receive`
   */
  *read(): Task<WebSocketMessage | undefined> {
    if (this.isComplete || this.#socket.open !== this) return undefined;
    let next = this.#next;
    this.#next = undefined;
    if (next === undefined) {
      const received = yield* nextItem(this.#socket);
      if (received === undefined) return undefined;
      next = asPart(received);
    }
    if (next.isLast) {
      this.isComplete = true;
      this.#socket.open = undefined;
    }
    return next.data.length === 0 && next.isLast ? undefined : next.data;
  }
}

/** `receive` */
class Receiving extends WaitingTask<WebSocketMessage | Part | undefined> {
  readonly #socket: WebSocketConnection;
  #isParked = false;

  constructor(socket: WebSocketConnection) {
    super();
    this.#socket = socket;
  }

  next(): IteratorResult<Wait, WebSocketMessage | Part | undefined> {
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
  #data: string | Uint8Array;
  /** Of a long message: the first byte of the next frame, but FIN. */
  #first = 0;
  /** How much of a long message has been sent: bytes, or UTF-16 units; -1 if it has not started. */
  #sent = -1;

  constructor(socket: WebSocketConnection, data: string | Uint8Array) {
    super();
    this.#socket = socket;
    this.#data = data;
  }

  override next(): IteratorResult<Wait, void> {
    try {
      return super.next();
    } catch (error) {
      this.#breakOff();
      throw error;
    }
  }

  protected begin(): void {
    checkData(this.#data, 'send');
    this.#socket.checkOpen();
    this.#socket.checkIdle();
  }

  protected proceed(): Writer | undefined {
    const socket = this.#socket;
    socket.checkOpen();
    if (this.#sent === -1) {
      if (socket.writable === 0) return socket.writer;
      socket.checkIdle();
      const data = this.#data;
      if (data.length <= (typeof data === 'string' ? fragmentBytes / 3 : fragmentBytes)) {
        socket.putMessage(data);
        return undefined;
      }
      const message = socket.startMessage(data);
      this.#data = message.data;
      this.#first = message.first;
      this.#sent = 0;
    }
    const data = this.#data;
    while (this.#sent < data.length) {
      const { writable } = socket;
      if (writable === 0) return socket.writer;
      const start = this.#sent;
      const most = Math.min(writable, fragmentBytes);
      const end = typeof data === 'string' ? endOfPiece(data, start, most) : Math.min(start + most, data.length);
      const bytes = typeof data === 'string' ? Buffer.from(data.slice(start, end)) : data.subarray(start, end);
      this.#sent = end;
      socket.putPart(this.#first, bytes, end === data.length);
      this.#first = opcodes.continuation;
    }
    return undefined;
  }

  protected override leave(): void {
    super.leave();
    this.#breakOff();
  }

  #breakOff(): void {
    if (this.#sent !== -1 && this.#sent < this.#data.length) this.#socket.breakMessage();
  }
}
