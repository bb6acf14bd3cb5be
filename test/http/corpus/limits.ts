// Limits on what a client may send: at the limit, and beyond it.

import { crlf, get, post, Room } from './room.js';

const room = new Room('RFC 9112 §3');
export const { cases } = room;
const { answers, refused } = room;

answers(
  'a target of 32 bytes where 32 are allowed',
  get(`/plain?${'q'.repeat(25)}`),
  { status: 200 },
  { server: 'small' },
);
refused('a target of 33 bytes where 32 are allowed', get(`/plain?${'q'.repeat(26)}`), 414, { server: 'small' });
answers('a target of 8,192 bytes', get(`/plain?${'q'.repeat(8185)}`), { status: 200 });
refused('a target of 8,193 bytes', get(`/plain?${'q'.repeat(8186)}`), 414);

room.section('RFC 9110 §15.5.14');

answers(
  'a body of 10 bytes where 10 are allowed',
  post('/text', '0123456789'),
  { status: 200, body: 'text:0123456789' },
  { server: 'small' },
);
refused('a body of 11 bytes where 10 are allowed', post('/text', '01234567890'), 413, { server: 'small' });
refused('an unread body of 11 bytes where 10 are allowed', post('/plain', '01234567890'), 413, { server: 'small' });

room.section('RFC 6585 §5');

answers('4 fields where 4 are allowed', get('/plain', 'a: 1', 'b: 2', 'c: 3'), { status: 200 }, { server: 'small' });
refused('5 fields where 4 are allowed', get('/plain', 'a: 1', 'b: 2', 'c: 3', 'd: 4'), 431, { server: 'small' });
answers('100 fields', get('/plain', ...Array.from({ length: 99 }, (_, i) => `x${i}: y`)), { status: 200 });
refused('101 fields', get('/plain', ...Array.from({ length: 100 }, (_, i) => `x${i}: y`)), 431);
const filled = (size: number) => get('/plain', `x: ${'y'.repeat(size - get('/plain', 'x: ').length)}`);
answers('a head of 256 bytes where 256 are allowed', filled(256), { status: 200 }, { server: 'small' });
refused('a head of 257 bytes where 256 are allowed', filled(257), 431, { server: 'small' });
refused('a head without end', [get('/plain').slice(0, -2) + 'x: '.padEnd(300, 'y')], 431, { server: 'small' });
refused('empty lines without end', ['\r\n'.repeat(200)], 431, { server: 'small' });
answers('a head of 16,384 bytes', filled(16_384), { status: 200 });
refused('a head of 16,385 bytes', filled(16_385), 431);

room.section('RFC 9110 §5.4');

refused('a field name of 100,000 characters', get('/plain', `${'A'.repeat(100_000)}: val`), 431);
refused('a field value of 100,000 characters', get('/plain', `x-big: ${'B'.repeat(100_000)}`), 431);
refused('10,000 fields', get('/plain', ...Array.from({ length: 10_000 }, (_, i) => `x-h-${i}: value`)), 431);
refused('a host of 20,000 characters', crlf('GET /plain HTTP/1.1', `host: ${'a'.repeat(20_000)}`, ''), 431);

room.section('RFC 9112 §3');

answers('a target of 8,000 bytes, as every server should take', get(`/plain?${'q'.repeat(7993)}`), { status: 200 });
refused('a target of 100,000 bytes', get(`/${'A'.repeat(100_000)}`), 414);
