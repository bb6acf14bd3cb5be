// The header of the PROXY protocol for the connections of a listener, with TLS or without it.

import type { Securing } from '../../tls/engines.js';
import { ProxiedSockets } from './sockets.js';
import { proxyTransport } from './transport.js';

/** @param securing how connections are secured behind the header @param timeout for the header, in milliseconds */
export function withProxyHeader(securing: Securing, timeout: number): Securing {
  const { security, secure } = securing;
  if (security !== undefined) return { security: new ProxiedSockets(security, timeout) };
  return { secure: proxyTransport(secure, timeout) };
}
