// Whether something that is waited for goes on: the rest of a message, a peer that takes output.

/** How slow it may be. */
export interface PaceLimit {
  /** How long it may pause, in milliseconds. */
  readonly timeout: number;
  /** The fewest bytes a second, on average, once `timeout` has passed; 0 for any. */
  readonly rate: number;
}

/** Each byte gives it more time, so long as it takes at `rate`, but never more than `timeout` from then on: what was fast once may not stop later. */
export class Pace {
  /** Until when there must be more, in milliseconds of the scheduler's clock; `Infinity` while it is stopped. */
  until: number;
  #done: number;
  /** While it is stopped: how much time was left. */
  #left = 0;

  /** @param done bytes until now */
  constructor(limit: PaceLimit, now: number, done = 0) {
    this.until = now + limit.timeout;
    this.#done = done;
  }

  /** @param done bytes in all, which never becomes less */
  note({ timeout, rate }: PaceLimit, now: number, done: number): void {
    const more = done - this.#done;
    if (more <= 0) return;
    this.#done = done;
    const isStopped = this.until === Infinity;
    this.resume(now);
    this.until = Math.min(now + timeout, rate > 0 ? this.until + (more * 1000) / rate : Infinity);
    if (isStopped) this.stop(now);
  }

  /** The time from now on does not count, until `resume`. */
  stop(now: number): void {
    if (this.until === Infinity) return;
    this.#left = this.until - now;
    this.until = Infinity;
  }

  resume(now: number): void {
    if (this.until === Infinity) this.until = now + this.#left;
  }
}
