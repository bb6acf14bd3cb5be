// Timeouts of what connections begin with, such as a TLS handshake. All have the same length, so they pass in the order in which they start, and one timer
// serves all of them.

import type { TransportTimers } from './secure-transport.js';
import type { Slot } from './transport.js';

export class SlotTimeouts {
  readonly #now: () => number;
  readonly #timers: TransportTimers;
  readonly #timeout: number;
  readonly #onTimeout: (slot: Slot) => void;
  /** By slot, in milliseconds of the layer's clock. The first is the earliest. */
  readonly #deadlines = new Map<Slot, number>();
  #timer = 0;

  /** @param timeout in milliseconds @param onTimeout must call `stop` for the slot */
  constructor(now: () => number, timers: TransportTimers, timeout: number, onTimeout: (slot: Slot) => void) {
    this.#now = now;
    this.#timers = timers;
    this.#timeout = timeout;
    this.#onTimeout = onTimeout;
  }

  start(slot: Slot): void {
    this.#deadlines.set(slot, this.#now() + this.#timeout);
    if (this.#timer === 0) this.#arm();
  }

  stop(slot: Slot): void {
    if (!this.#deadlines.delete(slot) || this.#deadlines.size > 0 || this.#timer === 0) return;
    this.#timers.cancel(this.#timer);
    this.#timer = 0;
  }

  #arm(): void {
    const [first] = this.#deadlines.values();
    if (first !== undefined) this.#timer = this.#timers.armAt(first, this, 0);
  }

  /** The deadline that was the earliest when the timer was set has passed. */
  timerFired(): void {
    this.#timer = 0;
    const now = this.#now();
    for (const [slot, deadline] of this.#deadlines) {
      if (deadline > now) break;
      this.#onTimeout(slot);
    }
    if (this.#timer === 0) this.#arm();
  }
}
