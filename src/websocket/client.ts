// `connectWebSocket`: the client's side of a WebSocket, for a thread.

import { Buffer } from 'node:buffer';
import { type ConnectOptions, connect } from '../connection/connect.js';
import { type Connection, defaultLinger } from '../connection/connection.js';
import { ConnectionError, type Slot } from '../event-layer/event-layer.js';
import { fieldsOfOption, type HeadersInit, hasField, headersRule } from '../http/fetch/headers.js';
import type { Task } from '../threads/task.js';
import { tlsClientRule } from '../tls/options/options.js';
import { isInstance, show } from '../util/inspect.js';
import { checkOptions, longestDelay, type OptionRules } from '../util/options.js';
import { openCompression } from './compression.js';
import {
  type DeflateParameters,
  type DeflateSettings,
  ExtensionError,
  offerDeflate,
  parseExtensions,
  readAcceptedDeflate,
} from './extensions.js';
import { acceptOf, checkProtocols, handshakeFields, listOf, newKey } from './handshake.js';
import { deflateOf, endpointOf, type SocketOptions, socketRules } from './options.js';
import { WebSocketConnection } from './web-socket.js';

/** Options of `connectWebSocket`. */
export interface WebSocketClientOptions extends SocketOptions {
  /** Sub-protocols to offer, the preferred first. Default: none. */
  protocols?: readonly string[] | undefined;
  /** More fields for the request: `authorization`, `cookie`, `origin`, … */
  headers?: HeadersInit | undefined;
  /** How long the server may take to answer the opening handshake, in milliseconds. Default 30,000. */
  handshakeTimeout?: number | undefined;
  /** IP address of this machine that the connection comes from. Default: the system chooses. */
  localAddress?: ConnectOptions['localAddress'];
  /** How long connecting may take, in milliseconds. Default 30,000. */
  connectTimeout?: ConnectOptions['connectTimeout'];
  /** For `wss:`: what is to be other than usual, such as `{ ca }`; see the option of `connect`. */
  tls?: ConnectOptions['tls'];
  /** The network to connect on. Default: that of the running thread. */
  network?: ConnectOptions['network'];
}

const rules: OptionRules = {
  ...socketRules,
  protocols: {
    accepts: (value) => Array.isArray(value), // what is in it is checked by `checkProtocols`
    expected: 'an array of strings',
  },
  headers: headersRule,
  handshakeTimeout: { number: [1, longestDelay] },
  localAddress: { type: 'string' },
  connectTimeout: { number: [0, Infinity] },
  tls: tlsClientRule,
  network: { accepts: () => true, expected: 'a Network' }, // `connect` looks at it
};

/** The most bytes of a line of the server's response, and of all of them. */
const maxLine = 8192;
const maxHead = 64 * 1024;

/**
 * Connects to a WebSocket server, parking the thread until the opening handshake is complete (RFC 6455 §4.1). The WebSocket belongs to the thread: it
 * is closed when the thread is over. Unlike that of a server, the thread is not unwound when the peer closes it or is gone: `receive` returns
 * `undefined`, and `send` throws.
 *
 * ```ts
 * const socket = yield* connectWebSocket('ws://127.0.0.1:8080/chat');
 * yield* socket.send('hello');
 * console.log(yield* socket.receive());
 * ```
 *
 * @param url `ws://host:port/path?query`, or `wss:`, which goes through TLS
 * @throws {TypeError | RangeError} for a URL or options that are wrong
 * @throws {ConnectionError} as `connect`; `ERR_HANDSHAKE` if the server does not answer as RFC 6455 asks for, or not in time. Its message has what was
 *   found, such as the status
 */
export function* connectWebSocket(url: string | URL, options: WebSocketClientOptions = {}): Task<WebSocketConnection> {
  const where = 'connectWebSocket';
  checkOptions(where, options, rules);
  const target = targetOf(url);
  if (options.tls !== undefined && target.protocol !== 'wss:')
    throw new TypeError(`${where}: tls is given, and the URL begins with ws:; expected wss:`);
  const { localAddress, connectTimeout, network, protocols = [], handshakeTimeout = 30_000 } = options;
  checkProtocols(where, protocols);
  const settings = deflateOf(where, options.perMessageDeflate);
  const key = newKey();
  const head = requestHead(target, key, options, settings);
  const hostname = target.hostname.replace(/^\[(.*)\]$/, '$1');
  const isSecure = target.protocol === 'wss:';
  const port = target.port === '' ? (isSecure ? 443 : 80) : Number(target.port);
  const tls = isSecure ? (options.tls ?? true) : undefined;
  const connection = yield* connect({ hostname, port, localAddress, connectTimeout, tls, network });
  let isComplete = false;
  try {
    yield* connection.writer.write(head);
    connection.reader.deadline = connection.scheduler.now + handshakeTimeout;
    const { protocol, deflate } = yield* readAnswer(connection, key, protocols, settings, handshakeTimeout);
    isComplete = true;
    const { owner } = connection;
    const end = (slot: Slot): void => void owner.network.linger(slot, defaultLinger);
    const compression = deflate && settings && openCompression('client', deflate, settings);
    return new WebSocketConnection(connection, endpointOf(owner, options, true, end), protocol, compression);
  } finally {
    if (!isComplete) connection.reset(); // the thread may try again
  }
}

/** @throws {TypeError} */
function targetOf(url: string | URL): URL {
  if (typeof url !== 'string' && !isInstance(url, URL))
    throw new TypeError(`connectWebSocket: url is ${show(url)}; expected ws://host…, or a URL`);
  const target = URL.canParse(`${url}`) ? new URL(url) : undefined;
  const refuse = (expected: string): TypeError =>
    new TypeError(`connectWebSocket: url is ${show(`${url}`)}; expected ${expected}`);
  if (target?.protocol !== 'ws:' && target?.protocol !== 'wss:') throw refuse('ws://host… or wss://host…');
  if (target.hash !== '' || `${url}`.includes('#')) throw refuse('no fragment (RFC 6455 §3)');
  if (target.username !== '' || target.password !== '')
    throw refuse('no user and password in it, but an authorization field in the option headers');
  return target;
}

/** @throws {TypeError} for fields that are wrong */
function requestHead(
  target: URL,
  key: string,
  options: WebSocketClientOptions,
  settings: DeflateSettings | undefined,
): string {
  const { protocols = [], headers } = options;
  const own = fieldsOfOption('connectWebSocket', headers);
  const lines = [`GET ${target.pathname}${target.search} HTTP/1.1`];
  if (!hasField(own, 'host')) lines.push(`host: ${target.host}`);
  lines.push('connection: Upgrade', 'upgrade: websocket', 'sec-websocket-version: 13', `sec-websocket-key: ${key}`);
  if (settings !== undefined) lines.push(`sec-websocket-extensions: ${offerDeflate(settings)}`);
  if (protocols.length > 0) lines.push(`sec-websocket-protocol: ${protocols.join(', ')}`);
  for (let i = 0; i < own.length; i += 2) {
    const name = own[i] ?? '';
    const isProtocols = name === 'sec-websocket-protocol';
    if (handshakeFields.has(name) || isProtocols)
      throw new TypeError(
        `connectWebSocket: headers has ${name}, which ${isProtocols ? 'the option protocols' : 'the handshake'} sets`,
      );
    lines.push(`${name}: ${own[i + 1]}`);
  }
  return `${lines.join('\r\n')}\r\n\r\n`;
}

/** What an answer in HTTP begins with. */
const httpStart = 'HTTP/';

function latin1({ buffer, byteOffset, length }: Uint8Array): string {
  return Buffer.from(buffer, byteOffset, length).toString('latin1');
}

interface Answer {
  /** The sub-protocol; empty if there is none. */
  readonly protocol: string;
  readonly deflate: DeflateParameters | undefined;
}

/** Reads the server's response, and makes the checks of RFC 6455 §4.1. @throws {ConnectionError} */
function* readAnswer(
  { reader }: Connection,
  key: string,
  protocols: readonly string[],
  settings: DeflateSettings | undefined,
  timeout: number,
): Task<Answer> {
  const fields = new Map<string, string>();
  try {
    const start = latin1(yield* reader.peek(httpStart.length));
    if (start === '') throw notAgreed('nothing, and has closed the connection');
    // Another protocol may have no lines, or wait for its client's answer.
    if (!start.startsWith(httpStart)) throw notAgreed(show(start.split(/\r?\n/, 1)[0]));
    const status = (yield* reader.readLine(maxLine)) ?? '';
    if (!/^HTTP\/1\.1 101(?: |$)/.test(status)) throw notAgreed(show(status));
    for (let size = 0, line: string | undefined; (line = yield* reader.readLine(maxLine)) !== ''; ) {
      if (line === undefined) throw notAgreed('a head that is cut short');
      size += line.length;
      const colon = line.indexOf(':');
      if (size > maxHead) throw notAgreed(`a head of more than ${maxHead} bytes`);
      if (colon < 1) throw notAgreed(`a malformed field, ${show(line)}`);
      const name = line.slice(0, colon).toLowerCase();
      const value = line.slice(colon + 1).trim();
      const before = fields.get(name);
      fields.set(name, before === undefined ? value : `${before}, ${value}`);
    }
  } catch (error) {
    if (!isInstance(error, ConnectionError)) throw error;
    if (error.code === 'ERR_READ_TIMEOUT') throw notAgreed(`no whole head within ${timeout} ms`, error);
    if (error.code === 'ERR_LIMIT') throw notAgreed(`a line of more than ${maxLine} bytes`, error);
    throw error;
  }
  reader.deadline = Infinity;
  if (fields.get('upgrade')?.toLowerCase() !== 'websocket') throw notAgreed('no Upgrade: websocket');
  if (!listOf(fields.get('connection') ?? '').some((option) => option.toLowerCase() === 'upgrade'))
    throw notAgreed('no Connection: Upgrade');
  if (fields.get('sec-websocket-accept') !== acceptOf(key)) throw notAgreed('a wrong Sec-WebSocket-Accept');
  const protocol = fields.get('sec-websocket-protocol') ?? '';
  if (fields.has('sec-websocket-protocol') && !protocols.includes(protocol))
    throw notAgreed(`the sub-protocol ${show(protocol)}, which was not offered`);
  const accepted = fields.get('sec-websocket-extensions');
  const extensions = accepted === undefined ? [] : parseExtensions(accepted);
  if (extensions === undefined) throw notAgreed('a malformed Sec-WebSocket-Extensions');
  try {
    return { protocol, deflate: readAcceptedDeflate(extensions, settings) };
  } catch (error) {
    if (!isInstance(error, ExtensionError)) throw error;
    throw notAgreed(error.found, error, error.expected);
  }
}

function notAgreed(
  found: string,
  cause?: unknown,
  expected = 'the opening handshake of RFC 6455 §4.2.2',
): ConnectionError {
  return new ConnectionError(
    'ERR_HANDSHAKE',
    `connectWebSocket: the server answered with ${found}; expected ${expected}`,
    cause === undefined ? undefined : { cause },
  );
}
