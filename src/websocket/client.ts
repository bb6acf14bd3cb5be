// `connectWebSocket`: the client's side of a WebSocket, for a thread.

import { type ConnectOptions, connect } from '../connection/connect.js';
import { ConnectionError } from '../event-layer/event-layer.js';
import { fieldsFrom, type HeadersInit } from '../http/fetch/headers.js';
import type { Task } from '../threads/task.js';
import { show } from '../util/inspect.js';
import { checkOptions, longestDelay, type OptionRules } from '../util/options.js';
import { openCompression } from './compression.js';
import { type DeflateParameters, offerDeflate, parseExtensions, readAcceptedDeflate } from './extensions.js';
import { acceptOf, listOf, newKey } from './handshake.js';
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
  /** The network to connect on. Default: that of the running thread. */
  network?: ConnectOptions['network'];
}

const rules: OptionRules = {
  ...socketRules,
  protocols: {
    accepts: (value) => Array.isArray(value) && value.every((name) => typeof name === 'string'),
    expected: 'an array of strings',
  },
  headers: { accepts: (value) => typeof value === 'object', expected: 'headers' },
  handshakeTimeout: { number: [1, longestDelay] },
  localAddress: { type: 'string' },
  connectTimeout: { number: [0, Infinity] },
  network: { accepts: () => true, expected: 'a Network' }, // `connect` looks at it
};

/** The most bytes of a line of the server's answer, and of all of them. */
const mostLine = 8192;
const mostHead = 64 * 1024;

/**
 * Connects to a WebSocket server, parking the thread until the opening handshake is complete. The WebSocket belongs to the thread: it is closed when
 * the thread is over.
 *
 * ```ts
 * const socket = yield* connectWebSocket('ws://127.0.0.1:8080/chat');
 * yield* socket.send('hello');
 * console.log(yield* socket.receive());
 * ```
 *
 * @param url `ws://…`
 * @throws {TypeError | RangeError} for a URL or options that are wrong
 * @throws {ConnectionError} as `connect`; `ERR_HANDSHAKE` if the server does not answer as a WebSocket server does, with the status in the message
 */
export function* connectWebSocket(url: string | URL, options: WebSocketClientOptions = {}): Task<WebSocketConnection> {
  checkOptions('connectWebSocket', options, rules);
  const target = URL.canParse(`${url}`) ? new URL(url) : undefined;
  if (target?.protocol !== 'ws:')
    throw new TypeError(`connectWebSocket: url is ${show(`${url}`)}; expected ws://host…`);
  const { localAddress, connectTimeout, network, protocols = [], handshakeTimeout = 30_000 } = options;
  const hostname = target.hostname.replace(/^\[(.*)\]$/, '$1');
  const port = target.port === '' ? 80 : Number(target.port);
  const connection = yield* connect({ hostname, port, localAddress, connectTimeout, network });
  const { reader, writer } = connection;
  const key = newKey();
  let head = `GET ${target.pathname}${target.search} HTTP/1.1\r\nhost: ${target.host}\r\nconnection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: ${key}\r\n`;
  const settings = deflateOf('connectWebSocket', options.perMessageDeflate);
  if (settings !== undefined) head += `sec-websocket-extensions: ${offerDeflate(settings)}\r\n`;
  if (protocols.length > 0) head += `sec-websocket-protocol: ${protocols.join(', ')}\r\n`;
  const own = options.headers === undefined ? [] : fieldsFrom(options.headers);
  for (let i = 0; i < own.length; i += 2) head += `${own[i]}: ${own[i + 1]}\r\n`;
  yield* writer.write(`${head}\r\n`);

  reader.deadline = connection.scheduler.now + handshakeTimeout;
  const status = yield* reader.readLine(mostLine);
  const fields = new Map<string, string>();
  let size = 0;
  for (let line = ''; (line = (yield* reader.readLine(mostLine)) ?? '') !== ''; ) {
    size += line.length;
    const colon = line.indexOf(':');
    if (colon < 1 || size > mostHead) throw notAgreed(`a malformed head: ${show(line)}`);
    const name = line.slice(0, colon).toLowerCase();
    const value = line.slice(colon + 1).trim();
    const before = fields.get(name);
    fields.set(name, before === undefined ? value : `${before}, ${value}`);
  }
  reader.deadline = Infinity;
  // RFC 6455 §4.1, what the client must check.
  if (!/^HTTP\/1\.1 101(?: |$)/.test(status ?? '')) throw notAgreed(show(status ?? 'the end of the connection'));
  if (fields.get('upgrade')?.toLowerCase() !== 'websocket') throw notAgreed('no Upgrade: websocket');
  if (!listOf(fields.get('connection') ?? '').some((option) => option.toLowerCase() === 'upgrade'))
    throw notAgreed('no Connection: Upgrade');
  if (fields.get('sec-websocket-accept') !== acceptOf(key)) throw notAgreed('a wrong Sec-WebSocket-Accept');
  const protocol = fields.get('sec-websocket-protocol') ?? '';
  if (protocol !== '' && !protocols.includes(protocol)) throw notAgreed(`the sub-protocol ${show(protocol)}`);
  const accepted = fields.get('sec-websocket-extensions');
  const extensions = accepted === undefined ? [] : parseExtensions(accepted);
  if (extensions === undefined) throw notAgreed('a malformed Sec-WebSocket-Extensions');
  let deflate: DeflateParameters | undefined;
  try {
    deflate = readAcceptedDeflate(extensions, settings);
  } catch (error) {
    throw notAgreed(error instanceof Error ? error.message : 'a wrong Sec-WebSocket-Extensions');
  }
  const { owner } = connection;
  const end = (slot: number): void => void owner.network.linger(slot, 10_000);
  return new WebSocketConnection(
    connection,
    endpointOf(owner, options, true, end),
    protocol,
    deflate && settings && openCompression('client', deflate, settings),
  );
}

function notAgreed(found: string): ConnectionError {
  return new ConnectionError(
    'ERR_HANDSHAKE',
    `connectWebSocket: the server answered with ${found}; expected the opening handshake of RFC 6455 §4.2.2`,
  );
}
