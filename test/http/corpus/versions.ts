// Versions of HTTP.

import { crlf, Room, staying } from './room.js';

const room = new Room('RFC 9112 §2.3');
export const { cases } = room;
const { answers, answersAndGoesOn, refused } = room;

answersAndGoesOn('HTTP/1.9 counts as 1.1', crlf('GET /plain HTTP/1.9', 'host: a', ''), {
  status: 200,
  fields: staying,
});
refused('HTTP/1.2 without a host', crlf('GET /plain HTTP/1.2', ''), 400);
answers('HTTP/1.2 counts as 1.1', crlf('GET /stream HTTP/1.2', 'host: a', ''), {
  status: 200,
  fields: { 'transfer-encoding': 'chunked' },
});
for (const version of ['HTTP/2.0', 'HTTP/0.9', 'HTTP/9.1', 'HTTP/9.9', 'HTTP/3.0', 'HTTP/0.0', 'HTTP/2.1'])
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
  'Http/1.1',
  'HTTP/01.1',
  'HTTP/1.01',
  'HTTP/01.01',
  'HTTP/10.1',
  'HTTP/1.1.1',
  'HTTP/ 1.1',
  'HTTP /1.1',
  'HTTP/1. 1',
  'HTTP/1.1\t',
  'HTTP/-1.1',
  'HTTP/1.-1',
  'HTTP/+1.1',
  'HTTP/1.x',
  'HTTP/x.1',
  'HTTP/\xb9.1',
  'HTTP\\1.1',
  'HTTP1.1',
  'HTTP/1.1;',
  '"HTTP/1.1"',
  '/1.1',
  '1.1',
  '',
]) {
  refused(`version ${JSON.stringify(version)}`, crlf(`GET /plain ${version}`, 'host: a', ''), 400);
}
refused('a request line of HTTP/0.9', crlf('GET /plain', ''), 400);
refused('the preface of HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 400);
refused('a request line of HTTP/0.9 and more', crlf('GET /plain', 'host: a', ''), 400);
refused('a request line of HTTP/0.9 with a space behind it', crlf('GET /plain ', ''), 400);
refused('HTTP/2.0 without a host', crlf('GET /plain HTTP/2.0', ''), 505);
