// Peers that have left: by FIN, or because the connection has broken. Each costs a socket to close and often a thread to unwind,
// so thousands of clients that leave at once are much work. A turn does a bounded part of it, and the rest waits for later turns:
// the other connections are served in between.

/**
 * The most departures that one turn reports. A turn accepts no more connections than this, so that clients which connect and leave
 * at once cannot make the queue grow.
 */
export const departuresPerTurn = 32;
/** From so many departures in a turn on, more are likely to be on their way. */
const crowd = 8;

/** @typeParam T what a layer keeps of a departure that waits */
export class Departures<T> {
  #waiting: T[] = [];
  /** The index of the first that still waits. */
  #first = 0;
  /** Reported in this turn. */
  #reported = 0;
  #wasCrowd = false;

  get isPending(): boolean {
    return this.#first < this.#waiting.length;
  }

  /** Many leave at this time. */
  get isCrowd(): boolean {
    return this.#wasCrowd || this.isPending;
  }

  beginTurn(): void {
    this.#wasCrowd = this.#reported >= crowd;
    this.#reported = 0;
  }

  /** Counts a departure that is to be reported. @returns whether it may be at once; otherwise it is to be added to those that wait */
  mayReport(): boolean {
    if (this.isPending || this.#reported === departuresPerTurn) return false;
    this.#reported++;
    return true;
  }

  add(departure: T): void {
    this.#waiting.push(departure);
  }

  /** Reports those that wait, in their order, as many as this turn may. */
  report(deliver: (departure: T) => void): void {
    while (this.isPending && this.#reported < departuresPerTurn) {
      this.#reported++;
      deliver(this.#waiting[this.#first++]);
    }
    if (this.isPending || this.#first === 0) return;
    this.#waiting = [];
    this.#first = 0;
  }
}
