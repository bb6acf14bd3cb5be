// What the connections of HTTP/1.1 need to know of their server besides what every version of HTTP does.

import type { Connection } from '../../connection/connection.js';
import type { Slot } from '../../event-layer/event-layer.js';
import type { ChunkLimits } from '../limits.js';
import type { HttpSettings } from '../settings.js';
import type { Head } from './head.js';

export interface H1Settings extends HttpSettings, ChunkLimits {
  /** Milliseconds; see `ServeOptions`. */
  readonly headTimeout: number;
  /** Counts a request of the connection. @returns whether it is the last that the connection may have */
  countRequest(slot: Slot): boolean;
  /** Closes the connection by FIN, behind what is queued for it. */
  endConnection(slot: Slot): void;
  /** The connection has nothing to do until the next request comes. */
  markIdle(slot: Slot): void;
  /** The same of one whose thread is over, and with it its record. What it has not read is the beginning of the next request. @param head its head, parsed as far as it has come */
  returnToIdle(connection: Connection, head: Head | undefined): void;
}
