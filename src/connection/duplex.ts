// What a reader and a writer work on: a byte stream in each direction. A connection is one. A stream of a multiplexed protocol such as HTTP/2 is
// another: there, a thread also parks while the stream's flow-control window is closed.

import { type ConnectionError, highWaterMark, type Slot, type Transport } from '../event-layer/event-layer.js';
import type { Scheduler } from '../threads/scheduler.js';
import type { OutputMemory } from '../util/output-memory.js';
import type { BufferedBytes } from './buffered-bytes.js';

/** Larger writes are split into pieces of this many bytes, so that the queue exceeds its limit by at most one piece. */
export const pieceBytes = 16 * 1024;
/** The same while the limit on memory is exceeded, because very many connections may each have a piece queued. */
const smallPieceBytes = 1024;

export interface Duplex {
  readonly scheduler: Scheduler;
  /** Counts the memory that it takes. */
  readonly buffers: BufferedBytes;
  /** Nothing can be received or sent. */
  readonly closed: boolean;
  /** This side has ended: nothing can be written. */
  readonly finished: boolean;

  /** How many bytes may be written now in one piece without parking. 0: flooded. `Infinity` when closed: a write then fails instead of parking. */
  readonly writable: number;
  /** Bytes of output that are queued. */
  readonly queued: number;
  /** The least rate at which the peer must take output once the writer's `timeout` has passed, in bytes per second; 0 for none. */
  readonly writeRate: number;
  /** The memory that `reserve` returns offsets into. `reserve` may replace it, so read it afterwards. */
  readonly output: OutputMemory;
  /** See `Transport.reserve`. @throws {ConnectionError} if nothing can be written */
  reserve(bytes: number): number;
  /** See `Transport.commit`. */
  commit(end: number): void;
  /** See `Transport.push`. */
  push?(): void;
  /** See `Transport.sendNow`. */
  sendNow?(bytes: Uint8Array, start: number, end: number): number;
  /** Requests that the writer is woken when more may be written. */
  notifyWritable(): void;
  /** Requests that the writer is woken when all output has left. */
  notifyFlushed(): void;
  /** Ends this side after all output. */
  finish(): void;

  /** Stops receiving until `resumeReading`. */
  pauseReading(): void;
  resumeReading(): void;

  /** The deadline of the reader or of the writer has changed. */
  updateDeadline(): void;
  /** Creates an error that the peer has caused, and remembers it. */
  recordFault(code: string, message: string, cause?: ConnectionError): ConnectionError;
  /** Creates the error for an operation on a closed connection. */
  closedError(): ConnectionError;
}

/** What is sent at once is bounded by `queuedBytes` as well: what a secure transport has sealed, and the kernel has not taken, is queued. */
export function sendNow(
  { transport, queuedBytes }: { readonly transport: Transport; readonly queuedBytes: number },
  slot: Slot,
  bytes: Uint8Array,
  start: number,
  end: number,
): number {
  if (transport.tls !== undefined && queuedBytes < highWaterMark) return 0;
  return transport.sendNow?.(slot, bytes, start, end) ?? 0;
}

/**
 * The `writable` of a connection that is open. At least a whole piece while less than the limit is queued, so that writes near the limit are not cut
 * into small pieces.
 * @param queuedBytes the limit; 1 while the limit on memory is reached
 */
export function writableBytes(queued: number, queuedBytes: number, buffers: BufferedBytes): number {
  if (queued > 0 && queued >= queuedBytes) return 0;
  const isShort = queuedBytes === 1 && buffers.isExceeded;
  return Math.max(queuedBytes - queued, isShort ? smallPieceBytes : pieceBytes);
}
