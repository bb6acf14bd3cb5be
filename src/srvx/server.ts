// `serve` as srvx's adapters export it, over sluice's.

import { type ServeOptions, type Server, serve as serveSluice } from '../server/serve.js';
import {
  type ServerHandler,
  type ServerMiddleware,
  type ServerRequest,
  type SrvxOptions,
  serveOptionsOf,
} from './options.js';

/** The default of `gracefulTimeout`, in seconds. */
const gracefulSeconds = 5;

/** A server of srvx. */
export class SrvxServer {
  /** The name of this adapter. */
  readonly runtime = 'sluice';
  /** The options that were given; `middleware` is a copy, so that plugins may add to it. */
  readonly options: SrvxOptions<SrvxServer> & { middleware: ServerMiddleware[] };
  /** Answers a request without the network: calls the middleware and `fetch` of the options, and `error` if one of them fails. */
  readonly fetch: ServerHandler;
  /** The same without `error`, which sluice's `serve` calls itself. */
  readonly #answer: ServerHandler;
  /** The server of sluice; `server` is undefined until it listens. */
  readonly sluice: { server: Server | undefined } = { server: undefined };
  #listening: Promise<this> | undefined;
  /** Removes the listeners for signals. */
  #forgetSignals = (): void => {};
  /** Arguments of `waitUntil` from before there was a server. */
  #early: unknown[] = [];

  constructor(options: SrvxOptions<SrvxServer>) {
    this.options = { ...options, middleware: [...(options.middleware ?? [])] };
    for (const plugin of options.plugins ?? []) plugin(this);
    this.#answer = composed(this.options);
    this.fetch = withErrors(this.#answer, this.options.error);
    if (!this.options.manual) void this.serve();
  }

  /** The options for sluice's `serve`. */
  get serveOptions(): ServeOptions {
    return serveOptionsOf(this.options, (request) => this.#answer(request as ServerRequest));
  }

  /** Starts to listen, at the first call. @throws (rejects) as sluice's `serve` */
  serve(): Promise<this> {
    this.#listening ??= this.#listen();
    return this.#listening;
  }

  async #listen(): Promise<this> {
    const server = await serveSluice(this.serveOptions);
    this.attach(server);
    const { silent = Boolean(process.env.TEST), gracefulShutdown = !(process.env.CI || process.env.TEST) } =
      this.options;
    if (!silent) console.log(`➜ Listening on: ${server.url}`);
    if (gracefulShutdown !== false) this.#forgetSignals = closeOnSignal(server, gracefulShutdown);
    return this;
  }

  /** @internal A server listens that calls `fetch`: passes on the work from before. */
  attach(server: Server): void {
    this.sluice.server = server;
    for (const work of this.#early.splice(0)) server.waitUntil(work);
  }

  /** Resolves when it listens. */
  ready(): Promise<this> {
    return this.serve();
  }

  /** Its URL; undefined until it listens. */
  get url(): string | undefined {
    return this.sluice.server?.url.href;
  }

  /** Makes `close` wait for a promise, like `request.waitUntil`. */
  readonly waitUntil = (work: unknown): void => {
    const { server } = this.sluice;
    if (server === undefined) this.#early.push(work);
    else server.waitUntil(work);
  };

  /** @param closeActiveConnections whether requests in progress are ended at once. Default false */
  async close(closeActiveConnections = false): Promise<void> {
    if (this.#listening === undefined) return;
    await this.#listening;
    // The listeners stay until then: a signal may shorten what it waits for.
    await this.sluice.server?.stop(closeActiveConnections).finally(this.#forgetSignals);
  }
}

/** Starts a server, with the options of srvx. */
export function serve(options: SrvxOptions<SrvxServer>): SrvxServer {
  return new SrvxServer(options);
}

function composed({ fetch, middleware }: SrvxServer['options']): ServerHandler {
  return middleware.reduceRight<ServerHandler>(
    (next, each) => (request) => each(request, () => next(request)),
    (request) => fetch(request),
  );
}

function withErrors(answer: ServerHandler, error: SrvxOptions['error']): ServerHandler {
  if (error === undefined) return answer;
  return async (request) => {
    try {
      return await answer(request);
    } catch (reason) {
      return error(reason);
    }
  };
}

/** Closes the server at SIGINT and SIGTERM; at once when a second one comes. @returns a function that removes the listeners */
function closeOnSignal(server: Server, option: true | { gracefulTimeout?: number | undefined }): () => void {
  const { gracefulTimeout = gracefulSeconds } = option === true ? {} : option;
  let isClosing = false;
  const close = (): void => {
    void server.close({ deadline: isClosing ? 0 : gracefulTimeout * 1000 }).then(forget);
    isClosing = true;
  };
  const forget = (): void => {
    process.off('SIGINT', close);
    process.off('SIGTERM', close);
  };
  process.on('SIGINT', close);
  process.on('SIGTERM', close);
  return forget;
}
