// IP addresses as text, in one form for each address, so that equal addresses have equal texts.

import { isIPv4, isIPv6 } from 'node:net';

/** An IPv4-mapped IPv6 address (RFC 4291 §2.5.5.2) in the form of `URL`, with its last two groups. */
const mapped = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/;

/**
 * The usual form of an address: IPv6 in the form of RFC 5952, and an IPv4-mapped address (`::ffff:192.0.2.1`) as the IPv4 address.
 * @param text without brackets, and without a zone @returns undefined if it is no IP address
 */
export function usualAddress(text: string): string | undefined {
  if (isIPv4(text)) return text;
  if (!isIPv6(text) || text.includes('%')) return undefined;
  const address = new URL(`http://[${text}]`).hostname.slice(1, -1);
  const [, high, low] = mapped.exec(address) ?? [];
  if (high === undefined || low === undefined) return address;
  const [upper, lower] = [Number.parseInt(high, 16), Number.parseInt(low, 16)];
  return [upper >> 8, upper & 255, lower >> 8, lower & 255].join('.');
}

/** The usual form of the IPv4 address in four bytes, or of the IPv6 address in sixteen. */
export function addressOfBytes(bytes: Uint8Array): string {
  if (bytes.length === 4) return bytes.join('.');
  const groups = Array.from({ length: 8 }, (_, i) => ((bytes[2 * i] << 8) | bytes[2 * i + 1]).toString(16));
  return usualAddress(groups.join(':')) ?? '';
}
