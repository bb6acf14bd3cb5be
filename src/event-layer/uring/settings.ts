import { departuresPerTurn } from '../departures.js';

/**
 * How the layer is set up. Tests make the sizes small, all of them powers of two but for `directDescriptors`, `acceptsPerTurn` and `closeTimeout`; the bench does without one of
 * the others at a time, to see what each is worth.
 */
export interface UringSettings {
  submissionEntries: number;
  completionEntries: number;
  /**
   * Buffers that the kernel receives into, and bytes of each. In one turn it fills a number of them for one connection, before reading can be
   * paused: larger ones make large bodies cheaper, but let a client have so much more in memory that nobody reads.
   */
  bufferCount: number;
  bufferSize: number;
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

export const usualSettings: UringSettings = {
  submissionEntries: 4096,
  completionEntries: 16_384,
  bufferCount: 1024,
  bufferSize: 4096,
  directDescriptors: 65_536,
  acceptsPerTurn: departuresPerTurn,
  closeTimeout: 1000,
  registeredRing: true,
  silentSends: true,
  sendsInWait: true,
};
