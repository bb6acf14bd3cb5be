// Responses: how they are framed, and the fields that are the server's to say.

import { by, closing, crlf, get, kinds, old, post, Room, staying } from './room.js';

const room = new Room('RFC 9112 §6.3');
export const { cases } = room;
const { answers, answersAndCloses, answersAndGoesOn, refused } = room;

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

room.section('RFC 9112 §4');

answersAndGoesOn('a status without a reason phrase', get('/status/299'), { status: 299, body: '' });

room.section('RFC 9110 §6.6.1');

// The client that the cases are sent with looks at the form of every date.

for (const path of [...kinds.map((kind) => `/${kind}`), '/status/204', '/status/304', '/status/404', '/status/503'])
  answersAndGoesOn(`the date of ${path}`, get(path), {
    status: path.startsWith('/status/') ? Number(path.slice(8)) : 200,
    fields: { date: / GMT$/ },
  });
answers(
  'the date of a refusal',
  get('/plain', 'x : y'),
  { status: 400, fields: { date: / GMT$/ } },
  { ending: 'closes' },
);
answers(
  'the date of a handler that throws',
  get('/throw-plain'),
  { status: 500, fields: { date: / GMT$/ } },
  { ending: 'closes', errors: 1 },
);

room.section('RFC 9110 §9.3.2');

for (const kind of kinds)
  answersAndGoesOn(`HEAD of ${kind}, and what is behind it`, by('HEAD', `/${kind}`), {
    status: 200,
    body: '',
    method: 'HEAD',
  });
for (const status of [200, 204, 205, 304, 404, 500])
  answersAndGoesOn(`HEAD of status ${status}`, by('HEAD', `/status/${status}`), { status, body: '', method: 'HEAD' });
answersAndGoesOn('HEAD of a large response', by('HEAD', '/large/200000'), {
  status: 200,
  body: '',
  method: 'HEAD',
  fields: { 'content-length': '200000' },
});

room.section('RFC 9112 §6.1');

for (const kind of ['stream', 'readable', 'platform-stream'])
  answersAndCloses(`no transfer-encoding for HTTP/1.0, ${kind}`, old(`/${kind}`), {
    status: kind === 'platform-stream' ? 203 : 200,
    fields: { ...closing, 'transfer-encoding': undefined, 'content-length': undefined },
  });

room.section('RFC 9110 §14.2');

answersAndGoesOn('a range is the business of the handler', get('/plain', 'range: bytes=0-1'), {
  status: 200,
  body: 'plain GET /plain',
});
answersAndGoesOn('a range of POST', post('/text', 'hello', 'range: bytes=0-10'), { status: 200, body: 'text:hello' });
answersAndGoesOn('a range that is none', get('/plain', 'range: bytes=abc-xyz'), {
  status: 200,
  body: 'plain GET /plain',
});

room.section('RFC 9110 §5.5');

refused('a response with a control character in a field', get('/control-field'), 500, { errors: 1 });
refused('a response with DEL in a field', get('/del-field'), 500, { errors: 1 });
answersAndGoesOn('a response with high bytes and a tab in a field', get('/high-field'), {
  status: 200,
  fields: { 'x-high': '\xe4\t\xff' },
});

room.section('RFC 9110 §15.5.22');

const upgrade = { status: 426, body: 'TLS, please', fields: { upgrade: 'TLS/1.0', connection: 'upgrade' } };
answersAndGoesOn('a status of 426 says what to upgrade to', get('/upgrade'), upgrade);
answersAndCloses('a status of 426, then closed', get('/upgrade', 'connection: close'), {
  ...upgrade,
  fields: { upgrade: 'TLS/1.0', connection: 'close, upgrade' },
});
answersAndCloses('a status of 426 in HTTP/1.0', old('/upgrade'), {
  ...upgrade,
  fields: { upgrade: 'TLS/1.0', connection: 'close, upgrade' },
});
answers('a status of 426 in HTTP/1.0 with keep-alive', old('/upgrade', 'connection: keep-alive') + get('/plain'), [
  { ...upgrade, fields: { upgrade: 'TLS/1.0', connection: 'keep-alive, upgrade' } },
  { status: 200 },
]);
