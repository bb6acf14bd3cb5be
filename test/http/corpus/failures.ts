// Handlers that fail, before the head of the response has gone and after.

import { chunked, closing, crlf, get, old, post, Room, refusal, smuggled } from './room.js';

const room = new Room('RFC 9110 §15.6.1');
export const { cases } = room;
const { answers, refused } = room;

const failing = [
  'throw-plain',
  'throw-async',
  'throw-thread',
  'throw-at-once',
  'throw-nothing',
  'throw-revoked',
  'throw-revoked-async',
  'throw-revoked-thread',
  'child-fails',
  'no-response',
  'no-response-async',
  'no-response-thread',
  'used',
  'locked',
  'used-platform',
  'error',
  'wrong-length',
  'bad-length',
  'bad-length-stream',
  'bad-field',
  'bad-status-text',
  'split-name',
  'split-value',
  'bad-status',
  'interim-status',
  'two-lengths',
];
for (const path of failing) refused(`handler ${path}`, get(`/${path}`), 500, { errors: 1 });
answers(
  'handler throw-plain, HEAD',
  crlf('HEAD /throw-plain HTTP/1.1', 'host: a', ''),
  { status: 500, body: '', method: 'HEAD', fields: closing },
  { ending: 'closes', errors: 1 },
);
answers('handler throw-while-reading', [post('/throw-while-reading', 'abcdef').slice(0, -3)], refusal(500), {
  ending: 'closes',
  errors: 1,
});
answers(
  'good ones before a handler that throws, pipelined',
  get('/plain') + get('/stream') + get('/throw-async') + smuggled,
  [{ status: 200 }, { status: 200 }, refusal(500)],
  { ending: 'closes', errors: 1 },
);

room.section('RFC 9112 §8');

const breaking = [
  'throw-stream',
  'throw-stream-at-once',
  'throw-readable',
  'throw-platform',
  'throw-revoked-stream',
  'short-stream',
  'long-stream',
  'wrong-stream',
  'stream-child-fails',
];
for (const path of breaking) answers(`body ${path}`, get(`/${path}`) + smuggled, [], { ending: 'resets', errors: 1 });
for (const path of ['throw-stream', 'throw-readable', 'stream-child-fails'])
  answers(`body ${path}, HTTP/1.0`, old(`/${path}`), [], { ending: 'resets', errors: 1 });
answers('an echo of a body that breaks', chunked('/echo', '3\r\nabc\r\nx\r\n') + smuggled, [], { ending: 'resets' });

room.section('RFC 9110 §15.6.1');

answers(
  'a handler that throws behind a response that floods its client',
  get('/large/65500') + get('/throw-plain') + smuggled,
  [{ status: 200, body: 'x'.repeat(65_500) }, refusal(500)],
  { ending: 'closes', errors: 1 },
);
