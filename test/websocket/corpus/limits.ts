// Messages that are larger than they may be are refused before they are held.

import {
  binary,
  close,
  compressed,
  continuation,
  deflated,
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

const subject = new Subject('RFC 6455 §10.4', { endpoint: 'small' });
export const { cases } = subject;
const { hears, fails, failsAt } = subject;

for (const length of [99, 100]) {
  const letters = 'x'.repeat(length);
  hears(`${length} bytes where 100 are allowed`, text(letters), heardText(letters));
  hears(
    `${length} bytes in fragments`,
    fragments(opcode.text, [letters.slice(0, 50), letters.slice(50)]),
    heardText(letters),
  );
  hears(`${length} bytes, each a fragment`, fragments(opcode.binary, [...letters]), heardBinary(letters));
}
for (const [name, code] of [
  ['text', opcode.text],
  ['binary', opcode.binary],
] as const) {
  for (const length of [101, 125, 126, 65_535, 65_536])
    fails(`a ${name} message of ${length} bytes where 100 are allowed`, frame(code, 'x'.repeat(length)), 1009);
  fails(`a ${name} message of 101 bytes in two fragments`, fragments(code, ['x'.repeat(100), 'x']), 1009);
  fails(`a ${name} message of 101 bytes, each a fragment`, fragments(code, [...'x'.repeat(101)]), 1009);
  failsAt(`a ${name} message of 101 bytes`, frame(code, '', { length: 101 }).subarray(0, 2), 1009);
  failsAt(`a ${name} message of 300 bytes`, frame(code, '', { length: 300 }).subarray(0, 3), 1009);
  failsAt(`a ${name} message of 2^62 bytes`, frame(code, '', { length: 2n ** 62n }).subarray(0, 3), 1009);
  failsAt(`a ${name} message of 2^53 bytes`, frame(code, '', { length: 2n ** 53n }).subarray(0, 4), 1009);
  failsAt(`a ${name} message of 2^63 - 1 bytes`, frame(code, '', { length: 2n ** 63n - 1n }).subarray(0, 3), 1009);
  failsAt(
    `a ${name} message that becomes too large with a fragment`,
    join(frame(code, 'x'.repeat(60), { fin: false }), frame(opcode.continuation, '', { length: 41 }).subarray(0, 2)),
    1009,
  );
}
hears(
  '100 bytes, then 100 bytes: the limit is for each message',
  [text('x'.repeat(100)), text('y'.repeat(100))],
  [heardText('x'.repeat(100)), heardText('y'.repeat(100))],
);
hears(
  'empty fragments of a message that is as large as may be',
  fragments(opcode.text, ['x'.repeat(100), '', '']),
  heardText('x'.repeat(100)),
);
hears(
  'a ping of more bytes than messages may have',
  [text('a', { fin: false }), ping('x'.repeat(125)), continuation('b')],
  [heardPing('x'.repeat(125)), heardText('ab')],
);
hears('a Close frame after half a message', [text('x'.repeat(90), { fin: false }), close(1000)], heardClose(1000));
fails('a fault counts before the size', text('x'.repeat(101), { key: undefined }), 1002);
fails('a length that is not the shortest counts before the size', text('x'.repeat(110), { lengthBytes: 2 }), 1002);
fails('characters are counted as bytes', text('€'.repeat(34)), 1009);
hears('characters as bytes, as many as may be', text(`${'€'.repeat(33)}x`), heardText(`${'€'.repeat(33)}x`));

subject.section('RFC 7692 §8');
const small = { endpoint: 'smallDeflated' } as const;
hears('100 bytes, compressed', text(deflated('x'.repeat(100)), compressed), heardText('x'.repeat(100)), small);
fails('101 bytes, compressed', text(deflated('x'.repeat(101)), compressed), 1009, small);
fails('101 bytes, compressed, binary', binary(deflated('x'.repeat(101)), compressed), 1009, small);
fails('10,000 bytes, compressed to less than 100', text(deflated('x'.repeat(10_000)), compressed), 1009, small);
fails(
  '10,000 bytes, compressed, in fragments',
  fragments(
    opcode.text,
    [...deflated('x'.repeat(10_000))].map((byte) => Uint8Array.of(byte)),
    compressed,
  ),
  1009,
  small,
);
fails('a megabyte, compressed to 1,000 bytes', binary(deflated(new Uint8Array(1_000_000)), compressed), 1009, {
  endpoint: 'deflated',
});
fails('16 MiB, compressed to 16 KiB', binary(deflated(new Uint8Array(16 * 1024 * 1024)), compressed), 1009, {
  endpoint: 'deflated',
});
fails(
  '16 MiB, compressed, of a socket whose context is taken over',
  binary(deflated(new Uint8Array(16 * 1024 * 1024)), compressed),
  1009,
  {
    endpoint: 'takeover',
  },
);
const noise = Uint8Array.from({ length: 100 }, (_, i) => (i * 7919 * (i + 3)) & 255);
const stored = deflated(noise, { level: 0 });
hears(
  `100 bytes that take ${stored.length} when they are only stored`,
  binary(stored, compressed),
  heardBinary(noise),
  small,
);
fails(
  'stored blocks without end',
  text(join(...Array.from({ length: 100 }, () => fromHex('0000 00ff ff'))), compressed),
  1009,
  small,
);
failsAt('a compressed message of 2^20 bytes', text('', { ...compressed, length: 2 ** 20 }).subarray(0, 9), 1009, small);
hears('a message of 100 bytes that is not compressed', text('x'.repeat(100)), heardText('x'.repeat(100)), small);
fails('a message of 101 bytes that is not compressed', text('x'.repeat(101)), 1009, small);
