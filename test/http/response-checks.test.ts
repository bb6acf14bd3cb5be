// Responses that may not be sent as they are: of classes derived from Response, of other implementations, of other realms. The client
// gets a 500 that is well-formed, and `onError` is called once what was found and what was expected.

import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import vm from 'node:vm';
import { Response } from '#sluice/http/fetch/response.js';
import { stream } from '#sluice/http/stream.js';
import type { AnyResponse } from '#sluice/server/serve.js';
import { field } from '../support/response-parser.js';
import { get, World } from '../support/world.js';

/** What another implementation of the standard may return. */
function foreign(members: object): AnyResponse {
  const response = {
    ...{ type: 'default', url: '', bodyUsed: false, body: null, status: 200, statusText: '', headers: new Map() },
    ...members,
    get [Symbol.toStringTag]() {
      return 'Response';
    },
  };
  return response as unknown as AnyResponse;
}

/** A Response of ours, with members in the place of its own, as a derived class may have them. */
function derived(members: object, body: string | null = 'x'): AnyResponse {
  const response = new Response(body);
  for (const [name, value] of Object.entries(members)) Object.defineProperty(response, name, { value });
  return response;
}

const withField = (name: unknown, value: unknown) => foreign({ headers: [[name, value]] });

function appended(...fields: [string, string][]): Response {
  const response = new Response('seven b');
  for (const [name, value] of fields) response.headers.append(name, value);
  return response;
}

const statuses: unknown[] = [
  Number.NaN,
  -5,
  0,
  100,
  101,
  103,
  199,
  600,
  999,
  1e9,
  200.5,
  Infinity,
  '200',
  undefined,
  {},
];

const invalid: [name: string, make: () => unknown, message: RegExp][] = [
  ...statuses.flatMap((status): typeof invalid => {
    const message = /^the status is .*; expected a whole number from 200 to 599$/;
    const shown = typeof status === 'string' ? `'${status}'` : String(status);
    return [
      [`a status of ${shown}, of a derived class`, () => derived({ status }), message],
      [`a status of ${shown}, of another implementation`, () => foreign({ status }), message],
    ];
  }),
  ['a status that is a symbol', () => foreign({ status: Symbol('s') }), /^the status is Symbol\(s\); expected/],
  ...['a\r\nx-injected: 1', 'a\nb', '\0', '\x7f', '€', 7, { toString: () => 'OK' }, null].map(
    (statusText): (typeof invalid)[number] => [
      `a statusText of ${JSON.stringify(statusText)}`,
      () => derived({ statusText }),
      /^statusText is .*; expected a string of visible characters, spaces and tabs$/,
    ],
  ),
  ...['a\r\nx-injected: 1', 'a b', 'a:', '', 'é', '€', '\0', 7, undefined].map((name): (typeof invalid)[number] => [
    `a field name of ${JSON.stringify(name)}`,
    () => withField(name, 'v'),
    /^a field has the name .*; expected a token \(RFC 9110 §5\.6\.2\)$/,
  ]),
  ...['a\r\nx-injected: 1', 'a\rb', 'a\nb', '\0', '\x1b', '\x7f', '€', 7, null, { toString: () => 'v' }].map(
    (value): (typeof invalid)[number] => [
      `a field value of ${JSON.stringify(value)}`,
      () => withField('x-a', value),
      /^the field x-a is .*; expected a string of visible characters, spaces and tabs$/,
    ],
  ),
  ...['connection', 'transfer-encoding', 'keep-alive', 'upgrade', 'content-length'].map(
    (name): (typeof invalid)[number] => [
      `a value with CRLF of ${name}, which the server writes itself`,
      () => withField(name, 'a\r\nx-injected: 1'),
      new RegExp(`^the field ${name} is `),
    ],
  ),
  ['fields that are no pairs', () => foreign({ headers: [null] }), /./],
  ['fields without an end', () => foreign({ headers: endless() }), /^the response has more than 10000 fields$/],
  ...['8', '007, 7', '7, 7', '7, 8', '-7', '+7', '7.0', '0x7', '', ' ', '1e1', '9999999999999999'].map(
    (length): (typeof invalid)[number] => [
      `a content-length of ${JSON.stringify(length)} for seven bytes`,
      () => appended(['content-length', length]),
      /^content-length is /,
    ],
  ),
  [
    'content-length twice',
    () => appended(['content-length', '7'], ['content-length', '7']),
    /^content-length is "7, 7"/,
  ],
  ['two lengths', () => appended(['content-length', '7'], ['Content-Length', '8']), /^content-length is "7, 8"/],
  ['date twice', () => appended(['date', 'a'], ['date', 'b']), /^the field date is given twice; expected one/],
  ...[204, 205, 304].map((status): (typeof invalid)[number] => [
    `status ${status} with a body`,
    () => derived({ status }),
    new RegExp(`^the response has the status ${status} and a body; expected none`),
  ]),
  ['Response.error()', () => Response.error(), /Response\.error\(\), which cannot be sent/],
  [
    'a Response whose body is no stream',
    () => foreign({ body: 'text' }),
    /^fetch returned \[object Response\]; expected/,
  ],
  ['no Response', () => ({ status: 200 }), /^fetch returned \[object Object\]; expected a Response/],
];

function* endless(): Generator<[string, string], never> {
  for (;;) yield ['x-a', 'v'];
}

for (const [name, make, message] of invalid)
  test(`${name}: the client gets a 500, and onError is called`, async () => {
    for (const kind of ['plain', 'async', 'thread']) {
      const handlers = {
        plain: make,
        async: async () => make(),
        *thread(): Generator<never, unknown> {
          return make();
        },
      };
      const fetch = handlers[kind as keyof typeof handlers] as () => AnyResponse;
      const world = await World.open({ fetch });
      const client = world.exchange(get('/'), 'GET');
      await world.pass();
      const { responses, ending } = await client;
      assert.deepEqual(
        [responses.map(({ status, body }) => `${status} ${body}`), ending],
        [['500 Internal Server Error'], 'FIN'],
        kind,
      );
      assert.deepEqual([world.errors.length, kind], [1, kind]);
      const [error] = world.errors;
      assert.ok(error instanceof Error);
      assert.match(error.message, message);
      await world.close();
    }
  });

const valid: [name: string, make: () => AnyResponse, check: Partial<Record<string, string | undefined>>][] = [
  ['a status of a derived class', () => derived({ status: 418 }), { status: "418 I'm a Teapot" }],
  ['a reason phrase in Latin-1', () => derived({ statusText: 'é\t!' }), { status: '200 é\t!' }],
  ['names in capitals', () => withField('X-Name', 'v'), { status: '200 OK', 'x-name': 'v' }],
  [
    'Content-Length in capitals, the length of an empty body',
    () => withField('Content-Length', '0'),
    { status: '200 OK', 'content-length': '0' },
  ],
  [
    'Transfer-Encoding and Connection in capitals',
    () =>
      foreign({
        headers: [
          ['Transfer-Encoding', 'gzip, chunked'],
          ['Connection', 'keep-alive'],
        ],
      }),
    { status: '200 OK', 'transfer-encoding': undefined, connection: undefined, 'content-length': '0' },
  ],
  [
    'the Response of another realm',
    () =>
      vm.runInNewContext(
        `({ [Symbol.toStringTag]: 'Response', type: 'default', url: '', body: null, bodyUsed: false, status: 203, statusText: 'Far', headers: new Map([['x-a', 'b']]) })`,
      ),
    { status: '203 Far', 'x-a': 'b', 'content-length': '0' },
  ],
  [
    'a stream with digits in front of its length',
    () =>
      stream(
        function* (out) {
          yield* out.write('seven b');
        },
        { headers: { 'content-length': '007' } },
      ),
    { status: '200 OK', 'content-length': '7' },
  ],
];

for (const [name, make, expected] of valid)
  test(`${name}: sent in the form that the RFCs ask for`, async () => {
    const world = await World.open({ fetch: make });
    const client = world.exchange(get('/', 'connection: close'), 'GET');
    await world.pass();
    const { responses, ending } = await client;
    assert.deepEqual(world.errors, []);
    assert.deepEqual([responses.length, ending], [1, 'FIN']);
    const [response] = responses;
    const { status, connection, ...fields } = expected;
    assert.equal(`${response.status} ${response.reason}`, status);
    for (const [field_, value] of Object.entries(fields)) assert.equal(field(response, field_), value, field_);
    await world.close();
  });

const bodies: [name: string, body: () => unknown][] = [
  ['a stream of strings and bytes', () => ReadableStream.from(['h€', new Uint8Array([0x21]), '\ud83d', '\ude00'])],
  ['a stream of Node’s', () => Readable.from(['h€!', '😀'])],
  ['a stream of another implementation', () => ({ getReader: () => ReadableStream.from(['h€!', '😀']).getReader() })],
];

for (const [name, body] of bodies)
  test(`${name}, in a response of another implementation: sent as UTF-8, with its cookies apart`, async () => {
    const headers = Object.assign(new Map([['Set-Cookie', 'a=1, b=2']]), {
      raw: () => ({ 'set-cookie': ['a=1', 'b=2'] }),
    });
    const world = await World.open({ fetch: () => foreign({ headers, body: body() }) });
    const client = world.exchange(get('/', 'connection: close'), 'GET');
    await world.pass();
    const [response] = (await client).responses;
    assert.deepEqual(world.errors, []);
    assert.equal(Buffer.from(response.body, 'latin1').toString(), 'h€!😀');
    assert.deepEqual(
      response.fields.filter(([field]) => field === 'set-cookie').map(([, value]) => value),
      ['a=1', 'b=2'],
    );
    await world.close();
  });

test('a response with the status of a refusal that a handler has thrown has a status that exists', async () => {
  const { HttpError } = await import('#sluice/http/errors.js');
  for (const status of [Number.NaN, 200, 101, 999, '404\r\nx-injected: 1']) {
    const fetch = () => {
      throw new HttpError(status as number, 'no');
    };
    const world = await World.open({ fetch });
    const client = world.exchange(get('/'), 'GET');
    await world.pass();
    assert.deepEqual(
      (await client).responses.map((response) => response.status),
      [500],
    );
    await world.close();
  }
});
