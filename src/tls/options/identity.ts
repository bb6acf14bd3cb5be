// Loads one certificate with what belongs to it: reads the files, checks that the parts fit each other, and makes the context.

import { constants, createHash, createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { createSecureContext, type SecureContextOptions } from 'node:tls';
import { describe, isInstance, propertyOf, show } from '../../util/inspect.js';
import type { TlsIdentity } from '../config.js';
import { TlsConfigError } from './errors.js';
import { readBytes, readPem, type TlsSource } from './files.js';
import { normalName } from './names.js';
import { checkNegotiated } from './negotiated.js';
import type { TlsCertificateOptions, TlsClientOptions, TlsFile } from './options.js';
import { isDerSequence, pemBlocks, pemKinds } from './pem.js';

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
  /** Default of the option, which may have no others; if empty, it may have any. */
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
  const alpnProtocols = checkProtocols(where, options.alpnProtocols, settings.alpnProtocols);
  const keys = readKeys(`${where}.key`, options);
  const certs = readPem(`${where}.cert`, options.cert).map(readCertificates);
  const ca = readPem(`${where}.ca`, options.ca).map(readCertificates);
  const crl = readPem(`${where}.crl`, options.crl).flatMap(readLists);
  const pfx = options.pfx === undefined ? undefined : readBytes(`${where}.pfx`, options.pfx);
  const dhparam = options.dhparam === 'auto' ? undefined : readPem(`${where}.dhparam`, options.dhparam)[0];
  const ocsp = options.ocsp === undefined ? undefined : readOcsp(`${where}.ocsp`, options.ocsp);
  const leaves: Leaf[] = [...certs];
  checkKeys(keys, leaves);
  if (pfx !== undefined) leaves.push(...leavesOf(pfx, options.passphrase));

  const bytesOf = (list: readonly { pem: Buffer }[]): Buffer[] | undefined =>
    list.length === 0 ? undefined : list.map(({ pem }) => pem);
  const contextOptions: SecureContextOptions = {
    key: bytesOf(keys),
    cert: bytesOf(certs),
    pfx: pfx?.bytes,
    passphrase: options.passphrase,
    ca: bytesOf(ca),
    crl: crl.length === 0 ? undefined : crl,
    dhparam: options.dhparam === 'auto' ? 'auto' : dhparam && pemBlocks(dhparam, pemKinds.dhparam)[0],
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
  checkNegotiated(where, options);
  const expires = checkDates(leaves, options.allowExpired ?? false);
  const common = {
    alpnProtocols,
    requestCert,
    rejectUnauthorized,
    ocsp,
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

/** @throws {TypeError} for one that the server does not speak: a client that has agreed on it would be answered in another */
function checkProtocols(
  where: string,
  given: readonly string[] | undefined,
  spoken: readonly string[],
): readonly string[] {
  const unknown = spoken.length === 0 ? undefined : given?.find((protocol) => !spoken.includes(protocol));
  if (unknown === undefined) return given ?? spoken;
  const list = spoken.map(show).join(' and ');
  throw new TypeError(
    `${where}: alpnProtocols has ${show(unknown)}; expected only ${list}, which is what this server speaks`,
  );
}

interface Leaf {
  readonly source: TlsSource;
  /** The first of a chain. */
  readonly certificate: X509Certificate;
}

interface Chain extends Leaf {
  readonly pem: Buffer;
}

/** The certificates in a file, each of which must be readable. */
function readCertificates(source: TlsSource): Chain {
  const blocks = pemBlocks(source, pemKinds.certificate);
  const parsed = blocks.map((block, i) => {
    try {
      return new X509Certificate(block);
    } catch (error) {
      const place = blocks.length === 1 ? '' : ` in place ${i + 1} of ${blocks.length}`;
      const message = `${source.name} has no certificate that can be read${place}: ${describe(error)}`;
      throw new TlsConfigError('ERR_TLS_CERT', message, { cause: error });
    }
  });
  return { source, certificate: parsed[0], pem: Buffer.concat(blocks) };
}

/** One by one: of several in a file OpenSSL would read the first. */
function readLists(source: TlsSource): Buffer[] {
  const blocks = pemBlocks(source, pemKinds.crl);
  for (const crl of blocks) {
    try {
      createSecureContext({ crl });
    } catch (error) {
      const message = `${source.name} has a revocation list that cannot be read: ${describe(error)}`;
      throw new TlsConfigError('ERR_TLS_OPTION', message, { cause: error });
    }
  }
  return blocks;
}

/** OCSPResponse of RFC 6960 §4.2.1: the status, which is 0 in one that says something, and the response. */
function readOcsp(option: string, value: TlsFile): Uint8Array {
  const { bytes, name } = readBytes(option, value);
  if (!isDerSequence(bytes))
    throw new TlsConfigError(
      'ERR_TLS_OPTION',
      `${name} has ${bytes.length} bytes that are no OCSP response; expected DER`,
    );
  const content = bytes.subarray(bytes[1] < 0x80 ? 2 : 2 + (bytes[1] & 0x7f));
  if (content[0] !== 0x0a || content[1] !== 1)
    throw new TlsConfigError('ERR_TLS_OPTION', `${name} is DER, but no OCSP response (RFC 6960 §4.2.1)`);
  if (content[2] === 0 && content[3] === 0xa0) return bytes;
  const message = `${name} is an OCSP response without an answer, with the status ${content[2]}; expected 0 (successful)`;
  throw new TlsConfigError('ERR_TLS_OPTION', message);
}

/** The certificate in a file of PKCS #12; none where the runtime does not show it. @throws {TlsConfigError} `ERR_TLS_OPTION` */
function leavesOf(source: TlsSource, passphrase: string | undefined): Leaf[] {
  const der = certificateIn(source, passphrase);
  return isInstance(der, Uint8Array) ? [{ source, certificate: new X509Certificate(der) }] : [];
}

function certificateIn({ bytes, name }: TlsSource, passphrase: string | undefined): unknown {
  const refused = (why: string, options?: ErrorOptions): TlsConfigError =>
    new TlsConfigError('ERR_TLS_OPTION', `${name} cannot be used: ${why}`, options);
  if (bytes.includes('-----BEGIN ')) throw refused('found PEM, expected PKCS #12; pass PEM as key and cert');
  if (bytes[0] !== 0x30) throw refused('it is not PKCS #12, or damaged; expected PKCS #12');
  try {
    const { context } = createSecureContext({ pfx: bytes, passphrase });
    const getCertificate = propertyOf(context, 'getCertificate');
    return typeof getCertificate === 'function' ? getCertificate.call(context) : undefined;
  } catch (error) {
    const why = passphrase === undefined ? 'passphrase is not given, or the file' : 'passphrase is wrong, or the file';
    throw refused(`${why} is damaged (${describe(error)}); expected PKCS #12, and its passphrase`, { cause: error });
  }
}

interface Key {
  readonly source: TlsSource;
  readonly pem: Buffer;
  readonly key: KeyObject;
}

function readKeys(option: string, { key, passphrase }: Options): Key[] {
  return readPem(option, key).map((source) => {
    const [pem] = pemBlocks(source, pemKinds.key);
    return { source, pem, key: parseKey(source.name, pem, passphrase) };
  });
}

/** Each key must have its certificate, and each certificate its key. */
function checkKeys(keys: readonly Key[], leaves: readonly Leaf[]): void {
  const fits = (key: KeyObject, { certificate }: Leaf): boolean => certificate.checkPrivateKey(key);
  const mismatch = (message: string): TlsConfigError => new TlsConfigError('ERR_TLS_KEY_MISMATCH', message);
  for (const { source, key } of keys)
    if (!leaves.some((leaf) => fits(key, leaf)))
      throw mismatch(`${source.name} is not the key of ${shortNames(leaves)}`);
  for (const leaf of leaves)
    if (!keys.some(({ key }) => fits(key, leaf)))
      throw mismatch(`${leaf.source.name} has no key among ${shortNames(keys)}`);
}

/** Without the function that the message names already, as in `serve: `. */
function shortNames(list: readonly { source: TlsSource }[]): string {
  return list.map(({ source }) => source.name.replace(/^\w+: /, '')).join(', ');
}

function parseKey(name: string, pem: Buffer, passphrase: string | undefined): KeyObject {
  try {
    return createPrivateKey({ key: pem, ...(passphrase === undefined ? {} : { passphrase }) });
  } catch (error) {
    const isEncrypted = pem.includes('ENCRYPTED');
    const why = !isEncrypted
      ? `it is damaged (${describe(error)})`
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
  ca: readonly Chain[],
  requestCert: boolean,
  rejectUnauthorized: boolean,
): string {
  const hash = createHash('sha256').update(JSON.stringify([names, requestCert, rejectUnauthorized]));
  for (const { pem } of ca) hash.update(pem);
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
    // For algorithms it often has no reason: `lib(0)::reason(0)`.
    const why = /reason\(0\)/.test(describe(error)) ? 'it has a name that OpenSSL does not know' : describe(error);
    throw new TlsConfigError('ERR_TLS_OPTION', `${subject} ${found}: ${why}`, { cause: error });
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
