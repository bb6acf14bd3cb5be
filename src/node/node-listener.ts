// Connections for a server of Node's: each becomes a socket that the server is given, by its event `connection`. Everything above that is Node's own code.

import type { DropArgument } from 'node:net';
import { Server as TlsServer } from 'node:tls';
import { defaultLinger } from '../connection/connection.js';
import { type AddressOptions, maxProxyHeaderTime } from '../connection/listen.js';
import { type CloseOptions, closeRules } from '../connection/listener.js';
import { Network, type SlotRecord, SlotState } from '../connection/network.js';
import { RecordListener } from '../connection/record-listener.js';
import { networkFor } from '../connection/securing.js';
import type { ConnectionSocketOptions } from '../connection/socket-options.js';
import {
  type ConnectionError,
  highWaterMark,
  type ListenOptions as LayerListenOptions,
  type Slot,
} from '../event-layer/event-layer.js';
import type { SecureTransportFactory } from '../event-layer/secure-transport.js';
import { socketAddressOf } from '../http/socket-address.js';
import type { TlsServerOptions } from '../tls/options/options.js';
import { checkOptions, longestDelay } from '../util/options.js';
import { NodeSocket, type NodeSocketMaker, type NodeSocketOwner } from './node-socket.js';
import { guardServer, type NodeErrorHandler, RequestErrors, type Unguard } from './request-errors.js';
import { afterCloseAll, ServerHandle, type ServerInternals } from './server-handle.js';
import { TlsNodeSocket } from './tls-node-socket.js';

/** What sluice does for a server of Node's. */
export interface NodeServerSettings extends ConnectionSocketOptions {
  /** How many connections the kernel may hold before they are accepted. Default 511. */
  backlog?: number | undefined;
  /** Whether other sockets may listen on the same port, usually of other processes (SO_REUSEPORT). Default false. */
  reusePort?: boolean | undefined;
  /** How long a client may pause taking output that waits for it before its connection is reset. Milliseconds; default 300,000. */
  writeTimeout?: number | undefined;
  /** The fewest bytes a second that a client must take on average while output waits for it, once `writeTimeout` has passed. Default 240. */
  minWriteRate?: number | undefined;
  /** How long to wait for the client of a connection that the server has closed. Milliseconds; default 10,000. */
  lingerTimeout?: number | undefined;
  /**
   * The most bytes of memory that unread input and queued output of all connections may take together: see `serve`. When it is reached, requests with a body
   * are answered with 503. Default: an eighth of the available memory, and at least 32 MiB, shared by all servers of the process that do not set this option.
   */
  maxBufferedBytes?: number | undefined;
  /**
   * Called with what a listener throws, with what the promise of an async handler is rejected with, and when accepting fails. The client gets a 500, or a
   * connection that is reset. Default: prints to standard error.
   */
  onError?: NodeErrorHandler | undefined;
  /**
   * TLS: the certificate and its key, `{ key, cert }` with PEM or the paths of files, and more; or an array of these for several names. See docs/tls.md.
   * Default: none, connections are plain.
   */
  tls?: TlsServerOptions | readonly TlsServerOptions[] | undefined;
  /**
   * Whether each connection begins with the header of the PROXY protocol: `remoteAddress` is then the address in the header. See the option of `listen` of
   * `sluice`. Default false.
   */
  proxyProtocol?: boolean | undefined;
  /** The network to listen on. Default: that of the process. */
  network?: Network | undefined;
  /** @internal Creates the transport that connections go through, such as TLS. Default: the event layer itself. */
  secure?: SecureTransportFactory | undefined;
}

/** Where a server of Node's listens, and what sluice does for it. */
export interface NodeListenOptions extends AddressOptions, NodeServerSettings {}

export class NodeListener extends RecordListener implements NodeSocketOwner, NodeSocketMaker {
  readonly readTimeout = Infinity;
  readonly writeTimeout: number;
  readonly writeRate: number;
  protected readonly lingerTime: number;
  readonly handle = new ServerHandle(() => this.#serverClosed());
  readonly #server: ServerInternals;
  readonly #errors: RequestErrors;
  readonly #unguard: Unguard;
  readonly #forgetCloseAll: () => void;
  /** `closeAllConnections` has been called behind `close`. */
  #closesAll = false;
  readonly #Socket: typeof NodeSocket;
  /** The event by which the server takes a connection. */
  readonly #event: 'connection' | 'secureConnection';
  readonly #socketOptions: ReturnType<typeof NodeSocket.options>;
  #isOpen = false;
  /** `close` of the server has been called. */
  #isServerClosed = false;

  /** @param where for messages @param errors default: made from the options */
  constructor(where: string, server: ServerInternals, settings: NodeServerSettings, errors?: RequestErrors) {
    const { network, maxBufferedBytes, tls, proxyProtocol, secure } = settings;
    const proxyHeaderTimeout = proxyProtocol ? maxProxyHeaderTime : undefined;
    const security = { where, tls, alpnProtocols: alpnProtocolsOf(server), secure, proxyHeaderTimeout };
    super(networkFor(network, Network.current, tls !== undefined), maxBufferedBytes, security);
    this.#server = server;
    this.writeTimeout = settings.writeTimeout ?? 300_000;
    this.writeRate = settings.minWriteRate ?? 240;
    this.lingerTime = settings.lingerTimeout ?? defaultLinger;
    this.#errors = errors ?? new RequestErrors(settings.onError);
    this.#Socket = tls === undefined && secure === undefined ? NodeSocket : TlsNodeSocket;
    // A server with TLS of its own takes decrypted connections by the other event.
    this.#event = this.#Socket === TlsNodeSocket && server instanceof TlsServer ? 'secureConnection' : 'connection';
    this.#socketOptions = NodeSocket.options(server);
    this.#unguard = guardServer(server, this.#errors, this.buffers);
    // Connections that the kernel has completed by then are still accepted. Node would not see them, and the server would wait for them.
    this.#forgetCloseAll = afterCloseAll(server, () => {
      this.#closesAll = this.#isServerClosed;
    });
  }

  /** @returns false if the server has been closed meanwhile @throws (rejects) as `Listener.open` */
  async start(options: LayerListenOptions): Promise<boolean> {
    try {
      await this.open(options);
    } catch (error) {
      this.whenClosed();
      if (!this.#isServerClosed) throw error;
      this.#connectionClosed();
      return false;
    }
    this.#isOpen = true;
    this.handle.bound(this.address);
    if (this.#isServerClosed) this.#closeAfterServer();
    return !this.#isServerClosed;
  }

  /** One piece at a time while the memory of connections is at its limit. */
  get queuedBytes(): number {
    return this.buffers.isFull ? 1 : highWaterMark;
  }

  protected ready(slot: Slot): void {
    const server = this.#server;
    if (this.#closesAll) {
      this.transport.reset(slot);
      return;
    }
    // Since Node 24 a server with a `maxConnections` of 0 takes none.
    const most: unknown = server.maxConnections;
    if (typeof most === 'number' && server._connections >= most) {
      this.#drop(slot);
      return;
    }
    const socket = new this.#Socket(this, this, slot, this.#socketOptions);
    this.network.attach(socket);
    server._connections++;
    socket.give(server, this.#event);
  }

  /** There are as many connections as the server's `maxConnections` allows. */
  #drop(slot: Slot): void {
    const remote = socketAddressOf(this.transport.peer(slot));
    const local = socketAddressOf(this.transport.local(slot));
    const dropped: DropArgument = {
      localAddress: local?.address,
      localPort: local?.port,
      localFamily: local?.family,
      remoteAddress: remote?.address,
      remotePort: remote?.port,
      remoteFamily: remote?.family,
    };
    try {
      this.context.run(() => this.#server.emit('drop', dropped), undefined);
    } catch (error) {
      this.listenerFailed(error);
    }
    this.transport.abandon(slot);
  }

  listenerFailed(error: unknown): void {
    this.#errors.report(error);
  }

  socketDestroyed(): void {
    this.#connectionClosed();
  }

  /** `close` of the server has ended idle connections. */
  socketClosing(): void {}

  /**
   * Closes the server: it accepts no more connections, and idle ones are closed. At the deadline the others are closed, too.
   * Resolves when no connection is left.
   */
  override async close(options: CloseOptions = {}): Promise<void> {
    checkOptions('close', options, closeRules);
    if (this.#server._handle === this.handle) this.#server.close();
    await super.close(options);
  }

  /** `close` of the server has been called. */
  #serverClosed(): void {
    this.#isServerClosed = true;
    this.#server._connections++; // one more, until everything is closed: the server emits `close` when there is none
    if (this.#isOpen) this.#closeAfterServer();
  }

  /** As `close` of the server does, it waits for connections without end. */
  #closeAfterServer(): void {
    const closed = () => this.#connectionClosed();
    super.close({ deadline: longestDelay }).then(closed, closed);
  }

  #connectionClosed(): void {
    const server = this.#server;
    server._connections--;
    server._emitCloseIfDrained();
  }

  protected closeIfIdle(slot: Slot): void {
    const record = this.network.record(slot);
    if (record !== undefined) record.closing();
    else if (this.network.state(slot) === SlotState.idle) this.endIdle(slot);
  }

  protected forceClose(slot: Slot): void {
    const record = this.network.record(slot);
    if (record instanceof NodeSocket) record.destroy();
    else this.network.drop(slot);
  }

  protected lost(record: SlotRecord, reason: ConnectionError | undefined): void {
    record.lost(reason);
  }

  protected whenClosed(): void {
    this.#unguard();
    this.#forgetCloseAll();
  }

  protected fullnessChanged(): void {
    // Nothing to do: `queuedBytes` and the guard of the server check it.
  }

  protected failed(error: unknown): void {
    this.context.run(this.#errors.report, this.#errors, error);
  }
}

/** The protocols that a server with TLS of its own offers by ALPN: for the option `tls` without `alpnProtocols`. */
function alpnProtocolsOf(server: ServerInternals): string[] {
  // In the form of RFC 7301 §3.1: each with its length before it.
  const bytes: unknown = server instanceof TlsServer ? Reflect.get(server, 'ALPNProtocols') : undefined;
  if (!(bytes instanceof Uint8Array)) return ['http/1.1', 'http/1.0'];
  const protocols: string[] = [];
  for (let at = 0; at < bytes.length; at += 1 + bytes[at])
    protocols.push(Buffer.from(bytes.subarray(at + 1, at + 1 + bytes[at])).toString('latin1'));
  return protocols;
}
