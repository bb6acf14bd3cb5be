// Sockets that listen.
//
// A limit of node:net: when descriptors run out, libuv accepts and drops the waiting connections without an error. So `acceptFailed` reports
// other failures only.

import cluster from 'node:cluster';
import net, { type Server, type Socket } from 'node:net';
import { checkPath, layerClosed, listenFailed } from '../errors.js';
import type { Address, ListenerId, ListenOptions } from '../event-layer.js';
import { keepOthers, removeIfStale, removeSocketFile, type SocketFile, socketFileAt } from '../socket-file.js';
import type { SocketSecurity } from '../socket-security.js';
import { asError, codeOf, optionsOfNode } from './sockets.js';

/** The part of the layer that this file uses. */
export interface ListeningLayer {
  /** New connections are refused. */
  readonly isClosing: boolean;
  /** @param security undefined for plain connections */
  accepted(socket: Socket, listener: ListenerId, security: SocketSecurity | undefined): void;
  /** The first of several failures in a row. */
  reportAcceptFailed(listener: ListenerId, error: Error): void;
  /** A server has released its address, and its connections are gone. */
  serverClosed(): void;
}

interface Listening {
  readonly server: Server;
  readonly address: Address;
  /** Of a Unix-domain socket: goes with the server. */
  readonly file: SocketFile | undefined;
  readonly backlog: number;
  /** Connections accepted so far. */
  accepted: number;
  /** `acceptFailed` has been called, and nothing has been accepted since. */
  failing: boolean;
  /** `close` has been called. */
  closing: boolean;
}

/** A server that reports when it is closed by others: a worker of node:cluster closes its servers when it disconnects. */
class ReportingServer extends net.Server {
  onClose: (() => void) | undefined;

  override close(callback?: (error?: Error) => void): this {
    super.close(callback);
    this.onClose?.();
    return this;
  }
}

/** A server that listens. @throws (rejects) with the error of node:net */
function listening(options: ListenOptions): Promise<ReportingServer> {
  const { address, backlog, reusePort = false } = options;
  return new Promise((resolve, reject) => {
    const server = new ReportingServer({ allowHalfOpen: true, noDelay: true, ...optionsOfNode(options) });
    server.once('error', reject);
    server.once('listening', () => {
      server.off('error', reject);
      resolve(server);
    });
    if ('path' in address) server.listen({ path: address.path, backlog });
    else server.listen({ host: address.hostname, port: address.port, backlog, ...(reusePort ? reusing() : {}) });
  });
}

export class Listeners {
  readonly #layer: ListeningLayer;
  readonly #all = new Map<ListenerId, Listening>();
  /** Servers whose `close` has not come: node:net waits for their connections, `close` here does not. */
  readonly #servers = new Set<Server>();
  #last = 0;

  constructor(layer: ListeningLayer) {
    this.#layer = layer;
  }

  /** Servers that are there still, also those that listen no more. */
  get servers(): number {
    return this.#servers.size;
  }

  /** Where it listens; undefined if it does so no more. */
  addressOf(listener: ListenerId): Address | undefined {
    return this.#all.get(listener)?.address;
  }

  setReferenced(listener: ListenerId, isReferenced: boolean): void {
    const server = this.#all.get(listener)?.server;
    if (isReferenced) server?.ref();
    else server?.unref();
  }

  async open(options: ListenOptions): Promise<{ listener: ListenerId; address: Address }> {
    const { address, onDisconnect } = options;
    if (this.#layer.isClosing) throw layerClosed('listen');
    let server: ReportingServer;
    try {
      server = await this.#bind(options);
    } catch (thrown) {
      const error = asError(thrown);
      throw listenFailed(address, codeOf(error) ?? 'ERR_LISTEN', error.message, error);
    }
    if (this.#layer.isClosing) {
      server.close();
      throw layerClosed('listen');
    }
    const { listening, ...opened } = this.#adopt(server, options);
    server.onClose = () => {
      if (!listening.closing) onDisconnect?.();
    };
    return opened;
  }

  /** Makes the server. One whose path is taken by the file of a server that is no more takes it over. */
  async #bind(options: ListenOptions): Promise<ReportingServer> {
    const { address } = options;
    if ('path' in address) checkPath(address.path);
    try {
      return await listening(options);
    } catch (error) {
      const isTaken = 'path' in address && codeOf(asError(error)) === 'EADDRINUSE';
      if (!isTaken || !(await removeIfStale(address.path))) throw error;
      return await listening(options);
    }
  }

  async close(listener: ListenerId): Promise<void> {
    const listening = this.#all.get(listener);
    if (listening === undefined || listening.closing) return;
    listening.closing = true;
    await this.#acceptRest(listening);
    this.#all.delete(listener);
    // The descriptor is closed within this call. The server's `close`, which waits for its connections, is not waited for.
    const { file, server } = listening;
    if (file === undefined) {
      server.close();
    } else {
      // libuv removes whatever is at the path, other runtimes do not remove anything.
      keepOthers(file, () => server.close());
      removeSocketFile(file);
    }
    await nextIteration();
  }

  /** Closing the socket would reset connections that the kernel has completed and libuv has not accepted yet. */
  async #acceptRest(listening: Listening): Promise<void> {
    let accepted = -1;
    // libuv accepts at least one in each iteration. More than the queue holds may come meanwhile; the bound keeps this from going on for ever.
    for (let left = listening.backlog + 2; left > 0 && !this.#layer.isClosing; left--) {
      await nextIteration();
      if (listening.accepted === accepted) return;
      accepted = listening.accepted;
    }
  }

  closeAll(): void {
    for (const listener of this.#all.keys()) void this.close(listener);
  }

  #adopt(
    server: Server,
    { address, backlog, security }: ListenOptions,
  ): { listener: ListenerId; address: Address; listening: Listening } {
    const listener = ++this.#last;
    const bound = server.address();
    const got =
      'path' in address || bound === null || typeof bound === 'string'
        ? address
        : { hostname: address.hostname, port: bound.port };
    // The file that workers of node:cluster listen on is their primary's.
    const file = 'path' in address && !cluster.isWorker ? socketFileAt(address.path) : undefined;
    const listening = { server, address: got, file, backlog, accepted: 0, failing: false, closing: false };
    this.#all.set(listener, listening);
    this.#servers.add(server);
    server.on('connection', (socket) => {
      listening.failing = false;
      listening.accepted++;
      this.#layer.accepted(socket, listener, security);
    });
    server.on('error', (error) => {
      if (listening.failing || !this.#all.has(listener)) return;
      listening.failing = true;
      this.#layer.reportAcceptFailed(listener, error);
    });
    server.once('close', () => {
      this.#servers.delete(server);
      this.#layer.serverClosed();
    });
    return { listener, address: got, listening };
  }
}

/** Resolves when libuv has polled its sockets again. */
export function nextIteration(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** The option of `listen` of node:net that shares a port, which is not in its types yet. @throws {Error} `ENOTSUP` where node:net does not have it */
function reusing(): { reusePort: true } {
  const [major, minor] = (process.versions.node ?? '0.0').split('.').map(Number);
  if (major > 23 || (major === 23 && minor >= 1) || (major === 22 && minor >= 12)) return { reusePort: true };
  throw Object.assign(new Error('reusePort is unavailable on the portable layer before Node 22.12'), {
    code: 'ENOTSUP',
  });
}
