// Bodies in chunks: sizes, data, extensions, trailers.

import { chunked, closing, crlf, Room, smuggled } from './room.js';

const room = new Room('RFC 9112 §7.1');
export const { cases } = room;
const { answers, refused } = room;

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
];
for (const [name, body, text] of goodChunks) {
  answers(`chunked: ${name}`, chunked('/text', body), { status: 200, body: `text:${text}` });
  answers(`chunked, unread: ${name}`, chunked('/plain', body), { status: 200, body: 'plain POST /plain' });
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
  ['a size of 64 bits and more', '10000000000000005\r\nhello\r\n0\r\n\r\n', 413],
  ['a size of many digits', `${'f'.repeat(500)}\r\nhello\r\n0\r\n\r\n`, 413],
  ['a size line without end', '0'.repeat(17_000), 413],
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
  ['an extension that is too long', `5;${'a'.repeat(16_384)}\r\nhello\r\n0\r\n\r\n`, 413],
  ['a last chunk that ends with LF', '5\r\nhello\r\n0\n\r\n'],
  ['an end of trailers that is LF', '5\r\nhello\r\n0\r\n\n'],
  ['a trailer without a colon', '5\r\nhello\r\n0\r\nx\r\n\r\n'],
  ['a trailer without a name', '5\r\nhello\r\n0\r\n: x\r\n\r\n'],
  ['a trailer with a space before its colon', '5\r\nhello\r\n0\r\nx : y\r\n\r\n'],
  ['a trailer that is folded', '5\r\nhello\r\n0\r\nx: y\r\n z\r\n\r\n'],
  ['a trailer with NUL', '5\r\nhello\r\n0\r\nx: \x00\r\n\r\n'],
  ['a trailer that ends with LF', '5\r\nhello\r\n0\r\nx: y\n\r\n'],
  ['trailers that are too long', `0\r\n${`x: ${'y'.repeat(100)}\r\n`.repeat(100)}\r\n`, 431],
];
for (const [name, body, status = 400] of badChunks) {
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
