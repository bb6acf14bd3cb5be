import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Peer } from '../peers.js';
import { groupsOf } from '../scenarios/crowded.js';

const peer = (name: string): Peer => ({ name, title: name, version: '', command: [], env: {}, compiled: true });
const namesOf = (groups: Peer[][]) => groups.map((group) => group.map(({ name }) => name).join(' '));

test('the floor is in every group; the groups are about equally large', () => {
  const peers = ['floor', 'a', 'b', 'c', 'd', 'e'].map(peer);
  assert.deepEqual(namesOf(groupsOf(peers, 1)), ['floor a', 'floor b', 'floor c', 'floor d', 'floor e']);
  assert.deepEqual(namesOf(groupsOf(peers, 4)), ['floor a c e', 'floor b d']);
  assert.deepEqual(namesOf(groupsOf(peers, 9)), ['floor a b c d e']);
});

test('without a floor, or with nothing else, there are groups all the same', () => {
  assert.deepEqual(namesOf(groupsOf([peer('a')], 5)), ['a']);
  assert.deepEqual(namesOf(groupsOf([peer('floor')], 5)), ['floor']);
});
