// What a case of the corpus of records is: what a peer sends when the handshake is complete, and what comes of it.

import type { Direction, SuiteName } from './wire.js';

/** What a peer writes with. */
export interface Wire {
  readonly suite: SuiteName;
  /** Its own keys. */
  readonly own: Direction;
  /** The keys of the endpoint that it sends to, which it has to read with. Not the object that it reads with. */
  readonly other: Direction;
}

/** Writes something: mostly a record. */
export type Step = (wire: Wire) => Uint8Array;

/**
 * What the bytes lead to: the session stays open; it ends with close_notify; the endpoint sends a fatal alert with this number; the endpoint has received
 * one; or it is cut: the peer ends the connection behind them without close_notify.
 */
export type Ends = 'open' | 'end' | 'cut' | { alert: number } | { received: number };

export interface Case {
  name: string;
  /** Of the RFC that asks for it: `RFC 8446 §5.1`. */
  section: string;
  suite: SuiteName;
  /** Who sends. */
  peer: 'client' | 'server';
  steps: readonly Step[];
  /** All content that the endpoint takes, in Latin-1. */
  hears: string;
  ends: Ends;
  /** How often the peer asks for new keys of the endpoint, before the last content. Any number of requests in a row may be answered once. */
  requests: number;
  /** Sequence numbers of the first records, of the peer and of the endpoint. */
  sequences: readonly [number, number];
  /** KeyUpdates that the endpoint sends by itself. */
  renewals: number;
  /** Those of them that ask the peer for new keys. */
  asks: number;
}

/** So many bytes that sending them one by one is too slow. */
export function isBulky(c: Case): boolean {
  return c.hears.length > 2000 || c.name.includes('bulky');
}
