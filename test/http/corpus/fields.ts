// Fields: lines, names, values.

import { crlf, get, post, Room } from './room.js';

const room = new Room('RFC 9110 §5.5');
export const { cases } = room;
const { answers, answersAndGoesOn, refused } = room;

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
const sectionOf = (name: string): string => {
  if (name.includes('fold')) return 'RFC 9112 §5.2';
  if (/name|colon|request line/.test(name)) return 'RFC 9112 §5.1';
  return /CR|LF|line of/.test(name) ? 'RFC 9112 §2.2' : 'RFC 9110 §5.5';
};
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
  ['a bell in a value', 'x: a\x07'],
  ['bell, backspace and vertical tab in a value', 'x: abc\x07\x08\x0bdef'],
  ['ESC in a value', 'x: \x1b[31m'],
  ['US in a value', 'x: a\x1fb'],
  ['NUL at the beginning of a value', 'x: \x00a'],
  ['NUL at the end of a value', 'x: a\x00'],
  ['a tab in a name', 'x\ty: a'],
  ['a vertical tab in a name', 'x\x0b: a'],
  ['DEL in a name', 'x\x7f: a'],
  ['UTF-8 in a name', 'x-t\xc3\xabst: a'],
  ['a slash in a name', 'x/y: a'],
  ['an at sign in a name', 'x@y: a'],
  ['a quote in a name', '"x": a'],
  ['parentheses in a name', 'x(y): a'],
  ['a comma in a name', 'x,y: a'],
  ['an equals sign in a name', 'x=y: a'],
  ['a left bracket in a name', 'Bad[Name: value'],
  ['braces in a name', '{x}: a'],
  ['a question mark in a name', 'x?: a'],
  ['a colon alone', ':'],
  ['two colons alone', ':: a'],
  ['a vertical tab before a colon', 'x\x0b: a'],
  ['a no-break space before a colon', 'x\xa0: a'],
  ['a name and spaces without a colon', 'x   '],
  ['a request line among the fields', 'GET /smuggled HTTP/1.1'],
  ['a fold of many spaces', 'x: a\r\n        b'],
  ['a fold behind an empty value', 'x:\r\n b'],
  ['a fold that holds a field', 'x: a\r\n transfer-encoding: chunked'],
  ['a fold of white space alone', 'x: a\r\n \t '],
  ['a line of a tab', '\t'],
  ['CR LF CR in a value', 'x: a\r\n\rb'],
  ['LF CR behind a value', 'x: a\n\r'],
];
for (const [name, line] of badFields) {
  room.section(sectionOf(name));
  refused(name, get('/plain', line), 400);
}

room.section('RFC 9112 §2.2');

refused('white space before the first field', crlf('GET /plain HTTP/1.1', ' host: a', ''), 400);
refused('LF after the request line', 'GET /plain HTTP/1.1\nhost: a\r\n\r\n', 400);
refused('CR after the request line', 'GET /plain HTTP/1.1\rhost: a\r\n\r\n', 400);
refused('LF after a field', 'GET /plain HTTP/1.1\r\nhost: a\n\r\n', 400);
refused('LF at the end of the head', 'GET /plain HTTP/1.1\r\nhost: a\r\n\n', 400);
refused('CR at the end of the head', 'GET /plain HTTP/1.1\r\nhost: a\r\n\rx', 400);
refused('LF alone throughout', 'GET /plain HTTP/1.1\nhost: a\n\n', 400);
refused(
  'white space before the first field, on a line of its own',
  crlf('GET /plain HTTP/1.1', ' ', 'host: a', ''),
  400,
);
refused('a tab before the first field', crlf('GET /plain HTTP/1.1', '\thost: a', ''), 400);
refused('CR at the end of the head, and a field behind it', `${get('/plain').slice(0, -2)}\rx: y\r\n\r\n`, 400);

room.section('RFC 9112 §5.2');

refused('a fold of the last field', crlf('GET /plain HTTP/1.1', 'host: a', ' b', ''), 400);

room.section('RFC 9110 §5.5');

const all = (from: number, to: number) =>
  String.fromCharCode(...Array.from({ length: to - from + 1 }, (_, i) => from + i));
answersAndGoesOn(
  'every character that may stand in a value',
  get('/headers', `x: a${all(0x20, 0x7e)}\t${all(0x80, 0xff)}b`),
  {
    status: 200,
    body: Buffer.from(
      JSON.stringify([
        ['host', 'a'],
        ['x', `a${all(0x20, 0x7e)}\t${all(0x80, 0xff)}b`],
      ]),
    ).toString('latin1'),
  },
);

room.section('RFC 9112 §5.1');

answersAndGoesOn('white space around a value is not of it', get('/headers', 'a:b', 'c:  \t d \t ', 'e: \t '), {
  status: 200,
  body: '[["a","b"],["c","d"],["e",""],["host","a"]]',
});
answersAndGoesOn('colons, commas and quotes in a value', get('/headers', 'x: :a:b, "c: d"'), {
  status: 200,
  body: JSON.stringify([
    ['host', 'a'],
    ['x', ':a:b, "c: d"'],
  ]),
});
answersAndGoesOn('names in any letters', get('/headers', 'X-Abc: 1', 'x-aBC: 2'), {
  status: 200,
  body: '[["host","a"],["x-abc","1, 2"]]',
});

room.section('RFC 9110 §5.3');

answersAndGoesOn(
  'repeated fields are one list, in their order',
  get('/headers', 'x: 1', 'y: 0', 'x: 3', 'x:', 'x: 2'),
  {
    status: 200,
    body: '[["host","a"],["x","1, 3, , 2"],["y","0"]]',
  },
);
answersAndGoesOn('repeated cookies are one', get('/headers', 'cookie: a=1', 'cookie: b=2'), {
  status: 200,
  body: '[["cookie","a=1; b=2"],["host","a"]]',
});
answersAndGoesOn('two content-types', post('/text', 'hello', 'content-type: text/plain', 'content-type: text/html'), {
  status: 200,
  body: 'text:hello',
});

// Names that are nearly those that decide about framing, and decide nothing.

room.section('RFC 9110 §5.1');

for (const name of ['content_length', 'x-content-length', 'content-lengths', 'content.length'])
  answersAndGoesOn(`${name} is not content-length`, post('/text', 'hello', `${name}: 99`), {
    status: 200,
    body: 'text:hello',
  });
for (const name of ['transfer_encoding', 'x-transfer-encoding', 'transfer-encodings', 'te', 'content-encoding'])
  answersAndGoesOn(`${name} is not transfer-encoding`, post('/text', 'hello', `${name}: chunked`), {
    status: 200,
    body: 'text:hello',
  });
refused('a tab in the name of content-length', post('/text', 'hello', 'content\tlength: 99'), 400);
refused('a space behind the name of content-length', post('/text', 'hello', 'content-length : 5'), 400);
