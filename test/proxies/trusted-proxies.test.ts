// The option `trustProxy`: which fields count, and from which peers.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TrustedProxies, type TrustProxy } from '#sluice/http/trusted-proxies.js';
import { usedTransports } from '#sluice/observe/inspect.js';
import { get, World } from '../support/world.js';

const near = '10.0.0.1:4000';
const trusted = ['10.0.0.0/8', '2001:db8::/32'];

/** @param fields alternately names and values */
function clientOf(option: Exclude<TrustProxy, false>, peer: string, fields: string[], isLocal = false) {
  const { peer: client, scheme, host } = new TrustedProxies('trustProxy', option).clientOf(peer, isLocal, fields);
  return [client, scheme, host];
}

const xFor = (value: string) => ['x-forwarded-for', value];
const forwarded = (...values: string[]) => values.flatMap((value) => ['forwarded', value]);

const nothing = [undefined, undefined, undefined];
const cases: [what: string, found: unknown[], expected: unknown[]][] = [
  ['the client of a trusted proxy', clientOf(trusted, near, xFor('192.0.2.1')), ['192.0.2.1:0', undefined, undefined]],
  ['nothing from anyone else', clientOf(trusted, '192.0.2.9:1', xFor('192.0.2.1')), nothing],
  ['nothing from a peer that is not known', clientOf(trusted, '', xFor('192.0.2.1')), nothing],
  ['nothing without fields', clientOf(trusted, near, []), nothing],
  [
    'the right-most address that is not trusted',
    clientOf(trusted, near, xFor('6.6.6.6, 192.0.2.1, 10.1.1.1')),
    ['192.0.2.1:0', undefined, undefined],
  ],
  [
    'the same in two fields',
    clientOf(trusted, near, [...xFor('6.6.6.6, 192.0.2.1'), ...xFor('10.1.1.1')]),
    ['192.0.2.1:0', undefined, undefined],
  ],
  [
    'the left-most if all are',
    clientOf(trusted, near, xFor('10.2.2.2, 10.1.1.1')),
    ['10.2.2.2:0', undefined, undefined],
  ],
  [
    'the left-most with true',
    clientOf(true, '192.0.2.9:1', xFor('192.0.2.1, 192.0.2.2')),
    ['192.0.2.1:0', undefined, undefined],
  ],
  [
    'the last address before something else',
    clientOf(trusted, near, xFor('192.0.2.1, unknown, 10.1.1.1')),
    ['10.1.1.1:0', undefined, undefined],
  ],
  ['nothing that is not an address', clientOf(trusted, near, xFor('localhost')), nothing],
  ['a port', clientOf(trusted, near, xFor('192.0.2.1:77')), ['192.0.2.1:77', undefined, undefined]],
  ['IPv6', clientOf(trusted, near, xFor('2001:DB8:1::5, ::1')), ['[::1]:0', undefined, undefined]],
  [
    'IPv6 in brackets',
    clientOf(trusted, '[2001:db8::9]:1', xFor('[2001:0db9::1]:8')),
    ['[2001:db9::1]:8', undefined, undefined],
  ],
  [
    'IPv4 within IPv6',
    clientOf(trusted, near, xFor('192.0.2.1, ::ffff:10.3.3.3')),
    ['192.0.2.1:0', undefined, undefined],
  ],
  [
    'a link-local proxy with a zone',
    clientOf(['fe80::/10'], '[fe80::2%eth0]:1', xFor('192.0.2.1')),
    ['192.0.2.1:0', undefined, undefined],
  ],
  ['loopback', clientOf('loopback', '127.0.0.2:1', xFor('192.0.2.1')), ['192.0.2.1:0', undefined, undefined]],
  ['loopback of IPv6', clientOf(['loopback'], '[::1]:1', xFor('192.0.2.1')), ['192.0.2.1:0', undefined, undefined]],
  [
    'a Unix-domain socket as loopback',
    clientOf('loopback', '', xFor('192.0.2.1'), true),
    ['192.0.2.1:0', undefined, undefined],
  ],
  ['no Unix-domain socket otherwise', clientOf(trusted, '', xFor('192.0.2.1'), true), nothing],
  [
    'scheme and host',
    clientOf(trusted, near, [
      ...xFor('192.0.2.1'),
      'x-forwarded-proto',
      'HTTPS',
      'x-forwarded-host',
      'example.com:8443',
    ]),
    ['192.0.2.1:0', 'https', 'example.com:8443'],
  ],
  [
    'those that the outermost trusted proxy has added',
    clientOf(trusted, near, [
      ...xFor('192.0.2.1, 10.1.1.1'),
      'x-forwarded-proto',
      'ftp, https, http',
      'x-forwarded-host',
      'forged, a, b',
    ]),
    ['192.0.2.1:0', 'https', 'a'],
  ],
  [
    'scheme and host without an address',
    clientOf(trusted, near, ['x-forwarded-proto', 'http, https', 'x-forwarded-host', 'forged, a']),
    [undefined, 'https', 'a'],
  ],
  ['the schemes of WebSockets', clientOf(trusted, near, ['x-forwarded-proto', 'wss']), [undefined, 'https', undefined]],
  ['no malformed host', clientOf(trusted, near, ['x-forwarded-host', 'a/b']), nothing],
  ['no host that a URL cannot have', clientOf(trusted, near, ['x-forwarded-host', '1.2.3.999']), nothing],
  ['no other scheme', clientOf(trusted, near, ['x-forwarded-proto', 'javascript']), nothing],
  [
    'Forwarded',
    clientOf(trusted, near, forwarded('For="[2001:db9::1]:4711";proto=https;Host=example.com;by=10.0.0.1')),
    ['[2001:db9::1]:4711', 'https', 'example.com'],
  ],
  [
    'several elements of Forwarded',
    clientOf(
      trusted,
      near,
      forwarded('for=6.6.6.6;host=forged, for=192.0.2.1;host="a"', 'for=10.1.1.1;host=b;proto=http'),
    ),
    ['192.0.2.1:0', 'http', 'a'],
  ],
  [
    'quoted commas and backslashes',
    clientOf(trusted, near, forwarded('for=192.0.2.1;ext="a, \\"for=6.6.6.6\\""')),
    ['192.0.2.1:0', undefined, undefined],
  ],
  [
    'an obfuscated client',
    clientOf(trusted, near, forwarded('for=_hidden;proto=https')),
    [undefined, 'https', undefined],
  ],
  ['nothing of a malformed field', clientOf(trusted, near, forwarded('for=192.0.2.1;;=')), nothing],
  [
    'whitespace around elements',
    clientOf(trusted, near, forwarded(' \t for=192.0.2.1 \t ; proto=https ,\t for=10.1.1.1 ')),
    ['192.0.2.1:0', 'https', undefined],
  ],
  [
    'nothing of what is malformed behind very much whitespace, without delay',
    clientOf(trusted, near, forwarded(`for=192.0.2.1,${' '.repeat(1_000_000)}@`)),
    nothing,
  ],
  [
    'nothing of an element that says a thing twice',
    clientOf(trusted, near, forwarded('for=192.0.2.1;for=6.6.6.6')),
    nothing,
  ],
  [
    'what a proxy has added to a malformed field of the client',
    clientOf(trusted, near, forwarded('"', 'for=192.0.2.1')),
    ['192.0.2.1:0', undefined, undefined],
  ],
  [
    'the older fields where there are both',
    clientOf(trusted, near, [...xFor('192.0.2.1'), ...forwarded('for=6.6.6.6;proto=https')]),
    ['192.0.2.1:0', undefined, undefined],
  ],
];
for (const [what, found, expected] of cases)
  test(`taken from trusted proxies: ${what}`, () => {
    assert.deepEqual(found, expected);
  });

test('an entry that is neither an address nor a network is named', () => {
  for (const wrong of ['10.0.0.0/33', '::/129', 'localhost', '10.0.0.0/8/8', '10.0.0.0/', ''])
    assert.throws(() => new TrustedProxies('trustProxy', ['10.0.0.1', wrong]), {
      name: 'TypeError',
      message: `trustProxy[1] is ${JSON.stringify(wrong)}; expected an address, a network such as "10.0.0.0/8", or "loopback"`,
    });
});

test('a server whose other options are wrong gives its transport back', async () => {
  const world = new World();
  const options = { fetch: () => new Response(), proxyProtocol: true };
  await assert.rejects(world.serve({ ...options, trustProxy: ['localhost'] }), { name: 'TypeError' });
  await assert.rejects(world.serve({ ...options, websocket: { maxPayloadLength: -1 } }), { name: 'RangeError' });
  await assert.rejects(world.serve({ ...options, node: { isApplication: false } }), { name: 'TypeError' });
  assert.equal(usedTransports(world.network), 0);
  await world.close();
});

const claims = [
  'x-forwarded-for: 192.0.2.1',
  'x-forwarded-proto: https',
  'x-forwarded-host: example.com',
  'connection: close',
] as const;

for (const [what, trustProxy, isBelieved] of [
  ['of a trusted proxy', ['127.0.0.0/8'], true],
  ['of anyone else', ['10.0.0.0/8'], false],
  ['by default', undefined, false],
  ['with false', false, false],
] as const)
  test(`request.url, info and request take the fields ${what}: ${isBelieved}`, async () => {
    const world = await World.open({
      fetch: async (request, info) => {
        const { url } = request;
        if (url.endsWith('/async')) await null;
        if (url.endsWith('/error')) throw new Error('for onError');
        const { hostname, port } = info.remoteAddr;
        const address = info.requestIP(request)?.address;
        return Response.json([url, info.peer, address, hostname, request.ip, port, request.headers.get('host')]);
      },
      trustProxy,
    });
    const [plain, later] = [world.exchange(get('/p', ...claims)), world.exchange(get('/async', ...claims))];
    await world.pass();
    for (const [path, exchanged] of [
      ['p', await plain],
      ['async', await later],
    ] as const) {
      const [url, peer, ...rest] = JSON.parse(exchanged.responses[0]?.body ?? '') as string[];
      if (isBelieved) {
        assert.equal(url, `https://example.com/${path}`);
        assert.deepEqual([peer, ...rest], ['192.0.2.1:0', '192.0.2.1', '192.0.2.1', '192.0.2.1', 0, 'a']);
      } else {
        assert.equal(url, `http://a/${path}`);
        assert.match(String(peer), /^127\.0\.0\.1:[1-9]/);
      }
    }
    await world.close();
  });

test('onError and WebSockets have the client that a trusted proxy names', async () => {
  const peers: unknown[] = [];
  const world = await World.open({
    fetch: (request, info) => {
      if (info.upgrade(request)) return undefined;
      throw new Error('for onError');
    },
    websocket: {
      open(ws) {
        peers.push(ws.peer);
        ws.close();
      },
    },
    trustProxy: 'loopback',
    onError: (_error, _request, info) => peers.push(info?.peer),
  });
  const handshake = ['connection: Upgrade', 'upgrade: websocket', 'sec-websocket-version: 13'];
  const key = 'sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==';
  const asked = world.exchange(get('/', claims[0], ...handshake, key));
  const failed = world.exchange(get('/', ...claims));
  await world.pass();
  await Promise.all([asked, failed]);
  assert.deepEqual(peers, ['192.0.2.1:0', '192.0.2.1:0']);
  await world.close();
});
