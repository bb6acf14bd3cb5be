// Request targets in their four forms, and in none of them.

import { by, crlf, get, old, Room, refusal, smuggled } from './room.js';

const room = new Room('RFC 9112 §3.2');
export const { cases } = room;
const { answers, answersAndGoesOn, refused } = room;

const targets: [target: string, url: string][] = [
  ['/url', 'http://a/url'],
  ['/url?', 'http://a/url?'],
  ['/url?a=b&c=%20d', 'http://a/url?a=b&c=%20d'],
  ['/url/../url/x', 'http://a/url/x'],
  ['/url/%2e%2E/url', 'http://a/url'],
  ['/url//x//', 'http://a/url//x//'],
  ['/url/{a}|b`d', 'http://a/url/%7Ba%7D|b%60d'],
  ["/url?it's", 'http://a/url?it%27s'],
  ['http://b/url', 'http://b/url'],
  ['HTTP://B:80/url', 'http://b/url'],
  ['http://b:8080/url?x', 'http://b:8080/url?x'],
  ['https://b/url', 'https://b/url'],
  ['http://[::1]:8/url', 'http://[::1]:8/url'],
  ['http://127.1/url', 'http://127.0.0.1/url'],
  ["/url/-._~!$&'()*+,;=:@", "http://a/url/-._~!$&'()*+,;=:@"],
  ['/url/;a=1/b;c', 'http://a/url/;a=1/b;c'],
  ['/url?a?b/c', 'http://a/url?a?b/c'],
  ['/url/%41%7e%7E', 'http://a/url/%41%7e%7E'],
  ['/url/%00', 'http://a/url/%00'],
  ['/url/%0d%0aX:%20y', 'http://a/url/%0d%0aX:%20y'],
  ['/url/%c0%af..', 'http://a/url/%c0%af..'],
  ['/url/%2f%5c', 'http://a/url/%2f%5c'],
  ['/url/100%', 'http://a/url/100%'],
  ['/url/%zz', 'http://a/url/%zz'],
  ['/url?a\\b', 'http://a/url?a\\b'],
  ['/url?http://c/d', 'http://a/url?http://c/d'],
  ['http://b:/url', 'http://b/url'],
  ['http://b:0/url', 'http://b:0/url'],
  ['http://b:65535/url', 'http://b:65535/url'],
  ['https://b:443/url', 'https://b/url'],
  ['http://%62/url', 'http://b/url'],
  ['http://b/url/../../url', 'http://b/url'],
  ['/url/"a"<b>', 'http://a/url/%22a%22%3Cb%3E'],
  ['/url?"a"<b>', 'http://a/url?%22a%22%3Cb%3E'],
  ['/url?{a}|b`c', 'http://a/url?{a}|b`c'],
  ['/url/a\\b', 'http://a/url/a%5Cb'],
  ['/url/\\', 'http://a/url/%5C'],
  ['/url/\\?\\', 'http://a/url/%5C?\\'],
  ['/url/\xc3\xa9', 'http://a/url/%C3%A9'],
  ['/url?\xc3\xa9=\xe2\x82\xac', 'http://a/url?%C3%A9=%E2%82%AC'],
  ['/url/\xe4\xff', 'http://a/url/%E4%FF'],
  ['/url/\xc0\xaf..', 'http://a/url/%C0%AF..'],
  ['http://b/url/\\\xc3\xa9"?\\\xc3\xa9"', 'http://b/url/%5C%C3%A9%22?\\%C3%A9%22'],
];
for (const [target, url] of targets) answers(`target ${target}`, get(target), { status: 200, body: url });
// The URL standard encodes it since 2023; Node does from version 22 on.
answers('a circumflex in a target', get('/url/b^c?^'), { status: 200, body: /^http:\/\/a\/url\/b(\^|%5E)c\?\^$/ });
answers('an absolute target without a path', get('http://b'), { status: 404, body: 'no handler for GET /' });
answers('an absolute target with a query and no path', get('http://b?q'), {
  status: 404,
  body: 'no handler for GET /?q',
});
const badTargets = [
  'plain',
  '*',
  'a:80',
  'http://',
  'http:///url',
  'ftp://b/url',
  'http:b/url',
  'http://u@b/url',
  'http://u:p@b/url',
  'http://b:x/url',
  'http://b:65536/url',
  'http://[::1/url',
  'http://b b/url',
  '/a b',
  '/a\x7f',
  '/a\x00',
  '/a#b',
  '#',
  '',
];
for (const target of badTargets) refused(`target ${JSON.stringify(target)}`, get(target), 400);

const worseTargets = [
  '/a\x01',
  '/a\x1f',
  '/a\tb',
  '/a\rb',
  '/a\nb',
  '/a?b#c',
  '\\a',
  '?a',
  './a',
  '../a',
  'http//b/url',
  'http:/b/url',
  'http:\\\\b\\url',
  'http://b\\c/url',
  'http://b#c',
  'http://b/url#c',
  'http://:80/url',
  'http://?a',
  'http://@b/url',
  'http://b,c/url',
  'http://b%2fc/url',
  'http://b%zz/url',
  'http://b:-1/url',
  'http://b:8 0/url',
  'http://[::1]x/url',
  'http://[::g]/url',
  'http://::1/url',
  'http://1.2.3.400/url',
  'ws://b/url',
  'file:///url',
  'urn:a:b',
  'mailto:a@b',
  'a',
  'a.example',
  'a.example:443',
  '[::1]:80',
  '**',
  '*?a',
  '*/a',
  '/ ',
];
for (const target of worseTargets) refused(`target ${JSON.stringify(target)}`, get(target), 400);

answersAndGoesOn('backslashes are no slashes: they make no dot segments', get('/url\\..\\..\\plain'), {
  status: 404,
  body: /^no handler for GET \/url%5C\.\.%5C\.\.%5Cplain$/,
});

room.section('RFC 9112 §3.2.1');

answersAndGoesOn('a target that begins with two slashes names no host', get('//b/url'), {
  status: 404,
  body: 'no handler for GET //b/url',
});
answersAndGoesOn('the shortest target', get('/'), { status: 404, body: 'no handler for GET /' });

room.section('RFC 9112 §3.2.2');

answersAndGoesOn(
  'the host of an absolute target stands in place of the Host field',
  get('http://B.example:8080/headers'),
  {
    status: 200,
    body: '[["host","b.example:8080"]]',
  },
);
answersAndGoesOn(
  'the host of an absolute target stands in place of a Host field that comes late',
  crlf('GET http://b/headers HTTP/1.1', 'x: 1', 'HOST: evil', ''),
  { status: 200, body: '[["host","b"],["x","1"]]' },
);
answers(
  'an absolute target in HTTP/1.0, without a host',
  old('http://b/url'),
  { status: 200, body: 'http://b/url' },
  {
    ending: 'closes',
  },
);
refused('an absolute target beside a bad host', crlf('GET http://b/url HTTP/1.1', 'host: u@b', ''), 400);
refused('an absolute target beside two hosts', crlf('GET http://b/url HTTP/1.1', 'host: b', 'host: b', ''), 400);

// Which form goes with which method.

for (const method of ['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'BREW']) {
  const body = (path: string) => (method === 'HEAD' ? '' : `plain ${method} ${path}`);
  room.section('RFC 9112 §3.2.2');
  answersAndGoesOn(`${method} of an absolute target`, by(method, 'http://b/plain?c'), {
    status: 200,
    body: body('/plain?c'),
    method,
  });
  const bad = (target: string, form: string) =>
    answers(
      `${method} of ${form}: 400`,
      by(method, target) + smuggled,
      method === 'HEAD' ? { status: 400, body: '', method } : refusal(400),
      { ending: 'closes' },
    );
  room.section('RFC 9112 §3.2.3');
  bad('b:80', 'an authority');
  room.section('RFC 9112 §3.2.4');
  if (method !== 'OPTIONS') bad('*', 'an asterisk');
}
