// Makes X.509 certificates (RFC 5280) for ECDSA with P-256: what `--tls-self-signed` needs of them, and the tests. Only the encoding is here: keys and
// signatures are node:crypto's.

import { createHash, createPublicKey, type KeyObject, randomBytes, sign } from 'node:crypto';
import { isIP } from 'node:net';

export interface CertificateContent {
  /** The key that the certificate is for. */
  readonly key: KeyObject;
  /** The common name of its subject. */
  readonly subject: string;
  /** Host names and IP addresses that it is for. */
  readonly names: readonly string[];
  /** Milliseconds since the Unix epoch. */
  readonly from: number;
  readonly to: number;
  /** Who signs it. Default: it is signed with its own key. */
  readonly issuer?: { readonly key: KeyObject; readonly subject: string } | undefined;
  /** It may sign other certificates. Default false. */
  readonly isAuthority?: boolean | undefined;
}

/** @param key is for P-256, as that of the issuer @returns PEM */
export function makeCertificate({
  key,
  subject,
  names,
  from,
  to,
  issuer,
  isAuthority = false,
}: CertificateContent): string {
  const signer = issuer ?? { key, subject };
  const algorithm = sequence(objectId('1.2.840.10045.4.3.2')); // ecdsa-with-SHA256
  const content = sequence(
    explicit(0, integer(Buffer.of(2))), // version 3
    integer(randomBytes(16)),
    algorithm,
    nameOf(signer.subject),
    sequence(timeOf(from), timeOf(to)),
    nameOf(subject),
    createPublicKey(key).export({ type: 'spki', format: 'der' }),
    explicit(3, sequence(...extensions(key, signer.key, names, isAuthority))),
  );
  const signature = sign('sha256', content, signer.key);
  const der = sequence(content, algorithm, bitString(signature, 0));
  const lines = der.toString('base64').match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`;
}

/** RFC 5280 §4.2.1. */
function extensions(key: KeyObject, signer: KeyObject, names: readonly string[], isAuthority: boolean): Buffer[] {
  const digitalSignature = bitString(Buffer.of(0x80), 7);
  const signsCertificates = bitString(Buffer.of(0x06), 1);
  const purposes = sequence(objectId('1.3.6.1.5.5.7.3.1'), objectId('1.3.6.1.5.5.7.3.2')); // of servers and clients
  const list = [
    extension('2.5.29.19', true, isAuthority ? sequence(boolean(true)) : sequence()),
    extension('2.5.29.15', true, isAuthority ? signsCertificates : digitalSignature),
    extension('2.5.29.14', false, octetString(keyId(key))),
    extension('2.5.29.35', false, sequence(element(0x80, keyId(signer)))),
  ];
  if (!isAuthority) list.push(extension('2.5.29.37', false, purposes));
  if (names.length > 0) list.push(extension('2.5.29.17', false, sequence(...names.map(alternativeName))));
  return list;
}

function extension(id: string, isCritical: boolean, value: Buffer): Buffer {
  return sequence(objectId(id), ...(isCritical ? [boolean(true)] : []), octetString(value));
}

function keyId(key: KeyObject): Buffer {
  return createHash('sha1')
    .update(createPublicKey(key).export({ type: 'spki', format: 'der' }))
    .digest();
}

function alternativeName(name: string): Buffer {
  return isIP(name) === 0 ? element(0x82, Buffer.from(name, 'latin1')) : element(0x87, addressBytes(name));
}

/** 4 or 16 bytes. */
function addressBytes(address: string): Buffer {
  if (isIP(address) === 4) return Buffer.from(address.split('.').map(Number));
  const [head = '', tail] = address.split('::');
  const groups = (text: string | undefined): number[] =>
    text === undefined || text === '' ? [] : text.split(':').map((group) => Number.parseInt(group, 16));
  const first = groups(head);
  const last = groups(tail);
  const zeros = Array.from({ length: 8 - first.length - last.length }, () => 0);
  const bytes = Buffer.alloc(16);
  for (const [i, group] of [...first, ...zeros, ...last].entries()) bytes.writeUInt16BE(group, 2 * i);
  return bytes;
}

function nameOf(commonName: string): Buffer {
  const attribute = sequence(objectId('2.5.4.3'), element(0x0c, Buffer.from(commonName)));
  return sequence(element(0x31, attribute));
}

/** GeneralizedTime from 2050 on, UTCTime before (RFC 5280 §4.1.2.5). */
function timeOf(time: number): Buffer {
  const digits = `${new Date(time).toISOString().slice(0, 19).replaceAll(/\D/g, '')}Z`;
  return digits >= '2050' ? element(0x18, Buffer.from(digits)) : element(0x17, Buffer.from(digits.slice(2)));
}

// DER (X.690).

function element(tag: number, ...contents: Buffer[]): Buffer {
  const content = Buffer.concat(contents);
  const { length } = content;
  if (length < 128) return Buffer.concat([Buffer.of(tag, length), content]);
  const size = length < 256 ? Buffer.of(0x81, length) : Buffer.of(0x82, length >> 8, length & 255); // no element has 64 KiB
  return Buffer.concat([Buffer.of(tag), size, content]);
}

function sequence(...elements: Buffer[]): Buffer {
  return element(0x30, ...elements);
}

function explicit(number: number, content: Buffer): Buffer {
  return element(0xa0 + number, content);
}

/** @param bytes of a number that is not negative */
function integer(bytes: Buffer): Buffer {
  let start = 0;
  while (start < bytes.length - 1 && bytes[start] === 0) start++;
  const digits = bytes.subarray(start);
  return element(0x02, ...(digits[0] >= 0x80 ? [Buffer.of(0)] : []), digits);
}

function boolean(value: boolean): Buffer {
  return element(0x01, Buffer.of(value ? 0xff : 0));
}

function bitString(bytes: Buffer, unusedBits: number): Buffer {
  return element(0x03, Buffer.of(unusedBits), bytes);
}

function octetString(bytes: Buffer): Buffer {
  return element(0x04, bytes);
}

function objectId(text: string): Buffer {
  const [first, second, ...rest] = text.split('.').map(Number);
  const bytes = [40 * first + second];
  for (const number of rest) {
    const digits = [number & 127];
    for (let left = Math.floor(number / 128); left > 0; left = Math.floor(left / 128))
      digits.unshift((left & 127) | 128);
    bytes.push(...digits);
  }
  return element(0x06, Buffer.from(bytes));
}
