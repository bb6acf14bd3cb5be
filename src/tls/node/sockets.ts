// The engine for sockets of node:net: node:tls. It is slower than the others and takes more memory, and works on any system, and on any Node, Bun or Deno.
//
// The first bytes of a client are read before node:tls gets them. So the certificate is chosen before the handshake begins, with everything that belongs to
// it (Node's SNICallback can choose the context alone), and a request of HTTP without TLS gets a response that people can read.

import type { X509Certificate } from 'node:crypto';
import type { Socket } from 'node:net';
import { checkServerIdentity, connect, TLSSocket } from 'node:tls';
import type { SecuringEvents, SocketSecurity } from '../../event-layer/socket-security.js';
import { describe, propertyOf } from '../../util/inspect.js';
import { Alert } from '../alerts.js';
import type { TlsClientConfig, TlsIdentity, TlsInfo, TlsServerConfig } from '../config.js';
import {
  type CheckedServer,
  certificateRefused,
  handshakeCutOff,
  handshakeTimedOut,
  nameRefused,
  plainRequest,
} from '../handshake-errors.js';
import { plainHttpResponse } from '../plain-http.js';
import { explainNodeError } from './errors.js';
import { readFirstBytes } from './first-bytes.js';

/** The record of an alert (RFC 8446 §6), which is fatal. */
const nameAlert = Uint8Array.of(21, 3, 3, 0, 2, 2, Alert.unrecognizedName);
/** How long a client may take to receive why it is refused, in milliseconds. */
const refusedLinger = 1000;

/** A handshake in progress: the timeout, and one end of it. */
class Handshake {
  readonly #socket: Socket;
  readonly #events: SecuringEvents;
  readonly #timer: NodeJS.Timeout;
  #linger: NodeJS.Timeout | undefined;
  #reason: Error | undefined;
  #isOver = false;
  readonly #server: (() => CheckedServer) | undefined;
  readonly #onError = (error: Error): void => this.fail(explainNodeError(error, this.#server));
  readonly #onClose = (): void => this.#closed();
  readonly #onEnd = (): void => this.fail(handshakeCutOff());

  /** @param timeout milliseconds @param server for a client: asked for if the certificate of the server has not been accepted */
  constructor(socket: Socket, timeout: number, events: SecuringEvents, server?: () => CheckedServer) {
    this.#server = server;
    this.#socket = socket;
    this.#events = events;
    this.#timer = setTimeout(() => this.fail(handshakeTimedOut(timeout)), timeout);
    socket.on('error', this.#onError);
    socket.on('close', this.#onClose);
  }

  /** It has succeeded, or failed: nothing more is to be done for it. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** From now on the session is between the peer and this one, over the socket. */
  continueWith(secured: TLSSocket): void {
    secured.on('error', this.#onError);
    secured.on('end', this.#onEnd);
    secured.on('close', () => this.#socket.destroy());
  }

  succeed(secured: TLSSocket): void {
    if (this.#isOver) return;
    this.#end();
    // The code above listens to the secured one, which reports what happens to the other.
    this.#socket.on('error', ignore);
    secured.off('error', this.#onError);
    secured.off('end', this.#onEnd);
    this.#events.secured(secured);
  }

  /** @param last is sent without TLS before the connection closes */
  fail(reason: Error, last?: Uint8Array): void {
    if (this.#isOver || this.#reason !== undefined) return;
    this.#reason = reason;
    if (last === undefined) {
      this.#socket.destroy();
      return;
    }
    // Closing with unread input would reset the connection, and the client might not get it.
    this.#socket.end(last);
    this.#socket.resume();
    this.#linger = setTimeout(() => this.#socket.destroy(), refusedLinger).unref();
  }

  #closed(): void {
    if (this.#isOver) return;
    this.#end();
    this.#events.failed(this.#reason ?? handshakeCutOff());
  }

  #end(): void {
    this.#isOver = true;
    clearTimeout(this.#timer);
    clearTimeout(this.#linger);
    this.#socket.off('error', this.#onError);
    this.#socket.off('close', this.#onClose);
    this.#socket.on('error', ignore);
  }
}

function ignore(): void {
  // The error has been reported, or is reported by the socket with the plain bytes.
}

/** For the connections of a listener. */
export class NodeServerSecurity implements SocketSecurity {
  readonly #config: TlsServerConfig;
  readonly #serverNames = new WeakMap<Socket, string | undefined>();
  readonly #infos = new WeakMap<Socket, TlsInfo>();
  /** Handshakes that are to begin, in the order in which their first bytes have arrived. */
  #waiting: (() => void)[] = [];
  #round: NodeJS.Immediate | undefined;
  /** How many may begin before the next round. */
  #left: number;

  constructor(config: TlsServerConfig) {
    this.#config = config;
    this.#left = config.maxHandshakesPerTurn;
  }

  secure(socket: Socket, events: SecuringEvents): void {
    const handshake = new Handshake(socket, this.#config.handshakeTimeout, events);
    let arrived: Buffer = Buffer.alloc(0);
    const onEnd = (): void => handshake.fail(handshakeCutOff());
    const onReadable = (): void => {
      const bytes: Buffer | null = socket.read();
      if (bytes === null) return; // at the end: `end` follows
      arrived = arrived.length === 0 ? bytes : Buffer.concat([arrived, bytes]);
      const first = readFirstBytes(arrived);
      if (first.is === 'incomplete') return;
      socket.off('readable', onReadable);
      socket.off('end', onEnd);
      if (first.is === 'http') handshake.fail(plainRequest(), plainHttpResponse(Date.now()));
      else this.#enqueue(() => this.#choose(socket, arrived, first.serverName, handshake));
    };
    socket.on('readable', onReadable);
    socket.on('end', onEnd);
  }

  explain(error: Error): Error {
    return explainNodeError(error);
  }

  info(socket: Socket): TlsInfo {
    let info = this.#infos.get(socket);
    if (info === undefined) {
      // The cast: `secure` has made it.
      info = infoOf(socket as TLSSocket, this.#serverNames.get(socket), verificationError(socket as TLSSocket));
      this.#infos.set(socket, info);
    }
    return info;
  }

  /**
   * Begins a handshake at once, if the turn has one left. What node:tls sends within a `setImmediate` counts as being sent until the next one. It sends no
   * alert meanwhile, so that a client which answers before then would learn only that the connection has ended.
   */
  #enqueue(begin: () => void): void {
    this.#round ??= setImmediate(this.#beginSome);
    if (this.#left === 0 || this.#waiting.length > 0) {
      this.#waiting.push(begin);
      return;
    }
    this.#left--;
    begin();
  }

  readonly #beginSome = (): void => {
    this.#round = undefined;
    const { maxHandshakesPerTurn } = this.#config;
    const some = this.#waiting.splice(0, maxHandshakesPerTurn);
    this.#left = maxHandshakesPerTurn - some.length;
    if (some.length > 0) this.#round = setImmediate(this.#beginSome);
    for (const begin of some) begin();
  };

  #choose(socket: Socket, arrived: Buffer, serverName: string | undefined, handshake: Handshake): void {
    const begin = (identity: TlsIdentity | undefined): void => {
      if (handshake.isOver || socket.destroyed) return;
      if (identity === undefined) handshake.fail(nameRefused(), nameAlert);
      else this.#begin(socket, arrived, serverName, identity, handshake);
    };
    if (handshake.isOver || socket.destroyed) return;
    const identity = this.#config.identityFor(serverName);
    if (identity instanceof Promise) void identity.then(begin);
    else begin(identity);
  }

  #begin(
    socket: Socket,
    arrived: Buffer,
    serverName: string | undefined,
    identity: TlsIdentity,
    handshake: Handshake,
  ): void {
    const { context, requestCert, rejectUnauthorized, alpnProtocols } = identity;
    socket.unshift(arrived);
    const secured = new TLSSocket(socket, {
      isServer: true,
      secureContext: context,
      requestCert,
      rejectUnauthorized: requestCert && rejectUnauthorized,
      ...(alpnProtocols.length === 0 ? {} : { ALPNProtocols: [...alpnProtocols] }),
    });
    this.#serverNames.set(secured, serverName);
    handshake.continueWith(secured);
    // A tls.Server destroys its sockets for errors after the handshake. Other sockets of a server report them by this event alone.
    secured.on('_tlsError', (error: Error) => secured.destroy(error));
    secured.once('secure', () => {
      const refused = requestCert && rejectUnauthorized ? verificationError(secured) : undefined;
      if (refused === undefined) handshake.succeed(secured);
      else handshake.fail(certificateRefused(refused));
    });
  }
}

/** For a connection that `connect` makes. */
export class NodeClientSecurity implements SocketSecurity {
  readonly #config: TlsClientConfig;
  #info: TlsInfo | undefined;

  constructor(config: TlsClientConfig) {
    this.#config = config;
  }

  secure(socket: Socket, events: SecuringEvents): void {
    const { identity, serverName, host, handshakeTimeout } = this.#config;
    let certificate: X509Certificate | undefined;
    const handshake = new Handshake(socket, handshakeTimeout, events, () => ({ host, certificate }));
    const secured = connect({
      socket,
      ...identity.contextOptions,
      secureContext: identity.context,
      rejectUnauthorized: identity.rejectUnauthorized,
      checkServerIdentity: (_, certificate) => checkServerIdentity(host, certificate),
      ...(serverName === undefined ? {} : { servername: serverName }),
      ...(identity.alpnProtocols.length === 0 ? {} : { ALPNProtocols: [...identity.alpnProtocols] }),
    });
    handshake.continueWith(secured);
    // Before node:tls destroys the socket, which has no certificate any more then.
    secured.prependOnceListener('secure', () => {
      if (verificationError(secured) !== undefined) certificate = secured.getPeerX509Certificate();
    });
    secured.once('secureConnect', () => handshake.succeed(secured));
  }

  explain(error: Error): Error {
    return explainNodeError(error);
  }

  info(socket: Socket): TlsInfo {
    const secured = socket as TLSSocket; // `secure` has made it
    this.#info ??= infoOf(secured, this.#config.serverName, secured.authorized ? undefined : 'not authorized');
    return this.#info;
  }
}

/**
 * Why the certificate of a client cannot be verified; undefined if it can. No documented property says it of a socket that no `tls.Server` has made. This
 * is where those servers look, in Node, Bun and Deno: they have null, null and an empty string for a certificate that is verified.
 */
function verificationError(socket: TLSSocket): string | undefined {
  const ssl: unknown = propertyOf(socket, 'ssl');
  const verifyError = propertyOf(ssl, 'verifyError');
  if (typeof verifyError !== 'function') return 'this runtime does not say whether it can be verified';
  const error: unknown = verifyError.call(ssl);
  if (error === null || error === '') return undefined;
  return typeof error === 'string' ? error : `${describe(error)} (${String(propertyOf(error, 'code'))})`;
}

function infoOf(socket: TLSSocket, serverName: string | undefined, unverified: string | undefined): TlsInfo {
  const { alpnProtocol } = socket;
  const peerCertificate = socket.getPeerX509Certificate();
  return {
    protocol: socket.getProtocol() ?? '',
    cipher: socket.getCipher().name,
    serverName,
    alpnProtocol: typeof alpnProtocol === 'string' ? alpnProtocol : undefined,
    isResumed: socket.isSessionReused(),
    peerCertificate,
    isAuthorized: peerCertificate !== undefined && unverified === undefined,
  };
}
