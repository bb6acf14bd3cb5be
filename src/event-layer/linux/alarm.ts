// What ends a long wait, timerfd_create(2). A wait that is given a time has the kernel set up a timer and take it down again, in every
// turn; most times that are waited for are far away, and the same from turn to turn, so one timer that stays is enough for very many waits.

import { check, type Libc } from './libc.js';

const CLOCK_MONOTONIC = 1;
const TFD_CLOEXEC_NONBLOCK = 0x80800;

export class Alarm {
  /** Readable when it has rung. */
  readonly descriptor: number;
  /** The time that it will ring for, by the process's clock; Infinity is none. */
  time = Infinity;
  readonly #libc: Libc;
  /** struct itimerspec: seconds and nanoseconds, 64 bits each, of the interval, and of the time until it rings. */
  readonly #times = new Int32Array(8);
  readonly #bytes = new Uint8Array(this.#times.buffer);
  /** How often it has rung, which is of no interest. */
  readonly #expirations = new Uint8Array(8);

  /** @throws {ConnectionError} `EMFILE` and the like */
  constructor(libc: Libc) {
    this.#libc = libc;
    const descriptor = libc.timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC_NONBLOCK);
    this.descriptor = check(libc, 'timerfd_create', descriptor);
    try {
      this.set(0, Infinity); // for never: setting it may be denied, and creating it not (seccomp(2))
    } catch (error) {
      this.close();
      throw error;
    }
  }

  close(): void {
    this.#libc.close(this.descriptor);
  }

  /** Has it ring in so many milliseconds, and not when it was to ring before. @param time what for */
  set(milliseconds: number, time: number): void {
    this.#times[4] = Math.floor(milliseconds / 1000);
    this.#times[6] = (milliseconds % 1000) * 1_000_000;
    check(this.#libc, 'timerfd_settime', this.#libc.timerfd_settime(this.descriptor, 0, this.#bytes, null));
    this.time = time;
  }

  /** To be called when its descriptor is readable. */
  onExpired(): void {
    this.time = Infinity;
    this.#libc.read(this.descriptor, this.#expirations, this.#expirations.length);
  }
}
