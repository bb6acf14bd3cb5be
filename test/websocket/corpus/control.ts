// Ping, Pong and Close frames.

import {
  close,
  closing,
  failed,
  frame,
  fromHex,
  heardClose,
  heardPing,
  heardPong,
  heardText,
  join,
  opcode,
  ping,
  pong,
  Subject,
  text,
  unread,
} from './build.js';

const subject = new Subject('RFC 6455 §5.5');
export const { cases } = subject;
const { hears, fails, failsAt } = subject;

for (const [name, code] of [
  ['ping', opcode.ping],
  ['pong', opcode.pong],
  ['Close frame', opcode.close],
] as const) {
  const payload = code === opcode.close ? closing(1000, 'x'.repeat(124)) : 'x'.repeat(126);
  fails(`a ${name} of 126 bytes`, frame(code, payload), 1002);
  fails(`a ${name} with a length of 8 bytes`, frame(code, payload, { lengthBytes: 8 }), 1002);
  fails(`a short ${name} with a length of 2 bytes`, frame(code, closing(1000), { lengthBytes: 2 }), 1002);
  fails(`a ${name} of 70,000 bytes`, frame(code, join(closing(1000), 'x'.repeat(69_998))), 1002);
  failsAt(`a ${name} of more than 125 bytes`, Uint8Array.of(0x80 | code, 0xfe), 1002);
  failsAt(`a ${name} with a length of 8 bytes`, Uint8Array.of(0x80 | code, 0xff), 1002);
  fails(`a ${name} in fragments`, [frame(code, closing(1000), { fin: false }), frame(opcode.continuation, '')], 1002);
  failsAt(`a ${name} in fragments`, Uint8Array.of(code), 1002);
  fails(`a ${name} in fragments, in a message`, [text('a', { fin: false }), frame(code, '', { fin: false })], 1002);
}

subject.section('RFC 6455 §5.5.2');
for (const length of [0, 1, 2, 3, 4, 5, 124, 125]) {
  const payload = Uint8Array.from({ length }, (_, i) => 255 - i);
  hears(`a ping of ${length} bytes`, ping(payload), heardPing(payload));
}
hears(
  'ten pings',
  Array.from({ length: 10 }, (_, i) => ping(`${i}`)),
  Array.from({ length: 10 }, (_, i) => heardPing(`${i}`)),
);
hears('a ping with bytes that are not UTF-8', ping(fromHex('fffe8000')), heardPing(fromHex('fffe8000')));
hears('a ping of a server', ping('a', { key: undefined }), heardPing('a'), { peer: 'server' });
hears('a ping where messages may have less than its payload', ping('x'.repeat(125)), heardPing('x'.repeat(125)), {
  endpoint: 'small',
});
hears('a ping, a text and a ping', [ping('a'), text('b'), ping('c')], [heardPing('a'), heardText('b'), heardPing('c')]);
subject.section('RFC 6455 §5.5.3');
for (const length of [0, 1, 125]) {
  const payload = Uint8Array.from({ length }, (_, i) => i);
  hears(`a pong of ${length} bytes that no ping has asked for`, pong(payload), heardPong(payload));
}
hears(
  'ten pongs and a ping',
  [...Array.from({ length: 10 }, () => pong('p')), ping('q')],
  [...Array.from({ length: 10 }, () => heardPong('p')), heardPing('q')],
);

subject.section('RFC 6455 §5.5.1');
hears('a Close frame without payload', [close(), unread], heardClose());
fails('a Close frame with one byte', frame(opcode.close, 'x'), 1002);
hears('a Close frame with a code', [close(1000), unread], heardClose(1000));
hears('a Close frame with a reason', [close(1000, 'bye'), unread], heardClose(1000, 'bye'));
hears(
  'a Close frame with a reason of 123 bytes',
  [close(1001, 'r'.repeat(123)), unread],
  heardClose(1001, 'r'.repeat(123)),
);
hears('a Close frame with a reason that is not ASCII', [close(1000, 'tschüß €'), unread], heardClose(1000, 'tschüß €'));
hears(
  'a Close frame with a reason of 41 characters of three bytes',
  close(1000, '€'.repeat(41)),
  heardClose(1000, '€'.repeat(41)),
);
hears('a Close frame after a message', [text('a'), close(1000), unread], [heardText('a'), heardClose(1000)]);
hears('two Close frames', [close(1000, 'first'), close(1001, 'second')], heardClose(1000, 'first'));
hears('a ping after a Close frame', [close(1000), ping('a')], heardClose(1000));
hears('a fault after a Close frame', [close(1000), frame(3)], heardClose(1000));
hears('bytes at random after a Close frame', [close(1000), fromHex('ffffffffffff')], heardClose(1000));
hears('a Close frame of a server', close(1000, 'bye', { key: undefined }), heardClose(1000, 'bye'), { peer: 'server' });
hears(
  'a Close frame where messages may have less than its reason',
  close(1000, 'r'.repeat(123)),
  heardClose(1000, 'r'.repeat(123)),
  {
    endpoint: 'small',
  },
);
hears('a Close frame of which a part has come', close(1000, 'bye').subarray(0, 8), [], { left: 'frame' });

subject.section('RFC 6455 §5.5.1');
for (const [name, reason] of [
  ['a stray continuation byte', '80'],
  ['a cut character', 'e282'],
  ['an overlong form', 'c080'],
  ['a surrogate', 'eda080'],
  ['a character beyond U+10FFFF', 'f4908080'],
  ['0xff', '61ff62'],
] as const)
  fails(`a Close frame whose reason has ${name}`, close(1000, fromHex(reason)), 1007);

subject.section('RFC 6455 §7.4.1');
for (const code of [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014]) {
  hears(`the code ${code}`, [close(code), unread], heardClose(code));
  hears(`the code ${code} with a reason`, [close(code, 'why'), unread], heardClose(code, 'why'));
}
for (const code of [1004, 1005, 1006, 1015]) fails(`the code ${code}, which may not be in a frame`, close(code), 1002);
fails('the code 1005 with a reason', close(1005, 'none'), 1002);
subject.section('RFC 6455 §7.4.2');
for (const code of [3000, 3001, 3999, 4000, 4001, 4999])
  hears(`the code ${code}`, [close(code), unread], heardClose(code));
for (const code of [0, 1, 100, 999, 1016, 1100, 2000, 2999, 5000, 10_000, 65_535])
  fails(`the code ${code}, which may not be used`, close(code), 1002);
fails('a code that may not be used, and a reason that is not UTF-8', close(999, fromHex('ff')), 1002);
hears('a code that may not be used, of a server', close(999, '', { key: undefined }), failed(1002), { peer: 'server' });
