// A message of a topic. It is encoded once, and framed once for each wire format in which it leaves, however many subscribers there are.

import { Buffer } from 'node:buffer';

/** What a wire format frames. */
export interface WireMessage {
  /** Undefined if it need not be sent: the topic keeps no history. */
  readonly id: string | undefined;
  /** The type of the event, for wire formats that have one. */
  readonly event: string | undefined;
  readonly content: string | Uint8Array;
}

/** A way to frame messages: as an event of an event stream, as a frame of a WebSocket. `F` is what a follower is given. There are few, and each is made once. */
export class WireFormat<F> {
  static #count = 0;
  /** Its place among the frames of a message. */
  readonly number = WireFormat.#count++;
  /** @throws {TypeError} if the content does not suit it */
  readonly frame: (message: WireMessage) => F;
  /** Whether it can express such a content. */
  readonly suits: (content: WireMessage['content']) => boolean;

  constructor(frame: (message: WireMessage) => F, suits: (content: WireMessage['content']) => boolean = () => true) {
    this.frame = frame;
    this.suits = suits;
  }
}

export class Published<M> {
  /** Messages of a topic are numbered in their order, from 1 on. */
  readonly sequence: number;
  readonly id: string;
  readonly value: M;
  /** What it replaces messages of, under the policy `latest`. */
  readonly key: unknown;
  readonly #wire: WireMessage;
  /** By the number of the wire format. */
  readonly #frames: unknown[] = [];

  constructor(sequence: number, id: string, value: M, key: unknown, wire: WireMessage) {
    this.sequence = sequence;
    this.id = id;
    this.value = value;
    this.key = key;
    this.#wire = wire;
  }

  /** @returns its frame in that format, made when it is first asked for @throws as the format */
  in<F>(format: WireFormat<F>): F {
    const frame = this.#frames[format.number];
    if (frame !== undefined) return frame as F; // stored below, by the same format
    const made = format.frame(this.#wire);
    this.#frames[format.number] = made;
    return made;
  }

  /** Whether it can be framed in that format. */
  suits(format: WireFormat<unknown>): boolean {
    return format.suits(this.#wire.content);
  }

  /** Bytes of its content. */
  get size(): number {
    const { content } = this.#wire;
    return typeof content === 'string' ? Buffer.byteLength(content) : content.length;
  }
}
