// The green thread: one generator, resumed by the scheduler, parked on one wait at a time, unwound where it stands.
// Threads form a tree: a thread is not over before its children are, and unwinding a thread unwinds its children first.
//
// The states a thread goes through:
//
//   ready ──► running ◄──► parked          the ordinary life
//     │          │ returned, threw, or `unwind` was called
//     │          ▼
//     └──► closing children ──► running the `finally` blocks (may park) ──► over
//
// What a thread has returned or thrown is told to those who joined it once it is over. A failure that nobody had joined
// for fails the parent, which is unwound; at the root of the tree it is reported.

import { addSuspendedTasks, addTask, ThreadError, UnwoundError } from './errors.js';
import { defaultScheduler, type Report, type Scheduler } from './scheduler.js';
import { type Task, Wait, type WaitKind } from './task.js';
import type { TimerTarget } from './timers.js';

/** What a thread is doing. */
export type ThreadState = 'ready' | 'running' | 'parked' | 'closing' | 'over';

/** How a thread ended. */
export type Outcome = 'returned' | 'failed' | 'unwound';

export interface SpawnOptions {
  /** What the thread is called in errors and listings. Default: the name of the generator function, else `task`. */
  name?: string;
  /** Where it runs. Default: the scheduler of the running thread, else that of the process. */
  scheduler?: Scheduler;
  /** Told of the thread's errors that no thread is there to receive. Default: that of the parent, else that of the scheduler. */
  report?: Report;
}

/** A task, or the generator function that makes it (which also gives the thread its name). */
export type TaskSource<T> = Task<T> | (() => Task<T>);

/** Told when a thread is over: by what `join`, `all`, `race` and `run` wait. */
export interface Joiner {
  threadOver(thread: Thread<unknown>): void;
}

/** How often a thread that is past its unwinding limit is told to return before it is abandoned. */
const forcedReturns = 100;

let current: Thread<unknown> | undefined;
let lastId = 0;

/** The thread that is running, or `undefined` outside any thread. */
export function currentThread(): Thread<unknown> | undefined {
  return current;
}

/** The thread that is running. For primitives that park. @throws {ThreadError} `ERR_NO_THREAD` outside any thread */
export function runningThread(primitive: string): Thread<unknown> {
  if (current === undefined) {
    throw new ThreadError('ERR_NO_THREAD', `${primitive} parks, so it needs a thread: call it with yield* in a task`);
  }
  return current;
}

export class Thread<out T> implements TimerTarget, Joiner {
  /** Unique in the process. */
  readonly id: number = ++lastId;
  readonly name: string;
  readonly parent: Thread<unknown> | undefined;
  readonly scheduler: Scheduler;
  /** Told of errors of this thread and of its children that no thread is there to receive. */
  readonly report: Report;
  /** Set and read by the scheduler alone: the thread stands in its queue. */
  queued = false;

  /** Undefined once the generator has returned or thrown. */
  #iterator: Iterator<Wait, unknown, void> | undefined;
  #state: ThreadState = 'ready';
  /** How the thread will have ended; final when it is over. */
  #outcome: Outcome = 'returned';
  /** What was returned or thrown, or the reason for unwinding. */
  #value: unknown;
  #wait: Wait | undefined;
  #waitingSince = 0;
  /** Set by `unwind`: the generator is to be told to return when the thread is next stepped. */
  #unwindAsked = false;
  /** The generator has been told to return. */
  #unwinding = false;
  /** The time for unwinding is up: whatever the thread waits for is not waited for. */
  #forced = false;
  /** The timer that bounds the unwinding; 0 is none. */
  #limit = 0;
  #joiners: Set<Joiner> | undefined;
  #children: Set<Thread<unknown>> | undefined;
  #whenOver: (() => void)[] | undefined;

  /** Use `spawn` or `run`, which also start the thread. */
  constructor(
    source: TaskSource<T>,
    name: string,
    parent: Thread<unknown> | undefined,
    scheduler: Scheduler,
    report: Report = parent?.report ?? scheduler.report,
  ) {
    const task = typeof source === 'function' ? source() : source;
    this.#iterator = task[Symbol.iterator]();
    this.name = name;
    this.parent = parent;
    this.scheduler = scheduler;
    this.report = report;
    if (parent !== undefined) parent.#adopt(this);
  }

  get state(): ThreadState {
    return this.#state;
  }

  /** What the thread is parked on, or `undefined` when it is not parked. */
  get wait(): WaitKind | undefined {
    return this.#wait?.kind;
  }

  /** When it parked, in milliseconds of its scheduler's clock; meaningful while `wait` is set. */
  get waitingSince(): number {
    return this.#waitingSince;
  }

  /** How it ended, or `undefined` while it is not over. */
  get outcome(): Outcome | undefined {
    return this.#state === 'over' ? this.#outcome : undefined;
  }

  /** What it threw, if it has failed. */
  get failure(): unknown {
    return this.outcome === 'failed' ? this.#value : undefined;
  }

  /** True from the call of `unwind` on. A `finally` block can tell by it why it runs. */
  get unwound(): boolean {
    return this.#unwindAsked;
  }

  /** The reason given to `unwind`, or `undefined`. */
  get reason(): unknown {
    return this.#unwindAsked ? this.#value : undefined;
  }

  /** Threads that were spawned by this one and are not over. */
  get children(): Iterable<Thread<unknown>> {
    return this.#children ?? [];
  }

  toString(): string {
    return `thread ${this.id} (${this.name})`;
  }

  /**
   * Unwinds the thread where it stands: its children first, then its own `finally` blocks, each once, innermost first.
   * They may park, for `scheduler.unwindLimit` milliseconds in all; then the thread is reported and abandoned.
   * A thread that is running (the caller itself, say) is unwound when it next parks. Calling it again changes nothing.
   */
  unwind(reason?: unknown): void {
    if (this.#unwindAsked || this.#iterator === undefined) return; // what has returned has nothing left to unwind
    this.#unwindAsked = true;
    this.#outcome = 'unwound';
    this.#value = reason;
    if (this.#state !== 'running') this.scheduler.resume(this);
  }

  /**
   * Parks until the thread is over.
   * @returns what it returned
   * @throws what it threw, or {@link UnwoundError}
   */
  *join(): Task<T> {
    if (this.#state !== 'over') {
      const joiner = runningThread('join');
      if (joiner === this) throw new ThreadError('ERR_JOIN', `${this} cannot join itself`);
      this.addJoiner(joiner);
      let received = false;
      try {
        while (this.state !== 'over') yield Wait.join;
        received = true;
      } finally {
        this.removeJoiner(joiner);
        if (!received && this.failure !== undefined) this.report(this.failure, this);
      }
    }
    return this.result();
  }

  /** What the thread returned. @throws what it threw, {@link UnwoundError}, or `ERR_NOT_OVER` */
  result(): T {
    if (this.#state !== 'over') throw new ThreadError('ERR_NOT_OVER', `${this} is not over`);
    if (this.#outcome === 'unwound') throw new UnwoundError(this.toString(), this.#value);
    if (this.#outcome === 'failed') {
      if (current !== undefined) addSuspendedTasks(this.#value, this.result);
      throw this.#value;
    }
    return this.#value as T; // #settle stored what this thread's own task returned, and that is a Task<T>
  }

  /** Registers who is to be told when this thread is over. While anyone is, a failure is theirs and not the parent's. */
  addJoiner(joiner: Joiner): void {
    this.#joiners ??= new Set();
    this.#joiners.add(joiner);
  }

  removeJoiner(joiner: Joiner): void {
    this.#joiners?.delete(joiner);
  }

  /** Has something done when the thread is over, however it ends; at once if it is. `action` must not throw. */
  whenOver(action: () => void): void {
    if (this.#state === 'over') action();
    else (this.#whenOver ??= []).push(action);
  }

  /** A thread that this one joined is over. */
  threadOver(): void {
    this.scheduler.resume(this);
  }

  /** One of this thread's two timers has fired: the one it sleeps on, or the bound of its unwinding. */
  timerFired(arg: number): void {
    if (arg === limitTimer) {
      this.#limit = 0;
      this.#forced = true;
    }
    this.scheduler.resume(this);
  }

  /** Called by the scheduler alone: runs the thread until it parks or is over. */
  step(): void {
    if (this.#forced) {
      this.#force();
    } else if (this.#state === 'closing' || this.#state === 'over') {
      return; // a wake-up that was under way when the thread was unwound; its children are waited for, or it is gone
    } else if (this.#unwindAsked && !this.#unwinding) {
      this.#beginUnwinding();
    } else {
      this.#advance(false);
    }
  }

  /** Runs the generator to its next park. @param returning makes it return from where it stands */
  #advance(returning: boolean): void {
    const iterator = this.#iterator;
    if (iterator === undefined) return;
    this.queued = false; // a wake-up that is still under way was for the wait that is left here
    this.#state = 'running';
    this.#wait = undefined;
    let result: IteratorResult<Wait, unknown>;
    current = this;
    try {
      result = returning && iterator.return ? iterator.return() : iterator.next();
    } catch (error) {
      this.#settle('failed', error);
      return;
    } finally {
      current = undefined;
    }
    if (result.done) {
      if (this.#unwinding) this.#settle(this.#outcome, this.#value);
      else this.#settle('returned', result.value);
      return;
    }
    if (!(result.value instanceof Wait)) {
      this.#refuse(iterator, result.value);
      return;
    }
    this.#park(result.value, 'parked');
    if (this.#unwindAsked && !this.#unwinding) {
      this.#beginUnwinding(); // it was unwound while it ran, and does not get to park
    } else if (this.#unwinding && this.#limit === 0 && !this.#forced) {
      this.#limit = this.scheduler.armIn(this.scheduler.unwindLimit, this, limitTimer);
    }
  }

  #park(wait: Wait, state: ThreadState): void {
    this.#wait = wait;
    this.#waitingSince = this.scheduler.now;
    this.#state = state;
  }

  #beginUnwinding(): void {
    this.#park(Wait.join, 'closing');
    if (!this.#unwindChildren()) this.#unwindSelf();
  }

  #unwindSelf(): void {
    this.#unwinding = true;
    this.#advance(true);
  }

  /** Reports a thread whose time for unwinding is up, and makes it return from whatever it parks on, a bounded number of times. */
  #force(): void {
    if (this.#iterator === undefined) return; // it was over in the meantime
    const { unwindLimit } = this.scheduler;
    const message = `${this} was still parked (${this.#wait?.kind}) ${unwindLimit} ms after it was unwound`;
    this.report(new ThreadError('ERR_UNWIND_LIMIT', message), this);
    for (let i = 0; i < forcedReturns && this.#iterator !== undefined; i++) this.#advance(true);
    if (this.#iterator !== undefined) this.#settle('unwound', this.#value);
  }

  /** A thread yielded something that is no wait: most often `yield` was written for `yield*`. */
  #refuse(iterator: Iterator<Wait, unknown, void>, value: unknown): void {
    const found = typeof value === 'object' ? Object.prototype.toString.call(value) : String(value);
    const error = new ThreadError(
      'ERR_NOT_A_WAIT',
      `${this} yielded ${found}, which is nothing to wait for: write yield* where it says yield`,
    );
    current = this;
    try {
      iterator.throw?.(error); // so that the place of the mistake is in the stack, and `finally` blocks run
    } catch (thrown) {
      if (thrown !== error) this.report(thrown, this);
    } finally {
      current = undefined;
    }
    this.#settle('failed', error);
  }

  /** The generator is done; the thread is over when its children are. */
  #settle(outcome: Outcome, value: unknown): void {
    this.#iterator = undefined;
    if (outcome === 'failed') addTask(value, `${this.name} (thread ${this.id})`);
    this.#outcome = outcome;
    this.#value = value;
    if (this.#limit !== 0) {
      this.scheduler.timers.cancel(this.#limit);
      this.#limit = 0;
    }
    this.#park(Wait.join, 'closing');
    if (!this.#unwindChildren()) this.#over();
  }

  #over(): void {
    this.#state = 'over';
    this.#wait = undefined;
    if (this.#whenOver !== undefined) for (const action of this.#whenOver) action();
    const joiners = this.#joiners;
    const joined = joiners !== undefined && joiners.size > 0;
    if (joined) for (const joiner of joiners) joiner.threadOver(this);
    const { parent } = this;
    if (this.#outcome === 'failed' && !joined) {
      if (parent === undefined) this.report(this.#value, this);
      else parent.#childFailed(this.#value);
    }
    if (parent !== undefined) parent.#childOver(this);
  }

  #adopt(child: Thread<unknown>): void {
    this.#children ??= new Set();
    this.#children.add(child);
  }

  /** @returns whether there are children to wait for */
  #unwindChildren(): boolean {
    const children = this.#children;
    if (children === undefined || children.size === 0) return false;
    const reason = this.#unwindAsked ? this.#value : new ThreadError('ERR_PARENT_OVER', `${this}, its parent, is over`);
    for (const child of children) child.unwind(reason);
    return true;
  }

  /** A child that nobody had joined has failed: this thread cannot be right without it. */
  #childFailed(error: unknown): void {
    if (this.#iterator === undefined && this.#outcome === 'returned') {
      this.#outcome = 'failed';
      this.#value = error;
    } else if (this.#iterator === undefined || this.#unwindAsked) {
      this.report(error, this); // this thread has another end already, and there is nobody else to tell
    } else {
      this.unwind(error);
      this.#outcome = 'failed';
    }
  }

  #childOver(child: Thread<unknown>): void {
    const children = this.#children;
    if (children === undefined || !children.delete(child) || children.size > 0 || this.#state !== 'closing') return;
    if (this.#iterator === undefined) this.#over();
    else this.#unwindSelf();
  }
}

/** The `arg` of a thread's timers: which of the two it may have at once has fired. */
export const sleepTimer = 0;
const limitTimer = 1;

/**
 * Starts a thread as a child of the running one; it first runs when that one parks. It is unwound before its parent ends.
 * If it fails and nobody is joining it, its parent is unwound and fails with the same error.
 *
 * Outside any thread it starts a root of a new tree, whose failure, if nobody joins it, is an uncaught exception.
 */
export function spawn<T>(source: TaskSource<T>, options: SpawnOptions = {}): Thread<T> {
  const scheduler = options.scheduler ?? current?.scheduler ?? defaultScheduler();
  const parent = options.scheduler === undefined || current?.scheduler === scheduler ? current : undefined;
  const thread = new Thread(source, nameOf(source, options), parent, scheduler, options.report);
  scheduler.resume(thread);
  return thread;
}

/**
 * Runs a task in a thread of its own, for callers that are ordinary async code.
 * @param options.signal unwinds the thread when it is aborted
 * @returns a promise of what the task returns; it rejects with what the task throws, or with {@link UnwoundError}
 */
export function run<T>(source: TaskSource<T>, options: SpawnOptions & { signal?: AbortSignal } = {}): Promise<T> {
  const { signal, scheduler = defaultScheduler() } = options;
  return new Promise((resolve, reject) => {
    const thread = new Thread(source, nameOf(source, options), undefined, scheduler, options.report);
    const abort = () => thread.unwind(signal?.reason);
    signal?.addEventListener('abort', abort);
    thread.addJoiner({
      threadOver() {
        signal?.removeEventListener('abort', abort);
        try {
          resolve(thread.result());
        } catch (error) {
          reject(error);
        }
      },
    });
    if (signal?.aborted) abort();
    scheduler.resume(thread);
  });
}

function nameOf(source: TaskSource<unknown>, options: SpawnOptions): string {
  return options.name ?? (typeof source === 'function' && source.name !== '' ? source.name : 'task');
}
