// What is published on the diagnostics channels of threads.

import assert from 'node:assert/strict';
import { AsyncLocalStorage } from 'node:async_hooks';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { afterEach, describe, it } from 'node:test';
import { sleep } from '#sluice/threads/sleep.js';
import { spawn, type Thread, type ThreadMessage } from '#sluice/threads/thread.js';
import { ManualClock } from '../support/manual-clock.js';

const kinds = ['start', 'error', 'end'] as const;
type Kind = (typeof kinds)[number];

let stop: (() => void) | undefined;

/** Subscribes to all channels, until the test ends. */
function observe(onMessage: (kind: Kind, message: ThreadMessage) => void): void {
  const subscribers = kinds.map((kind) => {
    const subscriber = (message: unknown) => onMessage(kind, message as ThreadMessage);
    subscribe(`sluice.thread.${kind}`, subscriber);
    return () => unsubscribe(`sluice.thread.${kind}`, subscriber);
  });
  stop = () => {
    for (const unsubscribe of subscribers) unsubscribe();
  };
}

afterEach(() => {
  stop?.();
  stop = undefined;
});

/** Records what is published as lines of text. */
function record(): string[] {
  const lines: string[] = [];
  observe((kind, { thread, error }) => {
    const details = [thread.state, thread.outcome, error].filter((detail) => detail !== undefined);
    lines.push(`${kind} ${thread.name}: ${details.join(', ')}`);
  });
  return lines;
}

describe('the diagnostics channels of threads', () => {
  it('report when a thread starts, before it runs, and when it is over', () => {
    const lines = record();
    const clock = new ManualClock();
    clock.start(function* parent() {
      lines.push('parent runs');
      spawn(function* child() {
        lines.push('child runs');
      });
      yield* sleep(1);
    });
    clock.advance(2);
    assert.deepEqual(lines, [
      'start parent: ready',
      'parent runs',
      'start child: ready',
      'child runs',
      'end child: over, returned',
      'end parent: over, returned',
    ]);
  });

  it('report the error of a thread that has failed, and of its parent that fails with it', () => {
    const lines = record();
    const clock = new ManualClock();
    const parent = clock.start(function* parent() {
      spawn(function* child() {
        throw new Error('on purpose');
      });
      yield* sleep(Infinity);
    });
    assert.equal(parent.outcome, 'failed');
    assert.deepEqual(lines, [
      'start parent: ready',
      'start child: ready',
      'error child: over, failed, Error: on purpose',
      'end child: over, failed',
      'error parent: over, failed, Error: on purpose',
      'end parent: over, failed',
    ]);
  });

  it('report a thread that is unwound, also before it has run', () => {
    const lines = record();
    const clock = new ManualClock();
    clock.start(() => sleep(Infinity), 'parked').unwind();
    clock.spawn(() => sleep(Infinity), 'new').unwind();
    clock.settle();
    assert.deepEqual(lines, [
      'start parked: ready',
      'end parked: over, unwound',
      'start new: ready',
      'end new: over, unwound',
    ]);
  });

  it('call subscribers in the async context of the thread, which keeps what they enter', () => {
    const storage = new AsyncLocalStorage<string>();
    const seen: (string | undefined)[] = [];
    observe((kind, { thread }) => {
      seen.push(`${kind} in ${storage.getStore()}`);
      if (kind === 'start') storage.enterWith(`the span of ${thread.name}`);
    });
    const clock = new ManualClock();
    storage.run('the creator', () => clock.spawn(body, 'worker'));
    function* body() {
      yield* sleep(1);
      seen.push(storage.getStore());
    }
    clock.settle();
    assert.equal(storage.getStore(), undefined);
    clock.advance(2);
    assert.deepEqual(seen, ['start in the creator', 'the span of worker', 'end in the span of worker']);
  });

  it('publish nothing to those that have unsubscribed', () => {
    const lines = record();
    stop?.();
    new ManualClock().start(() => sleep(0));
    assert.deepEqual(lines, []);
  });

  it('let a thread be unwound by a subscriber', () => {
    const ends: Thread<unknown>[] = [];
    observe((kind, { thread }) => {
      if (kind === 'start') thread.unwind('not today');
      if (kind === 'end') ends.push(thread);
    });
    let ran = false;
    const clock = new ManualClock();
    const thread = clock.start(function* () {
      ran = true;
    });
    assert.deepEqual(
      { ran, outcome: thread.outcome, reason: thread.reason, ends },
      { ran: false, outcome: 'unwound', reason: 'not today', ends: [thread] },
    );
  });
});
