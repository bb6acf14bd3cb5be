// A piece of a body that is sent to very many clients: it is encoded and framed once, and copied as it is into the output of each.

/** What a chunk ends with (RFC 9112 §7.1). */
const lineEnd = 2;

export class SharedPiece {
  /** The piece as one chunk of HTTP/1.1. */
  readonly chunk: Uint8Array;
  /** Where the piece itself begins in the chunk. */
  readonly #start: number;

  /** @param content must not be changed afterwards */
  constructor(content: Uint8Array) {
    const size = `${content.length.toString(16)}\r\n`;
    this.#start = size.length;
    this.chunk = new Uint8Array(size.length + content.length + lineEnd);
    for (let i = 0; i < size.length; i++) this.chunk[i] = size.charCodeAt(i);
    this.chunk.set(content, size.length);
    this.chunk[this.chunk.length - 2] = 13;
    this.chunk[this.chunk.length - 1] = 10;
  }

  /** The piece without framing. */
  get content(): Uint8Array {
    return this.chunk.subarray(this.#start, this.chunk.length - lineEnd);
  }
}
