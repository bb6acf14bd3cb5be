// A list whose links are fields of its entries: adding and removing cost the same however long it is, and allocate nothing.

export interface ListEntry<T> {
  /** @internal */
  nextInList: T | undefined;
  /** @internal */
  previousInList: T | undefined;
}

export class ThreadList<T extends ListEntry<T>> {
  #first: T | undefined;
  #last: T | undefined;

  /** Adds an entry, which is in no list, at the end. */
  add(entry: T): void {
    const last = this.#last;
    entry.previousInList = last;
    if (last === undefined) this.#first = entry;
    else last.nextInList = entry;
    this.#last = entry;
  }

  /** Removes an entry, which is in this list. */
  remove(entry: T): void {
    const { nextInList: next, previousInList: previous } = entry;
    if (previous === undefined) this.#first = next;
    else previous.nextInList = next;
    if (next === undefined) this.#last = previous;
    else next.previousInList = previous;
    entry.nextInList = undefined;
    entry.previousInList = undefined;
  }

  /** The entries, in the order in which they were added. None may be added or removed meanwhile. */
  *[Symbol.iterator](): Generator<T, void> {
    for (let entry = this.#first; entry !== undefined; entry = entry.nextInList) yield entry;
  }
}
