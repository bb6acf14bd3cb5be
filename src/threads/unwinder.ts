// Makes the generators of a thread return, innermost first, when their `finally` blocks may park.
//
// A generator whose `return` is called while it is suspended in `yield*` calls that of the inner generator, and returns when that one has. But
// `yield*` does not remember this: if the inner generator parks in a `finally` block and is resumed later, the outer one continues
// behind its `yield*` as if nothing had happened (ECMA-262 §15.5.5, step 7: what counts is how it was resumed last). So the outermost
// generator's `return` is not called. Each frame of the thread (see frames.ts) is made to return by itself, the innermost first; one that parks
// in a `finally` block is resumed by itself, and the one around it returns when it is done. No code behind a `yield*` runs.
//
// Where the prototype of generators is frozen (`node --frozen-intrinsics`, SES), the frames cannot be found, and no other way of making
// all of them return exists in the language. There an exception unwinds the thread, which is the only completion that `yield*` does
// remember: `finally` blocks run to their end as everywhere, but `catch` blocks see the exception. The guide says so.

import { isInstance } from '../util/inspect.js';
import { UnwindSignal } from './errors.js';
import { type Frame, framesOf } from './frames.js';
import { probe, type Wait } from './task.js';

type Result = IteratorResult<Wait, unknown>;

/** How a frame is resumed. */
type Resumption = { how: 'next' } | { how: 'return' } | { how: 'throw'; error: unknown };

const next: Resumption = { how: 'next' };
const leave: Resumption = { how: 'return' };

/** Takes the place of the thread's iterator from the moment that it is unwound. */
export class Unwinder implements Frame {
  /** Those that have not returned yet; the last one is the innermost. */
  readonly #frames: Frame[];
  /** How `return` resumes the innermost. */
  #first: Resumption = leave;
  /** What `return` gives first, if probing has made the innermost frame park in a `finally` block. */
  #parked: Result | undefined;

  /**
   * @param iterator what the thread has run until now; it is parked
   * @param thread for the message of the exception, where one is needed
   */
  constructor(iterator: Frame, thread: string, reason: unknown) {
    const probed = framesOf(iterator);
    if (probed === undefined) {
      warnOnce();
      this.#frames = [iterator];
      if (iterator.throw !== undefined) this.#first = { how: 'throw', error: new UnwindSignal(thread, reason) };
      return;
    }
    this.#frames = probed.frames;
    const { disturbed } = probed;
    if (disturbed === undefined) return;
    if ('result' in disturbed && !disturbed.result.done) {
      this.#parked = disturbed.result;
      return;
    }
    this.#frames.pop();
    if ('error' in disturbed && disturbed.error !== probe) this.#first = { how: 'throw', error: disturbed.error };
  }

  /** Continues the `finally` block that has parked. */
  next(): Result {
    return this.#resume(next);
  }

  /** Begins; later, leaves the `finally` block that has parked, at the place where it is parked. */
  return(): Result {
    const parked = this.#parked;
    this.#parked = undefined;
    if (parked !== undefined) return parked;
    const first = this.#first;
    this.#first = leave;
    return this.#resume(first);
  }

  /** Throws into the `finally` block that has parked. */
  throw(error: unknown): Result {
    return this.#resume({ how: 'throw', error });
  }

  #resume(resumption: Resumption): Result {
    for (;;) {
      const frame = this.#frames.at(-1);
      if (frame === undefined) {
        if (resumption.how === 'throw') throw resumption.error;
        return { done: true, value: undefined };
      }
      try {
        const result = this.#resumeFrame(frame, resumption);
        if (!result.done) return result;
        resumption = leave;
      } catch (error) {
        resumption = isInstance(error, UnwindSignal) ? leave : { how: 'throw', error };
      }
      this.#frames.pop();
    }
  }

  #resumeFrame(frame: Frame, resumption: Resumption): Result {
    if (resumption.how === 'next') return frame.next();
    if (resumption.how === 'return') return frame.return?.() ?? { done: true, value: undefined };
    if (frame.throw === undefined) throw resumption.error;
    return frame.throw(resumption.error);
  }
}

let isWarned = false;

function warnOnce(): void {
  if (isWarned) return;
  isWarned = true;
  process.emitWarning(
    'The prototype of generators is frozen: threads are unwound by an UnwoundError, which catch blocks must throw again.',
    { code: 'SLUICE_FROZEN_GENERATORS' },
  );
}
