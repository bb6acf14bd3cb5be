// The second argument of `fetch` where the server has WebSockets: what is known of the request's client, and the server as Bun's handlers have it.

import type { TlsInfo } from '../event-layer/tls-info.js';
import type { Request } from '../http/fetch/request.js';
import type { RequestInfo } from '../http/settings.js';
import type { UpgradeOptions, WebSocketServer } from '../websocket/handlers.js';

/** What a handler can do with its server. Its methods need the option `websocket` of `serve`, and throw without it. */
export interface FetchInfo extends RequestInfo {
  /**
   * Answers a request with the opening handshake of a WebSocket, whatever its handler returns afterwards. A handshake that is wrong is answered with
   * 400, 403 or 426.
   * @returns false if the request does not ask for a WebSocket: then its handler answers it
   * @throws {TypeError} for options that are wrong, and a request that is not this server's
   */
  upgrade<Data = unknown>(request: Request | globalThis.Request, options?: UpgradeOptions<Data>): boolean;
  /** Sends a message to all WebSockets that have subscribed to a topic. @returns its bytes, frame included; 0 if there are none */
  publish(topic: string, data: string | Uint8Array | ArrayBuffer): number;
  /** How many WebSockets have subscribed to a topic. */
  subscriberCount(topic: string): number;
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

  publish(topic: string, data: string | Uint8Array | ArrayBuffer): number {
    return this.#webSockets.publish(topic, data);
  }

  subscriberCount(topic: string): number {
    return this.#webSockets.subscriberCount(topic);
  }
}
