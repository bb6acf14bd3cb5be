// Alerts of the peer.

import {
  type AlertName,
  alert,
  alertNumbers,
  closeNotify,
  content,
  flipped,
  raw,
  Subject,
  sealed,
  times,
} from '../build.js';
import { contentType, suiteNames } from '../wire.js';

const subject = new Subject('RFC 8446 §6.1');
export const { cases } = subject;
const { takes, refuses } = subject;
const { alert: type } = contentType;

for (const suite of suiteNames)
  subject.add(`close_notify, ${suite}`, [content('a'), closeNotify], 'a', 'end', { suite });
subject.add('close_notify to a client', [content('a'), closeNotify], 'a', 'end', { peer: 'server' });
subject.add('close_notify alone', [closeNotify], '', 'end');
for (const level of [0, 2, 3, 255])
  subject.add(`close_notify with the level ${level}`, [content('a'), alert(0, level)], 'a', 'end');
subject.add('close_notify with padding', [content('a'), sealed(type, Uint8Array.of(1, 0), 100)], 'a', 'end');
subject.add('content behind close_notify', [content('a'), closeNotify, content('b')], 'a', 'end');
subject.add('garbage behind close_notify', [content('a'), closeNotify, raw('garbage'.repeat(10))], 'a', 'end');
subject.add('a fatal alert behind close_notify', [content('a'), closeNotify, alert(80)], 'a', 'end');
subject.add('a forged record behind close_notify', [closeNotify, flipped(content('b'), -1)], '', 'end');
takes('user_canceled', [alert(90, 1), content('a')], 'a');
takes('user_canceled of the level fatal', [alert(90), content('a')], 'a');
subject.add('user_canceled, then close_notify', [content('a'), alert(90, 1), closeNotify], 'a', 'end');
takes('32 times user_canceled', [times(32, alert(90, 1)), content('a')], 'a');
refuses('33 times user_canceled', [times(33, alert(90, 1))], 'unexpected_message');

subject.section('RFC 8446 §6.2');
for (const [name, number] of Object.entries(alertNumbers) as [AlertName, number][]) {
  if (name === 'close_notify' || name === 'user_canceled') continue;
  subject.add(name, [content('a'), alert(number), content('b')], 'a', { received: number });
  subject.add(`${name} of the level warning`, [content('a'), alert(number, 1), content('b')], 'a', {
    received: number,
  });
}
for (const number of [1, 21, 30, 41, 60, 100, 111, 114, 121, 255]) {
  subject.add(`the alert ${number}, which TLS 1.3 does not have`, [content('a'), alert(number)], 'a', {
    received: number,
  });
  subject.add(`the alert ${number} of the level warning`, [content('a'), alert(number, 1)], 'a', { received: number });
}
subject.add(
  'a fatal alert to a client',
  [content('a'), alert(40), content('b')],
  'a',
  { received: 40 },
  { peer: 'server' },
);
subject.add('a fatal alert with padding', [sealed(type, Uint8Array.of(2, 40), 50)], '', { received: 40 });
subject.add('an alert of a level that there is not', [alert(40, 77)], '', { received: 40 });

subject.section('RFC 8446 §6');
refuses('an alert of one byte', [sealed(type, '\x02')], 'decode_error');
refuses('an alert of three bytes', [sealed(type, '\x01\0\0')], 'decode_error');
refuses('two alerts in one record', [sealed(type, '\x01\x5a\x01\0')], 'decode_error');
refuses('an alert in two records', [sealed(type, '\x01'), sealed(type, '\0')], 'decode_error');
refuses('an alert of one byte with padding', [sealed(type, '\x01', 30)], 'decode_error');
refuses('an alert of 300 bytes', [sealed(type, 'x'.repeat(300))], 'decode_error');
refuses('an alert of one byte to a client', [sealed(type, '\x02')], 'decode_error', { peer: 'server' });
