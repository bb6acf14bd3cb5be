// https://fetch.spec.whatwg.org/#response-class

import {
  attributeRows,
  type Classes,
  operation,
  propertyOf,
  type Row,
  rangeError,
  type Statement,
  statements,
  streamOf,
  tag,
  typeError,
} from './statement.js';

const status =
  (init: unknown, body?: unknown) =>
  ({ Response }: Classes) =>
    new Response(body, { status: init }).status;

const statuses: Row[] = [
  ...[200, 201, 203, 204, 205, 206, 299, 300, 304, 399, 400, 418, 499, 500, 599].map(
    (code): Row => [`${code}`, code, status(code)],
  ),
  ...[0, 1, 100, 101, 103, 199, 600, 700, 1000, -1, Number.NaN, Infinity, null, 'abc', {}].map(
    (code): Row => [`${typeof code} ${code}`, rangeError, status(code)],
  ),
  ['undefined', 200, status(undefined)],
  ['a string', 201, status('201')],
  ['a fraction', 200, status(200.9)],
  ['what wraps around', 200, status(65536 + 200)],
  ['what wraps around from below', 200, status(200 - 65536)],
  ['a symbol', typeError, status(Symbol('a'))],
  ['a bigint', typeError, status(200n)],
  ...[204, 205, 304].flatMap((code): Row[] => [
    [`${code} with a text`, typeError, status(code, 'a')],
    [`${code} with an empty text`, typeError, status(code, '')],
    [`${code} with a stream`, typeError, status(code, streamOf())],
    [`${code} with null`, code, status(code, null)],
  ]),
  ...[199, 200, 299, 300, 404]
    .filter((code) => code > 199)
    .map((code): Row => [`ok of ${code}`, code < 300, ({ Response }) => new Response(null, { status: code }).ok]),
];

const phrases: Row[] = [
  ...['', 'OK', 'a b', 'a\tb', ' a ', '\u0080', 'ÿ'].map(
    (text): Row => [JSON.stringify(text), text, ({ Response }) => new Response(null, { statusText: text }).statusText],
  ),
  ...['\n', 'a\r', 'a\0', '\u0001', '\u007f', 'Ā', '€', Symbol('a')].map(
    (text): Row => [
      typeof text === 'string' ? JSON.stringify(text) : 'a symbol',
      typeError,
      ({ Response }) => new Response(null, { statusText: text }),
    ],
  ),
  ['a number', '5', ({ Response }) => new Response(null, { statusText: 5 }).statusText],
  ['undefined', '', ({ Response }) => new Response(null, { statusText: undefined }).statusText],
  ['null', 'null', ({ Response }) => new Response(null, { statusText: null }).statusText],
];

const shown = (response: Response) => [
  response.type,
  response.url,
  response.redirected,
  response.status,
  response.ok,
  response.statusText,
  response.bodyUsed,
];
const inits: Row[] = [
  ['nothing', ['default', '', false, 200, true, '', false], ({ Response }) => shown(new Response())],
  ['undefined as init', 200, ({ Response }) => new Response('a', undefined).status],
  ['null as init', 200, ({ Response }) => new Response('a', null).status],
  ['a function as init', 200, ({ Response }) => new Response('a', () => {}).status],
  ...[1, 'a', true, Symbol('a'), 1n].map(
    (init): Row => [`a ${typeof init} as init`, typeError, ({ Response }) => new Response('a', init)],
  ),
  ['members that are inherited', 201, ({ Response }) => new Response('a', Object.create({ status: 201 })).status],
  [
    'another response as init',
    [201, 'Made', 'b'],
    ({ Response }) => {
      const first = new Response('x', { status: 201, statusText: 'Made', headers: { a: 'b' } });
      const second = new Response('y', first);
      return [second.status, second.statusText, second.headers.get('a')];
    },
  ],
  [
    'the order of its members',
    ['headers', 'status', 'statusText'],
    ({ Response }) => {
      const seen: string[] = [];
      const member = (name: string) => ({ get: () => void seen.push(name) });
      new Response(
        null,
        Object.defineProperties(
          {},
          { statusText: member('statusText'), status: member('status'), headers: member('headers') },
        ),
      );
      return seen;
    },
  ],
  [
    'a status before headers that are wrong',
    rangeError,
    ({ Response }) => new Response(null, { status: 1, headers: { 'a b': '' } }),
  ],
  ['headers null', typeError, ({ Response }) => new Response(null, { headers: null })],
  ['headers that are invalid', typeError, ({ Response }) => new Response(null, { headers: { 'a b': '' } })],
  ['headers as pairs', 'b', ({ Response }) => new Response(null, { headers: [['a', 'b']] }).headers.get('a')],
  [
    'headers, which are copied',
    ['b', 'c'],
    ({ Headers, Response }) => {
      const headers = new Headers({ a: 'b' });
      const response = new Response(null, { headers });
      headers.set('a', 'c');
      return [response.headers.get('a'), headers.get('a')];
    },
  ],
  [
    'its headers are one object',
    true,
    ({ Response }) => {
      const response = new Response();
      const { headers } = response;
      return response.headers === headers;
    },
  ],
  [
    'set-cookie',
    ['a', 'b'],
    ({ Response }) =>
      new Response(null, {
        headers: [
          ['set-cookie', 'a'],
          ['set-cookie', 'b'],
        ],
      }).headers.getSetCookie(),
  ],
  [
    'an empty content type that is given',
    '',
    ({ Response }) => new Response('a', { headers: { 'content-type': '' } }).headers.get('content-type'),
  ],
];

const statics: Row[] = [
  ['error', ['error', '', false, 0, false, '', false], ({ Response }) => shown(Response.error())],
  ['error, headers', [], ({ Response }) => [...Response.error().headers]],
  ['error, body', null, ({ Response }) => Response.error().body],
  ...(['append', 'set', 'delete'] as const).flatMap((name): Row[] => [
    [
      `error, ${name}`,
      typeError,
      ({ Response }) => Reflect.apply(Response.error().headers[name], Response.error().headers, ['a', 'b']),
    ],
    [
      `redirect, ${name}`,
      typeError,
      ({ Response }) =>
        Reflect.apply(Response.redirect('http://a/').headers[name], Response.redirect('http://a/').headers, ['a', 'b']),
    ],
  ]),
  [
    'error, cloned',
    ['error', 0],
    ({ Response }) => {
      const { type, status } = Response.error().clone();
      return [type, status];
    },
  ],
  ['each error is new', false, ({ Response }) => new Set([Response.error(), Response.error()]).size === 1],
  ...[301, 302, 303, 307, 308].map(
    (code): Row => [
      `redirect ${code}`,
      [code, 'http://a/'],
      ({ Response }) => {
        const response = Response.redirect('http://a', code);
        return [response.status, response.headers.get('location')];
      },
    ],
  ),
  ...[0, 200, 300, 304, 305, 306, 309, 400, 500].map(
    (code): Row => [`redirect ${code}`, rangeError, ({ Response }) => Response.redirect('http://a', code)],
  ),
  ['redirect', ['default', '', false, 302, false, '', false], ({ Response }) => shown(Response.redirect('http://a/'))],
  ['redirect, body', null, ({ Response }) => Response.redirect('http://a/').body],
  [
    'redirect to a URL',
    'http://a/%C3%A9#b',
    ({ Response }) => Response.redirect(new URL('http://a/é#b')).headers.get('location'),
  ],
  ['redirect to what is no URL', typeError, ({ Response }) => Response.redirect('http://:no/')],
  ['redirect to nothing', typeError, ({ Response }) => Response.redirect()],
  ['redirect with a wrong URL and status', typeError, ({ Response }) => Response.redirect('http://:no/', 1)],
  [
    'json',
    [200, 'application/json', '{"a":[1,null]}'],
    async ({ Response }) => {
      const response = Response.json({ a: [1, undefined] });
      return [response.status, response.headers.get('content-type'), await response.text()];
    },
  ],
  ...[
    [null, 'null'],
    ['é', '"é"'],
    [true, 'true'],
    [[], '[]'],
    [{ toJSON: () => 1 }, '1'],
  ].map(([data, text]): Row => [`json of ${text}`, text, ({ Response }) => Response.json(data).text()]),
  ...[
    ['undefined', undefined],
    ['a function', () => {}],
    ['a symbol', Symbol('a')],
    ['a bigint', 1n],
  ].map(([name, data]): Row => [`json of ${String(name)}`, typeError, ({ Response }) => Response.json(data)]),
  ['json of nothing', typeError, ({ Response }) => Response.json()],
  [
    'json of what goes round',
    typeError,
    ({ Response }) => {
      const round: unknown[] = [];
      round.push(round);
      return Response.json(round);
    },
  ],
  [
    'json that throws',
    rangeError,
    ({ Response }) =>
      Response.json({
        get a() {
          throw new RangeError('no');
        },
      }),
  ],
  ['json with a status', 201, ({ Response }) => Response.json(1, { status: 201 }).status],
  [
    'json with a type',
    'x/y',
    ({ Response }) => Response.json(1, { headers: { 'content-type': 'x/y' } }).headers.get('content-type'),
  ],
  [
    'json with other headers',
    ['application/json', 'b'],
    ({ Response }) => {
      const { headers } = Response.json(1, { headers: { a: 'b' } });
      return [headers.get('content-type'), headers.get('a')];
    },
  ],
  ...[204, 205, 304].map(
    (code): Row => [`json with ${code}`, typeError, ({ Response }) => Response.json(1, { status: code })],
  ),
  ...[100, 600].map(
    (code): Row => [`json with ${code}`, rangeError, ({ Response }) => Response.json(1, { status: code })],
  ),
];

const clones: Row[] = [
  [
    'status, text and headers',
    [201, 'Made', 'b'],
    ({ Response }) => {
      const clone = new Response('x', { status: 201, statusText: 'Made', headers: { a: 'b' } }).clone();
      return [clone.status, clone.statusText, clone.headers.get('a')];
    },
  ],
  [
    'headers of its own',
    ['b', 'c'],
    ({ Response }) => {
      const response = new Response('x', { headers: { a: 'b' } });
      const clone = response.clone();
      clone.headers.set('a', 'c');
      return [response.headers.get('a'), clone.headers.get('a')];
    },
  ],
  [
    'of a redirect, whose headers stay as they are',
    typeError,
    ({ Response }) => Response.redirect('http://a/').clone().headers.set('a', 'b'),
  ],
  [
    'of a subclass',
    [true, false],
    ({ Response }) => {
      class Own extends Response {}
      const clone = new Own().clone();
      return [clone instanceof Response, clone instanceof Own];
    },
  ],
  ['on something else', typeError, ({ Response }) => Reflect.apply(Response.prototype.clone, {}, [])],
];

const attributes = ['type', 'url', 'redirected', 'status', 'ok', 'statusText', 'headers', 'body', 'bodyUsed'];
const shape: Row[] = [
  ...attributeRows(attributes, 'Response', ({ Response }) => new Response()),
  ...['clone', 'arrayBuffer', 'blob', 'formData', 'json', 'text'].map(
    (name): Row => [name, operation(name, 0), ({ Response }) => propertyOf(Response.prototype, name)],
  ),
  ...[
    ['error', 0],
    ['json', 1],
    ['redirect', 1],
  ].map(
    ([name, length]): Row => [
      `static ${name}`,
      operation(String(name), Number(length)),
      ({ Response }) => propertyOf(Response, String(name)),
    ],
  ),
  ['the tag', tag('Response'), ({ Response }) => propertyOf(Response.prototype, Symbol.toStringTag)],
  ['the tag of one', '[object Response]', ({ Response }) => Object.prototype.toString.call(new Response())],
  [
    'name and length',
    ['Response', 0],
    ({ Response }) => [Reflect.get(Response, 'name'), Reflect.get(Response, 'length')],
  ],
  ['without new', typeError, ({ Response }) => Reflect.apply(Response as unknown as () => void, undefined, [])],
  ['own keys of one', [], ({ Response }) => Object.keys(new Response('a'))],
  ['own symbols of one', 0, ({ Response }) => Object.getOwnPropertySymbols(new Response('a')).length],
  ['constructor', true, ({ Response }) => Response.prototype.constructor === (Response as unknown)],
  [
    'in a loop',
    true,
    ({ Response }) => {
      const found: string[] = [];
      for (const key in new Response()) found.push(key);
      return [...attributes, 'clone', 'text'].every((name) => found.includes(name));
    },
  ],
  ['as JSON', '{}', ({ Response }) => JSON.stringify(new Response('a'))],
  [
    'what is none',
    [false, false, false],
    ({ Response }) => [{}, null, 'a'].map((value) => (value as object) instanceof Response),
  ],
];

export const responseStatements: Statement[] = [
  ...statements('status', statuses),
  ...statements('status text', phrases),
  ...statements('Response from', inits),
  ...statements('Response.', statics),
  ...statements('clone of a response', clones),
  ...statements('the class Response', shape),
];
