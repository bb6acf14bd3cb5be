// What connections are read from and written to, by slot. Every event layer is a transport. TLS is one over another: what is written to it leaves
// as records, and what it tells of its connections is what the records contain.

import type { OutputMemory } from '../util/output-memory.js';

/** A connection, as a small integer. */
export type Slot = number;

export interface Transport {
  /**
   * Memory to write output into. It may be another one after each `reserve`, so it is looked up anew each time.
   * `reserve` and `commit` belong together: nothing else is asked of the layer between the two.
   */
  readonly output: OutputMemory;
  /** Makes room for output. @param bytes at most 64 KiB @returns the offset in `output` from which on that many bytes may be written */
  reserve(slot: Slot, bytes: number): number;
  /**
   * Queues what was written from the reserved offset up to `end` (exclusive) as output of the connection, to be sent at the end of
   * the turn. Not after `finish`. When the connection has broken or was reset, and `closed` is yet to be told, output goes nowhere
   * and counts as queued all the same: whoever goes on writing is flooded, and does not keep `closed` from being told.
   */
  commit(slot: Slot, end: number): void;
  /** Bytes of output that the kernel has not taken yet. */
  queued(slot: Slot): number;
  /** Asks to be told once, by `flushed`, when nothing is queued (any more). */
  notifyFlushed(slot: Slot): void;

  /**
   * No more `received` until reading is resumed, but for bytes that are on their way. What the kernel holds back slows the peer.
   * Nor is the peer's FIN told until then, unless the connection closes with it; and its reset may remain unknown until reading
   * is resumed or output is sent.
   */
  pauseReading(slot: Slot): void;
  resumeReading(slot: Slot): void;
  /** Sends FIN after all queued output. Output must not be written afterwards. The connection closes when the peer has ended, too. */
  finish(slot: Slot): void;
  /** Ends the connection at once with RST; output that the kernel has not taken is dropped. Only `closed` is told afterwards. */
  reset(slot: Slot): void;
  /**
   * Lets go of the connection, as close(2) does: output that the kernel has taken is delivered, with FIN behind it, for as long as the
   * kernel cares to try; output that it has not taken is dropped. Only `closed` is told afterwards.
   */
  abandon(slot: Slot): void;

  /**
   * The peer's address, for logs and limits: `127.0.0.1:5678` (also where IPv6 shows it as `::ffff:127.0.0.1`), `[::1]:5678`.
   * The empty string for a Unix-domain socket, and where it is not known: not connected yet, or broken meanwhile.
   */
  peer(slot: Slot): string;
}

/** What a transport tells of one connection; see `EventSink`, whose methods of the same names these are. */
export interface TransportEvents {
  received(slot: Slot, buffer: Uint8Array, start: number, end: number): void;
  ended(slot: Slot): void;
  drained(slot: Slot): void;
  flushed(slot: Slot): void;
}

/**
 * A transport over another one, for the connections of listeners that ask for it. It is told what the transport below tells of these connections, and
 * tells those above what that means to them. `closed` needs no translation: both are told, this one first.
 */
export interface SecureTransport extends Transport, TransportEvents {
  /** Sets who is told. To be called once, before anything else. */
  start(above: TransportEvents): void;
  /** A connection has been accepted: its session begins. */
  accepted(slot: Slot): void;
  /** The connection is gone, and its session with it. */
  closed(slot: Slot): void;
  /** The turn is about to end: whatever is to leave with it is handed down. */
  endTurn(): void;
}
