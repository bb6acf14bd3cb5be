import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { HttpError } from '#sluice/http/errors.js';
import { Head } from '#sluice/http/h1/head.js';
import type { HeadLimits } from '#sluice/http/limits.js';
import { assertProportional } from '../support/cost.js';
import { cases } from './cases.js';

const limits: HeadLimits = { headSize: 16_384, targetSize: 8_192, fieldCount: 100 };

/** What came of a head: everything the parser says of it, or the status that it is refused with. */
type Result = { status: number } | { incomplete: true } | Partial<Head>;

/** Parses in pieces that end at the given places, the bytes standing at `offset` of a larger buffer. */
function parse(text: string, cuts: readonly number[] = [], own: HeadLimits = limits, offset = 3): Result {
  const bytes = Buffer.alloc(offset + text.length + 5, 'x');
  bytes.write(text, offset, 'latin1');
  const head = new Head();
  try {
    for (const cut of [...cuts, text.length]) {
      if (!head.parse(bytes, offset, offset + cut, own)) continue;
      const { length, methodStart, methodEnd, targetStart, targetEnd, fieldsStart, hostStart, hostEnd } = head;
      const { minor, contentLength, chunked, close, keepAlive, expectsContinue } = head;
      const places = { length, methodStart, methodEnd, targetStart, targetEnd, fieldsStart, hostStart, hostEnd };
      return { ...places, minor, contentLength, chunked, close, keepAlive, expectsContinue };
    }
    return { incomplete: true };
  } catch (error) {
    if (!(error instanceof HttpError)) throw error;
    return { status: error.status };
  }
}

const everyByte = (text: string) => Array.from({ length: text.length }, (_, i) => i);

const full = [
  'POST /path?query HTTP/1.1',
  'Host: example.org:8080',
  'Content-Length: 12',
  'Connection: x, Keep-Alive',
  'Expect: 100-continue',
  'X: \ty ',
  '',
  '',
].join('\r\n');

test('a head says where its parts stand, and what decides about framing', () => {
  assert.deepEqual(parse(full), {
    length: full.length,
    methodStart: 0,
    methodEnd: 4,
    targetStart: 5,
    targetEnd: 16,
    fieldsStart: 27,
    hostStart: full.indexOf('example'),
    hostEnd: full.indexOf('8080') + 4,
    minor: 1,
    contentLength: 12,
    chunked: false,
    close: false,
    keepAlive: true,
    expectsContinue: true,
  });
});

test('what follows a head is left alone', () => {
  assert.deepEqual(parse(`${full}\x00\x00GET`), parse(full));
});

test('empty lines before a head count in its length and move its parts', () => {
  const head = parse(`\r\n\r\n${full}`);
  assert.ok('length' in head);
  assert.equal(head.length, full.length + 4);
  assert.equal(head.methodStart, 4);
});

test('wherever a head is cut in two, and byte by byte, the outcome is the same', () => {
  const heads = cases.flatMap((c) => c.steps.filter((step) => typeof step === 'string' && step !== 'FIN'));
  for (const head of heads) {
    const text = String(head).slice(0, 600);
    const whole = parse(text);
    assert.deepEqual(parse(text, everyByte(text)), whole, JSON.stringify(text));
    for (let cut = 0; cut < text.length; cut++)
      assert.deepEqual(parse(text, [cut]), whole, `${JSON.stringify(text)} at ${cut}`);
  }
});

test('a head is complete at its last byte and not before', () => {
  for (let length = 0; length < full.length; length++)
    assert.deepEqual(parse(full.slice(0, length), everyByte(full.slice(0, length))), { incomplete: true });
});

/** A head of that many bytes. */
const filled = (size: number) => {
  const begin = 'GET / HTTP/1.1\r\nhost: a\r\nx: ';
  return `${begin}${'y'.repeat(size - begin.length - 4)}\r\n\r\n`;
};
const complete = (result: Result) => 'length' in result;

test('a head may be as large as the limit says, and not a byte larger', () => {
  const own = { ...limits, headSize: 300 };
  assert.ok(complete(parse(filled(299), [], own)));
  assert.ok(complete(parse(filled(300), [], own)));
  assert.deepEqual(parse(filled(301), [], own), { status: 431 });
  assert.deepEqual(parse(filled(301).slice(0, 300), [], own), { status: 431 }, 'it cannot end in time any more');
  assert.deepEqual(parse(filled(301).slice(0, 299), [], own), { incomplete: true });
});

test('a target may be as long as the limit says, and not a byte longer', () => {
  const own = { ...limits, targetSize: 20 };
  const target = (size: number) => `GET /${'t'.repeat(size - 1)} HTTP/1.1\r\nhost: a\r\n\r\n`;
  assert.ok(complete(parse(target(19), [], own)));
  assert.ok(complete(parse(target(20), [], own)));
  assert.deepEqual(parse(target(21), [], own), { status: 414 });
  assert.deepEqual(parse(target(21).slice(0, 25), [], own), { status: 414 }, 'as soon as the byte is there');
  assert.deepEqual(parse(target(21).slice(0, 24), [], own), { incomplete: true });
});

test('there may be as many fields as the limit says, and not one more', () => {
  const own = { ...limits, fieldCount: 5 };
  const fields = (count: number) => `GET / HTTP/1.1\r\nhost: a\r\n${'x: y\r\n'.repeat(count - 1)}\r\n`;
  assert.ok(complete(parse(fields(4), [], own)));
  assert.ok(complete(parse(fields(5), [], own)));
  assert.deepEqual(parse(fields(6), [], own), { status: 431 });
});

test('whatever limit is passed first is the one that is named', () => {
  const own = { headSize: 300, targetSize: 20, fieldCount: 2 };
  assert.deepEqual(parse(`GET /${'t'.repeat(400)}`, [], own), { status: 414 });
  assert.deepEqual(parse(`GET / HTTP/1.1\r\n${'x: y\r\n'.repeat(60)}`, [], own), { status: 431 });
});

test('hosts are judged alike, however many others have been seen', () => {
  const host = (text: string) => parse(`GET / HTTP/1.1\r\nhost:${text}\r\n\r\n`);
  for (let i = 0; i < 1000; i++) {
    assert.ok(complete(host(`host-${i}`)));
    assert.deepEqual(host(''), { status: 400 });
    assert.deepEqual(host('a:x'), { status: 400 });
  }
});

test('a host is taken if it has 261 bytes or fewer and a URL parser takes it', () => {
  const label = fc.oneof(
    fc.stringMatching(/^[a-zA-Z0-9_~!$&'()*+;=-]{0,8}$/),
    fc.constantFrom(
      'xn--',
      'XN--a',
      'xn--bcher-kva',
      'a--b',
      '0x7f',
      '1',
      '256',
      '%61',
      '%',
      '%00',
      '-',
      'a'.repeat(64),
    ),
  );
  const port = fc.constantFrom('', ':', ':0', ':80', ':65535', ':65536', ':00080', ':x', ':1:2', ':99999999999');
  const address = fc.constantFrom('[::1]', '[::', '[::1].a', 'a[::1]', '127.0.0.1', '1.2.3.4.5');
  const name = fc.array(label, { minLength: 1, maxLength: 5 }).map((labels) => labels.join('.'));
  fc.assert(
    fc.property(fc.oneof({ weight: 9, arbitrary: name }, address), port, (host, end) => {
      const text = host + end;
      const isTaken = complete(parse(`GET / HTTP/1.1\r\nhost:${text}\r\n\r\n`));
      assert.equal(isTaken, text.length <= 261 && /^[^:]/.test(text) && URL.canParse(`http://${text}/`), text);
    }),
    { numRuns: 2000, seed: 1 },
  );
});

test('a head makes no garbage for each element of a list, nor for each byte of a host', () => {
  const collect = globalThis.gc ?? (() => assert.fail('to be run with --expose-gc'));
  let number = 0;
  const heads: [what: string, text: () => string][] = [
    ['connection', () => `host: a\r\nconnection: ${'a,'.repeat(7_000)}b`],
    ['expect', () => `host: a\r\nexpect: ${'100-continue,'.repeat(1_000)}`],
    ['host', () => `host: ${'a'.repeat(60)}.${'b'.repeat(60)}.host-${number++}.example`],
  ];
  const head = new Head();
  for (const [what, text] of heads) {
    const all = Array.from({ length: 50 }, () => Buffer.from(`GET / HTTP/1.1\r\n${text()}\r\n\r\n`));
    const grown = all.map((bytes) => {
      head.reset();
      const before = process.memoryUsage().heapUsed;
      assert.ok(head.parse(bytes, 0, bytes.length, limits));
      return process.memoryUsage().heapUsed - before;
    });
    collect();
    const typical = grown.sort((one, other) => one - other)[25];
    // Asking for the memory that is used takes some itself.
    assert.ok(typical < 2_500, `${what}: ${typical} bytes`);
  }
});

test('a head takes time in proportion to its length, whatever a list in it is filled with', () => {
  const fillings = [' ', '\t', ',', ' ,', ';', '"', '\\', ';a=', '; a=b', '-', '.', 'a.', '%41', 'a'];
  const wide = { headSize: 2 ** 20, targetSize: 100, fieldCount: 10 };
  for (const name of ['connection', 'expect', 'transfer-encoding', 'content-length', 'host', 'x'])
    assertProportional((size) => {
      for (const filling of fillings) {
        const text = `a${filling.repeat(size / filling.length)}b`;
        parse(`GET / HTTP/1.1\r\nhost: a\r\n${name}: ${text}\r\n\r\n`, [], wide);
      }
    }, 1_000);
});

const letters = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ';
const digits = '0123456789';
/** RFC 9110 §5.6.2. */
const token = `${letters}${digits}!#$%&'*+-.^_\`|~`;
/** Everything but white space, control characters and the number sign. */
const target = Array.from({ length: 256 }, (_, byte) => String.fromCharCode(byte))
  .filter((character, byte) => byte > 0x20 && byte !== 0x7f && character !== '#')
  .join('');
/** RFC 9110 §5.5. */
const value = Array.from({ length: 256 }, (_, byte) => String.fromCharCode(byte))
  .filter((_, byte) => byte === 9 || (byte >= 0x20 && byte !== 0x7f))
  .join('');

/** Where a byte is put, and which bytes may stand there. */
const places: [place: string, allowed: string, head: (byte: string) => string][] = [
  ['before the method', token, (byte) => `${byte}ET / HTTP/1.1\r\nhost: a\r\n\r\n`],
  ['in the method', token, (byte) => `G${byte}T / HTTP/1.1\r\nhost: a\r\n\r\n`],
  ['at the beginning of the target', '/', (byte) => `GET ${byte} HTTP/1.1\r\nhost: a\r\n\r\n`],
  ['in the path', target, (byte) => `GET /a${byte}b HTTP/1.1\r\nhost: a\r\n\r\n`],
  ['in the query', target, (byte) => `GET /a?${byte}b HTTP/1.1\r\nhost: a\r\n\r\n`],
  ['behind the target', target, (byte) => `GET /a${byte} HTTP/1.1\r\nhost: a\r\n\r\n`],
  ['between target and version', ' ', (byte) => `GET /a${byte}HTTP/1.1\r\nhost: a\r\n\r\n`],
  ['as the minor version', digits, (byte) => `GET / HTTP/1.${byte}\r\nhost: a\r\n\r\n`],
  ['behind the version', '', (byte) => `GET / HTTP/1.1${byte}\r\nhost: a\r\n\r\n`],
  ['before a name', token, (byte) => `GET / HTTP/1.1\r\nhost: a\r\n${byte}x: y\r\n\r\n`],
  ['in a name', `${token}:`, (byte) => `GET / HTTP/1.1\r\nhost: a\r\nx${byte}y: z\r\n\r\n`],
  ['in a value', value, (byte) => `GET / HTTP/1.1\r\nhost: a\r\nx: y${byte}z\r\n\r\n`],
  ['as a value', value, (byte) => `GET / HTTP/1.1\r\nhost: a\r\nx:${byte}\r\n\r\n`],
  ['in a host', `${letters}${digits}-._~!$&'()*+;=%`, (byte) => `GET / HTTP/1.1\r\nhost: a${byte}4a\r\n\r\n`],
  ['in a content-length', digits, (byte) => `GET / HTTP/1.1\r\nhost: a\r\ncontent-length: 1${byte}2\r\n\r\n`],
  ['before chunked', ' \t', (byte) => `GET / HTTP/1.1\r\nhost: a\r\ntransfer-encoding:${byte}chunked\r\n\r\n`],
  ['behind chunked', ' \t', (byte) => `GET / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked${byte}\r\n\r\n`],
  ['at the end', '', (byte) => `GET / HTTP/1.1\r\nhost: a\r\n${byte}\r\n`],
];
for (const [place, allowed, head] of places) {
  test(`every byte ${place} is taken or refused as the grammar says`, () => {
    for (let byte = 0; byte < 256; byte++) {
      const character = String.fromCharCode(byte);
      const result = parse(head(character));
      if (allowed.includes(character)) assert.ok(complete(result), `${byte} is refused`);
      else assert.deepEqual(result, { status: 400 }, `${byte} is taken`);
    }
  });
}

/** Valid heads. */
const heads = fc
  .record({
    empty: fc.integer({ min: 0, max: 2 }),
    method: fc.constantFrom('GET', 'POST', 'OPTIONS', 'M-SEARCH'),
    target: fc.constantFrom('/', '/a/b?c=d', 'http://b/c', '/%20', '/../..'),
    minor: fc.integer({ min: 0, max: 1 }),
    host: fc.constantFrom('a', 'a:1', '[::1]:80', 'b.c'),
    length: fc.option(fc.nat()),
    fields: fc.array(
      fc.tuple(
        fc.constantFrom('X', 'accept', 'Connection', 'cookie'),
        fc.constantFrom('', 'a', 'close', 'keep-alive, x', '\xff\t\xe4'),
      ),
      { maxLength: 6 },
    ),
  })
  .map(({ empty, method, target, minor, host, length, fields }) =>
    [
      `${'\r\n'.repeat(empty)}${method} ${target} HTTP/1.${minor}`,
      `Host: ${host}`,
      ...(length === null ? [] : [`content-length: ${length}`]),
      ...fields.map(([name, value]) => `${name}:${value}`),
      '',
      '',
    ].join('\r\n'),
  );

/** A few bytes replaced, put in, taken out, or doubled. */
const mutations = fc.array(
  fc.record({
    at: fc.nat(),
    what: fc.constantFrom('replace', 'insert', 'remove', 'double'),
    text: fc.oneof(
      fc.constantFrom('\r', '\n', '\r\n', ' ', '\t', ':', '\0', ',', 'chunked', 'transfer-encoding: chunked\r\n'),
      fc.integer({ min: 0, max: 255 }).map((unit) => String.fromCharCode(unit)),
    ),
  }),
  { minLength: 0, maxLength: 3 },
);

function mutate(head: string, changes: readonly { at: number; what: string; text: string }[]): string {
  let text = head;
  for (const { at, what, text: other } of changes) {
    const place = at % (text.length + 1);
    const before = text.slice(0, place);
    const after = text.slice(place);
    if (what === 'insert') text = before + other + after;
    else if (what === 'replace') text = before + other + after.slice(1);
    else if (what === 'remove') text = before + after.slice(1);
    else text = before + after.slice(0, 8) + after;
  }
  return text;
}

test('heads that are well-formed are taken, whatever they say', () => {
  fc.assert(
    fc.property(heads, (text) => {
      const result = parse(text);
      assert.ok('length' in result, JSON.stringify(result));
      assert.equal(result.length, text.length);
    }),
  );
});

test('a mutated head is taken or refused, never anything else, and however it is cut', () => {
  fc.assert(
    fc.property(heads, mutations, fc.array(fc.nat(), { maxLength: 6 }), (head, changes, places) => {
      const text = mutate(head, changes);
      const cuts = places.map((place) => place % (text.length + 1)).sort((a, b) => a - b);
      const whole = parse(text);
      if ('status' in whole) assert.ok([400, 413, 414, 417, 431, 501, 505].includes(Number(whole.status)));
      assert.deepEqual(parse(text, cuts), whole);
      assert.deepEqual(parse(text, everyByte(text)), whole);
    }),
    { numRuns: 2000 },
  );
});

test('bytes at random are taken or refused, never anything else, and however they are cut', () => {
  const small = { headSize: 256, targetSize: 16, fieldCount: 2 };
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), fc.nat(), (bytes, place) => {
      const text = Buffer.from(bytes).toString('latin1');
      assert.deepEqual(parse(text, [place % (text.length + 1)], small), parse(text, [], small));
    }),
    { numRuns: 500 },
  );
});

test('a value ends at the first byte that may not stand in it, wherever that is', () => {
  for (let length = 0; length < 10; length++) {
    for (let place = 0; place <= length; place++) {
      for (let byte = 0; byte < 256; byte++) {
        const value = Buffer.alloc(length, 'v');
        value[place] = byte;
        const result = parse(`GET / HTTP/1.0\r\nx: ${value.toString('latin1')}\r\n\r\n`);
        const mayStand = place === length || byte === 9 || (byte >= 32 && byte !== 127);
        // A CR that is no end of a line is refused as well.
        assert.equal('length' in result, mayStand, `byte ${byte} at ${place} of ${length}`);
      }
    }
  }
});

test('any version of HTTP/1 will do, in whatever pieces it comes', () => {
  for (const [version, minor] of [
    ['1.0', 0],
    ['1.1', 1],
    ['1.2', 1],
    ['1.9', 1],
  ] as const) {
    const text = `GET / HTTP/${version}\r\nhost: a\r\n\r\n`;
    for (const cut of everyByte(text)) {
      const result = parse(text, [cut]);
      assert.ok(
        'minor' in result && result.minor === minor && result.length === text.length,
        `${version} cut at ${cut}`,
      );
    }
  }
  for (const wrong of ['HTTP/1.1\r\r', 'HTTP/1.1\n\n', 'HTTP/1,1\r\n', 'HTTQ/1.1\r\n', 'HTTP/1.\r\n\r', 'http/1.1\r\n'])
    for (const cut of everyByte(wrong))
      assert.deepEqual(parse(`GET / ${wrong}host: a\r\n\r\n`, ['GET / '.length + cut]), { status: 400 });
});
