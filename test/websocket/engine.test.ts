// The corpus against the engine alone: as one piece, cut at every byte, byte by byte.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { corpus } from './corpus/all.js';
import { isBulky } from './corpus/case.js';
import { each, type Heard } from './feed.js';
import { read } from './read.js';

/** Cutting a case of so many bytes at each of them takes too long. */
const mostCuts = 400;

test('the corpus has more than 300 cases, each with a name of its own', () => {
  const names = corpus.map(({ name }) => name);
  assert.ok(names.length > 300, `${names.length} cases`);
  assert.deepEqual(
    names.filter((name, i) => names.indexOf(name) !== i),
    [],
  );
});

for (const c of corpus)
  test(`${c.section}: ${c.name}`, () => {
    const expected = { heard: c.heard, left: c.left };
    assert.deepEqual(read(c, []), expected, 'in one piece');
    const step = Math.ceil(c.sent.length / mostCuts);
    for (let cut = 1; cut < c.sent.length; cut += step) assert.deepEqual(read(c, [cut]), expected, `cut at ${cut}`);
    if (!isBulky(c)) assert.deepEqual(read(c, each(1)), expected, 'byte by byte');
    assert.deepEqual(read(c, each(isBulky(c) ? 1499 : 3)), expected, 'in pieces');
    // In parts: the same messages. Where a message fails, what came of it before has been given out.
    const withoutPings = (heard: readonly Heard[]): Heard[] => heard.filter((one) => !('ping' in one || 'pong' in one));
    for (const size of isBulky(c) ? [1e6, 1499] : [1e6, 3, 1])
      assert.deepEqual(
        withoutPings(read(c, each(size), 'parts').heard),
        withoutPings(c.heard),
        `in parts, pieces of ${size}`,
      );
  });
