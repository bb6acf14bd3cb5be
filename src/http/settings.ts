// The settings of a server, as code in this folder sees them. `server/` implements them.

import type { Owner } from '../connection/network.js';
import type { TlsInfo } from '../event-layer/tls-info.js';
import type { ServerContext } from '../threads/context.js';
import type { Report } from '../threads/thread.js';
import type { RequestFallback } from './fallback.js';
import type { IncomingRequest } from './incoming-request.js';
import type { BodyLimits, HeadLimits } from './limits.js';
import type { RequestServer } from './request-server.js';
import type { Upgrades } from './upgrades.js';

/** Information about a request that is not part of `Request`. */
export interface RequestInfo {
  /**
   * The address of the client, or of the proxy in front: `127.0.0.1:5678`, `[::1]:5678`. Empty for a Unix-domain socket. It is looked up on first
   * use, and is empty if the client has disconnected by then.
   */
  readonly peer: string;
  /** What is known of the connection's TLS session; undefined without TLS. Looked up on each use, and undefined once the request has ended. */
  readonly tls?: TlsInfo | undefined;
}

/** A request that was refused because of what its client sent or did not send, or a connection that exceeded a limit. */
export interface RefusedRequest {
  /** The status that it was refused with: 400, 408, 413, 414, 417, 429, 431, 501, 503 or 505. */
  readonly status: number;
  /** `ERR_HTTP_` and the status; `ERR_PROXY_HEADER` for a connection without the header that `proxyProtocol` requires, which gets no response. */
  readonly code: string;
  /** What was found or expected, with the section of the RFC or the limit. It contains nothing that the client sent. */
  readonly message: string;
  /** The address of the client, or of the proxy in front; empty for a Unix-domain socket, and if the client has disconnected. */
  readonly peer: string;
}

/** What a connection with a request is doing. */
export type Phase = 'reading' | 'handling' | 'writing';

/** The settings and the callbacks of an HTTP server. */
export interface HttpSettings extends Owner, HeadLimits, BodyLimits, RequestServer {
  /** The number of connections with a thread in each phase. */
  readonly phases: Record<Phase, number>;
  /** The async context in which each request starts. */
  readonly context: ServerContext;
  fetch: (request: unknown, source: IncomingRequest) => unknown;
  /** Answers a request whose handler has failed; see the option `error` of `serve`. If it is undefined, 500 is sent. */
  readonly answerError: ((error: unknown) => unknown) | undefined;
  /** Milliseconds; see `ServeOptions`. */
  readonly bodyTimeout: number;
  readonly leaveTimeout: number;
  readonly lingerTimeout: number;
  readonly allowHalfOpen: boolean;
  /** Requests that have been upgraded. Undefined while none can have been. */
  upgrades: Upgrades | undefined;
  /** What answers requests for which `fetch` returns nothing; undefined if the server has none. */
  readonly fallback: RequestFallback | undefined;
  /** `onError` is the user's, and gets the request of an error: WebSockets keep theirs for it, which takes memory. */
  readonly keepsRequests: boolean;
  /** The server is closing: connections end after the current response. */
  readonly closing: boolean;
  /** The deadline for closing has passed. */
  readonly forceClosing: boolean;
  /** The value of the Date field (RFC 9110 §6.6.1), formatted once a second. */
  date(): string;
  /**
   * Calls `onError`. Never throws.
   * @param request the light Request, if the error belongs to one
   * @param from the client, if the error belongs to one
   */
  report(error: unknown, request: unknown, from?: { readonly peer: string }): void;
  /** The same for an error that `answerError` has answered. The default `onError` is not called for it. */
  reportAnswered(error: unknown, request: unknown, from?: { readonly peer: string }): void;
  /** Calls `onRefused` for a refused request or connection. Never throws. @param from the client; its address is looked up only if needed */
  reportRefusal(refusal: { status: number; code: string; message: string }, from: { readonly peer: string }): void;
  /** Calls `onError` for an error that no other thread receives. */
  readonly reportThread: Report;
}
