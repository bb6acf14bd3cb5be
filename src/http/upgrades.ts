// Requests that a handler has upgraded by a call, such as `info.upgrade`. The call stores the response, which is sent in place of what the handler returns.

import type { Response } from './fetch/response.js';

export class Upgrades {
  /** The number of open connections that were upgraded in this way. */
  open = 0;
  readonly #responses = new WeakMap<object, Response>();

  /** @param source the request in progress */
  set(source: object, response: Response): void {
    this.#responses.set(source, response);
  }

  has(source: object): boolean {
    return this.#responses.has(source);
  }

  /** The response has been sent. */
  delete(source: object): void {
    this.#responses.delete(source);
  }

  responseTo(source: object): Response | undefined {
    return this.#responses.get(source);
  }
}
