// Servers over OpenSSL on an event layer with sockets, for the tests of this folder.

import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls';
import { Network } from '#sluice/connection/network.js';
import { type ServeOptions, type Server, serve } from '#sluice/server/serve.js';
import type { TlsIdentity, TlsServerConfig } from '#sluice/tls/config.js';
import { opensslServerTransport } from '#sluice/tls/openssl/transport.js';
import { authority } from '../../support/certificates.js';
import type { SocketLayer } from '../../support/layers.js';
import { identity } from '../../support/tls-identity.js';

export { identity };

export function serverConfig(one: TlsIdentity = identity(), more: Partial<TlsServerConfig> = {}): TlsServerConfig {
  return { identityFor: () => one, detached: true, handshakeTimeout: 10_000, maxHandshakesPerTurn: 16, ...more };
}

export interface Running {
  readonly server: Server;
  readonly network: Network;
  readonly port: number;
  /** What went to `onError`. */
  readonly errors: unknown[];
}

/** Starts a server, calls `use`, and closes the server. Nothing may be left then. */
export async function withServer(
  layer: SocketLayer,
  config: TlsServerConfig,
  options: Omit<ServeOptions, 'secure' | 'network'>,
  use: (running: Running) => Promise<void>,
): Promise<void> {
  const network = new Network(layer.make());
  const errors: unknown[] = [];
  const onError = (error: unknown) => {
    errors.push(error);
  };
  const server = await serve({
    network,
    hostname: '127.0.0.1',
    port: 0,
    globals: false,
    onError,
    secure: opensslServerTransport(config),
    ...options,
  });
  try {
    await use({ server, network, port: server.port ?? 0, errors });
  } finally {
    await server.close({ deadline: 500 });
    await network.layer.close();
  }
}

/** A client of node:tls, from when its handshake is complete. @throws (rejects) if that fails */
export function connectTls(port: number, options: ConnectionOptions = {}): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port, ca: authority.cert, servername: 'localhost', ...options });
    socket.once('error', reject);
    socket.once('secureConnect', () => resolve(socket));
  });
}

/** Sends a request and reads all up to the end. */
export function ask(socket: TLSSocket, request: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = '';
    socket.setEncoding('latin1').on('data', (piece: string) => {
      text += piece;
    });
    socket.once('end', () => resolve(text)).once('error', reject);
    socket.write(request, 'latin1');
  });
}
