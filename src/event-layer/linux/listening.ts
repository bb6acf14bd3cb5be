// Sockets that listen. When accepting fails for want of descriptors or memory it pauses, until a connection has closed or some time
// has passed: otherwise every turn would fail again.

import cluster from 'node:cluster';
import process from 'node:process';
import { layerClosed, listenFailed } from '../errors.js';
import { type Address, ConnectionError, type ListenerId, type ListenOptions } from '../event-layer.js';
import { removeIfStale, removeSocketFile, type SocketFile, socketFileAt } from '../socket-file.js';
import { isPath, namesOf, type SocketName } from './addresses.js';
import { asSystemError, describeErrno, type Libc } from './libc.js';
import { boundAddress, makeListener } from './sockets.js';

/** After this many milliseconds accepting that has failed is tried again, if no connection has closed meanwhile. */
const acceptRetry = 1000;

/** A socket that listens. */
export interface Listening {
  readonly id: ListenerId;
  readonly descriptor: number;
  readonly address: Address;
  readonly backlog: number;
  /** Of a Unix-domain socket: goes with the listener. */
  readonly file: SocketFile | undefined;
  /** The listener accepts, unless `resting` is set. */
  open: boolean;
  /** Accepting has failed, and waits for a connection to close, or for time to pass. */
  resting: boolean;
  /** When it last failed; several failures in a row are reported once. */
  failedAt: number;
  timer: NodeJS.Timeout | undefined;
  /** It holds the process open. */
  isReferenced: boolean;
  /** See `ListenOptions`. */
  readonly onDisconnect: (() => void) | undefined;
}

/** The part of the layer that this file uses. */
export interface ListeningLayer {
  /** New connections are refused. */
  readonly isClosing: boolean;
  /** Accepts on a listener, or continues after `pauseAccepting`. @returns 0, or the number of an error: then it does not accept */
  startAccepting(listening: Listening): number;
  /** Nothing more is to be accepted for now. */
  pauseAccepting(listening: Listening): void;
  /** Stops accepting and closes the listener. Resolves when the address is free. */
  stopListening(listening: Listening): Promise<void>;
  /** The first of several failures in a row. */
  reportAcceptFailed(listener: ListenerId, error: ConnectionError): void;
  now(): number;
  requestTurn(): void;
}

export class Listeners {
  readonly #libc: Libc;
  readonly #layer: ListeningLayer;
  readonly #all = new Map<ListenerId, Listening>();
  #last = 0;

  constructor(libc: Libc, layer: ListeningLayer) {
    this.#libc = libc;
    this.#layer = layer;
  }

  get size(): number {
    return this.#all.size;
  }

  /** Whether one of them holds the process open. */
  get isReferenced(): boolean {
    for (const { isReferenced } of this.#all.values()) if (isReferenced) return true;
    return false;
  }

  get(id: ListenerId): Listening | undefined {
    return this.#all.get(id);
  }

  all(): Iterable<Listening> {
    return this.#all.values();
  }

  async open(options: ListenOptions): Promise<Listening> {
    const { address, backlog, reusePort = false, onDisconnect } = options;
    const layer = this.#layer;
    if (layer.isClosing) throw layerClosed('listen');
    let listening: Listening;
    try {
      const [name] = await namesOf(address);
      if (layer.isClosing) throw layerClosed('listen');
      const descriptor = await this.#bind(address, name, { ...options, reusePort });
      const got = boundAddress(this.#libc, descriptor, address);
      const id = ++this.#last;
      const file = isPath(address) ? socketFileAt(address.path) : undefined;
      const rest = {
        file,
        open: true,
        resting: false,
        failedAt: -Infinity,
        timer: undefined,
        isReferenced: true,
        onDisconnect,
      };
      listening = { id, descriptor, address: got, backlog, ...rest };
      this.#startFirst(listening);
    } catch (error) {
      const { code, message } = asSystemError(error);
      // Servers of node:net share their primary's socket there, so users of node:net do not expect this.
      const isShared = code === 'EADDRINUSE' && cluster.isWorker && !isPath(address);
      const hint = isShared ? ' (workers of node:cluster share a port if all say reusePort)' : '';
      throw listenFailed(address, code, `${message}${hint}`, error);
    }
    if (cluster.isWorker && this.#all.size === 0) process.on('disconnect', this.#onDisconnect);
    this.#all.set(listening.id, listening);
    layer.requestTurn();
    return listening;
  }

  /** @throws {ConnectionError} with the system's code if it cannot accept; then the socket is closed */
  #startFirst(listening: Listening): void {
    const errno = this.#layer.startAccepting(listening);
    if (errno === 0) return;
    this.#libc.close(listening.descriptor);
    if (listening.file !== undefined) removeSocketFile(listening.file);
    const { code, meaning } = describeErrno(errno);
    throw new ConnectionError(code, meaning);
  }

  /** Makes the socket. One whose path is taken by the file of a server that is no more takes it over. */
  async #bind(address: Address, name: SocketName, options: ListenOptions & { reusePort: boolean }): Promise<number> {
    try {
      return makeListener(this.#libc, name, options);
    } catch (error) {
      const isTaken = isPath(address) && asSystemError(error).code === 'EADDRINUSE';
      if (!isTaken || !(await removeIfStale(address.path))) throw error;
      if (this.#layer.isClosing) throw layerClosed('listen');
      return makeListener(this.#libc, name, options);
    }
  }

  async close(id: ListenerId): Promise<void> {
    const listening = this.#all.get(id);
    if (listening === undefined || !listening.open) return;
    listening.open = false;
    clearTimeout(listening.timer);
    if (listening.file !== undefined) removeSocketFile(listening.file);
    await this.#layer.stopListening(listening);
    this.#all.delete(id);
    if (this.#all.size === 0) process.off('disconnect', this.#onDisconnect);
  }

  /** The channel to the primary of node:cluster has closed. (If that was not by `disconnect()`, node:cluster ends the process.) */
  readonly #onDisconnect = (): void => {
    for (const { onDisconnect } of this.#all.values()) onDisconnect?.();
  };

  /** Accepting has failed: with EMFILE and the like it pauses until a connection has closed, or some time has passed. */
  acceptFailed(listening: Listening, errno: number): void {
    if (listening.resting || !listening.open) return;
    const layer = this.#layer;
    listening.resting = true;
    layer.pauseAccepting(listening);
    listening.timer = setTimeout(() => this.#acceptAgain(listening), acceptRetry);
    const now = layer.now();
    const isNew = now - listening.failedAt > 2 * acceptRetry;
    listening.failedAt = now;
    if (!isNew) return;
    const { code, meaning } = describeErrno(errno);
    const message = `accepting on ${describeListener(listening)} has failed: ${meaning}; it is tried again when a connection has closed, and every ${acceptRetry} ms`;
    layer.reportAcceptFailed(listening.id, new ConnectionError(code, message));
  }

  /** A connection has closed: there may be room for another one. */
  connectionClosed(): void {
    for (const listening of this.#all.values()) if (listening.resting) this.#acceptAgain(listening);
  }

  #acceptAgain(listening: Listening): void {
    clearTimeout(listening.timer);
    if (!listening.resting || !listening.open) return;
    if (this.#layer.startAccepting(listening) !== 0) {
      // These failures in a row have been reported already.
      listening.failedAt = this.#layer.now();
      listening.timer = setTimeout(() => this.#acceptAgain(listening), acceptRetry);
      return;
    }
    listening.resting = false;
    this.#layer.requestTurn();
  }
}

function describeListener({ address }: Listening): string {
  return isPath(address) ? address.path : `port ${address.port}`;
}
