// What is to happen in a simulated world, by time: a binary heap. Things for the same time happen in the order in which
// they were put in, so that a run does not depend on how the heap happens to lie.

interface Entry {
  time: number;
  order: number;
  happen: () => void;
}

export class Agenda {
  readonly #heap: Entry[] = [];
  #order = 0;

  /** Time of the next entry, or `Infinity`. */
  get next(): number {
    return this.#heap[0]?.time ?? Infinity;
  }

  add(time: number, happen: () => void): void {
    const heap = this.#heap;
    const entry = { time, order: this.#order++, happen };
    let at = heap.push(entry) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!before(entry, heap[parent])) break;
      heap[at] = heap[parent];
      at = parent;
    }
    heap[at] = entry;
  }

  /** Takes out the next entry. */
  take(): (() => void) | undefined {
    const heap = this.#heap;
    const first = heap[0];
    const last = heap.pop();
    if (first === undefined || last === undefined) return undefined;
    if (heap.length > 0) {
      let at = 0;
      for (;;) {
        let child = 2 * at + 1;
        if (child >= heap.length) break;
        if (child + 1 < heap.length && before(heap[child + 1], heap[child])) child++;
        if (!before(heap[child], last)) break;
        heap[at] = heap[child];
        at = child;
      }
      heap[at] = last;
    }
    return first.happen;
  }
}

function before(a: Entry, b: Entry): boolean {
  return a.time < b.time || (a.time === b.time && a.order < b.order);
}
