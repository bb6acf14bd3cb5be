// Methods: those that handlers get, and those that they do not.

import { crlf, get, Room, staying } from './room.js';

const room = new Room('RFC 9110 §9');
export const { cases } = room;
const { answers, refused } = room;

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
for (const method of ['PUT', 'DELETE', 'PATCH', 'TRACE', 'OPTIONS', 'get']) {
  answers(`method ${method}`, crlf(`${method} /plain HTTP/1.1`, 'host: a', ''), {
    status: 200,
    body: `plain ${method} /plain`,
  });
}
answers('OPTIONS *', crlf('OPTIONS * HTTP/1.1', 'host: a', ''), { status: 404, body: 'no handler for OPTIONS /*' });
answers('PUT with a body', crlf('PUT /text HTTP/1.1', 'host: a', 'content-length: 3', '', 'abc').slice(0, -2), {
  status: 200,
  body: 'text:abc',
});
answers('DELETE with a body', crlf('DELETE /text HTTP/1.1', 'host: a', 'content-length: 3', '', 'abc').slice(0, -2), {
  status: 200,
  body: 'text:abc',
});
answers('a method of 32 characters', crlf(`${'M'.repeat(32)} /plain HTTP/1.1`, 'host: a', ''), {
  status: 200,
  body: `plain ${'M'.repeat(32)} /plain`,
});
refused('a method of 33 characters', crlf(`${'M'.repeat(33)} /plain HTTP/1.1`, 'host: a', ''), 501);
refused('a method without end', 'M'.repeat(2000), 501);
refused('CONNECT with an authority', crlf('CONNECT a:80 HTTP/1.1', 'host: a', ''), 501);
refused('CONNECT with a path', crlf('CONNECT /plain HTTP/1.1', 'host: a', ''), 501);
