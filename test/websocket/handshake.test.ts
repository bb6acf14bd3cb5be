// The opening handshake of a server (RFC 6455 §4.2), over the simulated network.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Response as LightResponse } from '#sluice/http/fetch/response.js';
import type { ServeOptions } from '#sluice/server/serve.js';
import type { WebSocketOptions } from '#sluice/websocket/server.js';
import { webSocket } from '#sluice/websocket/server.js';
import { post, World } from '../support/world.js';
import { acceptOf, closeFrame, handshake, key, RawPeer, readHead, text } from './raw-peer.js';

interface Answered {
  status: number;
  fields: Record<string, string>;
  errors: string[];
}

/** The two faces, which answer handshakes alike. */
const faces = {
  threads: (options: WebSocketOptions): ServeOptions => ({
    fetch: (request) => webSocket(request, function* () {}, options),
  }),
  handlers: ({ protocols, origin, headers, perMessageDeflate }: WebSocketOptions): ServeOptions => ({
    websocket: { message: () => {}, protocols, origin, perMessageDeflate, open: (ws) => ws.close() },
    fetch: (request, info) => {
      return info.upgrade(request, { headers }) ? undefined : new Response('not a WebSocket', { status: 418 });
    },
  }),
};

async function answered(served: ServeOptions, request: string): Promise<Answered> {
  const world = await World.open(served);
  const client = world.client(function* (connection) {
    yield* connection.writer.write(Buffer.from(request, 'latin1'));
    const head = yield* readHead(connection);
    if (head.status === 101) yield* connection.writer.write(closeFrame(1000));
    return head;
  });
  await world.pass();
  const { status, fields } = await client;
  await world.close();
  return { status, fields, errors: world.errors.map(String) };
}

for (const [face, served] of Object.entries(faces)) {
  const asked = (given: Parameters<typeof handshake>[0], options: WebSocketOptions = {}) =>
    answered(served(options), handshake(given));

  describe(`a server's opening handshake, by ${face}`, () => {
    it('is answered with 101 and the value that the key asks for', async () => {
      const { status, fields, errors } = await asked({});
      assert.equal(status, 101);
      assert.equal(fields.upgrade, 'websocket');
      assert.equal(fields.connection, 'upgrade');
      assert.equal(fields['sec-websocket-accept'], acceptOf(key));
      assert.equal(fields['sec-websocket-protocol'], undefined);
      assert.equal(fields['sec-websocket-extensions'], undefined);
      assert.deepEqual(errors, []);
    });

    const accepted: [string, Parameters<typeof handshake>[0]][] = [
      ['names in any case', { connection: 'UPGRADE', upgrade: 'WebSocket' }],
      ['upgrade among other options of the connection', { connection: 'keep-alive, Upgrade' }],
      ['several fields of connection', { connection: ['keep-alive', 'Upgrade'] }],
      ['another protocol in front', { upgrade: 'h2c, websocket' }],
      ['a key of sixteen times 0', { 'sec-websocket-key': 'AAAAAAAAAAAAAAAAAAAAAA==' }],
      [
        'extensions that the server does not have',
        { 'sec-websocket-extensions': 'x-foo; a="b c!", bar;baz=1'.replace(' c!', '') },
      ],
      [
        'the fields that browsers send',
        { 'cache-control': 'no-cache', pragma: 'no-cache', 'sec-fetch-mode': 'websocket' },
      ],
    ];
    for (const [what, given] of accepted) {
      it(`takes ${what}`, async () => {
        const { status, errors } = await asked(given);
        assert.equal(status, 101);
        assert.deepEqual(errors, []);
      });
    }

    const refused: [string, number, Parameters<typeof handshake>[0]][] = [
      ['no Connection: Upgrade', 400, { connection: 'keep-alive' }],
      ['no Connection at all', 400, { connection: '' }],
      ['no version', 426, { 'sec-websocket-version': '' }],
      ['version 8', 426, { 'sec-websocket-version': '8' }],
      ['a version that only looks like 13', 426, { 'sec-websocket-version': '013' }],
      ['two versions', 400, { 'sec-websocket-version': ['13', '13'] }],
      ['a list of versions', 426, { 'sec-websocket-version': '13, 8' }],
      ['no key', 400, { 'sec-websocket-key': '' }],
      ['two keys', 400, { 'sec-websocket-key': [key, key] }],
      ['a key of 15 bytes', 400, { 'sec-websocket-key': Buffer.alloc(15).toString('base64') }],
      ['a key of 17 bytes', 400, { 'sec-websocket-key': Buffer.alloc(17).toString('base64') }],
      ['a key that is no base64', 400, { 'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZ!==' }],
      ['a sub-protocol that is no token', 400, { 'sec-websocket-protocol': 'a b' }],
      ['a sub-protocol that is offered twice', 400, { 'sec-websocket-protocol': 'a, a' }],
      ['the same in two fields', 400, { 'sec-websocket-protocol': ['a', 'b, a'] }],
      ['an extension without a name', 400, { 'sec-websocket-extensions': '; a=1' }],
      ['an extension with a parameter that is no token', 400, { 'sec-websocket-extensions': 'a; b="c d"' }],
      ['another origin', 403, { origin: 'https://elsewhere.example' }],
      ['the origin of another port', 403, { origin: 'http://a:8080' }],
      ['an opaque origin', 403, { origin: 'null' }],
      ['an origin that is none', 403, { origin: 'a' }],
      ['two origins', 403, { origin: ['http://a', 'http://a'] }],
    ];
    for (const [what, wanted, given] of refused) {
      it(`answers ${what} with ${wanted}`, async () => {
        const { status, fields, errors } = await asked(given);
        assert.equal(status, wanted);
        if (wanted === 426) {
          assert.equal(fields['sec-websocket-version'], '13');
          assert.equal(fields.upgrade, 'websocket');
          assert.match(fields.connection, /upgrade/i); // RFC 9110 §7.8
        }
        assert.deepEqual(errors, []);
      });
    }

    it('of HTTP/1.0 is answered with 400', async () => {
      const request = handshake().replace('HTTP/1.1', 'HTTP/1.0');
      const world = await World.open(served({}));
      const client = world.exchange(request);
      await world.pass();
      assert.equal((await client).responses[0]?.status, 400);
      assert.deepEqual(world.errors, []);
      await world.close();
    });

    it('with a body is answered with 400', async () => {
      const { status, errors } = await answered(served({}), `${handshake({ 'content-length': '4' })}body`);
      assert.equal(status, 400);
      assert.deepEqual(errors, []);
    });

    it('by POST is answered with 400', async () => {
      const request = handshake({ 'content-length': '0' }).replace('GET', 'POST');
      const { status, errors } = await answered(served({}), request);
      assert.equal(status, 400);
      assert.deepEqual(errors, []);
    });

    it('chooses the sub-protocol that the server prefers', async () => {
      const { fields } = await asked(
        { 'sec-websocket-protocol': ['chat, superchat', 'v2'] },
        { protocols: ['v3', 'v2', 'chat'] },
      );
      assert.equal(fields['sec-websocket-protocol'], 'v2');
    });

    it('chooses none where nothing fits, or nothing is offered', async () => {
      for (const given of [{ 'sec-websocket-protocol': 'chat' }, {}] as Record<string, string>[]) {
        const { status, fields } = await asked(given, { protocols: ['v3'] });
        assert.equal(status, 101);
        assert.equal(fields['sec-websocket-protocol'], undefined);
      }
    });

    it('lets a function choose the sub-protocol', async () => {
      const seen: unknown[] = [];
      const { fields } = await asked(
        { 'sec-websocket-protocol': 'a,b' },
        {
          protocols: (offered, request) => {
            seen.push(offered, new URL(request.url).pathname);
            return 'b';
          },
        },
      );
      assert.equal(fields['sec-websocket-protocol'], 'b');
      assert.deepEqual(seen, [['a', 'b'], '/']);
    });

    it('gets 500 if the function chooses what was not offered', async () => {
      const { status, errors } = await asked({ 'sec-websocket-protocol': 'a' }, { protocols: () => 'x' });
      assert.equal(status, 500);
      assert.match(errors.join(), /: protocols chose "x"; expected one of a, or undefined/);
    });

    const origins: [string, WebSocketOptions['origin'], string, number][] = [
      ['the same origin', undefined, 'http://a', 101],
      ['the same origin behind a proxy that ends TLS', undefined, 'https://a', 101],
      ['one of the list', ['https://x.example', 'https://y.example'], 'https://y.example', 101],
      ['one that is not in the list', ['https://x.example'], 'http://a', 403],
      ['any', '*', 'null', 101],
      ['one that a function takes', (origin) => origin === 'http://b', 'http://b', 101],
      ['one that a function does not take', () => false, 'http://a', 403],
      ['an opaque one of the list', ['null'], 'null', 101],
    ];
    for (const [what, origin, sent, wanted] of origins) {
      it(`answers ${what} with ${wanted}`, async () => {
        const { status, errors } = await asked({ origin: sent }, { origin });
        assert.equal(status, wanted);
        assert.deepEqual(errors, []);
      });
    }

    it('takes a client without an origin whatever the option says', async () => {
      assert.equal((await asked({}, { origin: ['https://x.example'] })).status, 101);
      assert.equal((await asked({}, { origin: () => false })).status, 101);
    });

    it('compares host and port as origins have them', async () => {
      for (const [host, origin, wanted] of [
        ['a:80', 'http://a', 101],
        ['a:443', 'https://a', 101],
        ['A', 'http://a', 101],
        ['a:8080', 'http://a:8080', 101],
        ['a:8080', 'http://a', 403],
        ['[::1]:9', 'http://[::1]:9', 101],
      ] as const) {
        const request = handshake({ origin }).replace('host: a\r\n', `host: ${host}\r\n`);
        assert.equal((await answered(served({}), request)).status, wanted, `${host} ${origin}`);
      }
    });

    it('has the fields that the handler adds', async () => {
      const { fields } = await asked({}, { headers: { 'Set-Cookie': 'a=b', 'x-own': 'yes' } });
      assert.equal(fields['set-cookie'], 'a=b');
      assert.equal(fields['x-own'], 'yes');
    });

    it('has the sub-protocol that the handler names among its fields, if the client has offered it', async () => {
      const offer = { 'sec-websocket-protocol': 'a, b' };
      const { fields } = await asked(offer, { headers: { 'Sec-WebSocket-Protocol': 'b' } });
      assert.equal(fields['sec-websocket-protocol'], 'b');
      const { status, errors } = await asked(offer, { headers: { 'sec-websocket-protocol': 'c' } });
      assert.equal(status, 500);
      assert.match(
        errors.join(),
        /headers has sec-websocket-protocol "c"; expected one of a, b, which the client has offered/,
      );
    });

    for (const name of [
      'sec-websocket-accept',
      'sec-websocket-extensions',
      'upgrade',
      'connection',
      'content-length',
    ]) {
      it(`gets 500 if the handler adds ${name}`, async () => {
        const { status, errors } = await asked({}, { headers: { [name]: '1' } });
        assert.equal(status, 500);
        assert.match(errors.join(), new RegExp(`headers has ${name}, which the handshake sets`));
      });
    }

    const offers: [string, string | undefined, WebSocketOptions['perMessageDeflate']][] = [
      ['permessage-deflate', undefined, false],
      ['permessage-deflate', 'permessage-deflate; server_no_context_takeover; client_no_context_takeover', true],
      [
        'permessage-deflate; client_max_window_bits',
        'permessage-deflate; client_max_window_bits=10',
        { clientMaxWindowBits: 10, serverContextTakeover: true, clientContextTakeover: true },
      ],
      ['permessage-deflate; server_max_window_bits=16', undefined, true],
      [
        'x-other, permessage-deflate; server_max_window_bits=9',
        'permessage-deflate; server_max_window_bits=9',
        { serverContextTakeover: true, clientContextTakeover: true },
      ],
    ];
    for (const [offer, answer, perMessageDeflate] of offers) {
      it(`answers the offer "${offer}" with ${answer ?? 'none'}`, async () => {
        const { status, fields } = await asked({ 'sec-websocket-extensions': offer }, { perMessageDeflate });
        assert.equal(status, 101);
        assert.equal(fields['sec-websocket-extensions'], answer);
      });
    }
  });
}

describe('a request that does not ask for a WebSocket', () => {
  it('is answered with 426 by webSocket()', async () => {
    const { status, fields, errors } = await answered(faces.threads({}), handshake({ upgrade: '' }));
    assert.equal(status, 426);
    assert.equal(fields.upgrade, 'websocket');
    assert.match(fields.connection, /upgrade/i);
    assert.equal(fields['sec-websocket-version'], '13');
    assert.deepEqual(errors, []);
  });

  it("is the handler's to answer where upgrade() returns false", async () => {
    assert.equal((await answered(faces.handlers({}), handshake({ upgrade: '' }))).status, 418);
    assert.equal((await answered(faces.handlers({}), handshake({ upgrade: 'h2c' }))).status, 418);
    assert.equal((await answered(faces.handlers({}), post('/', 'body'))).status, 418);
  });
});

describe('options that are wrong are refused by name', () => {
  const request = {} as Request;
  const wrong: [unknown, RegExp][] = [
    [{ origin: 'https://a' }, /webSocket: origin is "https:\/\/a"; expected '\*', an array of origins, or a function/],
    [
      { origin: ['https://a/'] },
      /webSocket: origin\[0\] is "https:\/\/a\/"; expected an origin such as "https:\/\/example.com", without a path/,
    ],
    [{ origin: ['a.example'] }, /webSocket: origin\[0\] is "a.example"; expected an origin/],
    [
      { origin: ['https://*.example.com'] },
      /webSocket: origin\[0\] is "https:\/\/\*.example.com"; expected an origin without a wildcard, or a function instead of the array$/,
    ],
    [{ origin: ['*'] }, /webSocket: origin\[0\] is "\*"; expected an origin; for any, give "\*" instead of the array$/],
    [
      { origin: ['https://a', 'https://EXAMPLE.com:443'] },
      /webSocket: origin\[1\] is "https:\/\/EXAMPLE.com:443"; expected "https:\/\/example.com", as browsers send it$/,
    ],
    [{ origin: ['HTTP://a:8080'] }, /origin\[0\] is "HTTP:\/\/a:8080"; expected "http:\/\/a:8080", as browsers/],
    [{ origin: ['https://münchen.de'] }, /expected "https:\/\/xn--mnchen-3ya.de", as browsers send it$/],
    [{ origin: ['chrome-extension://ABC'] }, /expected "chrome-extension:\/\/abc", as browsers send it$/],
    [{ origin: [1] }, /webSocket: origin\[0\] is 1; expected an origin such as/],
    [{ protocols: [1] }, /webSocket: protocols\[0\] is 1; expected a token \(RFC 9110 §5.6.2\)/],
    [{ headers: 5 }, /webSocket: headers is 5; expected an object of names and values, pairs, or Headers/],
    [{ protocols: 'chat' }, /webSocket: protocols is "chat"; expected an array of strings, or a function/],
    [{ protocols: ['a b'] }, /webSocket: protocols\[0\] is "a b"; expected a token/],
    [{ headers: 'x' }, /webSocket: headers is "x"; expected/],
    [{ headers: null }, /webSocket: headers is null; expected an object of names and values, pairs, or Headers/],
    [{ perMessageDeflate: null }, /webSocket: perMessageDeflate is null; expected true, false, or an object/],
    [{ perMessageDeflate: [] }, /webSocket: perMessageDeflate is \[object Array\]; expected true, false, or an object/],
    [[], /webSocket: the options are \[object Array\]; expected an object/],
    [{ maxPayloadLength: -1 }, /webSocket: maxPayloadLength is -1; expected a whole number from 0/],
    [{ pingInterval: Number.NaN }, /webSocket: pingInterval is NaN/],
    [{ pongTimeout: 0 }, /webSocket: pongTimeout is 0/],
    [{ closeTimeout: Infinity }, /webSocket: closeTimeout is Infinity/],
    [{ perMessageDeflate: 1 }, /webSocket: perMessageDeflate is 1; expected true, false, or an object of options/],
    [
      { perMessageDeflate: { level: 10 } },
      /webSocket: perMessageDeflate: level is 10; expected a whole number from 1 to 9/,
    ],
    [{ idleTimeout: 5 }, /webSocket: unknown option "idleTimeout"/],
  ];
  for (const [options, message] of wrong) {
    it(String(message).slice(1, 80), () => {
      assert.throws(
        () => webSocket(request, function* () {}, options as WebSocketOptions),
        (error: Error) => message.test(String(error)),
      );
    });
  }

  it('and so is a request of another make, and a task that is none', () => {
    assert.throws(
      () => webSocket(new Request('http://a/'), function* () {}),
      /webSocket: the request is .*; expected the one that the handler has got/,
    );
    assert.throws(() => webSocket(request, 5 as never), /webSocket: the task is 5; expected a generator function/);
  });
});

describe('what comes with the handshake', () => {
  it('is read behind requests in the same packet, and is followed by frames in the same packet', async () => {
    const world = await World.open({
      fetch: (request) =>
        new URL(request.url).pathname === '/plain'
          ? new LightResponse('plain')
          : webSocket(request, function* (socket) {
              for (let message: unknown; (message = yield* socket.receive()) !== undefined; )
                yield* socket.send(`got ${message}`);
            }),
    });
    const client = world.client(function* (connection) {
      yield* connection.writer.write(
        Buffer.concat([
          Buffer.from(`GET /plain HTTP/1.1\r\nhost: a\r\n\r\n${handshake()}`),
          text('one'),
          text('two'),
          closeFrame(1000),
        ]),
      );
      const first = yield* readHead(connection);
      yield* connection.reader.skip(Number(first.fields['content-length']));
      const second = yield* readHead(connection);
      return [first.status, second.status, ...(yield* new RawPeer(connection).rest())];
    });
    await world.pass();
    assert.deepEqual(await client, [200, 101, 'text:got one', 'text:got two', 'close:1000:', 'FIN']);
    assert.deepEqual(world.errors, []);
    await world.close();
  });
});
