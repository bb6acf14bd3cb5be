// UTF-8 that arrives in pieces: checked as it comes, decoded once (RFC 3629, RFC 6455 §8.1).
//
// What has come of a code point whose end has not come is one number: how many bytes it is, how many are missing, and the range that the next one must
// be in. Only the second byte has a range of its own, which rules out overlong forms, surrogates and what is beyond U+10FFFF.

import { Buffer, isUtf8 } from 'node:buffer';
import { viewOf } from '../util/fast-bytes.js';

/** The state at which no code point is cut. */
export const utf8Boundary = 0;
/** The bytes are not UTF-8. */
export const utf8Invalid = -1;

/** From this many bytes on, the runtime's own check (SIMD) costs less than a loop, although it needs a view. */
const longPiece = 96;

/** bytes that have come << 24 | missing bytes << 16 | lowest next byte << 8 | highest next byte */
const state = (missing: number, low: number, high: number): number => (1 << 24) | (missing << 16) | (low << 8) | high;
/** What one more byte changes, if the one after it is not the second. */
const oneMore = (1 << 24) - (1 << 16);

/** The state behind a first byte that is not ASCII. */
const afterFirst = new Int32Array(256).fill(utf8Invalid);
afterFirst.fill(state(1, 0x80, 0xbf), 0xc2, 0xe0);
afterFirst.fill(state(2, 0x80, 0xbf), 0xe1, 0xf0);
afterFirst[0xe0] = state(2, 0xa0, 0xbf); // lower would be overlong
afterFirst[0xed] = state(2, 0x80, 0x9f); // higher would be a surrogate
afterFirst.fill(state(3, 0x80, 0xbf), 0xf1, 0xf4);
afterFirst[0xf0] = state(3, 0x90, 0xbf); // lower would be overlong
afterFirst[0xf4] = state(3, 0x80, 0x8f); // higher would be beyond U+10FFFF
afterFirst.fill(utf8Boundary, 0, 0x80);

/**
 * Checks the next piece of a text.
 * @param before what this returned for the piece before, or `utf8Boundary`
 * @returns `utf8Boundary` if the piece ends with a whole code point, `utf8Invalid` if a byte cannot be there, and else a state for the next piece
 */
export function checkUtf8(bytes: Uint8Array, from: number, to: number, before: number): number {
  let at = from;
  let now = before;
  while (now !== utf8Boundary && at < to) {
    now = next(now, bytes[at++]);
    if (now === utf8Invalid) return utf8Invalid;
  }
  if (to - at < longPiece) return checkShort(bytes, at, to, now);
  const whole = lastBoundary(bytes, at, to);
  if (!isUtf8(bytes.subarray(at, whole))) return utf8Invalid;
  return checkShort(bytes, whole, to, utf8Boundary);
}

function checkShort(bytes: Uint8Array, from: number, to: number, before: number): number {
  let at = from;
  let now = before;
  while (at < to) {
    if (now === utf8Boundary) {
      at = skipAscii(bytes, at, to);
      if (at === to) break;
    }
    now = next(now, bytes[at++]);
    if (now === utf8Invalid) return utf8Invalid;
  }
  return now;
}

function next(now: number, byte: number): number {
  if (now === utf8Boundary) return afterFirst[byte];
  if (byte < ((now >>> 8) & 255) || byte > (now & 255)) return utf8Invalid;
  return (now & 0xff0000) === 0x10000 ? utf8Boundary : ((now + oneMore) & 0xffff0000) | 0x80bf;
}

function skipAscii(bytes: Uint8Array, from: number, to: number): number {
  const view = viewOf(bytes);
  let at = from | 0;
  while (at + 4 <= to && (view.getInt32(at, true) & 0x80808080) === 0) at = (at + 4) | 0;
  while (at < to && bytes[at] < 0x80) at++;
  return at;
}

/** Where the last code point starts, if its end has not come; else `to`. If the bytes are not UTF-8, some place of the last four. */
function lastBoundary(bytes: Uint8Array, from: number, to: number): number {
  for (let at = to - 1; at >= from && at >= to - 3; at--) {
    const byte = bytes[at];
    if (byte < 0x80) return to;
    if (byte >= 0xc0) return at + (byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2) > to ? at : to;
  }
  return to;
}

/** How many bytes of a cut code point have come: they cannot be decoded yet. */
export function cutBytes(state: number): number {
  return state >>> 24;
}

/** The methods of `Buffer` that decode: they take half the time of `toString`, and any `Uint8Array`. Node, Bun and Deno have them; no types declare them. */
interface Decoders {
  latin1Slice(this: Uint8Array, from: number, to: number): string;
  utf8Slice(this: Uint8Array, from: number, to: number): string;
}
const { latin1Slice, utf8Slice } = Buffer.prototype as Uint8Array as Uint8Array & Decoders;

/** Decodes bytes that are UTF-8. A byte order mark is kept. */
export function utf8Text(bytes: Uint8Array, from: number, to: number): string {
  return utf8Slice.call(bytes, from, to);
}

/** Decodes bytes that are ASCII. */
export function asciiText(bytes: Uint8Array, from: number, to: number): string {
  return latin1Slice.call(bytes, from, to);
}
