// Small wrongs done to text that was right.

import fc from 'fast-check';

/** What is read in two ways by somebody, or has been. */
const dictionary = [
  ...[
    '\r',
    '\n',
    '\r\n',
    '\r\n\r\n',
    '\n\n',
    '\0',
    ' ',
    '\t',
    '\v',
    '\f',
    ':',
    ',',
    ';',
    '=',
    '"',
    '\\',
    '/',
    '*',
    '%',
    '\x7f',
    '\x85',
    '\xa0',
    '\xff',
  ],
  ...[
    '0',
    '1',
    '9',
    'f',
    '-',
    '+',
    '0x',
    '00',
    '1e3',
    '4294967296',
    '9007199254740992',
    '18446744073709551616',
    'ffffffffffffffff',
    '10000000000000005',
  ],
  ...[
    'Content-Length: 5\r\n',
    'Content-Length: 0\r\n',
    'content-length:\r\n',
    'Content-Length: 5, 5\r\n',
    'Content-Length: +5\r\n',
    'Content_Length: 5\r\n',
  ],
  ...[
    'Transfer-Encoding: chunked\r\n',
    'Transfer-Encoding: identity\r\n',
    'Transfer-Encoding: gzip, chunked\r\n',
    'Transfer-Encoding: chunked, gzip\r\n',
  ],
  ...[
    'Transfer-Encoding:\r\n',
    'Transfer-Encoding: chunked, chunked\r\n',
    'Transfer-Encoding: "chunked"\r\n',
    'transfer-encoding: xchunked\r\n',
  ],
  ...[
    'Transfer-Encoding: chunked;a=b\r\n',
    'Transfer-Encoding : chunked\r\n',
    ' Transfer-Encoding: chunked\r\n',
    'Transfer-Encoding: ,chunked\r\n',
  ],
  ...[
    'Host: b\r\n',
    'Host:\r\n',
    'Host: a b\r\n',
    'Host: a@b\r\n',
    'Host: a, b\r\n',
    'Host: a/b\r\n',
    'Host: [\r\n',
    'Host: 1.2.3.4.5\r\n',
    'Host: a:99999\r\n',
  ],
  ...[
    'Connection: close\r\n',
    'Connection: keep-alive\r\n',
    'Connection: Transfer-Encoding\r\n',
    'Connection: Content-Length, close\r\n',
  ],
  ...[
    'Expect: 100-continue\r\n',
    'Expect: 200-ok\r\n',
    'Expect: 100-continue, 100-continue\r\n',
    'Expect:\r\n',
    'Upgrade: websocket\r\n',
  ],
  ...[
    ' HTTP/1.1',
    ' HTTP/1.0',
    ' HTTP/2.0',
    ' HTTP/0.9',
    ' HTTP/1.10',
    ' HTTP/01.1',
    ' http/1.1',
    ' HTTPS/1.1',
    ' HTTP/1,1',
    'HTTP/1.1 200 OK\r\n',
  ],
  ...[
    'CONNECT a:80 HTTP/1.1\r\nhost: a\r\n\r\n',
    'CONNECT ',
    'OPTIONS * HTTP/1.1\r\n',
    'http://',
    'http://a@b/',
    '//',
    '/../',
    'GET /',
    'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
  ],
  ...[
    '0\r\n\r\n',
    '0\r\n',
    '1\r\nx\r\n',
    '5;a="',
    ';a=b',
    ';a="\r\n"',
    '; ',
    ';\r\n',
    '0;\r\n\r\n',
    '\r\n ',
    '\r\n\t',
    'x: y\r\n z\r\n',
    ': y\r\n',
    '(x): y\r\n',
    'x y: z\r\n',
    'x\r\n',
  ],
] as const;

/** What may not stand there, or not in every place. */
const fieldLines = dictionary.filter((text) => /^[^:]+:.*\r\n$/.test(text) || /^[: (\t]/.test(text));
/** Fields that decide about framing, and about the connection. */
const deciding = /^(?:content-length|transfer-encoding|host|connection|expect):[ \t]*/i;
const values = [
  ...[
    '+',
    '-',
    '0x',
    '0',
    '5',
    ' ',
    ',',
    ', 5',
    '5, ',
    ';',
    '"',
    '\t',
    '\v',
    '\0',
    '\xa0',
    'x',
    '.',
    '_',
    'e1',
    '00000000000000000000',
  ],
  ...[
    'chunked',
    ', chunked',
    'chunked, ',
    'identity',
    ',identity',
    'gzip, ',
    ';q=1',
    'close',
    ', close',
    'keep-alive',
    ',',
    '@',
    ':',
    '/',
    '\\',
    '[',
    ']',
  ],
];

export type Mutation =
  | { what: 'replace' | 'insert' | 'remove'; at: number; text: string }
  | { what: 'flip'; at: number; bit: number }
  | { what: 'cut'; at: number }
  | { what: 'field'; line: number; text: string }
  | { what: 'value'; line: number; text: string; instead: number }
  | { what: 'size'; line: number; text: string; instead: number }
  | { what: 'wrap'; line: number; bits: number }
  | { what: 'version'; line: number; text: string }
  | { what: 'double' | 'swap' | 'drop' | 'case'; line: number };

const text = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom(...dictionary) },
  { weight: 1, arbitrary: fc.integer({ min: 0, max: 255 }).map((unit) => String.fromCharCode(unit)) },
  { weight: 1, arbitrary: fc.integer({ min: 1, max: 9 }).map((power) => 'a'.repeat(4 ** power % 20_011)) },
);

export const mutation: fc.Arbitrary<Mutation> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      what: fc.constantFrom('replace' as const, 'insert' as const, 'remove' as const),
      at: fc.nat(),
      text,
    }),
  },
  { weight: 2, arbitrary: fc.record({ what: fc.constant('flip' as const), at: fc.nat(), bit: fc.nat(7) }) },
  { weight: 1, arbitrary: fc.record({ what: fc.constant('cut' as const), at: fc.nat() }) },
  {
    weight: 4,
    arbitrary: fc.record({ what: fc.constant('field' as const), line: fc.nat(), text: fc.constantFrom(...fieldLines) }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      what: fc.constant('value' as const),
      line: fc.nat(),
      text: fc.constantFrom(...values),
      instead: fc.nat(3),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      what: fc.constant('version' as const),
      line: fc.nat(),
      text: fc.constantFrom(
        ' HTTP/1.0',
        ' HTTP/1.1',
        ...dictionary.filter((text) => /^ HTTP/i.test(text)),
        '',
        ' ',
        '\tHTTP/1.1',
      ),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      what: fc.constant('size' as const),
      line: fc.nat(),
      text: fc.constantFrom(
        '0',
        '00',
        '1',
        'g',
        '+',
        '-',
        '0x',
        ' ',
        '\t',
        ';',
        '; ',
        ';=',
        ';"',
        '_',
        '.',
        ',',
        '\r',
        '\n',
        '\0',
      ),
      instead: fc.nat(2),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      what: fc.constant('wrap' as const),
      line: fc.nat(),
      bits: fc.constantFrom(31, 32, 53, 63, 64),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      what: fc.constantFrom('double' as const, 'swap' as const, 'drop' as const, 'case' as const),
      line: fc.nat(),
    }),
  },
);

export function mutate(original: string, mutations: readonly Mutation[]): string {
  return mutations.reduce(mutateOnce, original);
}

function mutateOnce(text: string, mutation: Mutation): string {
  if (mutation.what === 'version') {
    const count = [...text.matchAll(/ HTTP\/1\.[0-9]\r\n/g)].length;
    let at = mutation.line % Math.max(1, count);
    return text.replace(/ HTTP\/1\.[0-9](?=\r\n)/g, (version) => (at-- === 0 ? mutation.text : version));
  }
  if (mutation.what === 'size' || mutation.what === 'wrap') return mutateLength(text, mutation);
  if (mutation.what === 'field' || mutation.what === 'value') return mutateField(text, mutation);
  if ('line' in mutation) return mutateLine(text, mutation.what, mutation.line);
  // Two out of three at a place where something begins or ends: elsewhere few changes mean anything.
  const places = mutation.at % 3 === 0 ? [] : [...text.matchAll(/[\r\n :;,]|\b/g)].map((match) => match.index);
  const at = places.length > 0 ? places[mutation.at % places.length] : mutation.at % (text.length + 1);
  switch (mutation.what) {
    case 'insert':
      return text.slice(0, at) + mutation.text + text.slice(at);
    case 'replace':
      return text.slice(0, at) + mutation.text + text.slice(at + Math.min(mutation.text.length, 1 + (mutation.at % 3)));
    case 'remove':
      return text.slice(0, at) + text.slice(at + 1 + (mutation.text.length % 4));
    case 'flip':
      if (at === text.length) return text;
      return text.slice(0, at) + String.fromCharCode(text.charCodeAt(at) ^ (1 << mutation.bit)) + text.slice(at + 1);
    case 'cut':
      return text.slice(0, at);
  }
}

/** Puts a line among the fields, or something before, behind or in place of the value of one that decides. */
function mutateField(text: string, mutation: Mutation & { what: 'field' | 'value' }): string {
  const lines = text.split('\r\n');
  const isField = mutation.what === 'field' ? /^[\w-]+:/ : deciding;
  const places = lines.flatMap((line, i) => (isField.test(line) ? [i] : []));
  if (places.length === 0) return text;
  const at = places[mutation.line % places.length];
  if (mutation.what === 'field') {
    lines[at] = mutation.text + lines[at];
  } else {
    const [name] = deciding.exec(lines[at]) ?? [''];
    const value = lines[at].slice(name.length);
    lines[at] = name + [mutation.text + value, value + mutation.text, mutation.text, ''][mutation.instead];
  }
  return lines.join('\r\n');
}

/** Of a chunk, or by Content-Length: something before, behind or in place of it; or a power of two more, for those who count in few bits. */
function mutateLength(text: string, mutation: Mutation & { what: 'size' | 'wrap' }): string {
  const lines = text.split('\r\n');
  const isLength =
    mutation.what === 'size' ? /^[0-9a-f]+(?:;|$)/i : /^(?:content-length:[ \t]*[0-9]+|[0-9a-f]+(?=;|$))/i;
  const places = lines.flatMap((line, i) => (isLength.test(line) ? [i] : []));
  if (places.length === 0) return text;
  const at = places[mutation.line % places.length];
  const line = lines[at];
  const [size] = /^[0-9a-f]*(?=;|$)/i.exec(line) ?? [''];
  if (mutation.what === 'size') {
    lines[at] = [mutation.text + line, size + mutation.text + line.slice(size.length), mutation.text][mutation.instead];
  } else {
    const more = 2n ** BigInt(mutation.bits);
    lines[at] = line.startsWith(':', 14)
      ? line.replace(/[0-9]+/, (digits) => `${BigInt(digits) + more}`)
      : (BigInt(`0x${size}`) + more).toString(16) + line.slice(size.length);
  }
  return lines.join('\r\n');
}

function mutateLine(text: string, what: 'double' | 'swap' | 'drop' | 'case', line: number): string {
  const lines = text.split('\r\n');
  const at = line % lines.length;
  switch (what) {
    case 'double':
      lines.splice(at, 0, lines[at]);
      break;
    case 'drop':
      lines.splice(at, 1);
      break;
    case 'swap':
      if (at + 1 < lines.length) [lines[at], lines[at + 1]] = [lines[at + 1], lines[at]];
      break;
    case 'case':
      lines[at] = lines[at].replace(/[a-zA-Z]/g, (letter) =>
        letter > 'Z' ? letter.toUpperCase() : letter.toLowerCase(),
      );
  }
  return lines.join('\r\n');
}
