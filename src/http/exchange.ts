// One request and its response. Each version of HTTP implements `Exchange`; handle.ts, which calls handlers, uses nothing else of a version.

import type { Connection } from '../connection/connection.js';
import type { ConnectionError } from '../event-layer/event-layer.js';
import type { Scheduler } from '../threads/scheduler.js';
import type { Task } from '../threads/task.js';
import type { Thread } from '../threads/thread.js';
import type { Traced } from './diagnostics.js';
import type { PassedRequest } from './fallback.js';
import type { Request } from './fetch/request.js';
import type { IncomingRequest } from './incoming-request.js';
import type { OutgoingResponse } from './outgoing.js';
import type { ResponseBody, ResponseOutlet } from './response-body.js';
import type { HttpSettings } from './settings.js';

/** A request that is being handled. */
export interface ActiveRequest extends Traced {
  /** The handler has been called, or does not need to be. */
  isCalled: boolean;
  /** What the handler has returned. Undefined once it has been used. */
  result: unknown;
  /** What the handler has thrown, or why its response cannot be sent. Undefined once it has been thrown to the code that handles it. */
  failure: { readonly error: unknown } | undefined;
  /** Made from the result when it is a response. */
  out: OutgoingResponse | undefined;
}

export function activeRequest(source: IncomingRequest, request: Request): ActiveRequest {
  return { source, request, isCalled: false, result: undefined, failure: undefined, out: undefined, trace: undefined };
}

/** How much of a response has been sent. An error before the head gets a status; an error before the end resets the connection. */
export const Progress = { none: 0, head: 1, whole: 2 } as const;
export type Progress = (typeof Progress)[keyof typeof Progress];

/** Sends small responses without parking. */
export interface Responder {
  /**
   * Sends a response that is small and complete, without parking. The common case.
   * @returns false if it is not small and complete, or the client is flooded; nothing has been sent then
   * @throws {ResponseError} if the response is not valid
   */
  respondAtOnce(out: OutgoingResponse): boolean;
}

export interface Exchange extends Responder, ResponseOutlet {
  /** The server. */
  readonly settings: HttpSettings;
  readonly scheduler: Scheduler;
  /** Its thread. */
  readonly thread: Thread<unknown> | undefined;
  /** A request is in progress. */
  readonly busy: boolean;
  /** The request, unless it has been released; see `releaseRequest`. */
  readonly active: ActiveRequest | undefined;
  /** The request for the handler or for `onError`. If it has been released, it is made again from the text of its head, and kept from then on. */
  readonly request: Request | undefined;
  readonly method: string | undefined;
  /** The reason why the client counts as disconnected; undefined if it does not. */
  readonly leftReason: unknown;
  /** Nothing can be sent to the client. */
  readonly closed: boolean;
  /** The last error of reading from the client or of writing to it. */
  readonly fault: ConnectionError | undefined;
  readonly progress: Progress;
  /** The body of the response, while a task of the user writes it. */
  streaming: ResponseBody | undefined;

  /** A response is about to be sent. @param isStreamed its content is a stream or a thread */
  prepare(isStreamed: boolean): void;
  /**
   * Sends the head of any response, parking while the client is flooded.
   * @param out with its `length`, if that is known
   * @returns what to write the body to; undefined if the response is complete without one
   */
  begin(out: OutgoingResponse): Task<ResponseBody | undefined>;
  /**
   * Sends the head of a response that hands the connection over to another protocol (RFC 9110 §7.8), parking while the client is flooded. This ends the
   * exchange.
   * @returns the connection, for the task that runs in the exchange's thread from now on
   */
  takeOver(out: OutgoingResponse): Task<Connection>;
  /**
   * Passes the request on, with its connection. This ends the exchange.
   * @throws {ResponseError} if its body has been read in part
   */
  passOn(): PassedRequest;
  /** All of the response has been written. */
  end(): void;
  /**
   * Sends a status with its reason phrase as the body and `Connection: close`: the caller must close the connection afterwards. It never parks.
   * @param wanted if it is not a status of an error, 500 is sent
   * @returns the status that was sent; undefined if the connection does not take it
   */
  sendStatus(wanted: unknown, isHead: boolean): number | undefined;
  /** Aborts the response, so that it does not look complete. */
  reset(): void;
  /** Only the end of the connection marks the end of the response: if it is incomplete, the connection must be reset. */
  readonly endsWithConnection: boolean;

  /** From now on the thread is unwound when the client disconnects. If that has happened already, the thread is unwound where it next parks. */
  unwindWhenLeft(): void;
  /** The client has disconnected: aborts `request.signal`, the request body and the response. */
  abort(reason: unknown): void;
  /** Only the body of the response is left to be written, by a task. Releases the parts of the request that cannot be needed any more. */
  releaseRequest(): void;
}
