// The options of the `sluice` command for TLS.

import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { httpsUrl } from '#sluice/cli/redirect.js';
import { cacheFolder, selfSigned } from '#sluice/cli/self-signed.js';
import { reloadOnChange } from '#sluice/cli/tls.js';
import { local, signed } from '../support/certificates.js';
import { Program } from '../support/program.js';
import { get, runClient } from '../support/tls-clients.js';

const command = fileURLToPath(import.meta.resolve('#sluice/cli/sluice.js'));
const folder = mkdtempSync(join(tmpdir(), 'sluice-cli-tls-'));
const runs: Program[] = [];
after(() => {
  for (const run of runs) run.kill();
  rmSync(folder, { recursive: true });
});

function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

const app = file('app.mjs', "export default { fetch: ({ url }, { tls }) => new Response(url + ' ' + tls?.protocol) };");
const key = file('key.pem', local.key);
const cert = file('cert.pem', local.cert);
const otherCert = file('other.pem', signed('other').cert);

function start(...args: string[]): Program {
  return startIn(folder, ...args);
}

function startIn(cache: string, ...args: string[]): Program {
  const env = { PORT: '0', HOST: '127.0.0.1', XDG_CACHE_HOME: cache };
  const run = new Program([process.execPath, command, app, ...args], { env });
  runs.push(run);
  return run;
}

async function failure(...args: string[]): Promise<string> {
  const { code, stderr } = await start(...args).ended;
  assert.equal(code, 1);
  return stderr;
}

describe('the sluice command', () => {
  test('serves https with a key and a certificate, and redirects from http', async () => {
    const run = start('--tls-key', key, '--tls-cert', cert, '--redirect-http', '0');
    const [, url] = await run.printed(/ at (https:\S+) \(/);
    const [, plain] = await run.printed(/^sluice: (http:\S+) redirects to https$/m);
    assert.equal((await get(url)).text, `${url} TLSv1.3`);
    for (const [method, status] of [
      ['GET', 301],
      ['POST', 308],
    ] as const) {
      const response = await fetch(`${plain}a?b`, { method, redirect: 'manual' });
      assert.deepEqual([response.status, response.headers.get('location')], [status, `${url}a?b`]);
    }
    assert.equal((await run.stop('SIGTERM')).code, 0);
    assert.equal(run.stderr, '');
  });

  test('serves https with a self-signed certificate, and says how to trust it', async () => {
    const run = start('--tls-self-signed');
    const [, url] = await run.printed(/ at (https:\S+) \(/);
    const [, path] = await run.printed(/--cacert (\S+),/);
    assert.match(await runClient('curl', ['-sS', '--max-time', '5', '--cacert', path, url]), / TLSv1\.3$/);
    await run.stop('SIGTERM');
    assert.equal(run.stderr, '');
  });

  test('says what is wrong with its options', async () => {
    assert.deepEqual(
      await Promise.all([
        failure('--tls-key', key),
        failure('--tls-self-signed', '--tls-cert', cert),
        failure('--tls-key', join(folder, 'none'), '--tls-cert', cert),
        failure('--redirect-http', '80'),
        failure('--tls-key', key, '--tls-cert', cert, '--port', '4', '--redirect-http', '4'),
        failure('--tls-key', key, '--tls-cert', otherCert),
        startIn(join(folder, 'unused'), '--tls-self-signed', '--redirect-http', 'abc').ended.then((run) => run.stderr),
      ]),
      [
        'sluice: --tls-key is given without --tls-cert; expected both\n',
        'sluice: --tls-self-signed and --tls-key or --tls-cert are both given; expected one of them\n',
        `sluice: --tls-key is "${join(folder, 'none')}", which cannot be read: there is no such file\n`,
        'sluice: --redirect-http is given without TLS; expected --tls-key and --tls-cert, --tls-self-signed, or a module with the option tls\n',
        'sluice: --redirect-http is 4, the port that is served with TLS; expected another\n',
        `sluice: --tls-key (${key}) is not the key of --tls-cert (${otherCert})\n`,
        'sluice: --redirect-http is "abc"; expected a whole number from 0 to 65535\n',
      ],
    );
    assert.equal(existsSync(join(folder, 'unused')), false, 'no certificate has been made');
    const { stderr } = await startIn('/proc/nope', '--tls-self-signed').ended;
    assert.match(stderr, /^sluice: --tls-self-signed: no certificate can be made: ENOENT/);
  });
});

test('files that have changed are loaded again once both are written; what cannot be used is reported', async (t) => {
  const logged = t.mock.method(console, 'log', () => {});
  const failed = t.mock.method(console, 'error', () => {});
  const files = { key: file('changing-key.pem', local.key), cert: file('changing-cert.pem', local.cert) };
  let reloads = 0;
  let isWrong = false;
  const server = {
    async reload() {
      reloads++;
      if (isWrong) throw new Error('reload: tls.key is wrong');
    },
  };
  const stop = reloadOnChange(server, files, { interval: 5, settling: 100 });
  const until = async (holds: () => boolean) => {
    while (!holds()) await new Promise((resolve) => setTimeout(resolve, 5));
  };
  const next = signed('next');
  // Nothing tells when the first state of a file has been seen; what changes before that goes unseen. So each is touched until that is noticed.
  for (const path of Object.values(files)) {
    const before = reloads;
    for (let seconds = 1; reloads === before; seconds++) {
      utimesSync(path, seconds, seconds);
      await new Promise((resolve) => setTimeout(resolve, 250));
    }
  }
  logged.mock.resetCalls();
  reloads = 0;
  writeFileSync(files.key, next.key);
  writeFileSync(files.cert, next.cert);
  await until(() => logged.mock.callCount() === 1);
  assert.equal(reloads, 1);
  isWrong = true;
  writeFileSync(files.cert, 'nonsense');
  await until(() => failed.mock.callCount() === 1);
  assert.match(
    String(failed.mock.calls[0].arguments[0]),
    /has not been reloaded, and the old one stays in use: --tls-key is wrong/,
  );
  stop();
});

test('the self-signed certificate is made once, is only for this user to read, and is renewed in time', () => {
  const own = join(folder, 'own');
  const now = Date.now();
  const first = selfSigned(own, now);
  assert.equal(first.isNew, true);
  assert.equal(statSync(first.key).mode & 0o777, 0o600);
  assert.equal(statSync(own).mode & 0o777, 0o700);
  const certificate = new X509Certificate(readFileSync(first.cert));
  assert.equal(certificate.checkHost('localhost'), 'localhost');
  for (const address of ['127.0.0.1', '::1']) assert.equal(certificate.checkIP(address), address);
  const text = readFileSync(first.cert, 'utf8');
  assert.equal(selfSigned(own, now).isNew, false);
  assert.equal(readFileSync(first.cert, 'utf8'), text);
  assert.equal(selfSigned(own, now + 340 * 86_400_000).isNew, true, 'less than 30 days are left');
  writeFileSync(first.key, local.key);
  assert.equal(selfSigned(own, now).isNew, true, 'the key is another');
});

test('the cache of the user is where the system has it', () => {
  assert.equal(cacheFolder({ XDG_CACHE_HOME: '/x' }, 'linux'), '/x/sluice');
  assert.match(cacheFolder({}, 'linux'), /\/\.cache\/sluice$/);
  assert.match(cacheFolder({}, 'darwin'), /\/Library\/Caches\/sluice$/);
  assert.match(cacheFolder({ LOCALAPPDATA: 'C:\\local' }, 'win32'), /^C:\\local.sluice$/);
});

test('a redirect keeps host, path and query, and leaves out the usual port', () => {
  assert.equal(httpsUrl('http://a.example:80/x?y', 443), 'https://a.example/x?y');
  assert.equal(httpsUrl('http://a.example/x', 8443), 'https://a.example:8443/x');
  assert.equal(httpsUrl('http://[::1]:3000/', 8443), 'https://[::1]:8443/');
});
