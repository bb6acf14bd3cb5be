// What `listen` and `serve` share: a listening socket, the connections that it has accepted, and `close`. The abstract methods are what differs: what
// to do with a connection.

import {
  type Address,
  ConnectionError,
  formatAddress,
  type ListenerId,
  type ListenOptions,
  type Slot,
  type Transport,
} from '../event-layer/event-layer.js';
import type { SecureTransportFactory } from '../event-layer/secure-transport.js';
import type { SocketSecurity } from '../event-layer/socket-security.js';
import { ServerContext } from '../threads/context.js';
import { ThreadError } from '../threads/errors.js';
import type { Thread } from '../threads/thread.js';
import { secureServer } from '../tls/engines.js';
import { type TlsServerOptions, tlsServerRule } from '../tls/options/options.js';
import { ServerTls } from '../tls/options/server-config.js';
import { AbortError } from '../util/abort-error.js';
import { checkOptions, longestDelay, type OptionRules } from '../util/options.js';
import { BufferedBytes } from './buffered-bytes.js';
import { type Network, type Owner, type SlotRecord, SlotState } from './network.js';
import { withProxyHeader } from './proxy-protocol/proxied.js';

/** How many connections a listener has, by what they are doing. */
export interface ConnectionCounts {
  /** How many are open without a request: new, or between two requests. With `listen`, those in their TLS handshake. */
  idle: number;
  /** Number of connections on which a request is being read. */
  reading: number;
  /** Number of connections whose handler is running. */
  handling: number;
  /** Number of connections on which a response is being written. */
  writing: number;
  /** Number of connections on which this side has sent FIN, or will once the queued output has left; the peer has not ended yet. */
  closing: number;
  /** Number of all connections. */
  total: number;
}

/** Options of `close`. */
export interface CloseOptions {
  /** How long requests in flight may take to finish before they are unwound, in milliseconds; at most a day. Default 10,000. */
  deadline?: number | undefined;
}

/** @internal */
export const closeRules: OptionRules<CloseOptions> = { deadline: { number: [0, longestDelay] } };

/** Options of `reload` of a `TcpServer`. */
export interface ReloadOptions {
  /** As for `serve` and `listen`. */
  tls: TlsServerOptions | readonly TlsServerOptions[];
}

/**
 * The reason that threads are unwound with, and of `request.signal`, when their server's deadline for closing has passed, and of event streams
 * when it begins to close. Its name is `AbortError`, its code `ERR_SERVER_CLOSED`.
 */
export class ServerClosedError extends AbortError {
  constructor(message = 'the server is closing, and its deadline has passed') {
    super('ERR_SERVER_CLOSED', message);
  }
}

/**
 * While a server closes, it sends FIN on connections that have nothing more to send, and after this many milliseconds of silence leaves them to the
 * kernel. The client of an idle connection has had time to receive its last response.
 */
const idleQuietTime = 100;
/** The same for a connection whose last response has just been sent: its client sees the end one or two round trips later, and may send until then. */
const responseQuietTime = 200;

/** After the deadline, threads must end within their unwinding limit and this many milliseconds; then their connections are reset. */
const resetDelay = 100;
/** How long queued output has to arrive after the deadline, in milliseconds. */
const forceCloseLinger = 100;

/** How a listener's connections are secured, if they are. */
export interface ListenerSecurity {
  /** The function that the option belongs to, for messages. */
  readonly where: string;
  readonly tls: TlsServerOptions | readonly TlsServerOptions[] | undefined;
  /** The default of `alpnProtocols`. */
  readonly alpnProtocols: readonly string[];
  /** For tests: in place of the engine that `tls` would choose. */
  readonly secure: SecureTransportFactory | undefined;
  /** How long the header of the PROXY protocol may take, in milliseconds; undefined if connections have none. */
  readonly proxyHeaderTimeout: number | undefined;
}

export abstract class Listener implements Owner {
  readonly network: Network;
  readonly transport: Transport;
  readonly buffers: BufferedBytes;
  /** The async context that `serve` or `listen` was called in. */
  readonly context = new ServerContext();
  /** `close` has been called, and no more connections are accepted. */
  closing = false;
  /** The deadline of `close` has passed: connections close without waiting for their clients. */
  forceClosing = false;

  /** Unsubscribes from `buffers`. */
  #unobserve: (() => void) | undefined;
  readonly #tls: ServerTls | undefined;
  /** TLS below the event layer. */
  readonly #socketSecurity: SocketSecurity | undefined;
  #id: ListenerId | undefined;
  #address: Address = { path: '' };
  #open = 0;
  /** Those of the open connections that this side has closed. */
  #closing = 0;
  /** Threads that are still running and whose connection has closed, or is closing without them. */
  readonly #detachedThreads = new Set<Thread<unknown>>();
  /** The number of pending promises that `close` waits for. */
  #work = 0;
  #closed: Promise<void> | undefined;
  /** Connections close as soon as they are idle: `close` has been called, and what had arrived before has been handled. */
  #isClosingIdle = false;
  /** `close` has finished. */
  #isClosed = false;
  #onAllClosed: (() => void) | undefined;

  /**
   * @param mostBuffered the limit on memory for its connections, in bytes; undefined for the limit that the servers of the process share
   * @throws {TypeError | RangeError | TlsConfigError} for an option `tls` that cannot be used
   */
  constructor(network: Network, mostBuffered: number | undefined, security: ListenerSecurity) {
    const { where, tls, alpnProtocols, secure, proxyHeaderTimeout } = security;
    this.network = network;
    this.#tls = tls && new ServerTls(`${where}: tls`, tls, { alpnProtocols, onError: (error) => this.failed(error) });
    const plain = this.#tls === undefined ? { secure } : secureServer(network.layer, this.#tls);
    const securing = proxyHeaderTimeout === undefined ? plain : withProxyHeader(plain, proxyHeaderTimeout);
    this.#socketSecurity = securing.security;
    this.transport = network.addTransport(securing.secure);
    this.buffers = mostBuffered === undefined ? BufferedBytes.ofProcess() : new BufferedBytes(mostBuffered);
  }

  abstract readonly queuedBytes: number;
  abstract readonly readTimeout: number;
  abstract readonly writeTimeout: number;
  abstract readonly writeRate: number;
  abstract received(slot: Slot, bytes: Uint8Array, start: number, end: number): void;
  abstract ended(slot: Slot): void;
  abstract expired(slot: Slot): void;
  /** A connection has been accepted. @returns false if it is refused */
  protected abstract begin(slot: Slot): boolean;
  /** A connection can be read from and written to: its handshake is complete, if it has one. */
  protected abstract ready(slot: Slot): void;
  /** How long to wait for the peer of a closed connection, in milliseconds; see `Network.linger`. */
  protected abstract readonly lingerTime: number;
  /** `close` has been called: ends the connection with `endIdle` if it is idle. */
  protected abstract closeIfIdle(slot: Slot): void;
  /** The deadline of `close` has passed: closes a connection without a thread. */
  protected abstract forceClose(slot: Slot): void;
  /** A connection has gone while a thread was working for it. */
  protected abstract lost(record: SlotRecord, reason: ConnectionError | undefined): void;
  /** Counts connections by what they are doing. @param open the number of connections that this side has not closed */
  protected abstract countPhases(open: number): Omit<ConnectionCounts, 'closing' | 'total'>;
  /** `close` is about to finish. */
  protected abstract whenClosed(): void;
  /** The memory of connections has reached its limit, or has fallen below it again. Must not throw. */
  protected abstract fullnessChanged(isFull: boolean): void;
  /** Something that belongs to no connection has failed, such as accepting. Must not throw. */
  protected abstract failed(error: unknown): void;

  /** The address that it listens on. */
  get address(): Address {
    return this.#address;
  }

  get connections(): ConnectionCounts {
    const total = this.#open;
    const closing = this.#closing;
    return { ...this.countPhases(total - closing), closing, total };
  }

  /** @throws (rejects) with the system's error, its message naming the address */
  async open(options: ListenOptions): Promise<void> {
    const { layer } = this.network;
    const onDisconnect = (): void => void this.close();
    const { listener, address: got } = await layer
      .listen({ ...options, onDisconnect, security: this.#socketSecurity })
      .catch((error) => {
        this.network.removeTransport(this.transport);
        throw error;
      });
    this.#id = listener;
    this.#address = got;
    this.network.adoptListener(listener, this, (error) => this.failed(error));
    this.#unobserve = this.buffers.observe((isFull) => this.fullnessChanged(isFull));
    if (this.buffers.isFull) this.fullnessChanged(true);
  }

  /** Whether connections begin with a TLS handshake or the header of the PROXY protocol. At its end `secured` is called. */
  protected get hasHandshake(): boolean {
    return this.#socketSecurity !== undefined || this.transport !== this.network.layer;
  }

  /** Whether its connections are secured by the option `tls`. */
  get hasTls(): boolean {
    return this.#tls !== undefined;
  }

  /**
   * Replaces the certificates for connections that come from now on.
   * @throws {TypeError | RangeError | TlsConfigError} (rejects) if the options cannot be used: then nothing has changed
   * @throws {ConnectionError} (rejects) `ERR_CLOSED` if the server is closed, or closing
   */
  async reload(options: ReloadOptions): Promise<void> {
    checkOptions('reload', options, { tls: tlsServerRule });
    const { tls } = options;
    if (tls === undefined) throw new TypeError('reload: tls is undefined; expected an object with key and cert');
    this.replaceCertificates(tls);
  }

  /** @throws as `reload` */
  protected replaceCertificates(tls: ReloadOptions['tls']): void {
    if (this.#tls === undefined) throw new TypeError('reload: tls is given, and the server was started without tls');
    this.checkOpen();
    this.#tls.reload('reload: tls', tls);
  }

  /** @throws {ConnectionError} `ERR_CLOSED` */
  protected checkOpen(): void {
    if (this.closing) throw new ConnectionError('ERR_CLOSED', 'reload: the server is closed, or closing');
  }

  opened(slot: Slot): void {
    this.#open++;
    if (this.begin(slot) && !this.hasHandshake) this.ready(slot);
    if (this.#isClosingIdle) this.closeIfIdle(slot); // the kernel accepted it before `unlisten`
  }

  secured(slot: Slot): void {
    if (this.hasHandshake) this.ready(slot); // otherwise the layer itself is secure, and `opened` has called it
  }

  /** Closes a connection: sends FIN after the queued output. */
  endConnection(slot: Slot): void {
    if (this.forceClosing) this.linger(slot, forceCloseLinger);
    else this.linger(slot, this.lingerTime, this.closing ? responseQuietTime : this.lingerTime);
  }

  /** See `Network.linger`. */
  protected linger(slot: Slot, timeout: number, quietTime?: number): void {
    if (this.network.linger(slot, timeout, quietTime)) this.#closing++;
  }

  /** The same for a connection whose last response was sent some time ago, or that has had no request. */
  protected endIdle(slot: Slot): void {
    this.linger(slot, this.lingerTime, idleQuietTime);
  }

  /** A connection has become idle. */
  protected becameIdle(slot: Slot): void {
    if (this.#isClosingIdle) this.closeIfIdle(slot);
  }

  closed(_slot: Slot, record: SlotRecord | undefined, reason: ConnectionError | undefined, wasClosing: boolean): void {
    this.#open--;
    if (wasClosing) this.#closing--;
    if (record !== undefined) this.#lose(record, reason);
    this.#notifyIfAllClosed();
  }

  sessionFailed(slot: Slot, record: SlotRecord | undefined, reason: ConnectionError): void {
    if (record !== undefined) this.#lose(record, reason);
    this.endConnection(slot);
  }

  /** A connection with a record has closed, or can no longer be used. */
  #lose(record: SlotRecord, reason: ConnectionError | undefined): void {
    this.lost(record, reason);
    if (record.thread !== undefined) this.awaitThread(record.thread);
  }

  /** Whether the listening socket holds the process open. It does at first. */
  setReferenced(isReferenced: boolean): void {
    if (this.#id !== undefined && !this.closing) this.network.layer.setReferenced(this.#id, isReferenced);
  }

  /**
   * Makes `close` wait until its deadline for work that belongs to no connection and no thread.
   * @param failed receives the reason if it is rejected
   */
  protected awaitWork(work: unknown, failed: (error: unknown) => void): void {
    this.#work++;
    const over = (): void => {
      this.#work--;
      this.#notifyIfAllClosed();
    };
    Promise.resolve(work).then(over, (error: unknown) => {
      failed(error);
      over();
    });
  }

  /** Makes `close` wait for a thread whose connection ends before it. */
  awaitThread(thread: Thread<unknown>): void {
    if (thread.state === 'over') return;
    this.#detachedThreads.add(thread);
    thread.whenOver(() => {
      this.#detachedThreads.delete(thread);
      this.#notifyIfAllClosed();
    });
  }

  #notifyIfAllClosed(): void {
    if (this.#isAllClosed) this.#onAllClosed?.();
  }

  get #isAllClosed(): boolean {
    return this.#open === 0 && this.#detachedThreads.size === 0 && (this.#work === 0 || this.forceClosing);
  }

  /**
   * Stops accepting, answers requests that have arrived, closes idle connections without waiting for their clients, and lets requests in flight
   * finish. At the deadline it unwinds the remaining threads. It resolves when no connection, thread, timer or descriptor is left. If a thread does
   * not end within the unwinding limit after the deadline, its connection is reset; after twice that time the thread is reported, and not waited
   * for any longer. Calling it again returns the same promise; the earliest of the deadlines counts.
   */
  close(options: CloseOptions = {}): Promise<void> {
    try {
      checkOptions('close', options, closeRules);
    } catch (error) {
      return Promise.reject(error);
    }
    const { deadline = 10_000 } = options;
    // An earlier deadline can be set only until the first has passed.
    if (!this.#isClosed && !this.forceClosing) this.#armDeadline(deadline, () => this.#forceCloseAll());
    this.#closed ??= this.#close();
    return this.#closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    const { network } = this;
    const id = this.#id;
    // First, so that a client which reconnects as soon as its connection closes does not reach this server again.
    if (id !== undefined) await network.layer.unlisten(id);
    this.closing = true;
    await network.layer.catchUp();
    this.#isClosingIdle = true;
    for (const slot of network.slotsOf(this)) {
      if (network.state(slot) === SlotState.closing) this.endConnection(slot);
      else this.closeIfIdle(slot);
    }
    if (!this.#isAllClosed) {
      await new Promise<void>((resolve) => {
        this.#onAllClosed = resolve;
      });
    }
    if (id !== undefined) network.dropListener(id);
    network.removeTransport(this.transport);
    this.#isClosed = true;
    this.#unobserve?.();
    this.#disarmDeadline();
    this.whenClosed();
  }

  /** The next deadline of closing, in milliseconds of the scheduler's clock. */
  #deadline = Infinity;
  #deadlineTimer = 0;

  /** @param reached is called at the deadline */
  #armDeadline(milliseconds: number, reached: () => void): void {
    const { layer, scheduler } = this.network;
    const time = layer.now() + milliseconds;
    if (time >= this.#deadline) return;
    this.#disarmDeadline();
    this.#deadline = time;
    const timerFired = (): void => {
      this.#deadlineTimer = 0;
      this.#deadline = Infinity;
      reached();
    };
    this.#deadlineTimer = scheduler.armAt(time, { timerFired }, 0);
  }

  #disarmDeadline(): void {
    if (this.#deadlineTimer !== 0) this.network.scheduler.cancel(this.#deadlineTimer);
    this.#deadlineTimer = 0;
  }

  /** The deadline of `close` has passed: unwinds every thread, and closes connections without one. */
  #forceCloseAll(): void {
    this.forceClosing = true;
    const { network } = this;
    const reason = new ServerClosedError();
    for (const slot of network.slotsOf(this)) {
      const thread = network.record(slot)?.thread;
      if (thread === undefined || thread.state === 'over') this.forceClose(slot);
      else thread.unwind(reason);
    }
    for (const thread of this.#detachedThreads) thread.unwind(reason);
    if (this.#work > 0) this.#stopWaitingForWork();
    this.#armDeadline(this.#unwindingTime, () => this.#dropAll());
  }

  /** Work cannot be unwound. */
  #stopWaitingForWork(): void {
    const work = this.#work === 1 ? '1 promise was' : `${this.#work} promises were`;
    this.failed(
      new ThreadError('ERR_WAIT_UNTIL', `close: ${work} given to waitUntil and still pending at the deadline`),
    );
    this.#notifyIfAllClosed();
  }

  /** The time for unwinding has passed: closes the remaining connections, whatever their threads are doing. */
  #dropAll(): void {
    const { network } = this;
    for (const slot of network.slotsOf(this)) network.drop(slot);
    this.#armDeadline(this.#unwindingTime, () => this.#stopWaitingForThreads());
  }

  /** Stops waiting for threads whose connections have been dropped: each has exceeded its unwinding limit and was reported then. */
  #stopWaitingForThreads(): void {
    const count = this.#detachedThreads.size;
    if (count === 0) return;
    const threads = count === 1 ? 'thread is' : 'threads are';
    this.failed(
      new ThreadError(
        'ERR_UNWIND_LIMIT',
        `close: ${count} ${threads} still being unwound; close does not wait for them any longer`,
      ),
    );
    this.#onAllClosed?.();
  }

  /** How long unwinding all threads may take, in milliseconds: each has the unwinding limit, and starts within a turn. */
  get #unwindingTime(): number {
    return this.network.scheduler.unwindLimit + resetDelay;
  }

  toString(): string {
    return formatAddress(this.#address);
  }
}
