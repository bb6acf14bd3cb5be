// The body of a response that is not sent at once: written by a thread or pulled from a stream, at the client's pace. How it is framed is for the
// version of HTTP to say.

import { type Duplex, pieceBytes } from '../connection/duplex.js';
import { checkData, Flushing, type Sink, type Writer, Writing } from '../connection/writer.js';
import type { Task } from '../threads/task.js';
import { until } from '../threads/until.js';
import { isInstance, show } from '../util/inspect.js';
import type { IncomingRequest, RequestOwner } from './incoming-request.js';
import { ResponseError } from './outgoing.js';
import type { SharedPiece } from './shared-piece.js';
import type { BodyWriter } from './stream.js';

/** What a body is sent through: the exchange of its request. */
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
 * A body that is being sent. Where it is all that is left of an exchange, it is also what a request that was kept is answered from: it knows
 * whether the client was there to the end, and nothing of what the connection does afterwards.
 */
export abstract class ResponseBody implements BodyWriter, RequestOwner, Sink {
  /** Undefined when nothing is to be written any more: the connection may be at its next response. */
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
  /** Sends what shows that it is complete. @throws {ResponseError} if it is not */
  abstract end(): Task<void>;
  /** The same of a body that may end at any point, without parking: it is little, and the last. */
  abstract endNow(): void;

  get duplex(): Duplex {
    return this.outlet().duplex;
  }

  get writer(): Writer {
    return this.outlet().writer;
  }

  /** @throws {ResponseError} if the body is over: it may be another thread that has come to write */
  private outlet(): ResponseOutlet {
    if (this.#outlet === undefined) throw new ResponseError('the body is over: nothing can be written to it any more');
    return this.#outlet;
  }

  /** Nothing can be written to it any more. */
  get isOver(): boolean {
    return this.#outlet === undefined;
  }

  /** Nothing is to be written any more. */
  finish(): void {
    this.#outlet = undefined;
  }

  get peer(): string {
    return this.#outlet?.peer ?? '';
  }

  /** Why the client counts as gone, if it has left before the response was whole. */
  get leftReason(): unknown {
    return this.#left;
  }

  /** The client has left. */
  abort(reason: unknown): void {
    this.#left ??= reason;
  }

  onSignalRequested(request: IncomingRequest): unknown {
    return this.#outlet === undefined ? this.#left : this.#outlet.onSignalRequested(request);
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
