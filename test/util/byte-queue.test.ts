import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { ByteQueue } from '#sluice/util/byte-queue.js';

/** A queue, and what must be in it. */
class Pair {
  readonly queue = new ByteQueue();
  model: number[] = [];
  #added = 0;

  /** Adds so many bytes, none of which is the one before it. */
  add(bytes: number): void {
    const piece = Uint8Array.from({ length: bytes }, () => (this.#added++ * 7) & 255);
    this.queue.add(piece);
    this.model.push(...piece);
    piece.fill(0); // it was borrowed
  }

  drop(bytes: number): void {
    const most = Math.min(bytes, this.model.length);
    this.queue.drop(most);
    this.model = this.model.slice(most);
  }

  checkTake(most: number): void {
    assert.deepEqual([...this.queue.take(most)], this.model.slice(0, most));
    this.model = this.model.slice(most);
  }

  /** Copies to `offset` of a target that has room for so many bytes behind it. */
  checkCopy(offset: number, room: number): void {
    const target = new Uint8Array(offset + room);
    const copied = this.queue.copyTo(target, offset);
    const expected = this.model.slice(0, room);
    assert.equal(copied, expected.length);
    assert.deepEqual([...target.subarray(offset, offset + copied)], expected);
    assert.ok(target.subarray(0, offset).every((byte) => byte === 0));
    assert.ok(target.subarray(offset + copied).every((byte) => byte === 0));
  }
}

const size = fc.oneof(fc.integer({ min: 0, max: 20 }), fc.integer({ min: 0, max: 40_000 }));
const step = fc.oneof(
  size.map((bytes) => (pair: Pair) => pair.add(bytes)),
  size.map((bytes) => (pair: Pair) => pair.drop(bytes)),
  size.map((bytes) => (pair: Pair) => pair.checkTake(bytes)),
  fc.tuple(fc.integer({ min: 0, max: 100 }), size).map(
    ([offset, room]) =>
      (pair: Pair) =>
        pair.checkCopy(offset, room),
  ),
);

describe('a byte queue', () => {
  it('holds what was added and not dropped, in order, however it was cut', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
        const pair = new Pair();
        for (const take of steps) {
          take(pair);
          assert.equal(pair.queue.length, pair.model.length);
        }
        pair.checkCopy(3, pair.model.length + 5);
        assert.ok(Buffer.concat(pair.queue.takeBuffers()).equals(Uint8Array.from(pair.model)));
        assert.equal(pair.queue.length, 0);
        pair.model = [];
        pair.add(10);
        pair.checkTake(20);
      }),
    );
  });

  it('keeps what it has copied until it is dropped', () => {
    const pair = new Pair();
    pair.add(5000);
    pair.checkCopy(0, 3000);
    pair.checkCopy(0, 3000);
    pair.drop(2999);
    pair.checkCopy(0, 10_000);
  });

  it('takes many small pieces into few buffers, none of which is larger than 16 KiB', () => {
    const queue = new ByteQueue();
    const piece = new Uint8Array(10);
    for (let i = 0; i < 10_000; i++) queue.add(piece);
    const buffers = queue.takeBuffers();
    assert.equal(
      buffers.reduce((sum, { length }) => sum + length, 0),
      100_000,
    );
    assert.ok(buffers.length <= 12, `${buffers.length} buffers`);
    assert.ok(buffers.every(({ buffer }) => buffer.byteLength <= 16_384));
  });

  it('gives away copies', () => {
    const queue = new ByteQueue();
    queue.add(Uint8Array.of(1, 2, 3));
    queue.take(2).fill(9);
    queue.add(Uint8Array.of(4));
    assert.deepEqual([...queue.take(9)], [3, 4]);
  });

  it('has no buffers while nothing has been added', () => {
    assert.deepEqual(new ByteQueue().takeBuffers(), []);
  });
});
