import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ByteBuilder } from '#sluice/util/byte-builder.js';

test('what was gathered is what was added, in order', () => {
  const pieces = fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 30 });
  fc.assert(
    fc.property(pieces, (list) => {
      const all = new ByteBuilder();
      for (const piece of list) all.add(piece);
      assert.equal(
        all.length,
        list.reduce((sum, piece) => sum + piece.length, 0),
      );
      assert.deepEqual(Buffer.from(all.toBytes()), Buffer.concat(list));
    }),
  );
});

test('it takes no more memory than twice what was added, however small the pieces', () => {
  for (const size of [1, 2, 100, 65_536, 100_000]) {
    const all = new ByteBuilder();
    const piece = new Uint8Array(size);
    for (let i = 0; i < 300_000 / size; i++) {
      all.add(piece);
      assert.ok(all.capacity <= 2 * all.length, `${all.capacity} bytes are held of ${all.length}, added by ${size}`);
    }
  }
});

test('a single piece is copied once, and the copy is the whole', () => {
  const all = new ByteBuilder();
  const piece = Uint8Array.of(1, 2, 3);
  all.add(piece);
  piece.fill(9);
  assert.equal(all.capacity, 3);
  assert.deepEqual([...all.toBytes()], [1, 2, 3]);
  assert.equal(new ByteBuilder().toBytes().length, 0);
});

test('where the length is known it takes no more than four times what has come, and the whole is not copied again', () => {
  for (const size of [1, 1000, 65_536]) {
    const all = new ByteBuilder(300_000);
    while (all.length < 300_000) {
      all.add(new Uint8Array(Math.min(size, 300_000 - all.length)).fill(all.length & 255));
      assert.ok(all.capacity <= 4 * all.length, `${all.capacity} bytes are held of ${all.length}, added by ${size}`);
    }
    assert.equal(all.capacity, 300_000);
    const whole = all.toBytes();
    assert.equal(whole.length, 300_000);
    assert.equal(whole, all.toBytes());
    for (let at = 0; at < whole.length; at += size) assert.equal(whole[at], at & 255);
  }
});

test('where the length is known, what is copied as it grows is at most a third of the length and a piece', () => {
  const piece = new Uint8Array(1000);
  for (let length = 64_000; length < 1_100_000; length += 37_000) {
    const all = new ByteBuilder(length);
    let copied = 0;
    while (all.length < length) {
      const before = all.capacity;
      all.add(piece.subarray(0, length - all.length));
      if (all.capacity !== before) copied += before;
    }
    assert.ok(copied <= length / 3 + piece.length, `${copied} of ${length} bytes`);
  }
});
