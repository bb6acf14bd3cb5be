// Clients that end too soon, or stall.

import { chunked, get, kinds, post, Room } from './room.js';

const room = new Room('RFC 9112 §8');
export const { cases } = room;
const { answers, refused } = room;

refused('FIN in a request line', ['GET /pl', 'FIN'], 400);
refused('FIN in a field', ['GET /plain HTTP/1.1\r\nhost: a\r\nx:', 'FIN'], 400);
refused('FIN before the last CRLF', ['GET /plain HTTP/1.1\r\nhost: a\r\n', 'FIN'], 400);
refused('FIN in a body', [post('/text', 'abcdef').slice(0, -1), 'FIN'], 400);
refused('FIN in a chunk', [chunked('/text', '5\r\nhel'), 'FIN'], 400);
refused('FIN in a chunk size', [chunked('/text', '5'), 'FIN'], 400);
refused('FIN in trailers', [chunked('/text', '0\r\nx: y\r\n'), 'FIN'], 400);
refused('FIN in a body, half-open allowed', [post('/text', 'abcdef').slice(0, -1), 'FIN'], 400, { server: 'patient' });
answers(
  'FIN in a body that is not read',
  [post('/plain', 'abcdef').slice(0, -1), 'FIN'],
  { status: 200 },
  { ending: 'closes' },
);
answers('FIN at once', ['FIN'], [], { ending: 'closes' });
answers(
  'FIN after a request, plain handler',
  [get('/plain'), 'FIN'],
  { status: 200, body: 'plain GET /plain' },
  { ending: 'closes' },
);
answers(
  'FIN after a request, async handler',
  [get('/async'), 'FIN'],
  { status: 200, body: 'async GET /async' },
  { ending: 'closes' },
);
answers(
  'FIN after requests, plain handlers',
  [get('/plain').repeat(3), 'FIN'],
  [{ status: 200 }, { status: 200 }, { status: 200 }],
  { ending: 'closes' },
);
answers('FIN after a body', [post('/text', 'abc'), 'FIN'], { status: 200, body: 'text:abc' }, { ending: 'closes' });
for (const kind of kinds) {
  answers(
    `FIN after a request, half-open allowed, ${kind}`,
    [get(`/${kind}`), 'FIN'],
    { status: 200, body: `${kind} GET /${kind}` },
    { ending: 'closes', server: 'patient' },
  );
}
answers(
  'FIN after requests, half-open allowed',
  [kinds.map((kind) => get(`/${kind}`)).join(''), 'FIN'],
  kinds.map((kind) => ({ status: 200, body: `${kind} GET /${kind}` })),
  { ending: 'closes', server: 'patient' },
);

room.section('RFC 9110 §15.5.9');

refused('a head that stalls', ['GET /plain HTTP/1.1\r\nhos'], 408, { isVirtual: true });
refused(
  'a head that drips',
  ['GET /plain HTTP/1.1\r\nx: ', ...Array.from({ length: 10 }, () => [{ wait: 10_000 }, 'y']).flat()],
  408,
  { isVirtual: true },
);
refused('a body that stalls', [post('/text', 'abcdef').slice(0, -1)], 408, { isVirtual: true });
refused('a chunk that stalls', [chunked('/text', '5\r\nhel')], 408, { isVirtual: true });
refused('a chunk size that stalls', [chunked('/thread-text', '5\r\nhello\r\n')], 408, { isVirtual: true });
answers(
  'a body that drips',
  [post('/text', 'abc').slice(0, -3), { wait: 15_000 }, 'a', { wait: 15_000 }, 'b', { wait: 15_000 }, 'c'],
  { status: 200, body: 'text:abc' },
  { isVirtual: true },
);
refused(
  'a body that drips for longer than its bytes are worth',
  [post('/text', 'abc').slice(0, -3), { wait: 40_000 }, 'a', { wait: 40_000 }, 'b', { wait: 40_000 }, 'c'],
  408,
  { isVirtual: true },
);
answers(
  'a body that stalls and is not read',
  [post('/plain', 'abcdef').slice(0, -1)],
  { status: 200 },
  { ending: 'closes', isVirtual: true },
);
answers('nothing at all', [], [], { ending: 'closes', isVirtual: true });
answers(
  'nothing after a request',
  [get('/plain'), { responses: 1 }, { wait: 121_000 }],
  { status: 200 },
  { ending: 'closes', isVirtual: true },
);
answers('an empty line and nothing more', ['\r\n'], [], { ending: 'closes', isVirtual: true });
answers(
  'a handler that takes longer than any request may',
  get('/slow/200000') + get('/plain'),
  [{ status: 200, body: 'slow GET /slow/200000' }, { status: 200 }],
  { isVirtual: true },
);
answers(
  'a body that takes longer than any request may',
  get('/slow-stream/200000') + get('/plain'),
  [{ status: 200, body: 'abc' }, { status: 200 }],
  { isVirtual: true },
);

// A head that comes in two pieces, with time between them, is waited for.

room.section('RFC 9112 §2.2');

const head = 'GET /plain HTTP/1.1\r\nHost: localhost\r\n\r\n';
for (const fragment of [
  ...[
    'G',
    'GET',
    'GET ',
    'GET /pla',
    'GET /plain',
    'GET /plain ',
    'GET /plain HTTP',
    'GET /plain HTTP/1.1',
    'GET /plain HTTP/1.1\r',
  ],
  ...[
    'GET /plain HTTP/1.1\r\n',
    'GET /plain HTTP/1.1\r\nHos',
    'GET /plain HTTP/1.1\r\nHost',
    'GET /plain HTTP/1.1\r\nHost:',
  ],
  ...[
    'GET /plain HTTP/1.1\r\nHost: ',
    'GET /plain HTTP/1.1\r\nHost: localhost',
    'GET /plain HTTP/1.1\r\nHost: localhost\r',
  ],
  ...['GET /plain HTTP/1.1\r\nHost: localhost\r\n', 'GET /plain HTTP/1.1\r\nHost: localhost\r\n\r'],
]) {
  answers(
    `the head goes on after ${JSON.stringify(fragment)}`,
    [fragment, { wait: 500 }, head.slice(fragment.length)],
    { status: 200, body: 'plain GET /plain' },
    { isVirtual: true },
  );
}

room.section('RFC 9110 §15.5.9');

refused('a body that is shorter than its length, and stalls', [post('/text', '0123456789').slice(0, -5)], 408, {
  isVirtual: true,
});
refused('chunks without a last one, that stall', [chunked('/text', '5\r\nhello\r\n')], 408, { isVirtual: true });
refused('trailers that stall', [chunked('/text', '5\r\nhello\r\n0\r\nx: y\r\n')], 408, { isVirtual: true });
refused('a request of HTTP/0.9 that stalls before its line has ended', ['GET /plain'], 408, { isVirtual: true });
