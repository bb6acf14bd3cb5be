import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Peer } from '../peers.js';
import { hello } from '../scenarios/hello.js';

const peers = ['floor', 'a'].map(
  (name): Peer => ({ name, title: name, version: '', command: [], env: {}, compiled: true }),
);
const blocks = (quick: boolean) => hello.blocks({ peers, quick, record() {} });

test('a whole run of hello has several generations of servers, whose rounds are counted on', () => {
  const all = blocks(false);
  assert.ok(all.length > 1);
  const rounds = all.flatMap((block) => block.rounds.map((steps) => [...new Set(steps.map(({ round }) => round))]));
  assert.deepEqual(
    rounds,
    rounds.map((_, i) => [i + 1]),
  );
  for (const block of all) assert.equal(block.ready.length, peers.length);
  // The loads of all end, and all servers but the last are stopped when they are done with; those go on to other scenarios.
  assert.deepEqual(
    all.map(({ over }) => over.length),
    all.map((_, i) => peers.length + (i < all.length - 1 ? 1 : 0)),
  );
});

test('a quick run of hello has one', () => {
  const [only, ...others] = blocks(true);
  assert.equal(others.length, 0);
  assert.ok(only?.over.every(({ label }) => label !== 'stop the servers'));
});
