// Messages out of the bytes of a connection (RFC 6455 §5.4): frames are unmasked, fragments joined, texts checked and decoded, control frames between
// fragments given out as they come.
//
// A parser belongs to a server, or to a client, and serves all its sockets. What has come of a message in part is in an object that the caller
// keeps for the socket; a socket that is idle has none. Nearly all messages are one frame that came as a whole: these are read where they are.

import { ByteBuilder } from '../util/byte-builder.js';
import type { Pace } from '../util/pace.js';
import { type CloseStatus, closeCodes, readClose } from './close-codes.js';
import { deflatedRoom, type Inflater, type Inflation } from './deflate.js';
import { WebSocketError } from './errors.js';
import { expecting, FrameHeader, maxControlPayload, opcodes } from './frames.js';
import { applyMask, turnMask } from './mask.js';
import { asciiText, checkUtf8, cutBytes, utf8Boundary, utf8Invalid, utf8Text } from './utf8.js';

/**
 * What has come.
 * - `none`: not enough for anything. All bytes are consumed.
 * - `text`, `binary`: a message. `part`: a piece of one.
 * - `ping`, `pong`, `close`: a control frame.
 */
export type Received = 'none' | 'text' | 'binary' | 'part' | 'ping' | 'pong' | 'close';

/** Payload is unmasked in pieces of this many bytes, unless it is looked at as a whole. */
const pieceBytes = 16 * 1024;
/** Frames of up to so many bytes that came as a whole are read without a state. */
const scratchBytes = 64 * 1024;
/** What `nextPart` gives out has this many bytes or more, if there are as many. */
const partBytes = 64 * 1024;

/** Payload is unmasked here: what the event layer lends stays as it is, and a message has no copy of its own before it is complete. */
const scratch = new Uint8Array(scratchBytes);
const scratchView = new DataView(scratch.buffer);

const nothing = new Uint8Array(0);

/** What has come of a message, a frame or a header in part. */
export class PartialMessage {
  /** @internal Of the last frame that has started. */
  readonly header: FrameHeader;
  /** @internal The header is complete, the payload is not. */
  isInFrame = false;
  /** @internal Bytes of payload that are missing from the frame. */
  missing = 0;
  /** @internal The opcode of the message; 0 if none has started. */
  opcode = 0;
  /** @internal */
  isCompressed = false;
  /** @internal Bytes of payload that all frames of the message have so far. */
  length = 0;
  /** @internal The payload of a control frame. */
  control: Uint8Array<ArrayBuffer> = nothing;
  /** @internal What has come of the message and has not been given out. It is still compressed unless there is an `inflation`. */
  content: ByteBuilder | undefined;
  /** @internal Of a text: how far it has been checked. */
  utf8 = utf8Boundary;
  /** @internal It is given out in parts. */
  isInParts = false;
  /** @internal Decompresses the message, if it is given out in parts. */
  inflation: Inflation | undefined;
  /** How fast it comes. The caller makes and reads it. */
  pace: Pace | undefined;
  /** The masking key for the next byte. */
  #key = 0;
  /** What had come when the inflation started; decompressed up to `#backlogAt`. */
  #backlog = nothing;
  #backlogAt = 0;

  /** @internal */
  constructor(header: FrameHeader) {
    this.header = header;
  }

  /** Bytes of memory that its content takes. */
  get held(): number {
    return (this.content?.capacity ?? 0) + this.#backlog.length + this.control.length;
  }

  /** Bytes of payload that have come. Control frames in between do not count. */
  get received(): number {
    return this.length - (this.isInFrame && !this.header.isControl ? this.missing : 0);
  }

  /** How much `held` grows at most when `next` reads so many bytes more. */
  growth(count: number): number {
    return this.content?.growth(count) ?? Math.max(count, maxControlPayload);
  }

  /** Gives back what it holds. To be called when the socket is closed before the message is complete. */
  release(): void {
    this.inflation?.release();
    this.inflation = undefined;
    this.content = undefined;
    this.#backlog = nothing;
  }

  /** @internal Bytes that can be given out as a part. */
  get available(): number {
    return (this.content?.length ?? 0) - cutBytes(this.utf8);
  }

  /** @internal The header is complete. */
  startFrame(): void {
    const { header } = this;
    this.isInFrame = true;
    this.missing = header.length;
    this.#key = header.key;
    if (header.isControl) {
      this.control = new Uint8Array(header.length);
      return;
    }
    this.length += header.length;
    if (this.opcode !== 0) return;
    this.opcode = header.opcode;
    this.isCompressed = header.isCompressed;
    this.content = new ByteBuilder(header.isFinal ? header.length : undefined);
  }

  /** @internal Takes what has come of a control frame's payload. @returns where it ends */
  addControl(bytes: Uint8Array, from: number, end: number): number {
    const { control } = this;
    const count = this.#unmask(bytes, from, end);
    for (let i = 0, at = control.length - this.missing; i < count; i++, at++) control[at] = scratch[i];
    this.#consume(count);
    return from + count;
  }

  /** @internal The same for a data frame. @throws {WebSocketError} 1007 if the bytes cannot be in a text */
  addPayload(bytes: Uint8Array, from: number, end: number): number {
    const isText = this.opcode === opcodes.text && !this.isCompressed;
    let at = from;
    while (this.missing > 0 && at < end) {
      const count = this.#unmask(bytes, at, end);
      this.#add(scratch, count, isText);
      this.#consume(count);
      at += count;
    }
    return at;
  }

  /** @internal From now on it is given out in parts, and decompressed as it comes. */
  startInflation(inflater: Inflater | undefined, most: number): void {
    if (inflater === undefined) throw new Error('a message is compressed, and there is no inflater');
    if (this.inflation === undefined) {
      this.isInParts = true;
      this.inflation = inflater.start(most);
      this.#backlog = this.content?.toBytes() ?? nothing;
      this.content = new ByteBuilder();
    }
    this.#drain();
  }

  /** @internal `addPayload`, decompressed: up to about `partBytes`. */
  inflate(bytes: Uint8Array, from: number, end: number): number {
    const { inflation } = this;
    let at = from;
    while (inflation !== undefined && this.missing > 0 && at < end && this.available < partBytes) {
      const used = inflation.add(scratch, 0, this.#unmask(bytes, at, end));
      this.#takeInflated(inflation);
      this.#consume(used);
      at += used;
    }
    this.#drain();
    return at;
  }

  /** @internal All of the message has come. */
  finishInflation(): void {
    const { inflation } = this;
    if (inflation === undefined) return;
    for (let isOver = false; !isOver; this.#takeInflated(inflation)) isOver = inflation.finish();
    inflation.release();
    this.inflation = undefined;
  }

  /** @internal What can be given out as a part. */
  take(): string | Uint8Array<ArrayBuffer> {
    const bytes = this.content?.toBytes() ?? new Uint8Array(0);
    this.isInParts = true;
    this.content = new ByteBuilder();
    if (this.opcode === opcodes.binary) return bytes;
    const end = bytes.length - cutBytes(this.utf8);
    this.content.add(bytes, end);
    return utf8Text(bytes, 0, end);
  }

  /** Decompresses what came before the next bytes. */
  #drain(): void {
    const { inflation } = this;
    while (inflation !== undefined && this.available < partBytes) {
      const backlog = this.#backlog;
      if (backlog === nothing && !inflation.hasMore) return;
      this.#backlogAt += inflation.add(backlog, this.#backlogAt, backlog.length);
      this.#takeInflated(inflation);
      if (this.#backlogAt < backlog.length) continue;
      this.#backlog = nothing;
      this.#backlogAt = 0;
    }
  }

  #takeInflated(inflation: Inflation): void {
    this.#add(inflation.bytes, inflation.filled, this.opcode === opcodes.text);
    inflation.filled = 0;
  }

  #add(bytes: Uint8Array, count: number, isText: boolean): void {
    if (isText) {
      this.utf8 = checkUtf8(bytes, 0, count, this.utf8);
      if (this.utf8 === utf8Invalid) throw notUtf8();
    }
    this.content?.add(bytes, 0, count);
  }

  /** Unmasks the next bytes of the payload, as many as are there, or a piece. @returns how many: they are in `scratch` */
  #unmask(bytes: Uint8Array, from: number, end: number): number {
    const count = Math.min(this.missing, end - from, pieceBytes);
    applyMask(bytes, from, from + count, scratchView, 0, this.#key);
    return count;
  }

  #consume(count: number): void {
    this.missing -= count;
    this.#key = turnMask(this.#key, count);
  }
}

/** Reads messages. What a call leaves in its members is valid until its next call, for whatever socket: it is to be taken before user code runs. */
export class MessageParser {
  /** Where the last call stopped reading. */
  position = 0;
  /** What the last call has left for the next one of the same socket. */
  partial: PartialMessage | undefined;
  /** The message, the part, or the payload of a ping or pong. Its memory is the caller's. */
  data: string | Uint8Array<ArrayBuffer> = '';
  /** A part is the last one of its message. */
  isLast = false;
  /** What a Close frame says. */
  close: CloseStatus = { code: closeCodes.noStatus, reason: '' };
  readonly maxPayloadLength: number;
  /** `expecting.mask` if the peer is a client. */
  readonly #expected: number;
  readonly #compressedRoom: number;
  /** Of the next frame that comes as a whole. */
  #header = new FrameHeader();

  /** @param maxPayloadLength the most bytes that a message may have, when it has been decompressed */
  constructor(role: 'server' | 'client', maxPayloadLength: number) {
    this.#expected = role === 'server' ? expecting.mask : 0;
    this.maxPayloadLength = maxPayloadLength;
    this.#compressedRoom = deflatedRoom(maxPayloadLength);
  }

  /**
   * Reads up to the end of the next message or control frame. What is left of a message that `nextPart` has started is skipped.
   * @param partial what the last call for this socket has left in `partial`
   * @param inflater if permessage-deflate has been negotiated
   * @throws {WebSocketError} The socket is to be failed with the close code of the error. It must not be read any further
   */
  next(
    bytes: Uint8Array,
    start: number,
    end: number,
    partial: PartialMessage | undefined,
    inflater: Inflater | undefined,
  ): Received {
    if (partial !== undefined)
      return partial.isInParts
        ? this.#skip(partial, bytes, start, end, inflater)
        : this.#read(partial, bytes, start, end, inflater);
    const header = this.#header;
    header.reset(); // the last socket's may have been refused in the middle
    const expected = inflater === undefined ? this.#expected : this.#expected | expecting.compressed;
    const at = header.read(bytes, start, end, expected, this.maxPayloadLength, this.#compressedRoom);
    const { length } = header;
    if (at !== -1 && header.isFinal && length <= end - at && length <= scratchBytes) {
      this.partial = undefined;
      this.position = at + length;
      return this.#whole(header, bytes, at, inflater);
    }
    if (start === end) {
      this.partial = undefined;
      return this.#none(end);
    }
    const started = this.#keepHeader();
    if (at === -1) return this.#none(end);
    started.startFrame();
    return this.#read(started, bytes, at, end, inflater);
  }

  /**
   * Reads a part of a message, so that it is never in memory as a whole: what has come of it, or about 64 KiB. Parts of a text end with a whole code
   * point. Of a message that `next` has started, the first part is all that has come. Control frames come in between, as they do from `next`.
   * It is to be called until it returns `none`, even when no bytes are left: few bytes may have much content.
   * @param partial, inflater see `next`
   * @param most the most bytes that the message may have
   * @throws {WebSocketError} as `next`
   */
  nextPart(
    bytes: Uint8Array,
    start: number,
    end: number,
    partial: PartialMessage | undefined,
    inflater: Inflater | undefined,
    most = this.maxPayloadLength,
  ): Received {
    if (partial === undefined && start === end) {
      this.partial = undefined;
      return this.#none(end);
    }
    if (partial === undefined) this.#header.reset();
    const message = partial ?? this.#keepHeader();
    this.partial = message;
    if (message.isCompressed) {
      message.startInflation(inflater, most);
      if (message.available >= partBytes) return this.#part(message, start, false);
    }
    let at = start;
    for (;;) {
      if (!message.isInFrame) {
        const compressedRoom = deflatedRoom(most);
        const room = (message.isCompressed ? compressedRoom : most) - message.length;
        const after = this.#readHeader(message, bytes, at, end, inflater, room, compressedRoom);
        if (after === -1) return this.#partOrNone(message, end);
        at = after;
      }
      if (message.header.isControl) {
        at = message.addControl(bytes, at, end);
        return message.missing > 0 ? this.#none(at) : this.#control(message, at);
      }
      if (message.isCompressed) message.startInflation(inflater, most);
      at = message.inflation === undefined ? message.addPayload(bytes, at, end) : message.inflate(bytes, at, end);
      if (message.missing > 0 || message.inflation?.hasMore) return this.#partOrNone(message, at);
      message.isInFrame = false;
      if (message.header.isFinal) return this.#part(message, at, true);
    }
  }

  #skip(
    partial: PartialMessage,
    bytes: Uint8Array,
    start: number,
    end: number,
    inflater: Inflater | undefined,
  ): Received {
    for (let at = start; ; at = this.position) {
      const received = this.nextPart(bytes, at, end, partial, inflater, Infinity);
      if (received !== 'part') return received;
      if (this.isLast) return this.next(bytes, this.position, end, undefined, inflater);
    }
  }

  /** `next`, of what has come in part. */
  #read(
    message: PartialMessage,
    bytes: Uint8Array,
    start: number,
    end: number,
    inflater: Inflater | undefined,
  ): Received {
    this.partial = message;
    let at = start;
    for (;;) {
      if (!message.isInFrame) {
        const room = (message.isCompressed ? this.#compressedRoom : this.maxPayloadLength) - message.length;
        const after = this.#readHeader(message, bytes, at, end, inflater, room, this.#compressedRoom);
        if (after === -1) return this.#none(end);
        at = after;
      }
      if (message.header.isControl) {
        at = message.addControl(bytes, at, end);
        return message.missing > 0 ? this.#none(at) : this.#control(message, at);
      }
      at = message.addPayload(bytes, at, end);
      if (message.missing > 0) return this.#none(at);
      message.isInFrame = false;
      if (!message.header.isFinal) continue;
      this.partial = undefined;
      this.position = at;
      const content = message.content?.toBytes() ?? new Uint8Array(0);
      if (message.isCompressed) return this.#inflated(message.opcode, content, content.length, inflater);
      if (message.opcode === opcodes.binary) return this.#binary(content);
      if (message.utf8 !== utf8Boundary) throw notUtf8();
      return this.#text(utf8Text(content, 0, content.length));
    }
  }

  /** Reads a frame's header. @returns where its payload starts; -1 if its end has not come */
  #readHeader(
    message: PartialMessage,
    bytes: Uint8Array,
    start: number,
    end: number,
    inflater: Inflater | undefined,
    room: number,
    compressedRoom: number,
  ): number {
    let expected = this.#expected;
    if (inflater !== undefined) expected |= expecting.compressed;
    if (message.opcode !== 0) expected |= expecting.continuation;
    const at = message.header.read(bytes, start, end, expected, room, compressedRoom);
    if (at !== -1) message.startFrame();
    return at;
  }

  /** What comes in part has a header of its own, which may be incomplete. */
  #keepHeader(): PartialMessage {
    const message = new PartialMessage(this.#header);
    this.#header = new FrameHeader();
    this.partial = message;
    return message;
  }

  #none(at: number): Received {
    this.position = at;
    return 'none';
  }

  #text(text: string): Received {
    this.data = text;
    return 'text';
  }

  #binary(bytes: Uint8Array<ArrayBuffer>): Received {
    this.data = bytes;
    return 'binary';
  }

  /** A frame that has come as a whole, and is all of its message. */
  #whole(
    { opcode, isCompressed, key, length }: FrameHeader,
    bytes: Uint8Array,
    at: number,
    inflater: Inflater | undefined,
  ): Received {
    const hasOther = applyMask(bytes, at, at + length, scratchView, 0, key);
    if (isCompressed) return this.#inflated(opcode, scratch, length, inflater);
    if (opcode === opcodes.text) {
      if (!hasOther) return this.#text(asciiText(scratch, 0, length));
      if (checkUtf8(scratch, 0, length, utf8Boundary) !== utf8Boundary) throw notUtf8();
      return this.#text(utf8Text(scratch, 0, length));
    }
    const payload = scratch.slice(0, length);
    return opcode === opcodes.binary ? this.#binary(payload) : this.#controlFrame(opcode, payload);
  }

  #inflated(opcode: number, payload: Uint8Array, length: number, inflater: Inflater | undefined): Received {
    if (inflater === undefined) throw new Error('a message is compressed, and there is no inflater');
    inflater.inflate(payload, 0, length, this.maxPayloadLength);
    const { bytes } = inflater;
    if (opcode === opcodes.binary) return this.#binary(inflater.isOwn ? bytes : bytes.slice(0, inflater.length));
    if (checkUtf8(bytes, 0, inflater.length, utf8Boundary) !== utf8Boundary) throw notUtf8();
    return this.#text(utf8Text(bytes, 0, inflater.length));
  }

  #control(message: PartialMessage, at: number): Received {
    const { control } = message;
    message.control = nothing;
    message.isInFrame = false;
    this.position = at;
    if (message.opcode === 0) this.partial = undefined;
    return this.#controlFrame(message.header.opcode, control);
  }

  #controlFrame(opcode: number, payload: Uint8Array<ArrayBuffer>): Received {
    this.data = payload;
    if (opcode === opcodes.ping) return 'ping';
    if (opcode === opcodes.pong) return 'pong';
    this.close = readClose(payload);
    return 'close';
  }

  #partOrNone(message: PartialMessage, at: number): Received {
    return message.available > 0 ? this.#part(message, at, false) : this.#none(at);
  }

  #part(message: PartialMessage, at: number, isLast: boolean): Received {
    this.position = at;
    this.isLast = isLast;
    if (isLast) {
      this.partial = undefined;
      message.finishInflation();
      if (message.utf8 !== utf8Boundary) throw notUtf8();
    }
    this.data = message.take();
    return 'part';
  }
}

function notUtf8(): WebSocketError {
  return new WebSocketError(closeCodes.invalidData, 'a text message is not UTF-8 (RFC 6455 §8.1)');
}
