import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MemoryGauge } from '../memory-gauge.js';

test('the memory is looked at when the last look is long enough ago', () => {
  const gauge = new MemoryGauge();
  gauge.look(60);
  gauge.look(60);
  assert.equal(gauge.readings.length, 1);
  gauge.look(0);
  assert.equal(gauge.readings.length, 2);
  for (const reading of gauge.readings) assert.ok(reading > 0 && reading < 100_000, `${reading} ns`);
});
