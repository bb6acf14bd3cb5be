// What a program may close a WebSocket with.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkClose, closePayload, isCloseCode, readClose } from '#sluice/websocket/close-codes.js';

test('a code that may be in a Close frame may be given, but 1010 only by a client', () => {
  for (let code = -1; code < 6000; code++) {
    const check = (role: 'server' | 'client') => () => checkClose('close', code, 'why', role);
    if (!isCloseCode(code)) assert.throws(check('client'), RangeError);
    else check('client')();
    if (!isCloseCode(code) || code === 1010) assert.throws(check('server'), /close: code is/);
    else check('server')();
  }
  for (const code of [1000.5, NaN, Infinity, 2 ** 32 + 1000])
    assert.throws(() => checkClose('close', code, '', 'client'), RangeError);
});

test('a reason has at most 123 bytes of UTF-8, and needs a code', () => {
  checkClose('close', 1000, 'r'.repeat(123), 'server');
  checkClose('close', 1000, '€'.repeat(41), 'server');
  assert.throws(
    () => checkClose('close', 1000, 'r'.repeat(124), 'server'),
    /reason has 124 bytes of UTF-8; expected at most 123/,
  );
  assert.throws(() => checkClose('close', 1000, '€'.repeat(42), 'server'), /126 bytes/);
  assert.throws(() => checkClose('close', undefined, 'why', 'server'), /reason is given without a code/);
  checkClose('close', undefined, '', 'server');
  checkClose('close', undefined, undefined, 'server');
  assert.throws(() => checkClose('close', 1000, 5 as unknown as string, 'server'), /reason is 5; expected a string/);
});

test('a payload reads as it was made; half a surrogate pair becomes U+FFFD', () => {
  assert.deepEqual(readClose(closePayload(undefined)), { code: 1005, reason: '' });
  assert.deepEqual(readClose(closePayload(1000)), { code: 1000, reason: '' });
  assert.deepEqual(readClose(closePayload(4999, 'tschüß €😀')), { code: 4999, reason: 'tschüß €😀' });
  assert.deepEqual(readClose(closePayload(1000, 'a\ud800b')), { code: 1000, reason: 'a\ufffdb' });
  assert.equal(closePayload(1000, '€'.repeat(41)).length, 125);
});
