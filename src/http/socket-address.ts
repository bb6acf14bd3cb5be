// Addresses of clients, in parts.

/** The address of a client, as Bun and `node:net` have it. */
export interface SocketAddress {
  /** The IP address: `127.0.0.1`, `::1`. */
  readonly address: string;
  /** The TCP port. */
  readonly port: number;
  /** The kind of the address. */
  readonly family: 'IPv4' | 'IPv6';
}

/** @param peer `127.0.0.1:5678`, `[::1]:5678`; empty where there is no address, or it is not known @returns null then */
export function socketAddressOf(peer: string): SocketAddress | null {
  const colon = peer.lastIndexOf(':');
  if (colon === -1) return null;
  const isIPv6 = peer.startsWith('[');
  return {
    address: isIPv6 ? peer.slice(1, colon - 1) : peer.slice(0, colon),
    port: Number(peer.slice(colon + 1)),
    family: isIPv6 ? 'IPv6' : 'IPv4',
  };
}
