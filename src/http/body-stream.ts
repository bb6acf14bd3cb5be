// A request body as a ReadableStream. Until the response has been sent, each pull reads in a child of the connection's thread. From
// then on the connection's thread itself reads to the end for the handler (see `readRest`), because nothing else can be read from the
// connection before that.

import type { BufferedBytes } from '../connection/buffered-bytes.js';
import { ConnectionError } from '../event-layer/event-layer.js';
import { TimeoutError } from '../threads/errors.js';
import { timeout } from '../threads/group.js';
import type { Task } from '../threads/task.js';
import { runningThread } from '../threads/thread.js';
import { until } from '../threads/until.js';

/** The request body that the stream reads. */
export interface StreamSource {
  /** All of it has been read. */
  isComplete(): boolean;
  /** Content that has arrived, if any. Never waits. */
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
  /** It has been pulled, which happens only when it is read, because its high-water mark is 0. */
  #isPulled = false;
  /** It has been read to the end, has failed, or has been cancelled. */
  #isOver = false;
  /** `readRest` is running, or has run. */
  #isReadingRest = false;
  /** While `readRest` runs: the stream has been pulled, and has not received anything since. */
  #isWanted = false;
  /** Wakes `readRest` while it waits for a pull. */
  #wake: () => void = () => {};

  constructor(source: StreamSource) {
    this.#source = source;
    // A byte stream like the platform's, so that BYOB readers work.
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

  /** It is locked and not at its end, so it has a reader, whose first pull may come only in the next turn. */
  get isLocked(): boolean {
    return !this.#isOver && this.stream.locked;
  }

  /** It has been pulled, and has neither been read to the end nor cancelled. */
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
      this.#close(controller); // the connection may have closed by now
    // Content is added to the stream before the thread ends; after that, another thread may read the next content.
    else await source.inThread(() => this.#deliver(controller));
  }

  /** Reads content, and adds it to the stream. */
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
   * Reads the rest in the calling thread, for a handler that has answered. Up to `ahead` bytes are read before the handler asks for them, so that a
   * handler which stopped reading a short body delays nothing. When that many are unread, the handler has `milliseconds` until its next read;
   * otherwise the stream fails. It also fails if the body fails, and if the caller is unwound.
   * @param buffers counts unread bytes of the stream; while it is full, nothing is read ahead
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
      buffers.add(-counted); // from now on it belongs to the handler
      if (!this.#isOver) controller.error(failure ?? runningThread('request body').reason);
      this.#isOver = true;
    }
  }

  /** Bytes in the stream that have not been read. */
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
