// `listen`: serves any protocol over TCP or a Unix-domain socket. The handler runs in a thread for each connection.

import { isIPv6 } from 'node:net';
import { type Address, ConnectionError, highWaterMark, type Slot } from '../event-layer/event-layer.js';
import type { SecureTransportFactory } from '../event-layer/secure-transport.js';
import { checkedTask, type Task } from '../threads/task.js';
import { functionName, Thread } from '../threads/thread.js';
import { type TlsServerOptions, tlsServerRule } from '../tls/options/options.js';
import { show } from '../util/inspect.js';
import { checkOptions, longestDelay, type OptionRules } from '../util/options.js';
import { type BufferedCounts, bufferedRule } from './buffered-bytes.js';
import { Connection, defaultLinger } from './connection.js';
import type { CloseOptions, ConnectionCounts, ReloadOptions } from './listener.js';
import { AddressedServer } from './listening-server.js';
import { Network, type SlotRecord, SlotState } from './network.js';
import { callOnError, printError } from './on-error.js';
import { RecordListener } from './record-listener.js';
import { networkFor } from './securing.js';
import { type ConnectionSocketOptions, socketOptionsOf, socketRules } from './socket-options.js';

/** Where to listen or connect to. */
export interface AddressOptions {
  /** TCP port, 0 to 65535; 0 lets the system choose one. */
  port?: number | undefined;
  /** Host name or IP address. An IPv6 address may be in brackets, as in the `hostname` of a `URL`. */
  hostname?: string | undefined;
  /** Path of a Unix-domain socket, instead of `port` and `hostname`. */
  path?: string | undefined;
}

export interface ListenOptions extends AddressOptions, ConnectionSocketOptions {
  /** How many connections the kernel may hold before they are accepted. Default 511. */
  backlog?: number | undefined;
  /**
   * Whether other sockets may listen on the same port, usually of other processes: the system distributes connections between them (SO_REUSEPORT). Default
   * false.
   */
  reusePort?: boolean | undefined;
  /** How long to wait for the peer of a closed connection before it is reset, in milliseconds; at most a day. Default 10,000. */
  lingerTimeout?: number | undefined;
  /**
   * The most bytes of memory that unread input and queued output of all connections may take together: see `serve`. A `readAll` or
   * `readExactly` that would exceed it throws `ERR_MAX_BUFFERED_BYTES`. Default: an eighth of the available memory, and at least 32 MiB,
   * shared by all servers of the process that do not set this option.
   */
  maxBufferedBytes?: number | undefined;
  /** Called with what a handler throws, with `finally` blocks that do not end, and when accepting fails. Default: prints to standard error. */
  onError?: ((error: unknown, connection: Connection | undefined) => void) | undefined;
  /**
   * TLS: the certificate and its key, `{ key, cert }` with PEM or the paths of files, and more; or an array of these for several names. See docs/tls.md.
   * Default: none, connections are plain.
   */
  tls?: TlsServerOptions | readonly TlsServerOptions[] | undefined;
  /**
   * Whether each connection begins with the header of the PROXY protocol, version 1 or 2, as HAProxy and others send it. `connection.peer` is then the address
   * in the header. The header must arrive within 10 seconds, before TLS; a connection without one is reset. Only for ports that no one but the proxy can
   * reach: another client could name any address. Default false.
   */
  proxyProtocol?: boolean | undefined;
  /** The network to listen on. Default: that of the running thread, else that of the process. */
  network?: Network | undefined;
  /** @internal Creates the transport that connections go through, such as TLS. Default: the event layer itself. */
  secure?: SecureTransportFactory | undefined;
}

/** A server for a protocol of your own: what `listen` returns. */
export interface TcpServer extends AsyncDisposable {
  /** The address that it listens on, such as `127.0.0.1:7000`. */
  readonly address: string;
  /** The TCP port, or `undefined` for a Unix-domain socket. */
  readonly port: number | undefined;
  /** The event layer's name. */
  readonly eventLayer: string;
  /** The number of connections, by what they are doing. */
  readonly connections: ConnectionCounts;
  /** The memory that its connections take, and the limit, in bytes. */
  readonly buffered: BufferedCounts;
  /** The threads at work, one for each connection. */
  threads(): Iterable<Thread<unknown>>;
  /**
   * Replaces the certificates of `tls` for connections that come from now on; others keep what they have. Everything is checked first.
   * @throws (rejects) as `listen` does: then nothing has changed
   */
  reload(options: ReloadOptions): Promise<void>;
  /** Stops accepting, waits for the handlers, and unwinds them at the deadline. Resolves when no connection, thread, timer or descriptor is left. */
  close(options?: CloseOptions): Promise<void>;
}

export const addressRules: OptionRules<AddressOptions> = {
  port: { whole: [0, 65_535] },
  hostname: { type: 'string' },
  path: { type: 'string' },
};

/** Rules for the options that all servers have, besides the address. */
export const serverRules = {
  backlog: { whole: [1, 65_535] },
  reusePort: { type: 'boolean' },
  ...socketRules,
  lingerTimeout: { number: [0, longestDelay] },
  maxBufferedBytes: bufferedRule,
  onError: { type: 'function' },
  tls: tlsServerRule,
  proxyProtocol: { type: 'boolean' },
  network: { instance: Network },
  secure: { type: 'function' },
} as const satisfies OptionRules<Omit<ListenOptions, keyof AddressOptions>>;

const rules: OptionRules<ListenOptions> = { ...addressRules, ...serverRules };

/** The address that options describe. @throws {TypeError} if a path is given with what only TCP has, or neither port nor path */
export function addressOf(
  where: string,
  options: AddressOptions & { reusePort?: boolean | undefined },
  defaults: { hostname: string; port?: number },
): Address {
  const { path, hostname = defaults.hostname, port = defaults.port } = options;
  if (path !== undefined) {
    for (const name of ['port', 'hostname', 'reusePort'] as const) {
      if (options[name] === undefined || options[name] === false) continue;
      throw new TypeError(`${where}: path and ${name} are both given; a Unix-domain socket has no ${name}`);
    }
    return { path };
  }
  if (port === undefined) throw new TypeError(`${where}: neither port nor path is given; expected one of them`);
  // The C library would read the name only up to that byte.
  if (hostname.includes('\0'))
    throw new TypeError(`${where}: hostname is ${show(hostname)}; expected a name or an address without a zero byte`);
  return { hostname: withoutBrackets(where, hostname), port };
}

/** `::1` of `[::1]`, which is how the `hostname` of a `URL` writes an IPv6 address. */
function withoutBrackets(where: string, hostname: string): string {
  if (!hostname.startsWith('[')) return hostname;
  const address = hostname.slice(1, -1);
  if (hostname.endsWith(']') && isIPv6(address)) return address;
  throw new TypeError(`${where}: hostname is ${show(hostname)}; expected an IPv6 address between the brackets`);
}

/**
 * Serves a protocol of your own. The handler runs in a thread for each connection, and is unwound when the connection is reset. The peer's FIN is
 * the end of its input. When the handler returns, what it wrote is sent and the connection is closed; if it throws, the connection is reset and
 * `onError` is called. With `tls` it starts when the handshake is complete, and not at all if that fails.
 *
 * ```ts
 * await listen({ port: 7000 }, function* ({ reader, writer }) {
 *   for (let line; (line = yield* reader.readLine(1024)) !== undefined; ) yield* writer.write(`${line}\n`);
 * });
 * ```
 *
 * @returns (a promise of) the server, which is listening
 * @throws {TypeError | RangeError} (rejects) for options that are wrong, naming the option
 * @throws {ConnectionError} (rejects) with the system's code, such as `EADDRINUSE`
 */
export async function listen(
  options: ListenOptions,
  handler: (connection: Connection) => Task<void>,
): Promise<TcpServer> {
  checkOptions('listen', options, rules);
  if (typeof handler !== 'function') {
    throw new TypeError(`listen: the handler is ${show(handler)}; expected a generator function`);
  }
  const address = addressOf('listen', options, { hostname: '0.0.0.0' });
  const socketOptions = socketOptionsOf('listen', options);
  const server = new RawListener(options, handler);
  await server.open({ address, backlog: options.backlog ?? 511, reusePort: options.reusePort, ...socketOptions });
  return new RawServer(server);
}

/** How long the header of the PROXY protocol may take, in milliseconds: the proxy sends it as soon as it has connected. */
export const maxProxyHeaderTime = 10_000;

class RawServer extends AddressedServer implements TcpServer {
  readonly #listener: RawListener;

  constructor(listener: RawListener) {
    super(listener);
    this.#listener = listener;
  }

  threads(): Iterable<Thread<unknown>> {
    return this.#listener.threads();
  }
}

class RawListener extends RecordListener {
  readonly #handler: (connection: Connection) => Task<void>;
  readonly readTimeout = Infinity;
  readonly writeTimeout = Infinity;
  readonly writeRate = 0;
  protected readonly lingerTime: number;
  readonly #onError: (error: unknown, connection: Connection | undefined) => void;

  constructor(options: ListenOptions, handler: (connection: Connection) => Task<void>) {
    const { network, maxBufferedBytes, tls, proxyProtocol, secure } = options;
    const proxyHeaderTimeout = proxyProtocol ? maxProxyHeaderTime : undefined;
    const security = { where: 'listen', tls, alpnProtocols: [], secure, proxyHeaderTimeout };
    super(networkFor(network, Network.current, tls !== undefined), maxBufferedBytes, security);
    this.#handler = handler;
    this.lingerTime = options.lingerTimeout ?? defaultLinger;
    this.#onError = options.onError ?? ((error) => printError(error));
  }

  get queuedBytes(): number {
    return this.buffers.isFull ? 1 : highWaterMark;
  }

  *threads(): Generator<Thread<unknown>, void, void> {
    for (const slot of this.network.slotsOf(this)) {
      const thread = this.network.record(slot)?.thread;
      if (thread !== undefined) yield thread;
    }
  }

  protected ready(slot: Slot): void {
    const connection = new Connection(this, slot);
    connection.rememberPeer(); // for errors that are reported after it has closed
    this.network.attach(connection);
    const report = (error: unknown) => this.#report(error, connection);
    const thread = new Thread(
      () => this.#runHandler(connection),
      functionName(this.#handler, 'handler'),
      undefined,
      this.network.scheduler,
      report,
    );
    thread.context = this.context.fork();
    connection.thread = thread;
    thread.whenOver(() => this.#threadOver(connection, thread));
    this.network.scheduler.resume(thread);
  }

  *#runHandler(connection: Connection): Task<void> {
    yield* checkedTask('listen: the handler returned', this.#handler(connection));
  }

  #threadOver(connection: Connection, thread: Thread<unknown>): void {
    if (connection.closed) return;
    if (thread.outcome === 'returned' && !this.forceClosing) this.endConnection(connection.slot);
    else connection.reset();
  }

  protected closeIfIdle(slot: Slot): void {
    // Only the handler knows when its connection may close, and the deadline applies to it. During the handshake there is no handler yet.
    if (this.network.state(slot) === SlotState.idle) this.endIdle(slot);
  }

  protected forceClose(slot: Slot): void {
    this.network.drop(slot);
  }

  protected lost({ thread }: SlotRecord, reason: ConnectionError | undefined): void {
    thread?.unwind(reason ?? new ConnectionError('ERR_CLOSED', 'the connection is closed'));
  }

  protected whenClosed(): void {}

  protected fullnessChanged(): void {
    // Nothing to do: `queuedBytes` checks it on each write.
  }

  protected failed(error: unknown): void {
    this.context.run(this.#report, this, error, undefined);
  }

  #report(error: unknown, connection: Connection | undefined): void {
    callOnError(() => this.#onError(error, connection));
  }
}
