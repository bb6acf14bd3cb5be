// The settings of a server that only HTTP/1.1 uses.

import type { Connection } from '../../connection/connection.js';
import type { Slot } from '../../event-layer/event-layer.js';
import type { ChunkLimits } from '../limits.js';
import type { HttpSettings } from '../settings.js';
import type { Head } from './head.js';

export interface H1Settings extends HttpSettings, ChunkLimits {
  /** Milliseconds; see `ServeOptions`. */
  readonly headTimeout: number;
  /** Counts a request of the connection. @returns whether it is the last one that `maxRequests` allows */
  countRequest(slot: Slot): boolean;
  /** Closes the connection: sends FIN after the queued output. */
  endConnection(slot: Slot): void;
  /** The connection is idle until its next request. */
  markIdle(slot: Slot): void;
  /** The thread of the connection has ended: makes it idle. Unread input is the start of the next request. @param head the parser's state after the unread input */
  returnToIdle(connection: Connection, head: Head | undefined): void;
}
