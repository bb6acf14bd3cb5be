// The scheduler: decides which thread runs next, and owns the timers. One scheduler serves one event layer (see
// connection/network.ts); threads that need no layer run on the default one at the end of this file.
//
// Threads run inside turns only. A turn is: `beginTurn`, the host's events (each resumes threads), `endTurn`, in
// which the threads made ready meanwhile run, and then due timers fire. One thread runs at a time and never inside another.

import { WakeTimer } from '../util/wake-timer.js';
import { type ListEntry, ThreadList } from './thread-list.js';
import { Queued } from './thread-state.js';
import { type TimerTarget, TimerWheel } from './timers.js';

/** Where a scheduler gets its time and its turns from: an event layer, or Node's own timers. */
export interface Clock {
  /** Milliseconds, monotonic, with fractions. */
  now(): number;
  /**
   * Asks for a turn at that time (milliseconds on this clock) and not before, replacing the time asked for before; `Infinity`
   * for none. Turns may come earlier for other reasons; the one that was asked for must come nevertheless.
   */
  wakeAt(time: number): void;
  /** Asks for a turn as soon as possible. Asking again before it comes changes nothing. */
  requestTurn(): void;
}

/** The part of a thread that the scheduler uses. The class `Thread` is built on this file, so this file does not import it. */
export interface ScheduledThread extends ListEntry<ScheduledThread> {
  /** @internal Set by the scheduler. */
  queued: Queued;
  /** @internal Runs the thread until it parks or is over. Must not throw. */
  step(): void;
  /** @internal Ends a failed thread, some time after it has called `awaitJoiner`. */
  endFailed(): void;
}

/** Receives an error that no thread receives. */
export type SchedulerReport = (error: unknown, thread: ScheduledThread) => void;

/**
 * How many threads a turn resumes before the event layer is looked at again: threads that wake each other without end
 * must not shut out the network.
 */
const resumptionsPerTurn = 10_000;
/** Nor for longer than so many milliseconds, which are looked at after every few threads. */
const resumptionTime = 10;
const resumptionsPerLook = 4;

export class Scheduler {
  /** Time at which the current turn began, in milliseconds of the clock. */
  now = 0;
  /**
   * @internal Deadlines up to this time, in milliseconds of the clock, have passed. It may be earlier than `now`: whatever had arrived by a deadline is
   * handled before the deadline is enforced, however late that is because the process was busy or stopped.
   */
  due = 0;
  /** @internal The same without its fraction: what a parked thread keeps of it. */
  millisecond = 0;
  /** @internal Deadlines of sleeping threads and of connections. */
  readonly timers: TimerWheel;
  /** How long the `finally` blocks of an unwound thread may park, in milliseconds, before it is reported and abandoned. */
  unwindLimit = 5_000;
  /** @internal Receives the errors that no thread receives. */
  report: SchedulerReport;
  /** @internal Threads that have been created and are not over, in the order of their creation. */
  readonly threads = new ThreadList<ScheduledThread>();

  #clock: Clock;
  /** Threads to run in this turn, in order; `#head` is the next one. Emptied by `endTurn`. */
  readonly #ready: ScheduledThread[] = [];
  #head = 0;
  /** Threads that gave way to the next turn. */
  readonly #next: ScheduledThread[] = [];
  /** Threads that have been taken out of `#ready`, ever. */
  #taken = 0;
  /** While it is finite, deadlines up to `#dueNext` are enforced as soon as `#taken` has reached it: when all that were ready by then have run. */
  #dueAfter = Infinity;
  #dueNext = 0;
  /** Threads that have failed with no thread joining them yet. */
  readonly #failed: ScheduledThread[] = [];
  #inTurn = false;
  /** A thread is running. */
  #running = false;
  /** The time last given to the clock's `wakeAt`; NaN when that time has passed. */
  #wakeAsked = Infinity;

  constructor(clock: Clock, report: SchedulerReport = uncaught) {
    this.#clock = clock;
    this.now = clock.now();
    this.due = this.now;
    this.millisecond = Math.floor(this.now);
    this.timers = new TimerWheel(this.now);
    this.report = report;
  }

  /** @internal Takes time and turns from another clock from now on. Both must count from the same origin. */
  attach(clock: Clock): void {
    this.#clock.wakeAt(Infinity);
    this.#clock = clock;
    this.#wakeAsked = Infinity;
    this.#askToWake();
    if (this.#head < this.#ready.length || this.#next.length > 0) clock.requestTurn();
  }

  /**
   * @internal Opens a turn.
   * @param looked whether the clock's owner has looked for events since the last turn; if not, threads that wait for the next turn continue to wait
   */
  beginTurn(looked = true): void {
    this.#inTurn = true;
    this.now = this.#clock.now();
    this.millisecond = Math.floor(this.now);
    if (looked && this.#next.length > 0) {
      for (const thread of this.#next) {
        if (thread.queued !== Queued.next) continue; // it has been resumed since
        thread.queued = Queued.now;
        this.#ready.push(thread);
      }
      this.#next.length = 0;
    }
  }

  /**
   * @internal Runs what is ready, fires the timers that are due, and says when to wake up next.
   * @param due timers up to this time of the clock may fire: every event up to then has been reported
   */
  endTurn(due = this.now): void {
    if (this.#wakeAsked <= due) this.#wakeAsked = Number.NaN; // that time is over: the clock is to be asked in any case
    if (this.hasWork) this.#drainAndEnforce(due);
    else this.#enforce(due);
    if (this.hasWork) this.#drain();
    this.#inTurn = false;
    this.#askToWake();
    if (this.#next.length > 0 || this.#ready.length > 0) this.#clock.requestTurn();
  }

  /**
   * @internal Resumes a parked thread, or starts a new one: at once when the host is the caller inside a turn, else when the thread that is
   * running parks, else in a turn asked for now.
   */
  resume(thread: ScheduledThread): void {
    if (thread.queued === Queued.now) return; // it will run in this turn anyway
    if (this.#inTurn && !this.#running) {
      this.#run(thread);
      return;
    }
    thread.queued = Queued.now;
    this.#ready.push(thread);
    if (!this.#inTurn) this.#clock.requestTurn();
  }

  /** @internal Resumes a thread in the next turn, after the event layer has been looked at. */
  resumeNextTurn(thread: ScheduledThread): void {
    if (thread.queued !== Queued.no) return;
    thread.queued = Queued.next;
    this.#next.push(thread);
    if (!this.#inTurn) this.#clock.requestTurn();
  }

  /**
   * @internal A thread has failed, and no thread joins it. It stays as it is until all threads that are ready have parked, or the turn ends, since
   * one of them may be about to join it. To be called while a thread runs.
   */
  awaitJoiner(failed: ScheduledThread): void {
    this.#failed.push(failed);
  }

  /** @internal The time at this very moment, in milliseconds of the clock: it may be later than `now`. */
  get moment(): number {
    return this.#clock.now();
  }

  /** @internal Arms a timer `ms` milliseconds from this very moment, which may be later than `now`. @returns its id, for `cancel` */
  armIn(ms: number, target: TimerTarget, arg: number): number {
    return this.armAt(this.#clock.now() + ms, target, arg);
  }

  /** @internal Arms a timer for a time of the clock, in milliseconds. @returns its id, for `cancel` */
  armAt(time: number, target: TimerTarget, arg: number): number {
    const id = this.timers.arm(time, target, arg);
    if (!this.#inTurn) this.#askToWake();
    return id;
  }

  /** @internal Cancels a timer that has not fired; outside a turn also the wake-up that only it may have needed. */
  cancel(id: number): void {
    this.timers.cancel(id);
    if (!this.#inTurn) this.#askToWake();
  }

  /** @internal For `callWithoutThread` alone: makes a call as if a thread made it. Threads that it resumes run when it is over. It must not throw. */
  callAsThread<T>(call: { run(): T }): T {
    const wasRunning = this.#running;
    this.#running = true;
    const result = call.run();
    this.#running = wasRunning;
    return result;
  }

  #run(thread: ScheduledThread): void {
    this.#running = true;
    try {
      thread.step();
    } finally {
      this.#running = false;
    }
  }

  private get hasWork(): boolean {
    return this.#ready.length > 0 || this.#failed.length > 0;
  }

  /** Deadlines wait until all threads that are ready by now have run, even over several turns: a thread that is ready is not too late. */
  #drainAndEnforce(due: number): void {
    if (this.#dueAfter === Infinity) {
      this.#dueAfter = this.#taken + this.#ready.length;
      this.#dueNext = due;
    }
    this.#drain();
    if (this.#taken < this.#dueAfter) return;
    this.#enforce(this.#ready.length === 0 ? due : this.#dueNext);
  }

  #enforce(due: number): void {
    this.#dueAfter = Infinity;
    if (due < this.due) return;
    this.due = due;
    this.timers.advance(due);
  }

  #drain(): void {
    const end = this.#clock.now() + resumptionTime;
    let left = resumptionsPerTurn;
    do {
      while (this.#head < this.#ready.length && left-- > 0) {
        if (left % resumptionsPerLook === 0 && this.#clock.now() > end) break;
        const thread = this.#ready[this.#head++];
        this.#taken++;
        if (thread.queued === Queued.now) this.#run(thread);
      }
      if (this.#head === 0) continue;
      if (this.#head === this.#ready.length) this.#ready.length = 0;
      else this.#ready.splice(0, this.#head);
      this.#head = 0;
    } while (this.#endFailed());
  }

  /** Ends the threads that have waited for another one to join them. @returns whether there were any */
  #endFailed(): boolean {
    if (this.#failed.length === 0) return false;
    this.#running = true; // so that the threads that it resumes are queued
    try {
      for (const thread of this.#failed.splice(0)) thread.endFailed();
    } finally {
      this.#running = false;
    }
    return true;
  }

  #askToWake(): void {
    const wake = this.timers.nextWake();
    if (wake === this.#wakeAsked) return;
    this.#wakeAsked = wake;
    this.#clock.wakeAt(wake);
  }
}

/** The last resort for an error: as an uncaught exception, which Node prints and ends the process for. */
export function uncaught(error: unknown): void {
  setImmediate(() => {
    throw error;
  });
}

/** Node's timers as a clock, for threads that run without an event layer. Holds the process open only while asked to wake. */
class TimerClock implements Clock {
  #requested = false;
  readonly #timer: WakeTimer;
  readonly #turn: (due: number) => void;

  /** @param turn what a turn is. Timers up to `due` may fire in it */
  constructor(turn: (due: number) => void) {
    this.#turn = turn;
    this.#timer = new WakeTimer(turn);
  }

  now(): number {
    return performance.now();
  }

  wakeAt(time: number): void {
    this.#timer.wakeAt(time);
  }

  requestTurn(): void {
    if (this.#requested) return;
    this.#requested = true;
    setImmediate(() => {
      this.#requested = false;
      this.#turn(this.#timer.passed);
    });
  }
}

let shared: Scheduler | undefined;

/** The scheduler of the process: that of threads started outside any thread, and of the process's own network. */
export function defaultScheduler(): Scheduler {
  if (shared === undefined) {
    const scheduler: Scheduler = new Scheduler(
      new TimerClock((due) => {
        scheduler.beginTurn();
        scheduler.endTurn(due);
      }),
    );
    shared = scheduler;
  }
  return shared;
}
