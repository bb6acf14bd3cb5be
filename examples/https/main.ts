// HTTPS with certificates of an ACME authority, such as Let's Encrypt: gets one, renews it in time, and puts the new one in place without a restart.
//
//   npm install acme-client
//   NAMES=example.com,www.example.com EMAIL=me@example.com FOLDER=/var/lib/sluice node build/examples/https/main.js
//
// The authority asks for http://NAME/.well-known/acme-challenge/…, so ports 80 and 443 of the names must lead here. HTTP_PORT and HTTPS_PORT are others, for
// a machine behind a router. Everything else that comes without TLS is sent to https. Try it with the authority's directory for tests first:
// DIRECTORY=https://acme-staging-v02.api.letsencrypt.org/directory

import { X509Certificate } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { serve } from 'sluice';
import { issueCertificate } from './authority.js';

const {
  NAMES = 'localhost',
  EMAIL,
  FOLDER = '.',
  HOST,
  HTTP_PORT = '80',
  HTTPS_PORT = '443',
  DIRECTORY = 'https://acme-v02.api.letsencrypt.org/directory',
  ACME_CLIENT = 'acme-client',
  CHECK_EVERY = '43200000', // 12 hours, in milliseconds
} = process.env;
const names = NAMES.split(',');
const key = join(FOLDER, 'key.pem');
const cert = join(FOLDER, 'cert.pem');
const renewal = 30 * 86_400_000;

/** What the authority asks for, by token. */
const challenges = new Map<string, string>();

const plain = await serve({
  port: Number(HTTP_PORT),
  hostname: HOST,
  fetch(request) {
    const url = new URL(request.url);
    const answer = challenges.get(url.pathname.replace('/.well-known/acme-challenge/', ''));
    if (answer !== undefined) return new Response(answer);
    return new Response(null, {
      status: 308,
      headers: { location: `https://${url.hostname}${url.pathname}${url.search}` },
    });
  },
});

function isDue(): boolean {
  if (!existsSync(key) || !existsSync(cert)) return true;
  return Date.parse(new X509Certificate(readFileSync(cert)).validTo) - Date.now() < renewal;
}

async function issue(): Promise<void> {
  const issued = await issueCertificate(names, {
    directoryUrl: DIRECTORY,
    email: EMAIL,
    client: ACME_CLIENT,
    challenges,
  });
  mkdirSync(FOLDER, { recursive: true, mode: 0o700 });
  for (const [path, text] of [
    [key, issued.key],
    [cert, issued.cert],
  ]) {
    writeFileSync(`${path}.new`, text, { mode: 0o600 });
    renameSync(`${path}.new`, path);
  }
}

if (isDue()) await issue();
const server = await serve({
  port: Number(HTTPS_PORT),
  hostname: HOST,
  tls: { key, cert },
  fetch: (request, { tls }) => new Response(`you asked for ${request.url} over ${tls?.protocol}\n`),
});
console.log(`serving ${server.url}`);

/** If it fails, the certificate in use has 30 days left for the next attempts. */
async function renew(): Promise<void> {
  try {
    if (isDue()) {
      await issue();
      await server.reload({ tls: { key, cert } });
      console.log('the certificate has been renewed');
    }
  } catch (error) {
    console.error('the certificate has not been renewed:', error);
  } finally {
    if (!isEnding) timer = setTimeout(renew, Number(CHECK_EVERY));
  }
}
let isEnding = false;
let timer = setTimeout(renew, Number(CHECK_EVERY));

async function end(): Promise<void> {
  isEnding = true;
  clearTimeout(timer);
  await Promise.all([server.close(), plain.close()]);
}
process.once('SIGINT', end);
process.once('SIGTERM', end);
