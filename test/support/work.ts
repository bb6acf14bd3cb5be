// The account of what handlers do. Whatever is entered is left, once: a handler, the body of a stream, a stream of the platform's.

import type { Response } from '#sluice/http/fetch/response.js';
import { type BodyWriter, stream } from '#sluice/http/stream.js';
import type { Task } from '#sluice/threads/task.js';

/** What a stream of the platform's gives: a piece, an error to fail with, or its end. */
type Piece = string | Error | undefined;

export class Work {
  entered = 0;
  /** How often a `finally` block was entered, or a stream of the platform's has ended or was cancelled. */
  left = 0;
  /** How often one has run to its end. */
  ended = 0;
  /** Its client's leaving unwinds or cancels it. */
  isUnwound = false;

  /** Nothing of it runs. */
  get isOver(): boolean {
    return this.ended === this.entered;
  }

  enter(): void {
    this.entered++;
  }

  leave(): void {
    this.left++;
  }

  plain<T>(answer: () => T): T {
    this.enter();
    try {
      return answer();
    } finally {
      this.leave();
      this.ended++;
    }
  }

  async async<T>(answer: () => Promise<T>): Promise<T> {
    this.enter();
    try {
      return await answer();
    } finally {
      this.leave();
      this.ended++;
    }
  }

  /** A thread, which counts as entered from now on. @param last runs in the `finally` block */
  thread<T>(task: () => Task<T>, last?: () => Task<void>): Task<T> {
    this.isUnwound = true;
    this.enter();
    return this.#run(task, last);
  }

  *#run<T>(task: () => Task<T>, last?: () => Task<void>): Task<T> {
    try {
      return yield* task();
    } finally {
      this.leave();
      try {
        if (last !== undefined) yield* last();
      } finally {
        this.ended++;
      }
    }
  }

  /** A response whose body is a thread. It may never be started: its client may leave before. */
  stream(body: (out: BodyWriter) => Task<void>, headers?: Record<string, string>): Response {
    const work = this;
    return stream(
      function* (out) {
        yield* work.thread(() => body(out));
      },
      { headers },
    );
  }

  /** A stream of the platform's. @param next is called when a piece is asked for, with its number from 0 on */
  readable(next: (n: number) => Piece | Promise<Piece>): ReadableStream<Uint8Array> {
    this.isUnwound = true;
    this.enter();
    let n = 0;
    let isCancelled = false;
    const end = () => {
      this.leave();
      this.ended++;
    };
    return new ReadableStream<Uint8Array>(
      {
        pull: async (controller) => {
          const piece = await next(n++);
          if (isCancelled) return;
          if (typeof piece === 'string') {
            controller.enqueue(Buffer.from(piece));
            return;
          }
          end();
          if (piece === undefined) controller.close();
          else controller.error(piece);
        },
        cancel() {
          isCancelled = true;
          end();
        },
      },
      { highWaterMark: 0 },
    );
  }
}
