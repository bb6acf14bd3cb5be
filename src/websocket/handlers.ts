// WebSockets by handlers, with the names of Bun: for those who have them, and for the largest crowds. A socket that is idle has no thread: it is one
// small object, the record of its slot, and the user's `data`.

import { Buffer } from 'node:buffer';
import type { Connection } from '../connection/connection.js';
import { checkData } from '../connection/writer.js';
import { highWaterMark, type Slot } from '../event-layer/event-layer.js';
import type { HeadersInit } from '../http/fetch/headers.js';
import type { Request } from '../http/fetch/request.js';
import { Response } from '../http/fetch/response.js';
import type { HttpSettings } from '../http/settings.js';
import { takeOver } from '../http/take-over.js';
import { isInstance, show } from '../util/inspect.js';
import { checkOptions, type OptionRules } from '../util/options.js';
import { checkClose, closeCodes } from './close-codes.js';
import { type Compression, openCompression } from './compression.js';
import type { DeflateOptions, DeflateSettings } from './extensions.js';
import { FIN, headerBytes, maxControlPayload, opcodes, RSV1, serverFrame, writeFrame } from './frames.js';
import {
  asksForWebSocket,
  checkHandshake,
  checkHandshakeOptions,
  type HandshakeOptions,
  handshakeRules,
  requestSource,
} from './handshake.js';
import { MessageParser } from './messages.js';
import { deflateOf, socketRules } from './options.js';
import { firstOwnFlag, SocketBase, type SocketEndpoint } from './socket-base.js';

/** What a handler may return: nothing, or a promise of it. */
type Handled = void | PromiseLike<void>;

/**
 * The handlers of a server's WebSockets, and their limits. What a handler throws, or rejects with, goes to `onError`; the WebSocket stays open. After
 * `ws.close()` only `close` is called. Messages are not held back while the promise of an async handler is pending.
 */
export interface WebSocketHandlers<Data = unknown> {
  /** The WebSocket is open. */
  open?(ws: ServerWebSocket<Data>): Handled;
  /** A message has come: text, or a `Buffer` that has its whole `ArrayBuffer` to itself. */
  message(ws: ServerWebSocket<Data>, message: string | Uint8Array<ArrayBuffer>): Handled;
  /** There is room for output again, after `send` has returned -1 or 0. */
  drain?(ws: ServerWebSocket<Data>): Handled;
  /** The WebSocket is closed. Called once. @param code 1005 if the client gave none, 1006 if the connection was lost @param reason the client's */
  close?(ws: ServerWebSocket<Data>, code: number, reason: string): Handled;
  /** A ping has come, and has been answered. */
  ping?(ws: ServerWebSocket<Data>, data: Uint8Array<ArrayBuffer>): Handled;
  /** A pong has come. */
  pong?(ws: ServerWebSocket<Data>, data: Uint8Array<ArrayBuffer>): Handled;

  /** The most bytes of a message; more is refused with 1009 before it is held. Default 16 MiB. */
  maxPayloadLength?: number | undefined;
  /** How many bytes of output may wait for a client. A message that would exceed it is dropped: `send` returns 0. Where nothing waits any message is taken. Default 1 MiB. */
  backpressureLimit?: number | undefined;
  /** Whether a client for which a message has been dropped is disconnected. Default false. */
  closeOnBackpressureLimit?: boolean | undefined;
  /** How long nothing may come before the connection is reset, in **seconds**, as in Bun; 0 for ever. A client that takes output is not idle. Default 120. */
  idleTimeout?: number | undefined;
  /** Whether a client of which nothing comes is sent a ping in time before `idleTimeout`, to be answered. Default true. */
  sendPings?: boolean | undefined;
  /** Whether `ws.publish` sends to `ws` itself, if it has subscribed. Default false. */
  publishToSelf?: boolean | undefined;
  /** Whether messages are compressed (RFC 7692), if the client can. Default false. */
  perMessageDeflate?: boolean | DeflateOptions | undefined;
  /** See {@link HandshakeOptions}. */
  protocols?: HandshakeOptions['protocols'];
  /** See {@link HandshakeOptions}. */
  origin?: HandshakeOptions['origin'];
}

/** What `server.upgrade` is given. */
export interface UpgradeOptions<Data = unknown> {
  /** What `ws.data` is. */
  data?: Data | undefined;
  /** More fields for the 101. */
  headers?: HeadersInit | undefined;
}

const handler = { type: 'function' } as const;

const rules: OptionRules = {
  open: handler,
  message: handler,
  drain: handler,
  close: handler,
  ping: handler,
  pong: handler,
  maxPayloadLength: { whole: [0, 2 ** 31 - 1] },
  backpressureLimit: { whole: [1, 2 ** 30] },
  closeOnBackpressureLimit: { type: 'boolean' },
  idleTimeout: { number: [0, 86_400] },
  sendPings: { type: 'boolean' },
  publishToSelf: { type: 'boolean' },
  perMessageDeflate: socketRules.perMessageDeflate,
  ...handshakeRules,
};

const upgradeRules: OptionRules = {
  data: { accepts: () => true, expected: 'anything' },
  headers: { accepts: (value) => typeof value === 'object' && value !== null, expected: 'headers' },
};

/** The time in which a ping is to be answered, in milliseconds, if `idleTimeout` leaves as much. */
const pongTime = 8000;

/** The server, as its sockets need it. */
type ServerSettings = HttpSettings & { endConnection(slot: Slot): void };

/** What can be sent: a string as text, anything else as binary. */
type Sendable = string | ArrayBufferView | ArrayBuffer;

/** The WebSockets of one server. */
export class WebSocketServer implements SocketEndpoint {
  readonly owner: ServerSettings;
  readonly handlers: WebSocketHandlers;
  readonly parser: MessageParser;
  readonly isClient = false;
  readonly closeTimeout = 10_000;
  readonly pingAfter: number;
  readonly pongTimeout: number;
  readonly sendsPings: boolean;
  readonly backpressureLimit: number;
  readonly #deflate: DeflateSettings | undefined;
  readonly #topics = new Map<string, Set<ServerWebSocket>>();
  /** Responses to requests that have been upgraded. */
  readonly #upgraded = new WeakMap<object, Response>();

  /** @throws {TypeError | RangeError} for handlers or limits that are wrong */
  constructor(owner: ServerSettings, handlers: WebSocketHandlers) {
    const where = 'serve: websocket';
    checkOptions(where, handlers, rules);
    if (handlers.message === undefined) throw new TypeError(`${where}: message is undefined; expected a function`);
    checkHandshakeOptions(where, handlers);
    this.owner = owner;
    this.handlers = handlers;
    const {
      maxPayloadLength = 16 * 1024 * 1024,
      idleTimeout = 120,
      sendPings = true,
      backpressureLimit = 2 ** 20,
    } = handlers;
    this.parser = new MessageParser('server', maxPayloadLength);
    this.#deflate = deflateOf(where, handlers.perMessageDeflate);
    this.sendsPings = sendPings;
    this.backpressureLimit = backpressureLimit;
    const whole = idleTimeout === 0 ? Infinity : idleTimeout * 1000;
    this.pongTimeout = Math.min(pongTime, whole / 2);
    this.pingAfter = whole === Infinity ? whole : whole - this.pongTimeout;
  }

  end(slot: Slot): void {
    this.owner.endConnection(slot);
  }

  /**
   * Upgrades a request: it is answered with 101, or with what refuses it, whatever its handler returns.
   * @returns false if the request does not ask for a WebSocket, or has been upgraded before: then the handler answers it
   */
  upgrade(request: Request | globalThis.Request, options: UpgradeOptions = {}): boolean {
    const where = 'upgrade';
    checkOptions(where, options, upgradeRules);
    const source = requestSource(where, request);
    if (!asksForWebSocket(source) || this.#upgraded.has(source)) return false;
    const { data, headers } = options;
    const { protocols, origin } = this.handlers;
    const settings = this.#deflate;
    const wanted = { protocols, origin, headers };
    const handshake = checkHandshake(where, source, request as Request, wanted, settings); // as requestSource has seen
    if (handshake instanceof Response) {
      this.#upgraded.set(source, handshake);
      return true;
    }
    const { deflate, fields } = handshake;
    const open = (connection: Connection): void => {
      const { bytes, start, limit, finished } = connection.reader;
      const early = bytes.slice(start, limit);
      connection.reader.consume(limit - start);
      const compression = deflate && settings && openCompression('server', deflate, settings);
      new ServerWebSocket(this, connection, data, compression).opened(early, finished);
    };
    // A thread for a moment: what opens the socket ends at once.
    const response = takeOver(function* (connection) {
      open(connection);
    }, fields);
    this.#upgraded.set(source, response);
    return true;
  }

  /** The response to a request that has been upgraded. */
  responseTo(source: object): Response | undefined {
    return this.#upgraded.get(source);
  }

  /** @returns bytes of the frame; 0 if there is no subscriber, or it has been dropped for all of them */
  publish(topic: string, data: Sendable, except?: ServerWebSocket): number {
    checkTopic('publish', topic);
    const message = messageOf('publish', data);
    const subscribers = this.#topics.get(topic);
    if (subscribers === undefined) return 0;
    // One frame for all of them; and one more for each compression that sockets share. With the parameters of most clients that is the same for all.
    const plain = serverFrame(message);
    const compressed = new Map<Compression, Uint8Array>();
    let isSent = false;
    for (const socket of subscribers) {
      if (socket === except) continue;
      const { sharedCompression } = socket;
      let frame: Uint8Array | undefined = plain;
      if (sharedCompression !== undefined) {
        frame = compressed.get(sharedCompression);
        if (frame === undefined) {
          frame = compressedFrame(message, sharedCompression) ?? plain;
          compressed.set(sharedCompression, frame);
        }
      }
      if (socket.sendFrame(frame)) isSent = true;
    }
    return isSent ? plain.length : 0;
  }

  subscriberCount(topic: string): number {
    checkTopic('subscriberCount', topic);
    return this.#topics.get(topic)?.size ?? 0;
  }

  subscribe(topic: string, socket: ServerWebSocket): void {
    const subscribers = this.#topics.get(topic);
    if (subscribers === undefined) this.#topics.set(topic, new Set([socket]));
    else subscribers.add(socket);
  }

  unsubscribe(topic: string, socket: ServerWebSocket): void {
    const subscribers = this.#topics.get(topic);
    if (subscribers?.delete(socket) && subscribers.size === 0) this.#topics.delete(topic);
  }

  /** Calls a handler in the server's async context, with the handlers as `this`. Never throws. */
  call<A extends unknown[]>(
    socket: ServerWebSocket,
    handle: (socket: ServerWebSocket, ...values: A) => unknown,
    ...values: A
  ): void {
    try {
      const result = this.owner.context.run(handle, this.handlers, socket, ...values);
      if (typeof result === 'object' && result !== null)
        Promise.resolve(result).catch((error: unknown) => this.#report(error, socket));
    } catch (error) {
      this.#report(error, socket);
    }
  }

  #report(error: unknown, socket: ServerWebSocket): void {
    this.owner.report(error, undefined, { peer: socket.remoteAddress });
  }
}

/** A message as one compressed frame, to be sent as it is to many clients. @returns undefined if it is not worth compressing */
function compressedFrame(message: string | Uint8Array, compression: Compression): Uint8Array | undefined {
  if (!compression.compress(message)) return undefined;
  const { bytes, length } = compression.deflater;
  const frame = new Uint8Array(headerBytes(length, false) + length);
  const opcode = typeof message === 'string' ? opcodes.text : opcodes.binary;
  writeFrame(frame, 0, FIN | RSV1 | opcode, bytes, undefined, length);
  return frame;
}

/** @throws {TypeError} */
function checkTopic(where: string, topic: unknown): void {
  if (typeof topic !== 'string') throw new TypeError(`${where}: the topic is ${show(topic)}; expected a string`);
}

/** @throws {TypeError} if it cannot be sent */
function messageOf(where: string, data: unknown): string | Uint8Array {
  if (isInstance(data, ArrayBuffer)) return new Uint8Array(data);
  if (ArrayBuffer.isView(data) && !isInstance(data, Uint8Array))
    return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  checkData(data, where);
  return data as string | Uint8Array; // as just checked
}

/** A flag besides those of the base: `drain` is to be called when there is room. */
const drainAwaited = firstOwnFlag;

/** A WebSocket of a server, as its handlers get it: always the same object for the same client. */
export class ServerWebSocket<Data = unknown> extends SocketBase {
  /** @internal */
  declare readonly endpoint: WebSocketServer;
  /** What `upgrade` was given, for the handlers to read and change. */
  data: Data;
  #topics: Set<string> | undefined;
  #peer: string | undefined;

  /** @internal */
  constructor(server: WebSocketServer, connection: Connection, data: Data, compression: Compression | undefined) {
    super(server, connection.slot, compression);
    this.data = data;
    server.owner.network.replace(this);
    connection.handedOver();
    this.awaitInput();
  }

  /** @internal It is open. @param early what the client has sent with its request @param hasFinished it has sent FIN as well */
  opened(early: Uint8Array, hasFinished: boolean): void {
    const { endpoint } = this;
    const { open } = endpoint.handlers;
    if (open !== undefined) endpoint.call(this, open);
    if (early.length > 0 && !this.isOver) this.received(early, 0, early.length);
    if (hasFinished && !this.isOver) this.ended();
    if (endpoint.owner.closing) this.closing();
  }

  /** @internal */
  get peer(): string {
    return this.remoteAddress;
  }

  /** @internal */
  get thread(): undefined {
    return undefined;
  }

  /** 1 open, 2 closing, 3 closed: as a browser's `WebSocket` has it. */
  get readyState(): 1 | 2 | 3 {
    return this.isOpen ? 1 : this.isOver ? 3 : 2;
  }

  /** The client's address: `127.0.0.1:5678`. Empty if it is first asked for when the client has gone. */
  get remoteAddress(): string {
    if (this.#peer === undefined && !this.isOver) this.#peer = this.endpoint.owner.transport.peer(this.slot);
    return this.#peer ?? '';
  }

  /** Bytes of output, frames included, that have not left. */
  get bufferedAmount(): number {
    return this.queued;
  }

  /**
   * Sends a message: a string as text, anything else as binary.
   * @returns bytes of its frame; -1 if the client is slow: the message is queued, and `drain` will be called; 0 if it has been dropped, because the
   *   WebSocket is closed, or `backpressureLimit` is reached, in which case `drain` will be called, too
   * @throws {TypeError} for what cannot be sent
   */
  send(data: Sendable): number {
    const message = messageOf('send', data);
    if (!this.takes(message.length)) return 0;
    return this.sent(this.put(message));
  }

  /** @returns -1 if the client is slow */
  private sent(bytes: number): number {
    if (this.queued < highWaterMark) return bytes;
    this.setFlag(drainAwaited, true);
    return -1;
  }

  /** `send`, for text alone. @throws {TypeError} for anything else */
  sendText(text: string): number {
    if (typeof text !== 'string') throw new TypeError(`sendText: the data is ${show(text)}; expected a string`);
    return this.send(text);
  }

  /** `send`, for bytes alone. @throws {TypeError} for anything else */
  sendBinary(data: ArrayBufferView | ArrayBuffer): number {
    if (typeof data === 'string') throw new TypeError(`sendBinary: the data is ${show(data)}; expected bytes`);
    return this.send(data);
  }

  /** @internal Sends a frame that has been made for many. @returns whether it is sent */
  sendFrame(frame: Uint8Array): boolean {
    if (!this.takes(frame.length)) return false;
    this.putFrame(frame);
    this.sent(frame.length);
    return true;
  }

  private takes(bytes: number): boolean {
    if (!this.isOpen) return false;
    const { endpoint, queued } = this;
    // While all clients together take as much memory as they may, one message may wait for each.
    const most = endpoint.owner.buffers.isFull ? 0 : endpoint.backpressureLimit;
    if (queued === 0 || queued + bytes <= most) return true;
    const isOver = queued + bytes > endpoint.backpressureLimit;
    if (isOver && endpoint.handlers.closeOnBackpressureLimit === true) this.terminate();
    else {
      this.setFlag(drainAwaited, true);
      if (queued < highWaterMark) this.notifyRoom(); // by itself the transport reports only a queue that has been above that
    }
    return false;
  }

  /** Calls a function. Everything that is sent in a turn leaves together without it; for code that was written for Bun. */
  cork<T>(callback: (ws: this) => T): T {
    return callback(this);
  }

  /** Starts the closing handshake. @param code default 1000 @throws {RangeError | TypeError} for codes and reasons that may not be sent */
  close(code: number = closeCodes.normal, reason = ''): void {
    checkClose('close', code, reason, 'server');
    this.sendClose(code, reason);
  }

  /** Ends the connection at once by RST, without the closing handshake. */
  terminate(): void {
    this.abort();
  }

  /** @param data at most 125 bytes @returns as `send` @throws {RangeError} for more */
  ping(data: Sendable = ''): number {
    return this.sendControl('ping', data);
  }

  /** @param data at most 125 bytes @returns as `send` @throws {RangeError} for more */
  pong(data: Sendable = ''): number {
    return this.sendControl('pong', data);
  }

  private sendControl(what: 'ping' | 'pong', data: Sendable): number {
    const message = messageOf(what, data);
    const payload = typeof message === 'string' ? Buffer.from(message) : message;
    const { length } = payload;
    if (length > maxControlPayload)
      throw new RangeError(`${what}: the data has ${length} bytes; expected at most ${maxControlPayload}`);
    if (!this.takes(length)) return 0;
    if (what === 'ping') this.putPing(payload);
    else this.putPong(payload);
    return this.sent(length + 2);
  }

  /** From now on it is sent what is published to a topic, until it is closed. */
  subscribe(topic: string): void {
    checkTopic('subscribe', topic);
    if (!this.isOpen) return;
    this.#topics ??= new Set();
    this.#topics.add(topic);
    this.endpoint.subscribe(topic, this);
  }

  /** From now on it gets nothing of a topic. */
  unsubscribe(topic: string): void {
    checkTopic('unsubscribe', topic);
    this.#topics?.delete(topic);
    this.endpoint.unsubscribe(topic, this);
  }

  /** Whether it has subscribed to a topic. */
  isSubscribed(topic: string): boolean {
    return this.#topics?.has(topic) ?? false;
  }

  /** The topics that it has subscribed to. */
  get subscriptions(): string[] {
    return [...(this.#topics ?? [])];
  }

  /** Sends a message to all that have subscribed to a topic, but to itself only with `publishToSelf`. @returns bytes; 0 if it is sent to none */
  publish(topic: string, data: Sendable): number {
    return this.endpoint.publish(topic, data, this.endpoint.handlers.publishToSelf === true ? undefined : this);
  }

  // What the base reports.

  /** @internal */
  protected message(data: string | Uint8Array<ArrayBuffer>): void {
    if (!this.isOpen) return;
    const { endpoint } = this;
    endpoint.call(this, endpoint.handlers.message, typeof data === 'string' ? data : bufferOf(data));
  }

  /** @internal */
  protected pinged(payload: Uint8Array<ArrayBuffer>): void {
    const { ping } = this.endpoint.handlers;
    if (ping !== undefined && this.isOpen) this.endpoint.call(this, ping, bufferOf(payload));
  }

  /** @internal */
  protected ponged(payload: Uint8Array<ArrayBuffer>): void {
    const { pong } = this.endpoint.handlers;
    if (pong !== undefined && this.isOpen) this.endpoint.call(this, pong, bufferOf(payload));
  }

  /** @internal */
  protected concluded(code: number, reason: string): void {
    const { endpoint } = this;
    for (const topic of this.#topics ?? []) endpoint.unsubscribe(topic, this);
    this.#topics = undefined;
    const { close } = endpoint.handlers;
    if (close !== undefined) endpoint.call(this, close, code, reason);
  }

  /** @internal */
  protected writableAgain(): void {
    if (!this.hasFlag(drainAwaited)) return;
    this.setFlag(drainAwaited, false);
    const { drain } = this.endpoint.handlers;
    if (drain !== undefined && this.isOpen) this.endpoint.call(this, drain);
  }
}

/** A Buffer over all of its memory. */
function bufferOf(bytes: Uint8Array<ArrayBuffer>): Buffer<ArrayBuffer> {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
}
