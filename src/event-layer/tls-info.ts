// What is known of a connection's TLS session once its handshake is complete. The types name nothing of Node's, so that users of the library do not need
// Node's types.

/** A certificate of the peer: at run time an `X509Certificate` of `node:crypto`, which has more members than these. */
export interface PeerCertificate {
  /** One attribute a line, such as `CN=client`. */
  readonly subject: string;
  /** Who has signed it, in the same form. */
  readonly issuer: string;
  /** As OpenSSL writes it, such as `DNS:example.com, IP Address:127.0.0.1`; undefined if it has none. */
  readonly subjectAltName: string | undefined;
  /** When it starts to be valid, as OpenSSL writes it: `Nov 30 22:00:00 2026 GMT`. */
  readonly validFrom: string;
  /** When it expires, in the same form. */
  readonly validTo: string;
  /** In hexadecimal digits. */
  readonly serialNumber: string;
  /** SHA-256 of `raw`, in hexadecimal digits, with a colon between two bytes. */
  readonly fingerprint256: string;
  /** DER. */
  readonly raw: Uint8Array;
  /** In PEM. */
  toString(): string;
}

/** What is known of a connection's TLS session. */
export interface TlsInfo {
  /** `TLSv1.3` or `TLSv1.2`. */
  readonly protocol: string;
  /** OpenSSL's name of the cipher suite, such as `TLS_AES_128_GCM_SHA256`. */
  readonly cipher: string;
  /** The name that the client has asked for (SNI, RFC 6066 §3), in lower case; undefined if it has named none. */
  readonly serverName: string | undefined;
  /** The protocol that was chosen by ALPN (RFC 7301); undefined if none was. */
  readonly alpnProtocol: string | undefined;
  /** The session was resumed, by a ticket say: the handshake took no certificate and no signature. */
  readonly isResumed: boolean;
  /** The certificate of the peer: of the server for a client; of the client for a server that has asked for one (`requestCert`) and got one. */
  readonly peerCertificate: PeerCertificate | undefined;
  /** The peer's certificate was verified: its chain leads to a `ca`, and for a server's certificate it is for the host that was asked for. False if there is none. */
  readonly isAuthorized: boolean;
}
