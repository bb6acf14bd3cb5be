// `--tls-self-signed`: a certificate for this machine, for development. It is made once and kept, so that clients have to be told only once to trust it.

import { createPrivateKey, generateKeyPairSync, type KeyObject, X509Certificate } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { homedir, hostname } from 'node:os';
import { dirname, join } from 'node:path';
import { makeCertificate } from './certificate.js';

const day = 86_400_000;
/** Apple's systems take no certificate for longer than 398 days. */
const validity = 365 * day;
/** With less than this left a new one is made. */
const renewal = 30 * day;

export interface SelfSigned {
  /** Paths of PEM files. */
  readonly key: string;
  readonly cert: string;
  readonly isNew: boolean;
  /** When it expires. */
  readonly until: Date;
}

/** The folder of the user's cache. */
export function cacheFolder(env: NodeJS.ProcessEnv = process.env, platform: string = process.platform): string {
  if (env.XDG_CACHE_HOME) return join(env.XDG_CACHE_HOME, 'sluice');
  if (platform === 'darwin') return join(homedir(), 'Library', 'Caches', 'sluice');
  if (platform === 'win32' && env.LOCALAPPDATA) return join(env.LOCALAPPDATA, 'sluice');
  return join(homedir(), '.cache', 'sluice');
}

/** The certificate in the folder, or a new one. @throws the system's error if the folder cannot be written */
export function selfSigned(folder: string = cacheFolder(), now: number = Date.now()): SelfSigned {
  const key = join(folder, 'self-signed-key.pem');
  const cert = join(folder, 'self-signed-cert.pem');
  const names = [...new Set(['localhost', hostname().toLowerCase(), '127.0.0.1', '::1'])];
  const known = lastDay(key, cert, names);
  if (known > now + renewal) return { key, cert, isNew: false, until: new Date(known) };
  makeFolder(folder);
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const to = now + validity;
  const subject = `sluice on ${hostname()}, for development`.slice(0, 64); // RFC 5280, ub-common-name
  write(key, privateKey.export({ type: 'pkcs8', format: 'pem' }).toString());
  write(cert, makeCertificate({ key: privateKey, subject, names, from: now - day, to }));
  return { key, cert, isNew: true, until: new Date(to) };
}

/** Step by step: `recursive` of Node never returns where the system says ENOENT for a folder that cannot be made, as in /proc. */
function makeFolder(path: string): void {
  if (existsSync(path)) return;
  const parent = dirname(path);
  if (parent !== path) makeFolder(parent);
  try {
    mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    if (!existsSync(path)) throw error; // another process may have made it
  }
}

/** When the certificate there expires, in milliseconds since the Unix epoch; 0 if there is none for these names with its key. */
function lastDay(key: string, cert: string, names: readonly string[]): number {
  try {
    const certificate = new X509Certificate(readFileSync(cert));
    chmodSync(key, 0o600); // the user may have copied it
    if (!certificate.checkPrivateKey(privateKeyIn(key))) return 0;
    const isFor = (name: string): boolean =>
      certificate.checkHost(name) !== undefined || certificate.checkIP(name) !== undefined;
    return names.every(isFor) ? Date.parse(certificate.validTo) : 0;
  } catch {
    return 0; // missing or damaged: it is made again
  }
}

function privateKeyIn(path: string): KeyObject {
  return createPrivateKey(readFileSync(path));
}

/** Only this user can read it. In one step, so that another process finds the old file or the new one. */
function write(path: string, text: string): void {
  const temporary = `${path}.${process.pid}`;
  writeFileSync(temporary, text, { mode: 0o600 });
  renameSync(temporary, path);
}
