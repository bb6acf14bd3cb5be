// Objects under small integers, so that a typed array can say which of them belongs to a row: 4 bytes for each row, whereas an
// array of objects has 8 for each, and up to half as much again to spare. Used for the few rows of many that have an object.

export class IdTable<T> {
  /** By number. Number 0 is nobody's. */
  readonly #values: (T | undefined)[] = [undefined];
  /** Numbers that are free again. */
  readonly #free: number[] = [];

  /** @returns the thing's number, which is at least 1 and its own until `drop` */
  add(thing: T): number {
    const number = this.#free.pop() ?? this.#values.length;
    this.#values[number] = thing;
    return number;
  }

  /** The thing of that number; `undefined` for 0. */
  get(number: number): T | undefined {
    return this.#values[number];
  }

  /** Gives a number back. It may be another thing's from now on. */
  drop(number: number): void {
    this.#values[number] = undefined;
    this.#free.push(number);
  }
}
