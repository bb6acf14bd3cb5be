// The two ways in which a body is framed that is not sent at once: in chunks, or as it is (RFC 9112 §6 and §7.1).

import { Buffer } from 'node:buffer';
import type { Duplex } from '../../connection/duplex.js';
import { put } from '../../connection/writer.js';
import type { Task } from '../../threads/task.js';
import { ResponseError } from '../outgoing.js';
import { ResponseBody, type ResponseOutlet } from '../response-body.js';
import type { SharedPiece } from '../shared-piece.js';

/** A body in chunks (RFC 9112 §7.1). */
export class ChunkedBody extends ResponseBody {
  begin(): void {}

  /** Each piece is a chunk. */
  put(piece: string | Uint8Array): void {
    const { duplex } = this;
    if (typeof piece === 'string') {
      const at = duplex.reserve(piece.length * 3 + 8);
      putChunkFrame(duplex, at, duplex.output.utf8Write(piece, at + 6, piece.length * 3));
    } else {
      const at = duplex.reserve(piece.length + 8);
      duplex.output.set(piece, at + 6);
      putChunkFrame(duplex, at, piece.length);
    }
  }

  putShared({ chunk }: SharedPiece): void {
    put(this.duplex, chunk);
  }

  /** The last chunk. */
  *end(): Task<void> {
    if (this.duplex.writable === 0) yield* this.writer.drain();
    this.endNow();
  }

  endNow(): void {
    put(this.duplex, '0\r\n\r\n');
  }
}

/** Puts a chunk's size, in four digits, before its data and CRLF behind them. Leading zeros are allowed (RFC 9112 §7.1: 1*HEXDIG). */
function putChunkFrame(duplex: Duplex, at: number, size: number): void {
  const { output } = duplex;
  for (let digit = 0; digit < 4; digit++) output[at + digit] = hexDigits.charCodeAt((size >> (12 - 4 * digit)) & 15);
  output[at + 4] = 13;
  output[at + 5] = 10;
  output[at + 6 + size] = 13;
  output[at + 7 + size] = 10;
  duplex.commit(at + 8 + size);
}

const hexDigits = '0123456789abcdef';

/** A body as it is: as long as its content-length says, or up to the end of the duplex. */
export class PlainBody extends ResponseBody {
  readonly #length: number | undefined;
  #written = 0;

  constructor(outlet: ResponseOutlet, length: number | undefined) {
    super(outlet);
    this.#length = length;
  }

  begin(data: string | Uint8Array): void {
    void this.duplex; // throws if the body is over
    if (this.#length === undefined) return;
    const bytes = typeof data === 'string' ? Buffer.byteLength(data) : data.length;
    if (this.#written + bytes > this.#length) {
      throw new ResponseError(`the body is longer than its content-length of ${this.#length} bytes`);
    }
  }

  put(piece: string | Uint8Array): void {
    this.#written += put(this.duplex, piece);
  }

  putNow(data: Uint8Array, start: number, end: number): number {
    const sent = this.duplex.sendNow?.(data, start, end) ?? 0;
    this.#written += sent;
    return sent;
  }

  putShared({ content }: SharedPiece): void {
    this.begin(content);
    this.put(content);
  }

  *end(): Task<void> {
    if (this.#length !== undefined && this.#written < this.#length) {
      throw new ResponseError(`the body has ${this.#written} bytes, and its content-length says ${this.#length}`);
    }
  }

  endNow(): void {}
}
