// `streamSSE` for Hono: an event stream whose callback ends when its client disconnects.

import { isGeneratorFunction } from 'node:util/types';
import type { Context } from 'hono';
import type { EventClient, StreamClient } from '../events/event-client.js';
import { formatEvent } from '../events/event-format.js';
import { type EventHandler, type EventsOptions, events } from '../events/events.js';
import { ClientLeftError } from '../http/incoming-request.js';
import type { Task } from '../threads/task.js';
import { until } from '../threads/until.js';

/** An event, with Hono's names. */
export interface SSEMessage {
  data: string | Promise<string>;
  event?: string | undefined;
  id?: string | undefined;
  /** How long the browser waits before it reconnects, in milliseconds. */
  retry?: number | undefined;
}

/** Writes an event stream from an async function: has the public members of Hono's `SSEStreamingApi`, without `responseReadable`. */
export interface SSEStream {
  /** The client has disconnected, or `abort` has been called. */
  readonly aborted: boolean;
  /** `close` has been called, or the callback has ended. */
  readonly closed: boolean;
  /** Sends an event. Is fulfilled when there is room for the next one. @throws (rejects) with an `AbortError` when the client has disconnected */
  writeSSE(message: SSEMessage): Promise<void>;
  /** Sends text as it is, such as a comment, or bytes of UTF-8. Rejects as `writeSSE`. */
  write(input: string | Uint8Array): Promise<SSEStream>;
  /** The same with a line feed. */
  writeln(text: string): Promise<SSEStream>;
  /** Waits. Rejects like `writeSSE`. */
  sleep(milliseconds: number): Promise<void>;
  /** Sends what a stream gives, as `write` does. Rejects as `writeSSE`, and then cancels the stream. */
  pipe(body: ReadableStream<string | Uint8Array>): Promise<void>;
  /** Ends the stream after what has been written. */
  close(): Promise<void>;
  /** Calls a function when the client disconnects. */
  onAbort(listener: () => unknown): void;
  /** Ends the stream now; what was written and not sent is dropped. */
  abort(): void;
}

/** Text that waits to be sent, and the promise of the call that has written it. */
interface Piece {
  readonly text: string;
  readonly sent: () => void;
  readonly failed: (reason: unknown) => void;
}

class Stream implements SSEStream {
  #reason: unknown;
  #isClosed = false;
  readonly #pieces: Piece[] = [];
  #wake: (() => void) | undefined;
  readonly #listeners: (() => unknown)[] = [];
  /** Functions that end pending calls of `sleep` and `pipe`. */
  readonly #pending = new Set<(reason: unknown) => void>();
  #decoder: InstanceType<typeof TextDecoder> | undefined;

  get aborted(): boolean {
    return this.#reason !== undefined;
  }

  get closed(): boolean {
    return this.#isClosed;
  }

  async writeSSE({ data, event, id, retry }: SSEMessage): Promise<void> {
    await this.#send(formatEvent('writeSSE', { data: await data, event, id, retry }));
  }

  async write(input: string | Uint8Array): Promise<SSEStream> {
    await this.#send(typeof input === 'string' ? input : this.#decode(input));
    return this;
  }

  /** @throws {TypeError} if it is neither text nor bytes */
  #decode(bytes: Uint8Array): string {
    this.#decoder ??= new TextDecoder();
    return this.#decoder.decode(bytes, { stream: true });
  }

  writeln(text: string): Promise<SSEStream> {
    return this.write(`${text}\n`);
  }

  #send(text: string): Promise<void> {
    return new Promise((sent, failed) => {
      if (this.#reason !== undefined) failed(this.#reason);
      else if (this.#isClosed) failed(new TypeError('streamSSE: the stream is closed: nothing can be written to it'));
      else {
        this.#pieces.push({ text, sent, failed });
        this.#wake?.();
      }
    });
  }

  sleep(milliseconds: number): Promise<void> {
    return new Promise((done, failed) => {
      if (this.#reason !== undefined) {
        failed(this.#reason);
        return;
      }
      const timer = setTimeout(() => {
        this.#pending.delete(cancel);
        done();
      }, milliseconds);
      const cancel = (reason: unknown): void => {
        clearTimeout(timer);
        failed(reason);
      };
      this.#pending.add(cancel);
    });
  }

  async pipe(body: ReadableStream<string | Uint8Array>): Promise<void> {
    const reader = body.getReader();
    const cancel = (reason: unknown): void => {
      reader.cancel(reason).catch(() => {}); // the caller gets `reason`; an error of cancelling adds nothing
    };
    this.#pending.add(cancel);
    try {
      for (;;) {
        if (this.#reason !== undefined) throw this.#reason;
        const { done, value } = await reader.read();
        if (!done) await this.write(value);
        else if (this.#reason === undefined) return; // otherwise the end comes from `cancel`
      }
    } catch (error) {
      cancel(error);
      throw error;
    } finally {
      this.#pending.delete(cancel);
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#wake?.();
  }

  onAbort(listener: () => unknown): void {
    this.#listeners.push(listener);
  }

  abort(): void {
    this.cancel(new ClientLeftError('streamSSE: the stream has been aborted'));
  }

  /** Ends the stream at once: rejects pending writes and sleeps, and every later write. Does nothing if all that was written before `close` has been sent. */
  cancel(reason: unknown): void {
    if (this.#reason !== undefined || (this.#isClosed && this.#pieces.length === 0)) return;
    this.#reason = reason;
    for (const { failed } of this.#pieces.splice(0)) failed(reason);
    for (const cancel of this.#pending) cancel(reason);
    this.#pending.clear();
    this.#wake?.();
    for (const listener of this.#listeners) listener();
  }

  /** Sends what is written, until `close` or `cancel`. */
  *run(client: StreamClient): Task<void> {
    for (;;) {
      const [piece] = this.#pieces;
      if (piece !== undefined) {
        yield* client.write(piece.text);
        this.#pieces.shift();
        piece.sent();
      } else if (this.#isClosed || this.#reason !== undefined) {
        return;
      } else {
        yield* until(
          new Promise<void>((wake) => {
            this.#wake = wake;
          }),
        );
      }
    }
  }
}

/**
 * Answers with an event stream in an application of Hono, as `hono/streaming` does. When the client disconnects, the callback is cancelled. A generator function,
 * which gets the `client` of `events`, is unwound. In an async function, promises of the stream reject with an `AbortError`, which ends the function unless it
 * catches that.
 *
 * ```ts
 * app.get('/clock', (c) =>
 *   streamSSE(c, async (stream) => {
 *     for (;;) {
 *       await stream.writeSSE({ event: 'tick', data: new Date().toISOString() });
 *       await stream.sleep(1000);
 *     }
 *   }),
 * );
 * ```
 *
 * @param onError gets what an async callback throws while the client is connected; then the client gets an event `error` with the message. Without it, `onError` of
 *   `serve` is called, and the connection is reset
 * @param options as for `events`; fields that `c` has are sent as well, but for those that describe the body
 */
export function streamSSE(
  c: Context,
  callback: (stream: SSEStream) => Promise<void>,
  onError?: (error: Error, stream: SSEStream) => Promise<void> | void,
  options?: EventsOptions,
): globalThis.Response;
/** The same with a generator function, whose parameter needs its type, `EventClient`. What it throws goes to `onError` of `serve`. */
export function streamSSE(
  c: Context,
  callback: EventHandler,
  onError?: undefined,
  options?: EventsOptions,
): globalThis.Response;
export function streamSSE(
  c: Context,
  callback: ((stream: SSEStream) => Promise<void>) | EventHandler,
  onError?: (error: Error, stream: SSEStream) => Promise<void> | void,
  options: EventsOptions = {},
): globalThis.Response {
  const { headers } = c.newResponse(null);
  const own = [...headers].filter(([name]) => !describesBody.test(name));
  const handler = isGeneratorFunction(callback) ? (callback as EventHandler) : run;
  const response = events(c.req.raw, handler, { ...options, headers: [...own, ...fieldsOf(options)] });
  return response as unknown as globalThis.Response; // a light Response can be used as the platform's

  function* run(client: EventClient): Task<void> {
    const stream = new Stream();
    const running = call(callback as (stream: SSEStream) => Promise<void>, stream, onError);
    running.catch(() => {}); // awaited below; not an unhandled rejection if the client disconnects before
    try {
      yield* stream.run(client as StreamClient); // `events` passes an object of this class
      yield* until(running);
    } finally {
      stream.cancel(new ClientLeftError('streamSSE: the client has left'));
    }
  }
}

const describesBody = /^content-(?:type|length|encoding)$/;

function fieldsOf({ headers }: EventsOptions): [string, string][] {
  return headers === undefined ? [] : [...new Headers(headers as ConstructorParameters<typeof Headers>[0])];
}

async function call(
  callback: (stream: SSEStream) => Promise<void>,
  stream: Stream,
  onError: ((error: Error, stream: SSEStream) => Promise<void> | void) | undefined,
): Promise<void> {
  try {
    await callback(stream);
  } catch (error) {
    if (stream.aborted) return; // the client has disconnected, which has ended the callback
    if (onError === undefined || !(error instanceof Error)) throw error;
    await onError(error, stream);
    if (!stream.closed) await stream.writeSSE({ event: 'error', data: error.message });
  } finally {
    await stream.close();
  }
}
