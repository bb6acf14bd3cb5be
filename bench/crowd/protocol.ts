// What the bench and a process of the crowd send each other, over Node's channel to a child process.

export type Kind =
  /** Connects, and sends nothing. */
  | 'idle'
  /** Sends half a request head. */
  | 'half'
  /** Has one request answered, and keeps the connection. */
  | 'kept'
  /** Reads an event stream, and notes the delay of each message. */
  | 'events'
  /** Opens a WebSocket, and sends nothing. */
  | 'socket'
  /** Sends a request head at one byte a second, again and again. */
  | 'drip'
  /** Asks for 4 MiB and reads 4 KiB a second. */
  | 'sip';

/** Of TLS; undefined is none. */
export type TlsVersion = 'TLSv1.2' | 'TLSv1.3';

export type Order =
  /** Opens so many more clients. Answered when each has connected and done what its kind does first. */
  | {
      order: 'open';
      kind: Kind;
      port: number;
      count: number;
      localAddress: string;
      maxVersion?: TlsVersion | undefined;
    }
  /** Sets all counts to zero. */
  | { order: 'reset' }
  /** Reports the counts. */
  | { order: 'report' };

export interface Report {
  /** Clients that are connected. */
  open: number;
  /** Why clients are not connected any more, and how many, by message. */
  failures: Record<string, number>;
  /** How often the server closed a slow sender's connection within a head. Such a client connects again. */
  sentAway: number;
  /** Messages of event streams. */
  messages: number;
  /** Their delays: how many fell into each bucket of the histogram. */
  delays: [bucket: number, count: number][];
}
