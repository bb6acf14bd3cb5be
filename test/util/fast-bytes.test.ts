import assert from 'node:assert/strict';
import { test } from 'node:test';
import { byteLengthOf, bytesEqual, copyBytes, viewOf, writeAscii } from '#sluice/util/fast-bytes.js';
import type { OutputMemory } from '#sluice/util/output-memory.js';

const bytes = Uint8Array.from({ length: 40 }, (_, i) => i * 7);
/** The same within a larger buffer, where its first byte is not the buffer's. */
const within = new Uint8Array(64).subarray(5, 45);
within.set(bytes);

test('copying takes those bytes and touches no others, wherever they stand', () => {
  for (const source of [bytes, within]) {
    for (let from = 0; from < 6; from++) {
      for (let at = 0; at < 6; at++) {
        for (let count = 0; count <= 17; count++) {
          const target = new Uint8Array(32).fill(255);
          copyBytes(source, from, new DataView(target.buffer), at, count);
          const expected = new Uint8Array(32).fill(255);
          expected.set(bytes.subarray(from, from + count), at);
          assert.deepEqual(target, expected, `${count} bytes from ${from} to ${at}`);
        }
      }
    }
  }
});

test('bytes are compared to the last one, and in number', () => {
  for (const source of [bytes, within]) {
    for (let from = 0; from < 6; from++) {
      for (let count = 0; count <= 17; count++) {
        const same = bytes.slice(from, from + count);
        assert.ok(bytesEqual(source, from, from + count, new DataView(same.buffer)), `${count} bytes from ${from}`);
        assert.ok(!bytesEqual(source, from, from + count + 1, new DataView(same.buffer)), 'one more');
        for (let i = 0; i < count; i++) {
          const other = same.slice();
          other[i] ^= 0x80;
          assert.ok(
            !bytesEqual(source, from, from + count, new DataView(other.buffer)),
            `${count} from ${from}, not ${i}`,
          );
        }
      }
    }
  }
});

test('the view is of the bytes that were given last', () => {
  assert.equal(viewOf(bytes).getUint8(1), 7);
  const others = Uint8Array.of(1, 2, 3);
  assert.equal(viewOf(others).byteLength, 3);
  assert.equal(viewOf(within).getUint8(2), 14);
  assert.equal(viewOf(within).byteLength, within.length);
});

test('the length of text in UTF-8, short and long, whatever is in it', () => {
  for (const length of [0, 1, 13, 63, 64, 65, 200]) {
    const text = 'a'.repeat(length);
    assert.equal(byteLengthOf(text), length);
    for (const odd of ['\x7f', '\x80', 'é', '€', '😀', '\ud800']) {
      assert.equal(byteLengthOf(odd + text), Buffer.byteLength(odd + text));
      assert.equal(byteLengthOf(text + odd), Buffer.byteLength(text + odd));
    }
  }
});

test('US-ASCII is written as it is, short and long, and nothing around it', () => {
  for (const length of [0, 1, 13, 64, 65, 200]) {
    const text = Array.from({ length }, (_, i) => String.fromCharCode(i % 128)).join('');
    const output = Buffer.alloc(210, 255);
    assert.equal(writeAscii(text, output as Uint8Array as OutputMemory, 4), 4 + length);
    assert.deepEqual(output, Buffer.concat([Buffer.alloc(4, 255), Buffer.from(text), Buffer.alloc(206 - length, 255)]));
  }
});
