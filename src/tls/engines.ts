// Which engine of TLS works on an event layer. Called by connection/, and by `sluice doctor`.
//
// On the portable layer it is node:tls, which secures the sockets of node:net below the layer. On the others it is the OpenSSL inside Node, in a transport over
// the layer.

import type { EventLayer } from '../event-layer/event-layer.js';
import type { SecureTransportFactory } from '../event-layer/secure-transport.js';
import type { SocketSecurity } from '../event-layer/socket-security.js';
import type { TlsClientConfig, TlsServerConfig } from './config.js';
import { NodeClientSecurity, NodeServerSecurity } from './node/sockets.js';
import { whyNoOpenSsl } from './openssl/library.js';
import { opensslClientTransport, opensslServerTransport } from './openssl/transport.js';

/** How the connections of a listener, or one of `connect`, are secured: below the layer or above it. Neither: they are plain. */
export interface Securing {
  readonly security?: SocketSecurity | undefined;
  readonly secure?: SecureTransportFactory | undefined;
}

/** Why a layer has no engine; undefined if it has one. */
export function missingEngine(layer: EventLayer): string | undefined {
  return layer.securesSockets ? undefined : whyNoOpenSsl();
}

/** The engine of connections with TLS where this layer is the usual one, for people. */
export function engineOf(layer: EventLayer): string {
  if (layer.securesSockets) return 'node:tls';
  const missing = missingEngine(layer);
  return missing === undefined ? 'the OpenSSL inside Node' : `node:tls on the portable layer, because ${missing}`;
}

/** @throws {ConnectionError} `ERR_EVENT_LAYER` if the layer has no engine */
export function secureServer(layer: EventLayer, config: TlsServerConfig): Securing {
  if (layer.securesSockets) return { security: new NodeServerSecurity(config) };
  return { secure: opensslServerTransport(config) };
}

/** @throws {ConnectionError} `ERR_EVENT_LAYER` if the layer has no engine */
export function secureClient(layer: EventLayer, config: TlsClientConfig): Securing {
  if (layer.securesSockets) return { security: new NodeClientSecurity(config) };
  let secure = clients.get(config);
  if (secure === undefined) {
    secure = opensslClientTransport(config);
    clients.set(config, secure);
  }
  return { secure };
}

/** Connections with the same configuration share a transport. */
const clients = new WeakMap<TlsClientConfig, SecureTransportFactory>();
