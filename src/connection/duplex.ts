// What a reader and a writer work on: bytes in both directions, each with its own end. A connection is one. A stream of a protocol that carries
// many of them on one connection is another, with flow control of its own: there, too, a thread parks until the peer takes more.

import type { ConnectionError } from '../event-layer/event-layer.js';
import type { Scheduler } from '../threads/scheduler.js';
import type { OutputMemory } from '../util/output-memory.js';
import type { BufferedBytes } from './buffered-bytes.js';

/** Larger writes go out in pieces of this many bytes, so that no piece exceeds what may be queued by more. */
export const pieceBytes = 16 * 1024;
/** The same while connections take more memory than they may: there may be very many of which each has a piece queued. */
export const smallPieceBytes = 1024;

export interface Duplex {
  readonly scheduler: Scheduler;
  /** Where the memory that it takes is counted. */
  readonly buffers: BufferedBytes;
  /** Nothing can be received or sent any more. */
  readonly closed: boolean;
  /** Our side has ended: nothing can be written any more. */
  readonly finished: boolean;

  /** How many bytes may be written now in one piece without parking. 0: it is flooded. `Infinity` when it is closed: a write fails, and does not wait. */
  readonly writable: number;
  /** Bytes of output that have not left yet. */
  readonly queued: number;
  /** How many bytes a second a peer must take, once its writer's `timeout` has passed, for a write to go on waiting for it; 0 is any. */
  readonly writeRate: number;
  /** The memory that `reserve` gives offsets into; to be looked up after it. */
  readonly output: OutputMemory;
  /** See `Transport.reserve`. @throws {ConnectionError} if nothing can be written any more */
  reserve(bytes: number): number;
  /** See `Transport.commit`. */
  commit(end: number): void;
  /** Asks for its writer to be woken when more may be written. */
  notifyWritable(): void;
  /** Asks for its writer to be woken when all output has left. */
  notifyFlushed(): void;
  /** Ends our side, behind all output. */
  finish(): void;

  /** Nothing more is to be received, until `resumeReading`. */
  pauseReading(): void;
  resumeReading(): void;

  /** The reader or the writer waits for another point in time than before. */
  updateDeadline(): void;
  /** Makes the error to throw when the peer is the cause. */
  fail(code: string, message: string, cause?: ConnectionError): ConnectionError;
  /** Makes the error that says why nothing can be done any more. */
  closedError(): ConnectionError;
}
