// Closing in good order. FIN has been sent, and what still comes in is thrown away until the peer has ended too: to close a socket while something
// is unread would send a reset, which may destroy what the peer has not read yet (RFC 9112 §9.6). This file decides how long a peer may take.

import type { Slot } from '../event-layer/event-layer.js';

/** What is known of a slot that is closing. Times are in milliseconds. */
interface Linger {
  /** How long the peer may take nothing of what is queued; and how long it may go on sending when it has taken all. */
  readonly patience: number;
  /** How long it is waited for when it has taken all and sends nothing. */
  quiet: number;
  /** When it is waited for no longer, whatever it sends. */
  until: number;
  /** It has sent something since that was last looked at. */
  hasSent: boolean;
}

export class Lingering {
  /** Few slots are closing at a time. */
  readonly #lingers = new Map<Slot, Linger>();

  /** A slot begins to close. */
  begin(slot: Slot, patience: number, quiet: number, now: number): void {
    this.#lingers.set(slot, { patience, quiet: Math.min(quiet, patience), until: now + patience, hasSent: false });
  }

  /** The slot is closing already, and may be waited for less. @returns false if it is waited for no longer as it is */
  shorten(slot: Slot, quiet: number): boolean {
    const linger = this.#lingers.get(slot);
    if (linger === undefined || linger.quiet <= quiet) return false;
    linger.quiet = quiet;
    return true;
  }

  /** The slot is gone. */
  end(slot: Slot): void {
    this.#lingers.delete(slot);
  }

  /** The peer has sent something. */
  received(slot: Slot): void {
    const linger = this.#lingers.get(slot);
    if (linger !== undefined) linger.hasSent = true;
  }

  /** The peer has taken all output. @returns for how many milliseconds it is waited for from now on */
  flushed(slot: Slot, now: number): number {
    const linger = this.#lingers.get(slot);
    if (linger === undefined) return 0; // every closing slot has one
    linger.until = now + linger.patience;
    return linger.quiet;
  }

  /** How long the peer may take nothing of the output that is left, in milliseconds. */
  patience(slot: Slot): number {
    return this.#lingers.get(slot)?.patience ?? 0;
  }

  /** The time has passed for a peer that has taken all. @returns for how many milliseconds more it is waited for; 0 or less is not at all */
  moreTime(slot: Slot, now: number): number {
    const linger = this.#lingers.get(slot);
    if (linger === undefined || !linger.hasSent) return 0;
    linger.hasSent = false;
    return Math.min(linger.quiet, linger.until - now);
  }
}
