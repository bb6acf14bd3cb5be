// https://fetch.spec.whatwg.org/#request-class

import {
  attributeRows,
  bytes,
  type Classes,
  errorOf,
  operation,
  propertyOf,
  type Row,
  type Statement,
  statements,
  streamOf,
  tag,
  typeError,
} from './statement.js';

const here = 'http://localhost/a?b#c';
const make = ({ Request }: Classes, init?: unknown) => new Request(here, init);
const post = (classes: Classes, more: object = {}) =>
  make(classes, { method: 'POST', body: 'hi', headers: { a: 'b' }, ...more });

const methods: Row[] = [
  ...['get', 'Get', 'post', 'head', 'delete', 'options', 'put'].map(
    (method): Row => [method, method.toUpperCase(), (classes) => make(classes, { method }).method],
  ),
  ...['patcH', 'chicken', 'PURGE', "!#$%&'*+-.^_`|~"].map(
    (method): Row => [method, method, (classes) => make(classes, { method }).method],
  ),
  ...['TRACE', 'trace', 'TRACK', 'CONNECT', 'connect', '', 'a b', 'a\n', 'é', '€', 'a/b', null, 5n]
    .filter((method) => method !== null && typeof method !== 'bigint')
    .map((method): Row => [JSON.stringify(method), typeError, (classes) => make(classes, { method })]),
  ['undefined', 'GET', (classes) => make(classes, { method: undefined }).method],
  ['a symbol', typeError, (classes) => make(classes, { method: Symbol('a') })],
];

const urls: Row[] = [
  ['a string', here, (classes) => make(classes).url],
  ['a URL', here, ({ Request }) => new Request(new URL(here)).url],
  ['an object', here, ({ Request }) => new Request({ toString: () => here }).url],
  [
    'with what is escaped',
    'http://localhost/%C3%A9%20x?%C3%A9#%C3%A9',
    ({ Request }) => new Request('http://LOCALHOST:80/é x?é#é').url,
  ],
  ['another request', here, ({ Request }) => new Request(new Request(here)).url],
  ...['', 'http://', 'http://:no/', '//', 'a b'].map(
    (url): Row => [JSON.stringify(url), typeError, ({ Request }) => new Request(url)],
  ),
  ...['http://user@localhost/', 'http://user:secret@localhost/', 'http://:secret@localhost/'].map(
    (url): Row => [url, typeError, ({ Request }) => new Request(url)],
  ),
  ['nothing', typeError, ({ Request }) => new Request()],
  ['a symbol', typeError, ({ Request }) => new Request(Symbol('a'))],
];

const members: Record<string, { initial: unknown; valid: string[] }> = {
  cache: { initial: 'default', valid: ['default', 'no-store', 'reload', 'no-cache', 'force-cache'] },
  credentials: { initial: 'same-origin', valid: ['omit', 'same-origin', 'include'] },
  mode: { initial: 'cors', valid: ['same-origin', 'no-cors', 'cors'] },
  redirect: { initial: 'follow', valid: ['follow', 'error', 'manual'] },
  referrerPolicy: { initial: '', valid: ['', 'no-referrer', 'origin', 'same-origin', 'strict-origin', 'unsafe-url'] },
};
const options: Row[] = [
  ...Object.entries(members).flatMap(([name, { initial, valid }]): Row[] => [
    [`${name} by default`, initial, (classes) => Reflect.get(make(classes), name)],
    ...valid.map(
      (value): Row => [`${name} ${value}`, value, (classes) => Reflect.get(make(classes, { [name]: value }), name)],
    ),
    [`${name} that there is not`, typeError, (classes) => make(classes, { [name]: 'nonsense' })],
    [
      `${name} of another request`,
      valid.at(-1),
      (classes) => Reflect.get(new classes.Request(make(classes, { [name]: valid.at(-1) })), name),
    ],
    [
      `${name} of a clone`,
      valid.at(-1),
      (classes) => Reflect.get(make(classes, { [name]: valid.at(-1) }).clone(), name),
    ],
  ]),
  ['mode navigate', typeError, (classes) => make(classes, { mode: 'navigate' })],
  [
    'only-if-cached of another origin',
    typeError,
    (classes) => make(classes, { cache: 'only-if-cached', mode: 'cors' }),
  ],
  [
    'only-if-cached of the same origin',
    'only-if-cached',
    (classes) => make(classes, { cache: 'only-if-cached', mode: 'same-origin' }).cache,
  ],
  ['a method that no-cors has not', typeError, (classes) => make(classes, { mode: 'no-cors', method: 'PUT' })],
  ['integrity by default', '', (classes) => make(classes).integrity],
  ['integrity', 'sha256-x', (classes) => make(classes, { integrity: 'sha256-x' }).integrity],
  ['keepalive by default', false, (classes) => make(classes).keepalive],
  [
    'keepalive',
    [true, true, false],
    (classes) => [true, 1, ''].map((keepalive) => make(classes, { keepalive }).keepalive),
  ],
  ['destination', '', (classes) => make(classes).destination],
  ['referrer by default', 'about:client', (classes) => make(classes).referrer],
  ['referrer of none', '', (classes) => make(classes, { referrer: '' }).referrer],
  ['a referrer that is no URL', typeError, (classes) => make(classes, { referrer: 'http://:no/' })],
  ['a window', typeError, (classes) => make(classes, { window: {} })],
  ['a window of null', 'GET', (classes) => make(classes, { window: null }).method],
  ['duplex', 'half', (classes) => Reflect.get(make(classes), 'duplex')],
  ...[1, 'a', true, Symbol('a')].map(
    (init): Row => [`a ${typeof init} as init`, typeError, (classes) => make(classes, init)],
  ),
  ['null as init', 'GET', (classes) => make(classes, null).method],
];

const bodies: Row[] = [
  ...['GET', 'HEAD', 'get'].flatMap((method): Row[] => [
    [`${method} with a body`, typeError, (classes) => make(classes, { method, body: 'a' })],
    [`${method} with an empty body`, typeError, (classes) => make(classes, { method, body: '' })],
    [`${method} with null`, null, (classes) => make(classes, { method, body: null }).body],
  ]),
  ['a stream without duplex', typeError, (classes) => make(classes, { method: 'POST', body: streamOf() })],
  ...(
    [
      ['a string', () => 'a'],
      ['null', () => null],
      ['a stream', () => streamOf()],
      ['a blob', () => new Blob(['a'])],
    ] as const
  ).map(
    ([name, body]): Row => [
      `${name} with duplex full`,
      typeError,
      (classes) => make(classes, { method: 'POST', body: body(), duplex: 'full' }),
    ],
  ),
  [
    'its stream is the one that was given',
    true,
    (classes) => {
      const body = streamOf();
      return make(classes, { method: 'POST', body, duplex: 'half' }).body === body;
    },
  ],
  [
    'taken over',
    ['hi', true, 'TypeError'],
    async (classes) => {
      const first = post(classes);
      const second = new classes.Request(first);
      return [await second.text(), first.bodyUsed, await errorOf(() => first.text())];
    },
  ],
  [
    'not taken over if there is another',
    ['yo', false, 'hi'],
    async (classes) => {
      const first = post(classes);
      const second = new classes.Request(first, { body: 'yo' });
      return [await second.text(), first.bodyUsed, await first.text()];
    },
  ],
  [
    'not taken over where it fails',
    [false, false],
    (classes) => {
      const first = post(classes);
      const used: boolean[] = [];
      for (const init of [{ method: 'GET' }, { method: 'CONNECT' }]) {
        try {
          new classes.Request(first, init);
        } catch {
          used.push(first.bodyUsed);
        }
      }
      return used;
    },
  ],
  [
    'of a request that was read',
    typeError,
    async (classes) => {
      const first = post(classes);
      await first.text();
      return new classes.Request(first);
    },
  ],
  [
    'of a request that was read, with another',
    'yo',
    async (classes) => {
      const first = post(classes);
      await first.text();
      return new classes.Request(first, { body: 'yo' }).text();
    },
  ],
  [
    'of a request that is locked',
    typeError,
    (classes) => {
      const first = post(classes);
      first.body?.getReader();
      return new classes.Request(first);
    },
  ],
  [
    'of a request whose stream was read from',
    typeError,
    async (classes) => {
      const first = post(classes);
      const reader = first.body?.getReader();
      await reader?.read();
      reader?.releaseLock();
      return new classes.Request(first);
    },
  ],
  [
    'of a request whose stream was given',
    'ab',
    (classes) =>
      new classes.Request(make(classes, { method: 'POST', body: streamOf(bytes('ab')), duplex: 'half' })).text(),
  ],
  [
    'of a response',
    'ab',
    ({ Request, Response }) =>
      new Request(here, { method: 'POST', body: new Response('ab').body, duplex: 'half' }).text(),
  ],
];

const copying: Row[] = [
  [
    'method and headers',
    ['POST', 'b'],
    (classes) => {
      const second = new classes.Request(post(classes));
      return [second.method, second.headers.get('a')];
    },
  ],
  [
    'headers that are replaced',
    [null, 'd'],
    (classes) => {
      const { headers } = new classes.Request(make(classes, { headers: { a: 'b' } }), { headers: { c: 'd' } });
      return [headers.get('a'), headers.get('c')];
    },
  ],
  [
    'headers that were changed',
    'c',
    (classes) => {
      const first = make(classes, { headers: { a: 'b' } });
      first.headers.set('a', 'c');
      return new classes.Request(first).headers.get('a');
    },
  ],
  [
    'headers of its own',
    ['b', 'c'],
    (classes) => {
      const first = make(classes, { headers: { a: 'b' } });
      const second = new classes.Request(first);
      second.headers.set('a', 'c');
      return [first.headers.get('a'), second.headers.get('a')];
    },
  ],
  ['its type', 'text/plain;charset=UTF-8', (classes) => new classes.Request(post(classes)).headers.get('content-type')],
  [
    'a request as init',
    ['http://other/', 'POST', 'hi', 'b'],
    async (classes) => {
      const second = new classes.Request('http://other/', post(classes, { duplex: 'half' }));
      return [second.url, second.method, await second.text(), second.headers.get('a')];
    },
  ],
  [
    'headers of a clone',
    ['b', 'c'],
    (classes) => {
      const first = make(classes, { headers: { a: 'b' } });
      const clone = first.clone();
      clone.headers.set('a', 'c');
      return [first.headers.get('a'), clone.headers.get('a')];
    },
  ],
  [
    'a clone',
    [here, 'POST', 'hi'],
    async (classes) => {
      const clone = post(classes).clone();
      return [clone.url, clone.method, await clone.text()];
    },
  ],
  [
    'a clone of a subclass',
    false,
    (classes) => {
      class Own extends classes.Request {}
      return new Own(here).clone() instanceof Own;
    },
  ],
  ['clone on something else', typeError, ({ Request }) => Reflect.apply(Request.prototype.clone, {}, [])],
];

const left = new RangeError('left');
const signals: Row[] = [
  [
    'by default',
    [true, false],
    (classes) => {
      const { signal } = make(classes);
      return [signal instanceof AbortSignal, signal.aborted];
    },
  ],
  [
    'is one object',
    true,
    (classes) => {
      const request = make(classes);
      const { signal } = request;
      return request.signal === signal;
    },
  ],
  [
    'is another than the one that was given',
    false,
    (classes) => {
      const { signal } = new AbortController();
      return make(classes, { signal }).signal === signal;
    },
  ],
  [
    'follows',
    ['RangeError', true],
    (classes) => {
      const controller = new AbortController();
      const { signal } = make(classes, { signal: controller.signal });
      controller.abort(left);
      return [signal.reason?.name, signal.reason === left];
    },
  ],
  [
    'that was aborted',
    [true, true],
    (classes) => {
      const { signal } = make(classes, { signal: AbortSignal.abort(left) });
      return [signal.aborted, signal.reason === left];
    },
  ],
  [
    'of another request',
    true,
    (classes) => {
      const controller = new AbortController();
      const second = new classes.Request(make(classes, { signal: controller.signal }));
      controller.abort();
      return second.signal.aborted;
    },
  ],
  [
    'of null',
    false,
    (classes) => {
      const controller = new AbortController();
      const second = new classes.Request(make(classes, { signal: controller.signal }), { signal: null });
      controller.abort();
      return second.signal.aborted;
    },
  ],
  [
    'of a clone',
    [false, false, true, true],
    (classes) => {
      const controller = new AbortController();
      const first = make(classes, { signal: controller.signal });
      const clone = first.clone();
      const before = [clone.signal === first.signal, clone.signal.aborted];
      controller.abort(left);
      return [...before, clone.signal.aborted, clone.signal.reason === left];
    },
  ],
  [
    'of a clone of one that was aborted',
    true,
    (classes) => make(classes, { signal: AbortSignal.abort() }).clone().signal.aborted,
  ],
  [
    'of a clone of a clone',
    true,
    (classes) => {
      const controller = new AbortController();
      const { signal } = make(classes, { signal: controller.signal }).clone().clone();
      controller.abort();
      return signal.aborted;
    },
  ],
  [
    'tells listeners of a clone',
    ['abort'],
    (classes) => {
      const controller = new AbortController();
      const seen: string[] = [];
      make(classes, { signal: controller.signal })
        .clone()
        .signal.addEventListener('abort', ({ type }) => seen.push(type));
      controller.abort();
      return seen;
    },
  ],
  ...[{}, 'a', 1].map(
    (signal): Row => [`that is a ${typeof signal}`, typeError, (classes) => make(classes, { signal })],
  ),
];

const attributes = [
  'method',
  'url',
  'headers',
  'destination',
  'referrer',
  'referrerPolicy',
  'mode',
  'credentials',
  'cache',
  'redirect',
  'integrity',
  'keepalive',
  'signal',
  'duplex',
  'body',
  'bodyUsed',
];
const shape: Row[] = [
  ...attributeRows(attributes, 'Request', make),
  ...['clone', 'arrayBuffer', 'blob', 'formData', 'json', 'text'].map(
    (name): Row => [name, operation(name, 0), ({ Request }) => propertyOf(Request.prototype, name)],
  ),
  ['the tag', tag('Request'), ({ Request }) => propertyOf(Request.prototype, Symbol.toStringTag)],
  ['the tag of one', '[object Request]', (classes) => Object.prototype.toString.call(make(classes))],
  ['name and length', ['Request', 1], ({ Request }) => [Reflect.get(Request, 'name'), Reflect.get(Request, 'length')]],
  ['without new', typeError, ({ Request }) => Reflect.apply(Request as unknown as () => void, undefined, [here])],
  ['own keys of one', [], (classes) => Object.keys(make(classes))],
  [
    'a subclass',
    [true, here],
    ({ Request }) => {
      class Own extends Request {}
      const own = new Own(here);
      return [own instanceof Own, own.url];
    },
  ],
];

export const requestStatements: Statement[] = [
  ...statements('method', methods),
  ...statements('URL', urls),
  ...statements('option', options),
  ...statements('body of a request', bodies),
  ...statements('copy of a request', copying),
  ...statements('signal', signals),
  ...statements('the class Request', shape),
];
