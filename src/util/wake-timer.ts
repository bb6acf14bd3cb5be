// Node's timers for deadlines. The event loop runs timers before it looks at sockets, so when it was blocked, or the process was stopped, a
// timer fires although what it waits for has arrived in time and is only yet to be read. A deadline is therefore enforced two rounds of the
// event loop after its timer has fired: in between the loop has looked at everything. (One round is enough on Node, where immediates follow
// sockets; other runtimes have another order.)

/** The longest that `setTimeout` waits, in milliseconds; more would fire at once. */
const longestTimeout = 2 ** 31 - 1;

export class WakeTimer {
  readonly #onDue: (due: number) => void;
  #wake = Infinity;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** When the timer fires; never after `#wake`. */
  #timerTime = Infinity;
  /** The timer has fired, and the event loop is looking at everything else. */
  #isLooking = false;
  #passed = -Infinity;

  /** @param onDue called at the time asked for, or later, with a time: everything that had arrived by then has been handled */
  constructor(onDue: (due: number) => void) {
    this.#onDue = onDue;
  }

  /** Asks to be called at that time of `performance.now()`, replacing the time asked for before; `Infinity` for never. Holds the process open until then. */
  wakeAt(time: number): void {
    this.#wake = time;
    if (time === Infinity) {
      clearTimeout(this.#timer);
      this.#timer = undefined;
      this.#timerTime = Infinity;
    } else if (time < this.#timerTime && !this.#isLooking) {
      this.#arm();
    }
    // A timer that fires too soon is left alone; it is armed again when it does.
  }

  /** The latest time such that no deadline up to it is still to be enforced. */
  get passed(): number {
    const now = performance.now();
    if (this.#wake > now) this.#passed = now;
    return this.#passed;
  }

  #arm(): void {
    clearTimeout(this.#timer);
    const now = performance.now();
    // Rounded up, and checked again when it fires: setTimeout may be a little early by this clock.
    const delay = Math.min(Math.max(Math.ceil(this.#wake - now), 1), longestTimeout);
    this.#timerTime = Math.min(this.#wake, now + delay);
    this.#timer = setTimeout(this.#onTimeout, delay);
  }

  readonly #onTimeout = (): void => {
    this.#timer = undefined;
    this.#timerTime = Infinity;
    if (this.#wake === Infinity) return;
    const now = performance.now();
    if (now < this.#wake) {
      this.#arm();
      return;
    }
    this.#isLooking = true;
    setImmediate(() => setImmediate(() => this.#looked(now)));
  };

  #looked(due: number): void {
    this.#isLooking = false;
    if (this.#wake > due) {
      if (this.#wake !== Infinity) this.#arm();
      return;
    }
    this.#wake = Infinity;
    this.#passed = due;
    this.#onDue(due);
  }
}
