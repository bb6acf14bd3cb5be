// What connections are read from and written to, by slot. Every event layer is a transport. A TLS transport is layered on an event layer: the code
// above it reads and writes plain bytes, the layer below it transports records.

import type { OutputMemory } from '../util/output-memory.js';
import type { TlsInfo } from './tls-info.js';

/** A connection, as a small integer. */
export type Slot = number;

export interface Transport {
  /**
   * Memory to write output into. It may be replaced at each `reserve`, so look it up after each.
   * `reserve` and `commit` belong together: nothing else is asked of the layer between the two.
   */
  readonly output: OutputMemory;
  /** Makes room for output. @param bytes at most 64 KiB @returns the offset in `output` from which on that many bytes may be written */
  reserve(slot: Slot, bytes: number): number;
  /**
   * Queues what was written from the reserved offset up to `end` (exclusive) as output of the connection, to be sent at the end of
   * the turn. Not after `finish`. When the connection has broken or was reset and `closed` has not been called yet, output is dropped
   * but counts as queued: a writer that continues is flooded, and does not delay `closed`.
   */
  commit(slot: Slot, end: number): void;
  /**
   * Hands output to the kernel at once, from where it is, so that a large body is not copied to `output` first. Transports that cannot do that lack it.
   * @param bytes `bytes[start … end-1]` are to be sent; they are borrowed for the duration of the call. An array with memory of its own
   * @returns how many the kernel has taken; 0 if it takes none now, or takes earlier output first: the rest goes through `reserve` and `commit`. A secure
   *   transport counts what it has sealed: up to a piece of that may still be queued
   */
  sendNow?(slot: Slot, bytes: Uint8Array, start: number, end: number): number;
  /**
   * Hands the connection's output to the kernel now, instead of at the end of the turn: whether a peer is slow can be seen only then. Events that follow from
   * it are reported later.
   */
  push(slot: Slot): void;
  /** Bytes of output that the kernel has not taken yet. */
  queued(slot: Slot): number;
  /** Asks for one call of `flushed`, when nothing is queued. */
  notifyFlushed(slot: Slot): void;

  /**
   * No more `received` until reading is resumed, except for bytes that are on their way. The kernel's flow control slows the peer.
   * The peer's FIN is not reported until then, unless the connection closes with it. Its reset may remain unknown until reading
   * is resumed or output is sent.
   */
  pauseReading(slot: Slot): void;
  /** Undoes `pauseReading`. */
  resumeReading(slot: Slot): void;
  /** Sends FIN after all queued output. Output must not be written afterwards. The connection closes when the peer has ended, too. */
  finish(slot: Slot): void;
  /** Ends the connection at once with RST; output that the kernel has not taken is dropped. Only `closed` is called afterwards. */
  reset(slot: Slot): void;
  /**
   * Leaves the connection to the kernel, as close(2) does: output that the kernel has taken is delivered, followed by FIN, for as long as the
   * kernel tries; other output is dropped. Only `closed` is called afterwards.
   */
  abandon(slot: Slot): void;

  /**
   * The peer's address, for logs and limits: `127.0.0.1:5678` (also where IPv6 shows it as `::ffff:127.0.0.1`), `[::1]:5678`.
   * The empty string for a Unix-domain socket, and where it is not known: not connected yet, or broken meanwhile.
   */
  peer(slot: Slot): string;
  /** The address of this end of the connection, in the same form; the wildcard address of a listener does not say it. Empty where `peer` is. */
  local(slot: Slot): string;

  /** What is known of the connection's TLS session; undefined if it has none, or its handshake is not complete. Transports that have no TLS lack it. */
  tls?(slot: Slot): TlsInfo | undefined;
}

/** The events of one connection; see `EventSink`, whose methods of the same names these are. */
export interface TransportEvents {
  received(slot: Slot, buffer: Uint8Array, start: number, end: number): void;
  /**
   * @param isCut of a secure transport: the connection has ended, and not the session, which the peer ends by close_notify (RFC 8446 §6.1). What was
   *   sent last may be missing. Default false
   */
  ended(slot: Slot, isCut?: boolean): void;
  drained(slot: Slot): void;
  flushed(slot: Slot): void;
}
