// Transfer-Encoding, and what it does beside Content-Length.

import { chunked, crlf, Room } from './room.js';

const room = new Room('RFC 9112 §6.3');
export const { cases } = room;
const { answers, refused } = room;

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
