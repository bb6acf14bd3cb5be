import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bytesEqual, copyBytes, likelyByteLength, viewOf, writeText } from '#sluice/util/fast-bytes.js';
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

test('text is written as UTF-8, short and long, whatever is in it, and nothing around it', () => {
  for (const length of [0, 1, 13, 63, 64, 65, 200]) {
    const text = Array.from({ length }, (_, i) => String.fromCharCode(i % 128)).join('');
    for (const odd of ['', '\x7f', '\x80', 'é', '€', '😀', '\ud800']) {
      for (const whole of [odd + text, text + odd]) {
        const expected = Buffer.from(whole);
        const output = Buffer.alloc(expected.length + 10, 255);
        const write = (bytes: number) => writeText(whole, bytes, output as Uint8Array as OutputMemory, 4);
        const isLikelyRight = likelyByteLength(whole) === expected.length;
        assert.ok(isLikelyRight || whole.length <= 64);
        assert.equal(write(likelyByteLength(whole)), isLikelyRight);
        output.fill(255);
        assert.equal(write(expected.length), true);
        assert.deepEqual(output, Buffer.concat([Buffer.alloc(4, 255), expected, Buffer.alloc(6, 255)]));
      }
    }
  }
});
