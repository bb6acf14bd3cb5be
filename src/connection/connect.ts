// `connect`: the client side of a connection.

import { isIP } from 'node:net';
import { ConnectionError, highWaterMark, type Slot, type Transport } from '../event-layer/event-layer.js';
import type { SecureTransportFactory } from '../event-layer/secure-transport.js';
import { parked, type Task, waitUntil } from '../threads/task.js';
import { runningThread, type Thread } from '../threads/thread.js';
import { type Securing, secureClient } from '../tls/engines.js';
import { clientTls } from '../tls/options/client-config.js';
import { type TlsClientOptions, tlsClientRule } from '../tls/options/options.js';
import { checkOptions, longestDelay, type OptionRules } from '../util/options.js';
import { BufferedBytes } from './buffered-bytes.js';
import { Connection, defaultLinger } from './connection.js';
import { type AddressOptions, addressOf, addressRules } from './listen.js';
import { Network, type Owner, type SlotRecord, SlotState } from './network.js';
import { networkFor } from './securing.js';
import { type ConnectionSocketOptions, socketOptionsOf, socketRules } from './socket-options.js';

export interface ConnectOptions extends AddressOptions, ConnectionSocketOptions {
  /** The IP address of this machine to connect from. Default: the system chooses. */
  localAddress?: string | undefined;
  /** How long connecting may take, in milliseconds. Default 30,000. */
  connectTimeout?: number | undefined;
  /** How long to wait for the peer of a closed connection before it is reset, in milliseconds; at most a day. Default 10,000. */
  lingerTimeout?: number | undefined;
  /** TLS: true, or what is to be other than usual, such as `{ ca }`. The server's certificate must be for `hostname`. See docs/tls.md. Default: none. */
  tls?: TlsClientOptions | true | undefined;
  /** The network to connect on. Default: that of the running thread. */
  network?: Network | undefined;
  /** @internal Creates the transport that the connection goes through, such as TLS. Default: the event layer itself. */
  secure?: SecureTransportFactory | undefined;
}

const rules: OptionRules<ConnectOptions> = {
  ...addressRules,
  localAddress: { type: 'string' },
  ...socketRules,
  connectTimeout: { number: [0, Infinity] },
  lingerTimeout: { number: [0, longestDelay] },
  tls: tlsClientRule,
  network: { instance: Network },
  secure: { type: 'function' },
};

/**
 * Connects to a server; parks until the connection is established. The connection belongs to the running thread. When the thread returns, what was
 * written is sent and the connection is closed; when it fails or is unwound, the connection is reset.
 *
 * ```ts
 * const { reader, writer } = yield* connect({ port: 7000 });
 * yield* writer.write('hello\n');
 * console.log(yield* reader.readLine(1024));
 * ```
 *
 * @param options `hostname` defaults to `127.0.0.1`
 * @throws {TypeError | RangeError} for options that are wrong
 * @throws {TlsConfigError} if what `tls` names cannot be used
 * @throws {ConnectionError} if it fails (`ECONNREFUSED`, `ENOTFOUND`, `EADDRNOTAVAIL`, …, `ERR_CONNECT_TIMEOUT`, or `ERR_TLS_CERTIFICATE` and others of TLS)
 */
export function* connect(options: ConnectOptions): Task<Connection> {
  checkOptions('connect', options, rules);
  const address = addressOf('connect', options, { hostname: '127.0.0.1' });
  const localAddress = localAddressOf(options);
  const socketOptions = socketOptionsOf('connect', options);
  const thread = runningThread('connect');
  const { tls, lingerTimeout = defaultLinger } = options;
  const host = 'path' in address ? 'localhost' : address.hostname;
  const network = networkFor(options.network, () => Network.of(thread.scheduler), tls !== undefined);
  const place = network.layer.securesSockets ? 'below' : 'above';
  const config = tls && clientTls('connect: tls', tls, host, place);
  const securing: Securing = config === undefined ? { secure: options.secure } : secureClient(network.layer, config);
  const { secure, security } = securing;
  const slot = network.layer.connect(address, localAddress, { ...socketOptions, security });
  const client = new Client(thread, network, lingerTimeout, secure);
  network.adopt(slot, client, SlotState.connecting);
  const timeout = options.connectTimeout ?? 30_000;
  network.setDeadline(slot, network.scheduler.now + timeout);
  try {
    yield* waitUntil(() => !client.pending, parked.dry);
  } finally {
    client.resetIfPending(slot);
  }
  return client.connected();
}

/** @throws {TypeError} if it is not an IP address, or is given for a path */
function localAddressOf({ localAddress, path }: ConnectOptions): string | undefined {
  if (localAddress === undefined) return undefined;
  if (path !== undefined) {
    throw new TypeError('connect: path and localAddress are both given; a Unix-domain socket has no local address');
  }
  if (isIP(localAddress) === 0) {
    throw new TypeError(`connect: localAddress is ${JSON.stringify(localAddress)}; expected an IP address`);
  }
  return localAddress;
}

/** The owner of a connection that `connect` makes. */
class Client implements Owner {
  readonly network: Network;
  readonly transport: Transport;
  readonly buffers = BufferedBytes.ofProcess();
  readonly readTimeout = Infinity;
  readonly writeTimeout = Infinity;
  readonly writeRate = 0;
  readonly #thread: Thread<unknown>;
  readonly #linger: number;
  #connection: Connection | undefined;
  #error: ConnectionError | undefined;

  constructor(thread: Thread<unknown>, network: Network, linger: number, secure: SecureTransportFactory | undefined) {
    this.#thread = thread;
    this.network = network;
    this.transport = network.addTransport(secure);
    this.#linger = linger;
  }

  get queuedBytes(): number {
    return this.buffers.isFull ? 1 : highWaterMark;
  }

  /** Neither connected nor failed yet. */
  get pending(): boolean {
    return this.#connection === undefined && this.#error === undefined;
  }

  connected(): Connection {
    if (this.#connection === undefined) throw this.#error;
    return this.#connection;
  }

  /** The thread continues. If it is unwound before the connection is established, the connection is reset. */
  resetIfPending(slot: Slot): void {
    if (this.pending) this.transport.reset(slot);
  }

  opened(slot: Slot): void {
    if (!this.pending) return;
    const connection = new Connection(this, slot);
    connection.thread = this.#thread;
    this.#connection = connection;
    this.network.setDeadline(slot, Infinity);
    this.network.attach(connection);
    this.#thread.whenOver(() => this.#threadOver(connection));
    this.#thread.scheduler.resume(this.#thread);
  }

  #threadOver(connection: Connection): void {
    if (connection.closed) return;
    if (this.#thread.outcome === 'returned') this.network.linger(connection.slot, this.#linger);
    else connection.reset();
  }

  closed(_slot: Slot, _record: SlotRecord | undefined, reason: ConnectionError | undefined): void {
    this.network.removeTransport(this.transport);
    if (!this.pending) return;
    this.#error =
      reason ?? new ConnectionError('ECONNABORTED', 'connect: the connection closed before it was established');
    this.#thread.scheduler.resume(this.#thread);
  }

  sessionFailed(slot: Slot, _record: SlotRecord | undefined, reason: ConnectionError): void {
    if (this.pending) {
      this.#error = reason;
      this.#thread.scheduler.resume(this.#thread);
    }
    this.network.linger(slot, this.#linger);
  }

  /** `connectTimeout` has passed. */
  expired(slot: Slot): void {
    if (!this.pending) return;
    this.#error = new ConnectionError('ERR_CONNECT_TIMEOUT', 'connect: the connection was not established in time');
    this.transport.reset(slot);
    this.#thread.scheduler.resume(this.#thread);
  }

  // A connection of a client has a record from when it is established, so these are never called.
  received(slot: Slot): void {
    throw new Error(`slot ${slot} received bytes before it was connected; this is a bug in sluice`);
  }

  ended(): void {}
}
