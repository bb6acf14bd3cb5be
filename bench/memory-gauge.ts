// How quick the machine's memory is at the moment. On a machine that is shared, others take the larger caches and the way to memory
// away, for minutes or hours. Then what runs through much code and data grows dearer than a small C
// program does: ratios to the floor change, though nothing else has. So each run says how it was.

const bytes = 4 * 1024 * 1024; // more than the caches that belong to one core
const lineWords = 16; // of 32 bits
const lines = bytes / 4 / lineWords;
const loads = 50_000;

/** In each line stands where the next one is: one circle through all, in an order that no processor can guess. */
function circle(): Int32Array {
  const order = Int32Array.from({ length: lines }, (_, i) => i);
  for (let i = lines - 1; i > 0; i--) {
    const other = Math.floor(Math.random() * i);
    [order[i], order[other]] = [order[other] ?? 0, order[i] ?? 0];
  }
  const memory = new Int32Array(lines * lineWords);
  for (let i = 0; i < lines; i++) memory[(order[i] ?? 0) * lineWords] = (order[(i + 1) % lines] ?? 0) * lineWords;
  return memory;
}

export class MemoryGauge {
  /** What each look has found, in nanoseconds for a load that has to wait for the one before. */
  readonly readings: number[] = [];
  readonly #memory = circle();
  #at = 0;
  #last = Number.NEGATIVE_INFINITY;

  constructor() {
    this.#walk(); // once for the compiler
  }

  /** Takes a reading, about 10 ms of work, if the last one is so many seconds ago. */
  look(seconds: number): void {
    const now = performance.now();
    if (now - this.#last < seconds * 1000) return;
    this.#walk();
    this.#last = performance.now();
    this.readings.push(((this.#last - now) * 1e6) / loads);
  }

  #walk(): void {
    const memory = this.#memory;
    let at = this.#at;
    for (let i = 0; i < loads; i++) at = memory[at] ?? 0;
    this.#at = at;
  }
}
