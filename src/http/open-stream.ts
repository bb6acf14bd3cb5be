// A stream that is being sent as the body of a response. Chunks that are available at once can be read before the head is sent: if they are the whole content,
// the response has a length.

import { sleep } from '../threads/sleep.js';
import type { Task } from '../threads/task.js';

type Result = Awaited<ReturnType<ReadableStreamDefaultReader<unknown>['read']>>;

export class OpenStream {
  readonly #reader: ReadableStreamDefaultReader<unknown>;
  /** Reads that were made ahead, in order. */
  readonly #ahead: Promise<Result>[] = [];

  constructor(stream: ReadableStream<unknown>) {
    this.#reader = stream.getReader();
  }

  read(): Promise<Result> {
    return this.#ahead.shift() ?? this.#reader.read();
  }

  cancel(reason: unknown): Promise<void> {
    return this.#reader.cancel(reason);
  }

  /** Reads ahead, for one turn at most. @returns all chunks, if there is at most one; undefined if there are more, or they come later */
  *whole(): Task<readonly unknown[] | undefined> {
    const chunks: unknown[] = [];
    let isOver = false;
    const look = async () => {
      while (!isOver && chunks.length < 2) {
        const reading = this.#reader.read();
        this.#ahead.push(reading);
        const { done, value } = await reading;
        if (done) isOver = true;
        else chunks.push(value);
      }
    };
    look().catch(() => {}); // the next `read` returns the same rejected promise
    yield* sleep(0);
    return isOver && chunks.length < 2 ? chunks : undefined;
  }
}
