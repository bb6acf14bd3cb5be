// WebSockets by handlers, with the names of Bun: for those who have them, and for the largest crowds. A socket that is idle has no thread: it is one
// small object, the record of its slot, and the user's `data`.

import { Buffer } from 'node:buffer';
import type { Connection } from '../connection/connection.js';
import { checkData } from '../connection/writer.js';
import { highWaterMark } from '../event-layer/event-layer.js';
import type { HeadersInit } from '../http/fetch/headers.js';
import { type Request, sourceOf } from '../http/fetch/request.js';
import { Response } from '../http/fetch/response.js';
import type { HttpSettings } from '../http/settings.js';
import { takeOver } from '../http/take-over.js';
import { checkOptions, type OptionRules } from '../util/options.js';
import { checkClose, closeCodes } from './close-codes.js';
import { type Compression, openCompression } from './compression.js';
import type { DeflateOptions, DeflateSettings } from './extensions.js';
import { serverFrame } from './frames.js';
import { checkHandshake, type HandshakeOptions } from './handshake.js';
import { MessageParser } from './messages.js';
import { deflateOf, socketRules } from './options.js';
import { SocketBase, type SocketEndpoint } from './socket-base.js';

/** What a handler may return: nothing, or a promise of it. */
type Handled = void | PromiseLike<void>;

/** The handlers of a server's WebSockets, and their limits. What a handler throws, or rejects with, goes to `onError`; the socket stays open. */
export interface WebSocketHandlers<Data = unknown> {
  /** The WebSocket is open. */
  open?(ws: ServerWebSocket<Data>): Handled;
  /** A message has come: text, or a `Buffer` that owns its whole `ArrayBuffer`. */
  message(ws: ServerWebSocket<Data>, message: string | Uint8Array<ArrayBuffer>): Handled;
  /** There is room for output again, after `send` has returned -1 or 0. */
  drain?(ws: ServerWebSocket<Data>): Handled;
  /** The WebSocket is closed. @param code 1005 if the client gave none, 1006 if the connection was lost */
  close?(ws: ServerWebSocket<Data>, code: number, reason: string): Handled;
  /** A ping has come, and has been answered. */
  ping?(ws: ServerWebSocket<Data>, data: Uint8Array<ArrayBuffer>): Handled;
  /** A pong has come, to a ping of `ws.ping` or of the server's own. */
  pong?(ws: ServerWebSocket<Data>, data: Uint8Array<ArrayBuffer>): Handled;

  /** The most bytes of a message; more is refused with 1009 before it is held. Default 16 MiB. */
  maxPayloadLength?: number | undefined;
  /** The most bytes of output that wait for a client. A message beyond it is dropped: `send` returns 0. Default 1 MiB. */
  backpressureLimit?: number | undefined;
  /** Whether a client for which a message has been dropped is disconnected. Default false. */
  closeOnBackpressureLimit?: boolean | undefined;
  /** How long nothing may come before the connection is given up, in seconds (as in Bun, and unlike all other timeouts here); 0 for ever. Default 120. */
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

export const handlerRules: OptionRules = {
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
  protocols: {
    accepts: (value) => typeof value === 'function' || Array.isArray(value),
    expected: 'an array of strings, or a function',
  },
  origin: {
    accepts: (value) => value === '*' || typeof value === 'function' || Array.isArray(value),
    expected: "'*', an array of origins, or a function",
  },
};

/** The time in which a ping is to be answered, in milliseconds, if `idleTimeout` leaves as much. */
const pongTime = 8000;

/** The server, as its sockets need it. */
type ServerSettings = HttpSettings & { endConnection(slot: number): void };

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
    checkOptions('serve: websocket', handlers, handlerRules);
    if (handlers.message === undefined)
      throw new TypeError('serve: websocket: message is undefined; expected a function');
    this.owner = owner;
    this.handlers = handlers;
    const {
      maxPayloadLength = 16 * 1024 * 1024,
      idleTimeout = 120,
      sendPings = true,
      backpressureLimit = 2 ** 20,
    } = handlers;
    this.parser = new MessageParser('server', maxPayloadLength);
    this.#deflate = deflateOf('serve: websocket', handlers.perMessageDeflate);
    this.sendsPings = sendPings;
    this.backpressureLimit = backpressureLimit;
    const whole = idleTimeout === 0 ? Infinity : idleTimeout * 1000;
    this.pongTimeout = whole === Infinity ? pongTime : Math.min(pongTime, whole / 2);
    this.pingAfter = whole - (sendPings ? this.pongTimeout : 0);
  }

  end(slot: number): void {
    this.owner.endConnection(slot);
  }

  /**
   * Upgrades a request: whatever its handler returns, it is answered with 101, or with what refuses it.
   * @returns false if the request does not ask for a WebSocket: then the handler answers it
   */
  upgrade(request: Request | globalThis.Request, options: UpgradeOptions = {}): boolean {
    checkOptions('upgrade', options, {
      data: { accepts: () => true, expected: '' },
      headers: { accepts: (value) => typeof value === 'object', expected: 'headers' },
    });
    const { protocols, origin } = this.handlers;
    const asked = request as Request; // checkHandshake throws for any other
    const handshake = checkHandshake('upgrade', asked, { protocols, origin, headers: options.headers }, this.#deflate);
    const source = sourceOf(asked);
    if (source === undefined) return false;
    if (handshake instanceof Response) {
      if (handshake.headers.get('upgrade') !== null && !asks(source.fields)) return false;
      this.#upgraded.set(source, handshake);
      return true;
    }
    const { data } = options;
    const { deflate } = handshake;
    const settings = this.#deflate;
    // A thread for a moment: what opens the socket ends at once.
    const response = takeOver(
      function* (this: WebSocketServer, connection: Connection) {
        const { reader } = connection;
        const { bytes, start, limit, finished } = reader;
        const early = start < limit ? bytes.slice(start, limit) : undefined;
        reader.consume(limit - start);
        const compression = deflate && settings && openCompression('server', deflate, settings);
        new ServerWebSocket(this, connection, data, compression).opened(early, finished);
      }.bind(this),
      handshake.fields,
    );
    this.#upgraded.set(source, response);
    return true;
  }

  /** The response to a request that has been upgraded. */
  responseTo(source: object): Response | undefined {
    return this.#upgraded.get(source);
  }

  /** @returns how many bytes the message has; 0 if no socket has subscribed */
  publish(topic: string, data: string | Uint8Array | ArrayBuffer, except?: ServerWebSocket): number {
    const subscribers = this.#topics.get(topic);
    if (subscribers === undefined) return 0;
    const message = messageOf(data);
    const frame = serverFrame(message);
    for (const socket of subscribers) if (socket !== except) socket.sendFrame(frame);
    return frame.length;
  }

  subscriberCount(topic: string): number {
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

  /** Calls the handler of messages, as `call` does, without a function for each message. */
  deliver(socket: ServerWebSocket, message: string | Uint8Array<ArrayBuffer>): void {
    this.owner.context.run(deliver, this, socket, message);
  }

  /** Reports what a handler throws, or rejects with. */
  report(socket: ServerWebSocket, error: unknown): void {
    this.owner.report(error, undefined, { peer: socket.remoteAddress });
  }

  /** Looks at what a handler has returned. */
  handled(socket: ServerWebSocket, result: unknown): void {
    if (typeof result !== 'object' || result === null) return;
    Promise.resolve(result).catch((error) => this.report(socket, error));
  }

  /** Calls a handler in the server's async context. Never throws. */
  call(socket: ServerWebSocket, handle: () => unknown): void {
    this.owner.context.run(() => {
      try {
        this.handled(socket, handle());
      } catch (error) {
        this.report(socket, error);
      }
    }, undefined);
  }
}

function deliver(this: WebSocketServer, socket: ServerWebSocket, message: string | Uint8Array<ArrayBuffer>): void {
  try {
    this.handled(socket, this.handlers.message(socket, message));
  } catch (error) {
    this.report(socket, error);
  }
}

function asks(fields: readonly string[]): boolean {
  for (let i = 0; i < fields.length; i += 2)
    if (fields[i] === 'upgrade' && /(?:^|,)[ \t]*websocket[ \t]*(?:,|$)/i.test(fields[i + 1] ?? '')) return true;
  return false;
}

function messageOf(data: unknown): string | Uint8Array {
  if (data instanceof ArrayBuffer) return new Uint8Array(data);
  if (ArrayBuffer.isView(data) && !(data instanceof Uint8Array))
    return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  checkData(data);
  return data as string | Uint8Array; // as just checked
}

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
    connection.detached(undefined);
    this.awaitInput();
  }

  /** @internal It is open. @param early what the client has sent with its request @param hasFinished it has sent FIN as well */
  opened(early: Uint8Array | undefined, hasFinished: boolean): void {
    const { endpoint } = this;
    const { open } = endpoint.handlers;
    if (open !== undefined) endpoint.call(this, () => open.call(endpoint.handlers, this));
    if (early !== undefined && !this.isOver) this.received(early, 0, early.length);
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

  /** Bytes of output that have not left. */
  get bufferedAmount(): number {
    return this.queued;
  }

  /**
   * Sends a message: a string as text, anything else as binary.
   * @returns bytes; -1 if it is queued and the client is slow: wait for `drain`; 0 if it has been dropped, because the WebSocket is closed or
   *   `backpressureLimit` is reached
   */
  send(data: string | Uint8Array | ArrayBuffer | ArrayBufferView): number {
    const message = messageOf(data);
    if (!this.#hasRoom(message.length)) return 0;
    const bytes = this.put(message);
    return this.queued >= highWaterMark ? -1 : bytes;
  }

  /** Sends a text message. @returns as `send` @throws {TypeError} if it is no string */
  sendText(text: string): number {
    if (typeof text !== 'string') throw new TypeError(`sendText: the data is ${typeof text}; expected a string`);
    return this.send(text);
  }

  /** Sends a binary message. @returns as `send` */
  sendBinary(data: Uint8Array | ArrayBuffer | ArrayBufferView): number {
    return this.send(data);
  }

  /** @internal Sends a frame that has been made for many. */
  sendFrame(frame: Uint8Array): void {
    if (this.#hasRoom(frame.length)) this.putFrame(frame);
  }

  #hasRoom(bytes: number): boolean {
    if (!this.isOpen) return false;
    const { endpoint } = this;
    if (this.queued + bytes <= endpoint.backpressureLimit) return true;
    if (endpoint.handlers.closeOnBackpressureLimit === true) this.terminate();
    return false;
  }

  /** Calls a function. All that is sent in a turn leaves at once anyway; for code that was written for Bun. */
  cork<T>(callback: (ws: this) => T): T {
    return callback(this);
  }

  /** Starts the closing handshake. @param code default 1000 @throws {RangeError | TypeError} for codes and reasons that may not be sent */
  close(code: number = closeCodes.normal, reason = ''): void {
    checkClose('close', code, reason, 'server');
    this.sendClose(code, reason);
  }

  /** Ends the connection at once, without the closing handshake. */
  terminate(): void {
    this.abort();
  }

  /** @param data at most 125 bytes @returns as `send` */
  ping(data: string | Uint8Array | ArrayBuffer = ''): number {
    return this.#sendControl('ping', data);
  }

  /** @param data at most 125 bytes @returns as `send` */
  pong(data: string | Uint8Array | ArrayBuffer = ''): number {
    return this.#sendControl('pong', data);
  }

  #sendControl(what: 'ping' | 'pong', data: string | Uint8Array | ArrayBuffer): number {
    const message = messageOf(data);
    const payload = typeof message === 'string' ? Buffer.from(message) : message;
    if (payload.length > 125)
      throw new RangeError(`${what}: the data has ${payload.length} bytes; expected at most 125`);
    if (!this.#hasRoom(payload.length)) return 0;
    if (what === 'ping') this.putPing(payload);
    else this.putPong(payload);
    return payload.length + 2;
  }

  /** From now on it gets what is published to a topic of its server. */
  subscribe(topic: string): void {
    if (!this.isOpen) return;
    this.#topics ??= new Set();
    this.#topics.add(topic);
    this.endpoint.subscribe(topic, this);
  }

  /** From now on it gets nothing of a topic. */
  unsubscribe(topic: string): void {
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

  /** Sends a message to all that have subscribed to a topic, but itself unless `publishToSelf` is set. @returns bytes; 0 if there are none */
  publish(topic: string, data: string | Uint8Array | ArrayBuffer): number {
    return this.endpoint.publish(topic, data, this.endpoint.handlers.publishToSelf === true ? undefined : this);
  }

  // What the base reports.

  /** @internal */
  protected message(data: string | Uint8Array<ArrayBuffer>): void {
    const message =
      typeof data === 'string'
        ? data
        : (Buffer.from(data.buffer, data.byteOffset, data.length) as Uint8Array<ArrayBuffer>);
    this.endpoint.deliver(this, message);
  }

  /** @internal */
  protected pinged(payload: Uint8Array<ArrayBuffer>): void {
    const { handlers } = this.endpoint;
    if (handlers.ping !== undefined) this.endpoint.call(this, () => handlers.ping?.(this, payload));
  }

  /** @internal */
  protected ponged(payload: Uint8Array<ArrayBuffer>): void {
    const { handlers } = this.endpoint;
    if (handlers.pong !== undefined) this.endpoint.call(this, () => handlers.pong?.(this, payload));
  }

  /** @internal */
  protected concluded(code: number, reason: string): void {
    const { endpoint } = this;
    for (const topic of this.#topics ?? []) endpoint.unsubscribe(topic, this);
    this.#topics = undefined;
    const { handlers } = endpoint;
    if (handlers.close !== undefined) endpoint.call(this, () => handlers.close?.(this, code, reason));
  }

  /** @internal */
  protected writableAgain(): void {
    const { handlers } = this.endpoint;
    if (handlers.drain !== undefined && this.isOpen) this.endpoint.call(this, () => handlers.drain?.(this));
  }

  /** @internal */
  override expired(): void {
    if (this.endpoint.sendsPings || !this.isOpen) super.expired();
    else this.terminate();
  }
}
