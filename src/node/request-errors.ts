// What happens when a listener of an `http.Server` throws. With node:http alone that is an uncaught exception, which ends the process for all clients. Here the
// error is reported once, and only the client of that request notices: it gets a 500, or a connection that is reset if the head of a response has been sent.

import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import type { Server as NetServer } from 'node:net';
import type { Duplex } from 'node:stream';
import type { BufferedBytes } from '../connection/buffered-bytes.js';
import { callOnError, printError } from '../connection/on-error.js';
import { isThenable } from '../threads/task.js';

/** Called with an error of the application, or of the server itself. The request is that in which it happened, if any. */
export type NodeErrorHandler = (error: unknown, request: IncomingMessage | undefined) => void;

/** Reports errors, and answers the requests in which they happened. */
export class RequestErrors {
  readonly #onError: NodeErrorHandler;

  /** @param onError default: prints to standard error */
  constructor(onError: NodeErrorHandler | undefined) {
    this.#onError = onError ?? printErrorOf;
  }

  /** Never throws. */
  report(error: unknown, request?: IncomingMessage): void {
    callOnError(() => this.#onError(error, request));
  }

  /** A listener has failed before it has answered the request as a whole. */
  requestFailed(error: unknown, request: IncomingMessage, response: ServerResponse): void {
    if (error instanceof Error && (error === request.errored || error === response.errored)) return; // the client has caused it, by leaving most often
    this.report(error, request);
    if (response.writableEnded) return; // the client has got, or gets, a whole response
    if (response.headersSent) {
      abort(request.socket);
      return;
    }
    for (const name of response.getHeaderNames()) response.removeHeader(name);
    response.statusCode = 500;
    response.statusMessage = '';
    response.setHeader('content-type', 'text/plain');
    response.end('Internal Server Error');
  }

  /** The same with what an upgrade, or CONNECT, was passed. */
  upgradeFailed(error: unknown, request: IncomingMessage, socket: Duplex): void {
    this.report(error, request);
    abort(socket);
  }
}

/** Ends a connection so that what was sent does not look complete. */
function abort(socket: Duplex): void {
  // What a server emits may be another stream than a socket, in HTTP/2 for instance.
  if ('resetAndDestroy' in socket && typeof socket.resetAndDestroy === 'function') socket.resetAndDestroy();
  else socket.destroy();
}

/** Removes what `guardServer` has added. */
export type Unguard = () => void;

/**
 * Has a server's listeners called so that what they throw is handled, and requests with a body are refused while there is no memory for one. It replaces `emit` of this one
 * server, which Node calls for each request.
 */
export function guardServer(server: NetServer, errors: RequestErrors, buffers: BufferedBytes): Unguard {
  const own = Object.getOwnPropertyDescriptor(server, 'emit');
  const emit: (this: NetServer, event: string, ...values: unknown[]) => boolean = server.emit;
  const guarded = function (this: NetServer, event: string, ...values: unknown[]): boolean {
    if (event === 'request' || event === 'checkContinue' || event === 'checkExpectation') {
      const [request, response] = values as [IncomingMessage, ServerResponse];
      if (buffers.isFull && hasBody(request)) {
        refuse(request, response, buffers);
        return true;
      }
      try {
        return emit.call(this, event, request, response);
      } catch (error) {
        errors.requestFailed(error, request, response);
        return true;
      }
    }
    if (event !== 'upgrade' && event !== 'connect') return emit.call(this, event, ...values);
    const [request, socket] = values as [IncomingMessage, Duplex];
    try {
      return emit.call(this, event, ...values);
    } catch (error) {
      errors.upgradeFailed(error, request, socket);
      return true;
    }
  };
  const define = (descriptor: PropertyDescriptor) => Object.defineProperty(server, 'emit', descriptor);
  define({ value: guarded, configurable: true, writable: true, enumerable: false });
  return () => {
    if (server.emit !== guarded) return; // replaced by other code, which may call it
    if (own !== undefined) define(own);
    else Reflect.deleteProperty(server, 'emit');
  };
}

function hasBody({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined || (headers['content-length'] ?? '0') !== '0';
}

function refuse(request: IncomingMessage, response: ServerResponse, buffers: BufferedBytes): void {
  buffers.refused++;
  response.writeHead(503, { connection: 'close', 'content-type': 'text/plain' });
  response.end('Service Unavailable');
  request.resume();
}

/** What a `(req, res)` function may return: nothing, or a promise. */
export type NodeHandler = (request: IncomingMessage, response: ServerResponse) => unknown;

/**
 * The listener of a server for a `(req, res)` function. If it is async, and its promise is rejected, that counts as if it had thrown.
 * For `removeListener` and `listeners` it is the function itself, as those of `once` are.
 */
export function listenerFor(handler: NodeHandler, errors: RequestErrors): RequestListener {
  const listener: RequestListener = function (this: unknown, request, response) {
    const result = handler.call(this, request, response);
    if (!isThenable(result)) return;
    Promise.resolve(result).catch((error: unknown) => errors.requestFailed(error, request, response));
  };
  return Object.assign(listener, { listener: handler });
}

/** The default of `onError`: prints the request and the error with its stack. */
function printErrorOf(error: unknown, request: IncomingMessage | undefined): void {
  printError(error, request === undefined ? '' : `${request.method} ${request.url}`);
}
