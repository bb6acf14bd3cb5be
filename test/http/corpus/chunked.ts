// Bodies in chunks: sizes, data, extensions, trailers.

import { by, chunked, closing, crlf, get, Room, smuggled } from './room.js';

const room = new Room('RFC 9112 §7.1');
export const { cases } = room;
const { answers, answersAndGoesOn, refused } = room;

const sectionOf = (name: string): string =>
  name.includes('extension') ? 'RFC 9112 §7.1.1' : name.includes('trailer') ? 'RFC 9112 §7.1.2' : 'RFC 9112 §7.1';

const goodChunks: [name: string, body: string, text: string][] = [
  ['one chunk', '5\r\nhello\r\n0\r\n\r\n', 'hello'],
  ['three chunks', '1\r\na\r\n2\r\nbc\r\n3\r\ndef\r\n0\r\n\r\n', 'abcdef'],
  ['no chunk', '0\r\n\r\n', ''],
  ['hexadecimal sizes of either case', 'a\r\n0123456789\r\nB\r\n0123456789a\r\n0\r\n\r\n', '01234567890123456789a'],
  ['leading zeros in a size', '0005\r\nhello\r\n000\r\n\r\n', 'hello'],
  ['chunks that look like framing', '7\r\n0\r\n\r\n\r\n\r\n0\r\n\r\n', '0\r\n\r\n\r\n'],
  ['an extension', '5;a\r\nhello\r\n0\r\n\r\n', 'hello'],
  ['an extension with a value', '5;a=b\r\nhello\r\n0;c=d\r\n\r\n', 'hello'],
  ['extensions and white space', '5 ; a = b;c\t;d\r\nhello\r\n0\r\n\r\n', 'hello'],
  ['an extension with a quoted value', '5;a="b;\\"c"\r\nhello\r\n0\r\n\r\n', 'hello'],
  ['an extension as long as may be', `5;${'a'.repeat(16_383)}\r\nhello\r\n0\r\n\r\n`, 'hello'],
  ['a trailer', '5\r\nhello\r\n0\r\nx-trailer: 1\r\n\r\n', 'hello'],
  [
    'trailers that would matter in a head',
    '5\r\nhello\r\n0\r\ncontent-length: 7\r\nhost: b\r\ntransfer-encoding: gzip\r\n\r\n',
    'hello',
  ],
  ['sizes of two digits', '0a\r\n0123456789\r\n10\r\n0123456789abcdef\r\n0\r\n\r\n', '01234567890123456789abcdef'],
  ['a size of 16 digits', '0000000000000005\r\nhello\r\n0000000000000000\r\n\r\n', 'hello'],
  ['a last chunk of many zeros', '5\r\nhello\r\n0000000000\r\n\r\n', 'hello'],
  ['data of CR and LF', '4\r\n\r\n\r\n\r\n2\r\n\n\r\r\n0\r\n\r\n', '\r\n\r\n\n\r'],
  ['data that hold a request', `${smuggled.length.toString(16)}\r\n${smuggled}\r\n0\r\n\r\n`, smuggled],
  ['many extensions', `5${';a=b'.repeat(200)}\r\nhello\r\n0\r\n\r\n`, 'hello'],
  ['an extension of the last chunk', '5\r\nhello\r\n0;a="b"\r\n\r\n', 'hello'],
  [
    'an extension of every character of a token',
    "5;!#$%&'*+-.^_`|~aZ09=!#$%&'*+-.^_`|~aZ09\r\nhello\r\n0\r\n\r\n",
    'hello',
  ],
  ['an extension with an empty quoted value', '5;a=""\r\nhello\r\n0\r\n\r\n', 'hello'],
  ['an extension with quoted tabs, spaces and high bytes', '5;a="\t \xe4\xff;,="\r\nhello\r\n0\r\n\r\n', 'hello'],
  ['an extension with a quoted backslash', '5;a="\\\\";b\r\nhello\r\n0\r\n\r\n', 'hello'],
  ['an extension that looks like a size', '5;6=7\r\nhello\r\n0;5\r\n\r\n', 'hello'],
  ['trailers with and without white space', '5\r\nhello\r\n0\r\na:1\r\nb:\r\nc: \t 2 \t\r\n\r\n', 'hello'],
  ['a trailer with high bytes', '5\r\nhello\r\n0\r\na: \xe4\xff\r\n\r\n', 'hello'],
  ['a trailer that says to close, which is nothing there', '5\r\nhello\r\n0\r\nconnection: close\r\n\r\n', 'hello'],
  [
    'a trailer of authorization, cookie and content-type',
    '5\r\nhello\r\n0\r\nauthorization: b\r\ncookie: c\r\ncontent-type: d\r\n\r\n',
    'hello',
  ],
  ['a trailer of transfer-encoding, chunked', '5\r\nhello\r\n0\r\ntransfer-encoding: chunked\r\n\r\n', 'hello'],
];
for (const [name, body, text] of goodChunks) {
  room.section(sectionOf(name));
  answersAndGoesOn(`chunked: ${name}`, chunked('/text', body), { status: 200, body: `text:${text}` });
  answersAndGoesOn(`chunked, unread: ${name}`, chunked('/plain', body), { status: 200, body: 'plain POST /plain' });
}
answers(
  'chunked, in any case',
  crlf('POST /text HTTP/1.1', 'host: a', 'Transfer-Encoding: \t cHuNkEd ', '', '2', 'ab', '0', ''),
  { status: 200, body: 'text:ab' },
);
answers('a large body in chunks', chunked('/buffer', `${`2000\r\n${'x'.repeat(0x2000)}\r\n`.repeat(10)}0\r\n\r\n`), {
  status: 200,
  body: 'buffer:81920',
});
answers('an echo of chunks', chunked('/echo', '5\r\nhello\r\n1\r\n!\r\n0\r\n\r\n'), { status: 200, body: 'hello!' });
answers(
  '10 bytes in chunks where 10 are allowed',
  chunked('/text', '5\r\n01234\r\n5\r\n56789\r\n0\r\n\r\n'),
  { status: 200, body: 'text:0123456789' },
  { server: 'small' },
);

const badChunks: [name: string, body: string, status?: number][] = [
  ['no size', '\r\nhello\r\n0\r\n\r\n'],
  ['a negative size', '-5\r\nhello\r\n0\r\n\r\n'],
  ['a size with a sign', '+5\r\nhello\r\n0\r\n\r\n'],
  ['a size with 0x', '0x5\r\nhello\r\n0\r\n\r\n'],
  ['a size with an underscore', '0_5\r\nhello\r\n0\r\n\r\n'],
  ['a size after a space', ' 5\r\nhello\r\n0\r\n\r\n'],
  ['a size before a space', '5 \r\nhello\r\n0\r\n\r\n'],
  ['a size that is no number', 'five\r\nhello\r\n0\r\n\r\n'],
  ['a size of 64 bits and more', '10000000000000005\r\nhello\r\n0\r\n\r\n'],
  ['a size of many digits', `${'f'.repeat(500)}\r\nhello\r\n0\r\n\r\n`],
  ['a size line without end', '0'.repeat(17_000), 431],
  ['a size of more than 16 digits', `${'0'.repeat(16)}5\r\nhello\r\n0\r\n\r\n`, 431],
  ['two sizes', '5 5\r\nhello\r\n0\r\n\r\n'],
  ['a size that ends with LF', '5\nhello\r\n0\r\n\r\n'],
  ['a size that ends with CR', '5\rhello\r\n0\r\n\r\n'],
  ['a size that ends with CR CR LF', '5\r\r\nhello\r\n0\r\n\r\n'],
  ['data longer than the size', '5\r\nhello!\r\n0\r\n\r\n'],
  ['data that end with LF', '5\r\nhello\n0\r\n\r\n'],
  ['data that end with CR', '5\r\nhello\r0\r\n\r\n'],
  ['data without an end', '5\r\nhello0\r\n\r\n'],
  ['data shorter than the size', '6\r\nhello\r\n0\r\n\r\n'],
  ['an extension without a name', '5;\r\nhello\r\n0\r\n\r\n'],
  ['an extension without a value', '5;a=\r\nhello\r\n0\r\n\r\n'],
  ['an extension with two values', '5;a=b=c\r\nhello\r\n0\r\n\r\n'],
  ['an extension with a value after white space', '5;a b\r\nhello\r\n0\r\n\r\n'],
  ['an extension with a quote that does not end', '5;a="b\r\nhello\r\n0\r\n\r\n'],
  ['an extension with a quote that ends with a backslash', '5;a="b\\\r\nhello\r\n0\r\n\r\n'],
  ['an extension after a quoted value', '5;a="b"c\r\nhello\r\n0\r\n\r\n'],
  ['an extension with LF', '5;a\nb\r\nhello\r\n0\r\n\r\n'],
  ['an extension with CR', '5;a\rb\r\nhello\r\n0\r\n\r\n'],
  ['an extension with NUL', '5;a\x00\r\nhello\r\n0\r\n\r\n'],
  ['an extension that is too long', `5;${'a'.repeat(16_384)}\r\nhello\r\n0\r\n\r\n`, 431],
  ['a last chunk that ends with LF', '5\r\nhello\r\n0\n\r\n'],
  ['an end of trailers that is LF', '5\r\nhello\r\n0\r\n\n'],
  ['a trailer without a colon', '5\r\nhello\r\n0\r\nx\r\n\r\n'],
  ['a trailer without a name', '5\r\nhello\r\n0\r\n: x\r\n\r\n'],
  ['a trailer with a space before its colon', '5\r\nhello\r\n0\r\nx : y\r\n\r\n'],
  ['a trailer that is folded', '5\r\nhello\r\n0\r\nx: y\r\n z\r\n\r\n'],
  ['a trailer with NUL', '5\r\nhello\r\n0\r\nx: \x00\r\n\r\n'],
  ['a trailer that ends with LF', '5\r\nhello\r\n0\r\nx: y\n\r\n'],
  ['trailers that are too long', `0\r\n${`x: ${'y'.repeat(100)}\r\n`.repeat(100)}\r\n`, 431],
  ['a size of 2^53', '20000000000000\r\nhello\r\n0\r\n\r\n'],
  ['a size of 2^53 - 1, which can be counted', '1fffffffffffff\r\nhello\r\n0\r\n\r\n', 413],
  ['a size of 2^53 - 1 with leading zeros', '001fffffffffffff\r\nhello\r\n0\r\n\r\n', 413],
  ['a size of 2^63', '8000000000000000\r\nhello\r\n0\r\n\r\n'],
  ['a size of 2^64 - 1', 'ffffffffffffffff\r\nhello\r\n0\r\n\r\n'],
  ['a size of 2^64 and 5', '10000000000000005\r\nhello\r\n0\r\n\r\n'],
  ['a size of 2^32 and 5, which can be counted', '100000005\r\nhello\r\n0\r\n\r\n', 413],
  ['a size of FFFFFFFFFFFFFFFF0', 'FFFFFFFFFFFFFFFF0\r\nhello\r\n0\r\n\r\n'],
  ['a size of -1', '-1\r\nhello\r\n0\r\n\r\n'],
  ['a size of -0', '5\r\nhello\r\n-0\r\n\r\n'],
  ['a size of +0', '+0\r\n\r\n'],
  ['a size of 0x0', '5\r\nhello\r\n0x0\r\n\r\n'],
  ['a size of 1_0', '1_0\r\nhello world!!!!!\r\n0\r\n\r\n'],
  ['a size of 5h', '5h\r\nhello\r\n0\r\n\r\n'],
  ['a size of g', 'g\r\nhello\r\n0\r\n\r\n'],
  ['a size with a point', '5.0\r\nhello\r\n0\r\n\r\n'],
  ['a size with a comma', '5,5\r\nhello\r\n0\r\n\r\n'],
  ['a size in quotes', '"5"\r\nhello\r\n0\r\n\r\n'],
  ['a size in wide digits', '\xef\xbc\x95\r\nhello\r\n0\r\n\r\n'],
  ['a size after a tab', '\t5\r\nhello\r\n0\r\n\r\n'],
  ['a size before a tab', '5\t\r\nhello\r\n0\r\n\r\n'],
  ['a size before a vertical tab', '5\x0b\r\nhello\r\n0\r\n\r\n'],
  ['a size before NUL', '5\x00\r\nhello\r\n0\r\n\r\n'],
  ['a size before a no-break space', '5\xa0\r\nhello\r\n0\r\n\r\n'],
  ['an empty line before a size', '\r\n5\r\nhello\r\n0\r\n\r\n'],
  ['an empty line before the last chunk', '5\r\nhello\r\n\r\n0\r\n\r\n'],
  ['a last chunk before a space', '5\r\nhello\r\n0 \r\n\r\n'],
  ['data longer than the size by two', '5\r\nhello!!\r\n0\r\n\r\n'],
  ['data longer than the size by a line', '5\r\nhello\r\n\r\n0\r\n\r\n'],
  ['data that end with LF CR', '5\r\nhello\n\r0\r\n\r\n'],
  ['data that end with CR CR LF', '5\r\nhello\r\r\n0\r\n\r\n'],
  ['data that end with a space', '5\r\nhello \r\n0\r\n\r\n'],
  ['a last chunk that ends with CR', '5\r\nhello\r\n0\r\r\n\r\n'],
  ['an extension with a name that is no token', '5;bad[=x\r\nhello\r\n0\r\n\r\n'],
  ['an extension with a value that is no token', '5;a=x[\r\nhello\r\n0\r\n\r\n'],
  ['an extension in quotes', '5;"a"\r\nhello\r\n0\r\n\r\n'],
  ['an extension after a comma', '5,a\r\nhello\r\n0\r\n\r\n'],
  ['an extension after an equals sign', '5=a\r\nhello\r\n0\r\n\r\n'],
  ['an extension and a semicolon', '5;a;\r\nhello\r\n0\r\n\r\n'],
  ['an extension after two semicolons', '5;;a\r\nhello\r\n0\r\n\r\n'],
  ['an extension and white space at the end', '5;a \r\nhello\r\n0\r\n\r\n'],
  ['an extension of white space', '5; \r\nhello\r\n0\r\n\r\n'],
  ['an extension with LF instead of a name', '5;\nhello\r\n0\r\n\r\n'],
  ['an extension with CR instead of a name', '5;\rhello\r\n0\r\n\r\n'],
  ['an extension with CR, and more behind it', '5;a\rX\r\nhello\r\n0\r\n\r\n'],
  ['an extension with LF in quotes', '5;a="\n"\r\nhello\r\n0\r\n\r\n'],
  ['an extension with CR LF in quotes', '5;a="\r\n"\r\nhello\r\n0\r\n\r\n'],
  ['an extension with NUL in quotes', '5;a="\x00"\r\nhello\r\n0\r\n\r\n'],
  ['an extension with NUL instead of a name', '5;\x00ext\r\nhello\r\n0\r\n\r\n'],
  ['an extension with DEL', '5;a\x7f\r\nhello\r\n0\r\n\r\n'],
  ['an extension with high bytes', '5;\xe4\r\nhello\r\n0\r\n\r\n'],
  ['an extension that hides a chunk behind LF', '2;\nxx\r\n4c\r\nhello\r\n0\r\n\r\n'],
  ['an extension of 100,000 characters', `5;ext=${'A'.repeat(100_000)}\r\nhello\r\n0\r\n\r\n`, 431],
  ['a bad extension of the last chunk', '5\r\nhello\r\n0;\r\n\r\n'],
  ['a trailer with a tab before its colon', '5\r\nhello\r\n0\r\nx\t: y\r\n\r\n'],
  ['a trailer with a name that is no token', '5\r\nhello\r\n0\r\nx[: y\r\n\r\n'],
  ['a trailer that begins with white space', '5\r\nhello\r\n0\r\n x: y\r\n\r\n'],
  ['a trailer with CR in its value', '5\r\nhello\r\n0\r\nx: y\rz\r\n\r\n'],
  ['a trailer with LF in its value', '5\r\nhello\r\n0\r\nx: y\nz: 1\r\n\r\n'],
  ['a trailer with DEL', '5\r\nhello\r\n0\r\nx: \x7f\r\n\r\n'],
  ['a request in place of trailers', `5\r\nhello\r\n0\r\n${smuggled}`],
  ['an end of trailers that is CR', '5\r\nhello\r\n0\r\nx: y\r\n\rz'],
];
for (const [name, body, status = 400] of badChunks) {
  room.section(sectionOf(name));
  refused(`chunked: ${name}`, chunked('/text', body), status);
  answers(
    `chunked, unread: ${name}`,
    chunked('/plain', body) + smuggled,
    { status: 200, body: 'plain POST /plain' },
    { ending: 'closes' },
  );
}
refused('chunked: bad, for a thread that reads', chunked('/thread-text', 'x\r\n'), 400);
refused('chunked: bad, for a stream that is read', chunked('/body', '2\r\nab\r\nx\r\n'), 400);
refused('11 bytes in chunks where 10 are allowed', chunked('/text', '5\r\n01234\r\n6\r\n567890\r\n0\r\n\r\n'), 413, {
  server: 'small',
});
answers(
  'a handler that catches what is wrong with its body',
  chunked('/caught-body', 'x\r\n') + smuggled,
  { status: 202, body: 'caught', fields: closing },
  { ending: 'closes' },
);

room.section('RFC 9112 §7.1.2');

answersAndGoesOn(
  'trailers are not merged into the fields',
  by('POST', '/headers', 'transfer-encoding: chunked', 'trailer: x').concat('0\r\nx: 1\r\nhost: b\r\n\r\n'),
  { status: 200, body: '[["host","a"],["trailer","x"]]' },
);
answers('requests in chunks, pipelined', chunked('/text', '1\r\na\r\n0\r\n\r\n').repeat(3) + get('/plain'), [
  { status: 200, body: 'text:a' },
  { status: 200, body: 'text:a' },
  { status: 200, body: 'text:a' },
  { status: 200, body: 'plain GET /plain' },
]);
