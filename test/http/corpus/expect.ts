// Expect: 100-continue.

import { by, chunked, closing, crlf, get, old, post, Room, smuggled, staying } from './room.js';

const room = new Room('RFC 9110 §10.1.1');
export const { cases } = room;
const { answers, answersAndCloses, answersAndGoesOn, refused } = room;

const expecting = (target: string, length: number, version = '1.1') =>
  crlf(`POST ${target} HTTP/${version}`, 'host: a', 'expect: 100-Continue', `content-length: ${length}`, '');
for (const path of ['text', 'thread-text']) {
  answers(`expectation, ${path}`, [expecting(`/${path}`, 3), { interims: 1 }, 'abc'], {
    status: 200,
    body: `${path}:abc`,
    interims: 1,
    fields: staying,
  });
}
answers('expectation, streamed', [expecting('/body', 3), { interims: 1 }, 'abc'], {
  status: 200,
  body: 'body:3',
  interims: 1,
});
answers(
  'expectation, chunked',
  [chunked('/text', '', 'expect: 100-continue'), { interims: 1 }, '3\r\nabc\r\n0\r\n\r\n'],
  { status: 200, body: 'text:abc', interims: 1 },
);
answers('expectation, and the body with it', `${expecting('/text', 3)}abc`, {
  status: 200,
  body: 'text:abc',
  interims: 'any',
});
answers('expectation, an empty body', expecting('/text', 0), { status: 200, body: 'text:' });
answers(
  'expectation of HTTP/1.0',
  `${expecting('/text', 3, '1.0')}abc`,
  { status: 200, body: 'text:abc' },
  { ending: 'closes' },
);
answers(
  'expectation, not read',
  expecting('/plain', 3),
  { status: 200, body: 'plain POST /plain', fields: closing },
  { ending: 'closes' },
);
answers(
  'expectation, and a streamed response, which might be made of the body',
  [expecting('/stream', 3), { interims: 1 }, 'abc'],
  { status: 200, body: 'stream POST /stream', interims: 1 },
);
answers('expectation, echoed: the invitation comes before the head', [expecting('/echo', 3), { interims: 1 }, 'abc'], {
  status: 200,
  body: 'abc',
  interims: 1,
});
answers(
  'expectation, read behind the answer: the invitation comes before the head',
  [expecting('/read-behind', 3), { interims: 1 }, 'abc'],
  { status: 200, body: 'answered first', interims: 1 },
);
refused('expectation, and the body is too large', [expecting('/text', 11)], 413, { server: 'small' });
answers(
  'two expectations',
  [expecting('/text', 1), { interims: 1 }, 'a', { responses: 1 }, expecting('/text', 1), { interims: 2 }, 'b'],
  [
    { status: 200, body: 'text:a', interims: 1 },
    { status: 200, body: 'text:b', interims: 1 },
  ],
);
for (const expectation of [
  ...[
    '200-ok',
    '100-continue, x',
    'x, 100-continue',
    '100-continuee',
    '100',
    '101-continue',
    '100 continue',
    '100-continue;a',
  ],
  ...['"100-continue"', '100-continue=1', 'a=b', '100_continue'],
])
  refused(`expectation ${JSON.stringify(expectation)}`, post('/text', 'abc', `expect: ${expectation}`), 417);
for (const expectation of ['', ' \t ', ',', ' , ,'])
  answersAndGoesOn(
    `expectation ${JSON.stringify(expectation)}, which is none`,
    post('/text', 'abc', `expect: ${expectation}`),
    {
      status: 200,
      body: 'text:abc',
    },
  );
for (const expectation of ['100-CONTINUE', ' \t100-continue \t', ',100-continue,', '100-continue, 100-continue'])
  answers(
    `expectation ${JSON.stringify(expectation)}`,
    [by('POST', '/text', `Expect:${expectation}`, 'content-length: 3'), { interims: 1 }, 'abc'],
    { status: 200, body: 'text:abc', interims: 1 },
  );
answers(
  'the same expectation on two lines',
  [by('POST', '/text', 'expect: 100-continue', 'content-length: 3', 'expect: 100-continue'), { interims: 1 }, 'abc'],
  { status: 200, body: 'text:abc', interims: 1 },
);
refused(
  'an expectation, and another one on a second line',
  post('/text', 'abc', 'expect: 100-continue', 'expect: x'),
  417,
);
refused('an unknown expectation of GET', get('/plain', 'expect: 200-ok'), 417);
refused('an unknown expectation in HTTP/1.0', old('/plain', 'expect: 200-ok'), 417);
answersAndGoesOn('expectation of GET without a body', get('/plain', 'expect: 100-continue'), {
  status: 200,
  body: 'plain GET /plain',
  fields: staying,
});
answersAndGoesOn('expectation of POST without a body', by('POST', '/text', 'expect: 100-continue'), {
  status: 200,
  body: 'text:',
});
answersAndGoesOn(
  'expectation, an empty body in chunks, with it',
  chunked('/text', '0\r\n\r\n', 'expect: 100-continue'),
  {
    status: 200,
    body: 'text:',
    interims: 'any',
  },
);
answersAndGoesOn('expectation, the body with it, and another request', `${expecting('/text', 5)}hello`, {
  status: 200,
  body: 'text:hello',
  interims: 'any',
});
answersAndCloses('expectation of HTTP/1.0, not read', expecting('/plain', 0, '1.0'), {
  status: 200,
  body: 'plain POST /plain',
  fields: closing,
});
answers(
  'expectation of HTTP/1.0, the body later',
  [expecting('/text', 3, '1.0'), { wait: 100 }, 'abc'],
  {
    status: 200,
    body: 'text:abc',
  },
  { ending: 'closes', isVirtual: true },
);
answers(
  'expectation, not read: what is sent in spite of that is no request',
  [expecting('/plain', smuggled.length), { responses: 1 }, smuggled],
  { status: 200, body: 'plain POST /plain', fields: closing },
  { ending: 'closes' },
);
