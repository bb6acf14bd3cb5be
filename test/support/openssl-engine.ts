// OpenSSL as the engine of all connections of a layer, servers' and clients': for tests that put one transport over everything.

import { createSecureContext } from 'node:tls';
import type { TlsIdentity } from '#sluice/tls/config.js';
import { opensslClient, opensslServer } from '#sluice/tls/openssl/engine.js';
import { whyNoOpenSsl } from '#sluice/tls/openssl/library.js';
import type { TlsEngine } from '#sluice/tls/session.js';
import { authority, local } from './certificates.js';

/** Why tests skip it: it is unavailable here. */
export const noOpenSsl = whyNoOpenSsl() ?? false;

const limits = { detached: true, handshakeTimeout: 10_000, maxHandshakesPerTurn: 16 };

export function opensslEngine(detached = true): TlsEngine {
  const contextOptions = { ...local, ca: authority.cert };
  const identity: TlsIdentity = {
    context: createSecureContext(contextOptions),
    contextOptions,
    alpnProtocols: ['http/1.1'],
    requestCert: false,
    rejectUnauthorized: true,
    ocsp: undefined,
  };
  const server = opensslServer({ ...limits, identityFor: () => identity, detached });
  const client = opensslClient({ ...limits, identity, serverName: 'localhost', host: 'localhost', detached });
  return { accept: () => server.accept(), connect: () => client.connect() };
}
