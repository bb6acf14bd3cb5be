// The last messages of a topic, so that a subscriber that comes back gets what it has missed.

import type { Published } from './published.js';

export class History<M> {
  readonly #mostMessages: number;
  readonly #mostBytes: number;
  /** From `#head` on, without gaps in their numbers. */
  #messages: Published<M>[] = [];
  #head = 0;
  #bytes = 0;
  /** The sequence numbers of the messages kept, and of the last one that is not, by their ids. */
  readonly #sequences = new Map<string, number>();
  /** The id of the last message that is not kept any more. */
  #evicted: string | undefined;

  constructor(mostMessages: number, mostBytes: number) {
    this.#mostMessages = mostMessages;
    this.#mostBytes = mostBytes;
  }

  get length(): number {
    return this.#messages.length - this.#head;
  }

  /** Bytes of content of the messages kept. Counted only if they are bounded. */
  get bytes(): number {
    return this.#bytes;
  }

  /** All of them, the oldest first. */
  get messages(): Published<M>[] {
    return this.#messages.slice(this.#head);
  }

  add(message: Published<M>): void {
    this.#messages.push(message);
    this.#sequences.set(message.id, message.sequence);
    if (this.#mostBytes !== Infinity) this.#bytes += message.size;
    while (this.length > 0 && (this.length > this.#mostMessages || this.#bytes > this.#mostBytes)) this.#evict();
  }

  #evict(): void {
    const message = this.#messages[this.#head++];
    if (this.#mostBytes !== Infinity) this.#bytes -= message.size;
    if (this.#evicted !== undefined) this.#forget(this.#evicted, message.sequence - 1);
    this.#evicted = message.id;
    if (this.#head >= 32 && this.#head * 2 >= this.#messages.length) {
      this.#messages = this.#messages.slice(this.#head);
      this.#head = 0;
    }
  }

  /** An id that was used again belongs to the later message. */
  #forget(id: string, sequence: number): void {
    const known = this.#sequences.get(id);
    if (known !== undefined && known <= sequence) this.#sequences.delete(id);
  }

  /** @returns what has been published after the message with that id; undefined if that is not known, or not kept */
  since(id: string): Published<M>[] | undefined {
    const sequence = this.#sequences.get(id);
    if (sequence === undefined) return undefined;
    const first = this.#messages.at(this.#head)?.sequence ?? sequence + 1;
    return this.#messages.slice(this.#head + Math.max(0, sequence + 1 - first));
  }

  has(id: string): boolean {
    return this.#sequences.has(id);
  }
}
