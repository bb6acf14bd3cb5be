// Closing a connection without losing data. This side has sent FIN and discards what still arrives until the peer has ended, too: closing a
// socket with unread input would send RST, which may destroy output that the peer has not read yet (RFC 9112 §9.6). This file decides how long
// the network waits for the peer.

import type { Slot } from '../event-layer/event-layer.js';

/** A slot that is closing. Times are in milliseconds. */
interface Linger {
  /** The longest time in which the peer may take none of the queued output; and the longest time that it may go on sending after it has taken all. */
  readonly timeout: number;
  /** The longest time in which a peer that has taken all output may send nothing. */
  quietTime: number;
  /** When the connection ends, whatever the peer sends. */
  deadline: number;
  /** The peer has sent something since the last call of `extraTimeForInput`. */
  hasSent: boolean;
}

export class Lingering {
  /** A map, because few slots are closing at a time. */
  readonly #lingers = new Map<Slot, Linger>();

  /** A slot starts to close. */
  begin(slot: Slot, timeout: number, quietTime: number, now: number): void {
    const linger = { timeout, quietTime: Math.min(quietTime, timeout), deadline: now + timeout, hasSent: false };
    this.#lingers.set(slot, linger);
  }

  /** Shortens the quiet time of a slot that is already closing. @returns false if it is that short already */
  shorten(slot: Slot, quietTime: number): boolean {
    const linger = this.#lingers.get(slot);
    if (linger === undefined || linger.quietTime <= quietTime) return false;
    linger.quietTime = quietTime;
    return true;
  }

  /** The slot is closed. */
  end(slot: Slot): void {
    this.#lingers.delete(slot);
  }

  /** The peer has sent something. */
  received(slot: Slot): void {
    const linger = this.#lingers.get(slot);
    if (linger !== undefined) linger.hasSent = true;
  }

  /** The peer has taken all output. @returns for how many milliseconds from now it may stay silent */
  flushed(slot: Slot, now: number): number {
    const linger = this.#lingers.get(slot);
    if (linger === undefined) return 0; // every closing slot has one
    linger.deadline = now + linger.timeout;
    return linger.quietTime;
  }

  /** The longest time in which the peer may take none of the queued output, in milliseconds. */
  timeout(slot: Slot): number {
    return this.#lingers.get(slot)?.timeout ?? 0;
  }

  /** The deadline of a peer that has taken all output has passed. @returns for how many milliseconds more to wait; 0 or less: not at all */
  extraTimeForInput(slot: Slot, now: number): number {
    const linger = this.#lingers.get(slot);
    if (linger === undefined || !linger.hasSent) return 0;
    linger.hasSent = false;
    return Math.min(linger.quietTime, linger.deadline - now);
  }
}
