// What a head costs that arrives byte by byte, counted in bytes looked at and bytes moved, not in time.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Random } from '#sluice/event-layer/simulated/random.js';
import { Head } from '#sluice/http/head.js';
import { PartialHead } from '#sluice/http/partial-head.js';

const limits = { headSize: 1024 * 1024, targetSize: 1024 * 1024, fieldCount: 10_000 };

/** Bytes that count how often they are looked at. */
function counted(bytes: Uint8Array): { bytes: Uint8Array; looks: () => number } {
  let looks = 0;
  const proxy = new Proxy(bytes, {
    get(target, key) {
      if (typeof key === 'string' && /^[0-9]+$/.test(key)) looks++;
      const value: unknown = Reflect.get(target, key, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
  return { bytes: proxy, looks: () => looks };
}

/** How often a byte is looked at, on the average, while a head comes one at a time. */
function looksPerByte(text: string): number {
  const { bytes, looks } = counted(Buffer.from(text, 'latin1'));
  const head = new Head();
  let isWhole = false;
  for (let limit = 1; limit <= text.length; limit++) {
    assert.equal(isWhole, false, 'the head was whole before its last byte');
    isWhole = head.parse(bytes, 0, limit, limits);
  }
  assert.equal(isWhole, true);
  return looks() / text.length;
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

for (const [name, head] of Object.entries(heads)) {
  test(`byte by byte, the parser looks at each byte a bounded number of times: ${name}`, () => {
    const short = looksPerByte(head(1_000));
    const long = looksPerByte(head(16_000));
    assert.ok(long < 6, `${long} looks for each byte`);
    assert.ok(
      long <= short * 1.1,
      `${short} looks for each byte of a short head, ${long} of one that is 16 times as long`,
    );
  });
}

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
    collect(); // the first leaves the memory of arrays to a thread of its own, which the second waits for
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
