// What the bench and a process of the crowd say to one another, over the channel that Node gives a child process.

/** What a client does once it is connected. */
export const kinds = [
  /** Nothing. */
  'idle',
  /** Sends half a request head. */
  'half',
  /** Has a request answered, and keeps the connection. */
  'kept',
  /** Reads an event stream, and notes the delay of each message. */
  'stream',
  /** Sends a request head at one byte a second, again and again. */
  'drip',
  /** Asks for 4 MiB and reads 4 KiB a second. */
  'sip',
] as const;
export type Kind = (typeof kinds)[number];

export type Order =
  /** Opens so many more clients. Answered when each has come as far as its kind says: connected, greeted, answered. */
  | { order: 'open'; kind: Kind; port: number; count: number; localAddress: string }
  /** Has the clients that do something every second do so every five seconds, until `resume`. */
  | { order: 'pause' }
  /** Has them do it every second again. */
  | { order: 'resume' }
  /** Counts anew from now on. */
  | { order: 'reset' }
  /** Says what has been counted. */
  | { order: 'report' }
  /** All clients leave, by reset, and nothing is remembered of them. Answered when they have. */
  | { order: 'leave' };

export interface Report {
  /** Clients that are there. */
  open: number;
  /** What happened to those that are not, or to their requests, by message. */
  failures: Record<string, number>;
  /** How often the server has ended a slow sender's connection in the middle of a head. It came again. */
  sentAway: number;
  /** Messages of event streams. */
  messages: number;
  /** Their delays: how many there were in each bucket of the histogram. */
  delays: [bucket: number, count: number][];
  /** Which event layer the crowd runs on. */
  eventLayer: string;
}
