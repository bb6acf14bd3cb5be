// Requests that RFC 9112 allows, made at random, each with what it means. Text is Latin-1: a character is a byte.

import fc from 'fast-check';

export interface Message {
  /** As it is sent. */
  text: string;
  method: string;
  target: string;
  /** Lowercased names and values in turn, without the white space around them. */
  fields: string[];
  /** What the framing encloses. */
  body: string;
  /** The connection ends after it. */
  closes: boolean;
  /** `Expect: 100-continue` of HTTP/1.1. */
  expects: boolean;
}

/** The handlers of fuzz-server.ts: the first segment of a path names one. */
export const kinds = [
  'plain',
  'async',
  'text',
  'thread',
  'idle-thread',
  'stream',
  'echo',
  'pieces',
  'at-once',
  'large',
  'flood',
] as const;
export type Kind = (typeof kinds)[number];

/** What a request must not be mistaken for: bodies and values are full of it. */
export const smuggled = 'GET /plain/smuggled HTTP/1.1\r\nhost: a\r\n\r\n';

const tokenCharacters = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ!#$%&'*+-.^_`|~";
const targetCharacters = `${tokenCharacters.replace('#', '')}/:@?,;=()[]{}"<>\\\xc3\xa9`;
const range = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, i) => String.fromCharCode(from + i));
const visible = range(0x21, 0x7e).join('');
const obsText = range(0x80, 0xff).join('');

const textOf = (characters: string, minLength: number, maxLength: number) =>
  fc.string({ unit: fc.constantFrom(...characters), minLength, maxLength });

const token = textOf(tokenCharacters, 1, 12);

const kind = fc.oneof(
  {
    weight: 20,
    arbitrary: fc.constantFrom(...kinds.filter((kind) => kind !== 'large' && kind !== 'flood')),
  },
  { weight: 1, arbitrary: fc.constantFrom<Kind>('large', 'flood') },
);

const rest = fc.oneof(
  { weight: 3, arbitrary: fc.constant('') },
  { weight: 2, arbitrary: textOf(targetCharacters, 0, 16) },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      '/..',
      '/./a',
      '//',
      '?',
      '?a=b&c',
      '?q=\\',
      '/\\..\\',
      '/<"a">?\xc3\xa9',
      '/%2e%2e/',
      '/%00',
      '?a|b{c}',
      '/a:80/http://b/',
    ),
  },
  { weight: 1, arbitrary: textOf(targetCharacters, 17, 120) },
);

const host = fc.oneof(
  { weight: 4, arbitrary: fc.constant('a') },
  {
    weight: 2,
    arbitrary: fc.constantFrom(
      ...[
        'example.com',
        'EXAMPLE.com:8080',
        '127.0.0.1',
        '127.0.0.1:80',
        '[::1]',
        '[::1]:3000',
        'a-b.c',
        'a.',
        'a:',
        'x%41',
      ],
    ),
  },
);

const target = fc.oneof(
  { weight: 8, arbitrary: fc.tuple(kind, rest).map(([name, more]) => `/${name}${more}`) },
  {
    weight: 1,
    arbitrary: fc
      .tuple(fc.constantFrom('http://', 'https://', 'HTTP://'), host, kind, rest)
      .map(([scheme, authority, name, more]) => `${scheme}${authority}/${name}${more}`),
  },
  {
    weight: 1,
    arbitrary: fc.tuple(fc.constant('http://'), host).map(([scheme, authority]) => scheme + authority),
  },
  { weight: 1, arbitrary: textOf(targetCharacters, 0, 20).map((text) => `/${text}`) },
);

/** Values without white space at either end. */
const value = fc.oneof(
  { weight: 4, arbitrary: textOf(visible, 0, 12) },
  {
    weight: 2,
    arbitrary: fc.constantFrom(
      '',
      'a, b',
      'a,,b',
      ',',
      '"a, b"',
      'text/html; q=0.9',
      'chunked',
      'close',
      '0',
      'a\tb  c',
    ),
  },
  { weight: 1, arbitrary: textOf(visible + obsText, 0, 20) },
  { weight: 1, arbitrary: textOf(visible, 60, 200) },
);

const otherName = fc.oneof(
  { weight: 3, arbitrary: token.map((text) => `x-${text}`) },
  {
    weight: 3,
    arbitrary: fc.constantFrom(
      ...[
        'Accept',
        'COOKIE',
        'cookie',
        'X-Forwarded-For',
        'User-Agent',
        'te',
        'Trailer',
        'Keep-Alive',
        'Upgrade',
        'Via',
      ],
      ...[
        'Content-Type',
        'Content-Length-',
        'Transfer_Encoding',
        'Transfer-Encodin',
        'Hos',
        'Content',
        'Proxy-Connection',
      ],
    ),
  },
);

/** Those that change nothing about how the connection goes on, one that closes it, and one that HTTP/1.0 needs to keep it. */
const connection = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.constantFrom('x-a', 'Upgrade', 'te, x-a', ', ,x-a', 'closed', 'not-close', 'HTTP2-Settings'),
  },
  { weight: 2, arbitrary: fc.constantFrom('keep-alive', 'Keep-Alive, x-a', 'x-a ,\tKEEP-ALIVE') },
  { weight: 1, arbitrary: fc.constantFrom('close', 'x-a, CLOSE', 'keep-alive,close', 'Close,') },
);

const field = fc.oneof(
  { weight: 8, arbitrary: fc.tuple(otherName, value) },
  { weight: 1, arbitrary: fc.tuple(fc.constantFrom('Connection', 'connection'), connection) },
);

const data = fc.oneof(
  { weight: 30, arbitrary: textOf(range(0, 255).join(''), 0, 30) },
  {
    weight: 20,
    arbitrary: fc.constantFrom(
      '',
      'x',
      '\r\n',
      '0\r\n\r\n',
      '\r\n\r\n',
      smuggled,
      `\r\n0\r\n\r\n${smuggled}`,
      '5\r\nhello\r\n0\r\n\r\n',
    ),
  },
  { weight: 10, arbitrary: textOf(visible, 30, 400) },
  // More than a reader holds, and more or less than is skipped where it is not read.
  { weight: 1, arbitrary: fc.integer({ min: 60_000, max: 90_000 }).map((length) => 'b'.repeat(length)) },
);

const byLength = fc.tuple(data, fc.constantFrom('', '', '', '0', '00')).map(([text, zeros]) => ({
  field: ['Content-Length', `${zeros}${text.length}`] as const,
  text,
  data: text,
}));

const none = fc.constant({ field: undefined, text: '', data: '' });

interface Parts {
  emptyLines: number;
  method: string;
  target: string;
  minor: string;
  host: string | null;
  lines: [[string, string], string, string][];
  /** Where the fields that say something of the message stand among the others. */
  places: [number, number, number];
  expects: boolean;
  upper: boolean;
  body: { field: readonly [string, string] | undefined; text: string; data: string };
}

function write(parts: Parts): Message {
  const { method, target, body, minor } = parts;
  const lines = [...parts.lines];
  const put = (place: number, name: string, value: string): void => {
    const [, before, after] = lines[place % Math.max(1, lines.length)] ?? [['', ''], ' ', ''];
    lines.splice(place % (lines.length + 1), 0, [[parts.upper ? name.toUpperCase() : name, value], before, after]);
  };
  const hasHost = minor !== '0' || parts.host !== null;
  if (hasHost) put(parts.places[0], 'Host', parts.host ?? 'a');
  if (body.field !== undefined) put(parts.places[1], ...body.field);
  // HTTP/1.0 does not know it, and it is ignored there (RFC 9110 §10.1.1).
  if (parts.expects) put(parts.places[2], 'Expect', parts.upper ? '100-Continue' : '100-continue');

  const text = lines.map(([[name, value], before, after]) => `${name}:${before}${value}${after}\r\n`).join('');
  const options = lines
    .filter(([[name]]) => name.toLowerCase() === 'connection')
    .flatMap(([[, value]]) => value.toLowerCase().split(','))
    .map((option) => option.trim());
  const namesHost = !target.startsWith('/') && target !== '*';
  return {
    text: `${'\r\n'.repeat(parts.emptyLines)}${method} ${target} HTTP/1.${minor}\r\n${text}\r\n${body.text}`,
    method,
    target,
    fields: lines.flatMap(([[name, value]]) => {
      const lower = name.toLowerCase();
      // RFC 9112 §3.2.2: the host of the target replaces what the field says.
      return [lower, lower === 'host' && namesHost ? new URL(target).host : value];
    }),
    body: body.data,
    closes: options.includes('close') || (minor === '0' && !options.includes('keep-alive')),
    expects: parts.expects && minor !== '0',
  };
}

/** CONNECT is for proxies, and refused; it comes from the dictionary of mutation.ts. */
function isMeaningful({ method }: { method: string }): boolean {
  return method !== 'CONNECT';
}

const places = fc.tuple(fc.nat(20), fc.nat(20), fc.nat(20));

/** To merge these is wrong (RFC 9110 §6.5.1). */
const forbiddenTrailer = fc.constantFrom('Content-Length', 'Transfer-Encoding', 'Host', 'Connection');

/** What differs between everything that the grammar allows, and what most recipients know. */
interface Freedom {
  method: fc.Arbitrary<string>;
  /** Of an HTTP/1.1 request. */
  minor: fc.Arbitrary<string>;
  /** Around field values. */
  space: fc.Arbitrary<string>;
  /** Where the grammar has none, and a recipient must put up with it all the same (RFC 9110 §5.6.3). */
  badSpace: fc.Arbitrary<string>;
  /** May stand in a quoted string of a chunk extension. */
  quotable: string;
  trailerName: fc.Arbitrary<string>;
}

function messagesWith({ method, minor, space, badSpace, quotable, trailerName }: Freedom): fc.Arbitrary<Message[]> {
  const line = fc.tuple(field, space, space);

  const quoted = textOf(quotable, 0, 8).map((text) => `"${text.replace(/[\\"]/g, '\\$&')}"`);

  /** Of one chunk (RFC 9112 §7.1.1). */
  const extension = fc
    .tuple(badSpace, badSpace, token, fc.option(fc.tuple(badSpace, badSpace, fc.oneof(token, quoted)), { freq: 2 }))
    .map(
      ([before, after, name, more]) =>
        `${before};${after}${name}${more === null ? '' : `${more[0]}=${more[1]}${more[2]}`}`,
    );

  const extensions = fc.oneof(
    { weight: 3, arbitrary: fc.constant('') },
    { weight: 1, arbitrary: fc.array(extension, { minLength: 1, maxLength: 3 }).map((all) => all.join('')) },
  );

  const chunk = fc.record({
    data: data.filter((text) => text !== ''),
    zeros: fc.constantFrom('', '', '', '0', '000'),
    upper: fc.boolean(),
    extensions,
  });

  const chunked = fc
    .record({
      chunks: fc.array(chunk, { maxLength: 4 }),
      zeros: fc.constantFrom('0', '0', '0', '000'),
      extensions,
      trailers: fc.option(fc.array(fc.tuple(trailerName, space, value, space), { minLength: 1, maxLength: 3 }), {
        freq: 2,
      }),
      coding: fc.constantFrom('chunked', 'chunked', 'Chunked', 'CHUNKED'),
    })
    .map((body) => {
      const chunks = body.chunks.map(({ data, zeros, upper, extensions }) => {
        const size = data.length.toString(16);
        return `${zeros}${upper ? size.toUpperCase() : size}${extensions}\r\n${data}\r\n`;
      });
      const trailers = (body.trailers ?? []).map(
        ([name, before, value, after]) => `${name}:${before}${value}${after}\r\n`,
      );
      return {
        field: ['Transfer-Encoding', body.coding] as const,
        text: `${chunks.join('')}${body.zeros}${body.extensions}\r\n${trailers.join('')}\r\n`,
        data: body.chunks.map((chunk) => chunk.data).join(''),
      };
    });

  const modern: fc.Arbitrary<Message> = fc
    .record({
      emptyLines: fc.constantFrom(0, 0, 0, 0, 1, 3),
      method,
      target,
      minor,
      host,
      lines: fc.array(line, { maxLength: 6 }),
      places,
      expects: fc.constantFrom(false, false, false, true),
      upper: fc.boolean(),
      body: fc.oneof(none, byLength, chunked),
    })
    .filter(isMeaningful)
    .map(write);

  const old: fc.Arbitrary<Message> = fc
    .record({
      emptyLines: fc.constantFrom(0, 0, 0, 1),
      method,
      target,
      minor: fc.constant('0'),
      host: fc.option(host),
      lines: fc
        .tuple(fc.array(line, { maxLength: 4 }), fc.boolean())
        .map(([lines, keeps]): Parts['lines'] => (keeps ? [...lines, [['Connection', 'keep-alive'], ' ', '']] : lines)),
      places,
      expects: fc.constantFrom(false, false, false, true),
      upper: fc.boolean(),
      body: fc.oneof(none, byLength),
    })
    .filter(isMeaningful)
    .map(write);

  const asterisk: fc.Arbitrary<Message> = fc.tuple(places, fc.array(line, { maxLength: 2 })).map(([places, lines]) =>
    write({
      ...{ emptyLines: 0, method: 'OPTIONS', target: '*', minor: '1', host: 'a', lines, places },
      ...{ expects: false, upper: false, body: { field: undefined, text: '', data: '' } },
    }),
  );

  const message: fc.Arbitrary<Message> = fc.oneof(
    { weight: 12, arbitrary: modern },
    { weight: 2, arbitrary: old },
    { weight: 1, arbitrary: asterisk },
  );

  // Now and then more than one turn answers.
  return fc.oneof(
    { weight: 12, arbitrary: fc.array(message, { minLength: 1, maxLength: 5 }) },
    {
      weight: 1,
      arbitrary: fc
        .tuple(message, fc.integer({ min: 30, max: 70 }))
        .map(([one, count]) =>
          one.text.length < 300 && !/large|flood/.test(one.target) ? new Array<Message>(count).fill(one) : [one],
        ),
    },
  );
}

const knownMethod = fc.oneof(
  { weight: 2, arbitrary: fc.constantFrom('GET', 'POST') },
  {
    weight: 1,
    arbitrary: fc.constantFrom('PUT', 'HEAD', 'DELETE', 'OPTIONS', 'PATCH', 'PROPFIND', 'M-SEARCH'),
  },
);

/** Pipelined requests: everything that RFC 9112 allows. */
export const messages = messagesWith({
  method: fc.oneof(
    { weight: 6, arbitrary: knownMethod },
    { weight: 1, arbitrary: fc.constantFrom('get', 'PRI', 'GETT', 'CONNECTED', '!', 'a'.repeat(32)) },
    { weight: 1, arbitrary: token },
  ),
  minor: fc.oneof({ weight: 15, arbitrary: fc.constant('1') }, { weight: 1, arbitrary: fc.constantFrom('2', '9') }),
  space: fc.constantFrom('', ' ', ' ', ' ', '\t', '  ', ' \t ', '\t\t'),
  badSpace: fc.oneof(
    { weight: 9, arbitrary: fc.constant('') },
    { weight: 1, arbitrary: fc.constantFrom(' ', '\t', ' \t ') },
  ),
  quotable: `${visible} \t${obsText}`,
  trailerName: fc.oneof({ weight: 2, arbitrary: otherName }, { weight: 1, arbitrary: forbiddenTrailer }),
});

/** The same, without what node:http is known not to take (see differential.ts): so that it takes what stands behind it. */
export const commonMessages = messagesWith({
  method: knownMethod,
  minor: fc.constant('1'),
  space: fc.constantFrom('', ' ', ' ', '  '),
  badSpace: fc.constant(''),
  quotable: `${visible} `,
  trailerName: otherName.filter((name) => name !== 'Proxy-Connection'),
});
