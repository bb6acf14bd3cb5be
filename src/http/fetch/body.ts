// The body of a message in any form, and the ways to read it. Each light Request or Response has one Body, from which the server takes the raw content.
// A stream is created only if user code asks for one.
// https://fetch.spec.whatwg.org/#body-mixin

import type { AsyncContext } from '../../threads/context.js';
import { isTask, taskNotRun } from '../../threads/task.js';
import { copyOf, owned } from '../../util/copy-of.js';
import { freeBytes } from '../../util/free-bytes.js';
import { inspect, type PlatformRequest, PlatformResponse } from './platform.js';
import {
  brokenStream,
  byteStream,
  divided,
  isDisturbed,
  lockedStream,
  readToEnd,
  trackDisturbed,
  trackWith,
} from './streams.js';

/** The raw content: text to encode, bytes that now belong to the caller, an unread stream, or a thread. */
export type Content = null | string | Uint8Array<ArrayBuffer> | ReadableStream<Uint8Array> | ThreadBody | Takeover;

/** A body that a thread writes. `stream()` creates it, http/ starts it, and this folder only passes it on. */
export class ThreadBody<Start = unknown> {
  /** The function that the sender runs. */
  readonly start: Start;
  /** The async context that it was created in, and that it runs in. */
  readonly context: AsyncContext;
  /** The same body for user code that reads or clones the response instead of sending it. Called at most once. */
  readonly toStream: () => ReadableStream<Uint8Array>;

  constructor(start: Start, context: AsyncContext, toStream: () => ReadableStream<Uint8Array>) {
    this.start = start;
    this.context = context;
    this.toStream = toStream;
  }
}

/**
 * In place of a body: hands the connection over to another protocol (RFC 9110 §7.8). `takeOver()` creates it; this folder only passes it on.
 */
export class Takeover<Start = unknown> {
  /** The function that runs on the connection. */
  readonly start: Start;
  /** The async context that it was created in, and that it runs in. */
  readonly context: AsyncContext;

  constructor(start: Start, context: AsyncContext) {
    this.start = start;
    this.context = context;
  }
}

/** A body that is read from a connection or from an object of the platform. */
export interface IncomingBody {
  /** True once any of it was read or requested. */
  readonly used: boolean;
  /** The whole body, which the caller then owns; rejects if the client disconnects or a limit is exceeded. */
  bytes(): Promise<Uint8Array<ArrayBuffer>>;
  /** The body as a stream. Called at most once, and not if `bytes` was called. */
  stream(): ReadableStream<Uint8Array>;
}

export type BodyInit =
  | string
  | ArrayBuffer
  | ArrayBufferView
  | Blob
  | FormData
  | URLSearchParams
  | ReadableStream
  | AsyncIterable<Uint8Array | string>
  | Iterable<Uint8Array>;

/** "Body with type": https://fetch.spec.whatwg.org/#bodyinit-safely-extract */
export class BodyWithType {
  readonly body: Body;
  /** The content type that this kind of body brings along, unless the headers name one. */
  readonly type: string | null;

  constructor(body: Body, type: string | null) {
    this.body = body;
    this.type = type;
  }
}

export const TEXT_TYPE = 'text/plain;charset=UTF-8';

type PlatformBodyInit = ConstructorParameters<typeof PlatformResponse>[0];

/** Creates a body from a value of user code. Bytes are copied, because user code may change them afterwards. */
export function extract(init: NonNullable<unknown>): BodyWithType {
  if (typeof init !== 'object' && typeof init !== 'function') return new BodyWithType(new Body(`${init}`), TEXT_TYPE);
  if (init instanceof ReadableStream) {
    if (init.locked || isUsed(init)) throw new TypeError('expected a fresh stream, found one read from or locked');
    return new BodyWithType(new Body(trackDisturbed(init)), null);
  }
  if (init instanceof ArrayBuffer) return new BodyWithType(new Body(copyOf(new Uint8Array(init))), null);
  if (ArrayBuffer.isView(init)) {
    const { buffer, byteOffset, byteLength } = init;
    return new BodyWithType(new Body(copyOf(new Uint8Array(buffer, byteOffset, byteLength))), null);
  }
  if (init instanceof URLSearchParams) {
    return new BodyWithType(new Body(`${init}`), 'application/x-www-form-urlencoded;charset=UTF-8');
  }
  if (init instanceof Blob) return new BodyWithType(new Body(init), init.type === '' ? null : init.type);
  if (isTask(init)) throw new TypeError(`the body is ${taskNotRun}`);
  // Rare kinds: form data, async iterables if the platform supports them, buffers of another realm. The platform converts them.
  const carrier = new PlatformResponse(init as PlatformBodyInit); // the types omit some that the platform accepts
  return new BodyWithType(new Body(new PlatformBody(carrier)), carrier.headers.get('content-type'));
}

/** The body of a platform object. */
export class PlatformBody implements IncomingBody {
  readonly #message: PlatformRequest | PlatformResponse;

  constructor(message: PlatformRequest | PlatformResponse) {
    this.#message = message;
  }

  get used(): boolean {
    return this.#message.bodyUsed;
  }

  async bytes(): Promise<Uint8Array<ArrayBuffer>> {
    return new Uint8Array(await this.#message.arrayBuffer());
  }

  stream(): ReadableStream<Uint8Array> {
    const stream = this.#message.body ?? lockedStream();
    trackWith(stream, this.#message);
    return stream;
  }
}

type Source = Exclude<Content, null> | Blob | IncomingBody;
/** Content that can be read any number of times, by code that does not change it. */
type Whole = string | Uint8Array<ArrayBuffer> | Blob;

/**
 * The content that streams were opened from. Until the stream is read, the content can be taken in its place. Another body that was made from the stream can do
 * so, too: middleware writes `new Response(response.body, response)`.
 */
const openings = new WeakMap<ReadableStream, Opening>();

interface Opening {
  readonly source: Source;
  /** The content was taken, so the stream counts as read. */
  isTaken: boolean;
}

function isUsed(stream: ReadableStream): boolean {
  return openings.get(stream)?.isTaken || isDisturbed(stream);
}

/** The content that an unread stream was opened from, if the caller wants that kind: the stream is then used and locked. Otherwise the stream. */
function bypassed<Wanted extends Source>(
  stream: ReadableStream<Uint8Array>,
  isWanted: (source: Source) => source is Wanted,
): Wanted | ReadableStream<Uint8Array> {
  const opening = openings.get(stream);
  if (opening === undefined || !isWanted(opening.source)) return stream;
  opening.isTaken = true;
  stream.getReader();
  return opening.source;
}

/** "Body" of the fetch standard. User code never gets one, so its members need not follow WebIDL. */
export class Body {
  #source: Source | null;
  #taken = false;

  constructor(source: Source | null) {
    this.#source = source;
  }

  get isNull(): boolean {
    return this.#source === null;
  }

  /** A thread writes it: only `stream()` makes such a body. */
  get isThread(): boolean {
    return this.#source instanceof ThreadBody;
  }

  /** "Disturbed": read from or cancelled, even in part. A null body never is. */
  get used(): boolean {
    const source = this.#source;
    if (source === null) return false;
    if (this.#taken || typeof source === 'string') return this.#taken;
    if (source instanceof ReadableStream) return isUsed(source);
    return isIncoming(source) && source.used;
  }

  get unusable(): boolean {
    return this.used || (this.#source instanceof ReadableStream && this.#source.locked);
  }

  /** The length in bytes if known before reading; undefined for text, which is measured when it is encoded. */
  get length(): number | undefined {
    let source = this.#source;
    if (source instanceof ReadableStream && !this.unusable) source = openings.get(source)?.source ?? null;
    if (source === null || typeof source === 'string') return undefined;
    if (source instanceof Uint8Array) return source.byteLength;
    return source instanceof Blob ? source.size : undefined;
  }

  /** Creates the stream at the first call; from then on the stream is the body. */
  get stream(): ReadableStream<Uint8Array> | null {
    const source = this.#source;
    if (source === null || source instanceof ReadableStream) return source;
    const { used } = this;
    const stream = trackDisturbed(used ? lockedStream() : open(source));
    // The body of a platform's message can be read only through this stream from now on.
    if (!used && !(source instanceof PlatformBody)) openings.set(stream, { source, isTaken: false });
    this.#source = stream;
    return stream;
  }

  /** For printing: the stream if there is one, or a placeholder; does not create the stream. */
  get preview(): unknown {
    if (this.#source === null || this.#source instanceof ReadableStream) return this.#source;
    return unopened;
  }

  /** Hands the raw content to the sender and marks the body as used. TypeError if it was used before, or is locked. */
  take(): Content {
    if (typeof this.#source === 'string' && !this.#taken) {
      this.#taken = true; // the common case: the same as below without the other checks
      return this.#source;
    }
    const source = this.spend((source) => isWhole(source) || source instanceof ThreadBody);
    return source instanceof Blob || isIncoming(source) ? trackDisturbed(open(source)) : source;
  }

  async bytes(): Promise<Uint8Array<ArrayBuffer>> {
    return allBytes(this.spendWhole());
  }

  async arrayBuffer(): Promise<ArrayBuffer> {
    const bytes = await this.bytes();
    const { buffer } = bytes;
    return buffer instanceof ArrayBuffer && buffer.byteLength === bytes.byteLength ? buffer : bytes.slice().buffer;
  }

  async text(): Promise<string> {
    const source = this.spendWhole();
    if (source === null) return '';
    if (typeof source === 'string') return decoded(source);
    const bytes = await allBytes(source);
    const text = UTF8.decode(bytes);
    freeBytes(bytes); // no other code has them
    return text;
  }

  async json(): Promise<unknown> {
    return JSON.parse(await this.text());
  }

  /** @param type the message's Content-Type; the platform parses it */
  async blob(type: string | null): Promise<Blob> {
    const source = this.spendWhole();
    const mimeType = type === null ? '' : (await onPlatform(noBytes, type).blob()).type;
    if (source instanceof Blob) return source.slice(0, source.size, mimeType);
    const bytes = await allBytes(source);
    const blob = new Blob([bytes], { type: mimeType });
    freeBytes(bytes); // no other code has them
    return blob;
  }

  /** @param type the message's Content-Type; the platform parses both */
  async formData(type: string | null): Promise<FormData> {
    const source = this.spendWhole();
    return onPlatform(source === null ? null : await allBytes(source), type).formData();
  }

  /** https://fetch.spec.whatwg.org/#dom-body-textstream */
  textStream(): ReadableStream<string> {
    if (this.unusable) throw unusable();
    const { stream } = this;
    if (stream !== null) return stream.pipeThrough(new TextDecoderStream());
    return new ReadableStream<string>({ start: (controller) => controller.close() });
  }

  /** https://fetch.spec.whatwg.org/#concept-body-clone. TypeError if the body is used or locked. */
  clone(): Body {
    if (this.unusable) throw unusable();
    if (this.#source instanceof ReadableStream) this.#source = bypassed(this.#source, isWhole);
    const source = this.#source;
    // Bytes are owned by one Body: reading may hand the buffer to user code. Text and blobs cannot be changed.
    if (source instanceof Uint8Array) return new Body(copyOf(source));
    if (source === null || typeof source === 'string' || source instanceof Blob) return new Body(source);
    const [kept, given] = divided(open(source));
    this.#source = trackDisturbed(kept);
    return new Body(trackDisturbed(given));
  }

  /** Marks the body as used. @param isWanted which content is taken in place of an unread stream that was opened from it */
  private spend<Wanted extends Source>(isWanted: (source: Source) => source is Wanted): Source | null {
    if (this.unusable) throw unusable();
    this.#taken = true;
    return this.#source instanceof ReadableStream ? bypassed(this.#source, isWanted) : this.#source;
  }

  /** As `spend`, for reading all at once. */
  private spendWhole(): Source | null {
    return this.spend((source) => isWhole(source) || isIncoming(source));
  }
}

/** A message of the platform that reads content for us. */
function onPlatform(content: Uint8Array<ArrayBuffer> | null, type: string | null): PlatformResponse {
  return new PlatformResponse(content, { headers: type === null ? {} : { 'content-type': type } });
}

function isWhole(source: Source): source is Whole {
  return typeof source === 'string' || source instanceof Uint8Array || source instanceof Blob;
}

function unusable(): TypeError {
  return new TypeError('Body is unusable: it has already been read, or is locked');
}

function isIncoming(source: Source | null): source is IncomingBody {
  return typeof source === 'object' && source !== null && 'used' in source && 'bytes' in source;
}

const noBytes = new Uint8Array(0);
const UTF8 = new TextDecoder();
const encoder = new TextEncoder();

/** The text after encoding and decoding: lone surrogates replaced, one byte order mark removed. */
function decoded(text: string): string {
  const whole = text.replace(/\p{Surrogate}/gu, '\ufffd');
  return whole.charCodeAt(0) === 0xfeff ? whole.slice(1) : whole;
}

async function allBytes(source: Source | null): Promise<Uint8Array<ArrayBuffer>> {
  if (source === null) return new Uint8Array(0);
  if (typeof source === 'string') return encoder.encode(source);
  if (source instanceof Uint8Array) return owned(source);
  if (source instanceof Blob) return new Uint8Array(await source.arrayBuffer());
  return isIncoming(source) ? source.bytes() : readToEnd(open(source));
}

function open(source: Source): ReadableStream<Uint8Array> {
  if (source instanceof ReadableStream) return source;
  if (typeof source === 'string') return byteStream(() => encoder.encode(source));
  if (source instanceof Uint8Array) return byteStream(() => owned(source));
  if (source instanceof Takeover) return brokenStream('the response hands the connection over, and has no body');
  return source instanceof ThreadBody ? source.toStream() : source.stream();
}

/** Printed in place of a stream, because creating the stream would be a side effect. */
const unopened = { [inspect]: (): string => 'ReadableStream { not opened yet }' };
