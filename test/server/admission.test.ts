// How many connections may stay, in all and of one address: held against plain counting, over every order of coming and going.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { AddressCounts, keyOf } from '#sluice/server/address-counts.js';
import { Admission, type ConnectionSource } from '#sluice/server/admission.js';

/** Connections by slot, as a network has them: free slots are used again. */
class Crowd implements ConnectionSource {
  readonly peers: (string | undefined)[] = [];
  /** How often an address was asked for. */
  asked = 0;
  /** How often it was reported to be full. */
  reported = 0;

  get slots(): number {
    return this.peers.length;
  }

  has(slot: number): boolean {
    return this.peers[slot] !== undefined;
  }

  peer(slot: number): string {
    this.asked++;
    return this.peers[slot] ?? '';
  }

  onFull(): void {
    this.reported++;
  }

  come(peer: string): number {
    const free = this.peers.indexOf(undefined);
    const slot = free === -1 ? this.peers.length : free;
    this.peers[slot] = peer;
    return slot;
  }
}

const step = fc.oneof(
  { weight: 3, arbitrary: fc.record({ comes: fc.nat({ max: 3 }) }) },
  { weight: 2, arbitrary: fc.record({ goes: fc.nat(), turnedAway: fc.boolean() }) },
);

test('a connection is accepted while there are fewer than allowed, in all and from its address', () => {
  const property = fc.property(
    fc.array(step, { maxLength: 200 }),
    fc.integer({ min: 1, max: 12 }),
    fc.integer({ min: 1, max: 12 }),
    (steps, most, mostPerAddress) => {
      const crowd = new Crowd();
      const admission = new Admission(crowd, most, mostPerAddress);
      const staying: number[] = [];
      const turnedAway: number[] = [];
      for (const each of steps) {
        if ('comes' in each) {
          const peer = (port: number) => `10.0.0.${each.comes}:${port}`;
          const isSame = (slot: number) => crowd.peers[slot]?.startsWith(peer(1)) === true;
          const ofAddress = staying.filter(isSame).length;
          const slot = crowd.come(peer(1000));
          const status = staying.length >= most ? 503 : ofAddress >= mostPerAddress ? 429 : 'accepted';
          const expected = status !== 'accepted' && turnedAway.length >= 64 ? 'reset' : status;
          assert.equal(admission.enter(slot), expected);
          (expected === 'accepted' ? staying : turnedAway).push(slot);
        } else {
          const all = each.turnedAway ? turnedAway : staying;
          if (all.length === 0) continue;
          const [slot] = all.splice(each.goes % all.length, 1);
          crowd.peers[slot] = undefined; // the network forgets it first
          admission.leave(slot);
        }
      }
    },
  );
  fc.assert(property, { numRuns: 2000 });
});

test('no address is looked up while there are fewer than half as many connections as one address may have', () => {
  const crowd = new Crowd();
  const admission = new Admission(crowd, 1000, 100);
  for (let i = 0; i < 50; i++) admission.enter(crowd.come(`10.0.0.1:${i}`));
  assert.equal(crowd.asked, 0);
  for (let i = 0; i < 50; i++) admission.enter(crowd.come(`10.0.0.1:${i}`));
  assert.equal(crowd.asked, 100, 'with each that comes, one of those that are there');
  assert.equal(admission.enter(crowd.come('10.0.0.1:5')), 429);
  assert.equal(admission.enter(crowd.come('10.0.0.2:5')), 'accepted');
});

test('connections without a known address count only in the total', () => {
  const crowd = new Crowd();
  const admission = new Admission(crowd, 5, 1);
  const verdicts = Array.from({ length: 6 }, () => admission.enter(crowd.come('')));
  assert.deepEqual(verdicts, ['accepted', 'accepted', 'accepted', 'accepted', 'accepted', 503]);
});

test('of rejected connections, 64 at a time are answered; the rest are reset', () => {
  const crowd = new Crowd();
  const admission = new Admission(crowd, 1, 100);
  admission.enter(crowd.come('10.0.0.1:1'));
  const verdicts = Array.from({ length: 66 }, () => admission.enter(crowd.come('10.0.0.1:1')));
  assert.deepEqual(verdicts.slice(62), [503, 503, 'reset', 'reset']);
  for (let slot = 1; slot <= 66; slot++) admission.leave(slot);
  assert.equal(admission.enter(1), 503);
});

test('the limit is reported once when it is reached, and again only after a tenth of the connections have closed', () => {
  const crowd = new Crowd();
  const admission = new Admission(crowd, 20, 100);
  for (let i = 0; i < 20; i++) admission.enter(crowd.come('10.0.0.1:1'));
  assert.equal(crowd.reported, 0);
  const oneMore = () => {
    const slot = crowd.come('10.0.0.1:1');
    assert.equal(admission.enter(slot), 503);
    admission.leave(slot);
  };
  oneMore();
  oneMore();
  admission.leave(0);
  admission.enter(0);
  oneMore();
  assert.equal(crowd.reported, 1);
  for (const slot of [0, 1]) admission.leave(slot);
  for (const slot of [0, 1]) admission.enter(slot);
  oneMore();
  assert.equal(crowd.reported, 2);
});

test('addresses are counted separately, and forgotten when their last connection has closed', () => {
  const counts = new AddressCounts();
  const rows = Array.from({ length: 5000 }, (_, i) => counts.enter(`10.0.${i >> 8}.${i & 255}:80`));
  assert.equal(new Set(rows).size, 5000);
  for (const row of rows) assert.equal(counts.count(row), 1);
  assert.equal(counts.enter('10.0.3.7:9999'), rows[3 * 256 + 7]);
  assert.equal(counts.count(rows[3 * 256 + 7]), 2);
  counts.leave(rows[3 * 256 + 7]);
  for (const row of rows) counts.leave(row);
  const again = Array.from({ length: 5000 }, (_, i) => counts.enter(`[2001:db8:0:${i.toString(16)}::1]:80`));
  assert.deepEqual(
    [...again].sort((a, b) => a - b),
    [...rows].sort((a, b) => a - b),
    'the rows of those that have gone are used again',
  );
  for (const row of again) assert.equal(counts.count(row), 1);
});

test('an IPv4 address counts whole, an IPv6 address by its first 64 bits', () => {
  const addresses: [peer: string, key: [number, number] | undefined][] = [
    ['127.0.0.1:5678', [0, 0x7f000001]],
    ['255.255.255.255:65535', [0, 0xffffffff]],
    ['[2001:db8:1:2:3:4:5:6]:80', [0x20010db8, 0x00010002]],
    ['[2001:db8:1:2::6]:80', [0x20010db8, 0x00010002]],
    ['[2001:db8::1:2:3:4]:80', [0x20010db8, 0]],
    ['[2001:db8::9:1:2:3:4]:80', [0x20010db8, 9]],
    ['[::1]:80', [0, 0]],
    ['[fe80::1%eth0]:80', [0xfe800000, 0]],
    ['[64:ff9b::192.0.2.1]:80', [0x0064ff9b, 0]],
    ['[ffff:ffff:ffff:ffff::]:80', [0xffffffff, 0xffffffff]],
    ['', undefined],
    ['localhost:80', undefined],
    ['/tmp/a.sock', undefined],
  ];
  for (const [peer, key] of addresses) assert.deepEqual(keyOf(peer), key, peer);
});
