// The contract of a secure transport, such as TLS: a transport over an event layer, with a session for each of its connections.

import type { ConnectionError, EventLayer } from './event-layer.js';
import type { Slot, Transport, TransportEvents } from './transport.js';

/** Timers in milliseconds of the layer's clock. */
export interface TransportTimers {
  /** @returns the timer's number, valid until it fires or is cancelled */
  armAt(time: number, target: { timerFired(argument: number): void }, argument: number): number;
  cancel(timer: number): void;
}

/** Creates a secure transport over a layer. */
export type SecureTransportFactory = (layer: EventLayer, timers: TransportTimers) => SecureTransport;

/** The further events of a secure transport. */
export interface SecureTransportEvents extends TransportEvents {
  /** A connection that `connect` has started is established, and its handshake is complete. */
  connected(slot: Slot): void;
  /** The handshake of a connection that was accepted is complete. What was received follows. */
  secured(slot: Slot): void;
  /**
   * The session is broken, or its handshake has failed. Nothing more is received, and no more output is sent. An alert may be on its way to the peer:
   * `finish`, and time for it to arrive, before the connection is dropped. The only later events are `flushed` and `closed`.
   */
  sessionFailed(slot: Slot, reason: ConnectionError): void;
  /**
   * The memory that the transport holds for the connection has grown by this many bytes, or shrunk if it is less than 0: of records that have
   * arrived in part, and of output that waits for the handshake. None is left when `closed` is called. Also called within a command, so it must
   * not give commands.
   */
  outputHeld?(slot: Slot, bytes: number): void;
}

/**
 * A transport over another one, for the connections of listeners and clients that ask for it. It receives the events of the transport below for these
 * connections, and reports what they mean to the code above. `closed` needs no translation: the secure transport gets it first, then the code above.
 */
export interface SecureTransport extends Transport, TransportEvents {
  /** Sets the receiver of events. Call it once, before anything else. */
  start(above: SecureTransportEvents): void;
  /** The protocol that was chosen by ALPN (RFC 7301); undefined if none was, or the handshake is not complete. */
  protocol(slot: Slot): string | undefined;
  /** A client has connected: its session starts. */
  accepted(slot: Slot): void;
  /** `connect` has been called: commands for the slot may follow. */
  connecting(slot: Slot): void;
  /** The connection that `connect` has started is established: its handshake starts. */
  connected(slot: Slot): void;
  /** The connection is gone, and its session with it. */
  closed(slot: Slot): void;
  /** A turn has started, also for the code above: events may be reported. */
  beginTurn(): void;
  /** All that has arrived has been reported. Work that is put off for the sake of other connections is done now, as much of it as a turn may take. */
  endInput(): void;
  /** The turn is about to end: output that is to be sent with it is passed down. */
  endTurn(): void;
}
