// The second argument of `fetch` where the server has WebSockets: what is known of the request's client, and the server as Bun's handlers have it.

import type { TlsInfo } from '../event-layer/tls-info.js';
import type { Request } from '../http/fetch/request.js';
import { incomingRequest } from '../http/incoming-request.js';
import type { RequestInfo } from '../http/settings.js';
import { type SocketAddress, socketAddressOf } from '../http/socket-address.js';
import type { Sendable, UpgradeArguments, UpgradeOptions, WebSocketServer } from '../websocket/handlers.js';

/** What a handler can do with its server. `upgrade`, `publish` and `subscriberCount` need the option `websocket` of `serve`, and throw without it. */
export interface FetchInfo<Data = unknown> extends RequestInfo {
  /**
   * Answers a request with the opening handshake of a WebSocket, whatever its handler returns afterwards. A handshake that is wrong is answered with
   * 400, 403 or 426.
   * @returns false if the request does not ask for a WebSocket: then its handler answers it. Also if it has been answered or upgraded already, or its client is
   *   gone
   * @throws {TypeError} for options that are wrong, and a request that is not this server's
   */
  upgrade(request: Request | globalThis.Request, ...options: UpgradeArguments<Data>): boolean;
  /**
   * Sends a message to all WebSockets that have subscribed to a topic.
   * @param compress whether it is compressed, whatever its size, where `perMessageDeflate` has been agreed on. Default: from its `threshold` on
   * @returns its bytes, frame included; -1 if one of them is slow; 0 if it has been dropped for one, or there are none
   */
  publish(topic: string, data: Sendable, compress?: boolean): number;
  /** How many WebSockets have subscribed to a topic. */
  subscriberCount(topic: string): number;
  /** The client's address; null for a Unix-domain socket, and if it is first asked for when the client has gone. @throws {TypeError} as `upgrade` */
  requestIP(request: Request | globalThis.Request): SocketAddress | null;
  /** How many WebSockets by handlers the server has. */
  readonly pendingWebSockets: number;
}

export class FetchServer implements FetchInfo {
  readonly #info: RequestInfo;
  readonly #webSockets: WebSocketServer;

  constructor(info: RequestInfo, webSockets: WebSocketServer) {
    this.#info = info;
    this.#webSockets = webSockets;
  }

  get peer(): string {
    return this.#info.peer;
  }

  get tls(): TlsInfo | undefined {
    return this.#info.tls;
  }

  upgrade(request: Request | globalThis.Request, options?: UpgradeOptions): boolean {
    return this.#webSockets.upgrade(request, options);
  }

  publish(topic: string, data: Sendable, compress?: boolean): number {
    return this.#webSockets.publish(topic, data, compress);
  }

  requestIP(request: Request | globalThis.Request): SocketAddress | null {
    return socketAddressOf(incomingRequest('requestIP', request).peer);
  }

  get pendingWebSockets(): number {
    return this.#webSockets.count;
  }

  subscriberCount(topic: string): number {
    return this.#webSockets.subscriberCount(topic);
  }
}
