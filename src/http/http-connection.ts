// The record of a connection that speaks HTTP: which request it is at, and what its client's leaving means at that point.

import { Connection } from '../connection/connection.js';
import type { Network } from '../connection/network.js';
import type { Slot } from '../event-layer/event-layer.js';
import { ClientLeftError, type Exchange } from './exchange.js';
import type { HttpSettings } from './settings.js';

export class HttpConnection extends Connection {
  /** The request that is being handled. */
  exchange: Exchange | undefined;
  /** The client's leaving by FIN unwinds the thread: a thread handler is at work, or a streamed body is being sent. */
  unwindOnLeave = false;
  readonly #settings: HttpSettings;
  /** The timer that ends the wait for an async handler whose client has left; 0 is none. */
  #leaveTimer = 0;

  constructor(network: Network, slot: Slot, settings: HttpSettings) {
    super(network, slot);
    this.#settings = settings;
    this.writer.timeout = settings.writeTimeout;
    this.reader.timeout = settings.bodyTimeout;
  }

  /**
   * The client has sent FIN, and that counts as leaving: `request.signal` is aborted, and a thread unwound. What a plain or
   * async handler still answers is sent, if it comes in time.
   */
  clientEnded(): void {
    if (this.#settings.allowHalfOpen || this.exchange === undefined || this.#leaveTimer !== 0) return;
    const reason = new ClientLeftError('the client has closed its side of the connection');
    this.exchange.abort(reason);
    if (this.unwindOnLeave) {
      this.thread?.unwind(reason);
      return;
    }
    const { leaveTimeout } = this.#settings;
    if (leaveTimeout !== Infinity) this.#leaveTimer = this.network.scheduler.armIn(leaveTimeout, this, 0);
  }

  /** The handler has not answered in time. */
  timerFired(): void {
    this.#leaveTimer = 0;
    this.thread?.unwind(this.exchange?.aborted);
  }

  /** From here on the client's leaving unwinds the thread; if it has left already, that happens where the thread next parks. */
  unwindWhenLeft(): void {
    this.unwindOnLeave = true;
    if (this.exchange?.aborted !== undefined) this.thread?.unwind(this.exchange.aborted);
  }

  /** The request has been answered, or cannot be. */
  endExchange(): void {
    this.exchange = undefined;
    this.unwindOnLeave = false;
    if (this.#leaveTimer !== 0) this.network.scheduler.timers.cancel(this.#leaveTimer);
    this.#leaveTimer = 0;
  }
}
