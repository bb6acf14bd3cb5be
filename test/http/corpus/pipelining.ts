// Several requests on a connection, answered in turn.

import { chunked, crlf, get, kinds, post, Room, refusal, smuggled } from './room.js';

const room = new Room('RFC 9112 §9.3.2');
export const { cases } = room;
const { answers } = room;

answers(
  'two of each kind, pipelined',
  [...kinds, ...kinds].map((kind) => get(`/${kind}`)).join(''),
  [...kinds, ...kinds].map((kind) => ({ status: 200, body: `${kind} GET /${kind}` })),
);
answers('slow before fast, pipelined', get('/slow/20') + get('/plain') + get('/slow/5') + get('/async'), [
  { status: 200, body: 'slow GET /slow/20' },
  { status: 200, body: 'plain GET /plain' },
  { status: 200, body: 'slow GET /slow/5' },
  { status: 200, body: 'async GET /async' },
]);
answers(
  'a hundred, pipelined',
  get('/plain').repeat(100),
  Array.from({ length: 100 }, () => ({ status: 200, body: 'plain GET /plain' })),
);
answers(
  'bodies between heads, pipelined',
  post('/text', 'one') +
    get('/plain') +
    chunked('/text', '3\r\ntwo\r\n0\r\n\r\n') +
    post('/plain', 'unread') +
    get('/thread'),
  [
    { status: 200, body: 'text:one' },
    { status: 200, body: 'plain GET /plain' },
    { status: 200, body: 'text:two' },
    { status: 200, body: 'plain POST /plain' },
    { status: 200, body: 'thread GET /thread' },
  ],
);
answers(
  'HEAD and GET in turns, pipelined',
  crlf('HEAD /stream HTTP/1.1', 'host: a', '') +
    get('/plain') +
    crlf('HEAD /plain HTTP/1.1', 'host: a', '') +
    get('/stream'),
  [
    { status: 200, body: '', method: 'HEAD' },
    { status: 200, body: 'plain GET /plain' },
    { status: 200, body: '', method: 'HEAD' },
    { status: 200, body: 'stream GET /stream' },
  ],
);
answers(
  'good ones before a refused one, pipelined',
  `${get('/plain') + get('/thread')}BAD\r\n\r\n${smuggled}`,
  [{ status: 200, body: 'plain GET /plain' }, { status: 200, body: 'thread GET /thread' }, refusal(400)],
  { ending: 'closes' },
);
answers(
  'good ones before one that closes, pipelined',
  get('/async') + get('/stream', 'connection: close') + smuggled,
  [
    { status: 200, body: 'async GET /async' },
    { status: 200, body: 'stream GET /stream' },
  ],
  { ending: 'closes' },
);
answers(
  'one after the other',
  [get('/plain'), { responses: 1 }, get('/stream'), { responses: 2 }, get('/thread')],
  [
    { status: 200, body: 'plain GET /plain' },
    { status: 200, body: 'stream GET /stream' },
    { status: 200, body: 'thread GET /thread' },
  ],
);
