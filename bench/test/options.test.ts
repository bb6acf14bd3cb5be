import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Known, parseOptions } from '../options.js';

const known: Known = { scenarios: ['hello', 'mixed'], peers: ['sluice', 'node'], layers: ['uring', 'epoll'] };

test('scenarios, peers and layers are read', () => {
  const options = parseOptions(
    ['hello', '--quick', '--peers', 'sluice,node', '--layer', 'epoll', '--against', '../x'],
    known,
  );
  assert.deepEqual(options, {
    scenarios: ['hello'],
    quick: true,
    help: false,
    peers: ['sluice', 'node'],
    layers: ['epoll'],
    against: '../x',
  });
});

for (const [args, message] of [
  [['helo'], 'unknown scenario helo; expected some of hello, mixed'],
  [['--peers', 'apache'], 'unknown peer apache; expected some of sluice, node'],
  [['--peers', ','], '--peers is empty; expected names, separated by commas'],
  [['--layer', 'kqueue'], 'unknown event layer kqueue; expected some of uring, epoll'],
  [['--peers', 'node', '--layer', 'epoll'], '--layer epoll is about sluice, which --peers node leaves out'],
] as const) {
  test(`${args.join(' ')} is refused`, () => {
    assert.throws(() => parseOptions([...args], known), { message });
  });
}
