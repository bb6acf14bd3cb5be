// Connections that are not read from, because reading is paused or over: a hang-up must be noticed nevertheless. A poll
// waits for it; what exactly has happened, reading says.

import type { Slot } from '../event-layer.js';
import { dropped, ended, finishing, open, paused, type Slots } from '../linux/slots.js';
import {
  hangUp,
  hangUpArmed,
  needsHangupPoll,
  type Operations,
  POLLERR,
  POLLHUP,
  readingForError,
  receiveArmed,
} from './operations.js';

export class HangUps {
  readonly #operations: Operations;
  readonly #slots: Slots;
  /** Slots that have `needsHangupPoll`. */
  #resting: Slot[] = [];

  constructor(operations: Operations, slots: Slots) {
    this.#operations = operations;
    this.#slots = slots;
  }

  /** Nothing is read from it from now. */
  schedulePoll(slot: Slot): void {
    const { flags } = this.#operations;
    if ((flags[slot] & (needsHangupPoll | hangUpArmed)) !== 0) return;
    flags[slot] |= needsHangupPoll;
    this.#resting.push(slot);
  }

  /** Watches those that are still not read from, which most are only for a moment. */
  watch(): void {
    if (this.#resting.length === 0) return;
    const slots = this.#resting;
    this.#resting = [];
    for (const slot of slots) this.#watch(slot);
  }

  #watch(slot: Slot): void {
    const { flags } = this.#operations;
    if ((flags[slot] & needsHangupPoll) === 0) return;
    flags[slot] &= ~needsHangupPoll;
    const isIdle = (flags[slot] & (hangUpArmed | readingForError)) === 0;
    const known = this.#slots.flags[slot];
    if (!isIdle || (known & (open | dropped)) !== open || (known & (paused | ended)) === 0) return;
    // Both directions have ended: it closes when its output is out, and sending that notices a hang-up by itself.
    if ((known & (ended | finishing)) === (ended | finishing)) return;
    flags[slot] |= hangUpArmed;
    this.#operations.poll(slot, hangUp, 0, true);
  }

  /** The poll has completed. @param isOver whether it has ended @returns whether the connection is to be read, to learn what has happened */
  onPollEvent(slot: Slot, events: number, isOver: boolean): boolean {
    const { flags } = this.#operations;
    if (isOver) flags[slot] &= ~hangUpArmed;
    // The kernel adds the peer's FIN to what is polled for; that alone is no hang-up.
    if (events <= 0 || (events & (POLLERR | POLLHUP)) === 0) return false;
    if ((this.#slots.flags[slot] & open) === 0 || (flags[slot] & receiveArmed) !== 0) return false;
    flags[slot] |= readingForError;
    return true;
  }
}
