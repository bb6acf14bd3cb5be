// Records that are forged, changed, repeated, reordered, lost or cut.

import {
  alert,
  all,
  atSequence,
  changed,
  closeNotify,
  content,
  cutTo,
  flipped,
  lost,
  raw,
  repeated,
  Subject,
  sealed,
  swapped,
  times,
} from '../build.js';
import type { Step, Wire } from '../case.js';
import { contentType, Direction, header, join, suiteNames } from '../wire.js';

const subject = new Subject('RFC 8446 §5.2');
export const { cases } = subject;
const { takes, refuses } = subject;

const forged =
  (text: string, direction: (wire: Wire) => Direction): Step =>
  (wire) =>
    direction(wire).seal(contentType.content, text);

for (const suite of suiteNames) {
  refuses(`the first bit of the ciphertext was changed, ${suite}`, [flipped(content('hello'), 5)], 'bad_record_mac', {
    suite,
  });
  refuses(`the last bit of the tag was changed, ${suite}`, [flipped(content('hello'), -1)], 'bad_record_mac', {
    suite,
  });
  refuses(`the encrypted type was changed, ${suite}`, [flipped(content('hello'), 10)], 'bad_record_mac', { suite });
  refuses(`a record is missing, ${suite}`, [lost(content('x')), content('hello')], 'bad_record_mac', { suite });
  refuses(
    `keys of another connection, ${suite}`,
    [forged('x', (wire) => new Direction(wire.suite, new Uint8Array(48).fill(7)))],
    'bad_record_mac',
    { suite },
  );
}
for (let bit = 0; bit < 8; bit++)
  refuses(`bit ${bit} in the middle of the tag was changed`, [flipped(content('hello'), -8, bit)], 'bad_record_mac');
refuses(
  'the tag is zeros',
  [changed(content('hello'), (bytes) => join(bytes.subarray(0, -16), new Uint8Array(16)))],
  'bad_record_mac',
);
refuses(
  "the tag is another record's",
  [
    changed(all(content('hello'), content('hello')), (bytes) =>
      join(bytes.subarray(0, bytes.length / 2 - 16), bytes.subarray(-16)),
    ),
  ],
  'bad_record_mac',
);
refuses(
  'the ciphertext of one record with the end of another',
  [changed(all(content('aaaaa'), content('bbbbb')), (bytes) => join(bytes.subarray(0, 10), bytes.subarray(37)))],
  'bad_record_mac',
);
refuses(
  'the length in the header is one less',
  [changed(content('hello'), (bytes) => join(header({ length: bytes.length - 6 }), bytes.subarray(5, -1)))],
  'bad_record_mac',
);
refuses(
  'a byte more than was sealed',
  [changed(content('hello'), (bytes) => join(header({ length: bytes.length - 4 }), bytes.subarray(5), 'x'))],
  'bad_record_mac',
);
refuses(
  'sealed with another length in the header',
  [
    changed(sealed(contentType.content, 'hello', 0, { length: 99 }), (bytes) =>
      join(header({ length: bytes.length - 5 }), bytes.subarray(5)),
    ),
  ],
  'bad_record_mac',
);
refuses(
  'sealed with another type in the header',
  [
    changed(sealed(contentType.content, 'hello', 0, { type: 22 }), (bytes) =>
      join(header({ length: bytes.length - 5 }), bytes.subarray(5)),
    ),
  ],
  'bad_record_mac',
);
refuses(
  'sealed with another version in the header',
  [
    changed(sealed(contentType.content, 'hello', 0, { version: 0x0301 }), (bytes) =>
      join(header({ length: bytes.length - 5 }), bytes.subarray(5)),
    ),
  ],
  'bad_record_mac',
);
refuses('a forged alert', [flipped(alert(0, 1), -1)], 'bad_record_mac');
refuses('a forged record to a client', [flipped(content('x'), 5)], 'bad_record_mac', { peer: 'server' });
refuses('a record of the endpoint itself is sent back', [forged('x', ({ other }) => other)], 'bad_record_mac');
refuses('a record of the client itself is sent back', [forged('x', ({ other }) => other)], 'bad_record_mac', {
  peer: 'server',
});

subject.section('RFC 8446 §5.3');
subject.add('a record is repeated', [repeated(content('once')), content('behind')], 'once', { alert: 20 });
subject.add(
  'a record is repeated later',
  [
    (wire) => {
      const first = content('one')(wire);
      return join(first, content('two')(wire), first);
    },
  ],
  'onetwo',
  { alert: 20 },
);
subject.add('close_notify is repeated', [repeated(closeNotify)], '', 'end');
refuses('two records in the wrong order', [swapped(content('one'), content('two'))], 'bad_record_mac');
refuses('a record is lost', [lost(content('lost')), content('next')], 'bad_record_mac');
refuses('an empty record is lost', [lost(content('')), content('next')], 'bad_record_mac');
refuses('a sequence number of the past', [atSequence(0n, content('x'))], 'bad_record_mac');
refuses('a sequence number that is one too large', [atSequence(2n, content('x'))], 'bad_record_mac');
refuses('a sequence number that differs in bit 32', [atSequence((1n << 32n) + 1n, content('x'))], 'bad_record_mac');
refuses('a sequence number that differs in bit 63', [atSequence((1n << 63n) + 1n, content('x'))], 'bad_record_mac');
takes('300 records', [times(300, content('x'))], 'x'.repeat(300));
for (const suite of suiteNames) {
  const sequences: [number, number] = [255, 65_535];
  takes(`sequence numbers of two bytes, ${suite}`, [content('a'), content('b')], 'ab', { suite, sequences });
}
for (const number of [2 ** 32 - 1, 2 ** 32, 2 ** 40 - 1, 2 ** 40, 2 ** 47 + 2 ** 33 + 5])
  takes(`the sequence number ${number} and the next`, [content('a'), content('b')], 'ab', {
    suite: 'chacha20-poly1305',
    sequences: [number, number],
  });

subject.section('RFC 8446 §6.1');
for (const length of [1, 4, 5, 6, 20])
  subject.add(
    `the connection ends after ${length} bytes of a record`,
    [content('whole'), cutTo(content('cut'), length)],
    'whole',
    'cut',
  );
subject.add('the connection ends without close_notify', [content('whole')], 'whole', 'cut');
subject.add('the connection of a client ends without close_notify', [content('whole')], 'whole', 'cut', {
  peer: 'server',
});
refuses('a record is cut, and another follows', [cutTo(content('a record that is cut'), 20)], 'bad_record_mac');
refuses(
  'a record whose end is missing, filled up with zeros',
  [changed(content('a record'), (bytes) => join(bytes.subarray(0, 15), new Uint8Array(bytes.length - 15)))],
  'bad_record_mac',
);
refuses(
  'the beginning of a record is missing',
  [changed(content('a record'), (bytes) => bytes.slice(1))],
  'unexpected_message',
);
refuses(
  'garbage of the type of content',
  [raw(header({ length: 40 }), new Uint8Array(40).fill(0xa5))],
  'bad_record_mac',
);
