// Fields: lines, names, values.

import { crlf, get, Room } from './room.js';

const room = new Room('RFC 9110 §5.5');
export const { cases } = room;
const { answers, refused } = room;

answers(
  'fields',
  get('/headers', 'X-A: 1', 'x-empty:', 'x-tab:\ta\tb\t', 'x-a:2', 'x-obs: \xe4\xff', "x!#$%&'*+-.^_`|~: all"),
  {
    status: 200,
    body: JSON.stringify([
      ['host', 'a'],
      ["x!#$%&'*+-.^_`|~", 'all'],
      ['x-a', '1, 2'],
      ['x-empty', ''],
      ['x-obs', '\xc3\xa4\xc3\xbf'],
      ['x-tab', 'a\tb'],
    ]),
  },
);
const badFields: [name: string, line: string][] = [
  ['a fold', 'x: a\r\n b'],
  ['a fold with a tab', 'x: a\r\n\tb'],
  ['a fold of content-length', 'content-length:\r\n 5'],
  ['a line of white space', ' '],
  ['CR in a value', 'x: a\rb'],
  ['CR at the end of a value', 'x: a\r'],
  ['LF in a value', 'x: a\nb'],
  ['LF that would begin a field', 'x: a\ntransfer-encoding: chunked'],
  ['CR that would begin a field', 'x: a\rtransfer-encoding: chunked'],
  ['NUL in a value', 'x: a\x00b'],
  ['a control character in a value', 'x: a\x01b'],
  ['DEL in a value', 'x: a\x7fb'],
  ['a vertical tab in a value', 'x: \x0b'],
  ['a form feed in a value', 'x: \x0c'],
  ['a space before a colon', 'x : a'],
  ['a tab before a colon', 'x\t: a'],
  ['a space in a name', 'x y: a'],
  ['an empty name', ': a'],
  ['no colon', 'x'],
  ['NUL in a name', 'x\x00: a'],
  ['a high byte in a name', 'x\xe4: a'],
  ['a bracket in a name', 'x[]: a'],
  ['CR in a name', 'x\r: a'],
  ['LF in a name', 'x\n: a'],
];
for (const [name, line] of badFields) refused(name, get('/plain', line), 400);
refused('white space before the first field', crlf('GET /plain HTTP/1.1', ' host: a', ''), 400);
refused('LF after the request line', 'GET /plain HTTP/1.1\nhost: a\r\n\r\n', 400);
refused('CR after the request line', 'GET /plain HTTP/1.1\rhost: a\r\n\r\n', 400);
refused('LF after a field', 'GET /plain HTTP/1.1\r\nhost: a\n\r\n', 400);
refused('LF at the end of the head', 'GET /plain HTTP/1.1\r\nhost: a\r\n\n', 400);
refused('CR at the end of the head', 'GET /plain HTTP/1.1\r\nhost: a\r\n\rx', 400);
refused('LF alone throughout', 'GET /plain HTTP/1.1\nhost: a\n\n', 400);
