// permessage-deflate is negotiated as RFC 7692 says; and what has been agreed on is kept.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { constants, deflateRawSync, inflateRawSync } from 'node:zlib';
import { openCompression } from '#sluice/websocket/compression.js';
import {
  acceptDeflate,
  deflateSettings,
  offerDeflate,
  parseExtensions,
  readAcceptedDeflate,
} from '#sluice/websocket/extensions.js';
import { answerCases, offerCases } from './corpus/negotiation.js';

for (const { section, name, offer, options, response } of offerCases)
  test(`${section}: an offer of ${name}, ${response === 'malformed' || response === 'none' ? response : 'accepted'} (${JSON.stringify(options)})`, () => {
    const offers = parseExtensions(offer);
    if (offers === undefined) {
      assert.equal('malformed', response);
      return;
    }
    const accepted = acceptDeflate(offers, deflateSettings(options));
    assert.equal(accepted?.response ?? 'none', response);
    if (accepted === undefined) return;
    // What the client reads from the response is what the server does.
    const answer = parseExtensions(accepted.response) ?? [];
    const read = readAcceptedDeflate(
      answer,
      deflateSettings({ serverContextTakeover: true, clientContextTakeover: true }),
    );
    assert.deepEqual(read, accepted.parameters);
  });

for (const { name, options, answer, outcome } of answerCases)
  test(`RFC 7692 §7.1: the answer of a server: ${name}`, () => {
    const settings = options && deflateSettings(options);
    const read = (): unknown => readAcceptedDeflate(parseExtensions(answer) ?? [], settings);
    if (outcome instanceof RegExp) assert.throws(read, outcome);
    else if (outcome === 'none') assert.equal(read(), undefined);
    else
      assert.deepEqual(read(), {
        serverContextTakeover: outcome.server,
        clientContextTakeover: outcome.client,
        serverMaxWindowBits: outcome.serverBits,
        clientMaxWindowBits: outcome.clientBits,
      });
  });

test('a client and a server with any options agree, or do without', () => {
  const choices = [8, 9, 12, 15];
  for (let i = 0; i < 4 ** 4 * 16; i++) {
    const bits = (shift: number): number => choices[(i >> shift) & 3];
    const flag = (shift: number): boolean => ((i >> shift) & 1) === 1;
    const client = deflateSettings({
      serverMaxWindowBits: bits(0),
      clientMaxWindowBits: bits(2),
      serverContextTakeover: flag(8),
      clientContextTakeover: flag(9),
    });
    const server = deflateSettings({
      serverMaxWindowBits: bits(4),
      clientMaxWindowBits: bits(6),
      serverContextTakeover: flag(10),
      clientContextTakeover: flag(11),
    });
    const accepted = acceptDeflate(parseExtensions(offerDeflate(client)) ?? [], server);
    assert.ok(accepted, 'client_max_window_bits is always offered');
    assert.deepEqual(readAcceptedDeflate(parseExtensions(accepted.response) ?? [], client), accepted.parameters);
  }
});

const sentence = 'the quick brown fox jumps over the lazy dog; ';
/** Without repetitions, so that a repetition is as far away as the text is long. */
const noise = deflateRawSync(Array.from({ length: 30_000 }, (_, i) => `${i * i}`).join(''))
  .toString('base64')
  .slice(0, 20_000);

for (const bits of [8, 9, 10, 12, 15])
  for (const takeover of [false, true])
    test(`messages in a window of 2^${bits} bytes, ${takeover ? 'with' : 'without'} context takeover, refer to nothing farther away`, () => {
      const settings = deflateSettings({ serverMaxWindowBits: bits, serverContextTakeover: takeover, threshold: 0 });
      const server = openCompression('server', settings, settings);
      const client = openCompression('client', settings, settings);
      const parts: Buffer[] = [];
      for (const message of [
        sentence.repeat(3),
        'x'.repeat(3000),
        noise.slice(0, 2 ** (bits - 1)),
        noise + noise,
        noise,
      ]) {
        if (!server.compress(message)) continue;
        const payload = Buffer.concat([server.deflater.bytes.subarray(0, server.deflater.length)]);
        client.inflater.inflate(payload, 0, payload.length, 100_000);
        assert.equal(Buffer.from(client.inflater.bytes.subarray(0, client.inflater.length)).toString(), message);
        parts.push(payload, Buffer.of(0, 0, 0xff, 0xff));
        if (takeover) continue;
        assert.ok(farthest(Buffer.concat(parts)) <= 2 ** bits);
        parts.length = 0;
      }
      if (takeover) assert.ok(farthest(Buffer.concat(parts)) <= 2 ** bits);
      server.close();
      client.close();
    });

test('the check of distances finds those that are too long', () => {
  assert.equal(farthest(deflateRawSync(noise + noise, { finishFlush: constants.Z_SYNC_FLUSH })), 2 ** 15);
  const near = noise.slice(0, 3000);
  assert.equal(farthest(deflateRawSync(near + near, { finishFlush: constants.Z_SYNC_FLUSH })), 2 ** 12);
});

/** The longest distance that DEFLATE data refer to, by trying windows: zlib refuses what is farther away than its window, if that is all it has. */
function farthest(data: Buffer): number {
  const whole = Buffer.concat([data, Buffer.of(3, 0)]);
  const content = inflateRawSync(whole);
  // A window is only as small as it says when the output is given out in pieces that are smaller.
  for (let bits = 8; bits < 15; bits++) {
    try {
      if (inflateRawSync(whole, { windowBits: bits, chunkSize: 64 }).equals(content)) return 2 ** bits;
    } catch {
      // too far away
    }
  }
  return 2 ** 15;
}

test('sockets without context takeover share one compression; others have their own', () => {
  const settings = deflateSettings({});
  assert.equal(openCompression('server', settings, settings), openCompression('server', settings, settings));
  assert.ok(openCompression('server', settings, settings).isShared);
  for (const side of ['serverContextTakeover', 'clientContextTakeover'] as const) {
    const own = deflateSettings({ [side]: true });
    const one = openCompression('server', own, own);
    const other = openCompression('server', own, own);
    assert.notEqual(one, other);
    assert.equal(one.deflater === other.deflater, side === 'clientContextTakeover');
    assert.equal(one.inflater === other.inflater, side === 'serverContextTakeover');
    assert.equal(one.isShared, side === 'clientContextTakeover');
    one.close();
    other.close();
  }
});

test('a message below the threshold, or that would grow, is not compressed', () => {
  const settings = deflateSettings({ threshold: 100 });
  const compression = openCompression('server', settings, settings);
  assert.equal(compression.compress('x'.repeat(99)), false);
  assert.equal(compression.compress('x'.repeat(100)), true);
  assert.equal(compression.compress(new Uint8Array(99)), false);
  assert.equal(compression.compress('€'.repeat(33)), false, '99 bytes');
  assert.equal(compression.compress('€'.repeat(34)), true, '102 bytes');
  assert.equal(compression.compress('short', 0), false, 'it would take more bytes');
  assert.equal(compression.compress('x'.repeat(50), 0), true);
});

test('where the context is taken over, a message that is above the threshold is compressed even if it grows', () => {
  const settings = deflateSettings({ threshold: 10, serverContextTakeover: true });
  const compression = openCompression('server', settings, settings);
  assert.equal(compression.compress('0123456789'), true);
  assert.equal(compression.compress('012345678'), false);
  compression.close();
});
