// Host, in its right and wrong forms.

import { crlf, old, Room } from './room.js';

const room = new Room('RFC 9112 §3.2');
export const { cases } = room;
const { answers, answersAndGoesOn, refused } = room;

const hosts: [host: string, url: string][] = [
  ['b', 'http://b/url'],
  ['B.Example:80', 'http://b.example/url'],
  ['b:8080', 'http://b:8080/url'],
  ['b:', 'http://b/url'],
  ['127.0.0.1:1', 'http://127.0.0.1:1/url'],
  ['0x7f.1', 'http://127.0.0.1/url'],
  ['[::1]', 'http://[::1]/url'],
  ['[::1]:8080', 'http://[::1]:8080/url'],
  ['xn--bcher-kva', 'http://xn--bcher-kva/url'],
  ['a-b.c_d', 'http://a-b.c_d/url'],
  ['b.', 'http://b./url'],
  [' \t b \t ', 'http://b/url'],
  ['b:0', 'http://b:0/url'],
  ['b:65535', 'http://b:65535/url'],
  ['b:00080', 'http://b/url'],
  ['[::ffff:127.0.0.1]', 'http://[::ffff:7f00:1]/url'],
  ['[2001:DB8::A]:', 'http://[2001:db8::a]/url'],
  ["b!$&'()*+;=~c", "http://b!$&'()*+;=~c/url"],
  ['%62', 'http://b/url'],
];
for (const [host, url] of hosts) {
  answers(`host: ${host}`, crlf('GET /url HTTP/1.1', `host: ${host}`, ''), { status: 200, body: url });
}
answers(
  'no host in HTTP/1.0',
  old('/url'),
  { status: 200, body: /^http:\/\/127\.0\.0\.1:[0-9]+\/url$/ },
  { ending: 'closes' },
);
answers('a host beside an absolute target', crlf('GET http://b/url HTTP/1.1', 'host: c', ''), {
  status: 200,
  body: 'http://b/url',
});
refused('no host', crlf('GET /plain HTTP/1.1', ''), 400);
refused('no host beside an absolute target', crlf('GET http://b/plain HTTP/1.1', ''), 400);
refused('two hosts', crlf('GET /plain HTTP/1.1', 'host: a', 'host: a', ''), 400);
refused('two hosts in HTTP/1.0', crlf('GET /plain HTTP/1.0', 'host: a', 'host: b', ''), 400);
const badHosts = [
  ...[
    'u@b',
    'u:p@b',
    '@b',
    'b@',
    'b/c',
    'b/',
    '/b',
    'b?c',
    'b#c',
    'b\\c',
    'http://b',
    '//b',
    '<b>',
    'b^c',
    '"b"',
    'b|c',
    '{b}',
  ],
  ...[
    'b c',
    'b\tc',
    'b, c',
    'b,c',
    'b,',
    ',b',
    'b;c d',
    'b : 80',
    'b: 80',
    'b :80',
    'b\x00',
    '\x00',
    'b\x01',
    'b\x0bc',
    'b\x7f',
  ],
  ...[
    'b:x',
    'b:1:2',
    'b:65536',
    'b:-1',
    'b:+80',
    'b:0x50',
    'b:8.0',
    'b:99999999999999999999',
    ':80',
    ':',
    '::',
    'b::80',
  ],
  ...[
    '[::1',
    '::1',
    '[x]',
    '[::1]x',
    '[]',
    '[:]',
    '[1.2.3.4]',
    '[::1%25eth0]',
    '[::1]:x',
    '[1:2:3:4:5:6:7:8:9]',
    '[v1.x]',
    ']',
    '[[',
  ],
  ...['b\xe4', '\xc3\xa9', '%', '%zz', 'b%2fc', 'b%00', 'b%20c', '1.2.3.400', '1.2.3.4.5', '0xg.1.2.3.4'],
];
for (const host of badHosts)
  refused(`host: ${JSON.stringify(host)}`, crlf('GET /plain HTTP/1.1', `host: ${host}`, ''), 400);
refused('two hosts that differ', crlf('GET /plain HTTP/1.1', 'host: a', 'host: b', ''), 400);
refused(
  'two hosts, far apart and in other letters',
  crlf('GET /plain HTTP/1.1', 'Host: a', 'x: y', 'hOST: a', ''),
  400,
);
refused('three hosts', crlf('GET /plain HTTP/1.1', 'host: a', 'host: a', 'host: a', ''), 400);
refused('two hosts, the second empty', crlf('GET /plain HTTP/1.1', 'host: a', 'host:', ''), 400);
refused('a host with a space before the colon', crlf('GET /plain HTTP/1.1', 'host : a', ''), 400);
refused('a host that is folded', crlf('GET /plain HTTP/1.1', 'host:', ' a', ''), 400);
refused('a name that is longer than host', crlf('GET /plain HTTP/1.1', 'hosts: a', 'hos: a', 'x-host: a', ''), 400);
refused('a bad host in HTTP/1.0', old('/plain', 'host: u@b'), 400);
answersAndGoesOn('Host in any letters, and in any place', crlf('GET /url HTTP/1.1', 'x: y', 'hOsT:b', 'z: y', ''), {
  status: 200,
  body: 'http://b/url',
});
answers(
  'a host in HTTP/1.0',
  old('/url', 'host: b:81'),
  { status: 200, body: 'http://b:81/url' },
  { ending: 'closes' },
);

room.section('RFC 9110 §4.2.1');

refused('an empty host', crlf('GET /url HTTP/1.1', 'host:', ''), 400);
refused('a host of white space', crlf('GET /url HTTP/1.1', 'host: \t ', ''), 400);
refused('an empty host, and then another', crlf('GET /url HTTP/1.1', 'host:', 'host: a', ''), 400);
refused('an empty host in HTTP/1.0', old('/url', 'host:'), 400);
refused('an empty host beside an absolute target', crlf('GET http://b/url HTTP/1.1', 'host:', ''), 400);

room.section('RFC 9112 §3.2');

const hostOf = (length: number) => `${'a'.repeat(length - '.example:8080'.length)}.example:8080`;
answers('a host and port of 261 bytes', crlf('GET /plain HTTP/1.1', `host: ${hostOf(261)}`, ''), { status: 200 });
refused('a host and port of 262 bytes', crlf('GET /plain HTTP/1.1', `host: ${hostOf(262)}`, ''), 400);
refused(
  'a host and port of 262 bytes in the target',
  crlf(`GET http://${hostOf(262)}/plain HTTP/1.1`, 'host: a', ''),
  400,
);
