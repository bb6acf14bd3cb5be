// The cipher suites of TLS 1.3 (RFC 8446 §B.4) that records are sealed with here. The two with AES-CCM are off by default in OpenSSL.

/** `hash` and `aead` are the names that Node and OpenSSL give them. */
export interface CipherSuite {
  readonly name: string;
  readonly aead: 'aes-128-gcm' | 'aes-256-gcm' | 'chacha20-poly1305';
  readonly hash: 'sha256' | 'sha384';
  /** Bytes of a traffic secret, which are those of the hash. */
  readonly secretBytes: number;
  /** Bytes of a key. */
  readonly keyBytes: number;
  /**
   * After how many records a key is replaced. RFC 8446 §5.5 allows 2^24.5 full-size records for AES-GCM; the power of two below is taken. For
   * ChaCha20-Poly1305 it names no limit but that of the sequence number; 2^48 is the limit of DTLS 1.3, and a JavaScript number counts so far.
   */
  readonly recordsPerKey: number;
}

export const cipherSuites: readonly CipherSuite[] = [
  {
    name: 'TLS_AES_128_GCM_SHA256',
    aead: 'aes-128-gcm',
    hash: 'sha256',
    secretBytes: 32,
    keyBytes: 16,
    recordsPerKey: 2 ** 24,
  },
  {
    name: 'TLS_AES_256_GCM_SHA384',
    aead: 'aes-256-gcm',
    hash: 'sha384',
    secretBytes: 48,
    keyBytes: 32,
    recordsPerKey: 2 ** 24,
  },
  {
    name: 'TLS_CHACHA20_POLY1305_SHA256',
    aead: 'chacha20-poly1305',
    hash: 'sha256',
    secretBytes: 32,
    keyBytes: 32,
    recordsPerKey: 2 ** 48,
  },
];

/** @param name as OpenSSL and `tls.TLSSocket.getCipher().name` give it @returns undefined if it is none of TLS 1.3, or one with AES-CCM */
export function cipherSuiteNamed(name: string): CipherSuite | undefined {
  return cipherSuites.find((suite) => suite.name === name);
}
