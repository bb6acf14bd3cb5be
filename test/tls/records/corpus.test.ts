// The corpus of records against the record layer, each case whole and cut at every byte.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Alert } from '#sluice/tls/alerts.js';
import { runAtOnce } from './at-once.js';
import { alertNumbers } from './build.js';
import { isBulky } from './case.js';
import { corpus } from './corpus/all.js';
import { bytesOfCase, check, secretsOf, wireOf } from './outcome.js';
import { simulate } from './simulation.js';

/** Cases of more bytes are cut everywhere at once, but not at each byte alone. */
const most = 150;
/** The first cut is another for each case. */
const stride = 17;

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

/** Byte by byte takes a turn for each byte. All cases are cut so above, without a network. */
const small = corpus.filter((c) => !isBulky(c)).filter((_, i) => i % 6 === 0);

test(`${corpus.length} cases of records, in a simulated world, in one piece`, () =>
  simulate(corpus, { pieces: 'whole', capacity: 2 ** 20 }));

test(`${small.length} cases of records, in a simulated world, byte by byte`, () =>
  simulate(small, { pieces: 1, latency: 0.01 }));

test(`${corpus.length} cases of records, in a simulated world, cut, merged and delayed at random`, () =>
  simulate(corpus, { seed: 1, latency: 3 }));

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
