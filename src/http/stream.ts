// `stream()`: a response whose body is a thread.

import { pieceBytes } from '../connection/duplex.js';
import { checkData } from '../connection/writer.js';
import { Channel } from '../threads/channel.js';
import { type AsyncContext, captureContext, enterableContext } from '../threads/context.js';
import { UnwoundError } from '../threads/errors.js';
import { withSharedPrototype } from '../threads/shared-prototype.js';
import { sleep } from '../threads/sleep.js';
import { checkedTask, type Task } from '../threads/task.js';
import { run, runningThread } from '../threads/thread.js';
import { isInstance, show } from '../util/inspect.js';
import { ThreadBody } from './fetch/body.js';
import { makeResponse, type Response, type ResponseInit } from './fetch/response.js';

/** What the body of a streamed response is written to. */
export interface BodyWriter {
  /**
   * Sends a piece of the body: bytes, or a string as UTF-8. Parks while the client is flooded; do not change the bytes before it returns.
   * An empty piece sends nothing.
   */
  write(data: string | Uint8Array): Task<void>;
  /**
   * Sends a small piece if there is room for it, without parking. May be called from anywhere, also outside threads.
   * @param data at most 16 KiB, or a string of at most 5,461 UTF-16 units
   * @returns false if it has not been sent: the client is flooded or gone, or the piece is larger
   */
  tryWrite(data: string | Uint8Array): boolean;
  /** Parks until the kernel has taken everything written so far. */
  flush(): Task<void>;
}

/** A generator function that writes a body; it runs in the connection's thread. */
export type BodyTask = (out: BodyWriter) => Task<unknown>;

/**
 * Makes a response whose body is a thread. It starts when the head has been sent, parks while the client is flooded, and is
 * unwound when the client disconnects: `finally` blocks run, and no work continues after that.
 *
 * A body that is not sent is started, too, and unwound at its first `write` or where it first parks, so that its `finally` blocks can
 * release what the handler has acquired. This happens for HEAD, for a status without a body (204, 205, 304), when the head cannot be
 * sent, and when the client has disconnected before. To avoid work before the first `write` of a response to HEAD, check
 * `request.method`.
 *
 * ```ts
 * fetch: () =>
 *   stream(function* (out) {
 *     for (let i = 0; ; i++) {
 *       yield* out.write(`data: ${i}\n\n`);
 *       yield* sleep(1000);
 *     }
 *   }, { headers: { 'content-type': 'text/event-stream' } });
 * ```
 *
 * @param body a generator function; if it throws, `onError` is called and the connection is reset, so that the client sees that the body is incomplete
 * @param init status and headers, as for `new Response`. With a `content-length`, exactly that many bytes must be written
 * @throws {TypeError} if `body` is not a function, and for an `init` that `Response` rejects
 */
export function stream(body: BodyTask, init?: ResponseInit): Response {
  if (typeof body !== 'function')
    throw new TypeError(`stream: the body is ${show(body)}; expected a generator function`);
  const context = captureContext();
  return makeResponse(new ThreadBody<BodyTask>(body, context, () => toReadable(body, context)), init);
}

/** Starts a body. @param body the function that was passed to `stream` @throws {TypeError} if it is not a generator function */
export function startBody(body: unknown, out: BodyWriter): Task<unknown> {
  // Only `stream` creates a ThreadBody, and it checks that this is a function.
  return checkedTask('stream: the body returned', withSharedPrototype(body as BodyTask)(out));
}

/**
 * Runs a body that is not sent up to its first `write` or park, and unwinds it there, so that its `finally` blocks run. Must run in a separate
 * thread. @param reason the reason for unwinding
 */
export function* unwindBody(body: unknown, reason: unknown): Task<void> {
  runningThread('stream').unwind(reason);
  yield* startBody(body, discarding);
}

/** Sends nothing. Each call parks, because a running thread is unwound where it parks; in a `finally` block it continues. */
const discarding: BodyWriter = {
  write(data) {
    checkData(data);
    return sleep(0);
  },
  tryWrite(data) {
    checkData(data);
    return false;
  },
  flush: () => sleep(0),
};

/** The same body as a ReadableStream, for code that reads a response instead of sending it (middleware, tests). */
function toReadable(body: BodyTask, context: AsyncContext): ReadableStream<Uint8Array> {
  const left = new AbortController();
  const pieces = new Channel<Uint8Array>(1);
  const encoder = new TextEncoder();
  const out: BodyWriter = {
    *write(data) {
      checkData(data);
      const bytes = typeof data === 'string' ? encoder.encode(data) : new Uint8Array(data);
      if (bytes.length > 0) yield* pieces.send(bytes);
    },
    tryWrite(data) {
      checkData(data);
      const bytes = typeof data === 'string' ? encoder.encode(data) : new Uint8Array(data);
      return bytes.length === 0 || (bytes.length <= pieceBytes && pieces.trySend(bytes));
    },
    *flush() {},
  };
  let writing: Promise<unknown> | undefined;
  let failure: { error: unknown } | undefined;
  function* write(): Task<void> {
    try {
      yield* startBody(body, out);
    } finally {
      pieces.close();
    }
  }
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        writing ??= enterableContext(context)
          .runInAsyncScope(run, undefined, write, { signal: left.signal })
          .catch((error) => {
            failure = { error };
          });
        const piece = await run(() => pieces.receive());
        if (piece !== undefined) {
          controller.enqueue(piece);
          return;
        }
        await writing;
        if (failure !== undefined) controller.error(failure.error);
        else controller.close();
      },
      async cancel(reason) {
        left.abort(reason);
        writing ??= enterableContext(context)
          .runInAsyncScope(run, undefined, () => unwindBody(body, reason))
          .catch((error) => {
            failure = { error };
          });
        await writing;
        if (failure !== undefined && !isInstance(failure.error, UnwoundError)) throw failure.error;
      },
    },
    { highWaterMark: 0 },
  );
}
