// The green thread: one generator, resumed by the scheduler, parked on one wait at a time, unwound from where it is.
// Threads form a tree: a thread is not over before its children are, and unwinding a thread unwinds its children first.
//
// The states a thread goes through:
//
//   ready ──► running ◄──► parked          the ordinary life
//     │          │ returned, threw, or `unwind` was called
//     │          ▼
//     └──► closing children ──► running the `finally` blocks (may park) ──► closing the children of those ──► over
//
// Threads that join a thread get what it has returned or thrown once it is over.
//
// Every failure is received in exactly one of three ways, whatever the timing:
//
//   1. by the threads that join the failed thread. One that has failed before any joins it is not over until every thread that is
//      ready has parked (or the turn ends): so a join that is on its way, in a task given to `timeout` say, comes in time;
//   2. if no thread joins it, or all that did were unwound before they received the failure, by its parent, which is unwound and fails;
//   3. by `report`, if there is no parent, or the parent has another end already. A parent that fails with this very error object has
//      it, and nothing is reported.
//
// What joins a thread later gets the failure as well: it has asked for it.

import type { Channel } from 'node:diagnostics_channel';
import { isInstance, propertyOf, show } from '../util/inspect.js';
import { type AsyncContext, captureContext, enterableContext, leftContext } from './context.js';
import { threadEnd, threadError, threadStart } from './diagnostics.js';
import { addSuspendedTasks, addTask, clarified, isSameFailure, ThreadError, UnwoundError } from './errors.js';
import { defaultScheduler, type ScheduledThread, type Scheduler, uncaught } from './scheduler.js';
import { isTask, isThenable, parked, type Task, Wait, WaitingTask, waitUntil } from './task.js';
import { type Joiner, ThreadLinks } from './thread-links.js';
import { Ending, Queued, State, ThreadStateBits, Unwinding } from './thread-state.js';
import type { TimerTarget } from './timers.js';
import { Unwinder } from './unwinder.js';

/** Receives an error that no thread receives. */
export type Report = (error: unknown, thread: Thread<unknown>) => void;

/** Options of `spawn` and `run`. */
export interface SpawnOptions {
  /** What the thread is called in errors and listings. Default: the name of the generator function, else `task`. */
  name?: string | undefined;
  /** Where it runs. Default: the scheduler of the running thread, else that of the process. */
  scheduler?: Scheduler | undefined;
  /**
   * Called with errors of the thread that no other thread receives. Default: that of the parent, else that of the scheduler.
   * If it throws itself, that is an uncaught exception.
   */
  report?: Report | undefined;
}

/** What is published on the diagnostics channels `sluice.thread.start`, `sluice.thread.error` and `sluice.thread.end`. */
export interface ThreadMessage {
  /** The thread that starts, has failed or has ended. */
  readonly thread: Thread<unknown>;
  /** What the thread has thrown, or what a child of it has. On `sluice.thread.error` only. */
  readonly error?: unknown;
}

/** A task, or the generator function that makes it (which also gives the thread its name). */
export type TaskSource<T> = Task<T> | (() => Task<T>);

/**
 * How often a thread that is past its unwinding limit is made to return before it is abandoned; also how often it may yield what is no wait
 * without parking in between.
 */
const maxAttempts = 100;

const none: ReadonlySet<Thread<unknown>> = new Set();

const over: IteratorResult<Wait, unknown> = { done: true, value: undefined };

let current: Thread<unknown> | undefined;
/** Creates the running thread when it is first asked for. */
let lazyThread: ThreadlessCall<unknown> | undefined;
let lastId = 0;

/** An ordinary call, made on behalf of a thread that is created only if the call asks for it; see `callWithoutThread`. */
export interface ThreadlessCall<out T> {
  /** The call itself. Must not throw. */
  run(): T;
  /** Creates the thread of the call. It must not be resumed before the call is over. */
  makeThread(): Thread<unknown>;
}

/** Never throws. @returns the thread that is running, or `undefined` outside any thread */
export function currentThread(): Thread<unknown> | undefined {
  if (current === undefined && lazyThread !== undefined) current = lazyThread.makeThread();
  return current;
}

/**
 * Makes an ordinary call as if a thread made it, inside a turn. Threads that it starts run when it is over. Most calls never ask for their
 * thread, and creating one costs more than many calls do: so it is created when it is first asked for, and the caller resumes it afterwards.
 */
export function callWithoutThread<T>(scheduler: Scheduler, call: ThreadlessCall<T>): T {
  const outer = current;
  const outerMaker = lazyThread;
  current = undefined;
  lazyThread = call;
  const result = scheduler.callAsThread(call);
  current = outer;
  lazyThread = outerMaker;
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

/** Called when a thread is over. */
export type ThreadJoiner = Joiner<Thread<unknown>>;

// Its methods are `private` and not `#`: by one #method, the engine gives every object of the class one more field.
/** A green thread: runs a task, which may park, until it returns, throws or is unwound. `spawn` and `run` make threads. */
export class Thread<out T> extends ThreadStateBits implements ScheduledThread, TimerTarget, ThreadJoiner {
  /** Unique in the process: the number of threads made so far. */
  readonly id: number = ++lastId;
  /** For errors and listings: `SpawnOptions.name`. */
  readonly name: string;
  /** The thread that has spawned it; undefined for the root of a tree. */
  readonly parent: Thread<unknown> | undefined;
  /** Where it runs. */
  readonly scheduler: Scheduler;
  /** @internal Set by sleep.ts: the timer that the thread sleeps on; 0 is none. */
  sleepTimer = 0;
  /** @internal The async context that the next step runs in. A thread begins in the one in which it was created. */
  context: AsyncContext;

  /** @internal For the list of the scheduler's threads. */
  nextInList: ScheduledThread | undefined;
  /** @internal */
  previousInList: ScheduledThread | undefined;

  readonly #report: Report;
  /** What makes the generator, until the thread first runs; undefined once the generator has returned or thrown. */
  #iterator: Iterator<Wait, unknown, void> | (() => Task<T>) | undefined;
  /** What was returned or thrown, or the reason for unwinding. */
  #value: unknown;
  #waitingSince = 0;
  /** Made when it is first needed. */
  #links: ThreadLinks<Thread<unknown>> | undefined;

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
    this.context = captureContext(parent?.context);
    this.#report = report;
    if (parent !== undefined) parent.links().adopt(this);
    scheduler.threads.add(this);
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
    return this.hasState(State.over) && this.ending === Ending.failed ? this.#value : undefined;
  }

  /**
   * True from the call of `unwind` on, and from the failure of a child on. A `finally` block can see from it why it runs.
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
    return this.#links?.children ?? none;
  }

  override toString(): string {
    return `thread ${this.id} (${this.name})`;
  }

  /**
   * Unwinds the thread where it is: its children first, then its own `finally` blocks, each once, innermost first.
   * They may park, for `scheduler.unwindLimit` milliseconds in all; then the thread is reported and abandoned.
   * If it is parked in a `finally` block when it is unwound, the rest of that block does not run, unless it is parked
   * inside {@link uninterruptible}: then the thread is unwound where it next parks outside of that.
   * A thread that is running (the caller itself, say) is unwound when it next parks. Calling it again changes nothing.
   */
  unwind(reason?: unknown): void {
    if (this.unwound || this.#iterator === undefined) return; // what has returned has nothing left to unwind
    this.unwinding = Unwinding.asked;
    this.ending = Ending.unwound;
    this.#value = reason;
    if (this.hasState(State.running)) return;
    if (this.isUninterruptible) this.limitUnwinding();
    else this.scheduler.resume(this);
  }

  /**
   * Parks until the thread is over.
   * @returns what it returned
   * @throws what it threw, or {@link UnwoundError}
   */
  join(): Task<T> {
    return new Join(this);
  }

  /** @internal Unwinds the threads that this one has spawned, and parks until they are over. To be called by the thread itself. */
  *closeChildren(reason: unknown): Task<void> {
    for (const child of this.children) child.unwind(reason);
    yield* waitUntil(() => !this.hasChildren, parked.join);
  }

  /** What the thread returned. @throws what it threw, {@link UnwoundError}, or `ERR_NOT_OVER` */
  result(): T {
    if (!this.hasState(State.over)) throw new ThreadError('ERR_NOT_OVER', `${this} is not over`);
    if (this.ending === Ending.unwound) throw new UnwoundError(this.toString(), this.#value);
    if (this.ending === Ending.failed) {
      this.setFailureReceived();
      if (current !== undefined) addSuspendedTasks(this.#value, this.result);
      throw this.#value;
    }
    return this.#value as T; // `settle` stored what this thread's own task returned, and that is a Task<T>
  }

  /**
   * @internal Registers an object that is called when this thread is over. A failure is for it to receive then, with `result`, or to pass on: it does
   * not go to the parent.
   */
  addJoiner(joiner: ThreadJoiner): void {
    this.links().addJoiner(joiner);
  }

  /** @internal A joiner that is removed before it has received a failure leaves it to the others, or else to the parent. */
  removeJoiner(joiner: ThreadJoiner): void {
    this.#links?.removeJoiner(joiner);
    if (!this.hasState(State.over) || this.#links?.joined) return;
    this.#links = undefined;
    if (this.ending === Ending.failed && !this.isFailureReceived) this.passFailureOn();
  }

  /** @internal Has something done when the thread is over, however it ends; at once if it is. `action` must not throw. */
  whenOver(action: () => void): void {
    if (this.hasState(State.over)) action();
    else this.links().whenOver(action);
  }

  /** It is over. For subclasses, to which a callback of `whenOver` would cost some 160 bytes for each thread. */
  protected ended(): void {}

  /** @internal A thread that this one joined is over. */
  threadOver(): void {
    this.scheduler.resume(this);
  }

  /** @internal For `uninterruptible`. @returns false if the thread is inside another such task already */
  enterUninterruptible(): boolean {
    if (this.isUninterruptible) return false;
    this.isUninterruptible = true;
    return true;
  }

  /** @internal */
  leaveUninterruptible(): void {
    this.isUninterruptible = false;
  }

  /** @internal Reports an error of this thread, or of a child, that no thread receives. */
  report(error: unknown, thread: Thread<unknown> = this): void {
    try {
      if (current === this) this.#report(error, thread);
      else enterableContext(this.context).runInAsyncScope(this.#report, undefined, error, thread);
    } catch (thrown) {
      uncaught(thrown);
    }
  }

  /** @internal One of this thread's two timers has fired: the one it sleeps on, or the bound of its unwinding. */
  timerFired(arg: number): void {
    if (arg === limitTimer) {
      this.links().limit = 0;
      this.unwinding = Unwinding.forced;
    } else {
      this.sleepTimer = 0;
    }
    this.scheduler.resume(this);
  }

  /** @internal Called by the scheduler alone: runs the thread until it parks or is over. */
  step(): void {
    if (this.hasState(State.ready) && threadStart.hasSubscribers) this.publish(threadStart, { thread: this });
    if (this.canContinue) {
      this.advance(false);
      return;
    }
    this.queued = Queued.no;
    if (this.hasState(State.over)) return;
    if (this.hasState(State.closing)) {
      // A wake-up that was queued when the thread was unwound comes while its children are not over.
      if (!this.hasChildren && !this.isFailurePending) this.closed();
    } else if (this.unwinding === Unwinding.forced) {
      this.force();
    } else if (this.unwinding === Unwinding.asked && !this.isUninterruptible) {
      this.beginUnwinding();
    } else {
      this.advance(false); // it continues a `finally` block, or what is uninterruptible
    }
  }

  /** Calls the subscribers in the thread's async context, which keeps what they enter. (Node makes uncaught exceptions of what they throw.) */
  private publish(channel: Channel, message: ThreadMessage): void {
    const context = enterableContext(this.context);
    context.runInAsyncScope(() => {
      channel.publish(message);
      this.context = leftContext(context);
    }, undefined);
  }

  /** Runs the generator to its next park. @param returning makes it return from where it is */
  private advance(returning: boolean): void {
    this.enterRunning();
    let threw = true;
    let done: boolean | undefined;
    let wait: Wait | undefined;
    /** What was yielded, returned or thrown. */
    let value: unknown;
    const outer = current; // a host that runs turns from within a thread of another scheduler, as a test may
    current = this;
    try {
      // Read here: an iterator written by hand may answer with anything, getters that throw included.
      ({ done, value } = this.driveInContext(returning));
      for (let attempts = maxAttempts; !done; ) {
        if (value === Wait.context) {
          ({ done, value } = this.driveInContext(false));
        } else if (Wait.is(value)) {
          wait = value;
          break;
        } else {
          const context = enterableContext(this.context);
          ({ done, value } = context.runInAsyncScope(this.refuse, this, value, attempts-- === 0));
        }
      }
      threw = false;
    } catch (error) {
      value = clarified(error);
    } finally {
      current = outer;
    }
    if (threw) {
      this.fail(value);
    } else if (wait === undefined) {
      if (this.unwinding >= Unwinding.started) this.settle(this.ending, this.#value);
      else this.settle(Ending.returned, value);
    } else {
      this.park(wait, State.parked);
      if (this.canContinue) return;
      if (this.unwinding === Unwinding.asked && !this.isUninterruptible) {
        this.beginUnwinding(); // it was unwound while it ran, and does not get to park
      } else if (this.unwinding !== Unwinding.forced) {
        this.limitUnwinding();
      }
    }
  }

  /** Runs the generator to its next park, in the thread's async context. */
  private driveInContext(returning: boolean): IteratorResult<Wait, unknown> {
    const context = enterableContext(this.context);
    this.context = context;
    return context.runInAsyncScope(this.driveAndKeep, this, returning, context);
  }

  /** Keeps what the generator has entered, unless the context has been replaced meanwhile. */
  private driveAndKeep(returning: boolean, context: AsyncContext): IteratorResult<Wait, unknown> {
    try {
      return this.drive(returning);
    } finally {
      if (this.context === context) this.context = leftContext(context);
    }
  }

  /** The bottom of the thread's stack: errors.ts knows it by this name. */
  private drive(returning: boolean): IteratorResult<Wait, unknown> {
    if (typeof this.#iterator === 'function' && !returning) {
      const source = this.#iterator;
      this.#iterator = iteratorOf(source(), `${this}: its function returned`);
    }
    const iterator = this.#iterator;
    if (iterator === undefined || typeof iterator === 'function') return over; // what has not started has no `finally` blocks to run
    return returning ? this.unwinderOf(iterator).return() : iterator.next();
  }

  private unwinderOf(iterator: Iterator<Wait, unknown, void>): Unwinder {
    if (iterator instanceof Unwinder) return iterator;
    const unwinder = new Unwinder(iterator, this.toString(), this.#value);
    this.#iterator = unwinder;
    return unwinder;
  }

  /** What was yielded is no wait: most often `yield` was written for `yield*`. It comes back as an exception, at the place of the mistake. */
  private refuse(value: unknown, isLast: boolean): IteratorResult<Wait, unknown> {
    const iterator = this.#iterator;
    const error = notAWait(this, value);
    if (isLast || typeof iterator !== 'object' || iterator.throw === undefined) throw error;
    return iterator.throw(error);
  }

  private park(wait: Wait, state: State): void {
    this.enterWait(wait, state);
    this.#waitingSince = this.scheduler.millisecond;
  }

  /** Bounds the unwinding, if it is not yet. */
  private limitUnwinding(): void {
    const links = this.links();
    if (links.limit === 0) links.limit = this.scheduler.armIn(this.scheduler.unwindLimit, this, limitTimer);
  }

  private beginUnwinding(): void {
    if (!this.unwindChildren(this.#value)) this.unwindSelf();
  }

  private unwindSelf(): void {
    this.unwinding = Unwinding.started;
    this.advance(true);
  }

  /** Reports a thread whose time for unwinding is up, and abandons it. */
  private force(): void {
    const { unwindLimit } = this.scheduler;
    const message = `${this} was still parked (${this.wait}) ${unwindLimit} ms after it was unwound`;
    this.report(new ThreadError('ERR_UNWIND_LIMIT', message));
    this.abandon();
  }

  /** Makes the generator return from whatever it parks on, a bounded number of times, and releases it. */
  private abandon(): void {
    this.unwinding = Unwinding.forced;
    for (let i = 0; i < maxAttempts && this.#iterator !== undefined; i++) this.advance(true);
    if (this.#iterator !== undefined) this.settle(this.ending, this.#value);
  }

  /** The generator threw. */
  private fail(error: unknown): void {
    if (this.ending === Ending.failed) {
      // By a `finally` block, after a child's failure, which is the first cause and stays the outcome.
      if (!isSameFailure(error, this.#value)) this.report(error);
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
    if (this.#links !== undefined) this.#links.limit = this.cancel(this.#links.limit);
    this.sleepTimer = this.cancel(this.sleepTimer); // an abandoned thread may be asleep
    if (this.hasChildren) {
      this.unwindChildren(
        ending === Ending.unwound ? value : new ThreadError('ERR_PARENT_OVER', `${this}, its parent, is over`),
      );
    } else {
      this.end();
    }
  }

  /** @returns 0, the timer that is none */
  private cancel(timer: number): number {
    if (timer !== 0) this.scheduler.timers.cancel(timer);
    return 0;
  }

  /** Nothing of the thread runs any more, and it has no children. */
  private end(): void {
    if (this.ending !== Ending.failed || this.#links?.joined) {
      this.over();
    } else {
      this.park(Wait.join, State.closing);
      this.isFailurePending = true;
      this.scheduler.awaitJoiner(this);
    }
  }

  /** @internal Called by the scheduler, some time after `awaitJoiner`. */
  endFailed(): void {
    this.isFailurePending = false;
    this.over();
  }

  private over(): void {
    this.enterOver();
    this.scheduler.threads.remove(this);
    if (this.ending === Ending.failed && threadError.hasSubscribers) {
      this.publish(threadError, { thread: this, error: this.#value });
    }
    if (threadEnd.hasSubscribers) this.publish(threadEnd, { thread: this });
    const links = this.#links;
    const isReceived = this.ending !== Ending.failed || links?.joined;
    if (this.ending !== Ending.failed) this.#links = undefined;
    try {
      this.ended();
      links?.notifyOver(this);
    } catch (thrown) {
      uncaught(thrown); // by a callback; the parent waits for this thread, and must learn that it is over all the same
    }
    // A joiner may yet be removed before it has received the failure.
    if (this.isFailureReceived) this.#links = undefined;
    if (!isReceived) this.passFailureOn();
    if (this.parent !== undefined) this.parent.childOver(this);
  }

  /** No joiner receives the failure. */
  private passFailureOn(): void {
    this.setFailureReceived();
    this.#links = undefined;
    if (this.parent === undefined || this.parent.state === 'over') this.report(this.#value);
    else this.parent.childFailed(this.#value);
  }

  private links(): ThreadLinks<Thread<unknown>> {
    this.#links ??= new ThreadLinks();
    return this.#links;
  }

  private get hasChildren(): boolean {
    return this.#links?.hasChildren ?? false;
  }

  /** Unwinds the children; this thread waits for them. @returns whether there are any */
  private unwindChildren(reason: unknown): boolean {
    if (!this.hasChildren) return false;
    this.park(Wait.join, State.closing);
    for (const child of this.children) child.unwind(reason);
    return true;
  }

  /** A child that no thread joins has failed: this thread cannot be right without it. */
  private childFailed(error: unknown): void {
    if (this.ending === Ending.failed && isSameFailure(error, this.#value)) return; // it has this failure already
    if (this.#iterator === undefined && this.ending === Ending.returned) {
      this.ending = Ending.failed;
      this.#value = error;
      addTask(error, `${this.name} (thread ${this.id})`);
    } else if (this.#iterator === undefined || this.unwound) {
      this.report(error); // this thread has another end already, and no other thread receives it
    } else {
      this.unwind(error);
      this.ending = Ending.failed;
    }
  }

  /** The last child to be over resumes this thread, through the queue: a tree may be deeper than the stack. */
  private childOver(child: Thread<unknown>): void {
    this.#links?.children?.delete(child);
    if (this.hasChildren) return;
    if (this.hasState(State.closing) || this.wait === 'join') this.scheduler.resume(this);
  }

  /** The children it waited for are over. */
  private closed(): void {
    if (this.#iterator === undefined) this.end();
    else this.unwindSelf();
  }
}

/**
 * @internal The threads of a scheduler that are not over, in the order of their creation. No thread may start or end during the walk: copy
 * what it yields before any other code runs.
 */
export function* threadsOf(scheduler: Scheduler): Generator<Thread<unknown>, void> {
  for (const thread of scheduler.threads) if (thread instanceof Thread) yield thread; // all are, as only `Thread` adds them
}

/** @throws {ThreadError} `ERR_NOT_A_TASK`, for callers that no compiler has looked at */
export function iteratorOf<T>(task: Task<T>, what: string): Iterator<Wait, T, void> {
  if (typeof task !== 'object' || typeof propertyOf(task, Symbol.iterator) !== 'function') {
    const hint = 'expected a task: what a generator function (function*) returns';
    throw new ThreadError('ERR_NOT_A_TASK', `${what} ${show(task)}; ${hint}`);
  }
  return task[Symbol.iterator]();
}

/** The task of `join`. */
class Join<T> extends WaitingTask<T> {
  readonly #thread: Thread<T>;
  /** The thread that waits, from when it parks until it is resumed for the last time. */
  #joiner: Thread<unknown> | undefined;

  constructor(thread: Thread<T>) {
    super();
    this.#thread = thread;
  }

  next(): IteratorResult<Wait, T> {
    const thread = this.#thread;
    if (thread.state !== 'over') {
      if (this.#joiner === undefined) {
        const joiner = runningThread('join');
        if (joiner === thread) throw new ThreadError('ERR_JOIN', `${thread} cannot join itself`);
        thread.addJoiner(joiner);
        this.#joiner = joiner;
      }
      return parked.join;
    }
    try {
      return { done: true, value: thread.result() };
    } finally {
      this.leave();
    }
  }

  protected leave(): void {
    if (this.#joiner !== undefined) this.#thread.removeJoiner(this.#joiner);
    this.#joiner = undefined;
  }
}

/** What a thread has yielded and cannot park on, and what was most likely meant. */
function notAWait(thread: Thread<unknown>, value: unknown): ThreadError {
  const found = `${thread} yielded ${show(value)}, which is nothing to wait for`;
  if (isTask(value)) return new ThreadError('ERR_NOT_A_WAIT', `${found}: write yield* where it says yield`);
  if (isThenable(value)) {
    // Nothing will wait for it now: if it is rejected, this error has already said what is wrong.
    if (isInstance(value, Promise)) value.catch(() => {});
    return new ThreadError('ERR_NOT_A_WAIT', `${found}: write yield* until(promise)`);
  }
  return new ThreadError(
    'ERR_NOT_A_WAIT',
    `${found}: only tasks are waited for, with yield*, and promises, with yield* until(promise)`,
  );
}

/** The `arg` of a thread's timers: which of the two it may have at once has fired. */
export const sleepTimer = 0;
const limitTimer = 1;

/**
 * Starts a thread as a child of the running one; it first runs when that one parks. It is unwound before its parent ends.
 * If it fails and no thread joins it, its parent is unwound and fails with the same error.
 *
 * Outside any thread it starts the root of a new tree, whose failure, if no thread joins it, is an uncaught exception.
 *
 * @param source a task, or a generator function without parameters
 * @throws {ThreadError} `ERR_NOT_A_TASK` if the source is neither; a generator function is called when the thread first runs
 * @throws {TypeError} if `name` is not a string
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
 * Runs a task in a new thread without a parent, for callers that are ordinary async code.
 * @param source a task, or a generator function without parameters
 * @param options.signal unwinds the thread when it is aborted
 * @returns a promise of what the task returns
 * @throws (rejects) what the task throws; {@link UnwoundError} if the thread was unwound; {@link ThreadError} `ERR_NOT_A_TASK` if the source is not a task;
 *   TypeError if `name` is not a string
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

/** The name of a function, which may have been replaced by a value of another type. @param otherwise the name to use if it has none */
export function functionName(source: unknown, otherwise: string): string {
  const name = typeof source === 'function' ? propertyOf(source, 'name') : undefined;
  return typeof name === 'string' && name !== '' ? name : otherwise;
}
