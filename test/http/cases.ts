// What clients send, and what they must get: the cases of the protocol suite. They are run in one piece, byte by byte, and cut
// and merged at random, over simulated and real networks; what comes back must not depend on it.

import type { ServeOptions } from '#sluice/server/serve.js';

/** What a client does, one after the other. Strings are sent as Latin-1. */
export type Step =
  | string
  /** Waits until that many interim, or that many final responses have come. */
  | { interims: number }
  | { responses: number }
  /** Waits; for virtual time only. */
  | { wait: number }
  /** Sends FIN. */
  | 'FIN';

export interface Expected {
  status: number;
  /** Default: not looked at. */
  body?: string | RegExp;
  /** Fields that there must be, with these values, or, where it is undefined, must not be. */
  fields?: Readonly<Record<string, string | undefined>>;
  /** How many `100 Continue` come before it. Default 0. */
  interims?: number | 'any';
  /** Of the request; tells the client what to expect. Default GET. */
  method?: string;
}

/** The servers that the cases are sent to, by the options that matter. */
export const servers = {
  usual: {},
  small: { maxHeadSize: 256, maxTargetSize: 32, maxFields: 4, maxBodySize: 10 },
  patient: { allowHalfOpen: true },
} satisfies Record<string, Partial<ServeOptions>>;

export type ServerName = keyof typeof servers;

export interface Case {
  name: string;
  server: ServerName;
  steps: readonly Step[];
  responses: readonly Expected[];
  /** `stays`: the server goes on to answer the next request. `closes`: it sends FIN by itself. `resets`: it cuts a response short. */
  ending: 'stays' | 'closes' | 'resets';
  /** How often `onError` is called. */
  errors: number;
  /** Needs time to pass. */
  isVirtual: boolean;
}

export const cases: Case[] = [];

/** Moves so many bytes that one at a time is too slow. */
export function isBulky(c: Case): boolean {
  const sent = c.steps.reduce((sum, step) => sum + (typeof step === 'string' ? step.length : 0), 0);
  return c.responses.reduce((sum, { body }) => sum + (typeof body === 'string' ? body.length : 0), sent) > 10_000;
}

const crlf = (...lines: string[]): string => lines.map((line) => `${line}\r\n`).join('');
const get = (target: string, ...fields: string[]): string => crlf(`GET ${target} HTTP/1.1`, 'host: a', ...fields, '');
const old = (target: string, ...fields: string[]): string => crlf(`GET ${target} HTTP/1.0`, ...fields, '');
const post = (target: string, body: string, ...fields: string[]): string =>
  crlf(`POST ${target} HTTP/1.1`, 'host: a', `content-length: ${body.length}`, ...fields, '') + body;
/** The head of a message in chunks, and whatever follows. */
const chunked = (target: string, body: string, ...fields: string[]): string =>
  crlf(`POST ${target} HTTP/1.1`, 'host: a', 'transfer-encoding: chunked', ...fields, '') + body;

/** What stands behind everything that is refused; its handler keeps a record of being called. */
const smuggled = crlf('GET /smuggled HTTP/1.1', 'host: a', '');

interface Details {
  server?: ServerName;
  ending?: Case['ending'];
  errors?: number;
  isVirtual?: boolean;
}

function answers(name: string, sent: string | Step[], responses: Expected | Expected[], details: Details = {}): void {
  if (cases.some((other) => other.name === name)) throw new Error(`there are two cases "${name}"`);
  cases.push({
    name,
    server: 'usual',
    steps: Array.isArray(sent) ? sent : [sent],
    responses: Array.isArray(responses) ? responses : [responses],
    ending: 'stays',
    errors: 0,
    isVirtual: false,
    ...details,
  });
}

const phrases: Readonly<Record<number, string>> = {
  400: 'Bad Request',
  408: 'Request Timeout',
  413: 'Content Too Large',
  414: 'URI Too Long',
  417: 'Expectation Failed',
  431: 'Request Header Fields Too Large',
  500: 'Internal Server Error',
  501: 'Not Implemented',
  505: 'HTTP Version Not Supported',
};

const refusal = (status: number): Expected => ({
  status,
  body: phrases[status],
  fields: { connection: 'close', 'content-type': 'text/plain' },
});

/** The message is refused, the connection closed, and what follows in the same bytes is no request. */
function refused(name: string, sent: string | Step[], status: number, details: Details = {}): void {
  const steps = typeof sent === 'string' ? [sent + smuggled] : sent;
  answers(`${name}: ${status}`, steps, refusal(status), { ending: 'closes', ...details });
}

/** The response comes, and then the connection is closed, whatever follows. */
function answersAndCloses(name: string, sent: string, response: Expected, details: Details = {}): void {
  answers(name, sent + smuggled, response, { ending: 'closes', ...details });
}

const closing = { connection: 'close' };
const staying = { connection: undefined };

// Methods and targets.

for (const kind of ['plain', 'async', 'thread']) {
  answers(`GET, ${kind} handler`, get(`/${kind}`), {
    status: 200,
    body: `${kind} GET /${kind}`,
    fields: {
      ...staying,
      'content-type': 'text/plain;charset=UTF-8',
      'content-length': `${`${kind} GET /${kind}`.length}`,
    },
  });
  answers(`HEAD, ${kind} handler`, crlf(`HEAD /${kind} HTTP/1.1`, 'host: a', ''), {
    status: 200,
    body: '',
    method: 'HEAD',
    fields: { 'content-length': `${`${kind} HEAD /${kind}`.length}` },
  });
  answers(`an unknown method, ${kind} handler`, crlf(`BREW-it /${kind} HTTP/1.1`, 'host: a', ''), {
    status: 200,
    body: `${kind} BREW-it /${kind}`,
  });
}
for (const kind of ['stream', 'readable']) {
  answers(`GET, ${kind} body`, get(`/${kind}`), {
    status: 200,
    body: `${kind} GET /${kind}`,
    fields: { 'transfer-encoding': 'chunked', 'content-length': undefined },
  });
  answers(`HEAD, ${kind} body`, crlf(`HEAD /${kind} HTTP/1.1`, 'host: a', ''), {
    status: 200,
    body: '',
    method: 'HEAD',
    fields: { 'transfer-encoding': 'chunked' },
  });
}
for (const method of ['PUT', 'DELETE', 'PATCH', 'TRACE', 'OPTIONS', 'get']) {
  answers(`method ${method}`, crlf(`${method} /plain HTTP/1.1`, 'host: a', ''), {
    status: 200,
    body: `plain ${method} /plain`,
  });
}
answers('OPTIONS *', crlf('OPTIONS * HTTP/1.1', 'host: a', ''), { status: 404, body: 'no handler for OPTIONS /*' });
answers('PUT with a body', crlf('PUT /text HTTP/1.1', 'host: a', 'content-length: 3', '', 'abc').slice(0, -2), {
  status: 200,
  body: 'text:abc',
});
answers('DELETE with a body', crlf('DELETE /text HTTP/1.1', 'host: a', 'content-length: 3', '', 'abc').slice(0, -2), {
  status: 200,
  body: 'text:abc',
});
answers('a method of 32 characters', crlf(`${'M'.repeat(32)} /plain HTTP/1.1`, 'host: a', ''), {
  status: 200,
  body: `plain ${'M'.repeat(32)} /plain`,
});
refused('a method of 33 characters', crlf(`${'M'.repeat(33)} /plain HTTP/1.1`, 'host: a', ''), 501);
refused('a method without end', 'M'.repeat(2000), 501);
refused('CONNECT with an authority', crlf('CONNECT a:80 HTTP/1.1', 'host: a', ''), 501);
refused('CONNECT with a path', crlf('CONNECT /plain HTTP/1.1', 'host: a', ''), 501);
refused('a method with a character that is no token', crlf('GE(T /plain HTTP/1.1', 'host: a', ''), 400);
refused('no method', crlf(' /plain HTTP/1.1', 'host: a', ''), 400);
refused('a space before the method', crlf(' GET /plain HTTP/1.1', 'host: a', ''), 400);
refused('a tab after the method', crlf('GET\t/plain HTTP/1.1', 'host: a', ''), 400);
refused('two spaces after the method', crlf('GET  /plain HTTP/1.1', 'host: a', ''), 400);
refused('two spaces after the target', crlf('GET /plain  HTTP/1.1', 'host: a', ''), 400);
refused('a space after the version', crlf('GET /plain HTTP/1.1 ', 'host: a', ''), 400);
refused('TLS on a plain port', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03', 400);

const targets: [target: string, url: string][] = [
  ['/url', 'http://a/url'],
  ['/url?', 'http://a/url?'],
  ['/url?a=b&c=%20d', 'http://a/url?a=b&c=%20d'],
  ['/url/../url/x', 'http://a/url/x'],
  ['/url/%2e%2E/url', 'http://a/url'],
  ['/url//x//', 'http://a/url//x//'],
  ['/url/{a}|b^c`d', 'http://a/url/%7Ba%7D|b^c%60d'],
  ["/url?it's", 'http://a/url?it%27s'],
  ['http://b/url', 'http://b/url'],
  ['HTTP://B:80/url', 'http://b/url'],
  ['http://b:8080/url?x', 'http://b:8080/url?x'],
  ['https://b/url', 'https://b/url'],
  ['http://[::1]:8/url', 'http://[::1]:8/url'],
  ['http://127.1/url', 'http://127.0.0.1/url'],
];
for (const [target, url] of targets) answers(`target ${target}`, get(target), { status: 200, body: url });
answers('an absolute target without a path', get('http://b'), { status: 404, body: 'no handler for GET /' });
answers('an absolute target with a query and no path', get('http://b?q'), {
  status: 404,
  body: 'no handler for GET /?q',
});
const badTargets = [
  'plain', '*', 'a:80', 'http://', 'http:///url', 'ftp://b/url', 'http:b/url', 'http://u@b/url', 'http://u:p@b/url',
  'http://b:x/url', 'http://b:65536/url', 'http://[::1/url', 'http://b b/url', '/a b', '/a\x7f', '/a\x00', '/\xe4', '/a"b', '/a<b',
  '/a\\b', '/a#b', '#', '',
]; // biome-ignore format: a table
for (const target of badTargets) refused(`target ${JSON.stringify(target)}`, get(target), 400);
answers(
  'a target of 32 bytes where 32 are allowed',
  get(`/plain?${'q'.repeat(25)}`),
  { status: 200 },
  { server: 'small' },
);
refused('a target of 33 bytes where 32 are allowed', get(`/plain?${'q'.repeat(26)}`), 414, { server: 'small' });
answers('a target of 8,192 bytes', get(`/plain?${'q'.repeat(8185)}`), { status: 200 });
refused('a target of 8,193 bytes', get(`/plain?${'q'.repeat(8186)}`), 414);

// Versions.

answers('HTTP/1.2 counts as 1.1', crlf('GET /stream HTTP/1.2', 'host: a', ''), {
  status: 200,
  fields: { 'transfer-encoding': 'chunked' },
});
for (const version of ['HTTP/2.0', 'HTTP/0.9', 'HTTP/9.1'])
  refused(`version ${version}`, crlf(`GET /plain ${version}`, 'host: a', ''), 505);
for (const version of [
  'http/1.1',
  'HTTP/1',
  'HTTP/1.',
  'HTTP/11',
  'HTTP/1.10',
  'HTTP/1,1',
  'HTTPS/1.1',
  'XTTP/1.1',
  '',
]) {
  refused(`version ${JSON.stringify(version)}`, crlf(`GET /plain ${version}`, 'host: a', ''), 400);
}
refused('a request line of HTTP/0.9', crlf('GET /plain', ''), 400);
refused('the preface of HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 400);

// Whether the connection stays.

answers('HTTP/1.0', old('/plain'), { status: 200, body: 'plain GET /plain', fields: closing }, { ending: 'closes' });
answers('HTTP/1.0 with keep-alive', old('/plain', 'connection: keep-alive'), {
  status: 200,
  body: 'plain GET /plain',
  fields: { connection: 'keep-alive' },
});
answers('HTTP/1.0 with Keep-Alive in a list', old('/plain', 'connection: a, Keep-Alive ,b'), {
  status: 200,
  fields: { connection: 'keep-alive' },
});
answers(
  'HTTP/1.0 with keep-alive and close',
  old('/plain', 'connection: keep-alive, close'),
  { status: 200, fields: closing },
  { ending: 'closes' },
);
answers(
  'HTTP/1.0 with a body, keep-alive',
  `${crlf('POST /text HTTP/1.0', 'content-length: 2', 'connection: keep-alive', '')}ab`,
  {
    status: 200,
    body: 'text:ab',
  },
);
for (const kind of ['stream', 'readable']) {
  answers(
    `HTTP/1.0, ${kind} body: ends with the connection, even with keep-alive`,
    old(`/${kind}`, 'connection: keep-alive'),
    {
      status: 200,
      body: `${kind} GET /${kind}`,
      fields: { ...closing, 'transfer-encoding': undefined, 'content-length': undefined },
    },
    { ending: 'closes' },
  );
}
answers('HTTP/1.0, stream with a length: stays', old('/stream-length', 'connection: keep-alive'), {
  status: 200,
  body: 'seven b',
  fields: { 'content-length': '7', connection: 'keep-alive' },
});
for (const kind of ['plain', 'async', 'thread', 'stream', 'readable']) {
  answersAndCloses(`connection: close, ${kind}`, get(`/${kind}`, 'connection: close'), {
    status: 200,
    body: `${kind} GET /${kind}`,
    fields: closing,
  });
}
answersAndCloses('connection: Close in a list, second field', get('/plain', 'connection: a', 'Connection: b,Close'), {
  status: 200,
  fields: closing,
});
answersAndCloses('a handler says connection: close', get('/close'), { status: 200, body: 'bye', fields: closing });
answers('a handler says what is not its to say', get('/hop-by-hop'), {
  status: 200,
  body: 'hop',
  fields: {
    connection: undefined,
    'keep-alive': undefined,
    'transfer-encoding': undefined,
    upgrade: undefined,
    'content-length': '3',
  },
});
answers('connection: upgrade is not taken up', get('/plain', 'connection: upgrade', 'upgrade: websocket'), {
  status: 200,
  fields: staying,
});

// Pipelining.

const kinds = ['plain', 'async', 'thread', 'stream', 'readable'];
answers(
  'two of each kind, pipelined',
  [...kinds, ...kinds].map((kind) => get(`/${kind}`)).join(''),
  [...kinds, ...kinds].map((kind) => ({ status: 200, body: `${kind} GET /${kind}` })),
);
answers('slow before fast, pipelined', get('/slow/20') + get('/plain') + get('/slow/5') + get('/async'), [
  { status: 200, body: 'slow GET /slow/20' },
  { status: 200, body: 'plain GET /plain' },
  { status: 200, body: 'slow GET /slow/5' },
  { status: 200, body: 'async GET /async' },
]);
answers(
  'a hundred, pipelined',
  get('/plain').repeat(100),
  Array.from({ length: 100 }, () => ({ status: 200, body: 'plain GET /plain' })),
);
answers(
  'bodies between heads, pipelined',
  post('/text', 'one') +
    get('/plain') +
    chunked('/text', '3\r\ntwo\r\n0\r\n\r\n') +
    post('/plain', 'unread') +
    get('/thread'),
  [
    { status: 200, body: 'text:one' },
    { status: 200, body: 'plain GET /plain' },
    { status: 200, body: 'text:two' },
    { status: 200, body: 'plain POST /plain' },
    { status: 200, body: 'thread GET /thread' },
  ],
);
answers(
  'HEAD and GET in turns, pipelined',
  crlf('HEAD /stream HTTP/1.1', 'host: a', '') +
    get('/plain') +
    crlf('HEAD /plain HTTP/1.1', 'host: a', '') +
    get('/stream'),
  [
    { status: 200, body: '', method: 'HEAD' },
    { status: 200, body: 'plain GET /plain' },
    { status: 200, body: '', method: 'HEAD' },
    { status: 200, body: 'stream GET /stream' },
  ],
);
answers(
  'good ones before a refused one, pipelined',
  `${get('/plain') + get('/thread')}BAD\r\n\r\n${smuggled}`,
  [{ status: 200, body: 'plain GET /plain' }, { status: 200, body: 'thread GET /thread' }, refusal(400)],
  { ending: 'closes' },
);
answers(
  'good ones before one that closes, pipelined',
  get('/async') + get('/stream', 'connection: close') + smuggled,
  [
    { status: 200, body: 'async GET /async' },
    { status: 200, body: 'stream GET /stream' },
  ],
  { ending: 'closes' },
);
answers(
  'one after the other',
  [get('/plain'), { responses: 1 }, get('/stream'), { responses: 2 }, get('/thread')],
  [
    { status: 200, body: 'plain GET /plain' },
    { status: 200, body: 'stream GET /stream' },
    { status: 200, body: 'thread GET /thread' },
  ],
);

// Empty lines.

answers('an empty line before the request', `\r\n${get('/plain')}`, { status: 200 });
answers(
  'empty lines before and between requests',
  `\r\n\r\n${get('/plain')}\r\n${get('/url')}\r\n\r\n${get('/plain')}`,
  [{ status: 200 }, { status: 200, body: 'http://a/url' }, { status: 200 }],
);
answers('an empty line after a body', `${post('/text', 'ab')}\r\n${post('/text', 'cd')}`, [
  { status: 200, body: 'text:ab' },
  { status: 200, body: 'text:cd' },
]);
answers('an empty line behind the last request', `${post('/text', 'ab')}\r\n`, { status: 200, body: 'text:ab' });
answers('empty lines alone, then FIN', ['\r\n\r\n', 'FIN'], [], { ending: 'closes' });
refused('LF alone before the request', `\n${get('/plain')}`, 400);
refused('CR alone before the request', `\r${get('/plain')}`, 400);

// Bodies with a length.

answers('a body', post('/text', 'hello'), { status: 200, body: 'text:hello' });
answers('an empty body', post('/text', ''), { status: 200, body: 'text:' });
answers('POST without a body', crlf('POST /text HTTP/1.1', 'host: a', ''), { status: 200, body: 'text:' });
answers(
  'a content-length with leading zeros',
  crlf('POST /text HTTP/1.1', 'host: a', 'content-length: 0003', '', 'abc').slice(0, -2),
  { status: 200, body: 'text:abc' },
);
answers(
  'white space around a content-length',
  crlf('POST /text HTTP/1.1', 'host: a', 'Content-LENGTH: \t 3 \t', '', 'abc').slice(0, -2),
  { status: 200, body: 'text:abc' },
);
answers(
  'GET with a body that is not read',
  crlf('GET /plain HTTP/1.1', 'host: a', 'content-length: 3', '', 'abc').slice(0, -2),
  { status: 200 },
);
answers('json', post('/json', '{"a":[1,2]}'), {
  status: 200,
  body: '{"got":{"a":[1,2]}}',
  fields: { 'content-type': 'application/json' },
});
answers('arrayBuffer', post('/buffer', 'x'.repeat(3000)), { status: 200, body: 'buffer:3000' });
answers('a body as a stream', post('/body', 'x'.repeat(3000)), { status: 200, body: 'body:3000' });
answers('a large body as a stream', post('/body', 'x'.repeat(150_000)), { status: 200, body: 'body:150000' });
answers('a large body', post('/buffer', 'x'.repeat(150_000)), { status: 200, body: 'buffer:150000' });
answers('an echo', post('/echo', 'there and back'), {
  status: 200,
  body: 'there and back',
  fields: { 'transfer-encoding': 'chunked' },
});
answers('a large echo', post('/echo', 'x'.repeat(100_000)), { status: 200, body: 'x'.repeat(100_000) });
answers('a thread that reads', post('/thread-text', 'abc'), { status: 200, body: 'thread-text:abc' });
answers('form data, urlencoded', post('/form', 'a=1&b=%20', 'content-type: application/x-www-form-urlencoded'), {
  status: 200,
  body: '[["a","1"],["b"," "]]',
});
answers(
  'form data, multipart',
  post(
    '/form',
    '--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--x--\r\n',
    'content-type: multipart/form-data; boundary=x',
  ),
  { status: 200, body: '[["a","1"]]' },
);
answers('a handler that reads behind its answer', post('/read-behind', 'abc') + get('/plain'), [
  { status: 200, body: 'answered first' },
  { status: 200, body: 'plain GET /plain' },
]);
answers('json that is none', post('/json', '{'), { status: 500, fields: closing }, { ending: 'closes', errors: 1 });
answers(
  'small unread bodies are drained',
  post('/plain', 'x'.repeat(1000)) + post('/async', 'GET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n') + get('/plain'),
  [
    { status: 200, body: 'plain POST /plain' },
    { status: 200, body: 'async POST /async' },
    { status: 200, body: 'plain GET /plain' },
  ],
);
answers('an unread body of 64 KiB is drained', post('/plain', 'x'.repeat(65_536)) + get('/plain'), [
  { status: 200, fields: staying },
  { status: 200 },
]);
answers(
  'an unread body of 64 KiB and one byte closes',
  post('/plain', 'x'.repeat(65_537)) + smuggled,
  { status: 200, fields: closing },
  { ending: 'closes' },
);
answers(
  'a large unread body in chunks closes',
  chunked('/plain', `${'4000\r\n'}${'x'.repeat(0x4000)}\r\n`.repeat(6)) + smuggled,
  { status: 200 },
  { ending: 'closes' },
);
answers(
  'a body of 10 bytes where 10 are allowed',
  post('/text', '0123456789'),
  { status: 200, body: 'text:0123456789' },
  { server: 'small' },
);
refused('a body of 11 bytes where 10 are allowed', post('/text', '01234567890'), 413, { server: 'small' });
refused('an unread body of 11 bytes where 10 are allowed', post('/plain', '01234567890'), 413, { server: 'small' });
refused(
  'a content-length of a thousand digits',
  crlf('POST /text HTTP/1.1', 'host: a', `content-length: ${'9'.repeat(1000)}`, ''),
  413,
);
refused(
  'a content-length of 2^64',
  crlf('POST /text HTTP/1.1', 'host: a', 'content-length: 18446744073709551616', ''),
  413,
);
const badLengths = ['+5', '-1', '0x5', '5, 5', '5,5', '5,', '5 5', '5.0', '1e1', '', 'five', '5;', '"5"', '\xb2'];
for (const length of badLengths) {
  refused(
    `content-length: ${JSON.stringify(length)}`,
    crlf('POST /text HTTP/1.1', 'host: a', `content-length: ${length}`, '', 'hello'),
    400,
  );
}
refused(
  'two content-lengths that are equal',
  crlf('POST /text HTTP/1.1', 'host: a', 'content-length: 5', 'content-length: 5', '', 'hello'),
  400,
);
refused(
  'two content-lengths that differ',
  crlf('POST /text HTTP/1.1', 'host: a', 'content-length: 5', 'content-length: 6', '', 'hello'),
  400,
);
refused('content-length and transfer-encoding', chunked('/text', '0\r\n\r\n', 'content-length: 5'), 400);
refused(
  'transfer-encoding after content-length',
  crlf('POST /text HTTP/1.1', 'host: a', 'content-length: 5', 'transfer-encoding: chunked', '', '0', ''),
  400,
);

// Bodies in chunks.

const goodChunks: [name: string, body: string, text: string][] = [
  ['one chunk', '5\r\nhello\r\n0\r\n\r\n', 'hello'],
  ['three chunks', '1\r\na\r\n2\r\nbc\r\n3\r\ndef\r\n0\r\n\r\n', 'abcdef'],
  ['no chunk', '0\r\n\r\n', ''],
  ['hexadecimal sizes of either case', 'a\r\n0123456789\r\nB\r\n0123456789a\r\n0\r\n\r\n', '01234567890123456789a'],
  ['leading zeros in a size', '0005\r\nhello\r\n000\r\n\r\n', 'hello'],
  ['chunks that look like framing', '7\r\n0\r\n\r\n\r\n\r\n0\r\n\r\n', '0\r\n\r\n\r\n'],
  ['an extension', '5;a\r\nhello\r\n0\r\n\r\n', 'hello'],
  ['an extension with a value', '5;a=b\r\nhello\r\n0;c=d\r\n\r\n', 'hello'],
  ['extensions and white space', '5 ; a = b;c\t;d\r\nhello\r\n0\r\n\r\n', 'hello'],
  ['an extension with a quoted value', '5;a="b;\\"c"\r\nhello\r\n0\r\n\r\n', 'hello'],
  ['an extension as long as may be', `5;${'a'.repeat(16_383)}\r\nhello\r\n0\r\n\r\n`, 'hello'],
  ['a trailer', '5\r\nhello\r\n0\r\nx-trailer: 1\r\n\r\n', 'hello'],
  [
    'trailers that would matter in a head',
    '5\r\nhello\r\n0\r\ncontent-length: 7\r\nhost: b\r\ntransfer-encoding: gzip\r\n\r\n',
    'hello',
  ],
];
for (const [name, body, text] of goodChunks) {
  answers(`chunked: ${name}`, chunked('/text', body), { status: 200, body: `text:${text}` });
  answers(`chunked, unread: ${name}`, chunked('/plain', body), { status: 200, body: 'plain POST /plain' });
}
answers(
  'chunked, in any case',
  crlf('POST /text HTTP/1.1', 'host: a', 'Transfer-Encoding: \t cHuNkEd ', '', '2', 'ab', '0', ''),
  { status: 200, body: 'text:ab' },
);
answers('a large body in chunks', chunked('/buffer', `${`2000\r\n${'x'.repeat(0x2000)}\r\n`.repeat(10)}0\r\n\r\n`), {
  status: 200,
  body: 'buffer:81920',
});
answers('an echo of chunks', chunked('/echo', '5\r\nhello\r\n1\r\n!\r\n0\r\n\r\n'), { status: 200, body: 'hello!' });
answers(
  '10 bytes in chunks where 10 are allowed',
  chunked('/text', '5\r\n01234\r\n5\r\n56789\r\n0\r\n\r\n'),
  { status: 200, body: 'text:0123456789' },
  { server: 'small' },
);

const badChunks: [name: string, body: string, status?: number][] = [
  ['no size', '\r\nhello\r\n0\r\n\r\n'],
  ['a negative size', '-5\r\nhello\r\n0\r\n\r\n'],
  ['a size with a sign', '+5\r\nhello\r\n0\r\n\r\n'],
  ['a size with 0x', '0x5\r\nhello\r\n0\r\n\r\n'],
  ['a size with an underscore', '0_5\r\nhello\r\n0\r\n\r\n'],
  ['a size after a space', ' 5\r\nhello\r\n0\r\n\r\n'],
  ['a size before a space', '5 \r\nhello\r\n0\r\n\r\n'],
  ['a size that is no number', 'five\r\nhello\r\n0\r\n\r\n'],
  ['a size of 64 bits and more', '10000000000000005\r\nhello\r\n0\r\n\r\n', 413],
  ['a size of many digits', `${'f'.repeat(500)}\r\nhello\r\n0\r\n\r\n`, 413],
  ['a size line without end', '0'.repeat(17_000), 413],
  ['two sizes', '5 5\r\nhello\r\n0\r\n\r\n'],
  ['a size that ends with LF', '5\nhello\r\n0\r\n\r\n'],
  ['a size that ends with CR', '5\rhello\r\n0\r\n\r\n'],
  ['a size that ends with CR CR LF', '5\r\r\nhello\r\n0\r\n\r\n'],
  ['data longer than the size', '5\r\nhello!\r\n0\r\n\r\n'],
  ['data that end with LF', '5\r\nhello\n0\r\n\r\n'],
  ['data that end with CR', '5\r\nhello\r0\r\n\r\n'],
  ['data without an end', '5\r\nhello0\r\n\r\n'],
  ['data shorter than the size', '6\r\nhello\r\n0\r\n\r\n'],
  ['an extension without a name', '5;\r\nhello\r\n0\r\n\r\n'],
  ['an extension without a value', '5;a=\r\nhello\r\n0\r\n\r\n'],
  ['an extension with two values', '5;a=b=c\r\nhello\r\n0\r\n\r\n'],
  ['an extension with a value after white space', '5;a b\r\nhello\r\n0\r\n\r\n'],
  ['an extension with a quote that does not end', '5;a="b\r\nhello\r\n0\r\n\r\n'],
  ['an extension with a quote that ends with a backslash', '5;a="b\\\r\nhello\r\n0\r\n\r\n'],
  ['an extension after a quoted value', '5;a="b"c\r\nhello\r\n0\r\n\r\n'],
  ['an extension with LF', '5;a\nb\r\nhello\r\n0\r\n\r\n'],
  ['an extension with CR', '5;a\rb\r\nhello\r\n0\r\n\r\n'],
  ['an extension with NUL', '5;a\x00\r\nhello\r\n0\r\n\r\n'],
  ['an extension that is too long', `5;${'a'.repeat(16_384)}\r\nhello\r\n0\r\n\r\n`, 413],
  ['a last chunk that ends with LF', '5\r\nhello\r\n0\n\r\n'],
  ['an end of trailers that is LF', '5\r\nhello\r\n0\r\n\n'],
  ['a trailer without a colon', '5\r\nhello\r\n0\r\nx\r\n\r\n'],
  ['a trailer without a name', '5\r\nhello\r\n0\r\n: x\r\n\r\n'],
  ['a trailer with a space before its colon', '5\r\nhello\r\n0\r\nx : y\r\n\r\n'],
  ['a trailer that is folded', '5\r\nhello\r\n0\r\nx: y\r\n z\r\n\r\n'],
  ['a trailer with NUL', '5\r\nhello\r\n0\r\nx: \x00\r\n\r\n'],
  ['a trailer that ends with LF', '5\r\nhello\r\n0\r\nx: y\n\r\n'],
  ['trailers that are too long', `0\r\n${`x: ${'y'.repeat(100)}\r\n`.repeat(100)}\r\n`, 431],
];
for (const [name, body, status = 400] of badChunks) {
  refused(`chunked: ${name}`, chunked('/text', body), status);
  answers(
    `chunked, unread: ${name}`,
    chunked('/plain', body) + smuggled,
    { status: 200, body: 'plain POST /plain' },
    { ending: 'closes' },
  );
}
refused('chunked: bad, for a thread that reads', chunked('/thread-text', 'x\r\n'), 400);
refused('chunked: bad, for a stream that is read', chunked('/body', '2\r\nab\r\nx\r\n'), 400);
refused('11 bytes in chunks where 10 are allowed', chunked('/text', '5\r\n01234\r\n6\r\n567890\r\n0\r\n\r\n'), 413, {
  server: 'small',
});
answers(
  'a handler that catches what is wrong with its body',
  chunked('/caught-body', 'x\r\n') + smuggled,
  { status: 202, body: 'caught', fields: closing },
  { ending: 'closes' },
);

const encodings: [value: string, status: number][] = [
  ['chunked, chunked', 400],
  ['chunked,chunked', 400],
  ['gzip, chunked', 501],
  ['gzip,chunked', 501],
  ['gzip', 400],
  ['identity', 400],
  ['chunked, identity', 400],
  ['chunked;a', 400],
  ['chunked;a=b', 400],
  ['chunked,', 400],
  [',chunked', 501],
  ['\x0bchunked', 400],
  ['\x00chunked', 400],
  ['chunked\x0b', 400],
  ['xchunked', 400],
  ['"chunked"', 400],
  ['chunke', 400],
  ['chunked\xa0', 400],
  ['\xa0chunked', 501],
  ['', 400],
];
for (const [value, status] of encodings) {
  const name = `transfer-encoding: ${JSON.stringify(value)}`;
  refused(name, crlf('POST /text HTTP/1.1', 'host: a', `transfer-encoding: ${value}`, '', '2', 'ab', '0', ''), status);
}
answers(
  'transfer-encoding after a tab',
  crlf('POST /text HTTP/1.1', 'host: a', 'transfer-encoding:\tchunked', '', '2', 'ab', '0', ''),
  { status: 200, body: 'text:ab' },
);
refused('two transfer-encodings', chunked('/text', '0\r\n\r\n', 'transfer-encoding: chunked'), 400);
refused(
  'a transfer-encoding of identity after one of chunked',
  chunked('/text', '0\r\n\r\n', 'transfer-encoding: identity'),
  400,
);
refused('transfer-encoding in HTTP/1.0', crlf('POST /text HTTP/1.0', 'transfer-encoding: chunked', '', '0', ''), 400);
refused(
  'transfer-encoding with a space before the colon',
  crlf('POST /text HTTP/1.1', 'host: a', 'transfer-encoding : chunked', '', '0', ''),
  400,
);

// Expect: 100-continue.

const expecting = (target: string, length: number, version = '1.1') =>
  crlf(`POST ${target} HTTP/${version}`, 'host: a', 'expect: 100-Continue', `content-length: ${length}`, '');
for (const path of ['text', 'thread-text']) {
  answers(`expectation, ${path}`, [expecting(`/${path}`, 3), { interims: 1 }, 'abc'], {
    status: 200,
    body: `${path}:abc`,
    interims: 1,
    fields: staying,
  });
}
answers('expectation, streamed', [expecting('/body', 3), { interims: 1 }, 'abc'], {
  status: 200,
  body: 'body:3',
  interims: 1,
});
answers(
  'expectation, chunked',
  [chunked('/text', '', 'expect: 100-continue'), { interims: 1 }, '3\r\nabc\r\n0\r\n\r\n'],
  { status: 200, body: 'text:abc', interims: 1 },
);
answers('expectation, and the body with it', `${expecting('/text', 3)}abc`, {
  status: 200,
  body: 'text:abc',
  interims: 'any',
});
answers('expectation, an empty body', expecting('/text', 0), { status: 200, body: 'text:' });
answers(
  'expectation of HTTP/1.0',
  `${expecting('/text', 3, '1.0')}abc`,
  { status: 200, body: 'text:abc' },
  { ending: 'closes' },
);
answers(
  'expectation, not read',
  expecting('/plain', 3),
  { status: 200, body: 'plain POST /plain', fields: closing },
  { ending: 'closes' },
);
answers(
  'expectation, and a streamed response, which might be made of the body',
  [expecting('/stream', 3), { interims: 1 }, 'abc'],
  { status: 200, body: 'stream POST /stream', interims: 1 },
);
answers('expectation, echoed: the invitation comes before the head', [expecting('/echo', 3), { interims: 1 }, 'abc'], {
  status: 200,
  body: 'abc',
  interims: 1,
});
answers(
  'expectation, read behind the answer: the invitation comes before the head',
  [expecting('/read-behind', 3), { interims: 1 }, 'abc'],
  { status: 200, body: 'answered first', interims: 1 },
);
refused('expectation, and the body is too large', [expecting('/text', 11)], 413, { server: 'small' });
answers(
  'two expectations',
  [expecting('/text', 1), { interims: 1 }, 'a', { responses: 1 }, expecting('/text', 1), { interims: 2 }, 'b'],
  [
    { status: 200, body: 'text:a', interims: 1 },
    { status: 200, body: 'text:b', interims: 1 },
  ],
);
for (const expectation of ['200-ok', '100-continue, x', '100-continuee', ''])
  refused(`expectation ${JSON.stringify(expectation)}`, post('/text', 'abc', `expect: ${expectation}`), 417);

// Fields.

answers(
  'fields',
  get('/headers', 'X-A: 1', 'x-empty:', 'x-tab:\ta\tb\t', 'x-a:2', 'x-obs: \xe4\xff', "x!#$%&'*+-.^_`|~: all"),
  {
    status: 200,
    body: JSON.stringify([
      ['host', 'a'],
      ["x!#$%&'*+-.^_`|~", 'all'],
      ['x-a', '1, 2'],
      ['x-empty', ''],
      ['x-obs', '\xc3\xa4\xc3\xbf'],
      ['x-tab', 'a\tb'],
    ]),
  },
);
const badFields: [name: string, line: string][] = [
  ['a fold', 'x: a\r\n b'],
  ['a fold with a tab', 'x: a\r\n\tb'],
  ['a fold of content-length', 'content-length:\r\n 5'],
  ['a line of white space', ' '],
  ['CR in a value', 'x: a\rb'],
  ['CR at the end of a value', 'x: a\r'],
  ['LF in a value', 'x: a\nb'],
  ['LF that would begin a field', 'x: a\ntransfer-encoding: chunked'],
  ['CR that would begin a field', 'x: a\rtransfer-encoding: chunked'],
  ['NUL in a value', 'x: a\x00b'],
  ['a control character in a value', 'x: a\x01b'],
  ['DEL in a value', 'x: a\x7fb'],
  ['a vertical tab in a value', 'x: \x0b'],
  ['a form feed in a value', 'x: \x0c'],
  ['a space before a colon', 'x : a'],
  ['a tab before a colon', 'x\t: a'],
  ['a space in a name', 'x y: a'],
  ['an empty name', ': a'],
  ['no colon', 'x'],
  ['NUL in a name', 'x\x00: a'],
  ['a high byte in a name', 'x\xe4: a'],
  ['a bracket in a name', 'x[]: a'],
  ['CR in a name', 'x\r: a'],
  ['LF in a name', 'x\n: a'],
];
for (const [name, line] of badFields) refused(name, get('/plain', line), 400);
refused('white space before the first field', crlf('GET /plain HTTP/1.1', ' host: a', ''), 400);
refused('LF after the request line', 'GET /plain HTTP/1.1\nhost: a\r\n\r\n', 400);
refused('CR after the request line', 'GET /plain HTTP/1.1\rhost: a\r\n\r\n', 400);
refused('LF after a field', 'GET /plain HTTP/1.1\r\nhost: a\n\r\n', 400);
refused('LF at the end of the head', 'GET /plain HTTP/1.1\r\nhost: a\r\n\n', 400);
refused('CR at the end of the head', 'GET /plain HTTP/1.1\r\nhost: a\r\n\rx', 400);
refused('LF alone throughout', 'GET /plain HTTP/1.1\nhost: a\n\n', 400);
answers('4 fields where 4 are allowed', get('/plain', 'a: 1', 'b: 2', 'c: 3'), { status: 200 }, { server: 'small' });
refused('5 fields where 4 are allowed', get('/plain', 'a: 1', 'b: 2', 'c: 3', 'd: 4'), 431, { server: 'small' });
answers('100 fields', get('/plain', ...Array.from({ length: 99 }, (_, i) => `x${i}: y`)), { status: 200 });
refused('101 fields', get('/plain', ...Array.from({ length: 100 }, (_, i) => `x${i}: y`)), 431);
const filled = (size: number) => get('/plain', `x: ${'y'.repeat(size - get('/plain', 'x: ').length)}`);
answers('a head of 256 bytes where 256 are allowed', filled(256), { status: 200 }, { server: 'small' });
refused('a head of 257 bytes where 256 are allowed', filled(257), 431, { server: 'small' });
refused('a head without end', [get('/plain').slice(0, -2) + 'x: '.padEnd(300, 'y')], 431, { server: 'small' });
refused('empty lines without end', ['\r\n'.repeat(200)], 431, { server: 'small' });
answers('a head of 16,384 bytes', filled(16_384), { status: 200 });
refused('a head of 16,385 bytes', filled(16_385), 431);

// Host.

const hosts: [host: string, url: string][] = [
  ['b', 'http://b/url'],
  ['B.Example:80', 'http://b.example/url'],
  ['b:8080', 'http://b:8080/url'],
  ['b:', 'http://b/url'],
  ['127.0.0.1:1', 'http://127.0.0.1:1/url'],
  ['0x7f.1', 'http://127.0.0.1/url'],
  ['[::1]', 'http://[::1]/url'],
  ['[::1]:8080', 'http://[::1]:8080/url'],
  ['xn--bcher-kva', 'http://xn--bcher-kva/url'],
  ['a-b.c_d', 'http://a-b.c_d/url'],
  ['b.', 'http://b./url'],
];
for (const [host, url] of hosts) {
  answers(`host: ${host}`, crlf('GET /url HTTP/1.1', `host: ${host}`, ''), { status: 200, body: url });
}
answers('an empty host', crlf('GET /url HTTP/1.1', 'host:', ''), {
  status: 200,
  body: /^http:\/\/127\.0\.0\.1:[0-9]+\/url$/,
});
answers(
  'no host in HTTP/1.0',
  old('/url'),
  { status: 200, body: /^http:\/\/127\.0\.0\.1:[0-9]+\/url$/ },
  { ending: 'closes' },
);
answers('a host beside an absolute target', crlf('GET http://b/url HTTP/1.1', 'host: c', ''), {
  status: 200,
  body: 'http://b/url',
});
refused('no host', crlf('GET /plain HTTP/1.1', ''), 400);
refused('no host beside an absolute target', crlf('GET http://b/plain HTTP/1.1', ''), 400);
refused('two hosts', crlf('GET /plain HTTP/1.1', 'host: a', 'host: a', ''), 400);
refused('two hosts in HTTP/1.0', crlf('GET /plain HTTP/1.0', 'host: a', 'host: b', ''), 400);
const badHosts = ['u@b', 'u:p@b', 'b/c', 'b c', 'b?c', 'b#c', 'b\\c', 'b:x', 'b:1:2', 'b:65536', ':80', 'b, c', '[::1', '::1', '[x]', '[::1]x', 'b\xe4', '%', '1.2.3.400', '<b>', 'b^c', '*']; // biome-ignore format: a table
for (const host of badHosts.filter((host) => host !== '*' && host !== 'b, c'))
  refused(`host: ${JSON.stringify(host)}`, crlf('GET /plain HTTP/1.1', `host: ${host}`, ''), 400);

// Statuses and framing.

for (const status of [204, 304]) {
  answers(`status ${status}`, get(`/status/${status}`) + get('/plain'), [
    { status, body: '', fields: { 'content-length': undefined, 'transfer-encoding': undefined } },
    { status: 200 },
  ]);
  answersAndCloses(`status ${status}, then closed`, get(`/status/${status}`, 'connection: close'), {
    status,
    body: '',
    fields: closing,
  });
}
answers('status 205', get('/status/205') + get('/plain'), [
  { status: 205, body: '', fields: { 'content-length': '0' } },
  { status: 200 },
]);
answers('status 304 with a length', get('/status-length/304') + get('/plain'), [
  { status: 304, body: '', fields: { 'content-length': '7' } },
  { status: 200 },
]);
answers('status 204 with a length', get('/status-length/204') + get('/plain'), [
  { status: 204, body: '' },
  { status: 200 },
]);
answers('HEAD with a length', crlf('HEAD /status-length/200 HTTP/1.1', 'host: a', '') + get('/plain'), [
  { status: 200, body: '', method: 'HEAD', fields: { 'content-length': '7' } },
  { status: 200 },
]);
answers('HEAD, status 204', crlf('HEAD /status/204 HTTP/1.1', 'host: a', '') + get('/plain'), [
  { status: 204, body: '', method: 'HEAD' },
  { status: 200 },
]);
answers('status 404 and 503', get('/status/404') + get('/status/503'), [
  { status: 404, body: '', fields: { 'content-length': '0' } },
  { status: 503, body: '', fields: staying },
]);
answers('an empty response', get('/empty'), {
  status: 200,
  body: '',
  fields: { 'content-length': '0', 'content-type': undefined },
});
answers('an empty stream', get('/empty-stream'), { status: 200, body: '', fields: { 'transfer-encoding': 'chunked' } });
answers('bytes', get('/bytes'), { status: 200, body: '\x00\xff\r\n', fields: { 'content-length': '4' } });
answers('UTF-8', get('/utf-8'), {
  status: 200,
  body: Buffer.from('\u00e4\u20ac\ud83d\ude00').toString('latin1'),
  fields: { 'content-length': '9' },
});
for (const size of [4095, 4096, 4097, 65_536, 200_000]) {
  answers(`a response of ${size} bytes`, get(`/large/${size}`) + get('/plain'), [
    { status: 200, body: 'x'.repeat(size), fields: { 'content-length': `${size}` } },
    { status: 200 },
  ]);
}
answers('a large piece of a stream', get('/large-stream/100000') + get('/plain'), [
  { status: 200, body: `${'y'.repeat(100_000)}z` },
  { status: 200 },
]);
answers('a stream with a length', get('/stream-length'), {
  status: 200,
  body: 'seven b',
  fields: { 'content-length': '7', 'transfer-encoding': undefined },
});
answers('a date of the handler', get('/date'), { status: 200, fields: { date: 'Thu, 01 Jan 1970 00:00:00 GMT' } });
answers('a reason phrase of the handler', get('/reason'), { status: 299, body: '' });
answers('two cookies', get('/cookies'), { status: 200, fields: { 'set-cookie': 'a=1' } });
answers("the platform's Response, text", get('/platform-text') + get('/plain'), [
  { status: 200, body: 'platform', fields: { 'x-platform': 'yes' } },
  { status: 200 },
]);
answers("the platform's Response, a stream", get('/platform-stream') + get('/plain'), [
  { status: 203, body: 'platform' },
  { status: 200 },
]);
answers("the platform's Response, empty", get('/platform-empty') + get('/plain'), [
  { status: 204, body: '' },
  { status: 200 },
]);
answers("HEAD of the platform's Response", crlf('HEAD /platform-stream HTTP/1.1', 'host: a', '') + get('/plain'), [
  { status: 203, body: '', method: 'HEAD' },
  { status: 200 },
]);
answers('request.signal is not aborted', get('/signal'), { status: 200, body: 'false' });

// Handlers that fail before the head has gone.

const failing = [
  'throw-plain', 'throw-async', 'throw-thread', 'throw-at-once', 'throw-nothing', 'child-fails', 'no-response', 'no-response-async',
  'no-response-thread', 'used', 'locked', 'used-platform', 'error', 'wrong-length', 'bad-length', 'bad-length-stream', 'bad-field',
  'bad-status-text',
]; // biome-ignore format: a table
for (const path of failing) refused(`handler ${path}`, get(`/${path}`), 500, { errors: 1 });
answers(
  'handler throw-plain, HEAD',
  crlf('HEAD /throw-plain HTTP/1.1', 'host: a', ''),
  { status: 500, body: '', method: 'HEAD', fields: closing },
  { ending: 'closes', errors: 1 },
);
answers('handler throw-while-reading', [post('/throw-while-reading', 'abcdef').slice(0, -3)], refusal(500), {
  ending: 'closes',
  errors: 1,
});
answers(
  'good ones before a handler that throws, pipelined',
  get('/plain') + get('/stream') + get('/throw-async') + smuggled,
  [{ status: 200 }, { status: 200 }, refusal(500)],
  { ending: 'closes', errors: 1 },
);

// … and after.

const breaking = [
  'throw-stream',
  'throw-stream-at-once',
  'throw-readable',
  'throw-platform',
  'short-stream',
  'long-stream',
  'wrong-stream',
  'stream-child-fails',
];
for (const path of breaking) answers(`body ${path}`, get(`/${path}`) + smuggled, [], { ending: 'resets', errors: 1 });
for (const path of ['throw-stream', 'throw-readable', 'stream-child-fails'])
  answers(`body ${path}, HTTP/1.0`, old(`/${path}`), [], { ending: 'resets', errors: 1 });
answers('an echo of a body that breaks', chunked('/echo', '3\r\nabc\r\nx\r\n') + smuggled, [], { ending: 'resets' });

// Clients that end too soon.

refused('FIN in a request line', ['GET /pl', 'FIN'], 400);
refused('FIN in a field', ['GET /plain HTTP/1.1\r\nhost: a\r\nx:', 'FIN'], 400);
refused('FIN before the last CRLF', ['GET /plain HTTP/1.1\r\nhost: a\r\n', 'FIN'], 400);
refused('FIN in a body', [post('/text', 'abcdef').slice(0, -1), 'FIN'], 400);
refused('FIN in a chunk', [chunked('/text', '5\r\nhel'), 'FIN'], 400);
refused('FIN in a chunk size', [chunked('/text', '5'), 'FIN'], 400);
refused('FIN in trailers', [chunked('/text', '0\r\nx: y\r\n'), 'FIN'], 400);
refused('FIN in a body, half-open allowed', [post('/text', 'abcdef').slice(0, -1), 'FIN'], 400, { server: 'patient' });
answers(
  'FIN in a body that is not read',
  [post('/plain', 'abcdef').slice(0, -1), 'FIN'],
  { status: 200 },
  { ending: 'closes' },
);
answers('FIN at once', ['FIN'], [], { ending: 'closes' });
answers(
  'FIN after a request, plain handler',
  [get('/plain'), 'FIN'],
  { status: 200, body: 'plain GET /plain' },
  { ending: 'closes' },
);
answers(
  'FIN after a request, async handler',
  [get('/async'), 'FIN'],
  { status: 200, body: 'async GET /async' },
  { ending: 'closes' },
);
answers(
  'FIN after requests, plain handlers',
  [get('/plain').repeat(3), 'FIN'],
  [{ status: 200 }, { status: 200 }, { status: 200 }],
  { ending: 'closes' },
);
answers('FIN after a body', [post('/text', 'abc'), 'FIN'], { status: 200, body: 'text:abc' }, { ending: 'closes' });
for (const kind of kinds) {
  answers(
    `FIN after a request, half-open allowed, ${kind}`,
    [get(`/${kind}`), 'FIN'],
    { status: 200, body: `${kind} GET /${kind}` },
    { ending: 'closes', server: 'patient' },
  );
}
answers(
  'FIN after requests, half-open allowed',
  [kinds.map((kind) => get(`/${kind}`)).join(''), 'FIN'],
  kinds.map((kind) => ({ status: 200, body: `${kind} GET /${kind}` })),
  { ending: 'closes', server: 'patient' },
);

// Clients that stall.

refused('a head that stalls', ['GET /plain HTTP/1.1\r\nhos'], 408, { isVirtual: true });
refused(
  'a head that drips',
  ['GET /plain HTTP/1.1\r\nx: ', ...Array.from({ length: 10 }, () => [{ wait: 10_000 }, 'y']).flat()],
  408,
  { isVirtual: true },
);
refused('a body that stalls', [post('/text', 'abcdef').slice(0, -1)], 408, { isVirtual: true });
refused('a chunk that stalls', [chunked('/text', '5\r\nhel')], 408, { isVirtual: true });
refused('a chunk size that stalls', [chunked('/thread-text', '5\r\nhello\r\n')], 408, { isVirtual: true });
answers(
  'a body that drips',
  [post('/text', 'abc').slice(0, -3), { wait: 15_000 }, 'a', { wait: 15_000 }, 'b', { wait: 15_000 }, 'c'],
  { status: 200, body: 'text:abc' },
  { isVirtual: true },
);
refused(
  'a body that drips for longer than its bytes are worth',
  [post('/text', 'abc').slice(0, -3), { wait: 40_000 }, 'a', { wait: 40_000 }, 'b', { wait: 40_000 }, 'c'],
  408,
  { isVirtual: true },
);
answers(
  'a body that stalls and is not read',
  [post('/plain', 'abcdef').slice(0, -1)],
  { status: 200 },
  { ending: 'closes', isVirtual: true },
);
answers('nothing at all', [], [], { ending: 'closes', isVirtual: true });
answers(
  'nothing after a request',
  [get('/plain'), { responses: 1 }, { wait: 121_000 }],
  { status: 200 },
  { ending: 'closes', isVirtual: true },
);
answers('an empty line and nothing more', ['\r\n'], [], { ending: 'closes', isVirtual: true });
answers(
  'a handler that takes longer than any request may',
  get('/slow/200000') + get('/plain'),
  [{ status: 200, body: 'slow GET /slow/200000' }, { status: 200 }],
  { isVirtual: true },
);
answers(
  'a body that takes longer than any request may',
  get('/slow-stream/200000') + get('/plain'),
  [{ status: 200, body: 'abc' }, { status: 200 }],
  { isVirtual: true },
);

// What was once wrong.

answers(
  'HEAD with a body that is too large: a refusal without a body',
  crlf('HEAD /plain HTTP/1.1', 'host: a', 'content-length: 11', ''),
  { status: 413, body: '', method: 'HEAD', fields: closing },
  { server: 'small', ending: 'closes' },
);
answers(
  'a handler that throws behind a response that floods its client',
  get('/large/65500') + get('/throw-plain') + smuggled,
  [{ status: 200, body: 'x'.repeat(65_500) }, refusal(500)],
  { ending: 'closes', errors: 1 },
);
