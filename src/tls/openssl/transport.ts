// Secure transports of OpenSSL, for the option `secure` of listeners and clients.

import type { SecureTransportFactory } from '../../event-layer/secure-transport.js';
import type { TlsClientConfig, TlsServerConfig } from '../config.js';
import { TlsTransport } from '../tls-transport.js';
import { opensslClient, opensslServer } from './engine.js';

/** @throws {ConnectionError} `ERR_EVENT_LAYER` where OpenSSL is unavailable, saying why */
export function opensslServerTransport(config: TlsServerConfig): SecureTransportFactory {
  const engine = opensslServer(config);
  const { maxHandshakesPerTurn, handshakeTimeout } = config;
  return (layer, timers) => new TlsTransport(layer, engine, { maxHandshakesPerTurn, handshakeTimeout, timers });
}

/** @throws {ConnectionError} `ERR_EVENT_LAYER` where OpenSSL is unavailable, saying why */
export function opensslClientTransport(config: TlsClientConfig): SecureTransportFactory {
  const engine = opensslClient(config);
  const { handshakeTimeout } = config;
  return (layer, timers) => new TlsTransport(layer, engine, { handshakeTimeout, timers });
}
