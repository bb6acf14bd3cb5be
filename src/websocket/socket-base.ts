// What every WebSocket does on its connection, whichever face it shows to users: frames out, messages in, pings answered, the closing handshake
// (RFC 6455 §7). It is the record of its slot: the network tells it of each event, and it writes straight into the transport.

import type { Owner, SlotRecord } from '../connection/network.js';
import { ConnectionError, pieceSize, type Slot } from '../event-layer/event-layer.js';
import type { ThreadError } from '../threads/errors.js';
import type { Scheduler } from '../threads/scheduler.js';
import type { Thread } from '../threads/thread.js';
import type { BaseTopic, SubscribeOptions } from '../topics/topic.js';
import { viewOf } from '../util/fast-bytes.js';
import { isInstance } from '../util/inspect.js';
import { Pace, type PaceLimit } from '../util/pace.js';
import { type CloseStatus, closeCodes, closePayload } from './close-codes.js';
import type { Compression } from './compression.js';
import { WebSocketError } from './errors.js';
import { type FollowedSocket, Following } from './following.js';
import {
  FIN,
  headerBytes,
  maxHeaderBytes,
  opcodes,
  RSV1,
  textFrameRoom,
  writeHeader,
  writeTextFrame,
} from './frames.js';
import { applyMask, newMask, turnMask } from './mask.js';
import type { MessageParser, PartialMessage } from './messages.js';
import type { OutputWatch, WatchedSocket } from './output-watch.js';
import type { Unfinished, UnfinishedMessages } from './unfinished.js';

/** What is the same for all sockets of a server, or for one of a client. */
export interface SocketEndpoint {
  readonly owner: Owner;
  readonly parser: MessageParser;
  /** Its sockets are a client's: what they send is masked (RFC 6455 §5.3). */
  readonly isClient: boolean;
  /** How long the peer may take for its part of the closing handshake, in milliseconds. */
  readonly closeTimeout: number;
  /** How long nothing may come before a ping is sent, in milliseconds; `Infinity` for ever. */
  readonly pingAfter: number;
  /** How long after that the connection is reset if still nothing has come. */
  readonly pongTimeout: number;
  /** Whether there is a ping in between. */
  readonly sendsPings: boolean;
  /** How slowly a message may come. */
  readonly messagePace: PaceLimit;
  /** The messages that have come in part, of all sockets that share a limit on memory. */
  readonly unfinished: UnfinishedMessages;
  /** Resets peers that take no output; undefined where they may take as long as they like. */
  readonly outputWatch: OutputWatch | undefined;
  /** Ends the connection by FIN, behind what is queued for it. @param thread works for it, and may go on for a while */
  end(slot: Slot, thread: Thread<unknown> | undefined): void;
}

/** In one number: a field for each would take 8 bytes in every WebSocket. Those of its two faces begin with `firstOwnFlag`. */
const Flag = {
  /** Our Close frame has been sent. */
  closeSent: 1,
  /** The peer's has come, or nothing can come any more. */
  closeReceived: 2,
  /** The connection is gone, or this side has ended it. */
  over: 4,
  /** Nothing has come for `pingAfter`. */
  quiet: 8,
  /** `concluded` has been called. */
  concluded: 16,
  /** This side has sent its Close frame before the peer. */
  closedFirst: 32,
  /** Messages are given out in parts. */
  inParts: 64,
  /** `notifyFlushed` of the transport has been called, and `flushed` has not. */
  flushAwaited: 128,
  /** `OutputWatch.sent` has been called for what is queued. */
  outputWatched: 256,
  /** `OutputWatch.sent` is to be called for all output. */
  outputWaits: 512,
} as const;

/** @internal */
export const firstOwnFlag = 1024;

/** Pongs are not queued behind more output than this: a peer that sends pings and reads nothing gets none. */
const mostQueuedForPong = 64 * 1024;

/** Why sockets were ended from here, besides by the program. They are few, so they have no field for it. */
const failures = new WeakMap<SocketBase, Error>();

// Its methods are `private` and not `#`: for one #method, the engine gives every object of the class one more field.
export abstract class SocketBase implements SlotRecord, FollowedSocket, WatchedSocket, Unfinished {
  /** @internal */
  readonly slot: Slot;
  /** @internal */
  readonly endpoint: SocketEndpoint;
  /** If permessage-deflate has been negotiated. */
  readonly #compression: Compression | undefined;
  #flags = 0;
  /** The message that has come in part. */
  #partial: PartialMessage | undefined;
  /** Topics that are piped to it. */
  #followings: Set<Following> | undefined;

  constructor(endpoint: SocketEndpoint, slot: Slot, compression: Compression | undefined) {
    this.endpoint = endpoint;
    this.slot = slot;
    this.#compression = compression;
  }

  /** @internal */
  abstract readonly thread: Thread<unknown> | undefined;
  /** @internal */
  abstract readonly peer: string;
  /** @internal A message has come, or a part of one. @param isLast nothing more comes of this message */
  protected abstract message(data: string | Uint8Array<ArrayBuffer>, isLast: boolean): void;
  /** @internal The messages that have come together have been reported: something else follows, or nothing. */
  protected messagesReported(): void {}
  /** @internal A ping has come, and has been answered. */
  protected abstract pinged(payload: Uint8Array<ArrayBuffer>): void;
  /** @internal */
  protected abstract ponged(payload: Uint8Array<ArrayBuffer>): void;
  /**
   * @internal
   * Nothing more can come. Called once.
   * @param code that of the peer's Close frame; 1006 if none has come
   * @param isAnswer this side had sent its Close frame first
   */
  protected abstract concluded(code: number, reason: string, isAnswer: boolean): void;
  /** @internal There is room for output. */
  protected abstract writableAgain(): void;

  /**
   * Sends each message of a topic from now on, or from where `options` say: text as it is, bytes as binary, anything else as JSON, unless the topic
   * encodes it otherwise. No thread runs for that. It ends with the WebSocket, or with the topic: then the WebSocket stays open. Following a topic twice sends its messages
   * twice.
   * @returns what stops it, and tells its end
   * @throws {TypeError} for what is no topic, and for a client's WebSocket, whose frames cannot be the same for many (RFC 6455 §5.3)
   * @throws {ThreadError} `ERR_TOPIC_CLOSED`
   */
  follow<M>(topic: BaseTopic<M>, options: SubscribeOptions = {}): Following<M> {
    if (this.endpoint.isClient)
      throw new TypeError('follow: this is the WebSocket of a client; expected one of a server');
    const following = new Following<M>(this, topic, options);
    this.#followings ??= new Set();
    this.#followings.add(following);
    if (!this.isOpen) following.stop();
    return following;
  }

  /** @internal See `FollowedSocket`. */
  get scheduler(): Scheduler {
    return this.endpoint.owner.network.scheduler;
  }

  /** @internal See `FollowedSocket`. */
  get hasRoom(): boolean {
    const { queuedBytes } = this.endpoint.owner;
    return this.queued < queuedBytes || this.pushed() < queuedBytes;
  }

  /** Hands the output to the kernel: a client may only seem slow because the turn is not over. @returns bytes that are still queued */
  protected pushed(): number {
    if (!this.isOver) this.endpoint.owner.transport.push(this.slot);
    return this.queued;
  }

  /** @internal See `FollowedSocket`. */
  notifyRoom(): void {
    if (this.isOver || this.hasFlag(Flag.flushAwaited)) return;
    this.#flags |= Flag.flushAwaited;
    this.endpoint.owner.transport.notifyFlushed(this.slot);
  }

  /** @internal See `FollowedSocket`. */
  disconnect(reason: ThreadError): void {
    this.thread?.unwind(reason);
    this.giveUp(reason);
  }

  /** @internal See `FollowedSocket`. */
  dropFollowing(following: Following): void {
    this.#followings?.delete(following);
  }

  private stopFollowing(): void {
    for (const following of this.#followings ?? []) following.stop();
    this.#followings = undefined;
  }

  /** @internal */
  protected hasFlag(flag: number): boolean {
    return (this.#flags & flag) !== 0;
  }

  /** @internal */
  protected setFlag(flag: number, isSo: boolean): void {
    if (isSo) this.#flags |= flag;
    else this.#flags &= ~flag;
  }

  /** Messages may be sent. */
  get isOpen(): boolean {
    return (this.#flags & (Flag.closeSent | Flag.concluded | Flag.over)) === 0;
  }

  /** @internal Nothing more will come. */
  get hasEnded(): boolean {
    return (this.#flags & (Flag.closeReceived | Flag.over)) !== 0;
  }

  /** @internal The connection is gone, or ended from here. */
  get isOver(): boolean {
    return this.hasFlag(Flag.over);
  }

  /**
   * Why the WebSocket was ended from here, other than by the program: the rule that the peer broke (a `WebSocketError`, whose `closeCode` the peer was
   * sent), or what it has not done in time. Undefined if it was not.
   */
  get error(): Error | undefined {
    return failures.get(this);
  }

  // Sending.

  /** Output is about to be queued. */
  private noteOutput(bytes: number): void {
    // What nearly always is so is found by one look at the flags.
    if ((this.#flags & (Flag.outputWatched | Flag.outputWaits)) === Flag.outputWatched) return;
    this.#flags |= Flag.outputWatched;
    this.endpoint.outputWatch?.sent(this, bytes);
  }

  /** @internal See `WatchedSocket`. */
  get isAwaited(): boolean {
    return false;
  }

  /** @internal See `WatchedSocket`. */
  outputLeft(): void {
    this.#flags &= ~(Flag.outputWatched | Flag.outputWaits);
  }

  /** @internal See `WatchedSocket`. */
  outputWaits(): void {
    this.#flags |= Flag.outputWaits;
  }

  /** @internal See `WatchedSocket`. */
  tooSlow(): void {
    const timeout = this.endpoint.outputWatch?.timeout;
    const message = `the peer has taken no output, or too little, for ${timeout} ms or more`;
    this.giveUp(new ConnectionError('ERR_WRITE_TIMEOUT', message));
  }

  /** @internal Bytes of output that have not left. */
  get queued(): number {
    return this.isOver ? 0 : this.endpoint.owner.transport.queued(this.slot);
  }

  /** @internal Sends a message as one frame. The caller has seen that the socket is open. @param threshold see `Compression.compress` @returns bytes of the frame */
  protected put(data: string | Uint8Array, threshold?: number): number {
    const compression = this.#compression;
    if (compression?.compress(data, threshold)) {
      const { bytes, length } = compression.deflater;
      const opcode = typeof data === 'string' ? opcodes.text : opcodes.binary;
      return this.putBytes(FIN | RSV1 | opcode, bytes.length === length ? bytes : bytes.subarray(0, length));
    }
    if (typeof data !== 'string') return this.putBytes(FIN | opcodes.binary, data);
    const room = textFrameRoom(data);
    if (room > pieceSize) return this.putBytes(FIN | opcodes.text, new TextEncoder().encode(data));
    const { owner, isClient } = this.endpoint;
    const { transport } = owner;
    this.noteOutput(room);
    const at = transport.reserve(this.slot, room);
    const end = writeTextFrame(transport.output, at, data, isClient ? newMask() : undefined);
    transport.commit(this.slot, end);
    return end - at;
  }

  /** @internal Compresses a message that is to be sent in several frames. @returns a copy; undefined if it is to be sent as it is */
  protected compressed(data: string | Uint8Array): Uint8Array | undefined {
    const compression = this.#compression;
    if (!compression?.compress(data)) return undefined;
    const { bytes, length } = compression.deflater;
    return bytes.slice(0, length);
  }

  /** @internal Sends a frame of a message that has several. @param first the opcode of the message, with RSV1 if it is compressed; 0 for all but the first */
  protected putFragment(first: number, payload: Uint8Array, isLast: boolean): void {
    this.putBytes(isLast ? FIN | first : first, payload);
  }

  /** @internal The compression, if all sockets with the same parameters can be sent the same compressed bytes. */
  get sharedCompression(): Compression | undefined {
    return this.#compression?.isShared ? this.#compression : undefined;
  }

  /** @internal Sends a whole frame that has been made before. */
  putFrame(frame: Uint8Array): void {
    const { transport } = this.endpoint.owner;
    this.noteOutput(frame.length);
    for (let from = 0; from < frame.length; from += pieceSize) {
      const piece = from === 0 && frame.length <= pieceSize ? frame : frame.subarray(from, from + pieceSize);
      const at = transport.reserve(this.slot, piece.length);
      transport.output.set(piece, at);
      transport.commit(this.slot, at + piece.length);
    }
  }

  private putBytes(first: number, payload: Uint8Array): number {
    const { owner, isClient } = this.endpoint;
    const { transport } = owner;
    const key = isClient ? newMask() : undefined;
    const { length } = payload;
    const header = headerBytes(length, isClient);
    this.noteOutput(header + length);
    let at = transport.reserve(this.slot, Math.min(pieceSize, maxHeaderBytes + length));
    let end = writeHeader(transport.output, at, first, length, key);
    let room = Math.min(pieceSize, maxHeaderBytes + length) - header;
    for (let from = 0; ; ) {
      const to = Math.min(length, from + room);
      if (key === undefined)
        transport.output.set(from === 0 && to === length ? payload : payload.subarray(from, to), end);
      else applyMask(payload, from, to, viewOf(transport.output), end, turnMask(key, from));
      transport.commit(this.slot, end + to - from);
      from = to;
      if (from === length) return header + length;
      room = Math.min(pieceSize, length - from);
      at = transport.reserve(this.slot, room);
      end = at;
    }
  }

  private control(opcode: number, payload: Uint8Array): void {
    this.putBytes(FIN | opcode, payload);
  }

  /** @internal */
  protected putPing(payload: Uint8Array): void {
    this.control(opcodes.ping, payload);
  }

  /** @internal */
  protected putPong(payload: Uint8Array): void {
    this.control(opcodes.pong, payload);
  }

  // Closing.

  /** @internal Starts the closing handshake, or answers the peer's. @param code undefined for a frame without one */
  protected sendClose(code: number | undefined, reason: string): void {
    if (!this.isOpen) return;
    if (!this.hasFlag(Flag.closeReceived)) {
      const { owner, closeTimeout } = this.endpoint;
      this.#flags |= Flag.closedFirst;
      this.setDeadline(owner.network.scheduler.now + closeTimeout);
    }
    this.closeFrame(code, reason);
  }

  private closeFrame(code: number | undefined, reason: string): void {
    this.control(opcodes.close, closePayload(code, reason));
    this.#flags |= Flag.closeSent;
  }

  /** @internal Sets until when something is to come. @param time milliseconds of the scheduler's clock */
  protected setDeadline(time: number): void {
    this.endpoint.owner.network.setDeadline(this.slot, time);
  }

  /** @internal Ends the connection at once, by RST. Nothing of what has come behind this is looked at. */
  protected abort(): void {
    if (this.isOver) return;
    this.#flags |= Flag.over | Flag.closeReceived;
    this.endpoint.owner.transport.reset(this.slot);
  }

  /** @internal The same, because of what the peer does, or does not. */
  protected giveUp(error: Error): void {
    if (this.isOver) return;
    failures.set(this, error);
    this.abort();
  }

  /** @internal Ends the connection by FIN: both sides have sent a Close frame, or the peer has failed. */
  protected end(): void {
    if (this.isOver) return;
    this.#flags |= Flag.over;
    this.endpoint.end(this.slot, this.thread);
  }

  /** The peer broke a rule: the Close frame for it says which, and nothing of what it has sent behind that is looked at. */
  private fail(error: WebSocketError): void {
    this.#flags |= Flag.closeReceived;
    failures.set(this, error);
    if (this.isOpen) this.closeFrame(error.closeCode, '');
    this.conclude(closeCodes.abnormal, ''); // RFC 6455 §7.1.5: no Close frame has come
    this.end();
  }

  /** Gives back what a message has that has come in part. @param counted as how many bytes it was counted last */
  private dropPartial(counted = this.#partial?.held ?? 0): void {
    this.#partial?.release();
    this.#partial = undefined;
    if (counted > 0) this.endpoint.unfinished.changed(this, counted, 0);
  }

  private conclude(code: number, reason: string): void {
    if (this.hasFlag(Flag.concluded)) return;
    this.#flags |= Flag.concluded;
    this.stopFollowing();
    this.concluded(code, reason, this.hasFlag(Flag.closedFirst));
  }

  /** @internal `concluded` has been called. */
  protected get isConcluded(): boolean {
    return this.hasFlag(Flag.concluded);
  }

  // Receiving.

  /** @internal What has come is not to be read on for now: as many messages wait as may. */
  protected get isFull(): boolean {
    return false;
  }

  /** @internal From now on messages are given out in parts. */
  protected startParts(): void {
    this.#flags |= Flag.inParts;
  }

  /** @internal Messages are given out in parts. */
  protected get isInParts(): boolean {
    return this.hasFlag(Flag.inParts);
  }

  /**
   * @internal Reads frames: as many as there are, up to the peer's end, or until it is full.
   * @returns how far it has read; nothing behind the peer's end is looked at, and counts as read
   */
  protected read(bytes: Uint8Array, start: number, end: number): number {
    let at = start;
    // Where messages come in parts, there may be more of one that has come as a whole, and is still being decompressed.
    while (at < end || this.hasFlag(Flag.inParts)) {
      if ((this.#flags & (Flag.closeReceived | Flag.over)) !== 0) break;
      if (this.isFull) {
        this.stopWaiting();
        this.messagesReported();
        return at;
      }
      const counted = this.#partial?.held ?? 0;
      try {
        at = this.readNext(bytes, at, end, counted);
        if (at === -1) break;
      } catch (error) {
        if (!isInstance(error, WebSocketError)) throw error;
        const { parser } = this.endpoint;
        parser.partial?.release();
        parser.partial = undefined;
        this.dropPartial(counted);
        this.messagesReported();
        this.fail(error);
        return end;
      }
    }
    this.messagesReported();
    if (this.#partial !== undefined) this.awaitRest(this.#partial);
    return end;
  }

  /** A message has come in part. */
  private awaitRest(partial: PartialMessage): void {
    const { messagePace, owner } = this.endpoint;
    const { now } = owner.network.scheduler;
    partial.pace ??= new Pace(messagePace, now);
    partial.pace.note(messagePace, now, partial.received);
    this.awaitInput();
  }

  /** Reads up to the next message or control frame. @returns where it ends; -1 if there was none @throws {WebSocketError} */
  private readNext(bytes: Uint8Array, start: number, end: number, counted: number): number {
    const { parser, unfinished } = this.endpoint;
    const inflater = this.#compression?.inflater;
    if (this.#partial !== undefined) this.makeRoom(counted, this.#partial.growth(end - start));
    const received = this.hasFlag(Flag.inParts)
      ? parser.nextPart(bytes, start, end, this.#partial, inflater)
      : parser.next(bytes, start, end, this.#partial, inflater);
    const { position, partial, data, isLast, close } = parser; // all sockets share it, and what is called below may use it
    this.#partial = partial;
    parser.partial = undefined;
    const held = partial?.held ?? 0;
    if (held > counted) this.makeRoom(counted, held - counted); // if it throws, the caller gives back what was counted
    if (held !== counted) unfinished.changed(this, counted, held);
    switch (received) {
      case 'none':
        return -1;
      case 'text':
      case 'binary':
        this.message(data, true);
        break;
      case 'part':
        this.message(data, isLast);
        break;
      case 'ping':
        this.messagesReported();
        this.answer(bytesOf(data));
        break;
      case 'pong':
        this.messagesReported();
        this.ponged(bytesOf(data));
        break;
      case 'close':
        this.messagesReported();
        this.peerClosed(close);
        break;
    }
    return position;
  }

  /** @throws {WebSocketError} 1013 if there is no memory for more of its message */
  private makeRoom(held: number, more: number): void {
    if (more > 0 && !this.endpoint.unfinished.makeRoom(this, held, more)) throw this.noMemory();
  }

  /** @internal See `Unfinished`. */
  get held(): number {
    return this.#partial?.held ?? 0;
  }

  /** @internal See `Unfinished`. */
  refuseMessage(): void {
    this.dropPartial();
    this.fail(this.noMemory());
  }

  private noMemory(): WebSocketError {
    this.endpoint.owner.buffers.refused++;
    return new WebSocketError(
      closeCodes.tryAgainLater,
      'maxBufferedBytes is reached: there is no memory for the message',
    );
  }

  private answer(payload: Uint8Array<ArrayBuffer>): void {
    if (this.isOpen && this.queued <= mostQueuedForPong) this.putPong(payload);
    this.pinged(payload);
  }

  private peerClosed({ code, reason }: CloseStatus): void {
    this.#flags |= Flag.closeReceived;
    this.dropPartial();
    this.peerEnded(code, reason);
  }

  /** @internal The peer has sent a Close frame; or FIN without one, then the code is 1006. */
  protected peerEnded(code: number, reason: string): void {
    this.finishClosing(code, reason);
  }

  /** @internal Does this side's part in closing, after the peer has ended. */
  protected finishClosing(code: number, reason: string): void {
    const isLost = code === closeCodes.abnormal;
    // RFC 6455 §5.5.1: the answer has the same code.
    if (this.isOpen && !isLost) this.closeFrame(code === closeCodes.noStatus ? undefined : code, '');
    this.conclude(code, reason);
    // RFC 6455 §7.1.1: the server ends the connection first; a client waits for that, so that TIME_WAIT is the server's.
    const { isClient, owner, closeTimeout } = this.endpoint;
    if (isLost || !isClient) this.end();
    else this.setDeadline(owner.network.scheduler.now + closeTimeout);
  }

  // What the network reports; see `SlotRecord`.

  /** @internal */
  received(bytes: Uint8Array, start: number, end: number): void {
    this.inputSeen();
    this.read(bytes, start, end);
  }

  /** @internal Something has come: the peer is there. */
  protected inputSeen(): void {
    this.#flags &= ~Flag.quiet;
    this.awaitInput();
  }

  /** @internal */
  ended(): void {
    if (this.hasFlag(Flag.closeReceived)) {
      if (this.isConcluded) this.end(); // a client's: the server has ended the connection
      return;
    }
    this.#flags |= Flag.closeReceived;
    this.dropPartial();
    this.peerEnded(closeCodes.abnormal, '');
  }

  /** @internal */
  expired(): void {
    if (this.isOver) return;
    const { owner, pongTimeout, sendsPings, messagePace, closeTimeout } = this.endpoint;
    const { network } = owner;
    if (!this.isOpen) {
      // The peer does not do its part in closing.
      this.#flags |= Flag.closeReceived;
      this.dropPartial();
      if (!this.isConcluded) failures.set(this, notInTime(`no Close frame has come for ${closeTimeout} ms`));
      this.conclude(closeCodes.abnormal, '');
      this.end();
      return;
    }
    if ((this.#partial?.pace?.until ?? Infinity) <= network.scheduler.due) {
      const message = `a message has paused for ${messagePace.timeout} ms, or comes at less than ${messagePace.rate} bytes a second`;
      this.dropPartial();
      this.fail(new WebSocketError(closeCodes.policyViolation, message));
      return;
    }
    const isTaking = network.extraTimeForOutput(this.slot, pongTimeout) > 0; // a peer that takes output is there
    if (!this.hasFlag(Flag.quiet)) {
      this.#flags |= Flag.quiet;
      if (sendsPings) this.putPing(nothing);
    } else if (!isTaking) {
      this.giveUp(notInTime(`nothing has come for ${this.endpoint.pingAfter + pongTimeout} ms or more`));
      return;
    }
    this.awaitInputFor(pongTimeout);
  }

  /** @internal From now on something is waited for, before a ping is sent; and the rest of a message that has come in part. */
  protected awaitInput(): void {
    if (!this.isOpen || this.hasFlag(Flag.closeReceived)) return;
    this.#partial?.pace?.resume(this.endpoint.owner.network.scheduler.now);
    this.awaitInputFor(this.endpoint.pingAfter);
  }

  private awaitInputFor(time: number): void {
    const until = this.endpoint.owner.network.scheduler.now + time;
    this.setDeadline(Math.min(until, this.#partial?.pace?.until ?? Infinity));
  }

  /** @internal From now on the connection is not read, and nothing is waited for. */
  protected stopWaiting(): void {
    if (!this.isOpen) return;
    this.#partial?.pace?.stop(this.endpoint.owner.network.scheduler.now);
    this.setDeadline(Infinity);
  }

  /** @internal */
  detached(_reason: ConnectionError | undefined): void {
    this.#flags |= Flag.over | Flag.closeReceived;
    this.dropPartial();
    this.#compression?.close();
    if (this.hasFlag(Flag.outputWatched)) this.endpoint.outputWatch?.forget(this);
  }

  /** @internal */
  lost(_reason: ConnectionError | undefined): void {}

  /** @internal */
  drained(): void {
    for (const following of this.#followings ?? []) following.flush();
    this.writableAgain();
  }

  /** @internal */
  flushed(): void {
    this.#flags &= ~Flag.flushAwaited;
    this.drained();
  }

  /** @internal */
  closing(): void {
    this.sendClose(closeCodes.goingAway, 'the server is closing');
  }

  /** @internal */
  wake(): void {
    this.conclude(closeCodes.abnormal, '');
  }
}

function notInTime(message: string): ConnectionError {
  return new ConnectionError('ERR_READ_TIMEOUT', message);
}

const nothing = new Uint8Array(0);

/** Of control frames, whose payload is bytes. */
function bytesOf(data: string | Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  return typeof data === 'string' ? nothing : data;
}
