// The header of the PROXY protocol before TLS on the portable layer. TLS is below that layer, so the header is read from the socket of node:net before node:tls
// takes the socket.

import type { Socket } from 'node:net';
import type { ConnectionError } from '../../event-layer/event-layer.js';
import type { SecuringEvents, SocketSecurity } from '../../event-layer/socket-security.js';
import type { TlsInfo } from '../../event-layer/tls-info.js';
import { headerCutOff, headerTimedOut, ProxyHeader } from './header.js';

export class ProxiedSockets implements SocketSecurity {
  readonly #inner: SocketSecurity;
  readonly #timeout: number;
  /** The clients' addresses, by the sockets with the plain bytes; undefined for a client whose address is that of the socket. */
  readonly #peers = new WeakMap<Socket, string | undefined>();

  /** @param inner secures what follows the header @param timeout for the header, in milliseconds */
  constructor(inner: SocketSecurity, timeout: number) {
    this.#inner = inner;
    this.#timeout = timeout;
  }

  secure(socket: Socket, { secured, failed }: SecuringEvents): void {
    let header: ProxyHeader | undefined;
    let reason: Error | undefined;
    const fail = (error: Error): void => {
      if (reason !== undefined) return;
      reason = error;
      socket.resetAndDestroy();
    };
    const onError = (error: Error): void => void (reason ??= error);
    const onEnd = (): void => fail(headerCutOff(header));
    const onClose = (): void => {
      stop();
      socket.on('error', () => {}); // an error after this would be unhandled; `failed` has the reason
      failed(reason ?? headerCutOff(header));
    };
    const timer = setTimeout(() => fail(headerTimedOut(this.#timeout)), this.#timeout);
    const onReadable = (): void => {
      const bytes: Buffer | null = socket.read();
      if (bytes === null || reason !== undefined) return; // at the end: `end` follows
      header ??= new ProxyHeader();
      let at: number;
      try {
        at = header.push(bytes, 0, bytes.length);
      } catch (error) {
        fail(error as ConnectionError); // it throws nothing else
        return;
      }
      if (!header.isComplete) return;
      stop();
      const { peer } = header;
      if (at < bytes.length) socket.unshift(bytes.subarray(at));
      this.#inner.secure(socket, {
        secured: (plain) => {
          this.#peers.set(plain, peer);
          secured(plain);
        },
        failed,
      });
    };
    const stop = (): void => {
      clearTimeout(timer);
      socket.off('error', onError);
      socket.off('end', onEnd);
      socket.off('close', onClose);
      socket.off('readable', onReadable);
    };
    socket.on('error', onError);
    socket.on('end', onEnd);
    socket.on('close', onClose);
    socket.on('readable', onReadable);
  }

  explain(error: Error): Error {
    return this.#inner.explain(error);
  }

  info(socket: Socket): TlsInfo {
    return this.#inner.info(socket);
  }

  /** Empty until the socket is secured. */
  peer(socket: Socket): string | undefined {
    return this.#peers.has(socket) ? this.#peers.get(socket) : '';
  }
}
