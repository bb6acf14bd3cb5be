// What a TLS engine is to the transport: one session for each connection, which turns records into bytes and bytes into records (RFC 8446 §5).
// The transport finds the borders of records and keeps those that have come in part; what is in them is for the session.

import type { ConnectionError } from '../event-layer/event-layer.js';

/** Bytes of a record's header: type, version, length. */
export const headerBytes = 5;
/** The most bytes of content of a record (RFC 8446 §5.1). */
export const maxContent = 16_384;
/** By how many bytes encryption may lengthen the content of a record (RFC 8446 §5.2). */
export const maxExpansion = 256;
/** By how many bytes a record may be longer than its content. */
export const maxOverhead = headerBytes + maxExpansion;
/** The first byte of the version in every header, whichever version was negotiated (RFC 8446 §5.1). */
export const majorVersion = 3;

/** What a record was. */
export const Received = {
  /** Nothing for the user: part of a handshake, an alert that is only a warning, new keys. */
  nothing: 0,
  /** Content: see `contentEnd`. */
  content: 1,
  /** The peer has said that it sends no more (close_notify). */
  end: 2,
  /** The session is broken: an alert was sent, or received. No more can be received or sent. See `failure`. */
  failure: 3,
} as const;
export type Received = (typeof Received)[keyof typeof Received];

export interface TlsSession {
  /** The handshake is complete: content may be sent. */
  readonly isOpen: boolean;
  /** The protocol that was chosen by ALPN (RFC 7301). */
  readonly protocol: string | undefined;
  /** Why the session is broken; undefined if it is not. */
  readonly failure: ConnectionError | undefined;
  /** Where the content of the last record ends that was received. */
  readonly contentEnd: number;
  /** For a client: starts the handshake. @param send takes records that are to be sent */
  start(send: (records: Uint8Array) => void): void;
  /**
   * Takes one whole record, header included, or a header alone that no record has, which it refuses: `bytes[start … end-1]`, which are borrowed
   * for the duration of the call.
   * @param plain takes the content, from `at` on: at least `maxContent + 1` bytes, as what is encrypted has its type in it
   * @param send takes records that are to be sent at once
   */
  receive(
    bytes: Uint8Array,
    start: number,
    end: number,
    plain: Uint8Array,
    at: number,
    send: (records: Uint8Array) => void,
  ): Received;
  /**
   * Writes `bytes[start … end-1]`, at most `maxContent`, as one record into `output` from `at` on; a record of the session itself may precede it. That
   * is at most `maxOverhead` bytes longer in all.
   * @returns where that ends
   */
  seal(bytes: Uint8Array, start: number, end: number, output: Uint8Array, at: number): number;
  /** Writes the record that says that no more is sent (close_notify). @returns where that ends */
  sealEnd(output: Uint8Array, at: number): number;
  /** Gives back what the engine holds for the session. */
  free(): void;
}

/** What is the same for all sessions of a listener, or of a client: certificates, protocols, keys. */
export interface TlsEngine {
  accept(): TlsSession;
  connect(): TlsSession;
}
