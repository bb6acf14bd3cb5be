// The option `tls` of `serve`, `listen` and `connect`, as users give it. Names and meanings are those of Node and Bun. The types name nothing of Node's, so
// that users of the library do not need Node's types.

import { domainToASCII } from 'node:url';
import { isInstance, show } from '../../util/inspect.js';
import { checkOptions, isOptions, longestDelay, type OptionRule, type OptionRules } from '../../util/options.js';

/** PEM as text or as bytes; or the path of a file with it, or its `file:` URL, as text or as a URL. */
export type TlsFile = string | Uint8Array | ArrayBuffer | URL;
/** One of these, or several. */
export type TlsFiles = TlsFile | readonly TlsFile[];

/** Certificates, keys, and what is negotiated. As the options of Node's `tls.createSecureContext` with the same names, where not said otherwise. */
interface TlsCommonOptions {
  /** The private key, or several of different types (ECDSA and RSA). Recommended: ECDSA with P-256. */
  key?: TlsFiles | undefined;
  /** The certificate for each key, followed by its chain, without the root. */
  cert?: TlsFiles | undefined;
  /** Key and certificates in one file of PKCS #12: its bytes, or its path. Instead of `key` and `cert`. */
  pfx?: TlsFile | undefined;
  /** Of an encrypted key, or of `pfx`. */
  passphrase?: string | undefined;
  /** The certificates that a peer's must lead to. Default: those that Node trusts. */
  ca?: TlsFiles | undefined;
  /** Lists of revoked certificates. */
  crl?: TlsFiles | undefined;
  /**
   * Protocols for ALPN (RFC 7301), in the order of preference. Default: `['http/1.1', 'http/1.0']` for `serve`, which takes no others; none for `listen` and
   * `connect`, which take any.
   */
  alpnProtocols?: readonly string[] | undefined;
  /** `TLSv1.2` or `TLSv1.3`. Default `TLSv1.2`. */
  minVersion?: 'TLSv1.2' | 'TLSv1.3' | undefined;
  /** `TLSv1.2` or `TLSv1.3`. Default `TLSv1.3`. */
  maxVersion?: 'TLSv1.2' | 'TLSv1.3' | undefined;
  /** The cipher suites, as OpenSSL's ciphers(1) writes them. */
  ciphers?: string | undefined;
  /** The signature algorithms, as in `ecdsa_secp256r1_sha256:rsa_pss_rsae_sha256`. */
  sigalgs?: string | undefined;
  /** The groups for the key exchange, as in `X25519:P-256`. */
  ecdhCurve?: string | undefined;
  /** Parameters for DHE in TLS 1.2, in PEM, or `auto`. Default: DHE is off. */
  dhparam?: TlsFile | undefined;
  /** How long a session may be resumed, in seconds. Default 7,200. */
  sessionTimeout?: number | undefined;
  /** Whether a peer is refused whose certificate cannot be verified. For a server: only with `requestCert`. Default true. */
  rejectUnauthorized?: boolean | undefined;
  /** Whether a certificate whose time is over, or has not come, is used all the same. Default false: it is an error. */
  allowExpired?: boolean | undefined;
}

/** What belongs to one certificate of a server. */
export interface TlsCertificateOptions extends TlsCommonOptions {
  /**
   * The names that this certificate is for: `example.com`, or `*.example.com` for any one label in place of the star. Default: those of the certificate.
   * Clients that name none, or one that no certificate is for, get the first.
   */
  serverName?: string | readonly string[] | undefined;
  /** Whether clients are asked for a certificate, which handlers see as `info.tls.peerCertificate`. Default false. */
  requestCert?: boolean | undefined;
  /** An OCSP response in DER, for clients that ask for one: its bytes, or the path of a file. */
  ocsp?: TlsFile | undefined;
  /** 48 bytes that encrypt session tickets: processes with the same ones resume each other's sessions. Default: random ones, replaced each 12 hours. */
  ticketKeys?: Uint8Array | undefined;
}

/** The option `tls` of `serve` and `listen`. Of several certificates, the first has the settings of the listener. */
export interface TlsServerOptions extends TlsCertificateOptions {
  /**
   * Called for clients that name a server which no certificate is for. Returns the certificate, or undefined: then the client gets the `cert` beside `sni`, and
   * is refused if there is none. If it throws, or what it returns cannot be used, the client is refused, and `onError` is called (`ERR_TLS_SNI`). What it
   * returns is kept for the 1,000 names used last, until `server.reload({ tls })`, or until the certificate has expired.
   * @param serverName in lower case
   */
  sni?:
    | ((serverName: string) => TlsCertificateOptions | undefined | PromiseLike<TlsCertificateOptions | undefined>)
    | undefined;
  /** How long a handshake may take, in milliseconds; at most a day. Default 30,000. */
  handshakeTimeout?: number | undefined;
  /** The most handshakes that are worked on in a turn; others wait, so that open connections do not. Default 16. */
  maxHandshakesPerTurn?: number | undefined;
  /** Whether connections of TLS 1.3 keep only their keys once the handshake is over, and not OpenSSL's session; see docs/tls.md. Default true. */
  detached?: boolean | undefined;
}

/** The option `tls` of `connect`. */
export interface TlsClientOptions extends TlsCommonOptions {
  /** The name to ask for (SNI), which the server's certificate must be for. Default: the host that is connected to. */
  serverName?: string | undefined;
  /** How long the handshake may take, in milliseconds; at most a day. Default 30,000. */
  handshakeTimeout?: number | undefined;
  /** See the option of `serve`. */
  detached?: boolean | undefined;
}

export const versions = ['TLSv1.2', 'TLSv1.3'] as const;

// Rules of values that may hold secrets, or part of them, do not show the value.
const file: OptionRule = { accepts: isFile, expected: 'PEM, or the path of a file', isSecret: true };
const files: OptionRule = {
  accepts: (value) => isFile(value) || (Array.isArray(value) && value.length > 0 && value.every(isFile)),
  expected: 'PEM, the path of a file, or an array of these',
  isSecret: true,
  hint: (value) =>
    Array.isArray(value) && value.some((each) => typeof each === 'object' && each !== null && 'pem' in each)
      ? "of Node's { pem, passphrase }, give pem itself, and passphrase as the option beside it"
      : undefined,
};
const bytesFile: OptionRule = { accepts: isFile, expected: 'bytes, or the path of a file', isSecret: true };
const version: OptionRule = {
  accepts: (value) => versions.some((each) => each === value),
  expected: '"TLSv1.2" or "TLSv1.3"; older versions are out of use (RFC 8996)',
};
const names: OptionRule = {
  accepts: (value) => isServerName(value) || (Array.isArray(value) && value.length > 0 && value.every(isServerName)),
  expected: 'a host name such as "example.com" or "*.example.com", or an array of these',
  hint: asciiHint,
};
const ticketKeyBytes = 48;

const commonRules: OptionRules<TlsCommonOptions> = {
  key: files,
  cert: files,
  pfx: bytesFile,
  passphrase: { accepts: (value) => typeof value === 'string', expected: 'a string', isSecret: true },
  ca: files,
  crl: files,
  alpnProtocols: {
    accepts: (value) => Array.isArray(value) && value.every(isProtocol),
    expected: 'an array of protocols such as "http/1.1", of 1 to 255 bytes each',
  },
  minVersion: version,
  maxVersion: version,
  ciphers: { type: 'string' },
  sigalgs: { type: 'string' },
  ecdhCurve: { type: 'string' },
  dhparam: file,
  sessionTimeout: { whole: [1, 2 ** 31 - 1] },
  rejectUnauthorized: { type: 'boolean' },
  allowExpired: { type: 'boolean' },
};

const certificateRules: OptionRules<TlsCertificateOptions> = {
  ...commonRules,
  serverName: names,
  requestCert: { type: 'boolean' },
  ocsp: bytesFile,
  ticketKeys: {
    accepts: (value) => isInstance(value, Uint8Array) && value.length === ticketKeyBytes,
    expected: '48 bytes',
    isSecret: true,
    hint: (value) => (isInstance(value, Uint8Array) ? `it has ${value.length}` : undefined),
  },
};

const handshakeRules = {
  handshakeTimeout: { number: [1, longestDelay] },
  detached: { type: 'boolean' },
} as const;

const serverRules: OptionRules<TlsServerOptions> = {
  ...certificateRules,
  ...handshakeRules,
  sni: { type: 'function' },
  maxHandshakesPerTurn: { whole: [1, 10_000] },
};

const clientRules: OptionRules<TlsClientOptions> = {
  ...commonRules,
  ...handshakeRules,
  serverName: {
    accepts: isHostName,
    expected: 'a host name, which an IP address is not (RFC 6066 §3)',
    hint: asciiHint,
  },
};

/** The rule of the option itself: what is in it is checked by the functions below. */
export const tlsServerRule: OptionRule = {
  accepts: (value) => isOptions(value) || Array.isArray(value),
  expected: 'an object with key and cert, or an array of these',
};
export const tlsClientRule: OptionRule = {
  accepts: (value) => value === true || isOptions(value),
  expected: 'true, or an object',
};

/** @param where for messages, such as `serve: tls` @throws {TypeError | RangeError} */
export function checkServerOptions(where: string, options: object): asserts options is TlsServerOptions {
  checkOptions(where, options, serverRules);
}

/** The same for certificates after the first, and for what `sni` returns. */
export function checkCertificateOptions(where: string, options: object): asserts options is TlsCertificateOptions {
  for (const name of isOptions(options) ? Object.keys(serverRules) : [])
    if (!Object.hasOwn(certificateRules, name) && Object.hasOwn(options, name))
      throw new TypeError(
        `${where}: ${name} is given; expected it with the first certificate, since it is a setting of the listener`,
      );
  checkOptions(where, options, certificateRules);
}

/** @throws {TypeError | RangeError} */
export function checkClientOptions(where: string, options: object): asserts options is TlsClientOptions {
  checkOptions(where, options, clientRules);
}

/** For a name with other characters than ASCII: how it is written in certificates (RFC 5891, punycode). */
function asciiHint(value: unknown): string | undefined {
  const names: unknown[] = Array.isArray(value) ? value : [value];
  const name = names.find((each): each is string => typeof each === 'string' && /[^\0-\x7f]/.test(each));
  const ascii = name === undefined ? '' : domainToASCII(name.replace(/^\*\./, ''));
  return ascii === '' ? undefined : `in ASCII (punycode) it is ${show(name?.startsWith('*.') ? `*.${ascii}` : ascii)}`;
}

function isFile(value: unknown): value is TlsFile {
  if (typeof value === 'string') return value !== '';
  return isInstance(value, Uint8Array) || isInstance(value, ArrayBuffer) || isInstance(value, URL);
}

function isProtocol(value: unknown): boolean {
  if (typeof value !== 'string') return false;
  const bytes = Buffer.byteLength(value);
  return bytes >= 1 && bytes <= 255;
}

function isServerName(value: unknown): boolean {
  return typeof value === 'string' && isHostName(value.startsWith('*.') ? value.slice(2) : value);
}

/** A DNS name in ASCII, with at most one dot at the end (RFC 1123 §2.1; underscores occur), which is no IP address. */
function isHostName(value: unknown): boolean {
  return typeof value === 'string' && value.length <= 254 && hostName.test(value) && !/^[0-9.]+$/.test(value);
}
const hostName = /^(?:[\w-]{1,63}\.)*[\w-]{1,63}\.?$/;
