// Versions of HTTP.

import { crlf, Room } from './room.js';

const room = new Room('RFC 9112 §2.3');
export const { cases } = room;
const { answers, refused } = room;

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
