import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { map, unmap } from '#sluice/event-layer/linux/memory.js';
import { skip, system } from '../../support/linux.js';

describe('mapped memory', { skip }, () => {
  const libc = system?.libc ?? assert.fail();
  // A size that is used nowhere else, so that what is freed here is not allocated elsewhere.
  const size = 4096 * 37;

  it('is all zeros, and stands where it says it does', () => {
    const region = map(libc, size);
    assert.equal(region.bytes.length, size);
    assert.equal(region.address % 4096, 0);
    assert.ok(region.bytes.every((byte) => byte === 0));
    region.bytes.write('here', 4096);
    assert.equal(Buffer.from(libc.view(region.address + 4096, 4)).toString(), 'here');
    unmap(libc, region);
  });

  it('comes again, zeroed, when it has been given back', () => {
    const region = map(libc, size);
    region.bytes.fill(0xaa);
    unmap(libc, region);
    const again = map(libc, size);
    assert.equal(again.address, region.address);
    assert.ok(again.bytes.every((byte) => byte === 0));
    unmap(libc, again);
  });

  it('is not given out again before it is given back', () => {
    const regions = Array.from({ length: 5 }, () => map(libc, size));
    assert.equal(new Set(regions.map(({ address }) => address)).size, 5);
    for (const region of regions) unmap(libc, region);
    const again = Array.from({ length: 5 }, () => map(libc, size));
    assert.deepEqual(new Set(again.map(({ address }) => address)), new Set(regions.map(({ address }) => address)));
    for (const region of again) unmap(libc, region);
  });

  it('that is unavailable fails with the system’s error', () => {
    assert.throws(() => map(libc, 2 ** 46), { name: 'ConnectionError', code: 'ENOMEM', message: /^mmap ENOMEM: / });
  });
});
