// The blocks in a text of PEM (RFC 7468): which kinds there are, and whether each is whole. Runtimes differ in what they do with a block of another kind
// beside the one that they look for, so each is given the blocks that it needs, and no others.

import { TlsConfigError } from './errors.js';
import type { TlsSource } from './files.js';

/** What is looked for. */
export interface PemKind {
  /** For messages, such as `certificate`. */
  readonly what: string;
  /** For messages, such as `CERTIFICATE`. */
  readonly expected: string;
  /** Of the labels that it has. */
  readonly label: RegExp;
  /** Of the error if there is none, or one is cut. */
  readonly code: string;
}

export const pemKinds = {
  key: { what: 'private key', expected: 'PRIVATE KEY', label: /PRIVATE KEY$/, code: 'ERR_TLS_KEY' },
  certificate: {
    what: 'certificate',
    expected: 'CERTIFICATE',
    label: /^(?:X509 |TRUSTED )?CERTIFICATE$/,
    code: 'ERR_TLS_CERT',
  },
  crl: { what: 'revocation list', expected: 'X509 CRL', label: /^X509 CRL$/, code: 'ERR_TLS_OPTION' },
  dhparam: { what: 'parameters', expected: 'DH PARAMETERS', label: /DH PARAMETERS$/, code: 'ERR_TLS_OPTION' },
} as const satisfies Record<string, PemKind>;

const begin = '-----BEGIN ';

/** @returns the blocks of that kind, at least one @throws {TlsConfigError} if there is none, or one has no end */
export function pemBlocks({ bytes, name }: TlsSource, { what, expected, label, code }: PemKind): Buffer[] {
  const found: string[] = [];
  const blocks: Buffer[] = [];
  for (const part of bytes.toString('latin1').split(begin).slice(1)) {
    const [, type = 'a line that is damaged'] = /^([A-Z0-9 .]{1,40})-----/.exec(part) ?? [];
    found.push(type);
    if (!label.test(type)) continue;
    const end = `-----END ${type}-----`;
    const at = part.indexOf(end);
    if (at === -1) throw new TlsConfigError(code, `${name} has no ${what} that can be read: "${end}" is missing`);
    blocks.push(Buffer.from(`${begin}${part.slice(0, at)}${end}\n`, 'latin1'));
  }
  if (blocks.length > 0) return blocks;
  const types = [...new Set(found)].join(', ');
  throw new TlsConfigError(code, `${name} has no ${what}: found ${types}, expected ${expected}`);
}

/** Whether the bytes are one SEQUENCE of DER (X.690 §8.1) with all of its content, and no more. */
export function isDerSequence(bytes: Uint8Array): boolean {
  if (bytes.length < 2 || bytes[0] !== 0x30) return false;
  if (bytes[1] < 0x80) return bytes.length === 2 + bytes[1];
  const size = bytes[1] & 0x7f;
  let length = 0;
  for (const byte of bytes.subarray(2, 2 + size)) length = length * 256 + byte;
  return size >= 1 && size <= 4 && bytes.length === 2 + size + length;
}
