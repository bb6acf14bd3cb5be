// Responses: how they are framed, and the fields that are the server's to say.

import { closing, crlf, get, Room, staying } from './room.js';

const room = new Room('RFC 9112 §6.3');
export const { cases } = room;
const { answers, answersAndCloses } = room;

for (const status of [204, 304]) {
  answers(`status ${status}`, get(`/status/${status}`) + get('/plain'), [
    { status, body: '', fields: { 'content-length': undefined, 'transfer-encoding': undefined } },
    { status: 200 },
  ]);
  answersAndCloses(`status ${status}, then closed`, get(`/status/${status}`, 'connection: close'), {
    status,
    body: '',
    fields: closing,
  });
}
answers('status 205', get('/status/205') + get('/plain'), [
  { status: 205, body: '', fields: { 'content-length': '0' } },
  { status: 200 },
]);
answers('status 304 with a length', get('/status-length/304') + get('/plain'), [
  { status: 304, body: '', fields: { 'content-length': '7' } },
  { status: 200 },
]);
answers('status 204 with a length', get('/status-length/204') + get('/plain'), [
  { status: 204, body: '' },
  { status: 200 },
]);
answers('HEAD with a length', crlf('HEAD /status-length/200 HTTP/1.1', 'host: a', '') + get('/plain'), [
  { status: 200, body: '', method: 'HEAD', fields: { 'content-length': '7' } },
  { status: 200 },
]);
answers('HEAD, status 204', crlf('HEAD /status/204 HTTP/1.1', 'host: a', '') + get('/plain'), [
  { status: 204, body: '', method: 'HEAD' },
  { status: 200 },
]);
answers('status 404 and 503', get('/status/404') + get('/status/503'), [
  { status: 404, body: '', fields: { 'content-length': '0' } },
  { status: 503, body: '', fields: staying },
]);
answers('an empty response', get('/empty'), {
  status: 200,
  body: '',
  fields: { 'content-length': '0', 'content-type': undefined },
});
answers('an empty stream', get('/empty-stream'), { status: 200, body: '', fields: { 'transfer-encoding': 'chunked' } });
answers('bytes', get('/bytes'), { status: 200, body: '\x00\xff\r\n', fields: { 'content-length': '4' } });
answers('UTF-8', get('/utf-8'), {
  status: 200,
  body: Buffer.from('\u00e4\u20ac\ud83d\ude00').toString('latin1'),
  fields: { 'content-length': '9' },
});
for (const size of [4095, 4096, 4097, 65_536, 200_000]) {
  answers(`a response of ${size} bytes`, get(`/large/${size}`) + get('/plain'), [
    { status: 200, body: 'x'.repeat(size), fields: { 'content-length': `${size}` } },
    { status: 200 },
  ]);
}
answers('a large piece of a stream', get('/large-stream/100000') + get('/plain'), [
  { status: 200, body: `${'y'.repeat(100_000)}z` },
  { status: 200 },
]);
answers('a stream with a length', get('/stream-length'), {
  status: 200,
  body: 'seven b',
  fields: { 'content-length': '7', 'transfer-encoding': undefined },
});
answers('a date of the handler', get('/date'), { status: 200, fields: { date: 'Thu, 01 Jan 1970 00:00:00 GMT' } });
answers('a reason phrase of the handler', get('/reason'), { status: 299, body: '' });
answers('two cookies', get('/cookies'), { status: 200, fields: { 'set-cookie': 'a=1' } });
answers("the platform's Response, text", get('/platform-text') + get('/plain'), [
  { status: 200, body: 'platform', fields: { 'x-platform': 'yes' } },
  { status: 200 },
]);
answers("the platform's Response, a stream", get('/platform-stream') + get('/plain'), [
  { status: 203, body: 'platform' },
  { status: 200 },
]);
answers("the platform's Response, empty", get('/platform-empty') + get('/plain'), [
  { status: 204, body: '' },
  { status: 200 },
]);
answers("HEAD of the platform's Response", crlf('HEAD /platform-stream HTTP/1.1', 'host: a', '') + get('/plain'), [
  { status: 203, body: '', method: 'HEAD' },
  { status: 200 },
]);
answers('request.signal is not aborted', get('/signal'), { status: 200, body: 'false' });

room.section('RFC 9110 §9.3.2');

answers(
  'HEAD with a body that is too large: a refusal without a body',
  crlf('HEAD /plain HTTP/1.1', 'host: a', 'content-length: 11', ''),
  { status: 413, body: '', method: 'HEAD', fields: closing },
  { server: 'small', ending: 'closes' },
);
