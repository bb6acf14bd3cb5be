// Loads one certificate with what belongs to it: reads the files, checks that the parts fit each other, and makes the context.

import { constants, createHash, createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { createSecureContext, type SecureContextOptions } from 'node:tls';
import { describe, isInstance, propertyOf, show } from '../../util/inspect.js';
import type { TlsIdentity } from '../config.js';
import { TlsConfigError } from './errors.js';
import { readBytes, readPem, type TlsSource } from './files.js';
import { normalName } from './names.js';
import type { TlsCertificateOptions, TlsClientOptions } from './options.js';

// Other runtimes than Node lack the numbers, and the features.
const { SSL_OP_NO_RENEGOTIATION: withoutRenegotiation = 0, SSL_OP_NO_COMPRESSION: withoutCompression = 0 } = constants;

/** An identity, and what its owner needs to choose it and to make it again. */
export interface LoadedIdentity {
  readonly identity: TlsIdentity;
  /** The names that it is for, in lower case, perhaps with a star for the first label. */
  readonly names: readonly string[];
  /** When its first certificate expires, in milliseconds since the Unix epoch; `Infinity` if it has none. */
  readonly expires: number;
  /** The same with a new context, which encrypts session tickets with these keys. */
  withTicketKeys(keys: Uint8Array): LoadedIdentity;
}

type Options = TlsCertificateOptions & TlsClientOptions;

export interface LoadSettings {
  /** For messages, such as `serve: tls`. */
  readonly where: string;
  readonly side: 'server' | 'client';
  /** Default of the option. */
  readonly alpnProtocols: readonly string[];
  /** For a server that is given none. */
  readonly ticketKeys: Uint8Array | undefined;
}

/**
 * @param given has been checked by the rules of the option
 * @throws {TypeError} if options do not fit each other
 * @throws {TlsConfigError} if what they name cannot be used
 */
export function loadIdentity(given: TlsCertificateOptions | TlsClientOptions, settings: LoadSettings): LoadedIdentity {
  const options: Options = given as Options; // those that the side does not have are undefined
  const { where, side } = settings;
  const { requestCert = false, rejectUnauthorized = true, minVersion = 'TLSv1.2', maxVersion = 'TLSv1.3' } = options;
  if (minVersion > maxVersion)
    throw new TypeError(
      `${where}: minVersion is ${minVersion} and maxVersion ${maxVersion}; expected one that is not older`,
    );
  checkParts(where, side, options);
  const keys = readPem(`${where}.key`, options.key);
  const certs = readPem(`${where}.cert`, options.cert);
  const ca = readPem(`${where}.ca`, options.ca);
  const crl = readPem(`${where}.crl`, options.crl);
  const pfx = options.pfx === undefined ? undefined : readBytes(`${where}.pfx`, options.pfx);
  const dhparam = options.dhparam === 'auto' ? undefined : readPem(`${where}.dhparam`, options.dhparam)[0];
  const ocsp = options.ocsp === undefined ? undefined : readBytes(`${where}.ocsp`, options.ocsp);
  const leaves = certs.map((source) => ({ source, certificate: parseCertificate(source) }));
  checkKeys(keys, options.passphrase, leaves);
  if (pfx !== undefined) leaves.push(...leavesOf(pfx, options.passphrase));

  const bytesOf = (sources: readonly TlsSource[]): Buffer[] | undefined =>
    sources.length === 0 ? undefined : sources.map(({ bytes }) => bytes);
  const contextOptions: SecureContextOptions = {
    key: bytesOf(keys),
    cert: bytesOf(certs),
    pfx: pfx?.bytes,
    passphrase: options.passphrase,
    ca: bytesOf(ca),
    crl: bytesOf(crl),
    dhparam: options.dhparam === 'auto' ? 'auto' : dhparam?.bytes,
    ciphers: options.ciphers,
    sigalgs: options.sigalgs,
    ecdhCurve: options.ecdhCurve,
    minVersion,
    maxVersion,
    sessionTimeout: options.sessionTimeout ?? 7200,
    secureOptions: withoutRenegotiation | withoutCompression,
  };
  const names = namesOf(options, leaves[0]?.certificate);
  if (side === 'server') {
    contextOptions.honorCipherOrder = true;
    contextOptions.sessionIdContext = sessionContextOf(names, ca, requestCert, rejectUnauthorized);
  }
  const expires = checkDates(leaves, options.allowExpired ?? false);
  const common = {
    alpnProtocols: options.alpnProtocols ?? settings.alpnProtocols,
    requestCert,
    rejectUnauthorized,
    ocsp: ocsp?.bytes,
  };
  const make = (ticketKeys: Uint8Array | undefined): LoadedIdentity => {
    const own = ticketKeys === undefined ? contextOptions : { ...contextOptions, ticketKeys: Buffer.from(ticketKeys) };
    const identity = { ...common, contextOptions: own, context: makeContext(where, own) };
    return { identity, names, expires, withTicketKeys: (keys) => make(options.ticketKeys ?? keys) };
  };
  return make(options.ticketKeys ?? settings.ticketKeys);
}

/** @throws {TypeError} */
function checkParts(where: string, side: 'server' | 'client', { key, cert, pfx }: Options): void {
  if (pfx !== undefined) {
    if (key === undefined && cert === undefined) return;
    throw new TypeError(`${where}: pfx and ${key === undefined ? 'cert' : 'key'} are both given; expected one of them`);
  }
  if (key === undefined && cert === undefined) {
    if (side === 'client') return;
    throw new TypeError(
      `${where}: neither key and cert nor pfx are given; expected the server's certificate with its key`,
    );
  }
  if (key === undefined) throw new TypeError(`${where}: cert is given without key; expected both`);
  if (cert === undefined) throw new TypeError(`${where}: key is given without cert; expected both`);
}

interface Leaf {
  readonly source: TlsSource;
  readonly certificate: X509Certificate;
}

/** The first certificate of a chain. */
function parseCertificate({ bytes, name }: TlsSource): X509Certificate {
  try {
    return new X509Certificate(bytes);
  } catch (error) {
    throw new TlsConfigError('ERR_TLS_CERT', `${name} has no certificate that can be read: ${describe(error)}`, {
      cause: error,
    });
  }
}

/** The certificate in a file of PKCS #12; none where the runtime does not show it, or OpenSSL cannot read it, which it says later. */
function leavesOf(source: TlsSource, passphrase: string | undefined): Leaf[] {
  try {
    const { context } = createSecureContext({ pfx: source.bytes, passphrase });
    const getCertificate = propertyOf(context, 'getCertificate');
    const der: unknown = typeof getCertificate === 'function' ? getCertificate.call(context) : undefined;
    return isInstance(der, Uint8Array) ? [{ source, certificate: new X509Certificate(der) }] : [];
  } catch {
    return [];
  }
}

/** Each key must have its certificate, and each certificate its key. */
function checkKeys(keys: readonly TlsSource[], passphrase: string | undefined, leaves: readonly Leaf[]): void {
  const parsed = keys.map((source) => ({ source, key: parseKey(source, passphrase) }));
  const fits = (key: KeyObject, { certificate }: Leaf): boolean => certificate.checkPrivateKey(key);
  const certNames = leaves.map(({ source }) => source.name).join(', ');
  for (const { source, key } of parsed) {
    if (leaves.some((leaf) => fits(key, leaf))) continue;
    throw new TlsConfigError('ERR_TLS_KEY_MISMATCH', `${source.name} is not the key of ${certNames}`);
  }
  for (const leaf of leaves) {
    if (parsed.some(({ key }) => fits(key, leaf))) continue;
    throw new TlsConfigError(
      'ERR_TLS_KEY_MISMATCH',
      `${leaf.source.name} has no key among ${keys.map(({ name }) => name).join(', ')}`,
    );
  }
}

function parseKey({ bytes, name }: TlsSource, passphrase: string | undefined): KeyObject {
  try {
    return createPrivateKey({ key: bytes, ...(passphrase === undefined ? {} : { passphrase }) });
  } catch (error) {
    const isEncrypted = bytes.includes('ENCRYPTED');
    const why = !isEncrypted
      ? describe(error)
      : passphrase === undefined
        ? 'it is encrypted, and passphrase is not given'
        : 'it is encrypted, and passphrase does not fit';
    throw new TlsConfigError('ERR_TLS_KEY', `${name} has no private key that can be read: ${why}`, { cause: error });
  }
}

/**
 * Only the first certificate of each chain counts: chains in use have had expired roots for old clients.
 * @returns when the first of them expires
 */
function checkDates(leaves: readonly Leaf[], allowExpired: boolean): number {
  let earliest = Infinity;
  const now = Date.now();
  for (const { source, certificate } of leaves) {
    const from = Date.parse(certificate.validFrom);
    const to = Date.parse(certificate.validTo);
    earliest = Math.min(earliest, to);
    if (allowExpired) continue;
    const hint = 'allowExpired: true uses it all the same';
    if (now > to)
      throw new TlsConfigError(
        'ERR_TLS_EXPIRED',
        `${source.name} has a certificate that expired at ${dateOf(to)}; ${hint}`,
      );
    if (now < from)
      throw new TlsConfigError(
        'ERR_TLS_EXPIRED',
        `${source.name} has a certificate that is not valid before ${dateOf(from)}, and it is ${dateOf(now)} now; ${hint}`,
      );
  }
  return earliest;
}

function dateOf(time: number): string {
  return Number.isFinite(time) ? new Date(time).toISOString() : 'an unknown date';
}

function namesOf({ serverName }: Options, certificate: X509Certificate | undefined): string[] {
  const given = serverName ?? (certificate === undefined ? [] : namesIn(certificate));
  return (typeof given === 'string' ? [given] : [...given]).map(normalName);
}

/** The names of a certificate: its common name counts only if it has no others (RFC 6125 §6.4.4). */
function namesIn({ subjectAltName, subject }: X509Certificate): string[] {
  const alternatives = [...(subjectAltName ?? '').matchAll(/DNS:([^,"\s]+)/g)].map(([, name]) => name);
  if (alternatives.length > 0 || (subjectAltName ?? '') !== '') return alternatives;
  const common = /^CN=([\w.*-]+)$/m.exec(subject)?.[1];
  return common === undefined ? [] : [common];
}

/**
 * A session is resumed only where clients are authenticated in the same way: a client whose certificate was accepted for one name must not pass for
 * authenticated under another. The same in all processes with the same options.
 */
function sessionContextOf(
  names: readonly string[],
  ca: readonly TlsSource[],
  requestCert: boolean,
  rejectUnauthorized: boolean,
): string {
  const hash = createHash('sha256').update(JSON.stringify([names, requestCert, rejectUnauthorized]));
  for (const { bytes } of ca) hash.update(bytes);
  return hash.digest('hex').slice(0, 32); // at most 32 bytes
}

/** @throws {TlsConfigError} `ERR_TLS_OPTION`, which names the option that OpenSSL refuses */
function makeContext(where: string, options: SecureContextOptions): TlsIdentity['context'] {
  try {
    return createSecureContext(options);
  } catch (error) {
    const name = refusedOption(options);
    const subject = name === undefined ? where : `${where}.${name}`;
    const value = name === 'ciphers' || name === 'sigalgs' || name === 'ecdhCurve' ? options[name] : undefined;
    const found = value === undefined ? 'cannot be used' : `is ${show(value)}, which OpenSSL refuses`;
    const hint = name === 'pfx' ? '; expected PKCS #12, and its passphrase' : '';
    throw new TlsConfigError('ERR_TLS_OPTION', `${subject} ${found}: ${describe(error)}${hint}`, { cause: error });
  }
}

/** Tries the options one after the other: OpenSSL's messages do not say which it was. */
function refusedOption(options: SecureContextOptions): string | undefined {
  const { key, cert, pfx, passphrase } = options;
  const singles = ['ciphers', 'sigalgs', 'ecdhCurve', 'dhparam', 'ca', 'crl', 'ticketKeys'] as const;
  const attempts: [string, SecureContextOptions][] = singles.map((name) => [name, { [name]: options[name] }]);
  attempts.push(['pfx', { pfx, passphrase }], ['cert', { cert }], ['key', { cert, key, passphrase }]);
  for (const [name, attempt] of attempts) {
    if (options[name as keyof SecureContextOptions] === undefined) continue;
    try {
      createSecureContext(attempt);
    } catch {
      return name; // its error has been caught above
    }
  }
  return undefined;
}
