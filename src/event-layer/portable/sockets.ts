// Helpers of the portable layer for sockets of node:net.

import type { Socket } from 'node:net';
import { ConnectionError, formatAddress, type SocketOptions } from '../event-layer.js';

/** A write of node:net is in progress, or the connection is not established yet. */
export function isWriting(socket: Socket): boolean {
  return socket.writableLength > 0 || socket.connecting;
}

/** The socket that carries the records of one with plain bytes. */
const carrierKey = Symbol('carrier');
interface SecuredSocket extends Socket {
  [carrierKey]?: Socket;
}

export function setCarrier(socket: SecuredSocket, carrier: Socket): void {
  socket[carrierKey] = carrier;
}

/** The socket that carries the records; the same one for a plain connection. */
export function carrierOf(socket: SecuredSocket): Socket {
  return socket[carrierKey] ?? socket;
}

/** Ends a socket with RST, where that is possible. */
export function drop(socket: SecuredSocket): void {
  const carrier = socket[carrierKey];
  if (carrier !== undefined) {
    // node:tls sends the FIN through the handle of the carrier, which does not know of it.
    if (isSendingFin(socket)) carrier.destroy();
    else drop(carrier);
    socket.destroy();
    return;
  }
  const isTcp = socket.remoteFamily !== undefined;
  if (socket.destroyed) return;
  if (!isTcp || socket.connecting || typeof socket.resetAndDestroy !== 'function') {
    socket.destroy();
  } else if (isSendingFin(socket)) {
    // The FIN is on its way through libuv, which refuses to reset meanwhile (and node:net would never close the handle).
    socket.once('finish', () => socket.resetAndDestroy());
  } else {
    socket.resetAndDestroy();
  }
}

function isSendingFin(socket: Socket): boolean {
  return socket.writableEnded && socket.writableLength === 0 && !socket.writableFinished;
}

/** The peer's address as the contract wants it. */
export function peerOf(socket: Socket): string {
  return nameOf(socket.remoteAddress, socket.remotePort);
}

/** The address of this end, in the same form. */
export function localOf(socket: Socket): string {
  return nameOf(socket.localAddress, socket.localPort);
}

function nameOf(address: string | undefined, port: number | undefined): string {
  if (address === undefined || port === undefined) return '';
  const isMapped = address.startsWith('::ffff:') && address.includes('.');
  return formatAddress({ hostname: isMapped ? address.slice(7) : address, port });
}

/** Socket options as node:net takes them. @throws {ConnectionError} `ENOTSUP` for one that it does not have */
export function optionsOfNode({ keepAlive = 0, sendBufferSize }: SocketOptions): {
  keepAlive: boolean;
  keepAliveInitialDelay: number;
} {
  if (sendBufferSize !== undefined)
    throw new ConnectionError('ENOTSUP', `sendBufferSize is ${sendBufferSize}; the portable event layer cannot set it`);
  return { keepAlive: keepAlive > 0, keepAliveInitialDelay: keepAlive };
}

export function codeOf(error: Error): string | undefined {
  return 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}

export function asError(value: unknown): Error {
  return value instanceof Error ? value : new Error(String(value));
}
