// The contract between the option `tls` and the engines: what the option says, checked and loaded.

import type { SecureContext, SecureContextOptions } from 'node:tls';

export type { PeerCertificate, TlsInfo } from '../event-layer/tls-info.js';

/** The default of `handshakeTimeout`, in milliseconds: a storm of 20,000 clients needs some 10 s of handshakes, and slow networks several round trips. */
export const defaultHandshakeTimeout = 30_000;
/** The default of `maxHandshakesPerTurn`: some 8 ms with a key for ECDSA P-256, which is what a turn takes at most for other events. */
export const defaultHandshakesPerTurn = 16;

/** A certificate with what belongs to it: one entry of the option `tls`. */
export interface TlsIdentity {
  /** From `tls.createSecureContext`: certificates, keys, ca, crl, ciphers, curves, sigalgs, versions, dhparam, ticketKeys, sessionTimeout. */
  readonly context: SecureContext;
  /** What the context was made of: for engines that need another one. */
  readonly contextOptions: SecureContextOptions;
  /** In the order of preference (RFC 7301); if empty, none is negotiated. If the client offers only others, it is refused (no_application_protocol). */
  readonly alpnProtocols: readonly string[];
  /** A server asks for the client's certificate. */
  readonly requestCert: boolean;
  /** A peer whose certificate cannot be verified is refused; with `requestCert` also a client that has none. */
  readonly rejectUnauthorized: boolean;
  /** An OCSP response in DER, stapled for clients that ask for one (RFC 6066 §8). */
  readonly ocsp: Uint8Array | undefined;
}

/** What a listener knows of TLS. A reload replaces what `identityFor` returns; connections keep what they have. */
export interface TlsServerConfig {
  /**
   * Never throws.
   * @param serverName the name that the client asks for (SNI, RFC 6066 §3), in lower case; undefined if it names none
   * @returns undefined, or a promise of it, to refuse the handshake (unrecognized_name); a promise parks the handshake and never rejects
   */
  identityFor(serverName: string | undefined): TlsIdentity | undefined | Promise<TlsIdentity | undefined>;
  /** TLS 1.3 continues without OpenSSL after the handshake, where the engine can. */
  readonly detached: boolean;
  /** How long a handshake may take from when the connection is accepted, in milliseconds. */
  readonly handshakeTimeout: number;
  /** The most handshakes that are worked on in a turn: others wait in the order in which they have arrived. */
  readonly maxHandshakesPerTurn: number;
}

/** What a client knows of TLS. */
export interface TlsClientConfig {
  readonly identity: TlsIdentity;
  /** What is sent as SNI; undefined for an IP address, which cannot be named there (RFC 6066 §3). */
  readonly serverName: string | undefined;
  /** The host name or IP address that the server's certificate must be for (`tls.checkServerIdentity`), unless `rejectUnauthorized` is false. */
  readonly host: string;
  readonly detached: boolean;
  /** In milliseconds, from when the connection is established. */
  readonly handshakeTimeout: number;
}
