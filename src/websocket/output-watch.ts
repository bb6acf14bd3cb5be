// Resets clients that do not take what is sent to them, whatever they send themselves. A thread that is parked in `send` watches its client by itself. This is for
// output that no thread waits for: of handlers, of topics, and of threads that do something else.
//
// A socket that is sent something is looked at a little later. Nearly always everything has left by then, so that sending costs no more than a look at a bit, and a
// socket that is idle is not in here.

import type { Owner } from '../connection/network.js';
import type { TimerTarget } from '../threads/timers.js';
import { Pace, type PaceLimit } from '../util/pace.js';

/** A socket, as it is watched. */
export interface WatchedSocket {
  /** Bytes of output that have not left. */
  readonly queued: number;
  /** A thread is parked until its peer takes output. It has its own time limit. */
  readonly isAwaited: boolean;
  /** Nothing is queued: `sent` is to be called when that changes. */
  outputLeft(): void;
  /** Something has not left for a while: from now on `sent` is to be called for all output. */
  outputWaits(): void;
  /** It takes nothing, or too little. */
  tooSlow(): void;
}

/** What waits for a client to take it. */
interface Waiting {
  /** Bytes that have been sent since it is watched, and those that were queued then. */
  sent: number;
  readonly pace: Pace;
}

/** There are at least so many looks within the time that a client may take nothing. A client is reset at most two of them later. */
const looks = 8;
/** The longest time between two looks, in milliseconds: sockets that have been sent something, and wait since, are soon not in here any more. */
const longestPause = 1000;

export class OutputWatch implements TimerTarget {
  readonly #owner: Owner;
  readonly #limit: PaceLimit;
  readonly #sockets = new Map<WatchedSocket, Waiting | undefined>();
  /** 0 is none. */
  #timer = 0;

  constructor(owner: Owner) {
    this.#owner = owner;
    this.#limit = { timeout: owner.writeTimeout, rate: owner.writeRate };
  }

  /** How long a client may take nothing, in milliseconds. */
  get timeout(): number {
    return this.#limit.timeout;
  }

  /** Output is about to be queued. */
  sent(socket: WatchedSocket, bytes: number): void {
    const waiting = this.#sockets.get(socket);
    if (waiting !== undefined) waiting.sent += bytes;
    else this.#sockets.set(socket, undefined);
    if (this.#timer === 0) this.#arm();
  }

  /** The socket is closed. */
  forget(socket: WatchedSocket): void {
    if (!this.#sockets.delete(socket) || this.#sockets.size > 0 || this.#timer === 0) return;
    this.#owner.network.scheduler.cancel(this.#timer);
    this.#timer = 0;
  }

  #arm(): void {
    this.#timer = this.#owner.network.scheduler.armIn(Math.min(this.#limit.timeout / looks, longestPause), this, 0);
  }

  timerFired(): void {
    this.#timer = 0;
    const { now } = this.#owner.network.scheduler;
    for (const [socket, waiting] of this.#sockets) {
      const { queued } = socket;
      if (queued === 0) {
        this.#sockets.delete(socket);
        socket.outputLeft();
      } else if (waiting === undefined || socket.isAwaited) {
        this.#sockets.set(socket, { sent: queued, pace: new Pace(this.#limit, now) });
        socket.outputWaits();
      } else {
        waiting.pace.note(this.#limit, now, waiting.sent - queued);
        if (waiting.pace.until <= now) {
          this.#sockets.delete(socket);
          socket.tooSlow();
        }
      }
    }
    if (this.#timer === 0 && this.#sockets.size > 0) this.#arm();
  }
}

const watches = new WeakMap<Owner, OutputWatch>();

/** The watch of a server's sockets; undefined if its clients may take as long as they like. */
export function outputWatchOf(owner: Owner): OutputWatch | undefined {
  if (owner.writeTimeout === Infinity) return undefined;
  let watch = watches.get(owner);
  if (watch === undefined) {
    watch = new OutputWatch(owner);
    watches.set(owner, watch);
  }
  return watch;
}
