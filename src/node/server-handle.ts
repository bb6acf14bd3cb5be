// How a server of Node's that sluice listens for knows that it listens. `net.Server` keeps what it listens with in `_handle`: `listening`, `address()`, `close()`,
// `ref()` and `unref()` use it, and it counts its connections in `_connections`. These members are in no types, but have been there, and have been used by
// libraries, in all versions of Node. With a handle of our own everything else is Node's code.

import type { AddressInfo, Server } from 'node:net';
import { isIPv6 } from 'node:net';
import type { Address } from '../event-layer/event-layer.js';

/** The members of `net.Server` that its handle concerns. */
export interface ServerInternals extends Server {
  _handle: ServerHandle | object | null;
  /** How many connections are open; the server emits `close` when it has no handle and no connection. */
  _connections: number;
  _pipeName?: string | null | undefined;
  _emitCloseIfDrained(): void;
}

/** @throws {Error} if this runtime's servers are made in another way */
export function internalsOf(where: string, server: Server): ServerInternals {
  const found = server as Partial<ServerInternals>;
  if ('_handle' in found && typeof found._connections === 'number' && typeof found._emitCloseIfDrained === 'function')
    return server as ServerInternals;
  throw new Error(`${where}: this runtime's node:http does not take connections from elsewhere; expected Node`);
}

/** Calls a function behind `closeAllConnections` of a server, where it has that method. @returns what undoes it */
export function afterCloseAll(server: Server, called: () => void): () => void {
  const closeAll: unknown = Reflect.get(server, 'closeAllConnections');
  if (typeof closeAll !== 'function') return () => {};
  const value = (): void => {
    Reflect.apply(closeAll, server, []);
    called();
  };
  Object.defineProperty(server, 'closeAllConnections', { value, configurable: true, writable: true });
  return () => {
    if (Reflect.get(server, 'closeAllConnections') === value) Reflect.deleteProperty(server, 'closeAllConnections');
  };
}

/** What a server listens with. */
export class ServerHandle {
  readonly #close: () => void;
  /** Asked by `address()`; for a Unix-domain socket that is `_pipeName` instead. Undefined until the server listens. */
  getsockname: ((out: Partial<AddressInfo>) => number) | undefined;

  /** @param close is called when the server is closed */
  constructor(close: () => void) {
    this.#close = close;
  }

  /** The server listens from now on. */
  bound(address: Address): void {
    if ('path' in address) return;
    const { hostname, port } = address;
    const info: AddressInfo = { address: hostname, family: isIPv6(hostname) ? 'IPv6' : 'IPv4', port };
    this.getsockname = (out) => {
      Object.assign(out, info);
      return 0;
    };
  }

  close(): void {
    this.#close();
  }

  /** Changes nothing. */
  ref(): void {}

  /** Changes nothing. */
  unref(): void {}
}
