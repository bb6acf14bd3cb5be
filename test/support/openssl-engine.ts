// OpenSSL as the engine of all connections of a layer, servers' and clients': for tests that put one transport over everything.

import { opensslClient, opensslServer } from '#sluice/tls/openssl/engine.js';
import { whyNoOpenSsl } from '#sluice/tls/openssl/library.js';
import type { TlsEngine } from '#sluice/tls/session.js';
import { identity } from './tls-identity.js';

/** Why tests skip it: it is unavailable here. */
export const noOpenSsl = whyNoOpenSsl() ?? false;

const limits = { detached: true, handshakeTimeout: 10_000, maxHandshakesPerTurn: 16 };

export function opensslEngine(detached = true): TlsEngine {
  const own = identity();
  const server = opensslServer({ ...limits, identityFor: () => own, detached });
  const client = opensslClient({ ...limits, identity: own, serverName: 'localhost', host: 'localhost', detached });
  return { accept: () => server.accept(), connect: () => client.connect() };
}
