import assert from 'node:assert/strict';
import { test } from 'node:test';
import { requestWork, TurnShares } from '#sluice/connection/turn-shares.js';

const most = 10 * requestWork;

test('the share of a turn: requests and chunks of all kinds add up, for each connection by itself', () => {
  const shares = new TurnShares(() => 0);
  for (let i = 0; i < 5; i++) shares.spend(3, requestWork);
  shares.spend(3, 4 * requestWork); // chunks
  shares.spend(100, most);
  assert.deepEqual([shares.isSpent(3, most), shares.isSpent(100, most), shares.isSpent(7, most)], [false, true, false]);
  shares.spend(3, requestWork);
  assert.equal(shares.isSpent(3, most), true);
});

test('the share of a turn is whole again in the next one', () => {
  const shares = new TurnShares(() => 0);
  for (let turn = 0; turn < 5000; turn++) {
    assert.equal(shares.isSpent(turn % 2, most), false);
    shares.spend(turn % 2, most);
    assert.equal(shares.isSpent(turn % 2, most), true);
    shares.next();
  }
});

test('the share of a turn is over when a connection has worked for long at a stretch, but not before its second request', () => {
  let now = 1000;
  const shares = new TurnShares(() => now);
  const request = (slot: number, milliseconds: number) => {
    const isSpent = shares.isSpent(slot, most);
    if (!isSpent) {
      shares.spend(slot, 1);
      now += milliseconds;
    }
    return isSpent;
  };
  assert.deepEqual([request(1, 50), request(1, 50), request(1, 50)], [false, false, true]);
  assert.deepEqual([request(2, 0.1), request(2, 0.1), request(2, 0.1)], [false, false, false]);
  shares.next();
  assert.deepEqual([request(1, 50), request(1, 50), request(1, 50)], [false, false, true]);
});
