// A clock that is moved by hand, and the scheduler that runs on it: nothing in a test that uses it depends on real time.

import { type Clock, Scheduler } from '#sluice/threads/scheduler.js';
import { spawn, type TaskSource, type Thread } from '#sluice/threads/thread.js';

export class ManualClock implements Clock {
  readonly scheduler: Scheduler;
  /** What was reported, in order. */
  readonly reports: unknown[] = [];
  /** The time asked for by `wakeAt`. */
  wake = Infinity;
  #now: number;
  #requested = false;

  constructor(now = 1_000.25) {
    this.#now = now;
    this.scheduler = new Scheduler(this, (error) => this.reports.push(error));
  }

  now(): number {
    return this.#now;
  }

  wakeAt(time: number): void {
    this.wake = time;
  }

  requestTurn(): void {
    this.#requested = true;
  }

  get turnRequested(): boolean {
    return this.#requested;
  }

  /** Runs one turn. @param host what the host reports in it */
  turn(host?: () => void): void {
    this.#requested = false;
    this.scheduler.beginTurn();
    host?.();
    this.scheduler.endTurn();
  }

  /** Runs turns until none is asked for. @param limit how many at most: threads that go on for ever are a mistake of the test */
  settle(limit = 1_000): void {
    for (let turns = 0; this.#requested; turns++) {
      if (turns === limit) throw new Error(`still busy after ${limit} turns`);
      this.turn();
    }
  }

  /** Moves time forward, stopping wherever a turn was asked for. @param ms milliseconds */
  advance(ms: number): void {
    const end = this.#now + ms;
    this.settle();
    while (this.wake <= end) {
      this.#now = Math.max(this.#now, this.wake);
      this.turn();
      this.settle();
    }
    this.#now = end;
  }

  /** Moves time forward in one jump, as when the process was held up; then runs turns. */
  jump(ms: number): void {
    this.#now += ms;
    this.turn();
    this.settle();
  }

  /** Moves time forward while a thread runs, as work without parking does. */
  jumpWithin(ms: number): void {
    this.#now += ms;
  }

  /** Starts a root thread on this clock. It first runs in the next turn. */
  spawn<T>(source: TaskSource<T>, name?: string): Thread<T> {
    return spawn(source, name === undefined ? { scheduler: this.scheduler } : { scheduler: this.scheduler, name });
  }

  /** Starts a root thread and runs it until nothing is ready. */
  start<T>(source: TaskSource<T>, name?: string): Thread<T> {
    const thread = this.spawn(source, name);
    this.settle();
    return thread;
  }

  /** Runs a task that needs no time to pass. @returns what it returns; throws what it throws */
  run<T>(source: TaskSource<T>): T {
    let outcome: Thread<T> | undefined;
    const thread = this.spawn(source);
    thread.addJoiner({ threadOver: () => (outcome = thread) });
    this.settle();
    if (outcome === undefined) throw new Error(`${thread} is still ${thread.state} (${thread.wait})`);
    return outcome.result();
  }
}

/** Lets promises settle, and what they resume run, on a clock that no promise can move. */
export async function microtasks(clock: ManualClock): Promise<void> {
  for (let i = 0; i < 10; i++) await Promise.resolve();
  clock.settle();
}
