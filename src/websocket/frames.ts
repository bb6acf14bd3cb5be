// Frames (RFC 6455 §5.2): reading a header that may be cut anywhere, and writing frames.

import { Buffer } from 'node:buffer';
import { likelyByteLength, viewOf, writeText } from '../util/fast-bytes.js';
import type { OutputMemory } from '../util/output-memory.js';
import { closeCodes } from './close-codes.js';
import { WebSocketError } from './errors.js';
import { applyMask } from './mask.js';

/** The last frame of a message; the first bit of a frame. */
export const FIN = 0x80;
/** The message is compressed (RFC 7692 §6). */
export const RSV1 = 0x40;

export const opcodes = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;

const opcodeBits = 0x0f;
const controlBit = 0x08;
const maskBit = 0x80;
/** The most payload of a control frame (RFC 6455 §5.5). */
export const maxControlPayload = 125;
/** The most bytes of a header. */
export const maxHeaderBytes = 14;

/** What may come, in bits. */
export const expecting = {
  /** The peer is a client: it masks all its frames. */
  mask: 1,
  /** A message has come in part: its next frame is a continuation. */
  continuation: 2,
  /** permessage-deflate has been negotiated. */
  compressed: 4,
} as const;

// What comes next.
const firstByte = 0;
const lengthByte = 1;
const longLength = 2;
const maskKey = 3;
const complete = 4;

/** Reads the header of one frame after the other. Each rule is checked with the first byte that can break it. */
export class FrameHeader {
  /** FIN, the reserved bits and the opcode. */
  first = 0;
  /** Bytes of payload. */
  length = 0;
  /** The masking key: see `mask.ts`. */
  key = 0;
  #next = firstByte;
  /** Bytes that are missing from the length or the key. */
  #missing = 0;
  #lengthBytes = 2;

  get opcode(): number {
    return this.first & opcodeBits;
  }

  get isControl(): boolean {
    return (this.first & controlBit) !== 0;
  }

  get isFinal(): boolean {
    return (this.first & FIN) !== 0;
  }

  get isCompressed(): boolean {
    return (this.first & RSV1) !== 0;
  }

  /** The next bytes are those of another frame, whatever has been read. */
  reset(): void {
    this.#next = firstByte;
  }

  /**
   * Reads on. After a complete header, the next call reads the next one.
   * @param expected bits of `expecting`
   * @param room the most bytes of payload that a data frame may have
   * @param compressedRoom the same for one with RSV1
   * @returns where the payload starts; -1 if the header is not complete, all bytes being consumed
   * @throws {WebSocketError} 1002 for what RFC 6455 forbids, 1009 for more payload than there is room for
   */
  read(bytes: Uint8Array, start: number, end: number, expected: number, room: number, compressedRoom: number): number {
    let at = start;
    if (this.#next === complete) this.#next = firstByte;
    if (this.#next === firstByte) {
      if (at === end) return -1;
      const first = bytes[at++];
      checkFirst(first, expected);
      this.first = first;
      this.#next = lengthByte;
    }
    if (this.#next === lengthByte) {
      if (at === end) return -1;
      const second = bytes[at++];
      const length = second & ~maskBit;
      checkSecond(this.first, second, expected);
      this.key = 0;
      this.length = length;
      if (length <= maxControlPayload) {
        this.#missing = 0;
        this.#checkRoom(room, compressedRoom);
        this.#next = second === length ? complete : maskKey;
        this.#missing = 4;
      } else {
        this.length = 0;
        this.#next = longLength;
        this.#lengthBytes = length === 126 ? 2 : 8;
        this.#missing = this.#lengthBytes;
      }
    }
    if (this.#next === longLength) {
      at = this.#readLength(bytes, at, end, room, compressedRoom);
      if (this.#missing > 0) return -1;
      this.#next = (expected & expecting.mask) === 0 ? complete : maskKey;
      this.#missing = 4;
    }
    if (this.#next === maskKey) {
      if (this.#missing === 4 && at + 4 <= end) {
        this.key = viewOf(bytes).getInt32(at, true);
        at += 4;
      } else {
        for (; this.#missing > 0; this.#missing--) {
          if (at === end) return -1;
          this.key |= bytes[at++] << (8 * (4 - this.#missing));
        }
      }
      this.#next = complete;
    }
    return at;
  }

  #readLength(bytes: Uint8Array, start: number, end: number, room: number, compressedRoom: number): number {
    let at = start;
    while (this.#missing > 0 && at < end) {
      const byte = bytes[at++];
      if (this.#missing === 8 && byte >= 0x80)
        throw protocolError('a frame has a length of 2^63 or more; the most significant bit must be 0 (RFC 6455 §5.2)');
      this.length = this.length * 256 + byte;
      this.#missing--;
      // Of eight bytes the first six tell, of two both.
      const isTooLong =
        this.#lengthBytes === 8 ? this.#missing === 2 && this.length === 0 : this.#missing === 0 && this.length < 126;
      if (isTooLong) throw protocolError('the length of a frame is not in the shortest form (RFC 6455 §5.2)');
      this.#checkRoom(room, compressedRoom);
    }
    return at;
  }

  #checkRoom(room: number, compressedRoom: number): void {
    if (this.isControl) return;
    // Each byte that is missing from the length makes it at least 256 times as large.
    if (this.length * 256 ** this.#missing > (this.isCompressed ? compressedRoom : room)) throw tooBig();
  }
}

function protocolError(message: string): WebSocketError {
  return new WebSocketError(closeCodes.protocolError, message);
}

export function tooBig(): WebSocketError {
  return new WebSocketError(closeCodes.tooBig, 'a message has more bytes than maxPayloadLength (RFC 6455 §10.4)');
}

function checkFirst(first: number, expected: number): void {
  const opcode = first & opcodeBits;
  const reserved = first & 0x70;
  if (reserved !== 0) {
    if (reserved !== RSV1 || (expected & expecting.compressed) === 0)
      throw protocolError('a frame has a reserved bit that no extension has given a meaning (RFC 6455 §5.2)');
    if (opcode !== opcodes.text && opcode !== opcodes.binary)
      throw protocolError('RSV1 is set on a frame that does not start a message (RFC 7692 §6.1)');
  }
  if ((opcode & controlBit) !== 0) {
    if (opcode > opcodes.pong) throw protocolError(`a frame has the reserved opcode ${opcode} (RFC 6455 §5.2)`);
    if ((first & FIN) === 0) throw protocolError('a control frame is fragmented (RFC 6455 §5.5)');
    return;
  }
  if (opcode > opcodes.binary) throw protocolError(`a frame has the reserved opcode ${opcode} (RFC 6455 §5.2)`);
  const isContinuation = opcode === opcodes.continuation;
  if (isContinuation !== ((expected & expecting.continuation) !== 0))
    throw protocolError(
      isContinuation
        ? 'a continuation frame has no message to continue (RFC 6455 §5.4)'
        : 'a message starts before the last frame of the one before (RFC 6455 §5.4)',
    );
}

function checkSecond(first: number, second: number, expected: number): void {
  const isMasked = (second & maskBit) !== 0;
  if (isMasked !== ((expected & expecting.mask) !== 0))
    throw protocolError(
      isMasked ? 'a server has masked a frame (RFC 6455 §5.1)' : 'a client has not masked a frame (RFC 6455 §5.1)',
    );
  if ((first & controlBit) !== 0 && (second & ~maskBit) > maxControlPayload)
    throw protocolError('a control frame has more than 125 bytes of payload (RFC 6455 §5.5)');
}

/** How many bytes the header of a frame takes. */
export function headerBytes(payloadBytes: number, isMasked: boolean): number {
  const length = payloadBytes <= maxControlPayload ? 2 : payloadBytes <= 0xffff ? 4 : 10;
  return isMasked ? length + 4 : length;
}

/**
 * Writes the header of a frame, for which there is room.
 * @param first FIN, the reserved bits and the opcode
 * @param key the masking key; undefined in frames of a server
 * @returns where the payload starts
 */
export function writeHeader(
  output: Uint8Array,
  start: number,
  first: number,
  payloadBytes: number,
  key: number | undefined,
): number {
  const mask = key === undefined ? 0 : maskBit;
  let at = start;
  output[at++] = first;
  if (payloadBytes <= maxControlPayload) output[at++] = mask | payloadBytes;
  else if (payloadBytes <= 0xffff) {
    output[at++] = mask | 126;
    output[at++] = payloadBytes >>> 8;
    output[at++] = payloadBytes & 255;
  } else {
    output[at++] = mask | 127;
    for (let shift = 56; shift >= 0; shift -= 8) output[at++] = Math.floor(payloadBytes / 2 ** shift) & 255;
  }
  if (key !== undefined) for (let shift = 0; shift < 32; shift += 8) output[at++] = key >>> shift;
  return at;
}

/**
 * Writes a whole frame, for which there is room: `headerBytes` and the payload.
 * @returns where it ends
 */
export function writeFrame(
  output: Uint8Array,
  start: number,
  first: number,
  payload: Uint8Array,
  key: number | undefined,
  payloadBytes = payload.length,
): number {
  const at = writeHeader(output, start, first, payloadBytes, key);
  if (key !== undefined) applyMask(payload, 0, payloadBytes, viewOf(output), at, key);
  else if (payloadBytes < shortCopy) for (let i = 0; i < payloadBytes; i++) output[at + i] = payload[i];
  else output.set(payloadBytes === payload.length ? payload : payload.subarray(0, payloadBytes), at);
  return at + payloadBytes;
}

/** Fewer bytes than this are sooner copied in a loop than by a call. */
const shortCopy = 32;

/** The most bytes that a frame of a text may take. */
export function textFrameRoom(text: string): number {
  return maxHeaderBytes + 3 * text.length;
}

/**
 * Writes a text message as one frame. Half of a surrogate pair becomes U+FFFD.
 * @param output has room for `textFrameRoom`
 * @returns where it ends
 */
export function writeTextFrame(output: OutputMemory, start: number, text: string, key: number | undefined): number {
  let length = likelyByteLength(text);
  let at = writeHeader(output, start, FIN | opcodes.text, length, key);
  if (!writeText(text, length, output, at)) {
    length = Buffer.byteLength(text);
    at = writeHeader(output, start, FIN | opcodes.text, length, key);
    output.utf8Write(text, at, length);
  }
  if (key !== undefined) applyMask(output, at, at + length, viewOf(output), at, key);
  return at + length;
}

/** A message as one frame of a server, to be sent to many clients as it is. */
export function serverFrame(message: string | Uint8Array): Uint8Array<ArrayBuffer> {
  const payload = typeof message === 'string' ? Buffer.from(message) : message;
  const frame = new Uint8Array(headerBytes(payload.length, false) + payload.length);
  writeFrame(frame, 0, FIN | (typeof message === 'string' ? opcodes.text : opcodes.binary), payload, undefined);
  return frame;
}
