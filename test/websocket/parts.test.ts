// Messages that are read in parts, so that they are never in memory as a whole.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openCompression } from '#sluice/websocket/compression.js';
import { deflateSettings } from '#sluice/websocket/extensions.js';
import { MessageParser, type PartialMessage } from '#sluice/websocket/messages.js';
import { binary, compressed, deflated, fragments, join, opcode, ping, text } from './corpus/build.js';

const settings = (takeover: boolean) =>
  deflateSettings({ serverContextTakeover: takeover, clientContextTakeover: takeover });
const open = (takeover: boolean) => openCompression('server', settings(takeover), settings(takeover));

/** Reads parts up to the end of a message, or of the bytes. */
function partsOf(
  parser: MessageParser,
  bytes: Uint8Array,
  partial: PartialMessage | undefined,
  options: { inflater?: ReturnType<typeof open>['inflater']; most?: number; start?: number } = {},
): { parts: (string | Uint8Array)[]; others: string[]; isComplete: boolean; held: number } {
  const parts: (string | Uint8Array)[] = [];
  const others: string[] = [];
  let held = 0;
  let state = partial;
  for (let at = options.start ?? 0; ; at = parser.position) {
    const received = parser.nextPart(bytes, at, bytes.length, state, options.inflater, options.most);
    state = parser.partial;
    held = Math.max(held, state?.held ?? 0);
    if (received === 'none') return { parts, others, isComplete: false, held };
    if (received !== 'part') {
      others.push(received);
      continue;
    }
    parts.push(parser.data);
    if (parser.isLast) return { parts, others, isComplete: true, held };
  }
}

const parser = new MessageParser('server', 1000);

test('a part is what has come of a message, and a text is cut between characters', () => {
  const message = text('Hellö €uro');
  const first = partsOf(parser, message.subarray(0, 6 + 5), undefined);
  assert.deepEqual(first.parts, ['Hell']);
  const second = partsOf(parser, message.subarray(6 + 5, 6 + 8), parser.partial);
  assert.deepEqual(second.parts, ['ö ']);
  const third = partsOf(parser, message.subarray(6 + 8), parser.partial);
  assert.deepEqual(third.parts, ['€uro']);
  assert.ok(third.isComplete);
  assert.equal(parser.partial, undefined);
});

test('control frames come between the parts', () => {
  const { parts, others } = partsOf(
    parser,
    join(text('Hel', { fin: false }), ping(), fragments(opcode.continuation, ['lo'])),
    undefined,
  );
  assert.deepEqual([parts.join(''), others], ['Hello', ['ping']]);
});

for (const how of ['plain', 'compressed', 'taken over'] as const) {
  const content = Array.from({ length: 100 }, (_, i) => `${i * i};`).join('');
  const message = how === 'plain' ? text(content) : text(deflated(content, { level: 1 }), compressed);
  const isCompressed = how !== 'plain';

  test(`the first part of a message that was to be read as a whole is all that has come of it, ${how}`, () => {
    const compression = isCompressed ? open(how === 'taken over') : undefined;
    const inflater = compression?.inflater;
    const middle = message.length - 10;
    assert.equal(parser.next(message, 0, middle, undefined, inflater), 'none');
    const { partial } = parser;
    const before = partsOf(parser, new Uint8Array(0), partial, { inflater });
    assert.equal(before.parts.length, 1);
    assert.ok(content.startsWith(String(before.parts[0])) && before.parts[0].length > 50);
    const after = partsOf(parser, message.subarray(middle), parser.partial, { inflater });
    assert.equal([...before.parts, ...after.parts].join(''), content);
    compression?.close();
  });

  test(`what is left of a message in parts is skipped when the next message is asked for, ${how}`, () => {
    const compression = isCompressed ? open(how === 'taken over') : undefined;
    const inflater = compression?.inflater;
    const all = join(message, ping('p'), text('next'));
    const middle = message.length - 10;
    assert.equal(parser.nextPart(all, 0, middle, undefined, inflater), 'part');
    const { partial } = parser;
    assert.equal(parser.next(all, middle, all.length - 3, partial, inflater), 'ping');
    assert.equal(parser.next(all, parser.position, all.length - 3, parser.partial, inflater), 'none');
    assert.equal(parser.next(all, all.length - 3, all.length, parser.partial, inflater), 'text');
    assert.equal(parser.data, 'next');
    compression?.close();
  });
}

for (const takeover of [false, true])
  test(`64 MiB that were compressed to 64 KiB are given out in parts of about 64 KiB, context takeover ${takeover}`, () => {
    const compression = open(takeover);
    const size = 64 * 1024 * 1024;
    const bomb = binary(deflated(new Uint8Array(size)), compressed);
    const options = { inflater: compression.inflater, most: Infinity };
    const { parts, isComplete, held } = partsOf(parser, bomb, undefined, options);
    assert.ok(isComplete);
    assert.equal(
      parts.reduce((sum, part) => sum + part.length, 0),
      size,
    );
    assert.ok(Math.max(...parts.map((part) => part.length)) <= 128 * 1024);
    assert.ok(held <= 256 * 1024, `${held} bytes are held`);
    // It may be more than a message as a whole, but no more than it may.
    assert.throws(() => partsOf(parser, bomb, undefined, { ...options, most: size - 1 }), { closeCode: 1009 });
    compression.close();
  });

test('a message in parts may be larger than one as a whole', () => {
  const long = binary(new Uint8Array(3000));
  assert.throws(() => parser.next(long, 0, long.length, undefined, undefined), { closeCode: 1009 });
  assert.throws(() => partsOf(parser, long, undefined), { closeCode: 1009 });
  const { parts } = partsOf(parser, long, undefined, { most: 3000 });
  assert.equal(parts.length, 1);
  assert.equal(parts[0].length, 3000);
});

test('messages of other sockets between the parts of a compressed message change nothing', () => {
  const { inflater } = open(false);
  const content = Array.from({ length: 150 }, (_, i) => `${i * i};`).join('');
  const message = text(deflated(content), compressed);
  const other = text(deflated('other'), compressed);
  const parts: string[] = [];
  let partial: PartialMessage | undefined;
  for (let at = 0; at < message.length; at += 50) {
    parts.push(...partsOf(parser, message.subarray(at, at + 50), partial, { inflater }).parts.map(String));
    partial = parser.partial;
    assert.equal(parser.next(other, 0, other.length, undefined, inflater), 'text');
    assert.equal(parser.data, 'other');
  }
  assert.equal(parts.join(''), content);
  assert.equal(partial, undefined);
});

test('no more memory is taken than four times what has come of a message', () => {
  const large = new MessageParser('server', 2 ** 30);
  const message = binary(new Uint8Array(0), { length: 2 ** 29 });
  assert.equal(large.next(message, 0, message.length, undefined, undefined), 'none');
  const { partial } = large;
  assert.ok(partial);
  const piece = new Uint8Array(1000);
  for (let sum = 1000; sum < 100_000; sum += 1000) {
    const before = partial.held;
    const growth = partial.growth(piece.length);
    large.next(piece, 0, piece.length, partial, undefined);
    assert.ok(partial.held <= before + growth);
    assert.ok(partial.held <= 4 * sum, `${partial.held} bytes are held for ${sum}`);
  }
});
