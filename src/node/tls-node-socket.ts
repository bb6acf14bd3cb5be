// A connection with TLS as code for Node wants it: a `NodeSocket` with what a `tls.TLSSocket` tells of its session. sluice decrypts and encrypts.

import { X509Certificate } from 'node:crypto';
import type { PeerCertificate } from 'node:tls';
import { isInstance } from '../util/inspect.js';
import { NodeSocket } from './node-socket.js';

/** A connection with TLS of an `http.Server` that sluice listens for. What it tells is looked up on first use, before the connection closes. */
export class TlsNodeSocket extends NodeSocket {
  /** True: `req.secure` of Express and `req.protocol` of others look here. */
  get encrypted(): true {
    return true;
  }

  /** Whether the client has sent a certificate that was verified (`requestCert`). */
  get authorized(): boolean {
    return this.tlsInfo?.isAuthorized ?? false;
  }

  /** Null if the client's certificate was verified; else why `authorized` is false. */
  get authorizationError(): Error | null {
    if (this.authorized) return null;
    const why =
      this.tlsInfo?.peerCertificate === undefined
        ? 'has sent no certificate'
        : 'has a certificate that was not verified';
    return new Error(`the client ${why}`);
  }

  /** The protocol that was chosen by ALPN (RFC 7301); false if none was. */
  get alpnProtocol(): string | false {
    return this.tlsInfo?.alpnProtocol ?? false;
  }

  /** The name that the client has asked for (SNI); false if it has named none. */
  get servername(): string | false {
    return this.tlsInfo?.serverName ?? false;
  }

  /** The client's certificate in the form of `tls.TLSSocket`; an empty object if there is none. The certificates of its issuers are not part of it. */
  getPeerCertificate(): PeerCertificate | Record<string, never> {
    return this.getPeerX509Certificate()?.toLegacyObject() ?? {};
  }

  /** The client's certificate; undefined if there is none. */
  getPeerX509Certificate(): X509Certificate | undefined {
    const certificate: unknown = this.tlsInfo?.peerCertificate;
    return isInstance(certificate, X509Certificate) ? certificate : undefined;
  }

  /** `TLSv1.3` or `TLSv1.2`. */
  getProtocol(): string | null {
    return this.tlsInfo?.protocol ?? null;
  }

  /** The cipher suite, by OpenSSL's name. */
  getCipher(): { name: string; standardName: string; version: string } {
    const { cipher: name = '', protocol: version = '' } = this.tlsInfo ?? {};
    return { name, standardName: name, version };
  }

  /** Whether the session was resumed. */
  isSessionReused(): boolean {
    return this.tlsInfo?.isResumed ?? false;
  }
}

/** Gives a class of sockets the members of `TlsNodeSocket`. */
export function addTlsMembers({ prototype }: { prototype: NodeSocket }): void {
  for (const [name, member] of Object.entries(Object.getOwnPropertyDescriptors(TlsNodeSocket.prototype)))
    if (name !== 'constructor') Object.defineProperty(prototype, name, member);
}
