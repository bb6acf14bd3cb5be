import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compare } from './conformance/compare.js';
import type { Classes } from './conformance/statement.js';
import { light, platform } from './differential.js';

test('what the fetch standard says of the classes holds for ours wherever it holds for the platform’s', async () => {
  const { ours, failures, neither } = await compare(platform as unknown as Classes, light as unknown as Classes);
  assert.deepEqual(failures, []);
  assert.ok(ours > 900, `${ours} statements hold; not: ${neither.join('\n')}`);
});
