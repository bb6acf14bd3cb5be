import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Peer } from '../peers.js';
import { Enough, roundsText } from '../scenarios/enough.js';

const peer = (name: string): Peer => ({ name, title: name, version: '', command: [], env: {}, compiled: true });
const peers = ['floor', 'a'].map(peer);

/** Has the peer's figure be these multiples of the floor's, round by round, for as long as there are rounds. @returns how many there were */
function play(least: number, multiples: number[], generations = 1): number {
  const enough = new Enough({ generations, least }, ['cpu']);
  for (const [i, multiple] of multiples.entries()) {
    const round = i + 1;
    const isOver = enough.isOver(round, peers);
    assert.equal(enough.isOver(round, peers), isOver, 'the second peer of a round');
    if (isOver) return i;
    enough.add({ peer: 'floor', round, figures: { cpu: 10 }, problems: [] });
    if (!Number.isNaN(multiple)) enough.add({ peer: 'a', round, figures: { cpu: 10 * multiple }, problems: [] });
  }
  return multiples.length;
}

test('rounds go on until the ratios are known, and not before there are as many as there must be', () => {
  assert.equal(play(4, Array(50).fill(2)), 4);
  const wavering = Array.from({ length: 200 }, (_, i) => (i % 2 === 0 ? 2 : 3));
  // The logarithms differ from their mean by 0.203: it takes (0.203 / 0.03)² rounds.
  assert.ok(Math.abs(play(4, wavering) - 46) <= 2);
  assert.ok(Math.abs(play(4, wavering, 2) - 23) <= 2, 'two generations have half of the rounds each');
});

test('what cannot be measured is not waited for', () => {
  assert.equal(play(4, Array(50).fill(Number.NaN)), 4);
});

test('once there have been enough rounds, there are no more', () => {
  const enough = new Enough({ generations: 1, least: 2 }, ['cpu']);
  const add = (round: number, cpu: number) => {
    enough.add({ peer: 'floor', round, figures: { cpu: 10 }, problems: [] });
    enough.add({ peer: 'a', round, figures: { cpu }, problems: [] });
  };
  add(1, 20);
  add(2, 20);
  assert.equal(enough.isOver(3, peers), true);
  add(3, 90);
  assert.equal(enough.isOver(4, peers), true);
});

test('how many rounds there are is said in words', () => {
  assert.equal(roundsText({ generations: 1, rounds: 6, least: 6 }), '6 rounds');
  assert.match(
    roundsText({ generations: 2, rounds: 40, least: 12 }),
    /^2 generations of servers, 12 to 40 rounds of each \(.*3 %\)$/,
  );
});
