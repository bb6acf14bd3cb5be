// Sockets by their descriptors: made, bound, asked for names and errors (socket(2), socket(7), tcp(7)).

import { type Address, ConnectionError, formatAddress, type SocketOptions } from '../event-layer.js';
import { AF_INET6, AF_UNIX, isPath, largestAddress, parseName, type SocketName } from './addresses.js';
import { check, type Libc } from './libc.js';

export const SOCK_NONBLOCK = 0x800;
export const SOCK_CLOEXEC = 0x80000;
const SOCK_STREAM = 1;
export const SOL_SOCKET = 1;
export const SO_LINGER = 13;
const SO_REUSEADDR = 2;
const SO_ERROR = 4;
const SO_SNDBUF = 7;
const SO_KEEPALIVE = 9;
const SO_REUSEPORT = 15;
const IPPROTO_TCP = 6;
const TCP_NODELAY = 1;
const TCP_KEEPIDLE = 4;
const TCP_KEEPINTVL = 5;
const TCP_KEEPCNT = 6;
const TCP_NOTSENT_LOWAT = 25;
const IPPROTO_IP = 0;
const IP_BIND_ADDRESS_NO_PORT = 24;
const IPPROTO_IPV6 = 41;
const IPV6_V6ONLY = 26;
export const SHUT_WR = 1;
const F_SETFL = 4;

/** A peer that answers none of so many probes, so many seconds apart, is gone. */
const probes = 4;
const probeInterval = 15;
/**
 * The socket takes output only while fewer bytes than this have not been sent yet, so that what a peer does not read stays here, where it is
 * bounded. What is on its way to the peer does not count: that the network is used to the full takes no more than to refill this in time.
 */
const unsentBytes = 128 * 1024;

const on = integers(1);
const off = integers(0);
/** struct linger: on, for no time at all: closing sends RST. */
export const lingerNot = integers(1, 0);

/** Options of a socket are 32-bit integers. */
function integers(...values: number[]): Uint8Array {
  return new Uint8Array(Int32Array.from(values).buffer);
}

/** A stream socket that does not block and that no child process inherits, TCP ones without Nagle's delay. @throws {ConnectionError} `EMFILE`, … */
export function makeSocket(libc: Libc, family: number): number {
  const fd = check(libc, 'socket', libc.socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (family !== AF_UNIX) libc.setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, on, on.length);
  return fd;
}

/**
 * Binds a socket that is to connect to an address of this machine. The kernel chooses the port when it connects, by both ends
 * (IP_BIND_ADDRESS_NO_PORT, ip(7)): so many connections may share a port that go to different places.
 * @returns 0, or the number of an error
 */
export function bindSource(libc: Libc, fd: number, name: SocketName): number {
  libc.setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, on, on.length);
  return libc.bind(fd, name.bytes, name.bytes.length) < 0 ? libc.errno() : 0;
}

/** What a socket that listens is asked is inherited by those that it accepts. @throws {ConnectionError} if the system does not allow it */
export function setSocketOptions(libc: Libc, fd: number, family: number, options: SocketOptions): void {
  if (family === AF_UNIX) return;
  const { keepAlive = 0, sendBufferSize } = options;
  const set = (name: string, level: number, option: number, value: number): void => {
    check(libc, name, libc.setsockopt(fd, level, option, integers(value), 4));
  };
  set('TCP_NOTSENT_LOWAT', IPPROTO_TCP, TCP_NOTSENT_LOWAT, unsentBytes);
  if (keepAlive > 0) {
    set('SO_KEEPALIVE', SOL_SOCKET, SO_KEEPALIVE, 1);
    set('TCP_KEEPIDLE', IPPROTO_TCP, TCP_KEEPIDLE, Math.ceil(keepAlive / 1000));
    set('TCP_KEEPINTVL', IPPROTO_TCP, TCP_KEEPINTVL, probeInterval);
    set('TCP_KEEPCNT', IPPROTO_TCP, TCP_KEEPCNT, probes);
  }
  if (sendBufferSize === undefined) return;
  set('SO_SNDBUF', SOL_SOCKET, SO_SNDBUF, sendBufferSize);
  // The kernel sets twice as much, for its bookkeeping; and no more than its own limit, without a word.
  const got = integerOption(libc, fd, SO_SNDBUF) / 2;
  if (got >= sendBufferSize) return;
  const message = `sendBufferSize is ${sendBufferSize}; expected at most ${got}, the limit of this system (net.core.wmem_max)`;
  throw new ConnectionError('ERR_SEND_BUFFER', message);
}

/** A socket that listens; what it accepts inherits TCP_NODELAY and the other options. @throws {ConnectionError} `EADDRINUSE`, `EACCES`, … */
export function makeListener(
  libc: Libc,
  name: SocketName,
  options: { backlog: number; reusePort: boolean } & SocketOptions,
): number {
  const { backlog, reusePort } = options;
  const fd = makeSocket(libc, name.family);
  try {
    setSocketOptions(libc, fd, name.family, options);
    if (name.family !== AF_UNIX) {
      check(libc, 'SO_REUSEADDR', libc.setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, on, on.length));
      if (reusePort) check(libc, 'SO_REUSEPORT', libc.setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, on, on.length));
    }
    // `::` takes IPv4 as well, whatever net.ipv6.bindv6only says, as it does in Node.
    if (name.family === AF_INET6) libc.setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, off, off.length);
    check(libc, 'bind', libc.bind(fd, name.bytes, name.bytes.length));
    check(libc, 'listen', libc.listen(fd, backlog));
    return fd;
  } catch (error) {
    libc.close(fd);
    throw error;
  }
}

/** The address as given, with the port that the socket has got. */
export function boundAddress(libc: Libc, fd: number, address: Address): Address {
  if (isPath(address)) return address;
  const name = nameOf(fd, libc.getsockname);
  if (name === undefined) throw new ConnectionError('ERR_LISTEN', `${formatAddress(address)}: the socket has no name`);
  return { hostname: address.hostname, port: name.port };
}

/** The peer's address as the contract wants it; empty if there is none. */
export function peerName(libc: Libc, fd: number): string {
  return formatName(nameOf(fd, libc.getpeername));
}

/** The address of the socket itself, in the same form. */
export function localName(libc: Libc, fd: number): string {
  return formatName(nameOf(fd, libc.getsockname));
}

function formatName(name: { hostname: string; port: number } | undefined): string {
  return name === undefined ? '' : formatAddress(name);
}

const nameBytes = new Uint8Array(largestAddress);
const nameLength = integers(0);

function nameOf(
  fd: number,
  ask: (fd: number, address: Uint8Array, length: Uint8Array) => number,
): { hostname: string; port: number } | undefined {
  new DataView(nameLength.buffer).setUint32(0, largestAddress, true);
  return ask(fd, nameBytes, nameLength) < 0 ? undefined : parseName(nameBytes);
}

/** Reads and clears the pending error of a socket (SO_ERROR); 0 is none. */
export function pendingError(libc: Libc, fd: number): number {
  return integerOption(libc, fd, SO_ERROR);
}

function integerOption(libc: Libc, fd: number, option: number): number {
  const value = integers(0);
  const length = integers(4);
  libc.getsockopt(fd, SOL_SOCKET, option, value, length);
  return new DataView(value.buffer).getInt32(0, true);
}

/** Makes a socket one that blocks, as io_uring wants it: for others it gives up where it could wait. */
export function makeBlocking(libc: Libc, fd: number): void {
  libc.fcntl(fd, F_SETFL, 0);
}
