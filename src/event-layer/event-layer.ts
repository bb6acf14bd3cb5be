// The contract between the connections above and the system below: what an event layer is told, and what it tells.
// Read simulated/ next, which is this contract without an operating system; portable/ is the same over node:net.
// test/contract/ runs every scenario on every layer.
//
// A connection is a small integer, its slot. Slots are dense and are used again, the one left last first: after `closed(slot)`
// has returned, the layer tells nothing more of that tenant, the caller must tell the layer nothing more of it, and the slot may
// come up again in `accepted` or from `connect`. A layer keeps late events from a slot's next tenant by itself. A command for
// a slot that has no tenant throws; between the moment when a connection breaks and the call of `closed`, commands do nothing.
//
// A turn is one round: `beginTurn`, then what has happened, one call each, then `endTurn`; after it the layer hands all
// output committed meanwhile to the kernel, one send for each connection however many writes it made. Every call to
// `EventSink` is made inside a turn, and never from within a call to the layer. Commands may be given at any time; outside a
// turn the layer makes one soon by itself.

import type { Slot, Transport } from './transport.js';

export type { Slot, Transport } from './transport.js';

/** A listening socket, as a small integer; never used again in the life of the layer. */
export type ListenerId = number;

/** Where to listen or to connect to: TCP, or a Unix-domain socket's path. */
export type Address = { hostname: string; port: number } | { path: string };

/** What is asked of the sockets of connections. Nothing to Unix-domain sockets. */
export interface SocketOptions {
  /**
   * After so many milliseconds in which nothing has come the system probes whether the peer is there (SO_KEEPALIVE). A connection whose peer
   * answers no probe breaks with `ETIMEDOUT`. 0 is never. Default 0.
   */
  keepAlive?: number | undefined;
  /** How many bytes of output the system holds at most (SO_SNDBUF). A layer that cannot set it fails. Default: the system's choice. */
  sendBufferSize?: number | undefined;
}

export interface ListenOptions extends SocketOptions {
  address: Address;
  /** How many connections the kernel may hold that have not been accepted. */
  backlog: number;
  /** Whether other sockets may listen on the same port, the kernel sharing connections out between them (SO_REUSEPORT, socket(7)). Default false. */
  reusePort?: boolean | undefined;
  /**
   * Called, outside of any turn, when the listener should be closed for a reason of the process: it is a worker of `node:cluster` that
   * disconnects, which closes all servers of `node:http` and `node:net`. The layer may accept nothing more by then.
   */
  onDisconnect?: (() => void) | undefined;
}

/** What an event layer tells. No method may throw: an exception here is a defect of the caller, and ends the process. */
export interface EventSink {
  /** @param looked whether the layer has looked at all connections since the last turn for which it said so. Default true */
  beginTurn(looked?: boolean): void;
  /** A client has connected. Reading is on. */
  accepted(slot: Slot, listener: ListenerId): void;
  /** A connection that was asked for by `connect` is there. Reading is on. One that fails is told by `closed` alone. */
  connected(slot: Slot): void;
  /**
   * Bytes from the peer: `buffer[start … end-1]`, at least one and at most 64 KiB. They are lent for the duration of the
   * call; afterwards the memory holds something else.
   */
  received(slot: Slot, buffer: Uint8Array, start: number, end: number): void;
  /** The peer has sent its FIN: nothing more is received. Output may still be sent. */
  ended(slot: Slot): void;
  /** Output that was at or above the high-water mark has fallen to the low-water mark or below. */
  drained(slot: Slot): void;
  /** All output is with the kernel. Told once for each call of `notifyFlushed`, in a later turn. */
  flushed(slot: Slot): void;
  /**
   * The connection is gone, and whatever output it still had with it. Told exactly once for each slot.
   * @param reason undefined if both sides had ended or `reset` or `close` was called here; else an error with a `code`
   *   (`ECONNRESET`, `EPIPE`, `ECONNREFUSED`, …)
   */
  closed(slot: Slot, reason: ConnectionError | undefined): void;
  /**
   * Output of the connection that the kernel has not taken by the end of a turn takes so many bytes more, or fewer if it is less than 0. By the time
   * that `closed` is told it takes none. Unlike the others this is also told from within a call to the layer: it must call nothing back. Who does
   * not count memory does without.
   */
  outputHeld?(slot: Slot, bytes: number): void;
  /** Accepting has failed in a way that the layer will try again (descriptors have run out, say). Told once for each such spell. */
  acceptFailed(listener: ListenerId, error: Error): void;
  /**
   * @param due deadlines up to this time of `now()` may be enforced, and no later ones: all that had arrived by then has been told, and
   *   output has been sent as far as peers had taken what was sent before. A turn that was asked for by `wakeAt` is not over before it has
   *   been told a time that is not earlier. Default: the time at which the turn began
   */
  endTurn(due?: number): void;
}

export interface EventLayer extends Transport {
  /** `uring`, `epoll`, `portable` or `simulated`. */
  readonly name: string;

  /** Sets who is told. To be called once, before anything else. */
  start(sink: EventSink): void;

  /** Milliseconds, monotonic, with fractions. */
  now(): number;
  /** Milliseconds since the Unix epoch, for the Date field of a response. */
  date(): number;
  /** Asks for a turn at that time of `now()`, replacing the time asked for before; `Infinity` for none. Holds the process open; not after `close`. */
  wakeAt(time: number): void;
  /** Asks for a turn as soon as possible. */
  requestTurn(): void;

  /**
   * Starts to listen.
   * @returns the listener, and the address it has got: the hostname as given, and the real port in place of 0
   * @throws (rejects) with the system's error (`EADDRINUSE`, `EACCES`, …)
   */
  listen(options: ListenOptions): Promise<{ listener: ListenerId; address: Address }>;
  /**
   * Stops accepting. Connections that the kernel has completed by then are still accepted: closing the socket would reset them.
   * Connections that are open stay. Resolves when the address is free again.
   */
  unlisten(listener: ListenerId): Promise<void>;
  /**
   * Resolves when everything that had arrived by the time of the call has been reported: input, and the ends of connections. More may
   * be reported meanwhile. A caller that ends idle connections waits for it first, so that no request is left unread.
   */
  catchUp(): Promise<void>;

  /**
   * Starts to connect.
   * @param localAddress the IP address of this machine that the connection comes from; the system chooses the port. Default: the
   *   system's choice. Nothing to a Unix-domain socket
   * @returns the slot, of which `connected` or `closed` will be told in a later turn: `closed` with `EADDRNOTAVAIL` if the local
   *   address is not this machine's
   */
  connect(address: Address, localAddress?: string, options?: SocketOptions): Slot;

  /**
   * Ends every listener and resets every connection, telling `closed` of each. Resolves when no handle is left. The layer is of no
   * use afterwards: `listen` and `connect` fail with `ERR_CLOSED`, wake-ups do not come.
   */
  close(): Promise<void>;
}

/** From this many bytes of queued output on, a connection is flooded. */
export const highWaterMark = 64 * 1024;
/** At this many bytes or fewer it is no longer. */
export const lowWaterMark = 16 * 1024;
/** The most that one `received` lends and one `reserve` gives. */
export const pieceSize = 64 * 1024;
/** The most that is told of one connection's input until the layer has looked at all connections again: one piece, and what was left of the one before. */
export const inputPerTurn = 2 * pieceSize;
/** Events are told for no longer than so many milliseconds in a turn; the others follow in the next. A single one may take longer. */
export const turnTime = 10;

/** Why a connection ended. `code` is the system's name for it (errno(3)) or one of this project's own. */
export class ConnectionError extends Error {
  override readonly name = 'ConnectionError';
  /** The system's name for it, such as `ECONNRESET` (errno(3)), or one of the codes in `docs/errors.md`. */
  readonly code: string;

  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** An address as people write it, for messages. */
export function formatAddress(address: Address): string {
  if ('path' in address) return address.path;
  const { hostname, port } = address;
  return hostname.includes(':') ? `[${hostname}]:${port}` : `${hostname}:${port}`;
}
