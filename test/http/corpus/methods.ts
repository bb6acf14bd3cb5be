// Methods: those that handlers get, and those that they do not.

import { by, chunked, closing, crlf, get, post, Room, refusal, smuggled, staying } from './room.js';

const room = new Room('RFC 9110 §9.1');
export const { cases } = room;
const { answers, answersAndGoesOn, refused } = room;

for (const kind of ['plain', 'async', 'thread']) {
  answers(`GET, ${kind} handler`, get(`/${kind}`), {
    status: 200,
    body: `${kind} GET /${kind}`,
    fields: {
      ...staying,
      'content-type': 'text/plain;charset=UTF-8',
      'content-length': `${`${kind} GET /${kind}`.length}`,
    },
  });
  answers(`HEAD, ${kind} handler`, crlf(`HEAD /${kind} HTTP/1.1`, 'host: a', ''), {
    status: 200,
    body: '',
    method: 'HEAD',
    fields: { 'content-length': `${`${kind} HEAD /${kind}`.length}` },
  });
  answers(`an unknown method, ${kind} handler`, crlf(`BREW-it /${kind} HTTP/1.1`, 'host: a', ''), {
    status: 200,
    body: `${kind} BREW-it /${kind}`,
  });
}
for (const kind of ['stream', 'readable']) {
  answers(`GET, ${kind} body`, get(`/${kind}`), {
    status: 200,
    body: `${kind} GET /${kind}`,
    fields: { 'transfer-encoding': 'chunked', 'content-length': undefined },
  });
  answers(`HEAD, ${kind} body`, crlf(`HEAD /${kind} HTTP/1.1`, 'host: a', ''), {
    status: 200,
    body: '',
    method: 'HEAD',
    fields: { 'transfer-encoding': 'chunked' },
  });
}
for (const method of ['PUT', 'DELETE', 'PATCH', 'OPTIONS', 'get', 'head', 'options', 'X']) {
  answers(`method ${method}`, crlf(`${method} /plain HTTP/1.1`, 'host: a', ''), {
    status: 200,
    body: `plain ${method} /plain`,
  });
}
answers('PUT with a body', crlf('PUT /text HTTP/1.1', 'host: a', 'content-length: 3', '', 'abc').slice(0, -2), {
  status: 200,
  body: 'text:abc',
});
answers('DELETE with a body', crlf('DELETE /text HTTP/1.1', 'host: a', 'content-length: 3', '', 'abc').slice(0, -2), {
  status: 200,
  body: 'text:abc',
});
answers('every character of a token in a method', by("!#$%&'*+-.^_`|~aZ09", '/plain'), {
  status: 200,
  body: "plain !#$%&'*+-.^_`|~aZ09 /plain",
});

room.section('RFC 9112 §3');

answers('a method of 32 characters', crlf(`${'M'.repeat(32)} /plain HTTP/1.1`, 'host: a', ''), {
  status: 200,
  body: `plain ${'M'.repeat(32)} /plain`,
});
refused('a method of 33 characters', crlf(`${'M'.repeat(33)} /plain HTTP/1.1`, 'host: a', ''), 501);
refused('a method of 256 characters', by('M'.repeat(256), '/plain'), 501);
refused('a method of 257 characters, which is none', by('M'.repeat(257), '/plain'), 400);
refused('a method without end', 'M'.repeat(2000), 400);
refused('a method of 100,000 characters', by('A'.repeat(100_000), '/plain'), 400);

room.section('RFC 9110 §9.3.1');

for (const path of ['plain', 'async', 'thread'])
  answersAndGoesOn(
    `GET with a body that looks like a request, ${path}`,
    post(`/${path}`, smuggled).replace('POST', 'GET'),
    {
      status: 200,
      body: `${path} GET /${path}`,
    },
  );
answersAndGoesOn('GET with a body in chunks', chunked('/plain', '5\r\nhello\r\n0\r\n\r\n').replace('POST', 'GET'), {
  status: 200,
  body: 'plain GET /plain',
});

room.section('RFC 9110 §9.3.2');

answersAndGoesOn('HEAD with a body', post('/plain', 'hello').replace('POST', 'HEAD'), {
  status: 200,
  body: '',
  method: 'HEAD',
});
const bare = { status: 400, body: '', method: 'HEAD', fields: closing };
const badHeads: [name: string, head: string][] = [
  ['without a host', crlf('HEAD /plain HTTP/1.1', '')],
  ['with a bad target', by('HEAD', 'plain')],
  ['with a bad version', crlf('HEAD /plain HTTP/1,1', 'host: a', '')],
  ['with a bad field', by('HEAD', '/plain', 'x : y')],
  ['with a bad content-length', by('HEAD', '/plain', 'content-length: x')],
];
for (const [name, head] of badHeads) {
  answers(`HEAD ${name}: a refusal without a body`, head + smuggled, bare, { ending: 'closes' });
  answers(
    `HEAD ${name}, behind an async handler: a refusal without a body`,
    get('/async') + head + smuggled,
    [{ status: 200, body: 'async GET /async' }, bare],
    { ending: 'closes' },
  );
}
answers('HEAD, and FIN in its head: a refusal without a body', ['HEAD /plain HTTP/1.1\r\nhos', 'FIN'], bare, {
  ending: 'closes',
});
answers(
  'HEAD, and FIN in its head behind an async handler, half-open allowed: a refusal without a body',
  [`${get('/async')}HEAD /plain HTTP/1.1\r\nhos`, 'FIN'],
  [{ status: 200, body: 'async GET /async' }, bare],
  { ending: 'closes', server: 'patient' },
);
answers(
  'HEAD, and a head that stalls: a refusal without a body',
  ['HEAD /plain HTTP/1.1\r\nhos'],
  { ...bare, status: 408 },
  { ending: 'closes', isVirtual: true },
);

room.section('RFC 9110 §9.3.6');

refused('CONNECT with an authority', crlf('CONNECT a:80 HTTP/1.1', 'host: a', ''), 501);
refused('CONNECT with a path', crlf('CONNECT /plain HTTP/1.1', 'host: a', ''), 501);

refused('CONNECT with a host alone', by('CONNECT', 'a'), 501);
refused('CONNECT with a body', by('CONNECT', 'a:80', 'content-length: 44') + smuggled.slice(0, 44), 501);
refused('CONNECT in HTTP/1.0', crlf('CONNECT a:80 HTTP/1.0', ''), 501);

// The fetch standard has no request by these, in whatever letters: a handler that clones it would fail.

for (const method of ['connect', 'Trace', 'TRACK', 'track'])
  refused(`method ${method}, for which there is no Request`, by(method, '/plain'), 501);

room.section('RFC 9110 §9.3.7');

const asterisk = { status: 204, body: '', fields: { ...staying, 'content-length': undefined } };
answersAndGoesOn('OPTIONS *', by('OPTIONS', '*'), asterisk);
answersAndGoesOn('OPTIONS * with a body', `${by('OPTIONS', '*', 'content-length: 5')}hello`, asterisk);
answers('OPTIONS * behind others', get('/plain') + get('/thread') + by('OPTIONS', '*') + get('/async'), [
  { status: 200, body: 'plain GET /plain' },
  { status: 200, body: 'thread GET /thread' },
  asterisk,
  { status: 200, body: 'async GET /async' },
]);
answers(
  'OPTIONS * in HTTP/1.0',
  crlf('OPTIONS * HTTP/1.0', ''),
  { ...asterisk, fields: closing },
  { ending: 'closes' },
);
answersAndGoesOn('OPTIONS /*, which is a path', by('OPTIONS', '/*'), {
  status: 404,
  body: 'no handler for OPTIONS /*',
});
answersAndGoesOn('OPTIONS with an absolute target', by('OPTIONS', 'http://b/plain'), {
  status: 200,
  body: 'plain OPTIONS /plain',
});
answersAndGoesOn('OPTIONS with a body that is not read', `${by('OPTIONS', '/plain', 'content-length: 5')}hello`, {
  status: 200,
  body: 'plain OPTIONS /plain',
});

room.section('RFC 9110 §9.3.8');

refused('TRACE', by('TRACE', '/plain'), 501);
refused('TRACE with a body', by('TRACE', '/plain', 'content-length: 5').concat('hello'), 501);
refused('TRACE with what must not come back', by('TRACE', '/plain', 'authorization: secret', 'cookie: a=b'), 501);
answers(
  'TRACE behind an async handler',
  get('/async') + by('TRACE', '/plain') + smuggled,
  [{ status: 200, body: 'async GET /async' }, refusal(501)],
  { ending: 'closes' },
);

room.section('RFC 9110 §9.1');

for (const method of ['POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'BREW', 'post', 'propfind', "!#$%&'*+-.^_`|~"])
  answersAndGoesOn(`a clone of a request by ${method}`, `${by(method, '/clone', 'content-length: 2')}ab`, {
    status: 200,
    body: `${method} ab`,
  });
answersAndGoesOn(
  'a clone of a request with fields that belong to the connection',
  chunked(
    '/clone',
    '2\r\nab\r\n0\r\n\r\n',
    'connection: te, x',
    'te: trailers',
    'keep-alive: 5',
    'upgrade: x',
    'expect: ',
    'cookie: a',
    'x: \xe4',
    'date: x',
    'via: x',
  ),
  { status: 200, body: 'POST ab' },
);
answersAndGoesOn('a clone of GET with a body', post('/clone', 'ab').replace('POST', 'GET'), {
  status: 200,
  body: 'GET ',
});
