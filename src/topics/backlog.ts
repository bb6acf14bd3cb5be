// The messages that wait for one subscriber, the oldest first. They are shared with the other subscribers: only the references are its own.

import type { Published } from './published.js';

export class Backlog<M> {
  /** It is full with so many. */
  readonly limit: number;
  /** From `#head` on; the places before have been emptied, since `shift` moves every value of a long array. */
  readonly #messages: (Published<M> | undefined)[];
  #head = 0;

  constructor(limit: number, messages: Published<M>[] = []) {
    this.limit = limit;
    this.#messages = messages;
  }

  get length(): number {
    return this.#messages.length - this.#head;
  }

  get isFull(): boolean {
    return this.length >= this.limit;
  }

  get first(): Published<M> | undefined {
    return this.#messages[this.#head];
  }

  push(message: Published<M>): void {
    this.#messages.push(message);
  }

  shift(): Published<M> | undefined {
    const message = this.#messages[this.#head];
    if (message === undefined) return undefined;
    this.#messages[this.#head++] = undefined;
    if (this.#head >= 32 && this.#head * 2 >= this.#messages.length) {
      this.#messages.splice(0, this.#head);
      this.#head = 0;
    }
    return message;
  }

  /** Removes the message with that key. @returns whether there was one */
  remove(key: unknown): boolean {
    for (let at = this.#head; at < this.#messages.length; at++) {
      if (this.#messages[at]?.key !== key) continue;
      this.#messages.splice(at, 1);
      return true;
    }
    return false;
  }
}
