// Certificates for tests, made at run time: an authority, and whatever it signs. All keys are for ECDSA with P-256.

import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { type CertificateContent, makeCertificate } from '#sluice/cli/certificate.js';

export interface Certificate {
  /** PEM. */
  readonly cert: string;
  readonly key: string;
  readonly keyObject: KeyObject;
}

const day = 86_400_000;

function certificate(content: Partial<CertificateContent> & { subject: string }): Certificate {
  const key = content.key ?? newKey();
  const now = Date.now();
  const cert = makeCertificate({ names: [], from: now - day, to: now + day, ...content, key });
  return { cert, key: key.export({ type: 'pkcs8', format: 'pem' }).toString(), keyObject: key };
}

export function newKey(): KeyObject {
  return generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
}

const authorityName = 'Authority of the tests';
/** What `ca` is to be, for certificates of `signed`. */
export const authority = certificate({ subject: authorityName, isAuthority: true });

/** A certificate that the authority has signed. @param names host names and IP addresses; the first is its common name */
export function signed(names: string | readonly string[], content: Partial<CertificateContent> = {}): Certificate {
  const list = typeof names === 'string' ? [names] : names;
  const issuer = { key: authority.keyObject, subject: authorityName };
  return certificate({ subject: list[0], names: list, issuer, ...content });
}

/** For servers on this machine. */
export const local = signed(['localhost', '127.0.0.1', '::1']);
