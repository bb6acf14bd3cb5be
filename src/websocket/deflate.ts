// Compressing and decompressing messages (RFC 7692 §7.2).
//
// Node's zlib streams are asynchronous, go through the thread pool, and have a context each; its synchronous functions make a context for each call. A
// message needs neither: it is compressed where it is sent, by a context that lasts. So this file uses the handle inside a zlib stream:
// `writeSync` of Node's `ZlibBase`, which Bun and Deno have with the same arguments. It is the only file that does.
//
// Where the context is not taken over from one message to the next, a context is reset before each message, and one serves all sockets: it has
// no state between messages. Where it is taken over, each socket has its own, which is what that option costs.

import { constants, createDeflateRaw, createInflateRaw } from 'node:zlib';
import { ByteBuilder } from '../util/byte-builder.js';
import { show } from '../util/inspect.js';
import { closeCodes } from './close-codes.js';
import { WebSocketError } from './errors.js';
import { tooBig } from './frames.js';

/** What is inside a zlib stream. No types declare it. */
interface ZlibHandle {
  writeSync(
    flush: number,
    input: Uint8Array,
    from: number,
    count: number,
    output: Uint8Array,
    at: number,
    room: number,
  ): void;
  reset(): void;
  close(): void;
  onerror: (message: string, errno: number, code: string) => void;
}

/** A zlib stream has a buffer of its own for output, which is not used here; this is the smallest that it can have. */
const chunkSize = constants.Z_MIN_CHUNK;
/** Bytes of output of one call. */
const outputBytes = 64 * 1024;
/** Of all contexts: it holds nothing between two calls. */
const sharedOutput = new Uint8Array(outputBytes);

/** A zlib context. */
class Context {
  /** Bytes of `sharedOutput` that the last call has written. */
  produced = 0;
  /** Bytes of input that the last call has not consumed. */
  left = 0;
  /** What zlib has said against the input since the last reset. */
  error: string | undefined;
  /** Bytes of output, then of input, that were left. */
  readonly #state: Uint32Array;
  readonly #handle: ZlibHandle;

  constructor(stream: object) {
    const handle: unknown = Reflect.get(stream, '_handle');
    const state: unknown = Reflect.get(stream, '_writeState');
    if (!isHandle(handle) || !(state instanceof Uint32Array))
      throw new Error(
        `permessage-deflate: the zlib streams of this runtime have ${show(handle)} for a handle; expected one with writeSync, reset and close`,
      );
    this.#handle = handle;
    this.#state = state;
    handle.onerror = (message) => {
      this.error = message;
    };
  }

  /** Writes to `sharedOutput`, from `at` on. */
  run(input: Uint8Array, from: number, to: number, at: number, room: number): void {
    this.#handle.writeSync(constants.Z_SYNC_FLUSH, input, from, to - from, sharedOutput, at, room);
    this.produced = room - this.#state[0];
    this.left = this.#state[1];
  }

  reset(): void {
    this.error = undefined;
    this.#handle.reset();
  }

  close(): void {
    this.#handle.close();
  }
}

function isHandle(value: unknown): value is ZlibHandle {
  if (typeof value !== 'object' || value === null) return false;
  return ['writeSync', 'reset', 'close'].every((name) => typeof Reflect.get(value, name) === 'function');
}

/** The most bytes that a compressed message may have whose content has at most so many. Blocks that are only stored are larger than what they hold. */
export function deflatedRoom(room: number): number {
  return room + Math.ceil(room / 8) + 64;
}

/** Four bytes that a sender takes off the end of each message, and a receiver adds (RFC 7692 §7.2.1). */
const syncTail = Uint8Array.of(0, 0, 0xff, 0xff);
/** The same, then an empty last block, and a byte that a complete message does not consume: so one that is cut short is found. */
const endTail = Uint8Array.of(0, 0, 0xff, 0xff, 3, 0, 0xff);

/** Contexts of messages that are decompressed in pieces, to be used again; so many at most. */
const spareContexts: Context[] = [];
const mostSpareContexts = 8;

/** One message that is decompressed. Its content goes to `sharedOutput`, from which it must be taken before anything else uses that. */
export class Inflation {
  readonly bytes: Uint8Array = sharedOutput;
  /** How many bytes of content are in `bytes`. The caller sets it to 0 when it has taken them. */
  filled = 0;
  /** `bytes` is full: there may be more content without more input. */
  hasMore = false;
  readonly #context: Context;
  readonly #tail: Uint8Array;
  /** How much of the tail has been consumed. */
  #tailAt = 0;
  /** The most bytes of content that may still come. */
  #room = 0;
  #isEmpty = true;

  /** @internal */
  constructor(context: Context, tail: Uint8Array) {
    this.#context = context;
    this.#tail = tail;
  }

  /** @param most the most bytes that the content may have. Of a larger one, no more than one byte beyond it is decompressed */
  start(most: number): void {
    this.filled = 0;
    this.hasMore = false;
    this.#tailAt = 0;
    this.#room = most;
    this.#isEmpty = true;
    if (this.#tail === endTail) this.#context.reset();
  }

  /**
   * Decompresses `input[from … to-1]`, as far as there is room in `bytes`.
   * @returns how many bytes it has consumed
   * @throws {WebSocketError} 1007 if it is no DEFLATE data, 1009 if the content has more bytes than it may
   */
  add(input: Uint8Array, from: number, to: number): number {
    if (from < to) this.#isEmpty = false;
    this.#run(input, from, to);
    const { left } = this.#context;
    // A block that says that it is the last one (RFC 7692 §7.2.3.4). What follows starts with an empty window.
    if (left > 0 && !this.hasMore) this.#context.reset();
    return to - from - left;
  }

  /**
   * Decompresses the rest when all input has been added.
   * @returns false if `bytes` is full: then it must be called again
   * @throws {WebSocketError} as `add`, and 1007 if the data are cut short
   */
  finish(): boolean {
    if (this.#isEmpty) throw cutShort(); // even a message without content has the header of a block
    const tail = this.#tail;
    this.#run(tail, this.#tailAt, tail.length);
    const { left } = this.#context;
    this.#tailAt = tail.length - left;
    if (this.hasMore) return false;
    // The last block has ended: before the tail, if the message has one, and else with the tail's own.
    if (this.#tailAt === 0) this.#context.reset();
    else if (left !== tail.length - lastBlockEnd(tail)) throw cutShort();
    return true;
  }

  /** Ends a message that was started by `Inflater.start`, complete or not. */
  release(): void {
    if (this.#tail !== endTail) return;
    if (spareContexts.length < mostSpareContexts) spareContexts.push(this.#context);
    else this.#context.close();
  }

  #run(input: Uint8Array, from: number, to: number): void {
    const context = this.#context;
    const room = Math.min(outputBytes - this.filled, this.#room + 1);
    context.run(input, from, to, this.filled, room);
    if (context.error !== undefined)
      throw new WebSocketError(
        closeCodes.invalidData,
        `a message is no DEFLATE data: ${context.error} (RFC 7692 §7.2.2)`,
      );
    this.filled += context.produced;
    this.#room -= context.produced;
    if (this.#room < 0) throw tooBig();
    this.hasMore = context.produced === room;
  }
}

/** How much of a tail a complete message consumes. */
const lastBlockEnd = (tail: Uint8Array): number => (tail === endTail ? endTail.length - 1 : tail.length);

function cutShort(): WebSocketError {
  return new WebSocketError(closeCodes.invalidData, 'the DEFLATE data of a message are cut short (RFC 7692 §7.2.2)');
}

/** Decompresses messages. */
export class Inflater {
  /** Whether messages refer to the ones before. Such an inflater has one socket; others are shared by all. */
  readonly keepsContext: boolean;
  /** The content of the last message is `bytes[0 … length-1]`; valid until the next call of any inflater or deflater, unless `isOwn`. */
  bytes: Uint8Array<ArrayBuffer> = sharedOutput;
  length = 0;
  /** `bytes` is an array that nothing else uses. */
  isOwn = false;
  readonly #context: Context;
  /** Of the message that `inflate` decompresses. */
  readonly #message: Inflation;

  /** @param windowBits what the peer has promised to use at most, 8 to 15 */
  constructor(keepsContext: boolean, windowBits: number) {
    this.keepsContext = keepsContext;
    this.#context = new Context(createInflateRaw({ windowBits, chunkSize }));
    this.#message = new Inflation(this.#context, keepsContext ? syncTail : endTail);
  }

  /**
   * Decompresses a whole message, `input[from … to-1]`.
   * @param most see `Inflation.start`
   * @throws {WebSocketError} as `Inflation.add` and `finish`
   */
  inflate(input: Uint8Array, from: number, to: number, most: number): void {
    const message = this.#message;
    let builder: ByteBuilder | undefined;
    message.start(most);
    for (let at = from; ; ) {
      if (at < to || message.hasMore) at += message.add(input, at, to);
      else if (message.finish()) break;
      if (!message.hasMore) continue;
      builder ??= new ByteBuilder();
      builder.add(sharedOutput, 0, message.filled);
      message.filled = 0;
    }
    this.isOwn = builder !== undefined;
    builder?.add(sharedOutput, 0, message.filled);
    this.bytes = builder?.toBytes() ?? sharedOutput;
    this.length = builder?.length ?? message.filled;
  }

  /** Starts a message whose pieces are decompressed as they come. @param most see `Inflation.start` */
  start(most: number): Inflation {
    // Where the context is shared, other messages are decompressed in between.
    const message = this.keepsContext
      ? new Inflation(this.#context, syncTail)
      : new Inflation(spareContexts.pop() ?? new Context(createInflateRaw({ chunkSize })), endTail);
    message.start(most);
    return message;
  }

  /** Gives the context's memory back. One that all share keeps it. */
  close(): void {
    if (this.keepsContext) this.#context.close();
  }
}

/** The smallest window that zlib compresses with. */
const leastWindowBits = 9;

/** How messages are compressed. */
export interface DeflateLevel {
  /** 1, fast, to 9, small. */
  level: number;
  /** 1 to 9: how much memory a context takes besides the window, 2^(memoryLevel + 9) bytes. */
  memoryLevel: number;
}

/** Compresses messages. */
export class Deflater {
  /** Whether messages refer to the ones before. Such a deflater has one socket; others are shared by all. */
  readonly keepsContext: boolean;
  /** The last message is `bytes[0 … length-1]`; valid until the next call of any inflater or deflater. */
  bytes: Uint8Array = sharedOutput;
  length = 0;
  readonly #context: Context;

  /** @param windowBits the most that has been negotiated, 8 to 15 */
  constructor(keepsContext: boolean, windowBits: number, { level, memoryLevel }: DeflateLevel) {
    this.keepsContext = keepsContext;
    this.#context = new Context(
      createDeflateRaw({
        chunkSize,
        windowBits: Math.max(windowBits, leastWindowBits),
        level,
        memLevel: memoryLevel,
        // A window of 256 bytes is too small for zlib. Repetitions of the byte before need none.
        strategy: windowBits < leastWindowBits ? constants.Z_RLE : constants.Z_DEFAULT_STRATEGY,
      }),
    );
  }

  /** Compresses a whole message, `input[from … to-1]`. */
  deflate(input: Uint8Array, from: number, to: number): void {
    const context = this.#context;
    this.bytes = sharedOutput;
    if (from === to) {
      // zlib writes nothing when it is flushed a second time (RFC 7692 §7.2.3.6).
      sharedOutput[0] = 0;
      this.length = 1;
      return;
    }
    if (!this.keepsContext) context.reset();
    context.run(input, from, to, 0, outputBytes);
    if (context.produced === outputBytes) {
      const builder = new ByteBuilder();
      do {
        builder.add(sharedOutput, 0, outputBytes);
        context.run(input, to - context.left, to, 0, outputBytes);
      } while (context.produced === outputBytes);
      builder.add(sharedOutput, 0, context.produced);
      this.bytes = builder.toBytes();
      this.length = builder.length - syncTail.length;
    } else this.length = context.produced - syncTail.length;
  }

  /** Gives the context's memory back. One that all share keeps it. */
  close(): void {
    if (this.keepsContext) this.#context.close();
  }
}
