// An identity for TLS as the engines get it, with the certificate for localhost.

import { createSecureContext, type SecureContextOptions } from 'node:tls';
import type { TlsIdentity } from '#sluice/tls/config.js';
import { authority, local } from './certificates.js';

export function identity(options: SecureContextOptions = local, more: Partial<TlsIdentity> = {}): TlsIdentity {
  const contextOptions = { ca: authority.cert, ...options };
  return {
    context: createSecureContext(contextOptions),
    contextOptions,
    alpnProtocols: ['http/1.1'],
    requestCert: false,
    rejectUnauthorized: true,
    ocsp: undefined,
    ...more,
  };
}
