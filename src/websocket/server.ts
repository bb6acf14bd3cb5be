// `webSocket`: a response that turns the connection of a request into a WebSocket, and runs a task on it.

import type { Connection } from '../connection/connection.js';
import type { Owner } from '../connection/network.js';
import type { Slot } from '../event-layer/event-layer.js';
import type { Request } from '../http/fetch/request.js';
import { Response } from '../http/fetch/response.js';
import { takeOver } from '../http/take-over.js';
import { isTask, type Task } from '../threads/task.js';
import { show } from '../util/inspect.js';
import { checkOptions, type OptionRules } from '../util/options.js';
import { openCompression } from './compression.js';
import { checkHandshake, type HandshakeOptions } from './handshake.js';
import { deflateOf, endpointOf, type SocketOptions, socketRules } from './options.js';
import { WebSocketConnection } from './web-socket.js';

/** Options of `webSocket`. */
export interface WebSocketOptions extends HandshakeOptions, SocketOptions {}

const rules: OptionRules = {
  ...socketRules,
  protocols: {
    accepts: (value) => typeof value === 'function' || isStrings(value),
    expected: 'an array of strings, or a function',
  },
  origin: {
    accepts: (value) => value === '*' || typeof value === 'function' || isStrings(value),
    expected: "'*', an array of origins, or a function",
  },
  headers: { accepts: (value) => typeof value === 'object', expected: 'headers' },
};

function isStrings(value: unknown): boolean {
  return Array.isArray(value) && value.every((element) => typeof element === 'string');
}

/** What runs on a WebSocket, in the thread of its connection. */
export type WebSocketTask = (socket: WebSocketConnection) => Task<unknown>;

/** An HTTP server, as owner of the connection. */
type ServerOwner = Owner & { endConnection(slot: Slot): void };

/**
 * Answers a request for a WebSocket (RFC 6455), and runs a task on it as a thread: straight lines, as on any connection. The thread is unwound when
 * the client goes away, and the WebSocket is closed when the task returns (1000) or throws (1011; `onError` is called).
 *
 * ```ts
 * fetch: (request) =>
 *   webSocket(request, function* (socket) {
 *     for (let message; (message = yield* socket.receive()) !== undefined; ) yield* socket.send(message);
 *   }),
 * ```
 *
 * A request that does not ask for a WebSocket, or does so wrongly, is answered with 400, 403 (its origin is not allowed) or 426.
 *
 * @param request the one that the handler has got
 * @throws {TypeError | RangeError} for options that are wrong, and a request that is not one of this server's
 */
export function webSocket(
  request: Request | globalThis.Request,
  task: WebSocketTask,
  options: WebSocketOptions = {},
): Response {
  checkOptions('webSocket', options, rules);
  if (typeof task !== 'function')
    throw new TypeError(`webSocket: the task is ${show(task)}; expected a generator function`);
  const settings = deflateOf('webSocket', options.perMessageDeflate);
  const handshake = checkHandshake('webSocket', request as Request, options, settings); // which throws for any other
  if (handshake instanceof Response) return handshake;
  const { protocol, fields, deflate } = handshake;
  // Not a generator function: its generator would stay in memory beneath the user's for as long as the WebSocket is open.
  return takeOver((connection: Connection): Task<unknown> => {
    const owner = connection.owner as ServerOwner; // only a server's connections are taken over
    const endpoint = endpointOf(owner, options, false, (slot) => owner.endConnection(slot));
    const socket = new WebSocketConnection(
      connection,
      endpoint,
      protocol,
      deflate && settings && openCompression('server', deflate, settings),
    );
    const running = task(socket);
    if (!isTask(running))
      throw new TypeError(`webSocket: the task returned ${show(running)}; expected a generator function`);
    return running;
  }, fields);
}
