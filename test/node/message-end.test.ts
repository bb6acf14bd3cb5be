// Where the message of a request ends.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { messageEnd } from '#sluice/node/message-end.js';

/** Up to where a text belongs to a message in chunks, given in pieces; undefined if the message is not complete. */
function endOf(text: string, piece: number): number | undefined {
  const bytes = Buffer.from(text, 'latin1');
  const message = messageEnd(Infinity);
  let at = 0;
  while (at < bytes.length && !message.isComplete) {
    const end = Math.min(at + piece, bytes.length);
    const to = message.advance(bytes, at, end);
    assert.ok(to === end || message.isComplete);
    at = to;
  }
  return message.isComplete ? at : undefined;
}

test('a body of known length ends there', () => {
  const message = messageEnd(5);
  const bytes = Buffer.alloc(8);
  assert.equal(message.advance(bytes, 0, 3), 3);
  assert.equal(message.isComplete, false);
  assert.equal(message.advance(bytes, 3, 8), 5);
  assert.equal(message.isComplete, true);
  assert.equal(message.advance(bytes, 5, 8), 5);
  assert.equal(messageEnd(0).isComplete, true);
});

test('a body in chunks ends behind its trailers, wherever it is cut', () => {
  for (const body of [
    '0\r\n\r\n',
    '4\r\nbody\r\n0\r\n\r\n',
    '004;a=b\r\n\r\n\r\n\r\nA\r\n0123456789\r\n00\r\n\r\n',
    '1\r\nx\r\n0;last\r\nx-sum: 1\r\nother: 2\r\n\r\n',
  ])
    for (const piece of [1, 2, 3, 7, 100])
      assert.equal(endOf(`${body}GET / HTTP/1.1\r\n\r\n`, piece), body.length, JSON.stringify(body));
});

test('what is not in the strict form has no end', () => {
  for (const body of [
    '0\n\n',
    '0\r\r\n',
    '\r\n0\r\n\r\n',
    'g\r\n',
    '1 \r\nx\r\n0\r\n\r\n',
    '1\r\nxy\r\n0\r\n\r\n',
    '1;a\nb\r\nx\r\n0\r\n\r\n',
    '0\r\nx: 1\n\r\n',
    '1000000000000\r\n',
    '-1\r\n0\r\n\r\n',
  ])
    for (const piece of [1, 100])
      assert.equal(endOf(`${body}0\r\n\r\n0\r\n\r\n`, piece), undefined, JSON.stringify(body));
});
