// Whole servers in simulated worlds, a fixed share of the seeds. `npm run simulate` runs 20,000, or one alone: see scripts/simulate.mjs.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Slot } from '#sluice/event-layer/event-layer.js';
import { Observer } from './observer.js';
import { live, trial } from './simulate.js';
import { Trace } from './trace.js';

const seeds = 300;

test(`${seeds} worlds: whatever clients and the network do, every turn leaves all in order, and the end nothing`, async () => {
  let answers = 0;
  for (let seed = 0; seed < seeds; seed++) answers += (await trial(seed)).answers;
  assert.ok(answers > seeds, `${answers} answers: hardly anything has happened`);
});

// The same worlds, in which something below the server is broken: who looks must see it.
const broken: Record<string, typeof Observer> = {
  'time-outs that never come': class extends Observer {
    override wakeAt(): void {}
  },
  'reading that is not paused': class extends Observer {
    override pauseReading(slot: Slot): void {
      super.pauseReading(slot);
      this.below.resumeReading(slot);
    }
  },
  'a FIN that is not sent': class extends Observer {
    override finish(): void {}
  },
  'turns that do not come': class extends Observer {
    override requestTurn(): void {}
  },
};

for (const [name, world] of Object.entries(broken)) {
  test(`the simulation finds ${name}, and says how to repeat it`, async () => {
    for (let seed = 0; seed < 200; seed++) {
      const failure = await live(seed, { world }).then(
        () => undefined,
        (error: Error) => error.message,
      );
      if (failure === undefined) continue;
      assert.ok(failure.startsWith(`seed ${seed}; to run it alone: npm run simulate -- --seed ${seed}\n`));
      assert.match(failure, /\nafter\n {2}[0-9.]+ {2}/, 'the last events');
      return;
    }
    assert.fail('no world has noticed');
  });
}

test('a trace keeps the last events, and its digest distinguishes any two', () => {
  const note = (trace: Trace, last: number) => {
    for (let i = 0; i < 100; i++) trace.note(i, 'event', i, i === 50 ? last : 0);
    return trace;
  };
  const trace = note(new Trace(), 1);
  assert.equal(trace.digest, note(new Trace(), 1).digest);
  assert.notEqual(trace.digest, note(new Trace(), 2).digest);
  const lines = trace.last().split('\n');
  assert.equal(lines.length, 80);
  assert.equal(lines.at(-1), '  99.000  event 99 (0)');
  assert.ok(lines.includes('  50.000  event 50 (1)'));
});
