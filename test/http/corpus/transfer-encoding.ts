// Transfer-Encoding, and what it does beside Content-Length.

import { by, chunked, crlf, get, Room, smuggled } from './room.js';

const room = new Room('RFC 9112 §6.3');
export const { cases } = room;
const { answers, answersAndGoesOn, refused } = room;

refused('content-length and transfer-encoding', chunked('/text', '0\r\n\r\n', 'content-length: 5'), 400);
refused(
  'transfer-encoding after content-length',
  crlf('POST /text HTTP/1.1', 'host: a', 'content-length: 5', 'transfer-encoding: chunked', '', '0', ''),
  400,
);

room.section('RFC 9112 §6.1');

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
  [',chunked', 400],
  ['\x0bchunked', 400],
  ['\x00chunked', 400],
  ['chunked\x0b', 400],
  ['xchunked', 400],
  ['"chunked"', 400],
  ['chunke', 400],
  ['chunked\xa0', 400],
  ['\xa0chunked', 400],
  ['', 400],
  [' \t ', 400],
  [',', 400],
  [', chunked', 400],
  ['chunked, ,', 400],
  ['gzip, , chunked', 400],
  ['gzip,, chunked', 400],
  ['chunked chunked', 400],
  ['gzip chunked', 400],
  ['gzip;chunked', 400],
  ['gzip; chunked', 400],
  ['chunked; chunked', 400],
  ['chunked ;a=b', 400],
  ['chunked;', 400],
  ['chunked; ext=val', 400],
  ['chunked, gzip', 400],
  ['chunked,gzip,chunked', 400],
  ['gzip, chunked, chunked', 400],
  ['chunked;a=b, chunked', 400],
  ['identity, chunked', 501],
  ['deflate, gzip, chunked', 501],
  ['x-other, chunked', 501],
  ['gzip;q=1, chunked', 501],
  ['gzip ; q = "1\\"" , chunked', 501],
  ['gzip;q=, chunked', 400],
  ['gzip;=1, chunked', 400],
  ['gzip;q="1, chunked', 400],
  ['g(zip), chunked', 400],
  ['"gzip", chunked', 400],
  ['gzip, chunkedx', 400],
  ['gzip, xchunked', 400],
  ['gzip, chunked;a', 400],
  ['xchunked, chunked', 501],
  ['compress', 400],
  ['trailers', 400],
  ['chunked\x00', 400],
  ['\x0cchunked', 400],
  ['chunked\x0c', 400],
  ['chu\x00nked', 400],
  ['chunked\x7f', 400],
  ['chunk\xe9d', 400],
  ["'chunked'", 400],
  ['chunked\\', 400],
  ['chun ked', 400],
  ['chunked=1', 400],
  ['(chunked)', 400],
  ['c\xc4\xb1hunked', 400],
  ['chun\xe2\x84\xaaed', 400],
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

for (const value of ['chunked', 'Chunked', 'CHUNKED', '\t chunked \t', 'chunked   '])
  answersAndGoesOn(
    `transfer-encoding in other letters or with white space: ${JSON.stringify(value)}`,
    by('POST', '/text', `TRANSFER-Encoding:${value}`).concat('2\r\nab\r\n0\r\n\r\n'),
    { status: 200, body: 'text:ab' },
  );
const twice: [first: string, second: string][] = [
  ['chunked', 'chunked'],
  ['chunked', 'gzip'],
  ['chunked', ''],
  ['chunked', 'x'],
  ['', 'chunked'],
  ['gzip', 'chunked'],
  ['identity', 'chunked'],
];
for (const [first, second] of twice)
  refused(
    `transfer-encoding on two lines: ${JSON.stringify(first)}, ${JSON.stringify(second)}`,
    by('POST', '/text', `transfer-encoding: ${first}`, 'x: y', `Transfer-encoding: ${second}`).concat('0\r\n\r\n'),
    400,
  );
refused('a fold of transfer-encoding', by('POST', '/text', 'transfer-encoding:\r\n chunked').concat('0\r\n\r\n'), 400);
refused(
  'a fold within transfer-encoding',
  by('POST', '/text', 'transfer-encoding: gzip,\r\n chunked').concat('0\r\n\r\n'),
  400,
);
refused(
  'a tab before the colon of transfer-encoding',
  by('POST', '/text', 'transfer-encoding\t: chunked').concat('0\r\n\r\n'),
  400,
);
refused(
  'transfer-encoding in HTTP/1.0, with keep-alive',
  crlf('POST /text HTTP/1.0', 'connection: keep-alive', 'transfer-encoding: chunked', '', '0', ''),
  400,
);
refused(
  'transfer-encoding and content-length in HTTP/1.0',
  `${crlf('POST /text HTTP/1.0', 'transfer-encoding: chunked', 'content-length: 5', '')}hello`,
  400,
);
refused(
  'another transfer-encoding in HTTP/1.0',
  `${crlf('POST /text HTTP/1.0', 'transfer-encoding: gzip', 'content-length: 5', '')}hello`,
  400,
);
refused('transfer-encoding of GET that is none', get('/plain', 'transfer-encoding: gzip'), 400);
answersAndGoesOn(
  'transfer-encoding in HTTP/1.2',
  crlf('POST /text HTTP/1.2', 'host: a', 'transfer-encoding: chunked', '', '2', 'ab', '0', ''),
  {
    status: 200,
    body: 'text:ab',
  },
);

// Both of them: whichever of the two a recipient believed, another might believe the other.

room.section('RFC 9112 §6.3');

const inner = [smuggled, smuggled.replace('GET', 'HEAD')];
const lengths: [name: string, length: (body: string) => string][] = [
  ['of the whole', (body) => `${body.length}`],
  ['of 4', () => '4'],
  ['of 6', () => '6'],
  ['of 30', () => '30'],
  ['of 0', () => '0'],
  ['with a sign', (body) => `+${body.length}`],
  ['with a letter behind it', (body) => `${body.length}x`],
];
for (const [name, length] of lengths)
  for (const order of ['before', 'behind']) {
    const body = `0\r\n\r\n${inner.join('')}`;
    const fields = [`content-length: ${length(body)}`, 'transfer-encoding: chunked'];
    refused(
      `a content-length ${name} ${order} transfer-encoding`,
      by('POST', '/text', ...(order === 'before' ? fields : [...fields].reverse())) + body,
      400,
    );
  }
for (const value of [
  'Chunked',
  'chunked ',
  '\tchunked',
  ', chunked',
  'chunked,',
  'xchunked',
  'identity',
  'gzip',
  '',
  'chunked;a=b',
  '\x0bchunked',
  'chunked\x00',
])
  refused(
    `content-length and transfer-encoding: ${JSON.stringify(value)}`,
    by('POST', '/text', 'content-length: 5', `transfer-encoding: ${value}`).concat('0\r\n\r\n'),
    400,
  );
refused(
  'content-length and a fold of transfer-encoding',
  by('OPTIONS', '/text', 'transfer-encoding:\r\n chunked', 'content-length: 5').concat('hello'),
  400,
);
refused(
  'a content-length that ends behind the size of a chunk which holds a request',
  chunked('/text', `${smuggled.length.toString(16)}\r\n${smuggled}\r\n0\r\n\r\n`, 'content-length: 4'),
  400,
);
