// WebSockets by handlers for adapters of frameworks, whose users do not name the handlers to `serve`.

import type { Request } from '../http/fetch/request.js';
import { incomingRequest } from '../http/incoming-request.js';
import { type ServerSettings, type UpgradeOptions, type WebSocketHandlers, WebSocketServer } from './handlers.js';

export class HandlerUpgrades<Data> {
  readonly #handlers: WebSocketHandlers<Data>;
  /** One for each server whose requests were upgraded. */
  readonly #servers = new WeakMap<object, WebSocketServer>();

  constructor(handlers: WebSocketHandlers<Data>) {
    this.#handlers = handlers;
  }

  /** As `FetchInfo.upgrade`. @param where for messages */
  upgrade(where: string, request: Request | globalThis.Request, options: UpgradeOptions<Data>): boolean {
    const settings = incomingRequest(where, request).server as ServerSettings; // only a server's settings make requests
    let server = this.#servers.get(settings);
    if (server === undefined) {
      server = new WebSocketServer(settings, this.#handlers as WebSocketHandlers);
      this.#servers.set(settings, server);
    }
    return server.upgrade(request, options);
  }
}
