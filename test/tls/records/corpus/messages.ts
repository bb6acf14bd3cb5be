// Other handshake messages after the handshake: tickets for clients, and what is refused.

import {
  alertNumbers,
  all,
  closeNotify,
  content,
  handshake,
  inFragments,
  message,
  Subject,
  ticket,
  ticketBody,
  times,
} from '../build.js';
import { join } from '../wire.js';

const subject = new Subject('RFC 8446 §4.6.1', { peer: 'server' });
export const { cases } = subject;
const { takes, refuses } = subject;

takes('a ticket', [handshake(ticket()), content('x')], 'x');
takes('a ticket behind content', [content('x'), handshake(ticket())], 'x');
takes('two tickets in one record', [handshake(join(ticket(), ticket())), content('x')], 'x');
takes(
  'two tickets in two records, cut in the middle of the second',
  [handshake(join(ticket(), ticket().subarray(0, 9))), handshake(ticket().subarray(9)), content('x')],
  'x',
);
for (const size of [1, 7, 30])
  takes(`a ticket in fragments of ${size} bytes`, [...inFragments(ticket(), size), content('x')], 'x');
takes('a ticket without a nonce', [handshake(ticket({ nonce: '' })), content('x')], 'x');
takes('a ticket with the longest nonce', [handshake(ticket({ nonce: 'n'.repeat(255) })), content('x')], 'x');
takes(
  'a ticket with an extension for early data',
  [handshake(ticket({ extensions: '\0\x2a\0\x04\0\0\x04\0' })), content('x')],
  'x',
);
takes(
  'a ticket with extensions that are unknown',
  [handshake(ticket({ extensions: '\xfa\xfa\0\0\x0a\x0a\0\x01x' })), content('x')],
  'x',
);
takes(
  'bulky: the largest ticket that is taken, in two records',
  [...inFragments(ticket({ ticket: 't'.repeat(16_384 - 8 - 9 - 4) }), 16_384), content('x')],
  'x',
);
takes('32 tickets', [times(32, handshake(ticket())), content('x')], 'x');
refuses('33 tickets', [times(33, handshake(ticket()))], 'unexpected_message');
refuses(
  '33 tickets in one record',
  [handshake(join(...Array.from({ length: 33 }, () => ticket())))],
  'unexpected_message',
);
refuses('an empty ticket', [handshake(ticket({ ticket: '' }))], 'decode_error');
refuses('a ticket message without anything', [handshake(message(4))], 'decode_error');
for (const length of [4, 8, 9, 10, 17, 18, 20, 27, 28])
  refuses(
    `a ticket message that ends after ${length} bytes`,
    [handshake(message(4, ticketBody().subarray(0, length)))],
    'decode_error',
  );
refuses('a ticket message with a byte behind it', [handshake(message(4, join(ticketBody(), 'x')))], 'decode_error');
refuses(
  'a ticket with an extension that is cut',
  [handshake(ticket({ extensions: '\0\x2a\0\x04\0\0' }))],
  'decode_error',
);
refuses(
  'a ticket with a byte behind its extensions',
  [handshake(ticket({ extensions: '\0\x2a\0\x01xy' }))],
  'decode_error',
);
refuses('a ticket of more bytes than are taken', [handshake(message(4, ticketBody(), 16_385))], 'illegal_parameter');
refuses('a ticket of 16 MiB', [handshake(message(4, ticketBody(), 0xffffff))], 'illegal_parameter');
refuses('content in the middle of a ticket', [handshake(ticket().subarray(0, 20))], 'unexpected_message');
refuses(
  'close_notify in the middle of a ticket',
  [handshake(ticket().subarray(0, 20)), closeNotify],
  'unexpected_message',
);
refuses('the header of a ticket, then content', [handshake(ticket().subarray(0, 4))], 'unexpected_message');

subject.section('RFC 8446 §4.6.2');
refuses('a CertificateRequest', [handshake(message(13, '\0\0\0'))], 'unexpected_message');
refuses(
  'a CertificateRequest behind a ticket in one record',
  [handshake(join(ticket(), message(13, '\0\0\0')))],
  'unexpected_message',
);
refuses('a CertificateRequest to a server', [handshake(message(13, '\0\0\0'))], 'unexpected_message', {
  peer: 'client',
});

subject.section('RFC 8446 §4');
const types = {
  HelloRequest: 0,
  ClientHello: 1,
  ServerHello: 2,
  EndOfEarlyData: 5,
  EncryptedExtensions: 8,
  Certificate: 11,
  CertificateVerify: 15,
  Finished: 20,
  message_hash: 254,
};
for (const [name, type] of Object.entries(types)) {
  refuses(`${name}`, [handshake(message(type, 'x'.repeat(32)))], 'unexpected_message');
  refuses(`${name} to a server`, [handshake(message(type, 'x'.repeat(32)))], 'unexpected_message', { peer: 'client' });
}
refuses('a ticket to a server', [handshake(ticket())], 'unexpected_message', { peer: 'client' });
refuses('a type that is unknown', [handshake(message(99, 'x'))], 'unexpected_message');
subject.add(
  'the first byte of a ClientHello, to a server, is enough',
  [content('a'), handshake('\x01')],
  'a',
  { alert: alertNumbers.unexpected_message },
  { peer: 'client' },
);
refuses('a ClientHello that claims 16 MiB, to a server', [handshake(message(1, '', 0xffffff))], 'unexpected_message', {
  peer: 'client',
});
refuses(
  'a ClientHello in fragments, to a server',
  [all(...inFragments(message(1, 'x'.repeat(30)), 10))],
  'unexpected_message',
  { peer: 'client' },
);
