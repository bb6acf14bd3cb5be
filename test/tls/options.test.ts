// The option `tls`: what it may be, and the error for everything that it may not be. Nothing is opened before all of it has been checked.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, describe, it, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { inspect } from 'node:util';
import { makeCertificate } from '#sluice/cli/certificate.js';
import type { TlsIdentity } from '#sluice/tls/config.js';
import { clientTls } from '#sluice/tls/options/client-config.js';
import { TlsConfigError } from '#sluice/tls/options/errors.js';
import type { LoadedIdentity } from '#sluice/tls/options/identity.js';
import type { TlsServerOptions } from '#sluice/tls/options/options.js';
import { ServerTls } from '#sluice/tls/options/server-config.js';
import { SniCache } from '#sluice/tls/options/sni.js';
import { authority, local, newKey, signed } from '../support/certificates.js';
import { runClient } from '../support/tls-clients.js';

const day = 86_400_000;
const folder = mkdtempSync(path.join(tmpdir(), 'sluice-tls-'));
after(() => rmSync(folder, { recursive: true }));

function file(name: string, content: string | Uint8Array): string {
  const place = path.join(folder, name);
  writeFileSync(place, content);
  return place;
}

const { key, cert } = local;
const keyFile = file('key.pem', key);
const certFile = file('cert.pem', cert);
const other = signed('other.example');
const encrypted = local.keyObject
  .export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'open sesame' })
  .toString();
const expired = signed('localhost', { from: Date.now() - 3 * day, to: Date.now() - day });
const early = signed('localhost', { from: Date.now() + day, to: Date.now() + 3 * day });
/** A key without the lines around it, as people paste them. */
const bare = key.split('\n').slice(1, -2).join('');

const damaged = cert.replace(/\n.{9}/, '\nAAAAAAAAA');
const fifo = path.join(folder, 'fifo');
execFileSync('mkfifo', [fifo]);

const errors: unknown[] = [];
function server(options: unknown): ServerTls {
  // The cast: many are wrong on purpose.
  const tls = options as TlsServerOptions;
  return new ServerTls('serve: tls', tls, {
    alpnProtocols: ['http/1.1', 'http/1.0'],
    onError: (error) => errors.push(error),
  });
}

/** Options, the code of the error or its class, and its message. */
const refused: [name: string, options: unknown, code: string, message: RegExp][] = [
  [
    'no file',
    { key: path.join(folder, 'none.pem'), cert },
    'ERR_TLS_FILE',
    /^serve: tls\.key is ".*none\.pem", which cannot be read: there is no such file$/,
  ],
  ['a folder', { key, cert: folder }, 'ERR_TLS_FILE', /tls\.cert is ".*", which cannot be read: it is a folder$/],
  [
    'a file that is not PEM',
    { key: file('text', 'hello'), cert },
    'ERR_TLS_PEM',
    /tls\.key \(.*text\) has no "-----BEGIN"; expected PEM/,
  ],
  ['a key without its lines', { key: bare, cert }, 'ERR_TLS_PEM', /tls\.key is a string of \d+ characters without/],
  ['DER', { key, cert: Buffer.from([0x30, 0x82, 1, 1]) }, 'ERR_TLS_PEM', /tls\.cert has no "-----BEGIN"/],
  [
    'a damaged key',
    { key: key.replace(/\n.{9}/, '\nAAAAAAAAA'), cert },
    'ERR_TLS_KEY',
    /tls\.key has no private key that can be read/,
  ],
  [
    'a certificate as a key',
    { key: certFile, cert },
    'ERR_TLS_KEY',
    /tls\.key \(.*cert\.pem\) has no private key: found CERTIFICATE, expected PRIVATE KEY$/,
  ],
  [
    'a key as a certificate',
    { key, cert: keyFile },
    'ERR_TLS_CERT',
    /tls\.cert \(.*key\.pem\) has no certificate: found PRIVATE KEY, expected CERTIFICATE$/,
  ],
  [
    'another key',
    { key: other.key, cert: certFile },
    'ERR_TLS_KEY_MISMATCH',
    /^serve: tls\.key is not the key of tls\.cert \(.*cert\.pem\)$/,
  ],
  [
    'two keys for one certificate',
    { key: [key, other.key], cert },
    'ERR_TLS_KEY_MISMATCH',
    /tls\.key\[1\] is not the key of/,
  ],
  [
    'a certificate without its key',
    { key, cert: [cert, other.cert] },
    'ERR_TLS_KEY_MISMATCH',
    /tls\.cert\[1\] has no key among/,
  ],
  ['an encrypted key', { key: encrypted, cert }, 'ERR_TLS_KEY', /it is encrypted, and passphrase is not given/],
  [
    'a wrong passphrase',
    { key: encrypted, cert, passphrase: 'close sesame' },
    'ERR_TLS_KEY',
    /it is encrypted, and passphrase does not fit/,
  ],
  [
    'an expired certificate',
    { key: expired.key, cert: expired.cert },
    'ERR_TLS_EXPIRED',
    /tls\.cert has a certificate that expired at \d{4}-.*Z; allowExpired/,
  ],
  [
    'a certificate of tomorrow',
    { key: early.key, cert: early.cert },
    'ERR_TLS_EXPIRED',
    /that is not valid before \d{4}-/,
  ],
  [
    'no cipher',
    { key, cert, ciphers: 'NONE-SUCH' },
    'ERR_TLS_OPTION',
    /tls\.ciphers is "NONE-SUCH", which OpenSSL refuses/,
  ],
  [
    'no curve',
    { key, cert, ecdhCurve: 'none-such' },
    'ERR_TLS_OPTION',
    /tls\.ecdhCurve is "none-such", which OpenSSL refuses/,
  ],
  [
    'no algorithm',
    { key, cert, sigalgs: 'none-such' },
    'ERR_TLS_OPTION',
    /tls\.sigalgs is "none-such", which OpenSSL refuses: it has a name that OpenSSL does not know$/,
  ],
  [
    'a pfx that is none',
    { pfx: Buffer.from('none') },
    'ERR_TLS_OPTION',
    /tls\.pfx cannot be used: .*expected PKCS #12/,
  ],
  ['PEM as pfx', { pfx: certFile }, 'ERR_TLS_OPTION', /tls\.pfx \(.*cert\.pem\) cannot be used: found PEM/],
  ['a FIFO', { key: fifo, cert }, 'ERR_TLS_FILE', /tls\.key is ".*fifo", which cannot be read: it is no regular file$/],
  ['a device', { key, cert: '/dev/null' }, 'ERR_TLS_FILE', /tls\.cert is "\/dev\/null", which .*no regular file$/],
  [
    'a key that is cut',
    { key: key.slice(0, 150), cert },
    'ERR_TLS_KEY',
    /tls\.key has no private key that can be read: "-----END PRIVATE KEY-----" is missing$/,
  ],
  [
    'a chain whose second certificate is cut',
    { key, cert: file('cut.pem', cert + other.cert.slice(0, 200)) },
    'ERR_TLS_CERT',
    /tls\.cert \(.*cut\.pem\) has no certificate that can be read: "-----END CERTIFICATE-----" is missing$/,
  ],
  [
    'a chain whose second certificate is damaged',
    { key, cert: cert + damaged },
    'ERR_TLS_CERT',
    /tls\.cert has no certificate that can be read in place 2 of 2: /,
  ],
  [
    'a key as ca',
    { key, cert, ca: [authority.cert, keyFile] },
    'ERR_TLS_CERT',
    /tls\.ca\[1\] \(.*key\.pem\) has no certificate: found PRIVATE KEY, expected CERTIFICATE$/,
  ],
  ['a damaged ca', { key, cert, ca: damaged }, 'ERR_TLS_CERT', /tls\.ca has no certificate that can be read: /],
  ['a ca that is cut', { key, cert, ca: cert.slice(0, 200) }, 'ERR_TLS_CERT', /tls\.ca .*is missing$/],
  [
    'a certificate as crl',
    { key, cert, crl: cert },
    'ERR_TLS_OPTION',
    /tls\.crl .*: found CERTIFICATE, expected X509 CRL$/,
  ],
  [
    'a damaged crl',
    { key, cert, crl: damaged.replaceAll('CERTIFICATE', 'X509 CRL') },
    'ERR_TLS_OPTION',
    /tls\.crl has a revocation list that cannot be read/,
  ],
  [
    'a certificate as dhparam',
    { key, cert, dhparam: cert },
    'ERR_TLS_OPTION',
    /tls\.dhparam .*: found CERTIFICATE, expected DH PARAMETERS$/,
  ],
  [
    'an OCSP response of 3 bytes',
    { key, cert, ocsp: new Uint8Array(3) },
    'ERR_TLS_OPTION',
    /tls\.ocsp has 3 bytes that are no OCSP response; expected DER$/,
  ],
  [
    'DER that is no OCSP response',
    { key, cert, ocsp: Uint8Array.of(0x30, 2, 5, 0) },
    'ERR_TLS_OPTION',
    /tls\.ocsp is DER, but no OCSP response/,
  ],
  [
    'an OCSP response without an answer',
    { key, cert, ocsp: Uint8Array.of(0x30, 3, 10, 1, 3) },
    'ERR_TLS_OPTION',
    /tls\.ocsp .*with the status 3; expected 0/,
  ],
  [
    'HTTP/2, which is not spoken',
    { key, cert, alpnProtocols: ['h2', 'http/1.1'] },
    'TypeError',
    /^serve: tls: alpnProtocols has "h2"; expected only "http\/1\.1" and "http\/1\.0"/,
  ],
  [
    "Node's form of keys",
    { key: [{ pem: key }], cert },
    'TypeError',
    /key is an array with something else; .*; of Node's \{ pem, passphrase \}/,
  ],
  [
    'a name in other letters',
    { key, cert, serverName: '*.bücher.example' },
    'TypeError',
    /in ASCII \(punycode\) it is "\*\.xn--bcher-kva\.example"$/,
  ],
  [
    'a URL of a file on another machine',
    { key: 'file://host/key', cert },
    'TypeError',
    /tls\.key is "file:\/\/host\/key"; expected a file: URL with a path/,
  ],
  [
    'a name for two certificates',
    [
      { key, cert, serverName: 'a.example' },
      { key, cert, serverName: ['b.example', 'A.example.'] },
    ],
    'TypeError',
    /^serve: tls\[1\]: serverName has "a\.example", which tls\[0\] has too/,
  ],
  ['neither key nor cert', {}, 'TypeError', /^serve: tls: neither key and cert nor pfx are given/],
  ['a key alone', { key }, 'TypeError', /key is given without cert/],
  ['a certificate alone', { cert }, 'TypeError', /cert is given without key/],
  ['pfx and key', { pfx: 'x', key, cert }, 'TypeError', /pfx and key are both given/],
  ['an empty array', [], 'TypeError', /^serve: tls is an empty array/],
  ['an empty array of keys', { key: [], cert }, 'TypeError', /tls: key is an empty array; expected PEM/],
  ['a number for a key', { key: 5, cert }, 'TypeError', /tls: key is a number; expected PEM, the path of a file/],
  [
    'another scheme',
    { key: new URL('https://example.com/key'), cert },
    'TypeError',
    /tls\.key is a URL with the scheme "https:"; expected file:/,
  ],
  ['an unknown option', { key, cert, kez: 1 }, 'TypeError', /^serve: tls: unknown option "kez"/],
  [
    'an old version',
    { key, cert, minVersion: 'TLSv1.1' },
    'TypeError',
    /minVersion is "TLSv1\.1"; expected "TLSv1\.2" or "TLSv1\.3"/,
  ],
  [
    'versions the wrong way round',
    { key, cert, minVersion: 'TLSv1.3', maxVersion: 'TLSv1.2' },
    'TypeError',
    /minVersion is TLSv1\.3 and maxVersion TLSv1\.2/,
  ],
  [
    'a name with a star in the middle',
    { key, cert, serverName: 'a.*.b' },
    'TypeError',
    /serverName is "a\.\*\.b"; expected a host name/,
  ],
  ['an address for a name', { key, cert, serverName: '127.0.0.1' }, 'TypeError', /serverName is "127\.0\.0\.1"/],
  [
    'short ticket keys',
    { key, cert, ticketKeys: Buffer.alloc(47) },
    'TypeError',
    /ticketKeys is .*; expected 48 bytes; it has 47$/,
  ],
  ['a protocol that is too long', { key, cert, alpnProtocols: ['x'.repeat(256)] }, 'TypeError', /alpnProtocols is/],
  [
    'no time',
    { key, cert, handshakeTimeout: 0 },
    'RangeError',
    /handshakeTimeout is 0; expected a number from 1 to 86400000/,
  ],
  [
    'a setting of the listener with the second certificate',
    [
      { key, cert },
      { key, cert, handshakeTimeout: 5 },
    ],
    'TypeError',
    /^serve: tls\[1\]: handshakeTimeout is given; expected it with the first certificate/,
  ],
  [
    'a wrong file of the second certificate',
    [
      { key, cert },
      { key, cert: '/none' },
    ],
    'ERR_TLS_FILE',
    /^serve: tls\[1\]\.cert is "\/none"/,
  ],
];

describe('the option tls refuses', () => {
  for (const [name, options, code, message] of refused)
    it(name, () => {
      assert.throws(
        () => server(options),
        (error: Error & { code?: string }) => {
          assert.equal(error instanceof TlsConfigError ? error.code : error.name, code, error.message);
          assert.match(error.message, message);
          const text = inspect(error, { depth: 10, showHidden: true });
          for (const secret of [bare, bare.slice(0, 40), 'sesame'])
            assert.ok(!text.includes(secret), 'a secret is in it');
          return true;
        },
      );
    });
});

test('a file that this user may not read is named', {
  skip: process.getuid?.() === 0 ? 'root reads all files' : false,
}, () => {
  const place = file('secret.pem', key);
  chmodSync(place, 0);
  assert.throws(() => server({ key: place, cert }), /secret\.pem", which cannot be read: permission denied/);
});

test('PEM may be text, bytes, the path of a file, a file: URL, and an array of these', () => {
  for (const [one, two] of [
    [key, cert],
    [Buffer.from(key), new Uint8Array(Buffer.from(cert))],
    [keyFile, certFile],
    [pathToFileURL(keyFile), pathToFileURL(certFile)],
    [pathToFileURL(keyFile).href, pathToFileURL(certFile).href],
    [cert + key, key + cert],
    [[key], [certFile]],
    [encrypted, cert],
  ])
    assert.ok(server({ key: one, cert: two, passphrase: 'open sesame' }).identityFor(undefined));
});

test('a file of PKCS #12 has key and certificate, whose names and dates count', async () => {
  const pfxOf = async (name: string, certificate: { cert: string; key: string }): Promise<string> => {
    const place = path.join(folder, `${name}.p12`);
    const parts = ['-in', file(`${name}.pem`, certificate.cert), '-inkey', file(`${name}-key.pem`, certificate.key)];
    await runClient('openssl', ['pkcs12', '-export', '-out', place, '-passout', 'pass:word', ...parts]);
    return place;
  };
  const first = await pfxOf('first', local);
  const tls = server([
    { pfx: first, passphrase: 'word' },
    { pfx: await pfxOf('second', other), passphrase: 'word' },
  ]);
  assert.notEqual(tls.identityFor('other.example'), tls.identityFor('localhost'));
  assert.equal(tls.identityFor('localhost'), tls.identityFor('unknown.example'));
  const old = await pfxOf('old', expired);
  assert.throws(() => server({ pfx: old, passphrase: 'word' }), { code: 'ERR_TLS_EXPIRED' });
  assert.throws(() => server({ pfx: first, passphrase: 'other' }), { code: 'ERR_TLS_OPTION' });
});

test('a certificate that has expired is used with allowExpired', () => {
  assert.ok(server({ cert: expired.cert, key: expired.key, allowExpired: true }).identityFor(undefined));
});

test('only the first certificate of a chain must be valid today', () => {
  const old = makeCertificate({ key: newKey(), subject: 'old', names: [], from: 0, to: day });
  assert.ok(server({ key, cert: cert + old }).identityFor(undefined));
});

/** Which of the given certificates is chosen for a name. */
function chooser(list: TlsServerOptions[]): (name: string | undefined) => number {
  const tls = server(list);
  const known = list.map((_, i) => tls.identityFor(`only-${i}.test`));
  return (name) => known.indexOf(tls.identityFor(name));
}

test('the name that a client asks for chooses the certificate: exactly, then with a star, then the first', () => {
  const make = (i: number, names: string[]) => {
    const { key, cert } = signed([...names, `only-${i}.test`]);
    return { key, cert };
  };
  const choose = chooser([
    make(0, ['default.example']),
    make(1, ['a.example', '*.b.example']),
    make(2, ['x.b.example', 'a.example']),
    { ...make(3, ['ignored.example']), serverName: ['Given.Example', 'only-3.test'] },
  ]);
  for (const [name, expected] of [
    [undefined, 0],
    ['unknown.example', 0],
    ['a.example', 1],
    ['A.Example.', 1],
    ['y.b.example', 1],
    ['x.b.example', 2],
    ['z.y.b.example', 0],
    ['b.example', 0],
    ['given.example', 3],
    ['ignored.example', 0],
    ['', 0],
    ['__proto__', 0],
  ] as const)
    assert.equal(choose(name), expected, String(name));
});

describe('sni', () => {
  const options = { key, cert };

  it('is asked for names that no certificate is for, once for each while it is on its way', async () => {
    const asked: string[] = [];
    const tls = server({
      ...options,
      sni: async (name: string) => {
        asked.push(name);
        return name === 'none.example' ? undefined : { key: other.key, cert: other.cert };
      },
    });
    const first = tls.identityFor('localhost');
    const [one, two] = await Promise.all([tls.identityFor('New.example'), tls.identityFor('new.example')]);
    assert.equal(one, two);
    assert.notEqual(one, first);
    assert.equal(tls.identityFor('new.example'), one, 'at once from then on');
    assert.equal(await tls.identityFor('none.example'), first, 'the certificate beside it');
    assert.equal(tls.identityFor(undefined), first);
    assert.deepEqual(asked, ['new.example', 'none.example']);
    tls.reload('reload: tls', { ...options, sni: () => undefined });
    assert.notEqual(tls.identityFor('new.example'), one);
  });

  it('refuses a name by undefined where there is no other certificate', async () => {
    assert.equal(server({ sni: () => undefined }).identityFor('x.example'), undefined);
    assert.equal(await server({ sni: async () => undefined }).identityFor('x.example'), undefined);
    assert.equal(server({ sni: () => undefined }).identityFor(undefined), undefined);
  });

  it('reports what it throws, and what it returns that cannot be used, and refuses the name', async () => {
    const wrong = [
      () => assert.fail('thrown'),
      async () => assert.fail('rejected'),
      () => ({ key, cert: other.cert }),
      () => ({ key, cert, handshakeTimeout: 1 }),
      () => 5,
      () => null,
    ];
    for (const beside of [{}, { key, cert }])
      for (const sni of wrong) {
        errors.length = 0;
        assert.equal(await server({ ...beside, sni }).identityFor('x.example'), undefined, String(sni));
        assert.equal(errors.length, 1, String(sni));
        assert.match(
          String(errors[0]),
          /^TlsConfigError: sni\("x\.example"\) has failed, and the client is refused: ./,
        );
      }
  });

  it('keeps what was returned for 1,000 names', () => {
    let calls = 0;
    const identity = server(options).identityFor(undefined) as TlsIdentity; // not a promise: it is there
    const loaded: LoadedIdentity = { identity, names: [], expires: Infinity, withTicketKeys: () => loaded };
    const cache = new SniCache(
      () => {
        calls++;
        return {};
      },
      () => loaded,
      (error) => assert.fail(String(error)),
    );
    for (let i = 0; i < 1000; i++) cache.identityFor(`n${i}.example`);
    cache.identityFor('n0.example');
    assert.equal(calls, 1000);
    cache.identityFor('n1000.example');
    cache.identityFor('n0.example');
    assert.equal(calls, 1001);
    cache.identityFor('n1.example');
    assert.equal(calls, 1002, 'the one that was used longest ago had to go');
  });
});

test('a reload that fails changes nothing', () => {
  const tls = server({ key, cert, handshakeTimeout: 5 });
  const before = tls.identityFor(undefined);
  assert.throws(
    () => tls.reload('reload: tls', { key, cert: '/none', handshakeTimeout: 7 }),
    /^TlsConfigError: reload: tls\.cert/,
  );
  assert.equal(tls.identityFor(undefined), before);
  assert.equal(tls.handshakeTimeout, 5);
  const next = { key: other.key, cert: other.cert };
  assert.throws(
    () => tls.reload('reload: tls', next),
    /handshakeTimeout is 30000; expected 5, as when the server was started/,
  );
  assert.equal(tls.identityFor(undefined), before);
  tls.reload('reload: tls', { ...next, handshakeTimeout: 5 });
  assert.notEqual(tls.identityFor(undefined), before);
});

test('session tickets are encrypted with other keys after 12 hours, and with those that are given for as long as they are', (t) => {
  t.mock.timers.enable({ apis: ['Date'], now: Date.now() });
  const ticketKeys = Buffer.alloc(48, 7);
  const own = server([
    { key, cert, allowExpired: true },
    { key: other.key, cert: other.cert, allowExpired: true, ticketKeys },
  ]);
  const keysOf = (name: string) => (own.identityFor(name) as TlsIdentity).contextOptions.ticketKeys;
  const [before, given] = [keysOf('localhost'), keysOf('other.example')];
  t.mock.timers.tick(11 * 3_600_000);
  assert.deepEqual(keysOf('localhost'), before);
  t.mock.timers.tick(2 * 3_600_000);
  assert.notDeepEqual(keysOf('localhost'), before);
  assert.deepEqual([keysOf('other.example'), given], [ticketKeys, ticketKeys]);
});

test('a client asks for the host that it connects to, and not for an address', () => {
  const of = (option: Parameters<typeof clientTls>[1], host: string) => {
    const { serverName, host: checked } = clientTls('connect: tls', option, host, 'above');
    return [serverName, checked];
  };
  assert.deepEqual(of(true, 'example.com'), ['example.com', 'example.com']);
  assert.deepEqual(of({}, '127.0.0.1'), [undefined, '127.0.0.1']);
  assert.deepEqual(of({}, '::1'), [undefined, '::1']);
  assert.deepEqual(of({ serverName: 'other.example' }, '127.0.0.1'), ['other.example', 'other.example']);
  assert.throws(() => of({ serverName: '127.0.0.1' }, 'x'), /serverName is "127\.0\.0\.1"; expected a host name/);
  assert.throws(() => of({ key }, 'x'), /connect: tls: key is given without cert/);
  const options = { ca: authority.cert };
  const of2 = (host: string, place: 'above' | 'below') => clientTls('connect: tls', options, host, place);
  assert.equal(of2('a', 'above'), of2('a', 'above'));
  assert.equal(of2('a', 'above').identity, of2('b', 'above').identity, 'loaded once');
  assert.notEqual(of2('a', 'above').identity, of2('a', 'below').identity);
});
