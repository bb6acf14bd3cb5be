// The corpus of records against the record layer, each case whole and cut at every byte.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Alert } from '#sluice/tls/alerts.js';
import { runAtOnce } from './at-once.js';
import { alertNumbers } from './build.js';
import { corpus } from './corpus/all.js';
import { bytesOfCase, check, secretsOf, wireOf } from './outcome.js';

/** Cases of more bytes are cut everywhere at once, but not at each byte alone. */
const most = 150;
/** The first cut is another for each case. */
const stride = 7;

test(`${corpus.length} cases of records, each in one piece`, () => {
  for (const c of corpus) check(c, runAtOnce(c, []), true);
});

test(`${corpus.length} cases of records, byte by byte`, () => {
  for (const c of corpus) check(c, runAtOnce(c, 'everywhere'), true);
});

test(`cases of records, in two pieces, cut at each ${stride}th byte`, () => {
  for (const [i, c] of corpus.entries()) {
    const { length } = bytesOfCase(c, wireOf(c, secretsOf(c)).wire);
    if (length > most) continue;
    for (let at = 1 + (i % stride); at < length; at += stride) check(c, runAtOnce(c, [at]), true);
  }
});

test('the names of cases are different', () => {
  const names = corpus.map(({ name }) => name);
  assert.deepEqual(
    names.filter((name, i) => names.indexOf(name) !== i),
    [],
  );
});

test('the alerts of RFC 8446 have their numbers', () => {
  const own = Object.entries(Alert).map(([name, number]) => [name.toLowerCase(), number]);
  for (const [name, number] of Object.entries(alertNumbers))
    assert.ok(
      own.some(([ours, value]) => ours === name.replaceAll('_', '') && value === number),
      name,
    );
});
