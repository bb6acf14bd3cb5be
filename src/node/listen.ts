// `listen`: sluice listens for a server of Node's.

import { Server } from 'node:net';
import type { BufferedCounts } from '../connection/buffered-bytes.js';
import { addressOf, addressRules, serverRules } from '../connection/listen.js';
import type { CloseOptions, ConnectionCounts, ReloadOptions } from '../connection/listener.js';
import { AddressedServer } from '../connection/listening-server.js';
import { socketOptionsOf } from '../connection/socket-options.js';
import type { ListenOptions as LayerListenOptions } from '../event-layer/event-layer.js';
import { isInstance } from '../util/inspect.js';
import { checkOptions, longestDelay, type OptionRules } from '../util/options.js';
import { type NodeApplication, serverOf } from './application.js';
import { NodeListener, type NodeListenOptions, type NodeServerSettings } from './node-listener.js';
import { RequestErrors } from './request-errors.js';
import { internalsOf, type ServerInternals } from './server-handle.js';

/** What sluice knows of a server of Node's that it listens for: what `listen` returns. */
export interface NodeListening extends AsyncDisposable {
  /** The address that it listens on, such as `127.0.0.1:7000`. */
  readonly address: string;
  /** The TCP port, or `undefined` for a Unix-domain socket. */
  readonly port: number | undefined;
  /** The event layer's name: `uring`, `epoll`, `portable` or `simulated`. */
  readonly eventLayer: string;
  /** The number of connections. All that are open count as `handling`: what they are doing is known to Node's code alone. */
  readonly connections: ConnectionCounts;
  /** The memory that its connections take, and the limit, in bytes. */
  readonly buffered: BufferedCounts;
  /**
   * Replaces the certificates of `tls` for connections that come from now on; others keep what they have. Everything is checked first.
   * @throws (rejects) as `listen` does: then nothing has changed
   */
  reload(options: ReloadOptions): Promise<void>;
  /**
   * Closes the server, as its own `close()` does, and at the deadline every connection that is left. Resolves when no connection, timer or descriptor is left.
   * The server's own `close()` has no deadline.
   */
  close(options?: CloseOptions): Promise<void>;
}

/** @internal Rules for what sluice does for a server. */
export const settingsRules: OptionRules<NodeServerSettings> = {
  ...serverRules,
  writeTimeout: { number: [1, longestDelay] },
  minWriteRate: { number: [0.001, 2 ** 30] },
};

const rules: OptionRules<NodeListenOptions> = { ...addressRules, ...settingsRules };

/**
 * Serves an application for Node: a server (of `node:http`, `node:https` or `node:http2`) has its connections from sluice, in place of its own `listen`. For a
 * `(req, res)` function or an application of a framework a server is made. Requests, responses and upgrades are Node's own, so everything that works
 * with such a server works. With the option `tls` sluice decrypts: then the server may be a plain one.
 *
 * ```ts
 * await listen(express(), { port: 3000 });
 * await listen(server, { port: 3000, hostname: '::' }); // server is what createServer of node:http has returned
 * ```
 *
 * @returns (a promise of) what sluice knows of the server, which is listening
 * @throws {TypeError | RangeError} (rejects) for options that are wrong, naming the option; and if the server listens already
 * @throws {ConnectionError} (rejects) with the system's code, such as `EADDRINUSE`
 */
export async function listen(application: NodeApplication, options: NodeListenOptions): Promise<NodeListening> {
  checkOptions('listen', options, rules);
  const address = layerOptions('listen', options);
  const errors = new RequestErrors(options.onError);
  const server = isInstance(application, Server)
    ? application
    : await serverOf('listen: the application', application, errors);
  const internals = internalsOf('listen', server);
  if (server.listening) throw new TypeError('listen: the server listens already; expected one that does not');
  const listener = new NodeListener('listen', internals, options, errors);
  internals._handle = listener.handle;
  try {
    await listener.start(address);
  } catch (error) {
    if (internals._handle === listener.handle) internals._handle = null;
    throw error;
  }
  await announce(internals, listener, address);
  return new AddressedServer(listener);
}

/** What the event layer is asked for. @throws {TypeError} for an address that is none */
export function layerOptions(where: string, options: NodeListenOptions): LayerListenOptions {
  const address = addressOf(where, options, { hostname: '0.0.0.0' });
  return { address, backlog: options.backlog ?? 511, reusePort: options.reusePort, ...socketOptionsOf(where, options) };
}

/** Has the server emit `listening`. With that it starts to check the timeouts of requests. */
export function announce(
  server: ServerInternals,
  listener: NodeListener,
  { address }: LayerListenOptions,
): Promise<void> {
  if ('path' in address) server._pipeName = address.path;
  return new Promise((resolve) => {
    // In a tick, so that what a listener throws is an uncaught exception, as with Node's own `listen`.
    process.nextTick(() => {
      resolve();
      if (server._handle === listener.handle) server.emit('listening');
    });
  });
}
