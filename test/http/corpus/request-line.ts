// The request line, and what may stand before it.

import { crlf, get, post, Room } from './room.js';

const room = new Room('RFC 9112 §3.1');
export const { cases } = room;
const { answers, refused } = room;

refused('a method with a character that is no token', crlf('GE(T /plain HTTP/1.1', 'host: a', ''), 400);
refused('no method', crlf(' /plain HTTP/1.1', 'host: a', ''), 400);

room.section('RFC 9112 §3');

refused('a space before the method', crlf(' GET /plain HTTP/1.1', 'host: a', ''), 400);
refused('a tab after the method', crlf('GET\t/plain HTTP/1.1', 'host: a', ''), 400);
refused('two spaces after the method', crlf('GET  /plain HTTP/1.1', 'host: a', ''), 400);
refused('two spaces after the target', crlf('GET /plain  HTTP/1.1', 'host: a', ''), 400);
refused('a space after the version', crlf('GET /plain HTTP/1.1 ', 'host: a', ''), 400);
refused('TLS on a plain port', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03', 400);

room.section('RFC 9112 §2.2');

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
