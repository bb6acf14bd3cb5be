// Bodies of requests, and what handlers do with them.

import { chunked, closing, crlf, get, post, Room, smuggled, staying } from './room.js';

const room = new Room('RFC 9112 §6');
export const { cases } = room;
const { answers } = room;

answers('a body', post('/text', 'hello'), { status: 200, body: 'text:hello' });
answers('an empty body', post('/text', ''), { status: 200, body: 'text:' });
answers('POST without a body', crlf('POST /text HTTP/1.1', 'host: a', ''), { status: 200, body: 'text:' });

room.section('RFC 9112 §9.3');

answers(
  'GET with a body that is not read',
  crlf('GET /plain HTTP/1.1', 'host: a', 'content-length: 3', '', 'abc').slice(0, -2),
  { status: 200 },
);
answers('json', post('/json', '{"a":[1,2]}'), {
  status: 200,
  body: '{"got":{"a":[1,2]}}',
  fields: { 'content-type': 'application/json' },
});
answers('arrayBuffer', post('/buffer', 'x'.repeat(3000)), { status: 200, body: 'buffer:3000' });
answers('a body as a stream', post('/body', 'x'.repeat(3000)), { status: 200, body: 'body:3000' });
answers('a large body as a stream', post('/body', 'x'.repeat(150_000)), { status: 200, body: 'body:150000' });
answers('a body read into memory of the handler’s own', post('/byob', 'x'.repeat(3000)) + get('/plain'), [
  { status: 200, body: 'byob:3000' },
  { status: 200 },
]);
answers('a body in chunks, likewise', chunked('/byob', '3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n'), {
  status: 200,
  body: 'byob:5',
});
answers('a large body', post('/buffer', 'x'.repeat(150_000)), { status: 200, body: 'buffer:150000' });
answers('an echo', post('/echo', 'there and back'), {
  status: 200,
  body: 'there and back',
  fields: { 'transfer-encoding': 'chunked' },
});
answers('a large echo', post('/echo', 'x'.repeat(100_000)), { status: 200, body: 'x'.repeat(100_000) });
answers('a thread that reads', post('/thread-text', 'abc'), { status: 200, body: 'thread-text:abc' });
answers('form data, urlencoded', post('/form', 'a=1&b=%20', 'content-type: application/x-www-form-urlencoded'), {
  status: 200,
  body: '[["a","1"],["b"," "]]',
});
answers(
  'form data, multipart',
  post(
    '/form',
    '--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--x--\r\n',
    'content-type: multipart/form-data; boundary=x',
  ),
  { status: 200, body: '[["a","1"]]' },
);
answers('a handler that reads behind its answer', post('/read-behind', 'abc') + get('/plain'), [
  { status: 200, body: 'answered first' },
  { status: 200, body: 'plain GET /plain' },
]);
answers('json that is none', post('/json', '{'), { status: 500, fields: closing }, { ending: 'closes', errors: 1 });
answers(
  'small unread bodies are drained',
  post('/plain', 'x'.repeat(1000)) + post('/async', 'GET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n') + get('/plain'),
  [
    { status: 200, body: 'plain POST /plain' },
    { status: 200, body: 'async POST /async' },
    { status: 200, body: 'plain GET /plain' },
  ],
);
answers('an unread body of 64 KiB is drained', post('/plain', 'x'.repeat(65_536)) + get('/plain'), [
  { status: 200, fields: staying },
  { status: 200 },
]);
answers(
  'an unread body of 64 KiB and one byte closes',
  post('/plain', 'x'.repeat(65_537)) + smuggled,
  { status: 200, fields: closing },
  { ending: 'closes' },
);
answers(
  'a large body of which the rest is cancelled closes, and the response says so',
  crlf('POST /cancel-rest HTTP/1.1', 'host: a', 'content-length: 300000', '', 'only the beginning comes'),
  { status: 200, body: 'read some', fields: closing },
  { ending: 'closes' },
);
answers(
  'a large body that a handler stops reading, without cancelling it, closes in the end',
  crlf('POST /read-some HTTP/1.1', 'host: a', 'content-length: 300000', '', 'x'.repeat(200_000)),
  { status: 200, body: 'read some', fields: staying },
  { ending: 'closes', isVirtual: true },
);
answers('a small body of which some is read is drained', post('/read-some', 'x'.repeat(10_000)) + get('/plain'), [
  { status: 200, body: 'read some', fields: staying },
  { status: 200 },
]);
answers(
  'a large unread body in chunks closes',
  chunked('/plain', `${'4000\r\n'}${'x'.repeat(0x4000)}\r\n`.repeat(6)) + smuggled,
  { status: 200 },
  { ending: 'closes' },
);
