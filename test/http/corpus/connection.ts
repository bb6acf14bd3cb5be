// Whether the connection stays.

import { closing, crlf, get, old, Room, staying } from './room.js';

const room = new Room('RFC 9112 §9.3');
export const { cases } = room;
const { answers, answersAndCloses } = room;

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
