// Texts: what is UTF-8 and what is not, as a whole, in fragments, and with bytes still to come.

import {
  binary,
  compressed,
  continuation,
  deflated,
  fragments,
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

const subject = new Subject('RFC 6455 §5.6');
export const { cases } = subject;
const { hears, fails, failsAt } = subject;

const valid: [name: string, content: string][] = [
  ['ASCII', 'Hello, world'],
  ['a zero', '\0'],
  ['U+007F', '\x7f'],
  ['U+0080, the first of two bytes', '\x80'],
  ['U+07FF, the last of two bytes', '\u07ff'],
  ['U+0800, the first of three bytes', '\u0800'],
  ['U+D7FF, the last before the surrogates', '\ud7ff'],
  ['U+E000, the first behind the surrogates', '\ue000'],
  ['U+FFFD', '\ufffd'],
  ['U+FFFE, a noncharacter', '\ufffe'],
  ['U+FFFF, the last of three bytes', '\uffff'],
  ['U+FDD0, a noncharacter', '\ufdd0'],
  ['U+10000, the first of four bytes', '\u{10000}'],
  ['U+1FFFF, a noncharacter', '\u{1ffff}'],
  ['U+10FFFF, the last', '\u{10ffff}'],
  ['a byte order mark', '\ufeffHello'],
  ['a byte order mark alone', '\ufeff'],
  ['a byte order mark in the middle', 'a\ufeffb'],
  ['Greek', 'κόσμε'],
  ['umlauts and a euro', 'Hällö-€uro'],
  ['an emoji', '😀'],
  ['an emoji of several code points', '👩‍👩‍👧‍👦'],
  ['a combining accent', 'e\u0301'],
  ['all lengths of code points', 'aä€😀a'],
  ['line ends and control characters', '\r\n\t\x01\x1b\x7f'],
  ['a line separator', 'a\u2028b'],
];
for (const [name, content] of valid) {
  hears(`a text with ${name}`, text(content), heardText(content));
  // Longer ones are checked in another way.
  const long = `${'x'.repeat(150)}${content}${'y'.repeat(150)}`;
  hears(`a long text with ${name}`, text(long), heardText(long));
  const bytes = Buffer.from(content);
  if (bytes.length > 1)
    hears(
      `a text with ${name}, one byte in a frame`,
      fragments(
        opcode.text,
        [...bytes].map((byte) => Uint8Array.of(byte)),
      ),
      heardText(content),
    );
}
const much = 'Hällö €uro 😀 '.repeat(2000);
hears('36,000 bytes of text that is not ASCII', text(much), heardText(much));
for (const cut of [1, 2, 3])
  hears(
    `long fragments that end after ${cut} bytes of a character`,
    fragments(opcode.text, [
      join('x'.repeat(200), Buffer.from('😀').subarray(0, cut)),
      join(Buffer.from('😀').subarray(cut), 'y'.repeat(200)),
    ]),
    heardText(`${'x'.repeat(200)}😀${'y'.repeat(200)}`),
  );
hears('a binary message of bytes that are not UTF-8', binary(fromHex('fffec080')), heardBinary(fromHex('fffec080')));
hears(
  'a ping between the bytes of a character',
  [text(fromHex('f09f'), { fin: false }), ping(), continuation(fromHex('9880'))],
  [heardPing(), heardText('😀')],
);

subject.section('RFC 6455 §8.1');
/** Bytes that are not UTF-8, and after how many of them that is certain. */
const invalid: [name: string, hex: string, certain: number][] = [
  ['a continuation byte, 80', '80', 1],
  ['a continuation byte, bf', 'bf', 1],
  ['two continuation bytes', '80bf', 1],
  ['an overlong form of two bytes: c0 80', 'c080', 1],
  ['an overlong form of two bytes: c0 af', 'c0af', 1],
  ['an overlong form of two bytes: c1 bf', 'c1bf', 1],
  ['an overlong form of three bytes: e0 80 80', 'e08080', 2],
  ['an overlong form of three bytes: e0 80 af', 'e080af', 2],
  ['an overlong form of three bytes: e0 9f bf', 'e09fbf', 2],
  ['an overlong form of four bytes: f0 80 80 80', 'f0808080', 2],
  ['an overlong form of four bytes: f0 80 80 af', 'f08080af', 2],
  ['an overlong form of four bytes: f0 8f bf bf', 'f08fbfbf', 2],
  ['the first surrogate', 'eda080', 2],
  ['the last high surrogate', 'edafbf', 2],
  ['the first low surrogate', 'edb080', 2],
  ['the last surrogate', 'edbfbf', 2],
  ['a pair of surrogates', 'eda080edb080', 2],
  ['U+110000', 'f4908080', 2],
  ['a character beyond U+10FFFF: f5', 'f5808080', 1],
  ['a character beyond U+10FFFF: f7', 'f7bfbfbf', 1],
  ['a form of five bytes', 'f888808080', 1],
  ['a form of six bytes', 'fc8480808080', 1],
  ['fe', 'fe', 1],
  ['ff', 'ff', 1],
  ['two bytes, the second one ASCII', 'c241', 2],
  ['two bytes, the second one a first', 'c2c2', 2],
  ['three bytes, the second one ASCII', 'e24141', 2],
  ['three bytes, the third one ASCII', 'e28241', 3],
  ['three bytes, the third one a first', 'e282e2', 3],
  ['four bytes, the second one ASCII', 'f0414141', 2],
  ['four bytes, the third one ASCII', 'f09f4141', 3],
  ['four bytes, the fourth one ASCII', 'f09f9841', 4],
  ['Latin-1', '48e46c6c', 3],
  ['UTF-16', 'fffe48004900', 1],
];
for (const [name, hex, certain] of invalid) {
  const bytes = fromHex(hex);
  fails(`a text of ${name}`, text(bytes), 1007);
  fails(`a text with ${name} in the middle`, text(join('Hello ', bytes, ' world')), 1007);
  fails(`a long text with ${name} in the middle`, text(join('x'.repeat(200), bytes, 'y'.repeat(200))), 1007);
  failsAt(`a text of ${name}`, frame(opcode.text, join('ab', bytes.subarray(0, certain)), { length: 100 }), 1007);
  fails(
    `a text of ${name}, one byte in a frame`,
    [...bytes].map((byte, i) =>
      frame(i === 0 ? opcode.text : opcode.continuation, Uint8Array.of(byte), { fin: false }),
    ),
    1007,
  );
}
for (const [name, hex] of [
  ['the first of two bytes', 'c2'],
  ['the first of three bytes', 'e2'],
  ['two of three bytes', 'e282'],
  ['the first of four bytes', 'f0'],
  ['two of four bytes', 'f09f'],
  ['three of four bytes', 'f09f98'],
] as const) {
  const bytes = fromHex(hex);
  fails(`a text that ends with ${name}`, text(join('Hello', bytes)), 1007);
  fails(`a long text that ends with ${name}`, text(join('x'.repeat(200), bytes)), 1007);
  fails(`a text in fragments that ends with ${name}`, fragments(opcode.text, ['Hello', bytes]), 1007);
  fails(`a text whose empty last frame comes after ${name}`, fragments(opcode.text, [bytes, '']), 1007);
  fails(`a compressed text that ends with ${name}`, text(deflated(bytes), compressed), 1007, { endpoint: 'deflated' });
}
fails('a text after one that was right', [text('Hellö'), text(fromHex('ff'))], 1007, { before: [heardText('Hellö')] });
fails('a text of a server', text(fromHex('ff'), { key: undefined }), 1007, { peer: 'server' });
fails('a compressed text with an overlong form', text(deflated(fromHex('c080')), compressed), 1007, {
  endpoint: 'deflated',
});
hears('a compressed text that is not ASCII', text(deflated('Hällö-€uro 😀'), compressed), heardText('Hällö-€uro 😀'), {
  endpoint: 'deflated',
});
