// Sending a response: its framing is decided here, its head is encoded here, and its body goes out from here, at the client's
// pace (RFC 9112 §6, RFC 9110 §6.4 and §8.6).

import { Buffer } from 'node:buffer';
import type { Writer } from '../connection/writer.js';
import { pieceSize } from '../event-layer/event-layer.js';
import type { Task } from '../threads/task.js';
import { until } from '../threads/until.js';
import { isAll, VALUE } from './characters.js';
import { type Content, ThreadBody } from './fetch/body.js';
import type { PlatformResponse } from './fetch/platform.js';
import {
  isLightResponse,
  isPlatformResponse,
  knownLength,
  type Response,
  responseFields,
  takeContent,
} from './fetch/response.js';
import { reasonPhrases } from './refusal.js';
import { type BodyTask, type BodyWriter, startBody } from './stream.js';

/** What is to be sent, whichever class it came in. */
export interface Outgoing {
  status: number;
  statusText: string;
  /** Lowercased names and values in turn. */
  fields: readonly string[];
  content: Content;
  /** Bytes of the content, where that is known before it is read. */
  length: number | undefined;
}

/** What the request says about how its response is framed. */
export interface Framing {
  /** The method is HEAD: the head alone is sent. */
  headOnly: boolean;
  /** The client understands chunked (HTTP/1.1). */
  chunked: boolean;
  /** The connection stays open afterwards. Set to false where the response makes that impossible. */
  keepAlive: boolean;
  /** The client has asked for `Connection: keep-alive` in HTTP/1.0, and must be told that it gets it. */
  sayKeepAlive: boolean;
}

/** How far a response has gone. */
export interface Sent {
  /** Its head has gone out, in part at least. */
  head: boolean;
  /** All of it has. */
  whole: boolean;
  /** Its body ends with the connection: nothing else shows whether it is complete. */
  untilClose: boolean;
}

/** Content up to this many bytes, or UTF-16 units, goes into the output together with its head. */
const smallContent = 4 * 1024;
/** Larger pieces of a chunked body are cut: the size of a chunk is written with four hexadecimal digits. */
const chunkBytes = 16 * 1024;

/** A response that cannot be sent: for `onError`. */
export class ResponseError extends Error {
  override readonly name = 'ResponseError';
  readonly code = 'ERR_RESPONSE';
}

/** Looks at what a handler has returned. @throws {ResponseError | TypeError} if it is no Response, or its body is used already */
export function outgoing(response: unknown): Outgoing {
  if (isLightResponse(response)) return fromLight(response);
  if (isPlatformResponse(response)) return fromPlatform(response);
  throw new ResponseError(
    `fetch returned ${response === null ? 'null' : typeof response}; expected a Response, a promise of one, or a task that returns one`,
  );
}

function fromLight(response: Response): Outgoing {
  if (response.type === 'error') throw new ResponseError('fetch returned Response.error(), which cannot be sent');
  const length = knownLength(response);
  return {
    status: response.status,
    statusText: response.statusText,
    fields: responseFields(response),
    content: takeContent(response),
    length,
  };
}

function fromPlatform(response: PlatformResponse): Outgoing {
  if (response.type === 'error') throw new ResponseError('fetch returned Response.error(), which cannot be sent');
  if (response.bodyUsed || response.body?.locked)
    throw new TypeError('fetch returned a Response whose body is already used');
  // What `fetch` has received encoded, it gives decoded, and leaves the fields of the encoded form in place.
  const isDecoded = response.url !== '' && response.body !== null && response.headers.has('content-encoding');
  const fields: string[] = [];
  for (const [name, value] of response.headers) {
    if (isDecoded && (name === 'content-encoding' || name === 'content-length')) continue;
    fields.push(name, value);
  }
  // The platform's type of stream has members that Node's has not; both are pulled by the same three methods.
  const content = response.body as unknown as ReadableStream<Uint8Array> | null;
  return { status: response.status, statusText: response.statusText, fields, content, length: undefined };
}

/** How a response's body is delimited. */
type Delimiter = 'none' | 'length' | 'chunked' | 'close';

/**
 * Sends a response that is small and complete, without parking. The common case.
 * @returns false if it is not one, and nothing has been sent
 */
export function respondAtOnce(writer: Writer, out: Outgoing, framing: Framing, date: string): boolean {
  const { content } = out;
  if (writer.flooded) return false;
  if (content !== null && typeof content !== 'string' && !(content instanceof Uint8Array)) return false;
  const size = content === null ? 0 : content.length;
  if (size > smallContent) return false;
  // The length of a string is known when it is encoded: it is put behind room for a head, and the head then before it.
  const bytes = typeof content === 'string' ? Buffer.byteLength(content) : size;
  const head = responseHead(out, framing, date, bytes);
  const room = head.length + bytes;
  if (room > pieceSize) return false;
  const at = writer.reserve(room);
  const { output } = writer;
  let end = at + output.write(head, at, 'latin1');
  if (content !== null && !isBodiless(out.status) && !framing.headOnly) {
    if (typeof content === 'string') {
      end += output.write(content, end);
    } else {
      output.set(content, end);
      end += bytes;
    }
  }
  writer.commit(end);
  return true;
}

/**
 * Sends any response, parking while the client is flooded.
 * @param report told of an error in cancelling a stream
 * @param sent kept up to date as far as the body; who calls says when the response is whole
 * @throws what the body throws; the head may have been sent by then, in which case `sent.head` is true
 */
export function* respond(
  writer: Writer,
  out: Outgoing,
  framing: Framing,
  date: string,
  sent: Sent,
  report: (error: unknown) => void,
): Task<void> {
  const { content } = out;
  const whole =
    typeof content === 'string' ? Buffer.from(content) : content instanceof Uint8Array ? content : undefined;
  const length = content === null ? 0 : (whole?.length ?? out.length);
  const stream = content instanceof ReadableStream ? content : undefined;
  const bodiless = isBodiless(out.status) || framing.headOnly;
  let begins = false;
  try {
    const head = responseHead(out, framing, date, length);
    if (writer.flooded) yield* writer.drain();
    sent.head = true;
    yield* putHead(writer, head);
    begins = !bodiless;
  } finally {
    if (!begins && stream !== undefined) {
      const why = bodiless ? 'the response to this request has no body' : 'the response was not sent';
      cancel(stream, new ResponseError(why), report);
    }
  }
  if (bodiless || content === null) return;
  if (whole !== undefined) {
    yield* writer.write(whole);
    return;
  }
  const delimiter = delimiterOf(out, framing, length);
  sent.untilClose = delimiter === 'close';
  const body =
    delimiter === 'chunked'
      ? new ChunkedBody(writer)
      : new PlainBody(writer, delimiter === 'length' ? declaredLength(out, length) : undefined);
  try {
    if (content instanceof ThreadBody) {
      // `start` is what `stream()` has put there; nobody else makes a ThreadBody.
      yield* startBody(content.start as BodyTask, body);
    } else if (stream !== undefined) {
      yield* pump(stream, body, report);
    }
    yield* body.end();
  } finally {
    body.over = true;
  }
}

/** Sees to it that the body of a response which comes too late to be sent is cancelled. What the handler throws is nobody's any more. */
export function discardResponse(promised: PromiseLike<unknown>, report: (error: unknown) => void): void {
  const discard = (response: unknown) => {
    if (!isLightResponse(response) && !isPlatformResponse(response)) return;
    const content = isLightResponse(response) && !response.bodyUsed ? takeContent(response) : response.body;
    if (content instanceof ReadableStream && !content.locked)
      cancel(content, new ResponseError('the client has left before the response was there'), report);
  };
  Promise.resolve(promised)
    .then(discard)
    .catch(() => {});
}

/** Sends a stream of the platform's: pulled when the client has room, cancelled when it has left. */
function* pump(stream: ReadableStream<Uint8Array>, body: BodyWriter, report: (error: unknown) => void): Task<void> {
  const reader = stream.getReader();
  let over = false;
  try {
    for (;;) {
      let result: Awaited<ReturnType<typeof reader.read>>;
      try {
        result = yield* until(reader.read());
      } catch (error) {
        over = true; // what has failed need not be cancelled
        throw error;
      }
      if (result.done) break;
      if (!(result.value instanceof Uint8Array)) {
        throw new ResponseError(`the body's stream gave ${typeof result.value}; expected a Uint8Array`);
      }
      yield* body.write(result.value);
    }
    over = true;
  } finally {
    if (!over) reader.cancel(new ResponseError('the response was not sent to its end')).catch(report);
  }
}

function cancel(stream: ReadableStream<Uint8Array>, reason: unknown, report: (error: unknown) => void): void {
  stream.cancel(reason).catch(report);
}

/** A body in chunks (RFC 9112 §7.1). */
class ChunkedBody implements BodyWriter {
  /** Nothing is written any more: the connection may be at its next response. */
  over = false;
  readonly #writer: Writer;

  constructor(writer: Writer) {
    this.#writer = writer;
  }

  *write(data: string | Uint8Array): Task<void> {
    if (this.over) throw bodyOver();
    const writer = this.#writer;
    const bytes = typeof data === 'string' && data.length > chunkBytes / 3 ? Buffer.from(data) : data;
    if (typeof bytes === 'string') {
      if (bytes === '') return;
      if (writer.flooded) yield* writer.drain();
      const at = writer.reserve(bytes.length * 3 + 8);
      const written = writer.output.write(bytes, at + 6);
      putChunkFrame(writer, at, written);
      return;
    }
    for (let start = 0; start < bytes.length; start += chunkBytes) {
      if (writer.flooded) yield* writer.drain();
      const piece = bytes.subarray(start, start + chunkBytes);
      const at = writer.reserve(piece.length + 8);
      writer.output.set(piece, at + 6);
      putChunkFrame(writer, at, piece.length);
    }
  }

  *flush(): Task<void> {
    yield* this.#writer.flush();
  }

  /** The last chunk. */
  *end(): Task<void> {
    if (this.#writer.flooded) yield* this.#writer.drain();
    this.#writer.put('0\r\n\r\n');
  }
}

/** Puts a chunk's size before its data and CRLF behind them. Leading zeros are allowed (RFC 9112 §7.1: 1*HEXDIG). */
function putChunkFrame(writer: Writer, at: number, size: number): void {
  const { output } = writer;
  for (let digit = 0; digit < 4; digit++) output[at + digit] = hexDigits.charCodeAt((size >> (12 - 4 * digit)) & 15);
  output[at + 4] = 13;
  output[at + 5] = 10;
  output[at + 6 + size] = 13;
  output[at + 7 + size] = 10;
  writer.commit(at + 8 + size);
}

const hexDigits = '0123456789abcdef';

/** A body as it is: as long as its content-length says, or up to the end of the connection. */
class PlainBody implements BodyWriter {
  over = false;
  readonly #writer: Writer;
  readonly #length: number | undefined;
  #written = 0;

  constructor(writer: Writer, length: number | undefined) {
    this.#writer = writer;
    this.#length = length;
  }

  *write(data: string | Uint8Array): Task<void> {
    if (this.over) throw bodyOver();
    const bytes = typeof data === 'string' ? Buffer.from(data) : data;
    if (this.#length !== undefined && this.#written + bytes.length > this.#length) {
      throw new ResponseError(`the body is longer than its content-length of ${this.#length} bytes`);
    }
    this.#written += bytes.length;
    yield* this.#writer.write(bytes);
  }

  *flush(): Task<void> {
    yield* this.#writer.flush();
  }

  *end(): Task<void> {
    if (this.#length !== undefined && this.#written < this.#length) {
      throw new ResponseError(`the body has ${this.#written} bytes, and its content-length says ${this.#length}`);
    }
  }
}

function bodyOver(): ResponseError {
  return new ResponseError('the body is over: nothing can be written to it any more');
}

/** RFC 9110 §6.4.1: responses that have no body whatever their fields say. 205 is framed as empty (§15.3.6). */
function isBodiless(status: number): boolean {
  return status === 204 || status === 304 || status === 205;
}

function fieldOf(out: Outgoing, name: string): string | undefined {
  for (let i = 0; i < out.fields.length; i += 2) if (out.fields[i] === name) return out.fields[i + 1];
  return undefined;
}

function delimiterOf(out: Outgoing, framing: Framing, length: number | undefined): Delimiter {
  if (length !== undefined || fieldOf(out, 'content-length') !== undefined) return 'length';
  return framing.chunked ? 'chunked' : 'close';
}

/** @throws {ResponseError} if the handler's content-length is malformed, or not that of the content */
function declaredLength(out: Outgoing, length: number | undefined): number {
  const declared = fieldOf(out, 'content-length');
  if (declared === undefined) return length ?? 0;
  if (!/^[0-9]{1,15}$/.test(declared))
    throw new ResponseError(`content-length is ${JSON.stringify(declared)}; expected digits`);
  if (length !== undefined && length !== Number(declared)) {
    throw new ResponseError(`content-length is ${declared}, and the body has ${length} bytes`);
  }
  return Number(declared);
}

/** Heads larger than a piece go out in several. */
function* putHead(writer: Writer, head: string): Task<void> {
  for (let from = 0; from < head.length; from += chunkBytes) {
    if (from > 0 && writer.flooded) yield* writer.drain();
    const part = head.slice(from, from + chunkBytes);
    const at = writer.reserve(part.length);
    writer.commit(at + writer.output.write(part, at, 'latin1'));
  }
}

/**
 * The head as Latin-1: status line, the handler's fields, and those that are the server's to say: Date, Connection,
 * Content-Length or Transfer-Encoding. Of these the handler's are taken only where they say the same; `connection: close` is obeyed.
 * @param length bytes of the content, if known
 */
function responseHead(out: Outgoing, framing: Framing, date: string, length: number | undefined): string {
  const { status, fields } = out;
  const phrase = out.statusText === '' ? (reasonPhrases[status] ?? '') : out.statusText;
  if (!isAll(phrase, VALUE))
    throw new ResponseError(`statusText is ${JSON.stringify(phrase)}; expected visible characters, spaces and tabs`);
  let head = `HTTP/1.1 ${status} ${phrase}\r\n`;
  let hasDate = false;
  let hasLength = false;
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i];
    const value = fields[i + 1];
    switch (name) {
      case 'connection':
        if (/(?:^|,)[ \t]*close[ \t]*(?:,|$)/i.test(value)) framing.keepAlive = false;
        continue;
      case 'transfer-encoding': // hop-by-hop: those of a response that is passed on belong to the connection it came from
      case 'keep-alive':
      case 'proxy-connection':
      case 'upgrade':
        continue;
      case 'content-length':
        hasLength = true;
        continue;
      case 'date':
        hasDate = true;
    }
    head += `${name}: ${value}\r\n`;
  }
  if (!hasDate) head += `date: ${date}\r\n`;
  if (status === 204) {
    // RFC 9110 §8.6: no Content-Length
  } else if (status === 304 || (framing.headOnly && hasLength)) {
    // What a GET would have got, if the handler says it; it is not compared with a body that is not sent.
    const declared = fieldOf(out, 'content-length');
    if (declared !== undefined) head += `content-length: ${declared}\r\n`;
  } else if (status === 205) {
    head += 'content-length: 0\r\n';
  } else {
    switch (delimiterOf(out, framing, length)) {
      case 'length':
        head += `content-length: ${declaredLength(out, length)}\r\n`;
        break;
      case 'chunked':
        head += 'transfer-encoding: chunked\r\n';
        break;
      default:
        framing.keepAlive = false;
    }
  }
  if (!framing.keepAlive) head += 'connection: close\r\n';
  else if (framing.sayKeepAlive) head += 'connection: keep-alive\r\n';
  return `${head}\r\n`;
}
