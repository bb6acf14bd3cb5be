// A request body as a ReadableStream. Until the response has been sent, each pull reads in a child of the connection's thread. From
// then on the connection's own thread reads to the end for the handler (see `readOn`), because nothing else can be read from the
// connection before that.

import type { BufferedBytes } from '../connection/buffered-bytes.js';
import { ConnectionError } from '../event-layer/event-layer.js';
import { TimeoutError } from '../threads/errors.js';
import { timeout } from '../threads/group.js';
import type { Task } from '../threads/task.js';
import { runningThread } from '../threads/thread.js';
import { until } from '../threads/until.js';

/** The body that the stream reads. */
export interface StreamSource {
  /** All of it has been read. */
  isComplete(): boolean;
  /** Content that has come, if some can be taken without waiting. */
  takeNow(): Uint8Array<ArrayBuffer> | undefined;
  /** See `RequestBody.read`. */
  read(): Task<Uint8Array<ArrayBuffer> | undefined>;
  /** Runs a task in a child of the connection's thread. */
  inThread(task: () => Task<void>): Promise<void>;
}

export class BodyStream {
  readonly stream: ReadableStream<Uint8Array>;
  readonly #source: StreamSource;
  #controller: ReadableByteStreamController | undefined;
  /** Some of it has been asked for: it holds nothing by itself, so nothing else makes the first pull. */
  #isPulled = false;
  /** It has been read to its end, or has failed, or has been cancelled. */
  #isOver = false;
  /** The connection's thread reads for it. */
  #isReadingRest = false;
  /** While the connection's thread reads: the handler waits for what comes next. */
  #isWanted = false;
  /** Wakes the connection's thread, which waits for a pull. */
  #wake: () => void = () => {};

  constructor(source: StreamSource) {
    this.#source = source;
    // Of bytes, as the platform's are, so that BYOB readers work.
    this.stream = new ReadableStream({
      type: 'bytes',
      start: (controller) => {
        this.#controller = controller;
      },
      pull: (controller) => this.#pull(controller),
      cancel: () => {
        this.#isOver = true;
        this.#wake();
      },
    });
  }

  /** It is locked and has not been read to its end, so there is or was something that means to read it: that may be seen only in the next turn. */
  get isLocked(): boolean {
    return !this.#isOver && this.stream.locked;
  }

  /** Some of it has been asked for, and it has not been read to its end, nor cancelled. */
  get isBeingRead(): boolean {
    return !this.#isOver && this.#isPulled;
  }

  async #pull(controller: ReadableByteStreamController): Promise<void> {
    this.#isPulled = true;
    if (this.#isReadingRest) {
      this.#isWanted = true;
      this.#wake();
      return;
    }
    const source = this.#source;
    const part = source.takeNow();
    if (part !== undefined) controller.enqueue(part);
    else if (source.isComplete())
      this.#close(controller); // the connection may be gone by now
    // What is read is put into the stream before the thread is over: after that, another thread may read what follows.
    else await source.inThread(() => this.#deliver(controller));
  }

  /** Reads some more, and puts it into the stream. */
  *#deliver(controller: ReadableByteStreamController): Task<void> {
    const part = yield* this.#source.read();
    if (this.#isOver) return; // cancelled meanwhile
    this.#isWanted = false;
    if (part !== undefined) controller.enqueue(part);
    else this.#close(controller);
  }

  #close(controller: ReadableByteStreamController): void {
    this.#isOver = true;
    controller.close();
    controller.byobRequest?.respond(0);
  }

  /**
   * Reads the rest in the thread that calls, for a handler that has answered. Up to `ahead` bytes wait in the stream, so a handler
   * that stopped reading a short body holds nothing up. With that much waiting, it is given `milliseconds` milliseconds for its next read;
   * then the stream fails. It also fails with what the body fails with, and when the caller is unwound.
   * @param buffers counts what waits in the stream; when it is full, nothing is read ahead
   */
  *readRest(ahead: number, milliseconds: number, buffers: BufferedBytes): Task<void> {
    const controller = this.#controller;
    if (controller === undefined || !this.isBeingRead) return;
    this.#isReadingRest = true;
    let failure: unknown;
    let counted = 0;
    try {
      while (!this.#isOver) {
        buffers.add(this.#waiting - counted);
        counted = this.#waiting;
        const mayRead = this.#isWanted || (counted < ahead && !buffers.isFull);
        yield* mayRead ? this.#deliver(controller) : this.#pulled(milliseconds);
      }
    } catch (error) {
      failure = error;
    } finally {
      buffers.add(-counted); // from here on it is the handler's
      if (!this.#isOver) controller.error(failure ?? runningThread('request body').reason);
      this.#isOver = true;
    }
  }

  /** Bytes that are in the stream and have not been read. */
  get #waiting(): number {
    return -(this.#controller?.desiredSize ?? 0);
  }

  /** Parks until everything in the stream has been read, or it is cancelled. @throws {ConnectionError} if nothing is read for so many milliseconds */
  *#pulled(milliseconds: number): Task<void> {
    const pulled = new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    for (let waiting = this.#waiting; ; waiting = this.#waiting) {
      try {
        yield* timeout(milliseconds, until(pulled));
        return;
      } catch (error) {
        if (!(error instanceof TimeoutError)) throw error;
        if (this.#waiting === waiting) throw notRead(milliseconds);
      }
    }
  }
}

function notRead(milliseconds: number): ConnectionError {
  return new ConnectionError(
    'ERR_CLOSED',
    `the body can no longer be read: its request has been answered, and nothing was read of it for ${milliseconds} ms`,
  );
}
