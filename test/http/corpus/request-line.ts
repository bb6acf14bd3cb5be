// The request line, and what may stand before it.

import { by, crlf, get, post, Room, refusal, smuggled } from './room.js';

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
answers('LF alone between requests', `${get('/plain')}\n${get('/plain')}${smuggled}`, [{ status: 200 }, refusal(400)], {
  ending: 'closes',
});
answers('CR alone between requests', `${get('/plain')}\r${get('/plain')}${smuggled}`, [{ status: 200 }, refusal(400)], {
  ending: 'closes',
});
refused('CR CR LF after the request line', 'GET /plain HTTP/1.1\r\r\nhost: a\r\n\r\n', 400);
refused('LF CR after the request line', 'GET /plain HTTP/1.1\n\rhost: a\r\n\r\n', 400);
refused('a line of spaces instead of a request', '   \r\n\r\n', 400);
refused('a line of a tab instead of a request', '\t\r\n\r\n', 400);
refused('white space after an empty line', `\r\n ${get('/plain')}`, 400);
refused(
  'every byte there is, downwards',
  Buffer.from(Array.from({ length: 256 }, (_, i) => 255 - i)).toString('latin1'),
  400,
);
refused('a response instead of a request', crlf('HTTP/1.1 200 OK', 'content-length: 0', ''), 400);
refused('a UTF-8 byte order mark before the method', `\xef\xbb\xbf${get('/plain')}`, 400);
refused('NUL before the method', `\x00${get('/plain')}`, 400);
refused('text before the request line', `Extra line${get('/plain')}`, 400);

room.section('RFC 9112 §3');

refused('no target', crlf('GET HTTP/1.1', 'host: a', ''), 400);
refused('no method and no target', crlf('HTTP/1.1', 'host: a', ''), 400);
refused('a version alone, after two spaces', crlf('  HTTP/1.1', 'host: a', ''), 400);
refused('a fourth word', crlf('GET /plain HTTP/1.1 x', 'host: a', ''), 400);
refused('quotes around the target', by('GET', '"/plain"'), 400);
const separators: [name: string, text: string][] = [
  ['a tab', '\t'],
  ['a vertical tab', '\x0b'],
  ['a form feed', '\x0c'],
  ['CR', '\r'],
  ['LF', '\n'],
  ['NUL', '\x00'],
  ['a no-break space', '\xa0'],
  ['a space and a tab', ' \t'],
];
for (const [name, text] of separators) {
  refused(`${name} instead of a space after the method`, crlf(`GET${text}/plain HTTP/1.1`, 'host: a', ''), 400);
  refused(`${name} instead of a space after the target`, crlf(`GET /plain${text}HTTP/1.1`, 'host: a', ''), 400);
}
