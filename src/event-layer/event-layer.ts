// The contract between the connections above and the system below: the commands and the events of an event layer.
// Read simulated/ next, which is this contract without an operating system; portable/ is the same over node:net.
// test/contract/ runs every scenario on every layer.
//
// A connection is a small integer, its slot. Slots are dense and are reused, the last one freed first. After `closed(slot)` has
// returned, the layer reports nothing more about that connection, the caller must give no more commands for it, and `accepted` or
// `connect` may give the slot to another one. The layer itself keeps late events of a connection from the next one with its slot. A
// command for a slot without a connection throws. Between the moment when a connection breaks and the call of `closed`, commands do nothing.
//
// A turn is one round: `beginTurn`, then one call for each event, then `endTurn`. Afterwards the layer passes all output committed
// meanwhile to the kernel, one send for each connection however many writes it made. Every call to `EventSink` is made inside a
// turn, and never within a call to the layer. Commands may be given at any time; outside a turn the layer starts one soon.

import type { SocketSecurity } from './socket-security.js';
import type { Slot, Transport } from './transport.js';

export type { Slot, Transport } from './transport.js';

/** A listening socket, as a small integer; never used again during the life of the layer. */
export type ListenerId = number;

/** Where to listen or to connect to: TCP, or a Unix-domain socket's path. */
export type Address = { hostname: string; port: number } | { path: string };

/** Options of the sockets of connections. Unix-domain sockets ignore them. */
export interface SocketOptions {
  /**
   * After this many milliseconds without input the system probes whether the peer is there (SO_KEEPALIVE). A connection whose peer
   * answers no probe breaks with `ETIMEDOUT`. 0 is never. Default 0.
   */
  keepAlive?: number | undefined;
  /** How many bytes of output the system holds at most (SO_SNDBUF). A layer that cannot set it fails. Default: the system's choice. */
  sendBufferSize?: number | undefined;
  /** @internal Secures the sockets: only for layers that can (`securesSockets`). The events and the commands are those of the plain bytes. */
  security?: SocketSecurity | undefined;
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

/** The receiver of an event layer's events. No method may throw: an exception is a defect of the receiver, and ends the process. */
export interface EventSink {
  /** A turn starts. @param looked whether the layer has looked at all connections since the last turn with true. Default true */
  beginTurn(looked?: boolean): void;
  /** A client has connected. Reading is on. */
  accepted(slot: Slot, listener: ListenerId): void;
  /** A connection that `connect` has started is established. Reading is on. For one that fails, only `closed` is called. */
  connected(slot: Slot): void;
  /** The TLS handshake of a connection that was accepted with `ListenOptions.security` is complete. What was received follows. */
  secured?(slot: Slot): void;
  /**
   * Bytes from the peer: `buffer[start … end-1]`, at least one and at most 64 KiB. They are borrowed for the duration of the
   * call; afterwards the memory is reused.
   */
  received(slot: Slot, buffer: Uint8Array, start: number, end: number): void;
  /** The peer has sent its FIN: nothing more is received. Output may still be sent. */
  ended(slot: Slot): void;
  /** Output that was at or above the high-water mark has fallen to the low-water mark or below. */
  drained(slot: Slot): void;
  /** All output is with the kernel. Called once for each call of `notifyFlushed`, in a later turn. */
  flushed(slot: Slot): void;
  /**
   * The connection is gone, with its unsent output. Called exactly once for each slot, as the last event.
   * @param reason undefined if both sides had ended or `reset` or `close` was called here; else an error with a `code`
   *   (`ECONNRESET`, `EPIPE`, `ECONNREFUSED`, …)
   */
  closed(slot: Slot, reason: ConnectionError | undefined): void;
  /**
   * The memory of output that the kernel has not taken by the end of a turn has grown by this many bytes, or shrunk if it is less than 0. When
   * `closed` is called it is none. Unlike the others this is also called within a call to the layer, so it must call nothing of the layer. It is
   * for receivers that count memory.
   */
  outputHeld?(slot: Slot, bytes: number): void;
  /** Accepting has failed in a way that the layer will try again (descriptors have run out, say). Called once until accepting works again. */
  acceptFailed(listener: ListenerId, error: Error): void;
  /**
   * @param due deadlines up to this time of `now()` may be enforced, and no later ones: all input that had arrived by then has been reported, and
   *   output has been sent as far as peers had taken earlier output. A turn that `wakeAt` has asked for is not over before this is called
   *   with that time or a later one. Default: the time at which the turn started
   */
  endTurn(due?: number): void;
}

export interface EventLayer extends Transport {
  /** `uring`, `epoll`, `portable` or `simulated`. */
  readonly name: string;
  /** Whether it takes `SocketOptions.security`, and so needs no secure transport above it. */
  readonly securesSockets?: boolean;

  /** Sets the receiver of events. Call it once, before anything else. */
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
   * @returns the listener, and its address: the hostname as given, and the real port in place of 0
   * @throws (rejects) with the system's error (`EADDRINUSE`, `EACCES`, …)
   */
  listen(options: ListenOptions): Promise<{ listener: ListenerId; address: Address }>;
  /**
   * Stops accepting. Connections that the kernel has completed by then are still accepted: closing the socket would reset them.
   * Connections that are open stay. Resolves when the address is free again.
   */
  unlisten(listener: ListenerId): Promise<void>;
  /** Whether the listener holds the process open, while it has no connections. It does at first. */
  setReferenced(listener: ListenerId, isReferenced: boolean): void;
  /**
   * Resolves when everything that had arrived by the time of the call has been reported: input, and the ends of connections. More may
   * be reported meanwhile. A caller that ends idle connections waits for it first, so that no request is left unread.
   */
  catchUp(): Promise<void>;

  /**
   * Starts to connect.
   * @param localAddress the IP address of this machine that the connection comes from; the system chooses the port. Default: the
   *   system's choice. Unix-domain sockets ignore it
   * @returns the slot, for which `connected` or `closed` is called in a later turn: `closed` with `EADDRNOTAVAIL` if the local
   *   address is not this machine's
   */
  connect(address: Address, localAddress?: string, options?: SocketOptions): Slot;

  /**
   * Ends every listener and resets every connection, calling `closed` for each. Resolves when no handle is left. Afterwards
   * `listen` and `connect` fail with `ERR_CLOSED`, and there are no turns.
   */
  close(): Promise<void>;
}

/** From this many bytes of queued output on, a connection is flooded. */
export const highWaterMark = 64 * 1024;
/** At this many bytes or fewer it no longer is. */
export const lowWaterMark = 16 * 1024;
/** The most bytes of one `received` and of one `reserve`. */
export const pieceSize = 64 * 1024;
/** The most bytes of one connection's input that are delivered until the layer has looked at all connections again: one piece, and the rest of the one before. */
export const inputPerTurn = 2 * pieceSize;
/** A turn delivers events for at most this many milliseconds; the others follow in the next turn. A single one may take longer. */
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
