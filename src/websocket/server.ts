// `webSocket`: a response that turns the connection of a request into a WebSocket, and runs a task on it.

import type { Connection } from '../connection/connection.js';
import type { Owner } from '../connection/network.js';
import type { Slot } from '../event-layer/event-layer.js';
import { headersRule } from '../http/fetch/headers.js';
import type { Request } from '../http/fetch/request.js';
import { Response } from '../http/fetch/response.js';
import { incomingRequest } from '../http/incoming-request.js';
import { takeOver } from '../http/take-over.js';
import { withSharedPrototype } from '../threads/shared-prototype.js';
import { checkedTask, type Task } from '../threads/task.js';
import type { Thread } from '../threads/thread.js';
import { show } from '../util/inspect.js';
import { checkOptions, type OptionRules } from '../util/options.js';
import { openCompression } from './compression.js';
import { checkHandshake, checkHandshakeOptions, type HandshakeOptions, handshakeRules } from './handshake.js';
import { deflateOf, endpointOf, type SocketOptions, socketRules } from './options.js';
import { WebSocketConnection } from './web-socket.js';

/** Options of `webSocket`. */
export interface WebSocketOptions extends HandshakeOptions, SocketOptions {}

const rules: OptionRules = {
  ...socketRules,
  ...handshakeRules,
  headers: headersRule,
};

/** What runs on a WebSocket, in the thread of its connection. */
export type WebSocketTask = (socket: WebSocketConnection) => Task<unknown>;

/** An HTTP server, as owner of the connection. */
type ServerOwner = Owner & { endConnection(slot: Slot): void; awaitThread(thread: Thread<unknown>): void };

/**
 * Answers a request for a WebSocket (RFC 6455), and runs a task on it in the thread of the connection.
 *
 * - When the client closes the WebSocket or its connection, a thread that is parked in `receive` gets `undefined`, behind the messages that came before.
 *   A thread that is parked elsewhere is unwound, unless messages wait for it. It has `closeTimeout` to end in any case.
 * - When the connection is lost, the thread is unwound where it is. `request.signal` is aborted in all these cases.
 * - When the task returns, the WebSocket is closed with 1000; when it throws, with 1011, and `onError` is called, but not for what
 *   `send` and `ping` of a WebSocket that is closed throw; when it was unwound by others, with 1001.
 *
 * ```ts
 * fetch: (request) =>
 *   webSocket(request, function* (socket) {
 *     for (let message; (message = yield* socket.receive()) !== undefined; ) yield* socket.send(message);
 *   }),
 * ```
 *
 * A handshake that is wrong is answered with 400, 403 (its origin is not allowed) or 426 (it does not ask for a
 * WebSocket, or for another version).
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
  checkHandshakeOptions('webSocket', options);
  const settings = deflateOf('webSocket', options.perMessageDeflate);
  const source = incomingRequest('webSocket', request);
  const handshake = checkHandshake('webSocket', source, request as Request, options, settings);
  if (handshake instanceof Response) return handshake;
  const { protocol, fields, deflate } = handshake;
  const peer = source.server.proxies === undefined ? undefined : source.peer; // else it is looked up when it is asked for
  // Not a generator function: its generator would stay in memory beneath the user's for as long as the WebSocket is open.
  return takeOver((connection: Connection): Task<unknown> => {
    const owner = connection.owner as ServerOwner; // only a server's connections are taken over
    const endpoint = endpointOf(owner, options, false, (slot, thread) => {
      if (thread !== undefined) owner.awaitThread(thread);
      owner.endConnection(slot);
    });
    const compression = deflate && settings && openCompression('server', deflate, settings);
    if (peer !== undefined) connection.setPeer(peer);
    const socket = new WebSocketConnection(connection, endpoint, protocol, compression);
    socket.ownRequest(source);
    return checkedTask('webSocket: the task returned', withSharedPrototype(task)(socket));
  }, fields);
}
