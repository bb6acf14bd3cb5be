// The certificate of the servers that speak TLS: self-signed, with a key on P-256. Made once by openssl(1).

import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { folder } from '../peers.js';
import { versionOf } from '../processes.js';

const place = join(folder, 'build', 'certificate');
const files = { TLS_KEY: join(place, 'key.pem'), TLS_CERT: join(place, 'cert.pem') };

/** Why there is no certificate; undefined if there is one, or it can be made. */
export function certificateObstacle(): string | undefined {
  if (existsSync(files.TLS_CERT) || versionOf('openssl', 'version') !== undefined) return undefined;
  return 'openssl is not installed, which makes the certificate';
}

/** @returns the environment that names its files to a server. @throws {Error} if openssl fails */
export function certificate(): typeof files {
  if (existsSync(files.TLS_CERT)) return files;
  mkdirSync(place, { recursive: true });
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', files.TLS_KEY];
  const name = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1'];
  const args = ['req', '-x509', '-days', '3650', ...key, ...name, '-out', files.TLS_CERT];
  const { status, stderr } = spawnSync('openssl', args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`openssl req fails: ${stderr.trim().split('\n').at(-1)}`);
  return files;
}
