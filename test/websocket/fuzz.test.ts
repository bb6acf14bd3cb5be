// Frames that are right, nearly right and wrong, sent to whole servers: always the same ones, or those of FUZZ_SEED. What the engine reads of the bytes
// when they are one piece is what a server must answer, however a network cuts them; and nothing may be left behind.

import { test } from 'node:test';
import fc from 'fast-check';
import { bytesOf, deflated, frame, join } from './corpus/build.js';
import { type Case, type EndpointName, endpoints } from './corpus/case.js';
import { faces } from './echo.js';
import { read } from './read.js';
import { simulate } from './simulation.js';

const seed = Number(process.env.FUZZ_SEED ?? 6455);
if (!Number.isInteger(seed)) throw new Error(`FUZZ_SEED is ${process.env.FUZZ_SEED}; expected a whole number`);

const content = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 200 }).map(bytesOf),
  fc.uint8Array({ maxLength: 200 }),
  fc.constantFrom('', 'Hello', 'x'.repeat(125), 'y'.repeat(126), 'z'.repeat(5000)).map(bytesOf),
  fc.constantFrom(Uint8Array.of(3, 232), Uint8Array.of(3, 233, 66), Uint8Array.of(11, 184)),
);

/** Most are right. */
const usually = <T>(right: fc.Arbitrary<T>, wrong: fc.Arbitrary<T>): fc.Arbitrary<T> =>
  fc.oneof({ weight: 20, arbitrary: right }, { weight: 1, arbitrary: wrong });

const anyFrame = fc
  .record({
    code: usually(fc.constantFrom(0, 1, 1, 2, 2, 9, 10), fc.nat(15)),
    payload: content,
    isCompressed: fc.boolean(),
    fin: fc.oneof({ weight: 3, arbitrary: fc.constant(true) }, { weight: 1, arbitrary: fc.constant(false) }),
    reserved: usually(fc.constant(0), fc.nat(7)),
    key: usually(fc.uint8Array({ minLength: 4, maxLength: 4 }), fc.constant(undefined)),
    length: usually(fc.constant(undefined), fc.nat(70_000)),
    lengthBytes: usually(fc.constant(undefined), fc.constantFrom(2 as const, 8 as const)),
  })
  .map(({ code, payload, isCompressed, fin, reserved, key, length, lengthBytes }) => {
    const compresses = isCompressed && (code === 1 || code === 2);
    const bytes = compresses ? deflated(payload) : payload;
    const mayBe = length !== undefined && lengthBytes === 2 ? length % 65_536 : length;
    return frame(code, bytes, {
      fin: fin || code > 7,
      reserved: compresses ? reserved ^ 4 : reserved,
      key,
      ...(mayBe === undefined ? {} : { length: mayBe }),
      ...(lengthBytes === undefined || bytes.length > 65_535 ? {} : { lengthBytes }),
    });
  });

/** What happens to the bytes on their way: mostly nothing. */
const damage = fc.oneof(
  { weight: 6, arbitrary: fc.constant((bytes: Uint8Array) => bytes) },
  {
    weight: 1,
    arbitrary: fc.tuple(fc.nat(), fc.nat(7)).map(([at, bit]) => (bytes: Uint8Array) => {
      const changed = bytes.slice();
      if (changed.length > 0) changed[at % changed.length] ^= 1 << bit;
      return changed;
    }),
  },
  { weight: 1, arbitrary: fc.nat().map((at) => (bytes: Uint8Array) => bytes.slice(0, at % (bytes.length + 1))) },
  {
    weight: 1,
    arbitrary: fc.tuple(fc.nat(), fc.uint8Array({ maxLength: 4 })).map(
      ([at, more]) =>
        (bytes: Uint8Array) =>
          join(bytes.subarray(0, at % (bytes.length + 1)), more, bytes.subarray(at % (bytes.length + 1))),
    ),
  },
);

const stream = fc
  .record({
    endpoint: fc.constantFrom(...(Object.keys(endpoints) as EndpointName[])),
    frames: fc.array(anyFrame, { maxLength: 6 }),
    damage,
  })
  .map(({ endpoint, frames, damage: damaged }): Case => {
    const sent = damaged(join(...frames));
    const what = { endpoint, peer: 'client' as const, sent };
    return { ...what, ...read(what, []), name: Buffer.from(sent).toString('hex'), section: endpoint };
  });

for (const face of faces)
  test(`a server of ${face} answers whatever frames come as it should, however they are cut, and nothing is left`, async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(stream, { minLength: 1, maxLength: 12 }), fc.nat(1000), async (cases, network) => {
        await simulate({ network: { seed: network, latency: network % 5 }, cases, face });
      }),
      { seed, numRuns: 60 },
    );
  });
