// Messages in several frames, and control frames between them.

import {
  binary,
  close,
  continuation,
  fragments,
  heardBinary,
  heardClose,
  heardPing,
  heardPong,
  heardText,
  opcode,
  ping,
  pong,
  Subject,
  text,
} from './build.js';

const subject = new Subject('RFC 6455 §5.4');
export const { cases } = subject;
const { hears, fails, failsAt } = subject;

hears('a text in two frames', fragments(opcode.text, ['Hel', 'lo']), heardText('Hello'));
hears('a binary message in two frames', fragments(opcode.binary, ['Hel', 'lo']), heardBinary('Hello'));
hears('a text in three frames', fragments(opcode.text, ['a', 'b', 'c']), heardText('abc'));
hears('a text, one byte in a frame', fragments(opcode.text, [...'Hello, world']), heardText('Hello, world'));
hears(
  'a text in 300 frames',
  fragments(
    opcode.text,
    Array.from({ length: 300 }, () => 'ab'),
  ),
  heardText('ab'.repeat(300)),
);
hears('a text whose first frame is empty', fragments(opcode.text, ['', 'Hello']), heardText('Hello'));
hears('a text whose last frame is empty', fragments(opcode.text, ['Hello', '']), heardText('Hello'));
hears('a text with an empty frame in the middle', fragments(opcode.text, ['Hel', '', 'lo']), heardText('Hello'));
hears('a text of empty frames', fragments(opcode.text, ['', '', '']), heardText(''));
hears('a binary message of empty frames', fragments(opcode.binary, ['', '']), heardBinary(''));
hears(
  'a text of 200 empty frames',
  fragments(
    opcode.text,
    Array.from({ length: 200 }, () => ''),
  ),
  heardText(''),
);
hears(
  'frames of all three forms of length',
  fragments(opcode.binary, ['a', 'b'.repeat(200), 'c'.repeat(66_000), 'd'.repeat(126), '']),
  heardBinary(`a${'b'.repeat(200)}${'c'.repeat(66_000)}${'d'.repeat(126)}`),
);
hears(
  'two messages in several frames',
  [fragments(opcode.text, ['a', 'b']), fragments(opcode.binary, ['c', 'd'])],
  [heardText('ab'), heardBinary('cd')],
);
hears(
  'a message in one frame after one in several',
  [fragments(opcode.text, ['a', 'b']), binary('c')],
  [heardText('ab'), heardBinary('c')],
);
hears(
  'a text in two frames of a server',
  [text('Hel', { fin: false, key: undefined }), continuation('lo', { key: undefined })],
  heardText('Hello'),
  { peer: 'server' },
);
hears('a message whose last frame is missing', fragments(opcode.text, ['a', 'b', 'c']).subarray(0, 14), [], {
  left: 'message',
});

// Control frames between fragments.
hears(
  'a ping between the frames of a text',
  [text('Hel', { fin: false }), ping('now'), continuation('lo')],
  [heardPing('now'), heardText('Hello')],
);
hears(
  'a pong between the frames of a text',
  [text('Hel', { fin: false }), pong('now'), continuation('lo')],
  [heardPong('now'), heardText('Hello')],
);
hears(
  'pings between all frames, and empty ones',
  [
    binary('a', { fin: false }),
    ping(),
    continuation('b', { fin: false }),
    ping('1'),
    ping('2'),
    continuation('', { fin: false }),
    pong(),
    continuation('c'),
  ],
  [heardPing(), heardPing('1'), heardPing('2'), heardPong(), heardBinary('abc')],
);
hears(
  'a ping between the frames of a character',
  [text(Uint8Array.of(0xe2), { fin: false }), ping(Uint8Array.of(0xff)), continuation(Uint8Array.of(0x82, 0xac))],
  [heardPing(Uint8Array.of(0xff)), heardText('€')],
);
hears(
  'a Close frame between the frames of a text',
  [text('Hel', { fin: false }), close(1000), continuation('lo')],
  heardClose(1000),
);
hears(
  'a ping before a message in several frames and after it',
  [ping('1'), fragments(opcode.text, ['a', 'b']), ping('2')],
  [heardPing('1'), heardText('ab'), heardPing('2')],
);

// Frames that do not fit.
for (const [name, code] of [
  ['text', opcode.text],
  ['binary', opcode.binary],
] as const) {
  const started = (payload: string): Uint8Array => fragments(code, [payload, '']).subarray(0, 6 + payload.length);
  fails(`a ${name} message in one of the other kind`, [started('a'), text('b')], 1002);
  fails(`a ${name} message before the end of a binary one`, [started('a'), binary('b')], 1002);
  fails(
    `a ${name} message that does not end before a ping and another text`,
    [started('a'), ping('p'), text('b')],
    1002,
    {
      before: [heardPing('p')],
    },
  );
  failsAt(`a text in a ${name} message`, Uint8Array.from([...started('a'), 0x81]), 1002);
  fails(`an empty ${name} message before the end of another`, [started(''), fragments(code, ['', ''])], 1002);
}
fails('a continuation of nothing', continuation('a'), 1002);
fails('a continuation of nothing that is not the last one', continuation('a', { fin: false }), 1002);
fails('an empty continuation of nothing', continuation(''), 1002);
failsAt('a continuation of nothing', Uint8Array.of(0x80), 1002);
failsAt('a continuation of nothing that is not the last one', Uint8Array.of(0x00), 1002);
fails('a continuation of a message that was one frame', [text('a'), continuation('b')], 1002, {
  before: [heardText('a')],
});
fails('a continuation of a message that has ended', [fragments(opcode.text, ['a', 'b']), continuation('c')], 1002, {
  before: [heardText('ab')],
});
fails('a continuation of a ping', [ping('a'), continuation('b')], 1002, { before: [heardPing('a')] });
fails('a continuation of nothing, of a server', continuation('a', { key: undefined }), 1002, { peer: 'server' });
