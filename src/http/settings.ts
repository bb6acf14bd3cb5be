// What the serving loop needs to know of the server that it serves for. `server/` makes it; nothing here knows of `server/`.

import type { Owner } from '../connection/network.js';
import type { ServerContext } from '../threads/context.js';
import type { Report } from '../threads/thread.js';
import type { BodyLimits, HeadLimits } from './limits.js';

/** Whatever a `fetch` function may return: a Response, a promise of one, or the task of a generator function. Checked at run time. */
export type Handler = (request: never) => unknown;

/** What is known of a request that is not in it. */
export interface RequestInfo {
  /**
   * The address of the client, or of the proxy in front: `127.0.0.1:5678`, `[::1]:5678`. Empty for a Unix-domain socket. It is looked up when it
   * is first asked for, and once: if the client has left by then, it is empty.
   */
  readonly peer: string;
}

/** A request that was refused because of what its client sent or did not send, or a connection for which there was no room. */
export interface RefusedRequest {
  /** The status that it was refused with: 400, 408, 413, 414, 417, 429, 431, 501, 503 or 505. */
  readonly status: number;
  /** `ERR_HTTP_` and the status. */
  readonly code: string;
  /** What was found or expected, with the section of the RFC, or the limit. It quotes nothing that the client sent. */
  readonly message: string;
  /** The address of the client, or of the proxy in front; empty for a Unix-domain socket, and if the client has left. */
  readonly peer: string;
}

/** What a connection with a request is doing. */
export type Phase = 'reading' | 'handling' | 'writing';

/** An HTTP server, as its connections see it: what they belong to. */
export interface HttpSettings extends Owner, HeadLimits, BodyLimits {
  /** How many connections with a thread are at each. */
  readonly phases: Record<Phase, number>;
  /** Where each request starts. */
  readonly context: ServerContext;
  readonly fetch: (request: unknown, info: RequestInfo) => unknown;
  /** Host and port for the URL of a request that names none. */
  readonly defaultHost: string;
  /** Milliseconds; see `ServeOptions`. */
  readonly bodyTimeout: number;
  readonly leaveTimeout: number;
  readonly lingerTimeout: number;
  readonly allowHalfOpen: boolean;
  /** Where requests have been upgraded, and what they are answered with then, whatever their handler returns. Undefined if the server upgrades none. */
  readonly upgrades: { responseTo(source: object): unknown } | undefined;
  /** The server is closing: connections end after the response at hand. */
  readonly closing: boolean;
  /** The deadline for closing has passed. */
  readonly forceClosing: boolean;
  /** The value of the Date field (RFC 9110 §6.6.1), made once a second. */
  date(): string;
  /**
   * Calls `onError`. Never throws.
   * @param request the light Request, if the error belongs to one
   * @param from the client, if it belongs to one
   */
  report(error: unknown, request: unknown, from?: { readonly peer: string }): void;
  /** A request, or a connection, has been refused: tells `onRefused`. Never throws. @param from whose address is asked for only if somebody listens */
  refused(refusal: { status: number; code: string; message: string }, from: { readonly peer: string }): void;
  /** Tells `onError` of what a connection's thread leaves behind. */
  readonly reportThread: Report;
}
