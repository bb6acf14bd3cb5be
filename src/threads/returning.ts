// Making a generator return whose `finally` blocks park.
//
// A generator that is told to return, and stands in `yield*`, tells the generator that it delegates to, and returns when that one
// has. But `yield*` does not remember it: if the inner generator parks in a `finally` block, and is resumed and done, the
// outer one goes on behind its `yield*` as if nothing had happened (ECMA-262 §15.5.5, step 7: what counts is how it was resumed
// last). So a generator that parks while it returns is resumed by itself from then on, and when it is done, the one around it
// is told to return in its turn.
//
// Which generators those are nobody says: the engine goes from one to the next by itself. It does so by way of their method
// `return`, and looks that up each time; so for the length of the call, and no longer, it finds one that takes note.

import type { Wait } from './task.js';

type Frame = Iterator<Wait, unknown, void>;

const prototype: object = Object.getPrototypeOf(function* () {}.prototype);
const nativeReturn: unknown = Reflect.get(prototype, 'return');

/** Generators that were told to return and have parked instead, the innermost first, with what they have yielded. */
let noted: { frame: Frame; result: unknown }[] = [];

function returnAndNote(this: Frame, value: unknown): unknown {
  const result: IteratorResult<Wait, unknown> = Reflect.apply(nativeReturn as () => never, this, [value]);
  if (!result.done) noted.push({ frame: this, result });
  return result;
}

/** An iterator that is returning: how far it has come, from the outermost generator to the one that stands in `finally`. */
export class Returning implements Frame {
  readonly #frames: Frame[];

  constructor(iterator: Frame) {
    this.#frames = [iterator];
  }

  /** Goes on in the `finally` block that has parked. */
  next(): IteratorResult<Wait, unknown> {
    return this.#go('next');
  }

  /** Leaves whatever it is parked at. */
  return(): IteratorResult<Wait, unknown> {
    return this.#go('return');
  }

  #go(how: 'next' | 'return' | 'throw'): IteratorResult<Wait, unknown> {
    let error: unknown;
    for (let next = how; ; ) {
      const frame = this.#frames[this.#frames.length - 1];
      let result: IteratorResult<Wait, unknown>;
      try {
        if (next === 'next') result = frame.next();
        else if (next === 'return') result = this.#return(frame);
        else if (frame.throw === undefined) throw error;
        else result = frame.throw(error);
        if (!result.done) return result;
        next = 'return';
      } catch (thrown) {
        if (this.#frames.length === 1) throw thrown;
        error = thrown;
        next = 'throw';
        this.#frames.pop();
        continue;
      }
      if (this.#frames.length === 1) return result;
      this.#frames.pop();
    }
  }

  #return(frame: Frame): IteratorResult<Wait, unknown> {
    const notes: typeof noted = [];
    const outerNotes = noted; // a `finally` block may run turns of another scheduler, as a test may
    const outerReturn: unknown = Reflect.get(prototype, 'return');
    noted = notes;
    Reflect.set(prototype, 'return', returnAndNote); // fails where intrinsics are frozen: there it stays as the language has it
    try {
      // One that cannot be told to return has no `finally` blocks to run.
      const result = frame.return?.() ?? { done: true, value: undefined };
      for (const note of notes.reverse()) {
        // What a `finally` block has told to return on its own account has yielded something else.
        if (note.result === result && note.frame !== frame) this.#frames.push(note.frame);
      }
      return result;
    } finally {
      Reflect.set(prototype, 'return', outerReturn);
      noted = outerNotes;
    }
  }
}
