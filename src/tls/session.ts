// What a TLS engine is to the transport: one session for each connection, which turns records into bytes and bytes into records (RFC 8446 §5).
// The transport finds the borders of records and keeps those that have come in part; what is in them is for the session.

import type { ConnectionError } from '../event-layer/event-layer.js';
import type { TlsInfo } from '../event-layer/tls-info.js';

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
  /** The handshake waits for the application: see `whenReady`. Nothing more is to be passed to the session until then. */
  wait: 4,
} as const;
export type Received = (typeof Received)[keyof typeof Received];

/** Takes records that are to be sent at once. They are borrowed for the duration of the call. */
export type SendRecords = (records: Uint8Array) => void;

export interface TlsSession {
  /** The handshake is complete: content may be sent. */
  readonly isOpen: boolean;
  /** What is known once the handshake is complete. */
  readonly info: TlsInfo | undefined;
  /** Why the session is broken; undefined if it is not. */
  readonly failure: ConnectionError | undefined;
  /** Bytes of memory that it takes for a handshake of which the peer has sent a part. Default: none that counts. */
  readonly memory?: number;
  /** Where the content of the last record ends that was received. */
  readonly contentEnd: number;
  /** For a client: starts the handshake. `failure` is set if it cannot be started. */
  start(send: SendRecords): void;
  /**
   * Takes one whole record, header included, or a header alone that no record has, which it refuses: `bytes[start … end-1]`, which are borrowed
   * for the duration of the call.
   * @param plain takes the content, from `at` on: at least `maxContent + 1` bytes, as what is encrypted has its type in it
   */
  receive(bytes: Uint8Array, start: number, end: number, plain: Uint8Array, at: number, send: SendRecords): Received;
  /** After `Received.wait`. @param ready called once, when `resume` may be called */
  whenReady?(ready: () => void): void;
  /** Continues with what `receive` has answered `wait` to. */
  resume?(send: SendRecords): Received;
  /**
   * Called once, when the handshake is complete and its last records have been sent.
   * @returns the session to go on with, which needs less memory; this one is free then. Undefined if it goes on itself
   */
  detach?(): TlsSession | undefined;
  /**
   * Writes `bytes[start … end-1]`, at most `maxContent`, as one record into `output` from `at` on; a record of the session itself may precede it. That
   * is at most `maxOverhead` bytes longer in all.
   * @returns where that ends; `at` if it cannot be sealed, and `failure` is set
   */
  seal(bytes: Uint8Array, start: number, end: number, output: Uint8Array, at: number): number;
  /** Writes the record that says that no more is sent (close_notify). @returns where that ends */
  sealEnd(output: Uint8Array, at: number): number;
  /** Gives back what the engine holds for the session. */
  free(): void;
}

/** What is the same for all sessions of a listener, or of a client: certificates, protocols, keys. */
export interface TlsEngine {
  /** The session of a server. */
  accept(): TlsSession;
  /** The session of a client. */
  connect(): TlsSession;
}
