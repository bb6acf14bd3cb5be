// Requests that `fetch` answers with nothing, because something else is to answer them.

import type { Connection } from '../connection/connection.js';
import type { Slot } from '../event-layer/event-layer.js';

/** A `fetch` that passes every request on: then whole connections are passed on, which costs less. */
export const passEverything = (): undefined => undefined;

/** A request that is passed on. Its connection is handed over with it. */
export interface PassedRequest {
  readonly connection: Connection;
  /** The head as received, in Latin-1, from the request line to the empty line. What else has been read is in the connection's reader. */
  readonly head: string;
  /** Bytes of the body, none of which has been taken from the reader; `Infinity` for one in chunks. */
  readonly unread: number;
  /** The connection closes after the response. */
  readonly isLast: boolean;
}

/** What answers requests that are passed on. */
export interface RequestFallback {
  /** Takes a request over, and its connection. When the request has been answered, it gives the connection back. Must not throw. */
  take(request: PassedRequest): void;
  /** Takes a connection over for good. Must not throw. */
  adopt(slot: Slot): void;
  /** The server has closed. */
  close(): void;
}
