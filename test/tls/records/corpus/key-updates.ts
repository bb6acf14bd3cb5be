// KeyUpdate, in both directions.

import {
  alert,
  alertNumbers,
  all,
  atSequence,
  changeKeys,
  closeNotify,
  content,
  handshake,
  inFragments,
  keyUpdate,
  keyUpdateMessage,
  message,
  Subject,
  ticket,
  times,
} from '../build.js';
import { join, suiteNames } from '../wire.js';

const subject = new Subject('RFC 8446 §4.6.3');
export const { cases } = subject;
const { takes, refuses } = subject;

for (const suite of suiteNames) {
  takes(`new keys, ${suite}`, [content('old'), keyUpdate(0), content('new')], 'oldnew', { suite });
  takes(`new keys of both sides, ${suite}`, [keyUpdate(1), content('new')], 'new', { suite, requests: 1 });
  takes(`new keys twice, ${suite}`, [keyUpdate(0), content('a'), keyUpdate(0), content('b')], 'ab', { suite });
  takes(`new keys of both sides twice, ${suite}`, [keyUpdate(1), content('a'), keyUpdate(1), content('b')], 'ab', {
    suite,
    requests: 2,
  });
  takes(`new keys of both sides for a client, ${suite}`, [content('a'), keyUpdate(1), content('b')], 'ab', {
    suite,
    peer: 'server',
    requests: 1,
  });
}
takes('new keys with padding', [keyUpdate(0, 100), content('x')], 'x');
takes('a request, and no content behind it', [content('x'), keyUpdate(1)], 'x', { requests: 1 });
takes('three requests in a row are answered as one', [times(3, keyUpdate(1)), content('x')], 'x', { requests: 3 });
takes('32 requests in a row', [times(32, keyUpdate(1)), content('x')], 'x', { requests: 32 });
takes(
  '32 KeyUpdates, content, and 32 again',
  [times(32, keyUpdate(0)), content('x'), times(32, keyUpdate(0)), content('y')],
  'xy',
);
refuses('33 KeyUpdates in a row', [times(33, keyUpdate(0))], 'unexpected_message');
refuses('33 requests in a row', [times(33, keyUpdate(1))], 'unexpected_message', { requests: 33 });
refuses('33 KeyUpdates to a client', [times(33, keyUpdate(0))], 'unexpected_message', { peer: 'server' });
refuses('33 KeyUpdates and empty records by turns', [times(17, all(keyUpdate(0), content('')))], 'unexpected_message');
refuses('old keys behind a KeyUpdate', [handshake(keyUpdateMessage(0)), content('old')], 'bad_record_mac');
refuses('new keys without a KeyUpdate', [changeKeys, content('new')], 'bad_record_mac');
refuses(
  'a KeyUpdate that is sealed with the keys that it announces',
  [changeKeys, handshake(keyUpdateMessage(0))],
  'bad_record_mac',
);
refuses('the sequence number is not set to 0', [keyUpdate(0), atSequence(2n, content('x'))], 'bad_record_mac');
refuses('the keys after the next', [keyUpdate(0), changeKeys, content('x')], 'bad_record_mac');
for (const value of [2, 3, 128, 255])
  refuses(`a KeyUpdate with the value ${value}`, [handshake(keyUpdateMessage(value))], 'illegal_parameter');
refuses('a KeyUpdate with the value 2, to a client', [handshake(keyUpdateMessage(2))], 'illegal_parameter', {
  peer: 'server',
});
for (const length of [0, 2, 3, 255, 65_536, 0xffffff])
  refuses(
    `a KeyUpdate of ${length} bytes`,
    [handshake(message(24, '\0'.repeat(Math.min(length, 3)), length))],
    'decode_error',
  );
refuses('a KeyUpdate of no bytes, to a client', [handshake(message(24))], 'decode_error', { peer: 'server' });
subject.add('new keys, then close_notify', [content('a'), keyUpdate(1), closeNotify], 'a', 'end', { requests: 1 });
subject.add(
  'new keys, then a fatal alert',
  [content('a'), keyUpdate(1), alert(80)],
  'a',
  { received: 80 },
  { requests: 1 },
);
subject.add('new keys, then the end of the connection', [content('a'), keyUpdate(0)], 'a', 'cut');

subject.section('RFC 8446 §5.1');
const twice = join(keyUpdateMessage(0), keyUpdateMessage(0));
refuses('two KeyUpdates in one record', [handshake(twice)], 'unexpected_message');
refuses('a byte behind a KeyUpdate', [handshake(join(keyUpdateMessage(0), '\x18'))], 'unexpected_message');
refuses(
  'a KeyUpdate and a ticket in one record',
  [handshake(join(keyUpdateMessage(0), ticket()))],
  'unexpected_message',
  { peer: 'server' },
);
takes(
  'a ticket and a KeyUpdate in one record',
  [all(handshake(join(ticket(), keyUpdateMessage(0))), changeKeys), content('x')],
  'x',
  { peer: 'server' },
);
for (const size of [1, 2, 3, 4])
  takes(
    `a KeyUpdate in fragments of ${size} bytes`,
    [...inFragments(keyUpdateMessage(1), size), changeKeys, content('x')],
    'x',
    { requests: 1 },
  );
takes(
  'a KeyUpdate in fragments, for a client',
  [...inFragments(keyUpdateMessage(0), 1), changeKeys, content('x')],
  'x',
  { peer: 'server' },
);
refuses('a KeyUpdate of which the first byte alone comes, then content', [handshake('\x18')], 'unexpected_message');
refuses(
  'a KeyUpdate of which the last byte is missing, then content',
  [handshake(keyUpdateMessage(0).subarray(0, 4))],
  'unexpected_message',
);
refuses('an empty record between fragments', [handshake('\x18\0'), content('')], 'unexpected_message');
refuses('close_notify between fragments', [handshake('\x18\0'), closeNotify], 'unexpected_message');
refuses('user_canceled between fragments', [handshake('\x18\0'), alert(90, 1)], 'unexpected_message');
refuses('an empty handshake record between fragments', [handshake('\x18\0'), handshake('')], 'unexpected_message');
refuses(
  'the end of a KeyUpdate and the beginning of another in one record',
  [handshake('\x18\0\0'), handshake(join('\x01\0', '\x18'))],
  'unexpected_message',
);
refuses('a fragment that makes a KeyUpdate too long', [handshake('\x18\0'), handshake('\0\x02')], 'decode_error');
subject.add('a fatal alert between fragments', [content('a'), handshake('\x18\0'), alert(40)], 'a', { received: 40 });
subject.add('the end of the connection between fragments', [content('a'), handshake('\x18\0')], 'a', 'cut');

subject.section('RFC 8446 §5.5');
for (const suite of ['aes-128-gcm', 'aes-256-gcm'] as const) {
  const limit = 2 ** 24;
  takes(
    `a peer that sends more records than its keys are good for is asked for others, once, ${suite}`,
    [content('a'), content('b'), content('c')],
    'abc',
    { suite, sequences: [limit - 2, 0], renewals: 1, asks: 1 },
  );
  takes(
    `a peer that renews its keys in time is not asked, ${suite}`,
    [content('a'), keyUpdate(0), content('c')],
    'ac',
    { suite, sequences: [limit - 2, 0] },
  );
  takes(`the endpoint renews its keys in time, ${suite}`, [content('a')], 'a', {
    suite,
    sequences: [0, limit],
    renewals: 1,
  });
  takes(`the endpoint renews keys of both sides, ${suite}`, [content('a')], 'a', {
    suite,
    sequences: [limit - 1, limit],
    renewals: 1,
    asks: 1,
  });
  takes(`the endpoint renews keys that it has been asked for, once, ${suite}`, [keyUpdate(1), content('a')], 'a', {
    suite,
    sequences: [0, limit],
    requests: 1,
  });
}
takes('AES-GCM: the keys of a client', [content('a')], 'a', {
  peer: 'server',
  sequences: [0, 2 ** 24],
  renewals: 1,
});
takes('ChaCha20-Poly1305: 2^48 records of the endpoint', [content('a')], 'a', {
  suite: 'chacha20-poly1305',
  sequences: [0, 2 ** 48],
  renewals: 1,
});
takes('ChaCha20-Poly1305: 2^48 records of the peer', [content('a'), content('b')], 'ab', {
  suite: 'chacha20-poly1305',
  sequences: [2 ** 48 - 1, 0],
  renewals: 1,
  asks: 1,
});
takes('ChaCha20-Poly1305: keys are not renewed before', [content('a'), content('b')], 'ab', {
  suite: 'chacha20-poly1305',
  sequences: [2 ** 48 - 4, 2 ** 48 - 4],
});
refuses(
  'too many KeyUpdates, the last of them incomplete',
  [times(32, keyUpdate(0)), content(''), handshake('\x18')],
  'unexpected_message',
);
subject.add(
  'a violation behind new keys',
  [keyUpdate(1), content('a', 0), handshake(message(1))],
  'a',
  { alert: alertNumbers.unexpected_message },
  { requests: 1 },
);
