// One request and its response, whichever version of HTTP carries them. A version implements `Exchange`; handle.ts, which calls handlers and sees to
// what they return, knows no other way to reach a client.

import type { Connection } from '../connection/connection.js';
import type { ConnectionError } from '../event-layer/event-layer.js';
import type { Scheduler } from '../threads/scheduler.js';
import type { Task } from '../threads/task.js';
import type { Thread } from '../threads/thread.js';
import type { Traced } from './diagnostics.js';
import type { Request } from './fetch/request.js';
import type { IncomingRequest } from './incoming-request.js';
import type { OutgoingResponse } from './outgoing.js';
import type { ResponseBody, ResponseOutlet } from './response-body.js';
import type { HttpSettings } from './settings.js';

/** A request that is being handled. */
export interface ActiveRequest extends Traced {
  /** The handler has been called, or need not be. */
  isCalled: boolean;
  /** What the handler has returned, or thrown. Undefined once it has been looked at. */
  result: unknown;
  /** It has thrown. */
  failed: boolean;
  /** What has been made of the result, if it is a response that has been looked at. */
  out: OutgoingResponse | undefined;
}

export function activeRequest(source: IncomingRequest, request: Request): ActiveRequest {
  return { source, request, isCalled: false, result: undefined, failed: false, out: undefined, trace: undefined };
}

/** How far a response has gone: what fails before its head gets an answer, what fails before its end a reset. */
export const Progress = { none: 0, head: 1, whole: 2 } as const;
export type Progress = (typeof Progress)[keyof typeof Progress];

/** What sends a small response without a thread. */
export interface Responder {
  /**
   * Sends a response that is small and complete, without parking. The common case.
   * @returns false if it is not one, or the client is flooded: nothing has been sent then
   * @throws {ResponseError} if it cannot be sent at all
   */
  respondAtOnce(out: OutgoingResponse): boolean;
}

export interface Exchange extends Responder, ResponseOutlet {
  /** The server that it belongs to. */
  readonly settings: HttpSettings;
  readonly scheduler: Scheduler;
  /** The thread that works for it. */
  readonly thread: Thread<unknown> | undefined;
  /** There is a request, and it is not answered. */
  readonly busy: boolean;
  /** The request, as long as all of it is kept. */
  readonly active: ActiveRequest | undefined;
  /** The request as its handler has got it. Where no more than its text is kept, it is made from that, and kept from then on. */
  readonly request: Request | undefined;
  readonly method: string | undefined;
  /** Why the client counts as gone, if it does. */
  readonly leftReason: unknown;
  /** Nothing can be sent to the client any more. */
  readonly closed: boolean;
  /** The last error of reading from the client or writing to it. */
  readonly fault: ConnectionError | undefined;
  readonly progress: Progress;
  /** What the body of the response is written to by a task of the user's, until the request is over. */
  streaming: ResponseBody | undefined;

  /** A response is about to be sent. @param isStreamed its content is not there as a whole */
  prepare(isStreamed: boolean): void;
  /**
   * Sends the head of any response, and readies its body, parking while the client is flooded.
   * @param out its `length` is set where it is known
   * @returns what the body is to be written to; undefined if there is none to be written: the response is whole
   */
  begin(out: OutgoingResponse): Task<ResponseBody | undefined>;
  /**
   * Sends the head of a response with which the connection changes hands (RFC 9110 §7.8), parking while the client is flooded. The exchange is over
   * with it.
   * @returns the connection, for what runs in the exchange's thread from now on
   */
  takeOver(out: OutgoingResponse): Task<Connection>;
  /** All of the response has been written. */
  end(): void;
  /**
   * Sends a status with its phrase for a body. It never parks: it is little, and the last. @param wanted 500 is sent in place of what is no status of an error
   * @returns the status that was sent; undefined if the connection does not take it
   */
  sendStatus(wanted: unknown, isHead: boolean): number | undefined;
  /** Breaks the response off, so that it does not look complete. */
  reset(): void;
  /** A response whose end only the end of the connection shows: what is cut short must be reset. */
  readonly endsWithConnection: boolean;

  /** From here on the client's leaving unwinds the thread; if it has left already, that happens where the thread next parks. */
  unwindWhenLeft(): void;
  /** The client has left: all that work on the request are told, once. */
  abort(reason: unknown): void;
  /** The body of the response is all that is left to be written, by a task. No more of the request is kept than may still be asked for. */
  releaseRequest(): void;
}
