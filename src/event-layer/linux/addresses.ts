// Socket addresses as the kernel wants them: sockaddr_in, sockaddr_in6 (ip(7), ipv6(7)), sockaddr_un (unix(7)).

import { lookup } from 'node:dns/promises';
import { isIP, isIPv4, isIPv6 } from 'node:net';
import { networkInterfaces } from 'node:os';
import { addressOfBytes } from '../../util/ip-address.js';
import { checkPath } from '../errors.js';
import { type Address, ConnectionError, formatAddress } from '../event-layer.js';

export const AF_UNIX = 1;
export const AF_INET = 2;
export const AF_INET6 = 10;

/** Large enough for any address: sizeof(sockaddr_storage). */
export const largestAddress = 128;

/** An address for the kernel. */
export interface SocketName {
  family: number;
  bytes: Uint8Array;
}

/** @param host an IP address @throws {ConnectionError} `ERR_ADDRESS` if it is none, or the port is impossible */
export function internetName(host: string, port: number): SocketName {
  const described = formatAddress({ hostname: host, port });
  if (!Number.isInteger(port) || port < 0 || port > 65_535)
    throw new ConnectionError(
      'ERR_ADDRESS',
      `${described}: the port is ${port}; expected a whole number from 0 to 65535`,
    );
  if (isIPv4(host)) {
    const bytes = header(16, AF_INET, port);
    bytes.set(host.split('.').map(Number), 4);
    return { family: AF_INET, bytes };
  }
  if (!isIPv6(host)) throw new ConnectionError('ERR_ADDRESS', `${described}: the host is no IP address`);
  const [address, zone] = host.split('%');
  const bytes = header(28, AF_INET6, port);
  bytes.set(bytesOfIPv6(address), 8);
  if (zone !== undefined) new DataView(bytes.buffer).setUint32(24, interfaceOf(zone, described), true);
  return { family: AF_INET6, bytes };
}

/** @throws {ConnectionError} `ENAMETOOLONG`, `ERR_ADDRESS` */
export function unixName(path: string): SocketName {
  checkPath(path);
  const text = Buffer.from(path);
  const bytes = new Uint8Array(2 + text.length + 1);
  bytes[0] = AF_UNIX;
  bytes.set(text, 2);
  return { family: AF_UNIX, bytes };
}

/** Reads an address that the kernel has written. @returns undefined for a Unix-domain socket */
export function parseName(bytes: Uint8Array): { hostname: string; port: number } | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const port = view.getUint16(2);
  switch (view.getUint16(0, true)) {
    case AF_INET:
      return { hostname: addressOfBytes(bytes.subarray(4, 8)), port };
    case AF_INET6:
      return { hostname: addressOfBytes(bytes.subarray(8, 24)), port };
    default:
      return undefined;
  }
}

export function isPath(address: Address): address is { path: string } {
  return 'path' in address;
}

function header(length: number, family: number, port: number): Uint8Array {
  const bytes = new Uint8Array(length);
  bytes[0] = family;
  bytes[2] = port >> 8;
  bytes[3] = port & 255;
  return bytes;
}

/** @param address that `isIPv6` has passed, without a zone */
function bytesOfIPv6(address: string): Uint8Array {
  // The last 32 bits may be written as IPv4 (RFC 4291 §2.2).
  const dotted = /^(.*:)(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(address);
  const text =
    dotted === null
      ? address
      : `${dotted[1]}${hex(Number(dotted[2]) * 256 + Number(dotted[3]))}:${hex(Number(dotted[4]) * 256 + Number(dotted[5]))}`;
  const [front, back] = text.split('::').map((part) => (part === '' ? [] : part.split(':')));
  const groups =
    back === undefined ? front : [...front, ...new Array<string>(8 - front.length - back.length).fill('0'), ...back];
  return Uint8Array.from(
    groups.flatMap((group) => [Number.parseInt(group, 16) >> 8, Number.parseInt(group, 16) & 255]),
  );
}

function hex(value: number): string {
  return value.toString(16);
}

/** The number of an interface, of which a zone is the name or the number (RFC 4007 §11). */
function interfaceOf(zone: string, described: string): number {
  const named = networkInterfaces()[zone]?.find(({ family }) => family === 'IPv6');
  const index = named?.family === 'IPv6' ? named.scopeid : Number(zone);
  if (!Number.isInteger(index) || index <= 0)
    throw new ConnectionError(
      'ERR_ADDRESS',
      `${described}: the zone is ${zone}; expected an interface's name or number`,
    );
  return index;
}

/** The addresses of a path or an IP address. */
export function namesAtOnce(address: Address): SocketName[] {
  return [isPath(address) ? unixName(address.path) : internetName(address.hostname, address.port)];
}

/** The socket addresses of a name or address, in the order in which they are to be tried. */
export async function namesOf(address: Address): Promise<SocketName[]> {
  if (isPath(address) || isIP(address.hostname) !== 0) return namesAtOnce(address);
  const found = await lookup(address.hostname, { all: true });
  return found.map((each) => internetName(each.address, address.port));
}
