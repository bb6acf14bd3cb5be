// Content-Length.

import { crlf, Room } from './room.js';

const room = new Room('RFC 9110 §8.6');
export const { cases } = room;
const { answers, refused } = room;

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
