import { departuresPerTurn } from '../departures.js';

/**
 * How the layer is set up. Tests make the sizes small; they are powers of two, except `directDescriptors`, `acceptsPerTurn` and `closeTimeout`. The
 * bench switches off one of the others at a time, to see what each is worth.
 */
export interface UringSettings {
  submissionEntries: number;
  completionEntries: number;
  /** Buffers that the kernel receives into, and bytes of each. */
  bufferCount: number;
  bufferSize: number;
  /**
   * Bytes after which a receive ends, with the buffer in which it reaches them, and is submitted again if more may come; 0 is no limit. So a turn brings
   * no more of one connection, and while reading is paused the kernel keeps what else the peer has sent. Without effect before Linux 6.17.
   */
  receiveLimit: number;
  /** Connections in the ring's own table, at most; 0 is to do without. */
  directDescriptors: number;
  /** Connections of a listener that one turn accepts, at most 64. */
  acceptsPerTurn: number;
  /** How long `close` waits for operations that have been cancelled, in milliseconds. */
  closeTimeout: number;
  /** The ring's descriptor is looked up once, and not by each system call. */
  registeredRing: boolean;
  /** Sends that were taken whole have no completion. */
  silentSends: boolean;
  /** What a turn sends goes in with the system call that waits. */
  sendsInWait: boolean;
}

/**
 * The buffers where receives have no limit. The kernel fills 33 of them or more for one connection before reading can be paused: larger ones make large
 * bodies cheaper, but more of what one client sends is then in memory while nothing reads it.
 */
export const buffersWithoutLimit = { bufferCount: 1024, bufferSize: 4096 };

export const usualSettings: UringSettings = {
  submissionEntries: 4096,
  completionEntries: 16_384,
  bufferCount: 256,
  bufferSize: 16_384,
  receiveLimit: 32_768,
  directDescriptors: 65_536,
  acceptsPerTurn: departuresPerTurn,
  closeTimeout: 1000,
  registeredRing: true,
  silentSends: true,
  sendsInWait: true,
};
