// What every WebSocket does on its connection, whichever face it shows to users: frames out, messages in, pings answered, the closing handshake
// (RFC 6455 §7). It is the record of its slot: the network tells it of each event, and it writes straight into the transport.

import type { Owner, SlotRecord } from '../connection/network.js';
import { type ConnectionError, pieceSize, type Slot } from '../event-layer/event-layer.js';
import type { ThreadError } from '../threads/errors.js';
import type { Scheduler } from '../threads/scheduler.js';
import type { Thread } from '../threads/thread.js';
import type { BaseTopic, SubscribeOptions } from '../topics/topic.js';
import { viewOf } from '../util/fast-bytes.js';
import { isInstance } from '../util/inspect.js';
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
import type { MessageParser, PartialMessage, Received } from './messages.js';

/** What is the same for all sockets of a server, or for one of a client. */
export interface SocketEndpoint {
  readonly owner: Owner;
  readonly parser: MessageParser;
  /** Its sockets are a client's: what they send is masked (RFC 6455 §5.3). */
  readonly isClient: boolean;
  /** How long the peer may take for its part of the closing handshake, in milliseconds. */
  readonly closeTimeout: number;
  /** How long nothing may come before a ping is sent, in milliseconds; `Infinity` for none. */
  readonly pingAfter: number;
  /** How long after that the connection is given up if still nothing has come. */
  readonly pongTimeout: number;
  /** Ends the connection by FIN, behind what is queued for it. */
  end(slot: Slot): void;
}

const Flag = {
  /** Our Close frame has been sent. */
  closeSent: 1,
  /** The peer's has come, or nothing can come any more. */
  closeReceived: 2,
  /** The connection is gone, or this side has ended it. */
  over: 4,
  /** A ping has been sent, and nothing has come since. */
  pinged: 8,
  /** The end has been told. */
  told: 16,
  /** This side has sent its Close frame before the peer. */
  closedFirst: 32,
  /** The transport has been asked to say when all output has left, and has not said it yet. */
  flushAwaited: 64,
} as const;

/** Pongs and pings are not queued behind more output than this: a peer that sends pings and reads nothing gets none. */
const mostQueuedForPong = 64 * 1024;

export abstract class SocketBase implements SlotRecord, FollowedSocket {
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
  /** @internal A message has come. */
  protected abstract message(data: string | Uint8Array<ArrayBuffer>): void;
  /** @internal Something else than a message follows, or nothing more has come. */
  protected handedOn(): void {}
  /** @internal A control frame has come; a ping has been answered. `payload` is valid during the call. */
  protected abstract pinged(payload: Uint8Array): void;
  /** @internal */
  protected abstract ponged(payload: Uint8Array): void;
  /**
   * @internal
   * No more can come. Told once.
   * @param error why the connection was failed from here, if it was: what the peer did wrong
   * @param isAnswer this side had sent its Close frame first
   */
  protected abstract concluded(
    code: number,
    reason: string,
    error: WebSocketError | undefined,
    isAnswer: boolean,
  ): void;
  /** @internal There is room for output. */
  protected abstract writableAgain(): void;

  /**
   * Sends each message of a topic from now on, or from where `options` say: text as it is, bytes as binary, anything else as JSON, unless the topic
   * encodes it otherwise. No thread runs for that. It ends with the WebSocket, or the topic.
   * @returns what ends it
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
    return this.queued < this.endpoint.owner.queuedBytes;
  }

  /** @internal See `FollowedSocket`. */
  notifyRoom(): void {
    if (this.isOver || this.#has(Flag.flushAwaited)) return;
    this.#flags |= Flag.flushAwaited;
    this.endpoint.owner.transport.notifyFlushed(this.slot);
  }

  /** @internal See `FollowedSocket`. */
  disconnect(reason: ThreadError): void {
    this.thread?.unwind(reason);
    this.abort();
  }

  /** @internal See `FollowedSocket`. */
  dropFollowing(following: Following): void {
    this.#followings?.delete(following);
  }

  #stopFollowing(): void {
    for (const following of this.#followings ?? []) following.stop();
    this.#followings = undefined;
  }

  #has(flag: number): boolean {
    return (this.#flags & flag) !== 0;
  }

  /** Messages may be sent. */
  get isOpen(): boolean {
    return (this.#flags & (Flag.closeSent | Flag.over)) === 0;
  }

  /** @internal Nothing more will come. */
  get hasEnded(): boolean {
    return (this.#flags & (Flag.closeReceived | Flag.over)) !== 0;
  }

  /** @internal The connection is gone, or ended from here. */
  get isOver(): boolean {
    return this.#has(Flag.over);
  }

  // Sending.

  /** @internal Bytes of output that have not left. */
  get queued(): number {
    return this.isOver ? 0 : this.endpoint.owner.transport.queued(this.slot);
  }

  /** @internal Sends a message as one frame. The caller has seen that the socket is open. @returns bytes of the payload */
  protected put(data: string | Uint8Array): number {
    const compression = this.#compression;
    if (compression?.compress(data)) {
      const { bytes, length } = compression.deflater;
      const opcode = typeof data === 'string' ? opcodes.text : opcodes.binary;
      return this.#putBytes(FIN | RSV1 | opcode, bytes.length === length ? bytes : bytes.subarray(0, length));
    }
    if (typeof data !== 'string') return this.#putBytes(FIN | opcodes.binary, data);
    const room = textFrameRoom(data);
    if (room > pieceSize) return this.#putBytes(FIN | opcodes.text, new TextEncoder().encode(data));
    const { owner, isClient } = this.endpoint;
    const { transport } = owner;
    const at = transport.reserve(this.slot, room);
    const end = writeTextFrame(transport.output, at, data, isClient ? newMask() : undefined);
    transport.commit(this.slot, end);
    return end - at;
  }

  /** @internal Sends a frame of a message that has several. @param opcode that of the message for the first, and 0 for the others */
  protected putFragment(opcode: number, payload: Uint8Array, isLast: boolean): void {
    this.#putBytes(isLast ? FIN | opcode : opcode, payload);
  }

  /** @internal Sends a whole frame that has been made before. */
  putFrame(frame: Uint8Array): void {
    const { transport } = this.endpoint.owner;
    for (let from = 0; from < frame.length; from += pieceSize) {
      const piece = from === 0 && frame.length <= pieceSize ? frame : frame.subarray(from, from + pieceSize);
      const at = transport.reserve(this.slot, piece.length);
      transport.output.set(piece, at);
      transport.commit(this.slot, at + piece.length);
    }
  }

  #putBytes(first: number, payload: Uint8Array): number {
    const { owner, isClient } = this.endpoint;
    const { transport } = owner;
    const key = isClient ? newMask() : undefined;
    const { length } = payload;
    const header = headerBytes(length, isClient);
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

  #control(opcode: number, payload: Uint8Array): void {
    this.#putBytes(FIN | opcode, payload);
  }

  /** @internal */
  protected putPing(payload: Uint8Array): void {
    this.#control(opcodes.ping, payload);
  }

  /** @internal */
  protected putPong(payload: Uint8Array): void {
    this.#control(opcodes.pong, payload);
  }

  // Closing.

  /** @internal Starts the closing handshake, or answers the peer's. @param code undefined for a frame without one */
  protected sendClose(code: number | undefined, reason: string): void {
    if (!this.isOpen) return;
    if (!this.#has(Flag.closeReceived)) {
      const { owner, closeTimeout } = this.endpoint;
      this.#flags |= Flag.closedFirst;
      this.setDeadline(owner.network.scheduler.now + closeTimeout);
    }
    this.#closeFrame(code, reason);
  }

  #closeFrame(code: number | undefined, reason: string): void {
    this.#control(opcodes.close, closePayload(code, reason));
    this.#flags |= Flag.closeSent;
  }

  /** @internal Sets until when something is to come. */
  protected setDeadline(time: number): void {
    this.endpoint.owner.network.setDeadline(this.slot, time);
  }

  /** @internal The closing handshake is complete on the peer's side, and on this one. */
  protected finishNow(): void {
    this.#end();
  }

  /** @internal Ends the connection at once: what has been sent is not complete. */
  breakOff(): void {
    this.abort();
  }

  /** @internal Ends the connection at once. */
  protected abort(): void {
    if (this.isOver) return;
    this.endpoint.owner.transport.reset(this.slot);
  }

  /** Both sides have said that they close, or the connection is failed: it ends by FIN. */
  #end(): void {
    if (this.isOver) return;
    this.#flags |= Flag.over;
    this.endpoint.end(this.slot);
  }

  /** The peer broke a rule: it is told which, and nothing of what it has sent behind that is looked at. */
  #fail(error: WebSocketError): void {
    this.#flags |= Flag.closeReceived;
    this.#drop();
    if (this.isOpen) this.#closeFrame(error.closeCode, '');
    this.#tell(error.closeCode, '', error);
    this.#end();
  }

  #drop(): void {
    const { buffers } = this.endpoint.owner;
    if (this.#partial !== undefined) buffers.add(-this.#partial.held);
    this.#partial?.release();
    this.#partial = undefined;
  }

  #tell(code: number, reason: string, error: WebSocketError | undefined): void {
    if (this.#has(Flag.told)) return;
    this.#flags |= Flag.told;
    this.#stopFollowing();
    this.concluded(code, reason, error, this.#has(Flag.closedFirst));
  }

  // What the network tells; see `SlotRecord`.

  /** @internal */
  received(bytes: Uint8Array, start: number, end: number): void {
    this.#flags &= ~Flag.pinged;
    this.awaitInput();
    try {
      for (let at = start; at < end && (this.#flags & (Flag.closeReceived | Flag.over)) === 0; )
        at = this.#next(bytes, at, end);
      this.handedOn();
    } catch (error) {
      if (!isInstance(error, WebSocketError)) throw error;
      this.handedOn();
      this.#fail(error);
    }
  }

  /** Reads the next message or control frame. @returns where what follows begins */
  #next(bytes: Uint8Array, start: number, end: number): number {
    const { parser, owner } = this.endpoint;
    const before = this.#partial;
    const heldBefore = before?.held ?? 0;
    let received: Received;
    try {
      received = parser.next(bytes, start, end, before, this.#compression?.inflater);
    } catch (error) {
      owner.buffers.add(-heldBefore); // what it has taken since is not counted
      before?.release();
      this.#partial = undefined;
      throw error;
    }
    const { position, partial, data, close } = parser; // of all sockets: what is called below may use it
    this.#partial = partial;
    parser.partial = undefined;
    const growth = (partial?.held ?? 0) - heldBefore;
    if (growth !== 0) {
      owner.buffers.add(growth);
      if (growth > 0 && owner.buffers.isExceeded) throw new WebSocketError(closeCodes.tooBig, noMemory);
    }
    switch (received) {
      case 'none':
        return end;
      case 'text':
      case 'binary':
      case 'part':
        this.message(data);
        break;
      case 'ping':
        this.handedOn();
        this.#answer(data);
        break;
      case 'pong':
        this.handedOn();
        this.ponged(bytesOf(data));
        break;
      case 'close':
        this.handedOn();
        this.#closed(close);
        break;
    }
    return position;
  }

  #answer(data: string | Uint8Array<ArrayBuffer>): void {
    const payload = bytesOf(data);
    if (this.isOpen && this.queued <= mostQueuedForPong) this.putPong(payload);
    this.pinged(payload);
  }

  #closed({ code, reason }: CloseStatus): void {
    this.#flags |= Flag.closeReceived;
    this.#drop();
    // RFC 6455 §5.5.1: the answer has the same code. The server ends the connection first (§7.1.1), a client waits for that.
    if (this.isOpen) this.#closeFrame(code === closeCodes.noStatus ? undefined : code, '');
    this.#tell(code, reason, undefined);
    this.#end();
  }

  /** @internal The peer has sent FIN, and no Close frame before it. */
  ended(): void {
    this.#flags |= Flag.closeReceived;
    this.#drop();
    this.#tell(closeCodes.abnormal, '', undefined);
    this.#end();
  }

  /** @internal */
  expired(): void {
    if (!this.isOpen) {
      // The peer does not take its part in the closing handshake.
      this.#tell(closeCodes.abnormal, '', undefined);
      this.#end();
      return;
    }
    const { owner, pongTimeout } = this.endpoint;
    if (this.#has(Flag.pinged)) {
      this.#tell(closeCodes.abnormal, '', undefined);
      this.abort();
      return;
    }
    this.#flags |= Flag.pinged;
    if (this.queued <= mostQueuedForPong) this.putPing(nothing);
    this.setDeadline(owner.network.scheduler.now + pongTimeout);
  }

  /** @internal Something has come, or may from now on: it is waited for so long before a ping is sent. */
  protected awaitInput(): void {
    if (!this.isOpen) return;
    const { owner, pingAfter } = this.endpoint;
    this.setDeadline(owner.network.scheduler.now + pingAfter);
  }

  /** @internal */
  detached(_reason: ConnectionError | undefined): void {
    this.#flags |= Flag.over | Flag.closeReceived;
    this.#drop();
    this.#compression?.close();
  }

  /** @internal */
  lost(_reason: ConnectionError | undefined): void {
    this.#tell(closeCodes.abnormal, '', undefined);
  }

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
  wake(): void {}
}

const nothing = new Uint8Array(0);
const noMemory = 'maxBufferedBytes is reached: there is no memory for the message';

/** Of control frames, whose payload is bytes. */
function bytesOf(data: string | Uint8Array): Uint8Array {
  return typeof data === 'string' ? nothing : data;
}
