// The secure transports of a network: listeners and clients with the same factory share one, for as long as any of them has connections.

import type { EventLayer } from '../event-layer/event-layer.js';
import type {
  SecureTransport,
  SecureTransportEvents,
  SecureTransportFactory,
  TransportTimers,
} from '../event-layer/secure-transport.js';
import type { Transport } from '../event-layer/transport.js';

interface SharedTransport {
  readonly factory: SecureTransportFactory;
  readonly transport: SecureTransport;
  /** Listeners and clients that use it. */
  users: number;
}

export class SecureTransports {
  readonly #layer: EventLayer;
  readonly #events: SecureTransportEvents;
  /** Those in use. There are few, and most networks have none. */
  #used: SharedTransport[] = [];

  /** @param events receives the events of all of them */
  constructor(layer: EventLayer, events: SecureTransportEvents) {
    this.#layer = layer;
    this.#events = events;
  }

  get count(): number {
    return this.#used.length;
  }

  /** The transport for a new listener or client. It is to be given back by `remove`. */
  add(factory: SecureTransportFactory, timers: TransportTimers): SecureTransport {
    let shared = this.#used.find((entry) => entry.factory === factory);
    if (shared === undefined) {
      shared = { factory, transport: factory(this.#layer, timers), users: 0 };
      shared.transport.start(this.#events);
      this.#used.push(shared);
    }
    shared.users++;
    return shared.transport;
  }

  /** A listener or client has no connections any more. @param transport from `add`; others are ignored */
  remove(transport: Transport): void {
    const shared = this.#used.find((entry) => entry.transport === transport);
    if (shared === undefined || --shared.users > 0) return;
    this.#used = this.#used.filter((entry) => entry !== shared);
  }

  beginTurn(): void {
    for (const { transport } of this.#used) transport.beginTurn();
  }

  endInput(): void {
    for (const { transport } of this.#used) transport.endInput();
  }

  endTurn(): void {
    for (const { transport } of this.#used) transport.endTurn();
  }
}
