// WebSockets by handlers, with the names of Bun: for those who have them, and for the largest crowds. A socket that is idle has no thread: it is one
// small object, the record of its slot, and the user's `data`.

import { Blob, Buffer } from 'node:buffer';
import type { Connection } from '../connection/connection.js';
import { checkData } from '../connection/writer.js';
import { ConnectionError, highWaterMark, type Slot } from '../event-layer/event-layer.js';
import { type HeadersInit, headersRule } from '../http/fetch/headers.js';
import { type Request, requestFrom } from '../http/fetch/request.js';
import { Response } from '../http/fetch/response.js';
import { type IncomingRequest, incomingRequest } from '../http/incoming-request.js';
import type { HttpSettings } from '../http/settings.js';
import { socketAddressOf } from '../http/socket-address.js';
import { takeOver } from '../http/take-over.js';
import { Upgrades } from '../http/upgrades.js';
import { isInstance, show } from '../util/inspect.js';
import { checkOptions, type OptionRules } from '../util/options.js';
import type { PaceLimit } from '../util/pace.js';
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
} from './handshake.js';
import { MessageParser } from './messages.js';
import { deflateOf, type MessagePaceOptions, messagePaceOf, paceRules, socketRules } from './options.js';
import { type OutputWatch, outputWatchOf } from './output-watch.js';
import { firstOwnFlag, SocketBase, type SocketEndpoint } from './socket-base.js';
import { type UnfinishedMessages, unfinishedMessages } from './unfinished.js';

/** What a handler returns is ignored, but for a promise that is rejected. */
type Handled = unknown;

/**
 * The handlers of a server's WebSockets, and their limits. What a handler throws, or rejects with, goes to `onError`; the WebSocket stays open. After
 * `ws.close()` only `close` is called. Messages are not held back while the promise of an async handler is pending.
 */
export interface WebSocketHandlers<Data = unknown> extends MessagePaceOptions {
  /** The WebSocket is open. */
  open?(ws: ServerWebSocket<Data>): Handled;
  /** A message has come: text, or bytes as `ws.binaryType` says: by default a `Buffer` that has its whole `ArrayBuffer` to itself. */
  message?(ws: ServerWebSocket<Data>, message: string | Uint8Array<ArrayBuffer>): Handled;
  /** There is room for output again, after `send` has returned -1 or 0. */
  drain?(ws: ServerWebSocket<Data>): Handled;
  /**
   * The WebSocket is closed. Called once.
   * @param code that of the client's Close frame (RFC 6455 §7.1.5): 1005 if there was none in it, 1006 if no such frame has come, whichever side has ended the
   *   connection: see `ws.error` @param reason the client's
   */
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
  /** For TypeScript alone, as in Bun: `data: {} as Data` tells it the type of `ws.data`, and of what `upgrade` is given. The value is not used. */
  data?: Data | undefined;
}

/** What `server.upgrade` is given. */
export interface UpgradeOptions<Data = unknown> {
  /** What `ws.data` is. */
  data?: Data | undefined;
  /** More fields for the 101. */
  headers?: HeadersInit | undefined;
}

/** What `upgrade` is given behind the request: `data` may be left out only where `ws.data` may be undefined. */
export type UpgradeArguments<Data> = undefined extends Data
  ? [options?: UpgradeOptions<Data>]
  : [options: UpgradeOptions<Data> & { data: Data }];

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
  ...paceRules,
  data: { accepts: () => true, expected: 'anything' },
};

const upgradeRules: OptionRules = {
  data: { accepts: () => true, expected: 'anything' },
  headers: headersRule,
};

/** The time in which a ping is to be answered, in milliseconds, if `idleTimeout` leaves as much. */
const pongTime = 8000;

/** The server, as its sockets need it. */
export type ServerSettings = HttpSettings & { endConnection(slot: Slot): void };

/** Bytes of any kind. */
type Bytes = ArrayBufferView | ArrayBuffer | SharedArrayBuffer;
/** What can be sent: a string as text, anything else as binary. */
export type Sendable = string | Bytes;

/** As what binary messages, and the data of pings and pongs, are given to handlers. */
export type BinaryType = 'nodebuffer' | 'arraybuffer' | 'uint8array' | 'blob';
const binaryTypes: readonly BinaryType[] = ['nodebuffer', 'arraybuffer', 'uint8array', 'blob'];

/** Besides those of the base. */
const Flag = {
  /** `drain` is to be called when there is room. */
  drainAwaited: firstOwnFlag,
  /** `pause` has been called. */
  paused: firstOwnFlag << 1,
  /** The index of its `BinaryType`, in two bits. */
  binaryTypeLow: firstOwnFlag << 2,
  binaryTypeHigh: firstOwnFlag << 3,
} as const;

/** The WebSockets of one server, and of one set of handlers. */
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
  readonly messagePace: PaceLimit;
  readonly unfinished: UnfinishedMessages;
  readonly outputWatch: OutputWatch | undefined;
  readonly upgrades: Upgrades;
  readonly #deflate: DeflateSettings | undefined;
  readonly #topics = new Map<string, Set<ServerWebSocket>>();

  /** @throws {TypeError | RangeError} for handlers or limits that are wrong */
  constructor(owner: ServerSettings, handlers: WebSocketHandlers) {
    const where = 'serve: websocket';
    checkOptions(where, handlers, rules);
    checkHandshakeOptions(where, handlers);
    this.owner = owner;
    this.handlers = handlers;
    owner.upgrades ??= new Upgrades();
    this.upgrades = owner.upgrades;
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
    this.messagePace = messagePaceOf(handlers);
    this.unfinished = unfinishedMessages(owner.buffers);
    this.outputWatch = outputWatchOf(owner);
    const whole = idleTimeout === 0 ? Infinity : idleTimeout * 1000;
    this.pongTimeout = Math.min(pongTime, whole / 2);
    this.pingAfter = whole === Infinity ? whole : whole - this.pongTimeout;
  }

  end(slot: Slot): void {
    this.owner.endConnection(slot);
  }

  /**
   * Upgrades a request: it is answered with 101, or with what refuses it, whatever its handler returns.
   * @returns false if the request does not ask for a WebSocket, or has been answered or upgraded before, or if its client is gone
   */
  upgrade(request: Request | globalThis.Request, options: UpgradeOptions = {}): boolean {
    const where = 'upgrade';
    checkOptions(where, options, upgradeRules);
    const source = incomingRequest(where, request);
    if (!asksForWebSocket(source) || !source.isAnswerable || this.upgrades.has(source)) return false;
    const { data, headers } = options;
    const { protocols, origin } = this.handlers;
    const settings = this.#deflate;
    const wanted = { protocols, origin, headers };
    const handshake = checkHandshake(where, source, request as Request, wanted, settings); // as incomingRequest has seen
    if (handshake instanceof Response) {
      this.upgrades.set(source, handshake);
      return true;
    }
    const { deflate, fields } = handshake;
    const peer = this.owner.proxies === undefined ? undefined : source.peer; // else it is looked up when it is asked for
    const open = (connection: Connection): void => {
      const { bytes, start, limit, finished } = connection.reader;
      const early = bytes.slice(start, limit);
      connection.reader.consume(limit - start);
      const compression = deflate && settings && openCompression('server', deflate, settings);
      const kept = this.owner.keepsRequests ? source : undefined;
      this.upgrades.delete(source); // where the request is kept, the response and this function are not
      new ServerWebSocket(this, connection, data, compression, kept, peer).opened(early, finished);
    };
    // A thread for a moment: what opens the socket ends at once.
    const response = takeOver(function* (connection) {
      open(connection);
    }, fields);
    this.upgrades.set(source, response);
    return true;
  }

  /**
   * @param compress see `ServerWebSocket.send`
   * @returns bytes of the frame; -1 if a subscriber is slow; 0 if it has been dropped for one, or there is none
   */
  publish(topic: string, data: Sendable, compress?: boolean, except?: ServerWebSocket): number {
    checkTopic('publish', topic);
    checkCompress('publish', compress);
    const message = messageOf('publish', data);
    const subscribers = this.#topics.get(topic);
    if (subscribers === undefined) return 0;
    // One frame for all of them; and one more for each compression that sockets share. With the parameters of most clients that is the same for all.
    const plain = serverFrame(message);
    const compressed = new Map<Compression, Uint8Array>();
    let isSent = false;
    let isDropped = false;
    let isSlow = false;
    for (const socket of subscribers) {
      if (socket === except) continue;
      const sharedCompression = compress === false ? undefined : socket.sharedCompression;
      let frame: Uint8Array | undefined = plain;
      if (sharedCompression !== undefined) {
        frame = compressed.get(sharedCompression);
        if (frame === undefined) {
          frame = compressedFrame(message, sharedCompression, compress) ?? plain;
          compressed.set(sharedCompression, frame);
        }
      }
      const sent = socket.sendFrame(frame);
      if (sent === 0) isDropped = true;
      else if (sent === -1) isSlow = true;
      else isSent = true;
    }
    if (isDropped) return 0;
    if (isSlow) return -1;
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
    this.owner.report(error, socket.request, { peer: socket.peer });
  }
}

/** A message as one compressed frame, to be sent as it is to many clients. @returns undefined if it is not worth compressing */
function compressedFrame(
  message: string | Uint8Array,
  compression: Compression,
  compress: boolean | undefined,
): Uint8Array | undefined {
  if (!compression.compress(message, thresholdOf(compress))) return undefined;
  const { bytes, length } = compression.deflater;
  const frame = new Uint8Array(headerBytes(length, false) + length);
  const opcode = typeof message === 'string' ? opcodes.text : opcodes.binary;
  writeFrame(frame, 0, FIN | RSV1 | opcode, bytes, undefined, length);
  return frame;
}

/** The least bytes of a message that is compressed; undefined for that of the options. @param compress see `ServerWebSocket.send` */
function thresholdOf(compress: boolean | undefined): number | undefined {
  return compress === undefined ? undefined : compress ? 0 : Infinity;
}

/** @throws {TypeError} */
function checkCompress(where: string, compress: unknown): void {
  if (compress !== undefined && typeof compress !== 'boolean')
    throw new TypeError(`${where}: compress is ${show(compress)}; expected true or false`);
}

/** @throws {TypeError} */
function checkText(where: string, data: unknown): void {
  if (typeof data !== 'string') throw new TypeError(`${where}: the data is ${show(data)}; expected a string`);
}

/** @throws {TypeError} */
function checkBinary(where: string, data: unknown): void {
  if (typeof data === 'string') throw new TypeError(`${where}: the data is ${show(data)}; expected bytes`);
}

/** @throws {TypeError} */
function checkTopic(where: string, topic: unknown): void {
  if (typeof topic !== 'string') throw new TypeError(`${where}: the topic is ${show(topic)}; expected a string`);
}

/** @throws {TypeError} if it cannot be sent */
function messageOf(where: string, data: unknown): string | Uint8Array {
  if (typeof data === 'string') return data;
  if (isInstance(data, ArrayBuffer) || isInstance(data, SharedArrayBuffer)) return new Uint8Array(data);
  if (ArrayBuffer.isView(data) && !isInstance(data, Uint8Array))
    return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  if (!isInstance(data, Uint8Array))
    throw new TypeError(`${where}: the data is ${show(data)}; expected a string, an ArrayBuffer, or a view of one`);
  checkData(data, where);
  return data;
}

/** A WebSocket of a server, as its handlers get it: always the same object for the same client. */
export class ServerWebSocket<Data = unknown> extends SocketBase {
  /** @internal */
  declare readonly endpoint: WebSocketServer;
  /** What `upgrade` was given, for the handlers to read and change. */
  data: Data;
  #topics: Set<string> | undefined;
  /** Its address, once that has been asked for; with its request, if errors are reported with that. */
  #client: string | { peer: string | undefined; readonly source: IncomingRequest } | undefined;

  /** @internal */
  constructor(
    server: WebSocketServer,
    connection: Connection,
    data: Data,
    compression: Compression | undefined,
    source: IncomingRequest | undefined,
    peer: string | undefined,
  ) {
    super(server, connection.slot, compression);
    this.data = data;
    this.#client = source === undefined ? peer : { peer, source };
    server.upgrades.open++;
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
  get thread(): undefined {
    return undefined;
  }

  /** 1 open, 2 closing, 3 closed: as a browser's `WebSocket` has it. */
  get readyState(): 1 | 2 | 3 {
    if (this.isOpen) return 1;
    return this.isOver || this.isConcluded ? 3 : 2;
  }

  /** The client's address and port: `127.0.0.1:5678`. Empty if it is first asked for when the client has gone, and for Unix-domain sockets. */
  get peer(): string {
    const client = this.#client;
    const known = typeof client === 'object' ? client.peer : client;
    if (known !== undefined || this.isOver) return known ?? '';
    const peer = this.endpoint.owner.transport.peer(this.slot);
    if (typeof client === 'object') client.peer = peer;
    else this.#client = peer;
    return peer;
  }

  /** @internal The request that it was made of, if it is kept. */
  get request(): Request | undefined {
    return typeof this.#client === 'object' ? requestFrom(this.#client.source) : undefined;
  }

  /** The client's IP address: `127.0.0.1`. Empty where `peer` is. */
  get remoteAddress(): string {
    return socketAddressOf(this.peer)?.address ?? '';
  }

  /** Bytes of output, frames included, that have not left. */
  get bufferedAmount(): number {
    return this.queued;
  }

  /** The same, with Bun's name. */
  getBufferedAmount(): number {
    return this.queued;
  }

  /**
   * As what binary messages, and the data of pings and pongs, are given to the handlers: a `Buffer` (`nodebuffer`, the default), an `ArrayBuffer` (`arraybuffer`), a
   * `Uint8Array` (`uint8array`) or a `Blob` (`blob`).
   * @throws {TypeError} for anything else
   */
  get binaryType(): BinaryType {
    return binaryTypes[(this.hasFlag(Flag.binaryTypeLow) ? 1 : 0) | (this.hasFlag(Flag.binaryTypeHigh) ? 2 : 0)];
  }

  set binaryType(type: BinaryType) {
    const index = binaryTypes.indexOf(type);
    if (index === -1)
      throw new TypeError(
        `binaryType is ${show(type)}; expected one of ${binaryTypes.map((one) => `"${one}"`).join(', ')}`,
      );
    this.setFlag(Flag.binaryTypeLow, (index & 1) !== 0);
    this.setFlag(Flag.binaryTypeHigh, (index & 2) !== 0);
  }

  /**
   * Stops reading, so that TCP slows the client. Messages that have been read are still given out, `idleTimeout` and `messageTimeout` do not run, and sending works. Until
   * `resume`, or `close`. Meanwhile a Close frame or a FIN of the client is not seen: pause for a bounded time.
   */
  pause(): void {
    if (!this.isOpen || this.isPaused) return;
    this.setFlag(Flag.paused, true);
    this.endpoint.owner.transport.pauseReading(this.slot);
    this.stopWaiting();
  }

  /** Reads again after `pause`. */
  resume(): void {
    if (!this.isPaused) return;
    this.setFlag(Flag.paused, false);
    this.awaitInput();
    this.endpoint.owner.transport.resumeReading(this.slot);
  }

  /** Whether `pause` has been called, and neither `resume` nor `close` since. */
  get isPaused(): boolean {
    return this.hasFlag(Flag.paused) && !this.isOver;
  }

  /** @internal */
  protected override awaitInput(): void {
    if (this.isPaused) this.stopWaiting();
    else super.awaitInput();
  }

  /** @internal The client's Close frame is to be read, and its end. */
  protected override sendClose(code: number | undefined, reason: string): void {
    super.sendClose(code, reason);
    this.resume();
  }

  /**
   * Sends a message: a string as text, anything else as binary.
   * @param compress whether it is compressed, whatever its size, if `perMessageDeflate` has been agreed on. Default: from its `threshold` on
   * @returns bytes of its frame; -1 if the client is slow: the message is queued, and `drain` will be called; 0 if it has been dropped, because the
   *   WebSocket is closed, or `backpressureLimit` is reached, in which case `drain` will be called, too
   * @throws {TypeError} for what cannot be sent
   */
  send(data: Sendable, compress?: boolean): number {
    checkCompress('send', compress);
    const message = messageOf('send', data);
    if (!this.takes(message.length)) return 0;
    return this.sent(this.put(message, thresholdOf(compress)));
  }

  /** @returns -1 if the client is slow */
  private sent(bytes: number): number {
    if (this.queued < highWaterMark || this.pushed() < highWaterMark) return bytes;
    this.setFlag(Flag.drainAwaited, true);
    return -1;
  }

  /** `send`, for text alone. @throws {TypeError} for anything else */
  sendText(text: string, compress?: boolean): number {
    checkText('sendText', text);
    return this.send(text, compress);
  }

  /** `send`, for bytes alone. @throws {TypeError} for anything else */
  sendBinary(data: Bytes, compress?: boolean): number {
    checkBinary('sendBinary', data);
    return this.send(data, compress);
  }

  /** @internal Sends a frame that has been made for many. @returns as `send` */
  sendFrame(frame: Uint8Array): number {
    if (!this.takes(frame.length)) return 0;
    this.putFrame(frame);
    return this.sent(frame.length);
  }

  private takes(bytes: number): boolean {
    if (!this.isOpen) return false;
    const { endpoint } = this;
    // While all clients together take as much memory as they may, one message may wait for each.
    const most = endpoint.owner.buffers.isFull ? 0 : endpoint.backpressureLimit;
    let { queued } = this;
    if (queued > 0 && queued + bytes > most) queued = this.pushed();
    if (queued === 0 || queued + bytes <= most) return true;
    const isOver = queued + bytes > endpoint.backpressureLimit;
    if (isOver && endpoint.handlers.closeOnBackpressureLimit === true)
      this.giveUp(
        new ConnectionError(
          'ERR_TOO_SLOW',
          `the client is too slow: ${queued} bytes are queued for it, and ${bytes} more would exceed backpressureLimit, ${endpoint.backpressureLimit} bytes`,
        ),
      );
    else {
      this.setFlag(Flag.drainAwaited, true);
      if (queued < highWaterMark) this.notifyRoom(); // by itself the transport reports only a queue that has been above that
    }
    return false;
  }

  /** Calls a function. Everything that is sent in a turn leaves together without it; for code that was written for Bun. */
  cork<T>(callback: (ws: this) => T): T {
    if (typeof callback !== 'function')
      throw new TypeError(`cork: the callback is ${show(callback)}; expected a function`);
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

  /** From now on it is sent what is published to a topic, until it is closed. @returns false if it is closed */
  subscribe(topic: string): boolean {
    checkTopic('subscribe', topic);
    if (!this.isOpen) return false;
    this.#topics ??= new Set();
    this.#topics.add(topic);
    this.endpoint.subscribe(topic, this);
    return true;
  }

  /** From now on it gets nothing of a topic. @returns whether it had subscribed */
  unsubscribe(topic: string): boolean {
    checkTopic('unsubscribe', topic);
    this.endpoint.unsubscribe(topic, this);
    return this.#topics?.delete(topic) ?? false;
  }

  /** Whether it has subscribed to a topic. */
  isSubscribed(topic: string): boolean {
    checkTopic('isSubscribed', topic);
    return this.#topics?.has(topic) ?? false;
  }

  /** The topics that it has subscribed to. */
  get subscriptions(): string[] {
    return [...(this.#topics ?? [])];
  }

  /**
   * Sends a message to all that have subscribed to a topic, but to itself only with `publishToSelf`.
   * @param compress see `send`
   * @returns bytes of its frame; -1 if a subscriber is slow; 0 if it has been dropped for one, or there is none
   */
  publish(topic: string, data: Sendable, compress?: boolean): number {
    const isForSelf = this.endpoint.handlers.publishToSelf === true;
    return this.endpoint.publish(topic, data, compress, isForSelf ? undefined : this);
  }

  /** `publish`, for text alone. @throws {TypeError} for anything else */
  publishText(topic: string, text: string, compress?: boolean): number {
    checkText('publishText', text);
    return this.publish(topic, text, compress);
  }

  /** `publish`, for bytes alone. @throws {TypeError} for anything else */
  publishBinary(topic: string, data: Bytes, compress?: boolean): number {
    checkBinary('publishBinary', data);
    return this.publish(topic, data, compress);
  }

  /** Bytes as `binaryType` says. The declared type is that of the default, as in Bun. */
  private given(bytes: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
    const given: unknown = binary[this.binaryType](bytes);
    return given as Uint8Array<ArrayBuffer>;
  }

  // What the base reports.

  /** @internal */
  protected message(data: string | Uint8Array<ArrayBuffer>): void {
    const { endpoint } = this;
    const { message } = endpoint.handlers;
    if (message !== undefined && this.isOpen)
      endpoint.call(this, message, typeof data === 'string' ? data : this.given(data));
  }

  /** @internal */
  protected pinged(payload: Uint8Array<ArrayBuffer>): void {
    const { ping } = this.endpoint.handlers;
    if (ping !== undefined && this.isOpen) this.endpoint.call(this, ping, this.given(payload));
  }

  /** @internal */
  protected ponged(payload: Uint8Array<ArrayBuffer>): void {
    const { pong } = this.endpoint.handlers;
    if (pong !== undefined && this.isOpen) this.endpoint.call(this, pong, this.given(payload));
  }

  /** @internal */
  protected concluded(code: number, reason: string): void {
    const { endpoint } = this;
    endpoint.upgrades.open--;
    for (const topic of this.#topics ?? []) endpoint.unsubscribe(topic, this);
    this.#topics = undefined;
    const { close } = endpoint.handlers;
    if (close !== undefined) endpoint.call(this, close, code, reason);
  }

  /** @internal */
  protected writableAgain(): void {
    if (!this.hasFlag(Flag.drainAwaited)) return;
    this.setFlag(Flag.drainAwaited, false);
    const { drain } = this.endpoint.handlers;
    if (drain !== undefined && this.isOpen) this.endpoint.call(this, drain);
  }
}

/** What handlers are given for bytes, which have all of their memory to themselves. */
const binary: Record<BinaryType, (bytes: Uint8Array<ArrayBuffer>) => unknown> = {
  nodebuffer: (bytes) => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length),
  arraybuffer: ({ buffer }) => buffer,
  uint8array: (bytes) => bytes,
  blob: (bytes) => new Blob([bytes]),
};
