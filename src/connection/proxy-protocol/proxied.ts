// Reads the header of the PROXY protocol before TLS, or before plain bytes.

import type { Securing } from '../../tls/engines.js';
import { ProxiedSockets } from './sockets.js';
import { proxyTransport } from './transport.js';

/** @param timeout for the header, in milliseconds */
export function withProxyHeader({ security, secure }: Securing, timeout: number): Securing {
  if (security !== undefined) return { security: new ProxiedSockets(security, timeout) };
  return { secure: proxyTransport(secure, timeout) };
}
