// The engine of the Linux layers: OpenSSL does the handshakes.

import type { TlsClientConfig, TlsServerConfig } from '../config.js';
import type { TlsEngine, TlsSession } from '../session.js';
import { ClientSession, ServerSession } from './session.js';
import { sharedOpenSsl } from './shared.js';

/** @throws {ConnectionError} `ERR_EVENT_LAYER` where OpenSSL is unavailable */
export function opensslServer(config: TlsServerConfig): TlsEngine {
  const common = sharedOpenSsl();
  return {
    accept: () => new ServerSession(common, config),
    connect(): TlsSession {
      throw new Error('a server does not connect; this is a bug in sluice');
    },
  };
}

/** @throws {ConnectionError} `ERR_EVENT_LAYER` where OpenSSL is unavailable */
export function opensslClient(config: TlsClientConfig): TlsEngine {
  const common = sharedOpenSsl();
  return {
    accept(): TlsSession {
      throw new Error('a client does not accept; this is a bug in sluice');
    },
    connect: () => new ClientSession(common, config),
  };
}
