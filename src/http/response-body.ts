// The body of a response that is not sent at once: in chunks or as it is, written by a thread or pulled from a stream, at the
// client's pace (RFC 9112 §7.1).

import { Buffer } from 'node:buffer';
import type { Connection } from '../connection/connection.js';
import { Flushing, put, type Sink, Writing } from '../connection/writer.js';
import type { Task } from '../threads/task.js';
import { until } from '../threads/until.js';
import { isInstance, show } from '../util/inspect.js';
import type { Exchange, RequestOwner } from './exchange.js';
import type { HttpConnection } from './http-connection.js';
import { ResponseError } from './response-head.js';
import type { BodyWriter } from './stream.js';

/**
 * A body that is being sent. Where it is all that is left of an exchange, it is also what those ask who have kept the request:
 * it knows whether the client was there to the end, and nothing of what the connection does afterwards.
 */
export abstract class ResponseBody implements BodyWriter, RequestOwner, Sink {
  /** Undefined when nothing is to be written any more: the connection may be at its next response. */
  #connection: HttpConnection | undefined;
  #left: unknown;

  constructor(connection: HttpConnection) {
    this.#connection = connection;
  }

  write(data: string | Uint8Array): Task<void> {
    return new Writing(this, data);
  }

  flush(): Task<void> {
    return new Flushing(this);
  }

  abstract begin(data: string | Uint8Array): void;
  abstract put(piece: string | Uint8Array): void;
  /** Sends what shows that it is complete. @throws {ResponseError} if it is not */
  abstract end(): Task<void>;

  /** @throws {ResponseError} if the body is over: it may be another thread that has come to write */
  get connection(): HttpConnection {
    if (this.#connection === undefined)
      throw new ResponseError('the body is over: nothing can be written to it any more');
    return this.#connection;
  }

  /** Nothing is to be written any more. */
  finish(): void {
    this.#connection = undefined;
  }

  get peer(): string {
    return this.#connection?.peer ?? '';
  }

  /** Why the client counts as gone, if it has left before the response was whole. */
  get left(): unknown {
    return this.#left;
  }

  /** The client has left. */
  abort(reason: unknown): void {
    this.#left ??= reason;
  }

  onSignalRequested(exchange: Exchange): unknown {
    return this.#connection === undefined ? this.#left : this.#connection.onSignalRequested(exchange);
  }
}

/** A body in chunks (RFC 9112 §7.1). */
export class ChunkedBody extends ResponseBody {
  begin(): void {}

  /** Each piece is a chunk. */
  put(piece: string | Uint8Array): void {
    const { connection } = this;
    if (typeof piece === 'string') {
      const at = connection.reserve(piece.length * 3 + 8);
      putChunkFrame(connection, at, connection.output.utf8Write(piece, at + 6, piece.length * 3));
    } else {
      const at = connection.reserve(piece.length + 8);
      connection.output.set(piece, at + 6);
      putChunkFrame(connection, at, piece.length);
    }
  }

  /** The last chunk. */
  *end(): Task<void> {
    if (this.connection.flooded) yield* this.connection.writer.drain();
    put(this.connection, '0\r\n\r\n');
  }
}

/** Puts a chunk's size, in four digits, before its data and CRLF behind them. Leading zeros are allowed (RFC 9112 §7.1: 1*HEXDIG). */
function putChunkFrame(connection: Connection, at: number, size: number): void {
  const { output } = connection;
  for (let digit = 0; digit < 4; digit++) output[at + digit] = hexDigits.charCodeAt((size >> (12 - 4 * digit)) & 15);
  output[at + 4] = 13;
  output[at + 5] = 10;
  output[at + 6 + size] = 13;
  output[at + 7 + size] = 10;
  connection.commit(at + 8 + size);
}

const hexDigits = '0123456789abcdef';

/** A body as it is: as long as its content-length says, or up to the end of the connection. */
export class PlainBody extends ResponseBody {
  readonly #length: number | undefined;
  #written = 0;

  constructor(connection: HttpConnection, length: number | undefined) {
    super(connection);
    this.#length = length;
  }

  begin(data: string | Uint8Array): void {
    void this.connection; // throws if the body is over
    if (this.#length === undefined) return;
    const bytes = typeof data === 'string' ? Buffer.byteLength(data) : data.length;
    if (this.#written + bytes > this.#length) {
      throw new ResponseError(`the body is longer than its content-length of ${this.#length} bytes`);
    }
  }

  put(piece: string | Uint8Array): void {
    this.#written += put(this.connection, piece);
  }

  *end(): Task<void> {
    if (this.#length !== undefined && this.#written < this.#length) {
      throw new ResponseError(`the body has ${this.#written} bytes, and its content-length says ${this.#length}`);
    }
  }
}

/** Sends a stream of the platform's: pulled when the client has room, cancelled when it has left. */
export function* pump(
  stream: ReadableStream<Uint8Array>,
  body: BodyWriter,
  report: (error: unknown) => void,
): Task<void> {
  const reader = stream.getReader();
  let over = false;
  try {
    for (;;) {
      let result: Awaited<ReturnType<typeof reader.read>>;
      try {
        result = yield* until(reader.read());
      } catch (error) {
        over = true; // what has failed need not be cancelled
        throw error;
      }
      if (result.done) break;
      const { value }: { value: unknown } = result;
      if (!isInstance(value, Uint8Array))
        throw new ResponseError(`the body's stream gave ${show(value)}; expected a Uint8Array`);
      yield* body.write(value);
    }
    over = true;
  } finally {
    if (!over) cancel(reader, new ResponseError('the response was not sent to its end'), report);
  }
}

/** Cancels a stream, or what reads it. Never throws: a class derived from the platform's may do so, or return anything. @param report told of what goes wrong */
export function cancel(
  stream: { cancel(reason: unknown): unknown },
  reason: unknown,
  report: (error: unknown) => void,
): void {
  try {
    Promise.resolve(stream.cancel(reason)).catch(report);
  } catch (error) {
    report(error);
  }
}
