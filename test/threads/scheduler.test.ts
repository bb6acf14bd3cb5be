import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { describe, it } from 'node:test';
import { Channel } from '#sluice/threads/channel.js';
import { timeout } from '#sluice/threads/group.js';
import { Scheduler } from '#sluice/threads/scheduler.js';
import { sleep } from '#sluice/threads/sleep.js';
import { run, spawn } from '#sluice/threads/thread.js';
import { ManualClock } from '../support/manual-clock.js';

/** Runs a module in a separate process. */
function process(module: string): { status: number | null; output: string; ms: number } {
  const began = performance.now();
  const root = new URL('../../../dist/threads/', import.meta.url);
  const imports = `
    import { sleep } from '${new URL('sleep.js', root)}';
    import { run, spawn } from '${new URL('thread.js', root)}';
    import { defaultScheduler } from '${new URL('scheduler.js', root)}';`;
  const { status, stdout, stderr } = spawnSync(globalThis.process.execPath, [
    '--input-type=module',
    '--eval',
    imports + module,
  ]);
  return { status, output: `${stdout}${stderr}`, ms: performance.now() - began };
}

describe('a turn', () => {
  it('runs what the host resumes at once, and what threads resume after them, in order', () => {
    const clock = new ManualClock();
    const order: string[] = [];
    const first = clock.start(function* () {
      yield* sleep(0.5);
      order.push('first');
      spawn(function* () {
        order.push('its child');
      });
      yield* sleep(Infinity);
    });
    clock.turn(() => {
      order.push('host');
      clock.spawn(function* () {
        order.push('new');
        clock.spawn(function* () {
          order.push('newer');
        });
        order.push('still new');
        yield* sleep(100);
      });
      order.push('host again');
    });
    clock.advance(2);
    assert.deepEqual(order, ['host', 'new', 'still new', 'host again', 'newer', 'first', 'its child']);
    assert.equal(first.state, 'parked');
  });

  it('ends after a bounded number of resumptions, so threads that wake each other for ever do not starve others', () => {
    const clock = new ManualClock();
    const there = new Channel<number>(1);
    const back = new Channel<number>(1);
    let rounds = 0;
    clock.spawn(function* () {
      for (;;) {
        yield* there.send(rounds++);
        yield* back.receive();
      }
    });
    clock.spawn(function* () {
      for (;;) {
        yield* there.receive();
        yield* back.send(0);
      }
    });
    let slept = false;
    clock.spawn(function* () {
      yield* sleep(5);
      slept = true;
    });
    clock.turn();
    assert.ok(rounds > 1_000 && rounds < 20_000);
    assert.ok(clock.turnRequested, 'they go on in the next turn');
    clock.jumpWithin(10);
    let host = false;
    clock.turn(() => {
      host = true;
    });
    assert.ok(host && slept);
  });

  it('runs threads that have what they wait for before their deadline is enforced, however late that is', () => {
    const clock = new ManualClock();
    const channel = new Channel<number>(1);
    const waiter = clock.start(() => timeout(10, channel.receive()));
    clock.jumpWithin(50);
    clock.spawn(() => channel.send(1));
    clock.turn();
    assert.equal(waiter.result(), 1);
  });

  it('enforces deadlines up to the time that the host says, and no later ones', () => {
    const clock = new ManualClock(1000);
    const sleeper = clock.start(() => sleep(10));
    clock.jumpWithin(50);
    const turn = (due?: number) => {
      clock.scheduler.beginTurn();
      clock.scheduler.endTurn(due);
      return sleeper.state;
    };
    assert.equal(turn(1009), 'parked');
    assert.ok(clock.wake <= 1010, 'it is still asked for');
    assert.equal(turn(1011), 'over');
  });

  it('has threads that wait for the next turn go on only when the host has looked for events', () => {
    const clock = new ManualClock();
    const thread = clock.start(() => sleep(0));
    const waiting = clock.spawn(() => sleep(0));
    clock.turn();
    clock.scheduler.beginTurn(false);
    clock.scheduler.endTurn();
    assert.deepEqual([thread.state, waiting.state], ['over', 'parked']);
    clock.turn();
    assert.equal(waiting.state, 'over');
  });

  it('keeps the order of threads that did not get their turn', () => {
    const clock = new ManualClock();
    const order: number[] = [];
    for (let i = 0; i < 25_000; i++) {
      clock.spawn(function* () {
        order.push(i);
      });
    }
    clock.turn();
    assert.ok(order.length < 25_000);
    clock.settle();
    assert.deepEqual(order, [...Array(25_000).keys()]);
  });

  it('survives a report that throws: what it throws is an uncaught exception, and the other threads go on', () => {
    const { status, output } = process(`
      process.on('uncaughtException', (error) => console.log('uncaught', error.message));
      defaultScheduler().report = (error) => { throw new Error('report: ' + error.message); };
      spawn(function* () { throw new Error('one'); });
      spawn(function* () { throw new Error('two'); }, { report: (error) => { throw new Error('own: ' + error.message); } });
      spawn(function* () { yield* sleep(5); console.log('the third goes on'); });
    `);
    assert.equal(status, 0, output);
    assert.deepEqual(output.trim().split('\n').sort(), [
      'the third goes on',
      'uncaught own: two',
      'uncaught report: one',
    ]);
  });
});

describe('a scheduler', () => {
  it('keeps its timers and its ready threads when it is attached to another clock', () => {
    const clock = new ManualClock(100);
    const order: string[] = [];
    clock.start(function* () {
      yield* sleep(50);
      order.push('slept');
    });
    clock.spawn(function* () {
      order.push('ready');
    });
    let wake = Infinity;
    let requested = false;
    let now = 110;
    clock.scheduler.attach({
      now: () => now,
      wakeAt: (time) => {
        wake = time;
      },
      requestTurn: () => {
        requested = true;
      },
    });
    assert.equal(clock.wake, Infinity, 'the clock before is asked for nothing any more');
    assert.ok(wake <= 150 && requested);
    clock.scheduler.beginTurn();
    clock.scheduler.endTurn();
    assert.deepEqual(order, ['ready']);
    now = 151;
    clock.scheduler.beginTurn();
    clock.scheduler.endTurn();
    assert.deepEqual(order, ['ready', 'slept']);
    assert.equal(wake, Infinity);
  });

  it('informs its clock when no wake-up is needed any more, also in a turn that came late', () => {
    const clock = new ManualClock(0);
    const thread = clock.start(function* () {
      yield* sleep(10);
    });
    assert.notEqual(clock.wake, Infinity);
    clock.jump(500);
    assert.equal(thread.state, 'over');
    assert.equal(clock.wake, Infinity);
  });

  it('runs threads within turns of other schedulers’ threads, as a test may', () => {
    const outer = new ManualClock();
    const inner = new ManualClock();
    const result = outer.run(function* () {
      const answer = inner.run(function* () {
        yield* sleep(0);
        return 42;
      });
      yield* sleep(0); // still knows its own thread
      return answer;
    });
    assert.equal(result, 42);
  });

  it('takes whatever reports it is given', () => {
    const scheduler = new Scheduler(new ManualClock());
    const report = () => {};
    scheduler.report = report;
    assert.equal(scheduler.report, report);
  });
});

describe('the default scheduler', () => {
  it('sleeps on Node’s timers, never too short', async () => {
    for (const ms of [0, 0.4, 3, 10.5]) {
      const began = performance.now();
      await run(function* () {
        yield* sleep(ms);
      });
      assert.ok(performance.now() - began >= ms);
    }
  });

  it('leaves room for others between the turns of threads that never stop', async () => {
    const abort = new AbortController();
    const there = new Channel<number>(1);
    const busy = run(
      function* () {
        spawn(function* () {
          for (;;) yield* there.send(0);
        });
        for (;;) yield* there.receive();
      },
      { signal: abort.signal },
    );
    await new Promise((resolve) => setTimeout(resolve, 5));
    await run(function* () {
      yield* sleep(5);
    });
    abort.abort(new Error('enough'));
    await assert.rejects(busy, { code: 'ERR_UNWOUND' });
  });

  it('keeps the process for a sleeping thread, and no longer', () => {
    const { status, output, ms } = process(`
      const abort = new AbortController();
      const long = run(function* () { yield* sleep(60_000); }, { signal: abort.signal });
      await run(function* () { yield* sleep(20); });
      abort.abort();
      await long.catch((error) => console.log(error.code));
    `);
    assert.equal(status, 0, output);
    assert.equal(output.trim(), 'ERR_UNWOUND');
    assert.ok(ms < 20_000, 'an unused timer holds the process');
  });

  it('makes an uncaught exception of a root thread’s failure that no thread joined', () => {
    const { status, output } = process(`
      spawn(function* lonely() { throw new Error('nobody listens'); });
    `);
    assert.notEqual(status, 0);
    assert.match(output, /nobody listens/);
    assert.match(output, /in task lonely \(thread 1\)/);
  });
});
