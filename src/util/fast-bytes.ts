// Bytes by fours, and short text. What is compared, copied or written with every request is short, so a call of the runtime's would cost more
// than the work, and a loop over bytes four times the loads. (A hundred bytes are not short: `TypedArray.prototype.set` has them copied sooner.)
//
// The first four are looked at before each loop, and numbers are made 32 bits wide before it: what the engine has checked by then it
// does not check again in every round.

import { Buffer } from 'node:buffer';
import type { OutputMemory } from './output-memory.js';

let last: Uint8Array = new Uint8Array(0);
let lastView = new DataView(last.buffer);

/** A view of the same memory. It is kept for the next call, which most often has the same bytes: connections share the layer's buffers. */
export function viewOf(bytes: Uint8Array): DataView {
  if (bytes !== last) {
    last = bytes;
    lastView = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  }
  return lastView;
}

/** Copies `bytes[from … from+count-1]` to where `to` has its place `at`. */
export function copyBytes(bytes: Uint8Array, from: number, to: DataView, at: number, count: number): void {
  const source = viewOf(bytes);
  const end = (from + count) | 0;
  let read = from | 0;
  let write = at | 0;
  if (count >= 4) {
    to.setInt32(write, source.getInt32(read, true), true);
    read = (read + 4) | 0;
    write = (write + 4) | 0;
    for (; ((read + 4) | 0) <= end; read = (read + 4) | 0, write = (write + 4) | 0)
      to.setInt32(write, source.getInt32(read, true), true);
  }
  for (; read < end; read++, write++) to.setInt8(write, source.getInt8(read));
}

/** Whether `bytes[from … to-1]` are what the whole of a view shows. */
export function bytesEqual(bytes: Uint8Array, from: number, to: number, expected: DataView): boolean {
  const count = (to - from) | 0;
  if (expected.byteLength !== count) return false;
  const source = viewOf(bytes);
  const begin = from | 0;
  let i = 0;
  if (count >= 4) {
    if (source.getInt32(begin, true) !== expected.getInt32(0, true)) return false;
    for (i = 4; i + 4 <= count; i += 4)
      if (source.getInt32(begin + i, true) !== expected.getInt32(i, true)) return false;
  }
  for (; i < count; i++) if (source.getInt8(begin + i) !== expected.getInt8(i)) return false;
  return true;
}

/** Text of up to so many characters is looked through here, and longer text by the runtime. */
const shortText = 64;

/** How many bytes a text is in UTF-8. Of a short one, most likely: `writeText` finds out whether it is US-ASCII, which would be looked through twice. */
export function likelyByteLength(text: string): number {
  return text.length > shortText ? Buffer.byteLength(text) : text.length;
}

/**
 * Writes a text as UTF-8.
 * @param length its bytes, if `likelyByteLength` is right
 * @returns false if it is not: what has been written is of no use
 */
export function writeText(text: string, length: number, output: OutputMemory, at: number): boolean {
  if (length > text.length) return output.utf8Write(text, at, length) === length;
  if (length > shortText) {
    output.latin1Write(text, at, length); // as many bytes as characters: US-ASCII, for which the shorter way does
    return true;
  }
  let all = 0;
  for (let i = 0; i < length; i++) {
    const unit = text.charCodeAt(i);
    all |= unit;
    output[at + i] = unit;
  }
  return all < 128;
}
