// Compressed messages.

import { constants, deflateRawSync } from 'node:zlib';
import {
  binary,
  close,
  compressed,
  continuation,
  deflated,
  failed,
  fragments,
  frame,
  fromHex,
  heardBinary,
  heardClose,
  heardPing,
  heardText,
  join,
  opcode,
  ping,
  Subject,
  text,
} from './build.js';

const subject = new Subject('RFC 7692 §7.2.3', { endpoint: 'deflated' });
export const { cases } = subject;
const { hears, fails, failsAt } = subject;

const hello = 'f248 cdc9 c907 00';
for (const [section, name, payload, content = 'Hello'] of [
  ['§7.2.3.1', 'one block', hello],
  ['§7.2.3.3', 'a block that is only stored', '0005 00fa ff48 656c 6c6f 00'],
  ['§7.2.3.4', 'a block that says that it is the last', 'f348 cdc9 c907 0000'],
  ['§7.2.3.5', 'two blocks', 'f248 0500 0000 ffff cac9 c907 00'],
  ['§7.2.3.6', 'an empty message', '00', ''],
  ['§7.2.3.4', 'a block that says that it is the last, without an empty one behind it', 'f348 cdc9 c907 00'],
] as const) {
  subject.section(`RFC 7692 ${section}`);
  const bytes = fromHex(payload);
  hears(`the example: ${name}`, text(bytes, compressed), heardText(content));
  hears(
    `the example: ${name}, then it again`,
    [text(bytes, compressed), text(bytes, compressed)],
    [heardText(content), heardText(content)],
  );
  hears(
    `the example: ${name}, where the context is taken over`,
    [text(bytes, compressed), binary(bytes, compressed)],
    [heardText(content), heardBinary(content)],
    { endpoint: 'takeover' },
  );
  hears(`the example: ${name}, of a server`, text(bytes, { ...compressed, key: undefined }), heardText(content), {
    peer: 'server',
  });
}
subject.section('RFC 7692 §7.2.3.2');
const second = fromHex('f200 1100 00');
hears(
  'the example: a message that refers to the one before',
  [text(fromHex(hello), compressed), text(second, compressed)],
  [heardText('Hello'), heardText('Hello')],
  { endpoint: 'takeover' },
);
fails(
  'a message that refers to the one before, where the context is not taken over',
  [text(fromHex(hello), compressed), text(second, compressed)],
  1007,
  { before: [heardText('Hello')] },
);
hears(
  'a message that refers to the one before the last, the last not being compressed',
  [text(fromHex(hello), compressed), text('between'), text(second, compressed)],
  [heardText('Hello'), heardText('between'), heardText('Hello')],
  { endpoint: 'takeover' },
);
fails(
  'a message that refers to what was before a block that says that it is the last',
  [text(fromHex('f348 cdc9 c907 0000'), compressed), text(second, compressed)],
  1007,
  { endpoint: 'takeover', before: [heardText('Hello')] },
);
fails('a message that refers to what was before it, the first one', text(second, compressed), 1007, {
  endpoint: 'takeover',
});

subject.section('RFC 7692 §6.1');
hears(
  'the example: a message in two frames',
  [text(fromHex('f248 cd'), { ...compressed, fin: false }), continuation(fromHex('c9c9 0700'))],
  heardText('Hello'),
);
hears(
  'a compressed message, one byte in a frame',
  fragments(
    opcode.text,
    [...fromHex(hello)].map((byte) => Uint8Array.of(byte)),
    compressed,
  ),
  heardText('Hello'),
);
hears(
  'a compressed message whose first frame is empty',
  fragments(opcode.binary, ['', fromHex(hello)], compressed),
  heardBinary('Hello'),
);
hears(
  'a compressed message whose last frame is empty',
  fragments(opcode.binary, [fromHex(hello), ''], compressed),
  heardBinary('Hello'),
);
hears(
  'a ping between the frames of a compressed message',
  [text(fromHex('f248 cd'), { ...compressed, fin: false }), ping('now'), continuation(fromHex('c9c9 0700'))],
  [heardPing('now'), heardText('Hello')],
);
hears(
  'a Close frame between the frames of a compressed message',
  [text(fromHex('f248 cd'), { ...compressed, fin: false }), close(1000)],
  heardClose(1000),
);
hears(
  'messages that are compressed, and messages that are not',
  [text('a'), text(deflated('b'), compressed), text('c')],
  [heardText('a'), heardText('b'), heardText('c')],
);
hears('a message in fragments that is not compressed', fragments(opcode.text, ['a', 'b']), heardText('ab'));
hears('a compressed message whose last frame is missing', text(fromHex(hello), { ...compressed, fin: false }), [], {
  left: 'message',
});

for (const [name, code] of [
  ['a continuation', opcode.continuation],
  ['a ping', opcode.ping],
  ['a pong', opcode.pong],
  ['a Close frame', opcode.close],
] as const) {
  fails(
    `RSV1 on ${name} in a compressed message`,
    [text(fromHex(hello), { ...compressed, fin: false }), frame(code, '', compressed)],
    1002,
  );
  fails(
    `RSV1 on ${name} in a message that is not compressed`,
    [text('a', { fin: false }), frame(code, '', compressed)],
    1002,
  );
}
for (const code of [opcode.ping, opcode.pong, opcode.close]) {
  fails(`RSV1 on a control frame with opcode ${code}`, frame(code, '', compressed), 1002);
  failsAt(`RSV1 on a control frame with opcode ${code}`, Uint8Array.of(0xc0 | code), 1002);
}
for (const reserved of [1, 2, 3, 5, 6, 7])
  fails(
    `the reserved bits ${reserved.toString(2).padStart(3, '0')}, of which only RSV1 has a meaning`,
    text(fromHex(hello), { reserved }),
    1002,
  );
fails('a compressed message where nothing has been negotiated', text(fromHex(hello), compressed), 1002, {
  endpoint: 'usual',
});

subject.section('RFC 7692 §7.2.2');
const words = 'the quick brown fox jumps over the lazy dog; ';
for (const [name, content] of [
  ['repeated words', words.repeat(20)],
  ['one byte', 'x'],
  ['a long run', 'x'.repeat(10_000)],
  ['64 KiB', words.repeat(1457).slice(0, 65_536)],
  ['64 KiB and a byte', words.repeat(1457).slice(0, 65_537)],
  ['200,000 bytes', words.repeat(4500).slice(0, 200_000)],
] as const) {
  for (const [how, options] of [
    ['', {}],
    [', with the smallest window', { windowBits: 9 }],
    [', with Huffman codes only', { strategy: constants.Z_HUFFMAN_ONLY }],
    [', with fixed codes', { strategy: constants.Z_FIXED }],
    [', at level 0', { level: 0 }],
    [', at level 9', { level: 9 }],
  ] as const) {
    if (how !== '' && content.length > 70_000) continue;
    hears(`${name}${how}`, text(deflated(content, options), compressed), heardText(content));
    hears(
      `${name}${how}, where the context is taken over`,
      binary(deflated(content, options), compressed),
      heardBinary(content),
      {
        endpoint: 'takeover',
      },
    );
  }
}
const halves = [deflated(words, { finishFlush: constants.Z_SYNC_FLUSH }), deflated(words.toUpperCase())];
hears(
  'two blocks with an empty one between them',
  text(join(halves[0], fromHex('0000 ffff'), halves[1]), compressed),
  heardText(words + words.toUpperCase()),
);
const finished = deflateRawSync(words);
hears(
  'what a compressor that has been finished has written, and a zero',
  text(join(finished, fromHex('00')), compressed),
  heardText(words),
);
hears(
  'two streams that have been finished',
  text(join(finished, finished, fromHex('00')), compressed),
  heardText(words + words),
);
hears(
  'two streams that have been finished, where the context is taken over',
  text(join(finished, finished, fromHex('00')), compressed),
  heardText(words + words),
  {
    endpoint: 'takeover',
  },
);
hears(
  '200 empty blocks',
  text(join(...Array.from({ length: 200 }, () => fromHex('0000 00ff ff')), '\0'), compressed),
  heardText(''),
);

for (const [name, payload] of [
  ['a reserved kind of block', '07'],
  ['a reserved kind of block behind a right one', `${'f248 0500 0000 ffff'} 06`],
  ['a stored block whose lengths do not fit', '0005 0000 0048 656c 6c6f'],
  ['a code that there is not', 'ffff ffff'],
  ['bytes at random', '9c7d a2e1 03ff 1188'],
] as const) {
  fails(`compressed data with ${name}`, text(fromHex(payload), compressed), 1007);
  fails(`compressed data with ${name}, binary`, binary(fromHex(payload), compressed), 1007);
  fails(`compressed data with ${name}, where the context is taken over`, text(fromHex(payload), compressed), 1007, {
    endpoint: 'takeover',
  });
  fails(
    `compressed data with ${name}, one byte in a frame`,
    fragments(
      opcode.text,
      [...fromHex(payload)].map((byte) => Uint8Array.of(byte)),
      compressed,
    ),
    1007,
  );
}
fails(
  'compressed data after ones that were right',
  [text(fromHex(hello), compressed), text(fromHex('07'), compressed)],
  1007,
  {
    before: [heardText('Hello')],
  },
);
hears(
  'compressed data with a fault, of a server',
  text(fromHex('07'), { ...compressed, key: undefined }),
  failed(1007),
  {
    peer: 'server',
  },
);
const long = deflated(words.repeat(3), { level: 9 });
for (const missing of [2, 5, 20])
  fails(
    `compressed data of which the last ${missing} bytes are missing`,
    text(long.subarray(0, long.length - missing), compressed),
    1007,
  );
fails('a compressed message of no bytes, which has not even a block', text('', compressed), 1007);
fails('a compressed message of empty frames', fragments(opcode.binary, ['', '', ''], compressed), 1007);
fails('a compressed message of no bytes, where the context is taken over', text('', compressed), 1007, {
  endpoint: 'takeover',
});
fails(
  'the four bytes that are to be taken off, which are there twice',
  text(fromHex(`${hello} 00 00ff ff`), compressed),
  1007,
);
fails('a stored block of which a part is missing', text(fromHex('0009 00f6 ff48 656c 6c6f'), compressed), 1007);
hears('text that is not compressed, with RSV1', text('Hello', compressed), failed(1007));
