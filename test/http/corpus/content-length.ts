// Content-Length.

import { by, crlf, get, post, Room, refusal, smuggled } from './room.js';

const room = new Room('RFC 9110 §8.6');
export const { cases } = room;
const { answers, answersAndGoesOn, refused } = room;

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

refused(
  'a content-length of a thousand digits',
  crlf('POST /text HTTP/1.1', 'host: a', `content-length: ${'9'.repeat(1000)}`, ''),
  400,
);
refused(
  'a content-length of 2^64',
  crlf('POST /text HTTP/1.1', 'host: a', 'content-length: 18446744073709551616', ''),
  400,
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

const withLength = (length: string, body: string, ...fields: string[]) =>
  by('POST', '/text', `content-length: ${length}`, ...fields) + body;
const worseLengths = [
  ...[
    '+0',
    '-0',
    '- 5',
    '-1234',
    '-123456789123456789123456789',
    '+5',
    '5+',
    '5-',
    '5_0',
    '1_0',
    '5.',
    '.5',
    '5e0',
    'abc',
    'a5',
    '5a',
  ],
  ...[
    '0o5',
    '0b1',
    '0X5',
    '05h',
    '1 0',
    '5\t5',
    ',5',
    ', 5',
    '5 ,5',
    '5, 5, 5',
    '5, 10',
    '5,,5',
    '5;a=b',
    "'5'",
    '"',
    '(5)',
    '5 hello',
  ],
  ...[
    '\x005',
    '5\x00',
    '\x0b5',
    '5\x0c',
    '\xa05',
    '5\xa0',
    '\xef\xbc\x95',
    '\xd9\xa5',
    'NaN',
    'Infinity',
    'null',
    'true',
    '[5]',
    '%35',
  ],
];
for (const length of worseLengths.filter((length) => !badLengths.includes(length)))
  refused(`content-length: ${JSON.stringify(length)}`, withLength(length, 'hello'), 400);

// What can be counted is too large (§15.5.14); what cannot is no length.

for (const length of ['16777217', '999999999', '4294967296', '9007199254740991', '09007199254740991'])
  refused(`content-length: ${length}`, withLength(length, ''), 413);
for (const length of [
  ...['9007199254740992', '9007199254740993', '9223372036854775807', '9223372036854775808', '18446744073709551615'],
  ...['18446744073709551621', '99999999999999999999', '36893488147419103237'],
]) {
  refused(`content-length: ${length}`, withLength(length, 'hello'), 400);
}

const zeros: [length: string, body: string][] = [
  ['0', ''],
  ['00', ''],
  ['05', 'hello'],
  ['0000000000000000000000005', 'hello'],
  [`${'0'.repeat(1000)}5`, 'hello'],
  ['0012', 'not ten here'],
];
for (const [length, body] of zeros)
  answersAndGoesOn(
    `a content-length of ${length.length} digits that begins with 0, ${body.length} bytes`,
    withLength(length, body),
    {
      status: 200,
      body: `text:${body}`,
    },
  );
answersAndGoesOn('a content-length of 0200 is no octal number', withLength('0200', 'A'.repeat(200)), {
  status: 200,
  body: `text:${'A'.repeat(200)}`,
});
answersAndGoesOn('a content-length without a space before it', withLength('5', 'hello').replace(': 5', ':5'), {
  status: 200,
  body: 'text:hello',
});
answersAndGoesOn('a content-length with two spaces before it, and one behind', withLength(' 5 ', 'hello'), {
  status: 200,
  body: 'text:hello',
});
answersAndGoesOn(
  'a content-length of HTTP/1.0',
  `${crlf('POST /text HTTP/1.0', 'content-length: 5', 'connection: keep-alive', '')}hello`,
  {
    status: 200,
    body: 'text:hello',
  },
);
answers('what stands behind a body of no bytes is the next request', `${post('/text', '')}X${get('/plain')}`, [
  { status: 200, body: 'text:' },
  { status: 200, body: 'plain XGET /plain' },
]);
answers(
  'what stands behind a request without a body is the next request',
  `${by('POST', '/text')}{}`.concat(smuggled),
  [{ status: 200, body: 'text:' }, refusal(400)],
  { ending: 'closes' },
);
refused(
  'three content-lengths that are equal',
  withLength('5', 'hello', 'content-length: 5', 'content-length: 5'),
  400,
);
refused(
  'two content-lengths, far apart and in other letters',
  withLength('5', 'hello', 'x: y', 'CONTENT-length: 5'),
  400,
);
refused('two content-lengths, the second empty', withLength('5', 'hello', 'content-length:'), 400);
refused('two content-lengths, the first empty', withLength('', 'hello', 'content-length: 5'), 400);
refused('two content-lengths of 0', withLength('0', '', 'content-length: 0'), 400);
refused(
  'two content-lengths, the longer of which holds a request',
  `${withLength('4', 'PING', `content-length: ${smuggled.length + 4}`)}`,
  400,
);
refused('a bad content-length of GET', get('/plain', 'content-length: abc'), 400);
refused('a bad content-length in HTTP/1.0', crlf('POST /text HTTP/1.0', 'content-length: -1', ''), 400);
refused(
  'a content-length of GET that is beyond what can be counted',
  get('/plain', 'content-length: 99999999999999999999'),
  400,
);
