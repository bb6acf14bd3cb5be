// Bytes that a transport keeps for a connection. Few connections have some at a time.

import { ByteBuilder } from '../util/byte-builder.js';

const nothing = new Uint8Array(0);

/** The memory for input has at least so many bytes: the beginning of a record, most of which is its header. */
const smallestInput = 64;

export class PendingBytes {
  /** Input that cannot be passed on yet: the first `inputLength` bytes. */
  #input: Uint8Array = nothing;
  inputLength = 0;
  /** Output that was written before the handshake was complete. */
  early: ByteBuilder | undefined;
  /** Bytes of output that count as queued, and that the layer below does not have: those of `early`, and those that were dropped. */
  unsent = 0;
  /** Bytes of memory that the session takes during the handshake. */
  session = 0;
  /** How often `flushed` is to be reported when `early` has left. */
  flushes = 0;

  /** Bytes of memory that it takes. */
  get memory(): number {
    return this.#input.length + (this.early?.capacity ?? 0) + this.session;
  }

  get isEmpty(): boolean {
    const isWithoutOutput = this.early === undefined && this.unsent === 0 && this.flushes === 0;
    return isWithoutOutput && this.inputLength === 0 && this.session === 0;
  }

  /** The memory of the input. */
  get input(): Uint8Array {
    return this.#input;
  }

  /** Appends to the input. Takes at most twice as much memory as the peer has sent, so that it cannot claim any by a length alone. */
  addInput(bytes: Uint8Array, start: number, end: number): void {
    const length = this.inputLength + end - start;
    if (length > this.#input.length) {
      const larger = new Uint8Array(new ArrayBuffer(Math.max(smallestInput, 2 * length)));
      larger.set(this.#input.subarray(0, this.inputLength));
      this.#input = larger;
    }
    this.#input.set(bytes.subarray(start, end), this.inputLength);
    this.inputLength = length;
  }

  /** Removes the input. @returns it */
  takeInput(): Uint8Array {
    const input = this.#input.subarray(0, this.inputLength);
    this.#input = nothing;
    this.inputLength = 0;
    return input;
  }

  addEarly(bytes: Uint8Array, start: number, length: number): void {
    this.early ??= new ByteBuilder();
    this.early.add(bytes, start, length);
    this.unsent += length;
  }
}
