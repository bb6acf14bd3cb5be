// The channels of node:diagnostics_channel for connections. A connection that opens while a channel has no subscribers costs one check of each
// `hasSubscribers`, and nothing is kept of it.

import { channel } from 'node:diagnostics_channel';
import type { ConnectionError, Slot } from '../event-layer/event-layer.js';

/** A connection has been accepted, or `connect` has succeeded. */
const connectionOpen = channel('sluice.connection.open');
/** A connection has closed. */
const connectionClose = channel('sluice.connection.close');

/** What is published on `sluice.connection.open`, and again, completed, on `sluice.connection.close`: one object for each connection. */
export interface ConnectionMessage {
  /** `server` for a connection that was accepted, `client` for one that `connect` made. */
  readonly side: 'server' | 'client';
  /** The peer's address: `127.0.0.1:5678` or `[::1]:5678`; empty for a Unix-domain socket. */
  readonly peer: string;
  /** How long it was open, in milliseconds. Set when it closes. */
  readonly duration: number | undefined;
  /** Set when it closes, if the peer or the system broke it, or its TLS session failed: the error that {@link Connection.reason} is. */
  readonly reason: ConnectionError | undefined;
}

interface OpenConnection {
  readonly message: { -readonly [Key in keyof ConnectionMessage]: ConnectionMessage[Key] };
  /** Milliseconds of the scheduler's clock. */
  readonly since: number;
}

/** Publishes for the connections of one network. */
export class ConnectionDiagnostics {
  /** Connections that opened while something was subscribed. Only their closing is published, so that counts of both agree. */
  readonly #open = new Map<Slot, OpenConnection>();
  readonly #now: () => number;

  /** @param now the time of the scheduler's clock, in milliseconds */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** Whether the next connection is to be passed to `opened`. */
  get isSubscribed(): boolean {
    return connectionOpen.hasSubscribers || connectionClose.hasSubscribers;
  }

  opened(slot: Slot, side: ConnectionMessage['side'], peer: string): void {
    const message = { side, peer, duration: undefined, reason: undefined };
    this.#open.set(slot, { message, since: this.#now() });
    connectionOpen.publish(message);
  }

  /** Its TLS session has failed: it closes soon, for this reason. */
  sessionFailed(slot: Slot, reason: ConnectionError): void {
    const open = this.#open.get(slot);
    if (open !== undefined) open.message.reason = reason;
  }

  closed(slot: Slot, reason: ConnectionError | undefined): void {
    const open = this.#open.get(slot);
    if (open === undefined) return;
    this.#open.delete(slot);
    const { message, since } = open;
    message.duration = this.#now() - since;
    message.reason ??= reason;
    connectionClose.publish(message);
  }
}
