// The options of srvx (https://srvx.h3.dev/guide/options), and what they are for `serve`.

import type { ServerRequestMembers } from '../http/request-members.js';
import type { TrustProxy } from '../http/trusted-proxies.js';
import type { AnyResponse, ServeOptions } from '../server/serve.js';
import { show } from '../util/inspect.js';

/** A request, as handlers of srvx get it. */
export type ServerRequest = globalThis.Request & ServerRequestMembers;
/** Answers a request. */
export type ServerHandler = (request: ServerRequest) => AnyResponse | PromiseLike<AnyResponse>;
/** Answers a request, or calls `next` to have the following middleware or `fetch` answer it. */
export type ServerMiddleware = (
  request: ServerRequest,
  next: () => AnyResponse | PromiseLike<AnyResponse>,
) => AnyResponse | PromiseLike<AnyResponse>;

/** The options of srvx. Options for its other adapters (`node`, `bun`, `deno`, …) are ignored. */
export interface SrvxOptions<Server = unknown> {
  /** Answers each request that no middleware has answered. */
  fetch: ServerHandler;
  /** Answers a request whose handler has failed. */
  error?: ((error: unknown) => AnyResponse | PromiseLike<AnyResponse>) | undefined;
  /** Called before `fetch`, in this order. */
  middleware?: readonly ServerMiddleware[] | undefined;
  /** Called with the server before it listens. They may change its `options`, and add to `options.middleware`. */
  plugins?: readonly ((server: Server) => void)[] | undefined;
  /** Whether the server waits for a call of `serve()` before it listens. Default false. */
  manual?: boolean | undefined;
  /** TCP port. Default: the environment variable PORT, else 3000. */
  port?: number | string | undefined;
  /** Where to listen. Default: the environment variable HOST, else all IPv4 addresses of the machine. */
  hostname?: string | undefined;
  /** See `serve`. */
  reusePort?: boolean | undefined;
  /** `http` serves without TLS, whatever `tls` is. Default: `https` if there is `tls`. */
  protocol?: 'http' | 'https' | undefined;
  /** Certificate and key, in PEM or the paths of files. */
  tls?: { cert?: string | undefined; key?: string | undefined; passphrase?: string | undefined } | undefined;
  /** Whether printing the URL is omitted. Default: whether the environment variable TEST is set. */
  silent?: boolean | undefined;
  /**
   * Whether SIGINT and SIGTERM close the server; a second signal closes it at once. `gracefulTimeout` is how long requests in progress may take, in **seconds**;
   * `forceTimeout` is ignored. Default true, with 5 seconds; false if the environment variable CI or TEST is set.
   */
  gracefulShutdown?: boolean | { gracefulTimeout?: number | undefined; forceTimeout?: number | undefined } | undefined;
  /** The most bytes of a request body: `maxBodySize` of `serve`, whose default is 16 MiB. */
  maxRequestBodySize?: number | undefined;
  /** See `serve`. */
  trustProxy?: TrustProxy | undefined;
  /** Further options of `serve`. */
  sluice?: Partial<Omit<ServeOptions, 'fetch'>> | undefined;
}

/** @param fetch answers requests, middleware included @throws {TypeError | RangeError} for a wrong port, and for TLS without certificate or key */
export function serveOptionsOf(options: SrvxOptions<never>, fetch: ServeOptions['fetch']): ServeOptions {
  const { error, reusePort, trustProxy, maxRequestBodySize, sluice } = options;
  const { hostname = process.env.HOST || undefined } = options;
  const own: ServeOptions = { fetch, error, reusePort, trustProxy, hostname, tls: tlsOf(options) };
  if (maxRequestBodySize !== undefined) own.maxBodySize = maxRequestBodySize;
  if (sluice?.path === undefined) own.port = portOf(options.port ?? (process.env.PORT || 3000));
  return { ...own, ...sluice };
}

function portOf(port: number | string): number {
  const number = typeof port === 'string' && /^\d+$/.test(port) ? Number(port) : port;
  if (typeof number !== 'number' || !(number >= 0 && number <= 65_535))
    throw new RangeError(`serve: port is ${show(port)}; expected a whole number from 0 to 65535`);
  return number;
}

function tlsOf({ tls, protocol }: SrvxOptions<never>): ServeOptions['tls'] {
  if (protocol === 'http' || (tls === undefined && protocol !== 'https')) return undefined;
  if (tls?.cert === undefined || tls.key === undefined)
    throw new TypeError('serve: tls has not both cert and key; expected both, or protocol: "http"');
  const { cert, key, passphrase } = tls;
  return { cert, key, passphrase };
}
