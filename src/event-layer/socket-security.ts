// The contract of TLS below an event layer: for the layer over node:net, whose sockets are then those of node:tls. The other layers have TLS above them: see
// secure-transport.ts.

import type { Socket } from 'node:net';
import type { TlsInfo } from './tls-info.js';

/** @internal One of the two is called, once, and not within the call that starts the handshake. */
export interface SecuringEvents {
  /** The handshake is complete. @param socket carries the plain bytes, of which none has been read */
  secured(socket: Socket): void;
  /** It has failed, or the socket has closed before. The socket is destroyed, or will be soon. @param reason has a `code` */
  failed(reason: Error): void;
}

/** @internal Secures the connections of a listener, or one that `connect` makes. */
export interface SocketSecurity {
  /** Starts the handshake. @param socket is connected; nothing has been read from it */
  secure(socket: Socket, events: SecuringEvents): void;
  /** What an error of a secured socket means. @returns an error with a `code`; the same if it is not one of TLS */
  explain(error: Error): Error;
  /** The client's address, if that is not the socket's own. */
  peer?(socket: Socket): string | undefined;
  /** @param socket from `secured` */
  info(socket: Socket): TlsInfo;
}
