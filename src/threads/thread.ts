// The green thread: one generator, resumed by the scheduler, parked on one wait at a time, unwound where it stands.
// Threads form a tree: a thread is not over before its children are, and unwinding a thread unwinds its children first.
//
// The states a thread goes through:
//
//   ready ──► running ◄──► parked          the ordinary life
//     │          │ returned, threw, or `unwind` was called
//     │          ▼
//     └──► closing children ──► running the `finally` blocks (may park) ──► closing the children of those ──► over
//
// What a thread has returned or thrown is told to those who joined it once it is over. A failure that nobody had joined
// for fails the parent, which is unwound; at the root of the tree it is reported.

import { propertyOf, show } from '../util/inspect.js';
import { addSuspendedTasks, addTask, ThreadError, UnwoundError } from './errors.js';
import { Ending, Life, Queued, State, Unwinding } from './life.js';
import { Returning } from './returning.js';
import { defaultScheduler, type Report, type Scheduler, uncaught } from './scheduler.js';
import { type Task, Wait } from './task.js';
import { type Joiner, Ties } from './ties.js';
import type { TimerTarget } from './timers.js';

export interface SpawnOptions {
  /** What the thread is called in errors and listings. Default: the name of the generator function, else `task`. */
  name?: string | undefined;
  /** Where it runs. Default: the scheduler of the running thread, else that of the process. */
  scheduler?: Scheduler | undefined;
  /**
   * Told of the thread's errors that no thread is there to receive. Default: that of the parent, else that of the scheduler.
   * If it throws itself, that is an uncaught exception.
   */
  report?: Report | undefined;
}

/** A task, or the generator function that makes it (which also gives the thread its name). */
export type TaskSource<T> = Task<T> | (() => Task<T>);

/** How often a thread that is past its unwinding limit is told to return before it is abandoned. */
const forcedReturns = 100;

const none: ReadonlySet<Thread<unknown>> = new Set();

let current: Thread<unknown> | undefined;
/** What makes the running thread as soon as somebody asks for it. */
let maker: PlainCall<unknown> | undefined;
let lastId = 0;

/** An ordinary call, made on behalf of a thread that does not exist until somebody asks for it; see `Scheduler.call`. */
export interface PlainCall<out T> {
  /** What is called. Must not throw. */
  run(): T;
  /** Makes the thread that the call belongs to. It is not started before the call is over. */
  makeThread(): Thread<unknown>;
}

/** The thread that is running, or `undefined` outside any thread. */
export function currentThread(): Thread<unknown> | undefined {
  if (current === undefined && maker !== undefined) current = maker.makeThread();
  return current;
}

/** For `Scheduler.call` alone. A thread costs more than many a call, and hardly any of them asks for one. */
export function makeCall<T>(call: PlainCall<T>): T {
  const outer = current;
  const outerMaker = maker;
  current = undefined;
  maker = call;
  const result = call.run();
  current = outer;
  maker = outerMaker;
  return result;
}

/** The thread that is running. For primitives that park. @throws {ThreadError} `ERR_NO_THREAD` outside any thread */
export function runningThread(primitive: string): Thread<unknown> {
  const thread = currentThread();
  if (thread === undefined) {
    throw new ThreadError('ERR_NO_THREAD', `${primitive} parks, so it needs a thread: call it with yield* in a task`);
  }
  return thread;
}

// Its methods are `private` and not `#`: by one #method, the engine gives every object of the class one more field.
export class Thread<out T> extends Life implements TimerTarget, Joiner {
  /** Unique in the process. */
  readonly id: number = ++lastId;
  readonly name: string;
  readonly parent: Thread<unknown> | undefined;
  readonly scheduler: Scheduler;
  /** Set by sleep.ts: the timer that the thread sleeps on; 0 is none. */
  sleepTimer = 0;

  readonly #report: Report;
  /** What makes the generator, until the thread first runs; undefined once the generator has returned or thrown. */
  #iterator: Iterator<Wait, unknown, void> | (() => Task<T>) | undefined;
  /** What was returned or thrown, or the reason for unwinding. */
  #value: unknown;
  #waitingSince = 0;
  /** Made when it is first needed. */
  #ties: Ties | undefined;

  /** Use `spawn` or `run`, which also start the thread. */
  constructor(
    source: TaskSource<T>,
    name: string,
    parent: Thread<unknown> | undefined,
    scheduler: Scheduler,
    report: Report = parent === undefined ? scheduler.report : parent.#report,
  ) {
    super();
    this.#iterator = typeof source === 'function' ? source : iteratorOf(source, 'a thread was to run');
    this.name = name;
    this.parent = parent;
    this.scheduler = scheduler;
    this.#report = report;
    if (parent !== undefined) parent.tie().adopt(this);
  }

  /**
   * When it parked, in milliseconds of its scheduler's clock, without their fraction; meaningful while `wait` is set. (Without a fraction
   * it takes no memory besides its field, for the first 24 days of the clock.)
   */
  get waitingSince(): number {
    return this.#waitingSince;
  }

  /** What it threw, if it has failed. */
  get failure(): unknown {
    return this.isIn(State.over) && this.ending === Ending.failed ? this.#value : undefined;
  }

  /**
   * True from the call of `unwind` on, and from the failure of a child on. A `finally` block can tell by it why it runs.
   * False again if the thread has ended by itself before it could be unwound.
   */
  get unwound(): boolean {
    return this.unwinding !== Unwinding.no;
  }

  /** The reason given to `unwind`, or what the child threw; `undefined` if there is none, or if the unwinding itself has failed. */
  get reason(): unknown {
    const given = this.ending === Ending.unwound || this.#iterator !== undefined;
    return this.unwound && given ? this.#value : undefined;
  }

  /** Threads that were spawned by this one and are not over. */
  get children(): ReadonlySet<Thread<unknown>> {
    return this.#ties?.children ?? none;
  }

  override toString(): string {
    return `thread ${this.id} (${this.name})`;
  }

  /**
   * Unwinds the thread where it stands: its children first, then its own `finally` blocks, each once, innermost first.
   * They may park, for `scheduler.unwindLimit` milliseconds in all; then the thread is reported and abandoned.
   * A `finally` block in which it is parked when it is unwound has begun to run already, and is left at that place.
   * A thread that is running (the caller itself, say) is unwound when it next parks. Calling it again changes nothing.
   */
  unwind(reason?: unknown): void {
    if (this.unwound || this.#iterator === undefined) return; // what has returned has nothing left to unwind
    this.unwinding = Unwinding.asked;
    this.ending = Ending.unwound;
    this.#value = reason;
    if (!this.isIn(State.running)) this.scheduler.resume(this);
  }

  /**
   * Parks until the thread is over.
   * @returns what it returned
   * @throws what it threw, or {@link UnwoundError}
   */
  *join(): Task<T> {
    if (!this.isIn(State.over)) {
      const joiner = runningThread('join');
      if (joiner === this) throw new ThreadError('ERR_JOIN', `${this} cannot join itself`);
      this.addJoiner(joiner);
      let received = false;
      try {
        while (!this.isIn(State.over)) yield Wait.join;
        received = true;
      } finally {
        this.removeJoiner(joiner);
        if (!received && this.outcome === 'failed') this.report(this.failure, this);
      }
    }
    return this.result();
  }

  /** Unwinds the threads that this one has spawned, and parks until they are over. To be called by the thread itself. */
  *closeChildren(reason: unknown): Task<void> {
    for (const child of this.children) child.unwind(reason);
    this.awaitsChildren = true;
    try {
      while (this.children.size > 0) yield Wait.join;
    } finally {
      this.awaitsChildren = false;
    }
  }

  /** What the thread returned. @throws what it threw, {@link UnwoundError}, or `ERR_NOT_OVER` */
  result(): T {
    if (!this.isIn(State.over)) throw new ThreadError('ERR_NOT_OVER', `${this} is not over`);
    if (this.ending === Ending.unwound) throw new UnwoundError(this.toString(), this.#value);
    if (this.ending === Ending.failed) {
      if (current !== undefined) addSuspendedTasks(this.#value, this.result);
      throw this.#value;
    }
    return this.#value as T; // `settle` stored what this thread's own task returned, and that is a Task<T>
  }

  /** Registers who is to be told when this thread is over. While anyone is, a failure is theirs and not the parent's. */
  addJoiner(joiner: Joiner): void {
    this.tie().addJoiner(joiner);
  }

  removeJoiner(joiner: Joiner): void {
    this.#ties?.removeJoiner(joiner);
  }

  /** Has something done when the thread is over, however it ends; at once if it is. `action` must not throw. */
  whenOver(action: () => void): void {
    if (this.isIn(State.over)) action();
    else this.tie().whenOver(action);
  }

  /** A thread that this one joined is over. */
  threadOver(): void {
    this.scheduler.resume(this);
  }

  /** Tells of an error of this thread, or of a child, that no thread is there to receive. */
  report(error: unknown, thread: Thread<unknown> = this): void {
    try {
      this.#report(error, thread);
    } catch (thrown) {
      uncaught(thrown);
    }
  }

  /** One of this thread's two timers has fired: the one it sleeps on, or the bound of its unwinding. */
  timerFired(arg: number): void {
    if (arg === limitTimer) {
      this.tie().limit = 0;
      this.unwinding = Unwinding.forced;
    } else {
      this.sleepTimer = 0;
    }
    this.scheduler.resume(this);
  }

  /** Called by the scheduler alone: runs the thread until it parks or is over. */
  step(): void {
    if (this.goesOn) {
      this.advance(false);
      return;
    }
    this.queued = Queued.no;
    if (this.isIn(State.over)) return;
    if (this.isIn(State.closing)) {
      // A wake-up that was under way when the thread was unwound finds its children still there.
      if (!this.hasChildren) this.closed();
    } else if (this.unwinding === Unwinding.forced) {
      this.force();
    } else if (this.unwinding === Unwinding.asked) {
      this.beginUnwinding();
    } else {
      this.advance(false); // on with a `finally` block
    }
  }

  /** Runs the generator to its next park. @param returning makes it return from where it stands */
  private advance(returning: boolean): void {
    this.enterRunning();
    let threw = true;
    let done: boolean | undefined;
    /** What was yielded, returned or thrown. */
    let value: unknown;
    const outer = current; // a host that runs turns from within a thread of another scheduler, as a test may
    current = this;
    try {
      const result = this.drive(returning);
      ({ done, value } = result); // read here: an iterator written by hand may answer with anything, getters that throw included
      threw = false;
    } catch (error) {
      value = error;
    } finally {
      current = outer;
    }
    if (threw) {
      this.fail(value);
    } else if (done) {
      if (this.unwinding >= Unwinding.begun) this.settle(this.ending, this.#value);
      else this.settle(Ending.returned, value);
    } else if (!Wait.is(value)) {
      this.refuse(value);
    } else {
      this.park(value, State.parked);
      if (this.goesOn) return;
      if (this.unwinding === Unwinding.asked) {
        this.beginUnwinding(); // it was unwound while it ran, and does not get to park
      } else if (this.unwinding === Unwinding.begun && this.tie().limit === 0) {
        this.tie().limit = this.scheduler.armIn(this.scheduler.unwindLimit, this, limitTimer);
      }
    }
  }

  /** The bottom of the thread's stack: errors.ts knows it by this name. */
  private drive(returning: boolean): IteratorResult<Wait, unknown> {
    let iterator = this.#iterator;
    if (returning) {
      // One that has not started has no `finally` blocks to run.
      if (iterator === undefined || typeof iterator === 'function') return { done: true, value: undefined };
      const unwinding = iterator instanceof Returning ? iterator : new Returning(iterator);
      this.#iterator = unwinding;
      return unwinding.return();
    }
    if (typeof iterator === 'function') {
      const source = iterator;
      iterator = iteratorOf(source(), `${this}: its function returned`);
      this.#iterator = iterator;
    }
    return iterator?.next() ?? { done: true, value: undefined };
  }

  private park(wait: Wait, state: State): void {
    this.enterWait(wait, state);
    this.#waitingSince = this.scheduler.millisecond;
  }

  private beginUnwinding(): void {
    if (!this.unwindChildren(this.#value)) this.unwindSelf();
  }

  private unwindSelf(): void {
    this.unwinding = Unwinding.begun;
    this.advance(true);
  }

  /** Reports a thread whose time for unwinding is up, and abandons it. */
  private force(): void {
    const { unwindLimit } = this.scheduler;
    const message = `${this} was still parked (${this.wait}) ${unwindLimit} ms after it was unwound`;
    this.report(new ThreadError('ERR_UNWIND_LIMIT', message));
    this.abandon();
  }

  /** Makes the generator return from whatever it parks on, a bounded number of times, and lets go of it. */
  private abandon(): void {
    this.unwinding = Unwinding.forced;
    for (let i = 0; i < forcedReturns && this.#iterator !== undefined; i++) this.advance(true);
    if (this.#iterator !== undefined) this.settle(this.ending, this.#value);
  }

  /** The generator yielded something that is no wait: most often `yield` was written for `yield*`. The thread fails, and is unwound. */
  private refuse(value: unknown): void {
    if (this.unwinding === Unwinding.forced) return; // it will be told to return again
    const error = new ThreadError(
      'ERR_NOT_A_WAIT',
      `${this} yielded ${show(value)}, which is nothing to wait for: write yield* where it says yield`,
    );
    if (this.unwinding === Unwinding.begun) {
      this.report(error);
      this.abandon();
    } else {
      this.unwinding = Unwinding.asked;
      this.ending = Ending.failed;
      this.#value = error;
      this.beginUnwinding();
    }
  }

  /** The generator threw. */
  private fail(error: unknown): void {
    if (this.ending === Ending.failed) {
      this.report(error); // by a `finally` block, after a child's failure, which is the first cause and stays the outcome
      this.settle(Ending.failed, this.#value);
    } else {
      this.settle(Ending.failed, error);
    }
  }

  /** The generator is done; the thread is over when its children are. */
  private settle(ending: Ending, value: unknown): void {
    this.#iterator = undefined;
    if (this.unwinding === Unwinding.asked) this.unwinding = Unwinding.no; // it ended by itself before it could be unwound
    if (ending === Ending.failed) addTask(value, `${this.name} (thread ${this.id})`);
    this.ending = ending;
    this.#value = value;
    if (this.#ties !== undefined) this.#ties.limit = this.cancel(this.#ties.limit);
    this.sleepTimer = this.cancel(this.sleepTimer); // an abandoned thread may be asleep
    if (this.hasChildren) {
      this.unwindChildren(
        ending === Ending.unwound ? value : new ThreadError('ERR_PARENT_OVER', `${this}, its parent, is over`),
      );
    } else {
      this.over();
    }
  }

  /** @returns 0, the timer that is none */
  private cancel(timer: number): number {
    if (timer !== 0) this.scheduler.timers.cancel(timer);
    return 0;
  }

  private over(): void {
    this.enterOver();
    const ties = this.#ties;
    this.#ties = undefined;
    try {
      ties?.tellOver(this);
    } catch (thrown) {
      uncaught(thrown); // by an action of a caller's; the parent waits for this thread, and must be told all the same
    }
    const { parent } = this;
    if (this.ending === Ending.failed && !ties?.joined) {
      if (parent === undefined) this.report(this.#value);
      else parent.childFailed(this.#value);
    }
    if (parent !== undefined) parent.childOver(this);
  }

  private tie(): Ties {
    this.#ties ??= new Ties();
    return this.#ties;
  }

  private get hasChildren(): boolean {
    return this.#ties?.hasChildren ?? false;
  }

  /** Unwinds the children, for whom this thread now waits. @returns whether there are any */
  private unwindChildren(reason: unknown): boolean {
    if (!this.hasChildren) return false;
    this.park(Wait.join, State.closing);
    for (const child of this.children) child.unwind(reason);
    return true;
  }

  /** A child that nobody had joined has failed: this thread cannot be right without it. */
  private childFailed(error: unknown): void {
    if (this.#iterator === undefined && this.ending === Ending.returned) {
      this.ending = Ending.failed;
      this.#value = error;
      addTask(error, `${this.name} (thread ${this.id})`);
    } else if (this.#iterator === undefined || this.unwound) {
      this.report(error); // this thread has another end already, and there is nobody else to tell
    } else {
      this.unwind(error);
      this.ending = Ending.failed;
    }
  }

  /** The last child to be over lets this thread go on, by way of the queue: a tree may be deeper than the stack. */
  private childOver(child: Thread<unknown>): void {
    this.#ties?.children?.delete(child);
    if ((this.isIn(State.closing) || this.awaitsChildren) && !this.hasChildren) this.scheduler.resume(this);
  }

  /** The children it waited for are over. */
  private closed(): void {
    if (this.#iterator === undefined) this.over();
    else this.unwindSelf();
  }
}

/** @throws {ThreadError} `ERR_NOT_A_TASK`, for callers that no compiler has looked at */
function iteratorOf<T>(task: Task<T>, what: string): Iterator<Wait, unknown, void> {
  if (typeof task !== 'object' || task === null || typeof task[Symbol.iterator] !== 'function') {
    const hint = 'expected a task: what a generator function (function*) returns';
    throw new ThreadError('ERR_NOT_A_TASK', `${what} ${show(task)}; ${hint}`);
  }
  return task[Symbol.iterator]();
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
  const running = currentThread();
  const scheduler = options.scheduler ?? running?.scheduler ?? defaultScheduler();
  const parent = options.scheduler === undefined || running?.scheduler === scheduler ? running : undefined;
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
  const { signal, scheduler = currentThread()?.scheduler ?? defaultScheduler() } = options;
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

/** @throws {TypeError} if the option is no string, for callers that no compiler has looked at */
function nameOf(source: TaskSource<unknown>, options: SpawnOptions): string {
  const { name } = options;
  if (name === undefined) return functionName(source, 'task');
  if (typeof name !== 'string') throw new TypeError(`spawn: name is ${show(name)}; expected a string`);
  return name;
}

/** The name of a function, which may have been replaced by something that is no name. @param otherwise what it is called if it has none */
export function functionName(source: unknown, otherwise: string): string {
  const name = typeof source === 'function' ? propertyOf(source, 'name') : undefined;
  return typeof name === 'string' && name !== '' ? name : otherwise;
}
