// Copies of large bodies, and the memory of those that have been sent.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { copyOf, owned } from '#sluice/util/copy-of.js';
import { freeBytes } from '#sluice/util/free-bytes.js';

const filled = (bytes: number, value: number) => new Uint8Array(bytes).fill(value);

describe('the memory of large copies', () => {
  it('is used again by the next copy of about the same size', () => {
    const first = copyOf(filled(1_000_000, 1));
    const { buffer } = first;
    freeBytes(first);
    const second = copyOf(filled(900_000, 2));
    assert.equal(second.buffer, buffer);
    assert.deepEqual(second, filled(900_000, 2));
    assert.notEqual(copyOf(filled(900_000, 3)).buffer, buffer, 'it is in use');
  });

  it('is not shown to user code: what it gets is as large as its bytes', () => {
    freeBytes(copyOf(filled(1_000_000, 1)));
    const copy = owned(copyOf(filled(900_000, 2)));
    assert.equal(copy.buffer.byteLength, 900_000);
    assert.deepEqual(copy, filled(900_000, 2));
  });

  it('is kept up to 4 MiB in all, and up to 2 MiB in one piece', () => {
    const copies = Array.from({ length: 10 }, () => copyOf(filled(2 ** 20, 1)));
    const buffers = new Set(copies.map(({ buffer }) => buffer));
    for (const copy of copies) freeBytes(copy);
    const again = Array.from({ length: 10 }, () => copyOf(filled(2 ** 20, 1)));
    assert.ok(again.filter(({ buffer }) => buffers.has(buffer)).length <= 4);
    const large = copyOf(filled(2 ** 21 + 1, 1));
    const { buffer } = large;
    freeBytes(large);
    assert.notEqual(copyOf(filled(2 ** 21 + 1, 1)).buffer, buffer);
  });
});

describe('a response of bytes that is read instead of sent', () => {
  it('gives memory with nothing else in it, by each of its methods', async () => {
    const { Response } = await import('sluice');
    const given = filled(100_000, 5);
    freeBytes(copyOf(filled(120_000, 9)));
    const whole = await new Response(given).bytes();
    assert.equal(whole.buffer.byteLength, 100_000);
    assert.equal((await new Response(given).arrayBuffer()).byteLength, 100_000);
    const { value } = (await new Response(given).body?.getReader().read()) ?? {};
    assert.equal(value?.buffer.byteLength, 100_000);
    assert.deepEqual(value, given);
  });
});
