// Headers of frames: lengths, masking, reserved bits, opcodes.

import {
  binary,
  continuation,
  failed,
  frame,
  fromHex,
  heardBinary,
  heardPing,
  heardText,
  join,
  opcode,
  ping,
  Subject,
  text,
} from './build.js';

const subject = new Subject('RFC 6455 §5.7');
export const { cases } = subject;
const { hears, fails, failsAt } = subject;

hears('the example: a masked text', fromHex('81 85 37fa213d 7f9f4d5158'), heardText('Hello'));
hears('the example: a text in two frames, of a server', fromHex('01 03 48656c 80 02 6c6f'), heardText('Hello'), {
  peer: 'server',
});
hears('the example: an unmasked text, of a server', fromHex('81 05 48656c6c6f'), heardText('Hello'), {
  peer: 'server',
});
hears('the example: a masked pong', fromHex('8a 85 37fa213d 7f9f4d5158'), { pong: '48656c6c6f' });
hears('the example: a ping of a server', fromHex('89 05 48656c6c6f'), { ping: '48656c6c6f' }, { peer: 'server' });
hears(
  'the example: 256 bytes of a server',
  join(fromHex('82 7e 0100'), new Uint8Array(256)),
  heardBinary(new Uint8Array(256)),
  { peer: 'server' },
);
hears(
  'the example: 64 KiB of a server',
  join(fromHex('82 7f 0000000000010000'), new Uint8Array(65_536)),
  heardBinary(new Uint8Array(65_536)),
  { peer: 'server' },
);

subject.section('RFC 6455 §5.2');
for (const length of [0, 1, 2, 3, 4, 5, 15, 16, 17, 124, 125, 126, 127, 128, 129, 255, 256, 1000]) {
  const letters = 'abcdefghij'.repeat(100).slice(0, length);
  hears(`a text of ${length} bytes`, text(letters), heardText(letters));
  hears(`a binary message of ${length} bytes`, binary(letters), heardBinary(letters));
}
for (const length of [65_534, 65_535, 65_536, 65_537, 70_000, 131_072]) {
  const letters = 'abcdefghij'.repeat(14_000).slice(0, length);
  hears(`a text of ${length} bytes`, text(letters), heardText(letters));
  hears(`a binary message of ${length} bytes`, binary(letters), heardBinary(letters));
  hears(`a binary message of ${length} bytes, of a server`, binary(letters, { key: undefined }), heardBinary(letters), {
    peer: 'server',
  });
}
hears('every byte in a binary message', binary(Uint8Array.from({ length: 256 }, (_, i) => i)), [
  heardBinary(Uint8Array.from({ length: 256 }, (_, i) => i)),
]);
hears(
  'three messages, one after the other',
  [text('one'), binary('two'), text('three')],
  [heardText('one'), heardBinary('two'), heardText('three')],
);
hears('nothing', new Uint8Array(0), []);

for (const length of [0, 1, 125]) {
  const letters = 'x'.repeat(length);
  fails(`a length of ${length} in two bytes`, text(letters, { lengthBytes: 2 }), 1002);
  fails(`a length of ${length} in two bytes, binary`, binary(letters, { lengthBytes: 2 }), 1002);
  fails(`a length of ${length} in eight bytes`, text(letters, { lengthBytes: 8 }), 1002);
  fails(
    `a length of ${length} in eight bytes, of a continuation`,
    [text('a', { fin: false }), continuation(letters, { lengthBytes: 8 })],
    1002,
  );
}
for (const length of [126, 1000, 65_535])
  fails(`a length of ${length} in eight bytes`, text('x'.repeat(length), { lengthBytes: 8 }), 1002);
failsAt('a length of 125 in two bytes', text('', { lengthBytes: 2, length: 125 }).subarray(0, 4), 1002);
failsAt('a length of less than 2^16 in eight bytes', fromHex('81 ff 000000000000'), 1002);
for (const [name, first] of [
  ['2^63', '80'],
  ['2^64 - 1', 'ff'],
])
  failsAt(`a length of ${name}`, fromHex(`82 ff ${first}`), 1002);
fails('a length of 2^63', binary('', { length: 2n ** 63n, lengthBytes: 8 }), 1002);

subject.section('RFC 6455 §5.3');
for (const [name, key] of [
  ['zero', '00000000'],
  ['one', '00000001'],
  ['one, in its first byte', '01000000'],
  ['all ones', 'ffffffff'],
  ['a negative number', '80000000'],
  ['bytes with high bits', '8899aabb'],
] as const) {
  const all = Uint8Array.from({ length: 61 }, (_, i) => i * 4);
  hears(`a masking key of ${name}`, binary(all, { key: fromHex(key) }), heardBinary(all));
  hears(`a masking key of ${name}, for a text`, text('Hellö €', { key: fromHex(key) }), heardText('Hellö €'));
}
hears(
  'another key for each frame',
  [
    text('abcdefg', { fin: false, key: fromHex('01020304') }),
    continuation('hijkl', { fin: false, key: fromHex('fffefdfc') }),
    continuation('mno', { key: fromHex('00000000') }),
  ],
  heardText('abcdefghijklmno'),
);
subject.section('RFC 6455 §5.1');
for (const [name, code] of Object.entries(opcode)) {
  if (code !== opcode.continuation) {
    fails(`a ${name} frame of a client without a mask`, frame(code, '', { key: undefined }), 1002);
    fails(`a ${name} frame of a server with a mask`, frame(code, ''), 1002, { peer: 'server' });
  }
}
fails(
  'a continuation of a client without a mask',
  [text('a', { fin: false }), continuation('b', { key: undefined })],
  1002,
);
fails('a long text of a client without a mask', text('x'.repeat(200), { key: undefined }), 1002);
failsAt('a text of a client without a mask', fromHex('81 05'), 1002);
failsAt('a text of a server with a mask', fromHex('81 85'), 1002, { peer: 'server' });
fails('a masked message between those of a server', [text('a', { key: undefined }), text('b')], 1002, {
  peer: 'server',
  before: [heardText('a')],
});

subject.section('RFC 6455 §5.2');
for (let reserved = 1; reserved < 8; reserved++) {
  const bits = [4, 2, 1]
    .filter((bit) => (reserved & bit) !== 0)
    .map((bit) => ({ 4: 'RSV1', 2: 'RSV2', 1: 'RSV3' })[bit]);
  const name = bits.join(' and ');
  fails(`${name} on a text`, text('Hello', { reserved }), 1002);
  fails(`${name} on a binary message`, binary('Hello', { reserved }), 1002);
  fails(`${name} on a ping`, [text('a'), ping('Hello', { reserved })], 1002, { before: [heardText('a')] });
  fails(`${name} on a Close frame`, frame(opcode.close, fromHex('03e8'), { reserved }), 1002);
  fails(`${name} on a continuation`, [text('a', { fin: false }), continuation('b', { reserved })], 1002);
  fails(`${name} on a text of a server`, text('Hello', { reserved, key: undefined }), 1002, { peer: 'server' });
  failsAt(`${name} on a text`, Uint8Array.of(0x81 | (reserved << 4)), 1002);
}
for (const code of [3, 4, 5, 6, 7, 11, 12, 13, 14, 15]) {
  const kind = code < 8 ? 'data' : 'control';
  fails(`the reserved ${kind} opcode ${code}`, frame(code), 1002);
  fails(`the reserved ${kind} opcode ${code}, with payload, after a message`, [text('a'), frame(code, 'Hello')], 1002, {
    before: [heardText('a')],
  });
  fails(`the reserved ${kind} opcode ${code}, in a message`, [text('a', { fin: false }), frame(code)], 1002);
  failsAt(`the reserved ${kind} opcode ${code}`, Uint8Array.of(0x80 | code), 1002);
}

// What has come in part is neither a message nor a fault.
for (const [name, count] of [
  ['a byte', 1],
  ['the length', 2],
  ['a part of the masking key', 4],
  ['the masking key', 6],
  ['a part of the payload', 9],
] as const)
  hears(`a frame of which only ${name} has come`, [text('a'), text('Hello').subarray(0, count)], heardText('a'), {
    left: 'frame',
  });
for (const count of [2, 3])
  hears(`a frame of which ${count - 2} of 2 bytes of length have come`, text('x'.repeat(300)).subarray(0, count), [], {
    left: 'frame',
  });
for (const count of [3, 9])
  hears(
    `a frame of which ${count - 2} of 8 bytes of length have come`,
    binary(new Uint8Array(65_536)).subarray(0, count),
    [],
    { left: 'frame' },
  );
hears('a ping of which a part has come', [ping('a'), ping('bcd').subarray(0, 7)], heardPing('a'), { left: 'frame' });
hears('a fault before what has come in part', [frame(3), text('Hello').subarray(0, 3)], failed(1002));
