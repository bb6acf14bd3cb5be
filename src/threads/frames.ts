// Finding the frames of a parked thread: the generators that are suspended in `yield*`, each on the next, from the one that the
// thread runs to the one that called the primitive.
//
// The language has no way to ask a generator what it delegates to. But a generator that is suspended in `yield*` passes what is thrown
// into it on to the inner iterator, and looks that iterator's method `throw` up for it. So a probe is thrown into each frame in turn.
// For that moment the generators' own `throw` is replaced by a function that notes the object it is called on and answers as if it had
// parked; a primitive (`WaitingTask`) answers the probe in the same way. No frame runs, and no code of the user's runs meanwhile.
// Each frame is probed by itself, so the depth of the chain needs no depth of the stack.
//
// A chain can only be followed where every iterator in it has its own `throw`: generators do, and every primitive here does.

import { probe, probed, type Wait } from './task.js';

export type Frame = Iterator<Wait, unknown, void>;

type Throw = (this: Frame, error: unknown) => IteratorResult<Wait, unknown>;

/** %GeneratorPrototype%: where every generator finds `next`, `return` and `throw`. */
const generatorPrototype: { throw: Throw } = Object.getPrototypeOf(function* () {}.prototype);

/** What the prototype has for `throw` while no frames are looked for. */
let original = generatorPrototype.throw;
/** The generator that the probe has reached. */
let reached: Frame | undefined;

/** How probing has ended. */
export interface Probed {
  /** The outermost first. */
  readonly frames: Frame[];
  /**
   * Present if the last frame was not suspended in `yield*` on a task, so that the probe was an exception to it: a generator that has not
   * started, say. Holds what the frame has made of that.
   */
  readonly disturbed?: { result: IteratorResult<Wait, unknown> } | { error: unknown };
}

/**
 * Finds the frames of a chain. The thread must be parked.
 * @returns undefined where that is impossible, because the prototype of generators is frozen
 */
export function framesOf(outermost: Frame): Probed | undefined {
  const frames = [outermost];
  if (outermost.throw === undefined) return { frames };
  const before = generatorPrototype.throw;
  if (before !== note) original = before; // it is, if an iterator of the application's unwinds a thread when it is probed
  if (!replaceThrow(note)) return undefined;
  try {
    for (let frame = outermost; ; ) {
      reached = undefined;
      const result = frame.throw === note ? Reflect.apply(original, frame, [probe]) : (frame.throw?.(probe) ?? probed);
      if (result.done || result.value !== probed.value) return { frames, disturbed: { result } };
      if (reached === undefined) return { frames };
      frame = reached;
      frames.push(frame);
    }
  } catch (error) {
    return { frames, disturbed: { error } };
  } finally {
    replaceThrow(before);
    reached = undefined;
  }
}

/** Replaces the `throw` of generators. */
function note(this: Frame, error: unknown): IteratorResult<Wait, unknown> {
  if (error !== probe) return Reflect.apply(original, this, [error]); // an iterator of the application's throws something else
  reached = this;
  return probed;
}

/** @returns whether it could be replaced */
function replaceThrow(method: Throw): boolean {
  try {
    generatorPrototype.throw = method;
    return generatorPrototype.throw === method;
  } catch {
    return false; // it is frozen
  }
}
