// Headers, types and lengths of records.

import {
  alert,
  alertNumbers,
  all,
  content,
  handshake,
  keyUpdateMessage,
  message,
  raw,
  Subject,
  sealed,
  sealedInner,
  times,
} from '../build.js';
import { contentType, header, join, plainRecord, suiteNames } from '../wire.js';

const subject = new Subject('RFC 8446 §5.1');
export const { cases } = subject;
const { takes, refuses } = subject;
const most = 16_384;
const long = 'x'.repeat(most);

for (const suite of suiteNames) {
  takes(`one record, ${suite}`, [content('hello')], 'hello', { suite });
  takes(`three records, ${suite}`, [content('one'), content('two'), content('three')], 'onetwothree', { suite });
  takes(`the largest record, ${suite}`, [content(long), content('end')], `${long}end`, { suite });
}
takes('nothing', [], '');
takes('one byte', [content('x')], 'x');
takes(
  'as many records as bytes',
  [...'many records'].map((letter) => content(letter)),
  'many records',
);
takes(
  'content of all bytes',
  [content(Uint8Array.from({ length: 256 }, (_, i) => i))],
  Uint8Array.from({ length: 256 }, (_, i) => i),
);
takes('content of zeros', [content('\0\0\0')], '\0\0\0');
takes('content that ends in zeros', [content('a\0\0', 3), content('b')], 'a\0\0b');
takes('one record to a client', [content('hello')], 'hello', { peer: 'server' });

takes('an empty record, then content', [content(''), content('x')], 'x');
takes('an empty record', [content('x'), content('')], 'x');
takes('an empty record with padding', [content('', 100), content('x')], 'x');
takes('32 empty records in a row', [times(32, content('')), content('x')], 'x');
takes('32 empty records, content, and 32 again', [times(32, content('')), content('x'), times(32, content(''))], 'x');
refuses('33 empty records in a row', [times(33, content(''))], 'unexpected_message');
refuses('33 empty records in a row, all padding', [times(33, content('', 50))], 'unexpected_message');
refuses('33 empty records to a client', [times(33, content(''))], 'unexpected_message', { peer: 'server' });

subject.section('RFC 8446 §5');
refuses(
  'change_cipher_spec after the handshake',
  [raw(plainRecord(contentType.changeCipherSpec, '\x01'))],
  'unexpected_message',
);
refuses(
  'change_cipher_spec with another value',
  [raw(plainRecord(contentType.changeCipherSpec, '\x02'))],
  'unexpected_message',
);
refuses('an empty change_cipher_spec', [raw(plainRecord(contentType.changeCipherSpec, ''))], 'unexpected_message');
refuses(
  'change_cipher_spec to a client',
  [raw(plainRecord(contentType.changeCipherSpec, '\x01'))],
  'unexpected_message',
  { peer: 'server' },
);
refuses(
  'change_cipher_spec in an encrypted record',
  [sealed(contentType.changeCipherSpec, '\x01')],
  'unexpected_message',
);
for (const type of [1, 19, 25, 128, 255]) {
  refuses(`an encrypted record of type ${type}`, [sealed(type, 'abc')], 'unexpected_message');
  refuses(`a plain record of type ${type}`, [raw(plainRecord(type, 'abc'))], 'unexpected_message');
}
refuses('an encrypted heartbeat', [sealed(contentType.heartbeat, '\x01\0\x03abc')], 'unexpected_message');
refuses('a plain heartbeat', [raw(plainRecord(contentType.heartbeat, '\x01\0\x03abc'))], 'unexpected_message');
refuses('a plain record of type 0', [raw(plainRecord(0, 'abc'))], 'unexpected_message');
refuses('plain text of HTTP', [raw('GET / HTTP/1.1\r\nhost: a\r\n\r\n')], 'unexpected_message');
refuses('zeros', [raw(new Uint8Array(100))], 'unexpected_message');
refuses('a ClientHello of SSL 2', [raw(Uint8Array.of(0x80, 46, 1, 3, 1), new Uint8Array(40))], 'unexpected_message');
refuses(
  'a plain ClientHello',
  [raw(plainRecord(contentType.handshake, message(1, new Uint8Array(60))))],
  'unexpected_message',
);
refuses('a plain KeyUpdate', [raw(plainRecord(contentType.handshake, keyUpdateMessage(0)))], 'unexpected_message');
refuses('an empty plain handshake record', [raw(plainRecord(contentType.handshake, ''))], 'unexpected_message');
refuses('a plain close_notify', [raw(plainRecord(contentType.alert, Uint8Array.of(1, 0)))], 'unexpected_message');
refuses('a plain fatal alert', [raw(plainRecord(contentType.alert, Uint8Array.of(2, 40)))], 'unexpected_message');
refuses(
  'a plain close_notify to a client',
  [raw(plainRecord(contentType.alert, Uint8Array.of(1, 0)))],
  'unexpected_message',
  { peer: 'server' },
);

subject.section('RFC 8446 §5.2');
for (const version of [0x0300, 0x0301, 0x0302, 0x0304, 0x7f1c, 0x0203, 0x0000, 0xffff]) {
  const name = version.toString(16).padStart(4, '0');
  refuses(
    `a record whose header has the version ${name}`,
    [sealed(contentType.content, 'x', 0, { version })],
    'decode_error',
  );
}
refuses('content that is not encrypted', [raw(plainRecord(contentType.content, 'x'.repeat(100)))], 'bad_record_mac');
refuses(
  'an alert in a plain record of type application_data',
  [raw(plainRecord(contentType.content, Uint8Array.of(1, 0)))],
  'bad_record_mac',
);
for (const length of [0, 1, 15, 16, 17])
  refuses(
    `a record of ${length} bytes that are no ciphertext`,
    [raw(plainRecord(contentType.content, new Uint8Array(length)))],
    'bad_record_mac',
  );
refuses('a header that claims 16,641 bytes', [raw(header({ length: most + 257 }))], 'record_overflow');
refuses('a header that claims 65,535 bytes', [raw(header({ length: 0xffff }))], 'record_overflow');
refuses('a header that claims 65,535 bytes, to a client', [raw(header({ length: 0xffff }))], 'record_overflow', {
  peer: 'server',
});
refuses(
  'a bulky record of 16,640 bytes that are no ciphertext',
  [raw(plainRecord(contentType.content, new Uint8Array(most + 256)))],
  'record_overflow',
);
refuses('a bulky record of 16,385 bytes of content', [content(`${long}x`)], 'record_overflow');
refuses('a bulky record of 16,623 bytes of content', [content('x'.repeat(most + 239))], 'record_overflow');
refuses('a bulky record of 16,385 bytes of content, to a client', [content(`${long}x`)], 'record_overflow', {
  peer: 'server',
});
refuses(
  'bulky: an alert with so much padding that it is too long',
  [sealed(contentType.alert, Uint8Array.of(1, 0), most - 1)],
  'record_overflow',
);

subject.section('RFC 8446 §5.4');
for (const padding of [1, 2, 15, 16, 255, 256])
  takes(`padding of ${padding} zeros`, [content('padded', padding), content('not')], 'paddednot');
takes('bulky: content and padding that fill a record', [content('x', most - 1), content('y')], 'xy');
takes('bulky: padding that fills a record', [content('', most), content('y')], 'y');
takes('16,383 bytes of content and a byte of padding', [content(long.slice(1), 1), content('y')], `${long.slice(1)}y`);
refuses('bulky: 16,384 bytes of content and a byte of padding', [content(long, 1)], 'record_overflow');
refuses('bulky: one zero more than fits', [content('x', most)], 'record_overflow');
for (const length of [0, 1, 2, 100])
  refuses(`${length} zeros, and no type`, [sealedInner(new Uint8Array(length))], 'unexpected_message');
refuses(
  'zeros, and no type, behind content whose last byte is a type',
  [content('x\x17'), sealedInner(new Uint8Array(9))],
  'unexpected_message',
  { hears: 'beforex\x17' },
);
refuses('bulky: zeros that fill a record, and no type', [sealedInner(new Uint8Array(most + 1))], 'unexpected_message');
refuses('zeros and no type, to a client', [sealedInner(new Uint8Array(10))], 'unexpected_message', { peer: 'server' });
takes('KeyUpdate of nothing, as content', [content(keyUpdateMessage(1))], keyUpdateMessage(1));
takes('alert, as content', [content(Uint8Array.of(2, 40))], Uint8Array.of(2, 40));

subject.section('RFC 8446 §5.1');
for (const padding of [0, 1, 100]) {
  refuses(`an empty handshake record with ${padding} bytes of padding`, [handshake('', padding)], 'unexpected_message');
  refuses(
    `an empty alert record with ${padding} bytes of padding`,
    [sealed(contentType.alert, '', padding)],
    'unexpected_message',
  );
}
subject.add(
  'nothing is read behind a refused record',
  [sealed(contentType.heartbeat, ''), content('a'), alert(0), content('b')],
  '',
  { alert: alertNumbers.unexpected_message },
);
subject.add(
  'nothing is read behind a refused header',
  [raw(header({ type: 99 })), raw(join('garbage', new Uint8Array(300)))],
  '',
  { alert: alertNumbers.unexpected_message },
);
subject.add('a second violation is not answered', [all(sealed(99, 'x'), raw(plainRecord(20, '\x01')))], '', {
  alert: alertNumbers.unexpected_message,
});
