// Request targets in their four forms, and in none of them.

import { get, Room } from './room.js';

const room = new Room('RFC 9112 §3.2');
export const { cases } = room;
const { answers, refused } = room;

const targets: [target: string, url: string][] = [
  ['/url', 'http://a/url'],
  ['/url?', 'http://a/url?'],
  ['/url?a=b&c=%20d', 'http://a/url?a=b&c=%20d'],
  ['/url/../url/x', 'http://a/url/x'],
  ['/url/%2e%2E/url', 'http://a/url'],
  ['/url//x//', 'http://a/url//x//'],
  ['/url/{a}|b^c`d', 'http://a/url/%7Ba%7D|b^c%60d'],
  ["/url?it's", 'http://a/url?it%27s'],
  ['http://b/url', 'http://b/url'],
  ['HTTP://B:80/url', 'http://b/url'],
  ['http://b:8080/url?x', 'http://b:8080/url?x'],
  ['https://b/url', 'https://b/url'],
  ['http://[::1]:8/url', 'http://[::1]:8/url'],
  ['http://127.1/url', 'http://127.0.0.1/url'],
];
for (const [target, url] of targets) answers(`target ${target}`, get(target), { status: 200, body: url });
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
  '/\xe4',
  '/a"b',
  '/a<b',
  '/a\\b',
  '/a#b',
  '#',
  '',
];
for (const target of badTargets) refused(`target ${JSON.stringify(target)}`, get(target), 400);
