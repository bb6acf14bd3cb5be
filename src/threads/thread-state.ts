// The state of a thread: small values that change as it runs and parks. They share one field as bits, because separate fields would cost
// each thread 40 bytes more, and a process may have hundreds of thousands of parked threads.

import { Wait, type WaitKind } from './task.js';

const states = ['ready', 'running', 'parked', 'closing', 'over'] as const;
const outcomes = ['returned', 'failed', 'unwound'] as const;

/** What a thread is doing. */
export type ThreadState = (typeof states)[number];

/** How a thread ended. */
export type Outcome = (typeof outcomes)[number];

/** The numbers of the states. */
export const State = { ready: 0, running: 1, parked: 2, closing: 3, over: 4 } as const satisfies Record<
  ThreadState,
  number
>;
export type State = (typeof State)[ThreadState];

/** The numbers of the outcomes. */
export const Ending = { returned: 0, failed: 1, unwound: 2 } as const satisfies Record<Outcome, number>;
export type Ending = (typeof Ending)[Outcome];

/** How far the unwinding has come. */
export const Unwinding = {
  no: 0,
  /** The generator will be made to return as soon as the thread's children are over. */
  asked: 1,
  /** It is being made to return. */
  started: 2,
  /** The time for it is up; whatever the thread waits for is not waited for. */
  forced: 3,
} as const;
type Unwinding = (typeof Unwinding)[keyof typeof Unwinding];

/** Whether the scheduler is to run the thread: not at all, in this turn, or in the next. */
export const Queued = { no: 0, now: 1, next: 2 } as const;
export type Queued = (typeof Queued)[keyof typeof Queued];

// The bits, from the lowest: where each thing begins, and which bits are its own.
const stateMask = 0b111;
const endingAt = 3;
const endingMask = 0b11 << endingAt;
const unwindingAt = 5;
const unwindingMask = 0b11 << unwindingAt;
const queuedAt = 7;
const queuedMask = 0b11 << queuedAt;
const waitAt = 9;
const waitMask = 0b111 << waitAt;
const uninterruptibleBit = 1 << 12;
const failurePendingBit = 1 << 13;
const failureReceivedBit = 1 << 14;

export abstract class ThreadStateBits {
  /** A new thread has none set: it is ready, not queued, parked on nothing and not being unwound. */
  #bits = 0;

  get state(): ThreadState {
    return states[this.#bits & stateMask];
  }

  /** What the thread is parked on, or `undefined` when it is not parked. */
  get wait(): WaitKind | undefined {
    return Wait.kindOf((this.#bits & waitMask) >> waitAt);
  }

  /** @internal Set by the scheduler. Taken back when what the thread was woken for is left. */
  get queued(): Queued {
    return ((this.#bits & queuedMask) >> queuedAt) as Queued; // only `set queued` writes these bits
  }

  /** @internal */
  set queued(queued: Queued) {
    this.#bits = (this.#bits & ~queuedMask) | (queued << queuedAt);
  }

  /** Whether a resumed thread just continues: it is neither being unwound nor at its end. This is the usual case, so it is one comparison. */
  protected get canContinue(): boolean {
    return (this.#bits & (unwindingMask | stateMask)) <= State.parked; // the bits of unwinding are higher than those of the state
  }

  protected hasState(state: State): boolean {
    return (this.#bits & stateMask) === state;
  }

  /** The thread runs, and is not parked any more. A wake-up that is still queued was for the wait that ends here. */
  protected enterRunning(): void {
    this.#bits = (this.#bits & ~(stateMask | waitMask | queuedMask)) | State.running;
  }

  protected enterWait(wait: Wait, state: State): void {
    this.#bits = (this.#bits & ~(stateMask | waitMask)) | state | (wait.number << waitAt);
  }

  protected enterOver(): void {
    this.#bits = (this.#bits & ~(stateMask | waitMask)) | State.over;
  }

  /** How the thread will have ended; final when it is over. */
  protected get ending(): Ending {
    return ((this.#bits & endingMask) >> endingAt) as Ending; // only `set ending` writes these bits
  }

  protected set ending(ending: Ending) {
    this.#bits = (this.#bits & ~endingMask) | (ending << endingAt);
  }

  protected get unwinding(): Unwinding {
    return ((this.#bits & unwindingMask) >> unwindingAt) as Unwinding; // only `set unwinding` writes these bits
  }

  protected set unwinding(unwinding: Unwinding) {
    this.#bits = (this.#bits & ~unwindingMask) | (unwinding << unwindingAt);
  }

  /** Inside `uninterruptible`: unwinding waits until that has returned. */
  protected get isUninterruptible(): boolean {
    return (this.#bits & uninterruptibleBit) !== 0;
  }

  protected set isUninterruptible(is: boolean) {
    this.#bits = is ? this.#bits | uninterruptibleBit : this.#bits & ~uninterruptibleBit;
  }

  /** It has failed, and is not over before every thread that is ready has had the opportunity to join it. */
  protected get isFailurePending(): boolean {
    return (this.#bits & failurePendingBit) !== 0;
  }

  protected set isFailurePending(is: boolean) {
    this.#bits = is ? this.#bits | failurePendingBit : this.#bits & ~failurePendingBit;
  }

  /** @internal Its failure has been received, and is not passed on. */
  get isFailureReceived(): boolean {
    return (this.#bits & failureReceivedBit) !== 0;
  }

  /** @internal For joiners that receive a failure otherwise than by `result`. */
  setFailureReceived(): void {
    this.#bits |= failureReceivedBit;
  }

  /** How it ended, or `undefined` while it is not over. */
  get outcome(): Outcome | undefined {
    return this.hasState(State.over) ? outcomes[this.ending] : undefined;
  }
}
