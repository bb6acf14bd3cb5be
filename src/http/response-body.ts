// A response body that is written piece by piece, by a thread or from a stream, as fast as the client reads. Each version of HTTP frames it in a subclass.

import { type Duplex, pieceBytes } from '../connection/duplex.js';
import { checkData, Flushing, type Sink, type Writer, Writing } from '../connection/writer.js';
import type { TlsInfo } from '../event-layer/tls-info.js';
import type { Task } from '../threads/task.js';
import { until } from '../threads/until.js';
import { isInstance, show } from '../util/inspect.js';
import type { IncomingRequest, RequestOwner } from './incoming-request.js';
import type { OpenStream } from './open-stream.js';
import { ResponseError } from './outgoing.js';
import type { SharedPiece } from './shared-piece.js';
import type { BodyWriter } from './stream.js';

/** The exchange of the request, as far as its body uses it. */
export interface ResponseOutlet extends RequestOwner {
  readonly writer: Writer;
  readonly duplex: Duplex;
}

/** What may end at any point, such as an event stream: if it is unwound because its server closes, it is ended in good order. */
export interface Endable {
  /** It ends as soon as the server begins to close. Otherwise it is unwound at the deadline. */
  readonly endsOnClose: boolean;
  /** Its thread has been unwound: sends what belongs before the end. Must neither park nor throw. */
  beforeEnd(): void;
}

/**
 * A body that is being sent. When the exchange has released its request, the body is the owner of the request: code that has kept the request can still
 * learn whether the client disconnected before the end.
 */
export abstract class ResponseBody implements BodyWriter, RequestOwner, Sink {
  /** Undefined after the body has ended: the connection may be used for the next response. */
  #outlet: ResponseOutlet | undefined;
  #left: unknown;
  /** Set by what writes a body that may end at any point. */
  endable: Endable | undefined;

  constructor(outlet: ResponseOutlet) {
    this.#outlet = outlet;
  }

  write(data: string | Uint8Array): Task<void> {
    return new Writing(this, data);
  }

  tryWrite(data: string | Uint8Array): boolean {
    checkData(data);
    const { duplex } = this;
    if (duplex.closed || duplex.finished) return false;
    const most = typeof data === 'string' ? data.length * 3 : data.length;
    if (most > Math.min(duplex.writable, pieceBytes)) return false;
    this.begin(data);
    if (most > 0) this.put(data);
    return true;
  }

  flush(): Task<void> {
    return new Flushing(this);
  }

  abstract begin(data: string | Uint8Array): void;
  abstract put(piece: string | Uint8Array): void;
  /** The same of a piece that other clients get, too. Its chunk must be no larger than `pieceBytes`. */
  abstract putShared(piece: SharedPiece): void;
  /** Marks the body as complete. @throws {ResponseError} if it is not */
  abstract end(): Task<void>;
  /** The same of a body that may end at any point, without parking: it is little, and the last. */
  abstract endNow(): void;

  get duplex(): Duplex {
    return this.outlet().duplex;
  }

  get writer(): Writer {
    return this.outlet().writer;
  }

  /** @throws {ResponseError} if the body has ended: another thread may still try to write */
  private outlet(): ResponseOutlet {
    if (this.#outlet === undefined) throw new ResponseError('the body has ended: nothing more can be written to it');
    return this.#outlet;
  }

  /** Nothing can be written to it any more. */
  get isOver(): boolean {
    return this.#outlet === undefined;
  }

  get hasResponded(): boolean {
    return this.isOver;
  }

  /** The body has ended. */
  finish(): void {
    this.#outlet = undefined;
  }

  get peer(): string {
    return this.#outlet?.peer ?? '';
  }

  get tls(): TlsInfo | undefined {
    return this.#outlet?.tls;
  }

  /** The reason, if the client has disconnected before the response was complete. */
  get leftReason(): unknown {
    return this.#left;
  }

  /** The client has disconnected. */
  abort(reason: unknown): void {
    this.#left ??= reason;
  }

  limitPauses(milliseconds: number): void {
    this.#outlet?.limitPauses?.(milliseconds);
  }

  onSignalRequested(request: IncomingRequest): unknown {
    return this.#outlet === undefined ? this.#left : this.#outlet.onSignalRequested(request);
  }
}

/** @throws {ResponseError} if a stream's chunk is neither bytes nor a string */
export function bytesOf(chunk: unknown): Uint8Array {
  if (isInstance(chunk, Uint8Array)) return chunk;
  if (ArrayBuffer.isView(chunk)) return new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.byteLength); // such as one of another realm
  throw new ResponseError(`the body's stream gave ${show(chunk)}; expected a Uint8Array or a string`);
}

/** Sends a stream of bytes and strings: pulls when the client can take more, cancels if the client has disconnected. */
export function* pump(stream: OpenStream, body: BodyWriter, report: (error: unknown) => void): Task<void> {
  let over = false;
  let half = ''; // the first half of a surrogate pair, at the end of a string
  try {
    for (;;) {
      let result: Awaited<ReturnType<OpenStream['read']>>;
      try {
        result = yield* until(stream.read());
      } catch (error) {
        over = true; // a failed stream needs no cancelling
        throw error;
      }
      if (result.done) break;
      const { value } = result;
      if (typeof value === 'string') {
        const text = half + value;
        half = /[\ud800-\udbff]$/.test(text) ? text.slice(-1) : '';
        yield* body.write(half === '' ? text : text.slice(0, -1));
        continue;
      }
      const bytes = bytesOf(value);
      if (half !== '') yield* body.write(half);
      half = '';
      yield* body.write(bytes);
    }
    if (half !== '') yield* body.write(half);
    over = true;
  } finally {
    if (!over) cancel(stream, new ResponseError('the response was not sent to its end'), report);
  }
}

/** Cancels a stream or a reader. Never throws: errors of subclasses go to `report`. */
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
