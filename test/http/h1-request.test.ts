// What a handler sees of its request, against the platform's own URL and Headers.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { HttpError } from '#sluice/http/errors.js';
import { PlatformHeaders } from '#sluice/http/fetch/platform.js';
import { requestFrom } from '#sluice/http/fetch/request.js';
import { H1Request, requestFromText } from '#sluice/http/h1/h1-request.js';
import { Head } from '#sluice/http/h1/head.js';
import type { IncomingRequest } from '#sluice/http/incoming-request.js';
import type { RequestServer } from '#sluice/http/request-server.js';

const limits = { headSize: 16_384, targetSize: 8_192, fieldCount: 100 };

const server: RequestServer = {
  defaultHost: 'default:8080',
  scheme: 'http',
  proxies: undefined,
  isLocal: false,
  infoOf: () => ({}),
  waitUntil: () => {},
};

/** The exchange of a head that stands in the middle of a buffer, and a way to overwrite that. */
function exchange(text: string): { exchange: H1Request; overwrite: () => void } {
  const bytes = Buffer.alloc(text.length + 20, 'x');
  bytes.write(text, 7, 'latin1');
  const head = new Head();
  assert.ok(head.parse(bytes, 7, 7 + text.length, limits));
  return {
    exchange: new H1Request({ peer: '', onSignalRequested: () => undefined }, head, bytes, 7, null, server),
    overwrite: () => bytes.fill(0xdb),
  };
}

const request = (target: string, host = 'a', method = 'GET') => `${method} ${target} HTTP/1.1\r\nhost: ${host}\r\n\r\n`;

const targetCharacters = Array.from({ length: 94 }, (_, i) => String.fromCharCode(0x21 + i)).filter(
  (character) => !'"<>\\#'.includes(character),
);
const targets = fc
  .array(
    fc.oneof(
      fc.constantFrom(...targetCharacters),
      fc.constantFrom('/', '/.', '/..', '/./', '%2e', '?', '//', '%', 'a.b'),
    ),
    { maxLength: 12 },
  )
  .map((parts) => `/${parts.join('')}`);
const hosts = fc.oneof(
  fc.constantFrom(
    'a',
    'A.b',
    'a:80',
    'a:080',
    'a:8080',
    'a:',
    '1',
    '1.2',
    '0x7f.1',
    '127.0.0.1',
    '[::1]',
    '[::1]:80',
    'a.1',
    'a-.b',
    'xn--a',
    'a.0x1',
    'a..b',
    '%41',
    'a:0',
    'a:65535',
    '256.256.256.256',
    'a_b',
    "a'b",
    'a,b',
    'a;b',
  ),
  fc.stringMatching(/^[a-zA-Z0-9._~%!$&'()*+,;=-]{1,8}(:[0-9]{0,6})?$/),
);

/** The platform takes a comma, too, and no host at all where a path follows. */
const isHost = (host: string) => URL.canParse(`http://${host}/`) && !host.includes(',') && host !== '';

test('the url is what the platform makes of host and target, or the host is refused where the platform refuses it', () => {
  fc.assert(
    fc.property(targets, hosts, (target, host) => {
      const text = request(target, host);
      const url = isHost(host) ? new URL(`http://${host}${target}`).href : undefined;
      try {
        assert.equal(exchange(text).exchange.url, url);
      } catch (error) {
        if (!(error instanceof HttpError)) throw error;
        assert.equal(error.status, 400);
        assert.equal(url, undefined, `${host} is refused, and the platform takes it`);
      }
    }),
    { numRuns: 3000 },
  );
});

test('an absolute target is the url, whatever the host', () => {
  fc.assert(
    fc.property(targets, hosts, fc.constantFrom('http', 'https', 'HTTP'), (target, host, scheme) => {
      if (!isHost(host)) return;
      const absolute = `${scheme}://${host}${target}`;
      assert.equal(exchange(request(absolute, 'other')).exchange.url, new URL(absolute).href);
    }),
    { numRuns: 500 },
  );
});

test('a request that names no host is for the server’s own', () => {
  assert.equal(exchange('GET /a HTTP/1.0\r\n\r\n').exchange.url, 'http://default:8080/a');
  assert.equal(exchange(request('*', 'a', 'OPTIONS')).exchange.url, 'http://a/*');
});

test('fields are what was sent, names in lower case, values without the white space around them', () => {
  const text = 'GET / HTTP/1.1\r\nHost: a\r\nX-A:\t b c \t\r\nx-a:\r\nX: \xe4\xff:,"\r\n\r\n';
  assert.deepEqual(exchange(text).exchange.fields, ['host', 'a', 'x-a', 'b c', 'x-a', '', 'x', '\xe4\xff:,"']);
});

const names = fc
  .stringMatching(/^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,6}$/)
  .filter((name) => !/^(host|expect|connection)$/i.test(name));
const values = fc.stringMatching(/^[\t\x20-\x7e\x80-\xff]{0,8}$/);

test('headers are what the platform makes of the same fields', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(names, values), { maxLength: 6 }), (fields) => {
      const lines = fields.map(([name, value]) => `${name}:${value}\r\n`).join('');
      const { exchange: it, overwrite } = exchange(`GET / HTTP/1.1\r\nhost: a\r\n${lines}\r\n`);
      it.copyBorrowed();
      overwrite();
      const { headers } = requestFrom(it);
      assert.deepEqual([...headers], [...new PlatformHeaders([['host', 'a'], ...fields])]);
    }),
  );
});

test('what an exchange that is kept says does not come from the buffer, however large its head is', () => {
  for (const size of [1, 50, 200, 5000]) {
    for (const how of ['copyBorrowed', 'detachBorrowed'] as const) {
      for (const isAsked of [false, true]) {
        const value = 'y'.repeat(size);
        const { exchange: it, overwrite } = exchange(`POST /a?b HTTP/1.1\r\nhost: c\r\nx: ${value}\r\n\r\n`);
        if (isAsked) assert.equal(it.method, 'POST');
        it[how]();
        overwrite();
        assert.deepEqual(
          [it.method, it.target, it.url, it.fields],
          ['POST', '/a?b', 'http://c/a?b', ['host', 'c', 'x', value]],
        );
      }
    }
  }
});

test('exchanges that are kept do not get in each other’s way', () => {
  const targets = Array.from({ length: 1000 }, (_, i) => `/${'a'.repeat(i % 90)}${i}`);
  const kept = targets.map((target) => {
    const { exchange: it, overwrite } = exchange(request(target));
    it.copyBorrowed();
    overwrite();
    return it;
  });
  assert.deepEqual(
    kept.map(({ target }) => target),
    targets,
  );
});

test('the signal is one object, and is aborted once, with the first reason, asked for before or after', () => {
  const { exchange: early } = exchange(request('/'));
  const { signal } = early;
  let aborts = 0;
  signal.addEventListener('abort', () => aborts++);
  const first = new Error('first');
  early.abort(first);
  early.abort(new Error('second'));
  assert.equal(early.signal, signal);
  assert.deepEqual([signal.aborted, signal.reason, aborts], [true, first, 1]);

  const { exchange: late } = exchange(request('/'));
  late.abort(first);
  assert.deepEqual([late.signal.aborted, late.signal.reason, late.aborted], [true, first, first]);
});

test('empty lines before the request line are not part of its text, and put nothing out of place', () => {
  const { exchange: it } = exchange('\r\n\r\nPOST /a?b HTTP/1.1\r\nx: y\r\nhost: c\r\n\r\n');
  assert.deepEqual(
    [it.method, it.target, it.url, it.fields],
    ['POST', '/a?b', 'http://c/a?b', ['x', 'y', 'host', 'c']],
  );
  assert.equal(it.text, 'POST /a?b HTTP/1.1\r\nx: y\r\nhost: c\r\n\r\n');
  assert.equal(exchange('\r\nGET /a HTTP/1.0\r\n\r\n').exchange.url, 'http://default:8080/a');
});

test('an exchange that is made again of its text says the same', () => {
  const origin = { peer: '', onSignalRequested: () => undefined };
  for (const text of [
    '\r\nPUT http://h:81/a?b HTTP/1.1\r\nHost: c\r\nX: \xe4\r\n\r\n',
    'GET /a HTTP/1.0\r\n\r\n',
    request('*', 'a', 'OPTIONS'),
  ]) {
    const { exchange: it } = exchange(text);
    const again = requestFromText(origin, it.text, { ...limits, ...server });
    const said = ({ method, target, url, fields, text }: H1Request) => ({ method, target, url, fields, text });
    assert.deepEqual(said(again), said(it));
  }
});

test('the signal is asked of what the exchange belongs to: aborted at once if the client has left, and watched if not', () => {
  const watched: IncomingRequest[] = [];
  let left: unknown;
  const { exchange: it } = exchange(request('/'));
  it.owner = {
    peer: '',
    onSignalRequested(exchange) {
      watched.push(exchange);
      return left;
    },
  };
  assert.equal(it.signal.aborted, false);
  assert.equal(it.signal.aborted, false);
  assert.deepEqual(watched, [it]);

  left = new Error('left');
  const { exchange: late } = exchange(request('/'));
  late.owner = { peer: '', onSignalRequested: () => left };
  assert.deepEqual([late.signal.aborted, late.signal.reason, late.aborted], [true, left, left]);
});
