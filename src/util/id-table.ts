// Objects under small integers, so that a typed array can say which of them belongs to a row: 4 bytes for each row, whereas an
// array of objects has 8 for each, and up to half as much again to spare. Used for the few rows of many that have an object.

export class IdTable<T> {
  /** By number. Number 0 is not used. */
  readonly #values: (T | undefined)[] = [undefined];
  /** Numbers that are free again. */
  readonly #free: number[] = [];

  /** @returns the value's number, at least 1; no other value has it until `drop` */
  add(value: T): number {
    const number = this.#free.pop() ?? this.#values.length;
    this.#values[number] = value;
    return number;
  }

  /** The value with that number; `undefined` for 0. */
  get(number: number): T | undefined {
    return this.#values[number];
  }

  /** Puts another thing under a number that is in use. */
  set(number: number, thing: T): void {
    this.#values[number] = thing;
  }

  /** Gives a number back. It may be another value's from now on. */
  drop(number: number): void {
    this.#values[number] = undefined;
    this.#free.push(number);
  }
}
