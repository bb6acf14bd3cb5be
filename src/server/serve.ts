// `serve`: an HTTP server for a `fetch` function. Options, limits, admission of connections, and closing. http/h1/ handles the connections.

import { type BufferedCounts, noMemory } from '../connection/buffered-bytes.js';
import { Connection, defaultLinger } from '../connection/connection.js';
import { type AddressOptions, addressOf, addressRules, serverRules } from '../connection/listen.js';
import { type CloseOptions, type ConnectionCounts, Listener } from '../connection/listener.js';
import { ListeningServer } from '../connection/listening-server.js';
import { Network, type SlotRecord, SlotState } from '../connection/network.js';
import { callOnError, printError } from '../connection/on-error.js';
import { proxyHeaderError } from '../connection/proxy-protocol/header.js';
import { networkFor } from '../connection/securing.js';
import { type ConnectionSocketOptions, socketOptionsOf } from '../connection/socket-options.js';
import { requestWork } from '../connection/turn-shares.js';
import { ConnectionError, formatAddress, highWaterMark, type Slot } from '../event-layer/event-layer.js';
import type { SecureTransportFactory } from '../event-layer/secure-transport.js';
import { requestError, requestRefused } from '../http/diagnostics.js';
import type { HttpError } from '../http/errors.js';
import { subjectOf } from '../http/exchange-thread.js';
import { passEverything, type RequestFallback } from '../http/fallback.js';
import { holdGlobals, releaseGlobals } from '../http/fetch/globals.js';
import type { Request } from '../http/fetch/request.js';
import type { Response } from '../http/fetch/response.js';
import { H1FastPath } from '../http/h1/fast-path.js';
import { H1Connection } from '../http/h1/h1-connection.js';
import type { Head } from '../http/h1/head.js';
import type { H1Settings } from '../http/h1/settings.js';
import { type IncomingRequest, incomingRequest } from '../http/incoming-request.js';
import { defineRequestMembers, type ServerRequestMembers } from '../http/request-members.js';
import type { Phase, RefusedRequest, RequestInfo } from '../http/settings.js';
import type { SocketAddress } from '../http/socket-address.js';
import { TrustedProxies, type TrustProxy, trustProxyRule } from '../http/trusted-proxies.js';
import type { Upgrades } from '../http/upgrades.js';
import { isTask, isThenable, type Task, type WaitKind } from '../threads/task.js';
import { currentThread, type Thread } from '../threads/thread.js';
import { type TlsServerOptions, tlsServerRule } from '../tls/options/options.js';
import { checkOptions, longestDelay, type OptionRules } from '../util/options.js';
import { growTypedArray } from '../util/typed-array.js';
import { type Sendable, type UpgradeOptions, type WebSocketHandlers, WebSocketServer } from '../websocket/handlers.js';
import { Admission, type ConnectionSource, type Verdict } from './admission.js';
import { holdRejections, releaseRejections } from './client-rejections.js';
import {
  type FetchInfo,
  FetchServer,
  requestIP,
  type ServerMembers,
  type ServerReloadOptions,
  setTimeoutOf,
} from './fetch-server.js';

/** A light response, or one of the platform. */
export type AnyResponse = Response | globalThis.Response;

/**
 * Answers a request. Plain, async, or a generator function, which may park anywhere.
 * `info.peer` is the client's address; `info.upgrade` makes a WebSocket of the request.
 * The request is a light one, which can be used as the platform's `Request`; it may be annotated as either.
 */
export type Fetch<Data = unknown> = (
  request: Request & globalThis.Request & ServerRequestMembers,
  info: FetchInfo<Data>,
) => Answer | PromiseLike<Answer | Task<Answer>> | Task<Answer | PromiseLike<Answer>>;

/** The result of a handler: a response; undefined if `info.upgrade` has answered the request, or to pass it on to the option `node`. */
export type Answer = AnyResponse | undefined;

/**
 * The options of `serve`.
 * @typeParam Data what `ws.data` is, for WebSockets by handlers
 */
export interface ServeOptions<Data = unknown> extends AddressOptions, ConnectionSocketOptions {
  /** Answers each request. */
  fetch: Fetch<Data>;
  /** The handlers of WebSockets, for requests that `info.upgrade` is called for. For WebSockets in threads see {@link webSocket}: they need no option. */
  websocket?: WebSocketHandlers<Data> | undefined;
  /**
   * An application for Node, which answers the requests for which `fetch` returns nothing: a `(req, res)` function, an application of Express, Koa, Fastify or
   * NestJS, or a server of node:http that does not listen. See docs/node.md.
   */
  node?: ((request: never, response: never) => unknown) | object | undefined;
  /** TCP port, 0 to 65535; 0 lets the system choose one. Default 3000, unless `path` is given. */
  port?: number | undefined;
  /** Where to listen. Default `0.0.0.0`, all IPv4 addresses of the machine. */
  hostname?: string | undefined;
  /** How many connections the kernel may hold before they are accepted. Default 511. */
  backlog?: number | undefined;
  /**
   * Whether other sockets may listen on the same port, usually of other processes: the system distributes connections between them (SO_REUSEPORT). Default
   * false.
   */
  reusePort?: boolean | undefined;
  /**
   * Called once for each error that a handler throws, for each response that cannot be sent and each thread that does not end, when accepting fails, and
   * when `maxConnections` is reached. The client gets a 500 or a closed connection. Default: prints to standard error.
   * @param request the request in which the error happened, if any. For the body of a `stream()`, and for WebSockets, it may be a different object than the
   *   handler had, made from the same head and without a body, because the original is released. Each WebSocket keeps the head for it if this option is given
   * @param info the client's address, if the error belongs to a connection
   */
  onError?: ((error: unknown, request: Request | undefined, info: RequestInfo | undefined) => void) | undefined;
  /**
   * Answers a request whose handler has failed, in place of the 500, as in Bun: plain, async, or a generator function. It is called at most once for a
   * request, and only while nothing has been sent. `onError` is called, too, but the default `onError` does not print errors that `error` has answered. If
   * `error` throws, or does not return a response, the client gets the 500, and both errors go to `onError`.
   */
  error?: ((error: unknown) => Answer | PromiseLike<Answer> | Task<Answer | PromiseLike<Answer>>) | undefined;
  /**
   * Called for requests that are refused because of what the client sent or did not send (400, 408, 413, 414, 417, 431, 501, 505), and for
   * requests and connections that get 429 or 503 because of a limit; once for each. Also for connections that are reset because they lack the header that
   * `proxyProtocol` requires: with the status 400 and the code `ERR_PROXY_HEADER`. Any client can cause calls, so it should be cheap, such as
   * counting or logging a line. It is not called for connections over a limit that are reset without a response. Errors that it throws
   * go to `onError`. Default: does nothing.
   */
  onRefused?: ((refusal: RefusedRequest) => void) | undefined;
  /**
   * Whether the light `Request`, `Response` and `Headers` replace the global ones, from when the server listens until the last server with this option has
   * closed. Default true.
   */
  globals?: boolean | undefined;
  /** Whether a client that sends FIN still waits for its response. By default, FIN counts as disconnecting. Default false. */
  allowHalfOpen?: boolean | undefined;

  /** The most bytes of a request head; more is answered with 431. Default 16,384. */
  maxHeadSize?: number | undefined;
  /**
   * The most bytes of a request target; more is answered with 414. Method and version have separate limits, so a request line has at most 44
   * bytes more than this. Default 8,192.
   */
  maxTargetSize?: number | undefined;
  /** The most fields of a request; more is answered with 431. Default 100. */
  maxFields?: number | undefined;
  /** The most bytes of a request body; more is answered with 413. Default 16 MiB. */
  maxBodySize?: number | undefined;
  /** The most bytes of all chunk extensions of a request body together; more is answered with 431. Default 16,384. */
  maxChunkExtensionSize?: number | undefined;
  /** The most bytes of the trailers of a request body; more is answered with 431. Default 8,192. */
  maxTrailerSize?: number | undefined;

  /** Writing parks when at least this many bytes are queued for a client. At most this and 64 KiB are queued for each. Default 65,536. */
  maxQueuedBytes?: number | undefined;
  /**
   * The most bytes of memory that all clients may take together: unread input, incomplete heads, bodies that are read as a whole (until their requests are
   * answered), and queued output. When it is reached, connections are not read, requests with a body are answered with 503 and closed, and other
   * requests are still served. At least 1 MiB. Default: an eighth of the available memory (of the machine, or of the process's control
   * groups), and at least 32 MiB, shared by all servers of the process that do not set this option.
   */
  maxBufferedBytes?: number | undefined;
  /**
   * The most requests of one client that are answered in one turn; the rest waits for the next turn. A chunk of a request body counts as 1/128 of a
   * request. After 2 ms in handlers, the client also has to wait. Default 32.
   */
  maxPipelined?: number | undefined;
  /** The most connections in all; more are answered with 503 and closed. Default 100,000. */
  maxConnections?: number | undefined;
  /**
   * The most connections of one client address, for IPv6 of one /64 network; more are answered with 429 and closed. A proxy in front counts as one
   * address. Clients of a Unix-domain socket have no address. Default 20,000.
   */
  maxConnectionsPerAddress?: number | undefined;
  /** The most requests of one connection: the response to the last has `Connection: close`. Default 1,000,000. */
  maxRequests?: number | undefined;

  /** How long a connection may be idle, new or between two requests, before it is closed. Milliseconds; default 120,000. */
  idleTimeout?: number | undefined;
  /** How long a request head may take from its first byte to its last; a slower one is answered with 408. Milliseconds; default 60,000. */
  headTimeout?: number | undefined;
  /**
   * How long a request body that is being read may pause; a longer pause is answered with 408. Also how long a handler that has answered may
   * pause reading a body before the rest is discarded. Milliseconds; default 60,000.
   */
  bodyTimeout?: number | undefined;
  /** The fewest bytes a second of a request body that is being read, on average, once `bodyTimeout` has passed; fewer are answered with 408. Default 240. */
  minBodyRate?: number | undefined;
  /** How long a client may pause reading a response, or what a WebSocket sends, before its connection is reset. Milliseconds; default 300,000. */
  writeTimeout?: number | undefined;
  /**
   * The fewest bytes a second that a client must take on average while output is queued, once `writeTimeout` has passed; else its connection is reset. Default
   * 240.
   */
  minWriteRate?: number | undefined;
  /** How long an async handler may continue after its client has sent FIN. Milliseconds; default 30,000. */
  leaveTimeout?: number | undefined;
  /**
   * How long to wait for the client of a connection that the server has closed. Then it is closed without waiting, or reset if the client is not
   * reading. Milliseconds; default 10,000.
   */
  lingerTimeout?: number | undefined;

  /**
   * TLS: the certificate and its key, `{ key, cert }` with PEM or the paths of files, and more; or an array of these for several names. See docs/tls.md.
   * Default: none, connections are plain.
   */
  tls?: TlsServerOptions | readonly TlsServerOptions[] | undefined;
  /**
   * Which proxies in front are trusted to say who the client is: in `X-Forwarded-For`, `X-Forwarded-Proto` and `X-Forwarded-Host`, or, if a request has none of
   * these, in `Forwarded` (RFC 7239). Then `request.url` has the scheme and the host that the client has used; `info.peer`, `requestIP` and the like have the
   * client's address.
   *
   * An array has addresses and networks (`['10.0.0.0/8', '2001:db8::/32', 'loopback']`). `'loopback'` is this machine, with clients of a Unix-domain socket.
   * `true` trusts every client, for servers that only proxies can reach. Of several proxies in a row each must be trusted: the client is the right-most
   * address that is not. The proxy must remove the fields that it does not write itself. Default false.
   */
  trustProxy?: TrustProxy | undefined;
  /**
   * Whether each connection begins with the header of the PROXY protocol, version 1 or 2, as HAProxy and others send it. `info.peer` and the like then have
   * the address in the header. The header must arrive within `headTimeout`, before TLS; a connection without one is reset, and `onRefused` is called. Only for
   * ports that no one but the proxy can reach: another client could name any address. Default false.
   */
  proxyProtocol?: boolean | undefined;
  /** The network to serve on. Default: that of the running thread, else that of the process. */
  network?: Network | undefined;
  /** @internal Creates the transport that connections go through, such as TLS. Default: the event layer itself. */
  secure?: SecureTransportFactory | undefined;
}

/** A connection with a request: what it is doing, and its thread. */
export interface ActiveConnection {
  /** Undefined while the request head is incomplete: no thread exists yet. */
  thread: Thread<unknown> | undefined;
  /** What it is parked on; `dry` for an incomplete head; undefined while its thread runs. */
  wait: WaitKind | undefined;
  /**
   * Since when it is parked, in whole milliseconds of the scheduler's clock; valid while `wait` is set. For an incomplete head, when its first bytes arrived.
   */
  waitingSince: number;
  /** The client's address, looked up on access. Empty if the connection has closed by then. */
  readonly peer: string;
  /** Method and URL of the current request, if any; computed on access. */
  readonly request: { method: string; url: string } | undefined;
}

/** An HTTP server: what `serve` returns. @typeParam Data what `ws.data` is, for WebSockets by handlers */
export interface Server<Data = unknown> extends ServerMembers<Data>, AsyncDisposable {
  /** The event layer's name: `uring`, `epoll`, `portable` or `simulated`. */
  readonly eventLayer: string;
  /** The number of connections, by what they are doing. */
  readonly connections: ConnectionCounts;
  /** The memory that its clients take, the limit, and how many requests were refused because of the limit. */
  readonly buffered: BufferedCounts;
  /** The connections with a request. Idle ones are not listed. */
  active(): Iterable<ActiveConnection>;
  /**
   * Stops accepting, lets requests in flight finish, waits for promises of `waitUntil`, and unwinds the threads that are left at the deadline. Resolves when no
   * connection, thread, timer or descriptor is left.
   */
  close(options?: CloseOptions): Promise<void>;
}

/** The messages of refused connections, by status. */
const rejectionMessages = {
  429: 'RFC 6585 §4: more connections of one address than maxConnectionsPerAddress allows',
  503: 'RFC 9110 §15.6.4: more connections than maxConnections allows',
} as const;

/** How long to wait for the client of a refused connection, in milliseconds: short, because others need its place. */
const rejectedLinger = 1000;

const milliseconds = { number: [1, longestDelay] } as const;
/** How long an incomplete head may take while the server closes, in milliseconds: one client must not delay a restart. */
const partialHeadGrace = 1000;
/**
 * When the server closes, a connection that has had no request stays open until it is this old, in milliseconds: a client that has just connected is about
 * to send a request, and may not be able to repeat it elsewhere.
 */
const firstRequestGrace = 200;
/**
 * When the server closes, a connection in steady use, such as one of a proxy, stays open for this many milliseconds. Its next request is answered with
 * `Connection: close`. If the connection were closed at once, a request in flight would be lost, and proxies do not repeat a POST.
 */
const steadyUseGrace = 100;
/** A connection is in steady use after at least this many requests, the last one at most `recent` milliseconds ago. */
const steadyUse = { requests: 8, recent: 500 };

const bytesPerSecond = { number: [0.001, 2 ** 30] } as const;

const rules: OptionRules<ServeOptions> = {
  fetch: { type: 'function' },
  websocket: { type: 'object' },
  node: {
    accepts: (value) => typeof value === 'function' || (typeof value === 'object' && value !== null),
    expected: 'a (req, res) function, an application of a framework, or a server of node:http',
  },
  ...addressRules,
  ...serverRules,
  error: { type: 'function' },
  onRefused: { type: 'function' },
  globals: { type: 'boolean' },
  allowHalfOpen: { type: 'boolean' },
  maxHeadSize: { whole: [256, 1024 * 1024] },
  maxTargetSize: { whole: [16, 1024 * 1024] },
  maxFields: { whole: [1, 10_000] },
  maxBodySize: { whole: [0, Number.MAX_SAFE_INTEGER] },
  maxChunkExtensionSize: { whole: [0, 1024 * 1024] },
  maxTrailerSize: { whole: [0, 1024 * 1024] },
  maxQueuedBytes: { whole: [1, 2 ** 30] },
  maxPipelined: { whole: [1, 10_000] },
  maxConnections: { whole: [1, 2 ** 31 - 1] },
  maxConnectionsPerAddress: { whole: [1, 2 ** 31 - 1] },
  maxRequests: { whole: [1, 2 ** 32 - 1] },
  idleTimeout: milliseconds,
  headTimeout: milliseconds,
  bodyTimeout: milliseconds,
  minBodyRate: bytesPerSecond,
  writeTimeout: milliseconds,
  minWriteRate: bytesPerSecond,
  leaveTimeout: milliseconds,
  lingerTimeout: milliseconds,
  trustProxy: trustProxyRule,
};

const reloadRules: OptionRules<ServerReloadOptions> = {
  tls: tlsServerRule,
  fetch: { type: 'function' },
  error: { type: 'function' },
};

defineRequestMembers();

/**
 * Serves HTTP/1.1.
 *
 * ```ts
 * const server = await serve({ port: 8080, fetch: () => new Response('hello') });
 * console.log(server.url.href);
 * ```
 *
 * @returns (a promise of) the server, which is listening
 * @throws {TypeError | RangeError} (rejects) for options that are wrong, naming the option
 * @throws {ConnectionError} (rejects) with the system's code, such as `EADDRINUSE`
 */
export async function serve<Data = unknown>(options: ServeOptions<Data>): Promise<Server<Data>> {
  checkOptions('serve', options, rules);
  if (options.fetch === undefined) throw new TypeError('serve: fetch is undefined; expected a function');
  const address = addressOf('serve', options, {
    hostname: '0.0.0.0',
    port: options.path === undefined ? 3000 : undefined,
  });
  const socketOptions = socketOptionsOf('serve', options);
  const listener = new HttpListener(options);
  try {
    if (options.websocket !== undefined) listener.webSockets = new WebSocketServer(listener, options.websocket);
    if (options.node !== undefined) listener.fallback = await fallbackOf(options.node, listener);
  } catch (error) {
    listener.network.removeTransport(listener.transport);
    throw error;
  }
  const { backlog = 511, reusePort } = options;
  await listener.open({ address, backlog, reusePort, ...socketOptions }).catch((error: unknown) => {
    listener.fallback?.close();
    throw error;
  });
  if (listener.holdsGlobals) holdGlobals();
  holdRejections();
  return listener.handle;
}

/** What answers the requests that `fetch` does not. @throws {TypeError} (rejects) if it is no application */
async function fallbackOf(application: object, listener: HttpListener): Promise<RequestFallback> {
  // Loaded here, because most servers do not need node:http.
  const { NodeFallback } = await import('../node/passed-requests.js');
  return NodeFallback.of(application, listener, listener.scheme === 'https');
}

class HttpServer extends ListeningServer implements Server {
  readonly #listener: HttpListener;
  #url: URL | undefined;
  readonly id = '';
  readonly development = false;

  constructor(listener: HttpListener) {
    super(listener);
    this.#listener = listener;
  }

  get url(): URL {
    this.#url ??= this.#makeUrl();
    return this.#url;
  }

  #makeUrl(): URL {
    const { address, scheme, defaultHost } = this.#listener;
    if ('path' in address) return new URL(`${scheme}+unix://${encodeURIComponent(address.path)}/`);
    return new URL(`${scheme}://${defaultHost}/`);
  }

  get hostname(): string | undefined {
    const { address } = this.#listener;
    return 'hostname' in address ? address.hostname : undefined;
  }

  get pendingRequests(): number {
    const { reading, handling, writing } = this.#listener.connections;
    return reading + handling + writing - this.#listener.incompleteHeads;
  }

  active(): Iterable<ActiveConnection> {
    return this.#listener.active();
  }

  publish(topic: string, data: Sendable, compress?: boolean): number {
    return webSocketsOf('publish', this.#listener).publish(topic, data, compress);
  }

  subscriberCount(topic: string): number {
    return webSocketsOf('subscriberCount', this.#listener).subscriberCount(topic);
  }

  override reload(options: ServerReloadOptions): Promise<void> {
    return this.#listener.reload(options);
  }

  waitUntil(work: unknown): void {
    this.#listener.waitUntil(work);
  }

  timeout(request: Request | globalThis.Request, seconds: number): void {
    setTimeoutOf(request, seconds);
  }

  stop(closeActiveConnections = false): Promise<void> {
    return this.close(closeActiveConnections ? { deadline: 0 } : {});
  }

  ref(): void {
    this.#listener.setReferenced(true);
  }

  unref(): void {
    this.#listener.setReferenced(false);
  }

  upgrade(request: Request | globalThis.Request, options?: UpgradeOptions): boolean {
    return webSocketsOf('upgrade', this.#listener).upgrade(request, options);
  }

  requestIP(request: Request | globalThis.Request): SocketAddress | null {
    return requestIP(request);
  }

  get pendingWebSockets(): number {
    return this.#listener.upgrades?.open ?? 0;
  }
}

/** @throws {TypeError} if the server has none */
function webSocketsOf(method: string, { webSockets }: HttpListener): WebSocketServer {
  if (webSockets === undefined)
    throw new TypeError(
      `${method}: serve was called without websocket; expected the handlers of WebSockets in that option`,
    );
  return webSockets;
}

/** The least time between two reports to `onError` that `maxBufferedBytes` is reached, in milliseconds: with many uploads that changes all the time. */
const fullReportInterval = 60_000;

/** The listener of an HTTP server, and the settings of its connections. */
class HttpListener extends Listener implements H1Settings, ConnectionSource {
  fetch: (request: unknown, source: IncomingRequest) => unknown;
  answerError: ((error: unknown) => unknown) | undefined;
  /** The scheme of its URL. */
  readonly scheme: 'http' | 'https';
  readonly proxies: TrustedProxies | undefined;
  readonly handle: Server;
  upgrades: Upgrades | undefined;
  /** Set before it listens. */
  fallback: RequestFallback | undefined;
  /** Of the option `websocket`; set before it listens. */
  webSockets: WebSocketServer | undefined;
  readonly headSize: number;
  readonly targetSize: number;
  readonly fieldCount: number;
  readonly bodySize: number;
  readonly extensionSize: number;
  readonly trailerSize: number;
  /** `maxQueuedBytes`; 1 while `maxBufferedBytes` is reached. */
  queuedBytes: number;
  readonly turnWork: number;
  readonly idleTimeout: number;
  readonly headTimeout: number;
  readonly bodyTimeout: number;
  readonly readTimeout: number;
  readonly bodyRate: number;
  readonly writeTimeout: number;
  readonly writeRate: number;
  readonly leaveTimeout: number;
  readonly lingerTimeout: number;
  readonly allowHalfOpen: boolean;
  readonly keepsRequests: boolean;
  /** See the option `globals`. */
  readonly holdsGlobals: boolean;
  readonly #onError: NonNullable<ServeOptions['onError']>;
  readonly #onRefused: ((refusal: RefusedRequest) => unknown) | undefined;
  #defaultHost: string | undefined;
  #date = '';
  /** Until when `#date` is valid, in milliseconds of the scheduler's clock. */
  #dateUntil = -1;
  readonly phases: Record<Phase, number> = { reading: 0, handling: 0, writing: 0 };
  readonly #fastPath: H1FastPath;
  readonly #admission: Admission;
  /** `fetch` answers no request: whole connections go to `fallback`. */
  readonly #passesEverything: boolean;
  /** With the option `proxyProtocol`: the addresses of clients are known only when `ready` is called. */
  readonly #identifiesLate: boolean;
  readonly #maxRequests: number;
  readonly #maxQueuedBytes: number;
  #fullReportedAt = -Infinity;
  /** The number of requests of each connection, by slot. */
  #requests = new Uint32Array(64);

  constructor(options: ServeOptions) {
    const { network, maxBufferedBytes, tls, proxyProtocol, secure, headTimeout = 60_000, trustProxy = false } = options;
    // First, because it may throw: from then on there is a transport, which has to be removed.
    const proxies = trustProxy === false ? undefined : new TrustedProxies('serve: trustProxy', trustProxy);
    const proxyHeaderTimeout = proxyProtocol ? headTimeout : undefined;
    const security = { where: 'serve', tls, alpnProtocols: ['http/1.1', 'http/1.0'], secure, proxyHeaderTimeout };
    super(networkFor(network, Network.current, tls !== undefined), maxBufferedBytes, security);
    this.scheme = this.hasTls || secure !== undefined ? 'https' : 'http';
    this.headSize = options.maxHeadSize ?? 16_384;
    this.targetSize = options.maxTargetSize ?? 8_192;
    this.fieldCount = options.maxFields ?? 100;
    this.bodySize = options.maxBodySize ?? 16 * 1024 * 1024;
    this.extensionSize = options.maxChunkExtensionSize ?? 16_384;
    this.trailerSize = options.maxTrailerSize ?? 8_192;
    this.#maxQueuedBytes = options.maxQueuedBytes ?? highWaterMark;
    this.queuedBytes = this.#maxQueuedBytes;
    this.turnWork = (options.maxPipelined ?? 32) * requestWork;
    this.#maxRequests = options.maxRequests ?? 1_000_000;
    this.idleTimeout = options.idleTimeout ?? 120_000;
    this.headTimeout = headTimeout;
    this.bodyTimeout = options.bodyTimeout ?? 60_000;
    this.readTimeout = this.bodyTimeout;
    this.bodyRate = options.minBodyRate ?? 240;
    this.writeTimeout = options.writeTimeout ?? 300_000;
    this.writeRate = options.minWriteRate ?? 240;
    this.leaveTimeout = options.leaveTimeout ?? 30_000;
    this.lingerTimeout = options.lingerTimeout ?? defaultLinger;
    this.allowHalfOpen = options.allowHalfOpen ?? false;
    this.holdsGlobals = options.globals ?? true;
    this.#onError = options.onError ?? printErrorOf;
    this.keepsRequests = options.onError !== undefined;
    this.#onRefused = options.onRefused;
    this.proxies = proxies;
    this.#identifiesLate = proxyProtocol === true;
    this.handle = new HttpServer(this);
    this.fetch = this.#fetchOf(options);
    this.answerError = errorOf(options);
    this.#passesEverything = options.fetch === passEverything;
    this.#fastPath = new H1FastPath(this);
    const { maxConnections = 100_000, maxConnectionsPerAddress = 20_000 } = options;
    this.#admission = new Admission(this, maxConnections, maxConnectionsPerAddress);
  }

  /** Calls `fetch` as a method of the options. The cast: the request is from `requestFrom`, and its class can be used as the platform's. */
  #fetchOf(options: { fetch: Fetch }): typeof this.fetch {
    const { handle } = this;
    return (request, source) => options.fetch(request as Parameters<Fetch>[0], new FetchServer(source, handle));
  }

  infoOf(source: IncomingRequest): FetchInfo {
    return new FetchServer(source, this.handle);
  }

  override async reload(options: ServerReloadOptions): Promise<void> {
    checkOptions('reload', options, reloadRules);
    const { tls, fetch, error } = options;
    if (tls === undefined && fetch === undefined && error === undefined)
      throw new TypeError('reload: none of tls, fetch and error is given; expected one of them, or more');
    this.checkOpen();
    if (tls !== undefined) this.replaceCertificates(tls);
    if (fetch !== undefined) this.fetch = this.#fetchOf(options as { fetch: Fetch });
    if (error !== undefined) this.answerError = errorOf(options);
  }

  waitUntil(work: unknown, subject?: { readonly request: object; readonly peer: string }): void {
    if (isTask(work) || (typeof work === 'function' && !isThenable(work)))
      throw new TypeError(
        `waitUntil: the work is ${isTask(work) ? 'a task, which nothing runs' : 'a function, which nothing calls'}; expected a promise, such as that of run(function* () { … })`,
      );
    this.awaitWork(work, (error) => this.context.run(this.report, this, error, subject?.request, subject));
  }

  get isLocal(): boolean {
    return 'path' in this.address;
  }

  /** The number of connections with an incomplete request head. */
  get incompleteHeads(): number {
    return this.#fastPath.reading;
  }

  /** Host and port of the server as seen from this machine. */
  get defaultHost(): string {
    this.#defaultHost ??= this.#makeDefaultHost();
    return this.#defaultHost;
  }

  #makeDefaultHost(): string {
    const { address } = this;
    if ('path' in address) return 'localhost';
    const { hostname, port } = address;
    if (hostname === '0.0.0.0' || hostname === '::') return `localhost:${port}`;
    return formatAddress({ hostname: hostname.replace(/%.*/, ''), port }); // a URL has no zone (RFC 4007 §11)
  }

  date(): string {
    const { now } = this.network.scheduler;
    if (now >= this.#dateUntil) {
      const date = this.network.layer.date();
      this.#date = new Date(date).toUTCString();
      this.#dateUntil = now + 1000 - (date % 1000);
    }
    return this.#date;
  }

  report(error: unknown, request: unknown, from?: { readonly peer: string }): void {
    if (request !== undefined && requestError.hasSubscribers) requestError.publish({ error, request });
    callOnError(() => this.#callOnError(error, request, from));
  }

  reportAnswered(error: unknown, request: unknown, from?: { readonly peer: string }): void {
    if (this.keepsRequests) this.report(error, request, from);
    else if (requestError.hasSubscribers) requestError.publish({ error, request });
  }

  #callOnError(error: unknown, given: unknown, from: { readonly peer: string } | undefined): unknown {
    const request = given as Request | undefined; // callers pass only requests that `requestFrom` has created
    if (from === undefined) return this.#onError(error, request, undefined);
    const isForwarded = this.proxies !== undefined && request !== undefined;
    return this.#onError(error, request, { peer: isForwarded ? incomingRequest('onError', request).peer : from.peer });
  }

  reportRefusal(
    { status, code, message }: Pick<HttpError, 'status' | 'code' | 'message'>,
    from: { readonly peer: string },
  ): void {
    const onRefused = this.#onRefused;
    if (onRefused === undefined && !requestRefused.hasSubscribers) return;
    const refusal = { status, code, message, peer: from.peer };
    requestRefused.publish(refusal);
    if (onRefused === undefined) return;
    const failed = (error: unknown) => this.report(error, undefined);
    try {
      const result = this.context.run(onRefused, undefined, refusal);
      if (typeof result === 'object' && result !== null) Promise.resolve(result).catch(failed);
    } catch (error) {
      failed(error);
    }
  }

  *active(): Generator<ActiveConnection, void, void> {
    currentThread(); // so that a plain handler that calls this is listed, too
    for (const slot of this.network.slotsOf(this)) {
      const record = this.network.record(slot);
      if (record?.thread !== undefined) {
        const { thread } = record;
        const connection = h1Of(record);
        const { wait, waitingSince } = thread;
        yield {
          thread,
          wait,
          waitingSince,
          get peer() {
            return record.peer;
          },
          get request() {
            const source = connection?.source;
            return source && { method: source.method, url: source.url };
          },
        };
      } else if (this.#fastPath.isReading(slot)) {
        const { network, transport } = this;
        const fastPath = this.#fastPath;
        const deadline = network.deadline(slot);
        const waitingSince = Math.floor(deadline - this.headTimeout);
        yield {
          thread: undefined,
          wait: 'dry',
          waitingSince,
          get peer() {
            const isSame = fastPath.isReading(slot) && network.deadline(slot) === deadline;
            return isSame ? transport.peer(slot) : '';
          },
          request: undefined,
        };
      }
    }
  }

  markIdle(slot: Slot): void {
    this.network.release(slot);
    this.network.setDeadline(slot, this.network.scheduler.now + this.idleTimeout);
    if (this.closing) this.becameIdle(slot);
  }

  returnToIdle(connection: Connection, head: Head | undefined): void {
    const { slot, reader } = connection;
    const { bytes, start, limit } = reader;
    if (start === limit) {
      this.markIdle(slot);
      return;
    }
    reader.consume(limit - start);
    this.network.release(slot);
    this.#fastPath.takeBack(slot, bytes, start, limit, head);
  }

  takeBack(slot: Slot, bytes: Uint8Array, hasEnded: boolean): void {
    if (bytes.length === 0 && !hasEnded) {
      this.markIdle(slot);
      return;
    }
    this.network.release(slot);
    this.#fastPath.takeBackInThread(slot, bytes, hasEnded);
  }

  protected countPhases(open: number): Omit<ConnectionCounts, 'closing' | 'total'> {
    const { writing } = this.phases;
    const reading = this.phases.reading + this.#fastPath.reading;
    const handling = this.phases.handling + this.#fastPath.handling;
    return { idle: open - reading - handling - writing, reading, handling, writing };
  }

  protected fullnessChanged(isFull: boolean): void {
    this.queuedBytes = isFull ? 1 : this.#maxQueuedBytes; // requests compare with it anyway, so this costs them nothing
    if (!isFull) return;
    const { now } = this.network.scheduler;
    if (now < this.#fullReportedAt + fullReportInterval) return;
    this.#fullReportedAt = now;
    const { held, limit } = this.buffers.counts;
    const error = new ConnectionError(
      noMemory,
      `serve: clients take ${held} bytes of memory, of ${limit} that maxBufferedBytes allows: requests with a body are answered with 503 until it is less`,
    );
    setImmediate(() => this.failed(error)); // `onError` may call anything, but an observer may not
  }

  /** Whether the slot has an incomplete head. */
  isReading(slot: Slot): boolean {
    return this.#fastPath.isReading(slot);
  }

  get slots(): number {
    return this.network.slots;
  }

  has(slot: Slot): boolean {
    return this.network.owner(slot) === this;
  }

  peer(slot: Slot): string {
    return this.transport.peer(slot);
  }

  onFull(): void {
    const { connections } = this.#admission;
    this.failed(
      new ConnectionError(
        'ERR_MAX_CONNECTIONS',
        `serve: there are ${connections} connections, as many as maxConnections allows: more are answered with 503 until some have closed`,
      ),
    );
  }

  countRequest(slot: Slot): boolean {
    return ++this.#requests[slot] >= this.#maxRequests;
  }

  protected begin(slot: Slot): boolean {
    if (slot >= this.#requests.length)
      this.#requests = growTypedArray(this.#requests, new Uint32Array(Math.max(2 * this.#requests.length, slot + 1)));
    this.#requests[slot] = 0;
    const verdict = this.#admission.enter(slot);
    if (verdict !== 'accepted') {
      this.#reject(slot, verdict);
      return false;
    }
    this.network.setDeadline(slot, this.network.scheduler.now + this.idleTimeout);
    return true;
  }

  #reject(slot: Slot, verdict: Exclude<Verdict, 'accepted'>): void {
    if (verdict === 'reset') {
      this.transport.reset(slot);
      return;
    }
    this.#fastPath.sendRejection(slot, verdict, rejectionMessages[verdict]);
    this.linger(slot, Math.min(this.lingerTimeout, rejectedLinger));
  }

  /** Deadlines are not set again: they count from when the connection was accepted. */
  protected ready(slot: Slot): void {
    if (this.#identifiesLate) {
      const verdict = this.#admission.identify(slot);
      if (verdict !== 'accepted') {
        this.#reject(slot, verdict);
        return;
      }
    }
    if (this.#passesEverything) this.fallback?.adopt(slot);
  }

  /** Reports a connection without a valid header of the PROXY protocol. @param peer the peer of the connection, not the client that a header would name */
  #refuseProxyHeader({ message, code }: ConnectionError, peer: string): void {
    this.reportRefusal({ status: 400, code, message }, { peer });
  }

  readonly reportThread = (error: unknown, thread: Thread<unknown>): void => {
    const subject = subjectOf(thread);
    this.report(error, subject?.request, subject);
  };

  received(slot: Slot, bytes: Uint8Array, start: number, end: number): void {
    this.#fastPath.received(slot, bytes, start, end);
  }

  ended(slot: Slot): void {
    this.#fastPath.ended(slot);
  }

  expired(slot: Slot): void {
    if (this.#fastPath.expired(slot)) return;
    // A slow client that is still reading its last response is not idle.
    const more = this.network.extraTimeForOutput(slot, this.idleTimeout);
    if (more > 0) this.network.setDeadline(slot, this.network.scheduler.now + more);
    else if (this.closing) this.endIdle(slot);
    else this.endConnection(slot);
  }

  protected get lingerTime(): number {
    return this.lingerTimeout;
  }

  override sessionFailed(slot: Slot, record: SlotRecord | undefined, reason: ConnectionError): void {
    this.#fastPath.closed(slot);
    if (reason.code === proxyHeaderError) this.#refuseProxyHeader(reason, this.transport.peer(slot));
    super.sessionFailed(slot, record, reason);
  }

  override closed(
    slot: Slot,
    record: SlotRecord | undefined,
    reason: ConnectionError | undefined,
    wasClosing: boolean,
  ): void {
    this.#fastPath.closed(slot);
    this.#admission.leave(slot);
    // With TLS on the portable layer, the header is read below the layer. On the others, `sessionFailed` has been called.
    if (reason?.code === proxyHeaderError) this.#refuseProxyHeader(reason, '');
    super.closed(slot, record, reason, wasClosing);
  }

  protected closeIfIdle(slot: Slot): void {
    const { network } = this;
    const { now } = network.scheduler;
    const deadline = network.deadline(slot);
    if (this.#fastPath.isReading(slot)) {
      network.setDeadline(slot, Math.min(deadline, now + partialHeadGrace)); // then it gets 408
      return;
    }
    network.record(slot)?.closing();
    if (network.state(slot) !== SlotState.idle) return;
    const idleSince = deadline - this.idleTimeout;
    let until = 0;
    if (this.#requests[slot] === 0) until = idleSince + firstRequestGrace;
    else if (this.#requests[slot] >= steadyUse.requests && now - idleSince < steadyUse.recent)
      until = now + steadyUseGrace;
    if (until > now) network.setDeadline(slot, Math.min(deadline, until));
    else this.endIdle(slot);
  }

  protected forceClose(slot: Slot): void {
    if (!this.#fastPath.forceClose(slot)) this.network.drop(slot);
  }

  protected lost(record: SlotRecord, reason: ConnectionError | undefined): void {
    record.lost(reason);
  }

  protected whenClosed(): void {
    if (this.holdsGlobals) releaseGlobals();
    releaseRejections();
    this.fallback?.close();
  }

  protected failed(error: unknown): void {
    this.context.run(this.report, this, error, undefined);
  }
}

/** The option `error`, called as a method of the options. */
function errorOf(options: { error?: ((error: unknown) => unknown) | undefined }): HttpListener['answerError'] {
  return options.error === undefined ? undefined : (error) => options.error?.(error);
}

/** The HTTP/1.1 connection of a slot's record, if it is one. */
function h1Of(record: SlotRecord | undefined): H1Connection | undefined {
  return record instanceof Connection && record.protocol instanceof H1Connection ? record.protocol : undefined;
}

/** The default `onError`: prints the request, or else the client, and the error with its stack. */
function printErrorOf(error: unknown, request: Request | undefined, info: RequestInfo | undefined): void {
  printError(error, request === undefined ? (info?.peer ?? '') : `${request.method} ${request.url}`);
}
