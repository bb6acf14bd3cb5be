// Sending a response of whatever class a handler has returned, at once where it is small and complete, else at the client's pace.

import { endOfPiece, pieceBytes } from '../connection/writer.js';
import { pieceSize } from '../event-layer/event-layer.js';
import type { Scheduler } from '../threads/scheduler.js';
import { sleep } from '../threads/sleep.js';
import { parked, type Task, waitUntil } from '../threads/task.js';
import { runningThread, Thread } from '../threads/thread.js';
import { uninterruptible } from '../threads/uninterruptible.js';
import { byteLengthOf, writeAscii } from '../util/fast-bytes.js';
import { show } from '../util/inspect.js';
import type { OutputMemory } from '../util/output-memory.js';
import { HttpConnectionFlag } from './connection-flags.js';
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
import type { HttpConnection } from './http-connection.js';
import { ChunkedBody, cancel, PlainBody, pump, type ResponseBody } from './response-body.js';
import {
  declaredLength,
  delimiterOf,
  type Framing,
  isBodiless,
  lengthRoom,
  type OutgoingResponse,
  ResponseError,
  type ResponseHead,
  responseHead,
  wholeText,
  writeHead,
} from './response-head.js';
import { unwindBody } from './stream.js';

/** Where a response is written to: a connection, or the output of a slot that has none. */
export interface Output {
  /** Writing would have to wait. */
  readonly flooded: boolean;
  /** The memory that `reserve` gives offsets into; to be asked for after it. */
  readonly output: OutputMemory;
  /** See `EventLayer.reserve`. */
  reserve(bytes: number): number;
  /** See `EventLayer.commit`. */
  commit(end: number): void;
}

/** The most bytes of a text that are measured in one turn: some tenths of a millisecond. */
const measuredAtOnce = 3 * 1024 * 1024;

/** Looks at what a handler has returned. @throws {ResponseError | TypeError} if it is no Response, or its body is used already */
export function outgoing(response: unknown): OutgoingResponse {
  if (isLightResponse(response)) return fromLight(response);
  if (isPlatformResponse(response)) return fromPlatform(response);
  throw new ResponseError(
    `fetch returned ${show(response)}; expected a Response, a promise of one, or a task that returns one`,
  );
}

function fromLight(response: Response): OutgoingResponse {
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

function fromPlatform(response: PlatformResponse): OutgoingResponse {
  if (response.type === 'error') throw new ResponseError('fetch returned Response.error(), which cannot be sent');
  if (response.bodyUsed || response.body?.locked)
    throw new TypeError('fetch returned a Response whose body is already used');
  // What `fetch` has received encoded, it gives decoded, and leaves the fields of the encoded form in place.
  const isDecoded = response.url !== '' && response.body !== null && response.headers.has('content-encoding');
  const fields: string[] = [];
  for (const [given, value] of response.headers) {
    if (fields.length >= 2 * mostFields) throw new ResponseError(`the response has more than ${mostFields} fields`);
    // Of another implementation, whose names may have any form: `responseHead` checks them.
    const name = typeof given === 'string' ? given.toLowerCase() : given;
    if (isDecoded && (name === 'content-encoding' || name === 'content-length')) continue;
    fields.push(name, value);
  }
  const content = streamOf(response);
  return { status: response.status, statusText: response.statusText, fields, content, length: undefined };
}

/** The platform's type of stream has members that Node's has not; both are pulled by the same three methods. */
function streamOf(response: PlatformResponse): ReadableStream<Uint8Array> | null {
  return response.body as unknown as ReadableStream<Uint8Array> | null;
}

/** The most fields that are taken of a response of another implementation: its iterator may have no end. */
const mostFields = 10_000;

/** A response that was sent at once, to be compared with the next: some servers say the same again and again. */
const last = {
  content: '' as string | null,
  /** Bytes of the content. */
  length: 0,
  head: undefined as ResponseHead | undefined,
  /** All of it, once it has been sent twice in a row. */
  bytes: undefined as Uint8Array | undefined,
  /** So many responses are not compared, since those before were not the same. */
  skips: 0,
};
/** To compare text, and to keep it, takes some time: where it is not worth that, it is tried again after so many responses. */
const skipsAfterOther = 32;

/**
 * Sends a response that is small and complete, without parking. The common case.
 * @returns false if it is not one, and nothing has been sent
 */
export function respondAtOnce(to: Output, out: OutgoingResponse, framing: Framing, date: string): boolean {
  const { content } = out;
  if (to.flooded) return false;
  if (content !== null && typeof content !== 'string' && !(content instanceof Uint8Array)) return false;
  const size = content === null ? 0 : content.length;
  if (size > pieceSize) return false;
  const isAlike = last.skips === 0 && content === last.content;
  const length = isAlike ? last.length : typeof content === 'string' ? byteLengthOf(content) : size;
  const head = responseHead(out, framing, date, length);
  const isSame = isAlike && head === last.head;
  if (isSame && last.bytes !== undefined) {
    const at = to.reserve(last.bytes.length);
    to.output.set(last.bytes, at);
    to.commit(at + last.bytes.length);
    return true;
  }
  const room = head.text.length + lengthRoom + length;
  if (room > pieceSize) return false;
  const at = to.reserve(room);
  const { output } = to;
  let end = writeHead(output, at, head, length);
  if (content !== null && !isBodiless(out.status) && !framing.isHead) {
    if (typeof content === 'string') {
      // As many bytes as characters: it is US-ASCII, which the shorter way will do for.
      if (length === size) end = writeAscii(content, output, end);
      else end += output.utf8Write(content, end, length);
    } else {
      output.set(content, end);
      end += length;
    }
  }
  if (isSame) last.bytes = new Uint8Array(output.subarray(at, end));
  else noteOther(content, length, head, isAlike);
  to.commit(end);
  return true;
}

/** Another response than the last has been sent. @param isAlike only the head is another */
function noteOther(content: string | null | Uint8Array, length: number, head: ResponseHead, isAlike: boolean): void {
  if (!isAlike && last.skips === 0) {
    last.skips = skipsAfterOther;
    remember('', 0, undefined); // the text may be a part of a larger one, which it would keep in memory
  } else if (isAlike || --last.skips === 0) {
    if (content instanceof Uint8Array)
      remember('', 0, undefined); // no other has the same bytes: each has copied them
    else remember(content, length, head);
  }
}

function remember(content: string | null, length: number, head: ResponseHead | undefined): void {
  last.content = content;
  last.length = length;
  last.head = head;
  last.bytes = undefined;
}

/**
 * Sends the head of any response, and readies its body, parking while the client is flooded.
 * Notes on the connection how far it has gone, as far as the body; who calls notes when the response is whole. A body that will not
 * be sent is cancelled.
 * @param report told of an error in cancelling
 * @returns what the body is to be written to; undefined if there is none to be written
 */
export function* beginBody(
  connection: HttpConnection,
  out: OutgoingResponse,
  framing: Framing,
  date: string,
  report: (error: unknown) => void,
): Task<ResponseBody | undefined> {
  const { content } = out;
  let body: ResponseBody | undefined;
  try {
    const length = content === null ? 0 : out.length;
    const head = wholeText(responseHead(out, framing, date, length), length);
    if (connection.flooded) yield* connection.writer.drain();
    connection.setFlag(HttpConnectionFlag.headSent);
    yield* sendHead(connection, head);
    if (isBodiless(out.status) || framing.isHead || content === null) {
      connection.setFlag(HttpConnectionFlag.wholeSent);
      return undefined;
    }
    const delimiter = delimiterOf(out, framing, length);
    connection.setFlag(HttpConnectionFlag.untilClose, delimiter === 'close');
    body =
      delimiter === 'chunked'
        ? new ChunkedBody(connection)
        : new PlainBody(connection, delimiter === 'length' ? declaredLength(out, length) : undefined);
    return body;
  } finally {
    if (body === undefined) {
      const isSent = connection.hasFlag(HttpConnectionFlag.wholeSent);
      const why = isSent ? 'the response to this request has no body' : 'the response was not sent';
      yield* cancelled(content, new ResponseError(why), connection.network.scheduler, report);
    }
  }
}

/**
 * Sends any response but that of a thread, parking while the client is flooded.
 * @param report told of an error in cancelling a stream
 * @throws what the body throws; the head may have been sent by then, in which case the connection has that noted
 */
export function* respond(
  connection: HttpConnection,
  out: OutgoingResponse,
  framing: Framing,
  date: string,
  report: (error: unknown) => void,
): Task<void> {
  const { content } = out;
  const whole = typeof content === 'string' || content instanceof Uint8Array ? content : undefined;
  if (whole !== undefined) out.length = typeof whole === 'string' ? yield* measured(whole) : whole.length;
  const body = yield* beginBody(connection, out, framing, date, report);
  if (body === undefined) return;
  if (whole !== undefined) {
    yield* connection.writer.write(whole);
    return;
  }
  try {
    if (content instanceof ReadableStream) yield* pump(content, body, report);
    yield* body.end();
  } finally {
    body.finish();
  }
}

/**
 * Cancels the body of a response that a handler has returned, or will, and that will not be sent. Anything else that it returns is
 * ignored.
 * @param result what it has returned: a response, or a promise
 * @param report told of an error in cancelling, and of what is thrown instead of a response
 */
export function discardResponse(result: unknown, scheduler: Scheduler, report: (error: unknown) => void): void {
  const discard = (response: unknown) => {
    if (!isLightResponse(response) && !isPlatformResponse(response)) return;
    if (response.bodyUsed) return;
    const content = isLightResponse(response) ? takeContent(response) : streamOf(response);
    cancelContent(content, new ResponseError('the client has left before the response was there'), scheduler, report);
  };
  Promise.resolve(result).then(discard).catch(report);
}

/** Cancels content, and parks until the `finally` blocks of a body that is a thread have run, also when the caller is unwound meanwhile. */
function* cancelled(
  content: Content,
  reason: unknown,
  scheduler: Scheduler,
  report: (error: unknown) => void,
): Task<void> {
  const thread = cancelContent(content, reason, scheduler, report);
  if (thread === undefined) return;
  const waiting = runningThread('stream');
  thread.whenOver(() => scheduler.resume(waiting));
  yield* uninterruptible(waitUntil(() => thread.state === 'over', parked.join));
}

/**
 * Cancels unread content: a stream by its own means; a body that is a thread as `unwindBody` says, in a thread that has no
 * parent, since children of a thread that is being unwound are not started.
 * @returns the thread, if it takes one
 */
function cancelContent(
  content: Content,
  reason: unknown,
  scheduler: Scheduler,
  report: (error: unknown) => void,
): Thread<void> | undefined {
  if (content instanceof ReadableStream) cancel(content, reason, report);
  if (!(content instanceof ThreadBody)) return undefined;
  const { start } = content;
  const thread = new Thread(() => unwindBody(start, reason), 'unsent body', undefined, scheduler, report);
  thread.context = content.context;
  scheduler.resume(thread);
  return thread;
}

/** How many bytes a text is in UTF-8. A long one is measured part by part, and others have their turn in between: 64 MB take some 10 ms. */
function* measured(text: string): Task<number> {
  let bytes = 0;
  for (let from = 0; from < text.length; ) {
    if (from > 0) yield* sleep(0);
    const to = endOfPiece(text, from, measuredAtOnce);
    bytes += byteLengthOf(text.slice(from, to));
    from = to;
  }
  return bytes;
}

/** Heads larger than a piece go out in several. */
function* sendHead(connection: HttpConnection, head: string): Task<void> {
  for (let from = 0; from < head.length; from += pieceBytes) {
    if (from > 0 && connection.flooded) yield* connection.writer.drain();
    const part = head.slice(from, from + pieceBytes);
    const at = connection.reserve(part.length);
    connection.commit(at + connection.output.latin1Write(part, at, part.length));
  }
}
