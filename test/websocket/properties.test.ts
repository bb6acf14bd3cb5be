// What holds for all messages and all bytes, however they are cut.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { outputMemory } from '#sluice/util/output-memory.js';
import { type Compression, openCompression } from '#sluice/websocket/compression.js';
import { deflateSettings } from '#sluice/websocket/extensions.js';
import {
  FIN,
  opcodes,
  RSV1,
  serverFrame,
  textFrameRoom,
  writeFrame,
  writeTextFrame,
} from '#sluice/websocket/frames.js';
import { applyMask, turnMask } from '#sluice/websocket/mask.js';
import { MessageParser } from '#sluice/websocket/messages.js';
import { checkUtf8, cutBytes, utf8Boundary, utf8Invalid } from '#sluice/websocket/utf8.js';
import { feed, type Heard, hex } from './feed.js';

const key = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 });
const anyText = fc.string({ unit: 'binary', maxLength: 300 });
const bytes = (maxLength: number): fc.Arbitrary<Uint8Array> => fc.uint8Array({ maxLength });
const cuts = fc.array(fc.integer({ min: 1, max: 40 }), { maxLength: 30 });

/** Half of a surrogate pair becomes U+FFFD. */
const wellFormed = (text: string): string => Buffer.from(text).toString();

/** One message or control frame, sent by a client. */
const action = fc.oneof(
  fc.record({ text: anyText, fragments: fc.constant([] as number[]), isCompressed: fc.boolean() }),
  fc.record({ bytes: bytes(300), fragments: fc.array(fc.nat(50), { maxLength: 4 }), isCompressed: fc.boolean() }),
  fc.record({ control: fc.constantFrom(opcodes.ping, opcodes.pong), bytes: bytes(125) }),
);
type Action = typeof action extends fc.Arbitrary<infer A> ? A : never;

/** What a client sends for these actions, and what a server must hear. */
function encode(actions: Action[], maskKey: number, compression: Compression): { sent: Uint8Array; heard: Heard[] } {
  const output = outputMemory(Buffer.alloc(64 * 1024));
  const heard: Heard[] = [];
  let at = 0;
  for (const each of actions) {
    if ('control' in each) {
      at = writeFrame(output, at, FIN | each.control, each.bytes, maskKey);
      heard.push(each.control === opcodes.ping ? { ping: hex(each.bytes) } : { pong: hex(each.bytes) });
      continue;
    }
    const message = 'text' in each ? each.text : each.bytes;
    heard.push(typeof message === 'string' ? { text: wellFormed(message) } : { binary: hex(message) });
    if (typeof message === 'string' && !each.isCompressed) {
      at = writeTextFrame(output, at, message, maskKey);
      continue;
    }
    let first: number = typeof message === 'string' ? opcodes.text : opcodes.binary;
    let payload = typeof message === 'string' ? Buffer.from(message) : message;
    if (each.isCompressed && compression.compress(message, 0)) {
      first |= RSV1;
      payload = compression.deflater.bytes.slice(0, compression.deflater.length);
    }
    for (const length of each.fragments) {
      at = writeFrame(output, at, first, payload.subarray(0, length), maskKey);
      first = opcodes.continuation;
      payload = payload.subarray(length);
    }
    at = writeFrame(output, at, FIN | first, payload, maskKey);
  }
  return { sent: output.subarray(0, at), heard };
}

for (const takeover of [false, true])
  test(`messages of every kind arrive as they were sent, compressed ${takeover ? 'with' : 'without'} context takeover, however they are cut`, () => {
    const settings = deflateSettings({ clientContextTakeover: takeover });
    const parameters = { ...settings, serverMaxWindowBits: 15, clientMaxWindowBits: 15 };
    const parser = new MessageParser('server', 10_000);
    fc.assert(
      fc.property(
        fc.array(action, { maxLength: 6 }),
        key,
        cuts,
        fc.constantFrom('whole', 'parts'),
        (actions, maskKey, cut, reading) => {
          const client = openCompression('client', parameters, settings);
          const server = openCompression('server', parameters, settings);
          const { sent, heard } = encode(actions, maskKey, client);
          const got = feed(parser, sent, cut, { inflater: server.inflater, reading });
          if (reading === 'whole') assert.deepEqual(got, { heard, partial: undefined });
          else {
            // Control frames come as they are, between the parts of a message.
            const isControl = (each: Heard): boolean => 'ping' in each || 'pong' in each;
            assert.deepEqual(got.heard.filter(isControl), heard.filter(isControl));
            assert.deepEqual(
              got.heard.filter((each) => !isControl(each)),
              heard.filter((each) => !isControl(each)),
            );
          }
          client.close();
          server.close();
        },
      ),
      { numRuns: 400 },
    );
  });

test('bytes at random give messages or a WebSocketError, the same ones however they are cut', () => {
  const settings = deflateSettings({});
  const { inflater } = openCompression('server', { ...settings, serverMaxWindowBits: 15 }, settings);
  const parser = new MessageParser('server', 1000);
  /** Headers that are often right, so that what comes behind them is read, too. */
  const header = fc
    .record({
      first: fc.constantFrom(0x81, 0x82, 0x01, 0x02, 0x80, 0x00, 0xc1, 0xc2, 0x88, 0x89, 0x8a, 0x41),
      length: fc.nat(130),
      key,
    })
    .map(({ first, length, key: maskKey }) => {
      const frame = new Uint8Array(8);
      frame.set([first, 0x80 | Math.min(length, 127)]);
      new DataView(frame.buffer).setInt32(2, maskKey);
      return frame.subarray(0, 6);
    });
  const stream = fc
    .array(fc.oneof({ weight: 3, arbitrary: header }, { weight: 4, arbitrary: bytes(20) }), { maxLength: 8 })
    .map((pieces) => Buffer.concat(pieces));
  fc.assert(
    fc.property(stream, cuts, fc.boolean(), (sent, cut, isCompressed) => {
      const options = { inflater: isCompressed ? inflater : undefined };
      assert.deepEqual(feed(parser, sent, cut, options).heard, feed(parser, sent, [], options).heard);
      feed(parser, sent, cut, { ...options, reading: 'parts' });
    }),
    { numRuns: 3000 },
  );
});

test('a payload is masked at every alignment, in pieces as at once, and unmasked by the same', () => {
  fc.assert(
    fc.property(
      fc.oneof(bytes(100), bytes(1500)),
      key,
      fc.nat(9),
      fc.nat(9),
      fc.nat(900),
      (payload, maskKey, from, to, cut) => {
        const source = new Uint8Array(from + payload.length + 5);
        source.set(payload, from);
        const target = new Uint8Array(to + payload.length + 5);
        const view = new DataView(target.buffer);
        const middle = Math.min(cut, payload.length);
        applyMask(source, from, from + middle, view, to, maskKey);
        applyMask(source, from + middle, from + payload.length, view, to + middle, turnMask(maskKey, middle));
        const keyBytes = new Uint8Array(Int32Array.of(maskKey).buffer);
        const expected = new Uint8Array(target.length);
        payload.forEach((byte, i) => {
          expected[to + i] = byte ^ keyBytes[i % 4];
        });
        assert.deepEqual(target, expected);
        const hasOther = applyMask(target, to, to + payload.length, view, to, maskKey);
        assert.deepEqual(target.subarray(to, to + payload.length), payload);
        assert.equal(
          hasOther,
          payload.some((byte) => byte >= 128),
        );
      },
    ),
    { numRuns: 1000 },
  );
});

test('UTF-8 in pieces is accepted where TextDecoder accepts the whole, and refused at the byte where it cannot be right any more', () => {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  const isValid = (all: Uint8Array): boolean => {
    try {
      decoder.decode(all);
      return true;
    } catch {
      return false;
    }
  };
  /** Whether some bytes could follow, so that the whole is valid. */
  const canContinue = (all: Uint8Array): boolean => {
    const ends = ['', '80', '8080', '808080', 'bf', 'bfbf', 'bfbfbf', '90', '9080', '908080', 'a0', 'a080'];
    return ends.some((end) => isValid(Buffer.concat([all, Buffer.from(end, 'hex')])));
  };
  const interesting = fc.constantFrom(
    0x41,
    0x7f,
    0x80,
    0x8f,
    0x90,
    0x9f,
    0xa0,
    0xbf,
    0xc0,
    0xc1,
    0xc2,
    0xdf,
    0xe0,
    0xe1,
    0xed,
    0xef,
    0xf0,
    0xf1,
    0xf4,
    0xf5,
    0xff,
  );
  const piece = fc.oneof(
    anyText.map((text) => new TextEncoder().encode(text)),
    fc.array(interesting, { maxLength: 5 }).map((list) => Uint8Array.from(list)),
  );
  fc.assert(
    fc.property(
      fc.array(piece, { maxLength: 4 }).map((pieces) => Buffer.concat(pieces)),
      cuts,
      (all, cut) => {
        let state = utf8Boundary;
        let at = 0;
        for (const size of [...cut, all.length]) {
          const end = Math.min(all.length, at + size);
          state = checkUtf8(all, at, end, state);
          assert.equal(state === utf8Invalid, !canContinue(all.subarray(0, end)));
          if (state === utf8Invalid) return;
          assert.ok(isValid(all.subarray(0, end - cutBytes(state))));
          at = end;
        }
        assert.equal(state === utf8Boundary, isValid(all));
      },
    ),
    { numRuns: 2000 },
  );
});

test('a frame for many clients is the one that would be written for each', () => {
  fc.assert(
    fc.property(fc.oneof(anyText, bytes(300)), (message) => {
      const output = outputMemory(Buffer.alloc(2000));
      const end =
        typeof message === 'string'
          ? writeTextFrame(output, 0, message, undefined)
          : writeFrame(output, 0, FIN | opcodes.binary, message, undefined);
      if (typeof message === 'string') assert.ok(end <= textFrameRoom(message));
      assert.deepEqual(serverFrame(message), new Uint8Array(output.subarray(0, end)));
      const { heard } = feed(new MessageParser('client', 2000), output.subarray(0, end), []);
      assert.deepEqual(heard, [typeof message === 'string' ? { text: wellFormed(message) } : { binary: hex(message) }]);
    }),
    { numRuns: 300 },
  );
});
