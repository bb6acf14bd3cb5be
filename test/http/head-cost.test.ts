// What a head costs that arrives byte by byte: its time is in proportion to its length, and so are the bytes moved and the memory held.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Random } from '#sluice/event-layer/simulated/random.js';
import { Head } from '#sluice/http/h1/head.js';
import { PartialHead } from '#sluice/http/h1/partial-head.js';
import { assertProportional } from '../support/cost.js';

const limits = { headSize: 1024 * 1024, targetSize: 1024 * 1024, fieldCount: 100_000 };

/** Parses a head that comes one byte at a time. */
function parse(text: string): void {
  const bytes = Buffer.from(text, 'latin1');
  const head = new Head();
  for (let limit = 1; limit < bytes.length; limit++)
    if (head.parse(bytes, 0, limit, limits)) assert.fail(`complete after ${limit} of ${bytes.length} bytes`);
  assert.ok(head.parse(bytes, 0, bytes.length, limits), 'not complete after its last byte');
}

const heads: Record<string, (n: number) => string> = {
  'a long target': (n) => `GET /${'x'.repeat(n)} HTTP/1.1\r\nhost: a\r\n\r\n`,
  'a long query of backslashes': (n) => `GET /?${'\\'.repeat(n)} HTTP/1.1\r\nhost: a\r\n\r\n`,
  'a long value': (n) => `GET / HTTP/1.1\r\nhost: a\r\nx: ${'y'.repeat(n)}\r\n\r\n`,
  'a long value of white space': (n) => `GET / HTTP/1.1\r\nhost: a\r\nx:${' '.repeat(n)}\r\n\r\n`,
  'a long name': (n) => `GET / HTTP/1.1\r\nhost: a\r\n${'x'.repeat(n)}: y\r\n\r\n`,
  'a long list of Connection options': (n) => `GET / HTTP/1.1\r\nhost: a\r\nconnection: ${'a,'.repeat(n / 2)}\r\n\r\n`,
  'many fields': (n) => `GET / HTTP/1.1\r\nhost: a\r\n${'a: b\r\n'.repeat(n / 6)}\r\n`,
  'many empty lines before it': (n) => `${'\r\n'.repeat(n / 2)}GET / HTTP/1.1\r\nhost: a\r\n\r\n`,
};

// A parser that goes back to the beginning of a line, or of the head, with each byte would take quadratic time.
for (const [name, head] of Object.entries(heads))
  test(`byte by byte, a head takes time in proportion to its length: ${name}`, () =>
    assertProportional((size) => parse(head(size)), 2_000));

test('byte by byte, the beginning of a head is moved a bounded number of times', () => {
  const bytes = Buffer.alloc(16_384, 'x');
  const held = PartialHead.held;
  const partial = new PartialHead(new Head());
  let moved = 0;
  for (let at = 0; at < bytes.length; at++) {
    const { bytes: memory, start } = partial;
    partial.add(bytes, at, at + 1);
    if (partial.bytes !== memory || partial.start !== start) moved += at;
    assert.ok(PartialHead.held - held <= Math.max(64, 2 * (at + 1)), 'at most twice what has come is held');
  }
  assert.ok(moved < 2 * bytes.length, `${moved} bytes moved for ${bytes.length}`);
  partial.free();
  assert.equal(PartialHead.held, held);
});

test('the memory of heads that came in part is given back when they are gone', () => {
  const collect = globalThis.gc ?? (() => assert.fail('to be run with --expose-gc'));
  const held = () => {
    collect();
    collect(); // the first leaves the memory of arrays to another thread, which the second waits for
    return process.memoryUsage().arrayBuffers;
  };
  const before = held();
  for (const size of [40, 100, 1000, 2000, 5000]) {
    const partials = Array.from({ length: 4000 }, () => new PartialHead(new Head()));
    for (const partial of partials) partial.add(new Uint8Array(size), 0, size);
    for (const partial of partials) partial.free();
  }
  const kept = held() - before;
  assert.ok(kept < 1_000_000, `${kept} bytes`);
});

test('heads that came in part keep their bytes apart, in whatever order they come and go', () => {
  const random = new Random(1);
  const all: { partial: PartialHead; expected: number[] }[] = [];
  for (let i = 0; i < 20_000; i++) {
    const index = random.whole(0, Math.min(all.length, 300));
    if (index === all.length) all.push({ partial: new PartialHead(new Head()), expected: [] });
    const { partial, expected } = all[index];
    if (random.chance(0.1)) {
      assert.deepEqual([...partial.bytes.subarray(partial.start, partial.end)], expected);
      partial.free();
      all.splice(index, 1);
      continue;
    }
    const more = Array.from({ length: random.whole(1, 200) }, () => random.whole(0, 255));
    partial.add(Uint8Array.from(more), 0, more.length);
    expected.push(...more);
  }
  for (const { partial } of all) partial.free();
});
