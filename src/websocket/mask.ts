// Masking (RFC 6455 §5.3). A key is a number: its four bytes in the order of the frame, the first one lowest. So four bytes of payload are masked by one
// exclusive or, at any alignment, as `DataView` reads little-endian words from anywhere at the speed of a typed array.
//
// The loop also collects the bits of all bytes. So a text that is ASCII, as most are, is known to be when it is unmasked, and is not looked
// through again.
//
// Node 26 has a function for masking that uses the processor's vectors. For long payload it takes a tenth of the loop's time; a call costs as much as
// 256 bytes of the loop.

import { isAscii } from 'node:buffer';
import { randomFillSync } from 'node:crypto';
import * as http from 'node:http';
import { viewOf } from '../util/fast-bytes.js';

/** `http.websocketMask`, which only new versions of Node have. No types declare it. */
type NativeMask = (source: Uint8Array, key: Uint8Array, target: DataView, at: number, count: number) => void;

const found: unknown = Reflect.get(http, 'websocketMask');
const nativeMask = typeof found === 'function' ? (found as NativeMask) : undefined;
/** From this many bytes on it is called. */
const longPayload = 512;
const nativeKey = new Int32Array(1);
const nativeKeyBytes = new Uint8Array(nativeKey.buffer);

/**
 * Masks or unmasks `source[from … to-1]` into `target`, from `at` on. In place if both are the same bytes at the same index; else they must not overlap.
 * @param key the key, turned so that its first byte is for `source[from]`
 * @returns whether a result has a byte that is not ASCII
 */
export function applyMask(
  source: Uint8Array,
  from: number,
  to: number,
  target: DataView,
  at: number,
  key: number,
): boolean {
  const count = to - from;
  if (nativeMask !== undefined && count >= longPayload) {
    nativeKey[0] = key;
    nativeMask(source.subarray(from, to), nativeKeyBytes, target, at, count);
    return !isAscii(new Uint8Array(target.buffer, target.byteOffset + at, count));
  }
  const view = viewOf(source);
  const mask = key | 0;
  const last = (to - 4) | 0;
  const far = (to - 16) | 0;
  let read = from | 0;
  let write = at | 0;
  let bits = 0;
  for (; read <= far; read = (read + 16) | 0, write = (write + 16) | 0) {
    const a = view.getInt32(read, true) ^ mask;
    const b = view.getInt32(read + 4, true) ^ mask;
    const c = view.getInt32(read + 8, true) ^ mask;
    const d = view.getInt32(read + 12, true) ^ mask;
    target.setInt32(write, a, true);
    target.setInt32(write + 4, b, true);
    target.setInt32(write + 8, c, true);
    target.setInt32(write + 12, d, true);
    bits |= a | b | c | d;
  }
  for (; read <= last; read = (read + 4) | 0, write = (write + 4) | 0) {
    const word = view.getInt32(read, true) ^ mask;
    target.setInt32(write, word, true);
    bits |= word;
  }
  for (let left = mask; read < to; read++, write++, left >>>= 8) {
    const byte = view.getUint8(read) ^ (left & 255);
    target.setUint8(write, byte);
    bits |= byte;
  }
  return (bits & 0x80808080) !== 0;
}

/** The key for what follows `count` bytes. */
export function turnMask(key: number, count: number): number {
  const bits = (count & 3) * 8;
  return bits === 0 ? key : (key >>> bits) | (key << (32 - bits));
}

/** Random bytes for this many keys are taken at once: a call costs as much as some hundred of them. */
const keysAtOnce = 1024;
const keys = new Int32Array(keysAtOnce);
let used = keysAtOnce;

/** A key that the peer's application cannot foresee (RFC 6455 §10.3). */
export function newMask(): number {
  if (used === keysAtOnce) {
    randomFillSync(keys);
    used = 0;
  }
  return keys[used++];
}
