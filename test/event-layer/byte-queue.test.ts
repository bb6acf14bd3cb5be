import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ByteQueue } from '#sluice/event-layer/simulated/byte-queue.js';

test('bytes leave a queue in the order in which they were put in', () => {
  const step = fc.oneof(
    fc.record({ put: fc.uint8Array({ maxLength: 3000 }) }),
    fc.record({ take: fc.integer({ min: 0, max: 3000 }) }),
    fc.constant('clear' as const),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const queue = new ByteQueue();
      let model = Buffer.alloc(0);
      for (const step of steps) {
        if (step === 'clear') {
          queue.clear();
          model = Buffer.alloc(0);
        } else if ('put' in step) {
          queue.put(step.put);
          model = Buffer.concat([model, step.put]);
        } else {
          assert.deepEqual(Buffer.from(queue.take(step.take)), model.subarray(0, step.take));
          model = model.subarray(step.take);
        }
        assert.equal(queue.length, model.length);
      }
    }),
  );
});

test('what a queue is given, and what it has given, is not its own', () => {
  const queue = new ByteQueue();
  const given = Uint8Array.of(1, 2, 3);
  queue.put(given);
  given.fill(9);
  const taken = queue.take(2);
  assert.deepEqual([...taken], [1, 2]);
  taken.fill(9);
  queue.put(Uint8Array.of(4));
  assert.deepEqual([...queue.take(9)], [3, 4]);
});
