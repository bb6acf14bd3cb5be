// Whether the connection stays.

import { by, chunked, closing, crlf, get, old, post, Room, smuggled, staying } from './room.js';

const room = new Room('RFC 9112 §9.3');
export const { cases } = room;
const { answers, answersAndCloses, answersAndGoesOn } = room;

answers('HTTP/1.0', old('/plain'), { status: 200, body: 'plain GET /plain', fields: closing }, { ending: 'closes' });
answers('HTTP/1.0 with keep-alive', old('/plain', 'connection: keep-alive'), {
  status: 200,
  body: 'plain GET /plain',
  fields: { connection: 'keep-alive' },
});
answers('HTTP/1.0 with Keep-Alive in a list', old('/plain', 'connection: a, Keep-Alive ,b'), {
  status: 200,
  fields: { connection: 'keep-alive' },
});
answers(
  'HTTP/1.0 with keep-alive and close',
  old('/plain', 'connection: keep-alive, close'),
  { status: 200, fields: closing },
  { ending: 'closes' },
);
answers(
  'HTTP/1.0 with a body, keep-alive',
  `${crlf('POST /text HTTP/1.0', 'content-length: 2', 'connection: keep-alive', '')}ab`,
  {
    status: 200,
    body: 'text:ab',
  },
);
for (const kind of ['stream', 'readable']) {
  answers(
    `HTTP/1.0, ${kind} body: ends with the connection, even with keep-alive`,
    old(`/${kind}`, 'connection: keep-alive'),
    {
      status: 200,
      body: `${kind} GET /${kind}`,
      fields: { ...closing, 'transfer-encoding': undefined, 'content-length': undefined },
    },
    { ending: 'closes' },
  );
}
answers('HTTP/1.0, stream with a length: stays', old('/stream-length', 'connection: keep-alive'), {
  status: 200,
  body: 'seven b',
  fields: { 'content-length': '7', connection: 'keep-alive' },
});
for (const kind of ['plain', 'async', 'thread', 'stream', 'readable']) {
  answersAndCloses(`connection: close, ${kind}`, get(`/${kind}`, 'connection: close'), {
    status: 200,
    body: `${kind} GET /${kind}`,
    fields: closing,
  });
}
answersAndCloses('connection: Close in a list, second field', get('/plain', 'connection: a', 'Connection: b,Close'), {
  status: 200,
  fields: closing,
});
answersAndCloses('a handler says connection: close', get('/close'), { status: 200, body: 'bye', fields: closing });
answers('a handler says what is not its to say', get('/hop-by-hop'), {
  status: 200,
  body: 'hop',
  fields: {
    connection: undefined,
    'keep-alive': undefined,
    'transfer-encoding': undefined,
    upgrade: undefined,
    'content-length': '3',
  },
});
answers('connection: upgrade is not taken up', get('/plain', 'connection: upgrade', 'upgrade: websocket'), {
  status: 200,
  fields: staying,
});

const plain = { status: 200, body: 'plain GET /plain' };
for (const option of [
  'close',
  'CLOSE',
  ' \tclose\t',
  ',close',
  'close,',
  ', ,close',
  'keep-alive, close',
  'close, keep-alive',
  'x, close, y',
])
  answersAndCloses(`connection: ${JSON.stringify(option)}`, get('/plain', `connection: ${option}`), {
    ...plain,
    fields: closing,
  });
for (const option of [
  '',
  'keep-alive',
  'x',
  'closed',
  'xclose',
  'close-x',
  '"close"',
  'x;close',
  'close;x',
  'close x',
  ',',
  'host',
  'te, x-y',
])
  answersAndGoesOn(
    `connection: ${JSON.stringify(option)}, which does not close`,
    get('/plain', `connection: ${option}`),
    {
      ...plain,
      fields: staying,
    },
  );
answersAndCloses('connection: close, and the body of a request behind it', post('/text', 'abc', 'connection: close'), {
  status: 200,
  body: 'text:abc',
  fields: closing,
});
answersAndCloses('connection: close, in chunks', chunked('/text', '1\r\na\r\n0\r\n\r\n', 'connection: close'), {
  status: 200,
  body: 'text:a',
  fields: closing,
});
for (const option of ['', 'x', 'keep-alives', '"keep-alive"', 'close', 'close, keep-alive'])
  answersAndCloses(`HTTP/1.0 with connection: ${JSON.stringify(option)}`, old('/plain', `connection: ${option}`), {
    ...plain,
    fields: closing,
  });
answersAndCloses(
  'HTTP/1.0 with keep-alive on one line and close on another',
  old('/plain', 'connection: keep-alive', 'connection: close'),
  {
    ...plain,
    fields: closing,
  },
);
answersAndCloses(
  'HTTP/1.0 with the fields keep-alive and proxy-connection',
  old('/plain', 'keep-alive: 5', 'proxy-connection: keep-alive'),
  {
    ...plain,
    fields: closing,
  },
);
answers(
  'HTTP/1.0 with keep-alive, pipelined',
  old('/plain', 'connection: keep-alive').repeat(2) + old('/plain') + smuggled,
  [
    { ...plain, fields: { connection: 'keep-alive' } },
    { ...plain, fields: { connection: 'keep-alive' } },
    { ...plain, fields: closing },
  ],
  { ending: 'closes' },
);
answersAndGoesOn('proxy-connection: close says nothing', get('/plain', 'proxy-connection: close'), {
  ...plain,
  fields: staying,
});
answersAndGoesOn('the field keep-alive says nothing', get('/plain', 'keep-alive: timeout=0, max=1'), {
  ...plain,
  fields: staying,
});

// What an intermediary would have to take away is still read here: the message ends where its fields say.

room.section('RFC 9110 §7.6.1');

answersAndGoesOn('connection: content-length', post('/text', 'hello', 'connection: content-length'), {
  status: 200,
  body: 'text:hello',
});
answersAndGoesOn(
  'connection: transfer-encoding',
  chunked('/text', '1\r\na\r\n0\r\n\r\n', 'connection: transfer-encoding'),
  {
    status: 200,
    body: 'text:a',
  },
);
answersAndGoesOn(
  'fields about the connection are not among those of the request',
  get(
    '/headers',
    ...['connection: keep-alive, x-listed', 'keep-alive: timeout=5', 'proxy-connection: keep-alive', 'te: trailers'],
    ...['upgrade: h2c', 'x-listed: 1', 'expect: 100-continue'],
  ),
  { status: 200, body: '[["host","a"],["te","trailers"],["x-listed","1"]]' },
);
answersAndGoesOn('connection: host', get('/url', 'connection: host'), { status: 200, body: 'http://a/url' });

room.section('RFC 9110 §7.8');

const webSocket = ['upgrade: websocket', 'sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==', 'sec-websocket-version: 13'];
for (const upgrade of ['websocket', 'h2c', 'HTTP/2.0', 'TLS/1.0', 'totally-made-up/1.0', '', 'a, b'])
  answersAndGoesOn(`upgrade: ${JSON.stringify(upgrade)}`, get('/plain', 'connection: upgrade', `upgrade: ${upgrade}`), {
    ...plain,
    fields: { ...staying, upgrade: undefined },
  });
answersAndGoesOn('the upgrade of a web socket', get('/plain', 'connection: Upgrade', ...webSocket), plain);
answersAndGoesOn(
  'the upgrade of a web socket, of another version',
  get('/plain', 'connection: Upgrade', ...webSocket, 'sec-websocket-version: 99'),
  plain,
);
answersAndGoesOn('the upgrade of a web socket by POST', by('POST', '/plain', 'connection: Upgrade', ...webSocket), {
  status: 200,
  body: 'plain POST /plain',
});
answersAndGoesOn('upgrade without the connection option', get('/plain', ...webSocket), plain);
answersAndGoesOn(
  'the upgrade to HTTP/2',
  get('/plain', 'connection: Upgrade, HTTP2-Settings', 'upgrade: h2c', 'http2-settings: AAMAAABkAAQ'),
  plain,
);
answersAndCloses('upgrade in HTTP/1.0', old('/plain', 'connection: upgrade', ...webSocket), {
  ...plain,
  fields: closing,
});
answersAndGoesOn('upgrade with a body', post('/text', 'hello', 'connection: upgrade', 'upgrade: x'), {
  status: 200,
  body: 'text:hello',
});
