// Sends a response that cannot be sent at once, parking while the client is flooded. handle.ts sends bodies that are threads.

import { Buffer } from 'node:buffer';
import { endOfPiece } from '../connection/writer.js';
import { sleep } from '../threads/sleep.js';
import type { Task } from '../threads/task.js';
import { freeBytes } from '../util/free-bytes.js';
import { publishResponse } from './diagnostics.js';
import type { Exchange } from './exchange.js';
import { OpenStream } from './open-stream.js';
import { isBodiless, lengthField, type OutgoingResponse, ResponseError } from './outgoing.js';
import { bytesOf, cancel, pump, type ResponseBody } from './response-body.js';
import { cancelled } from './unsent.js';

/** How much of a string is measured in one turn: that takes some tenths of a millisecond. */
const measuredAtOnce = 3 * 1024 * 1024;

/**
 * Sends the head of a response. A body that will not be sent is cancelled.
 * @param report receives errors of cancelling
 * @returns what to write the body to; undefined if the response is complete without one
 */
export function* beginBody(
  exchange: Exchange,
  out: OutgoingResponse,
  report: (error: unknown) => void,
): Task<ResponseBody | undefined> {
  let body: ResponseBody | undefined;
  let isSent = false;
  try {
    body = yield* exchange.begin(out);
    publishResponse(exchange.active, out.status);
    isSent = body === undefined;
    return body;
  } finally {
    if (body === undefined) {
      const why = isSent ? 'the response to this request has no body' : 'the response was not sent';
      yield* cancelled(out.content, new ResponseError(why), exchange.scheduler, report);
    }
  }
}

/**
 * Sends a response whose body is not a thread.
 * @param report receives errors of cancelling a stream
 * @throws what the body throws; the head may have been sent by then
 */
export function* sendResponse(exchange: Exchange, out: OutgoingResponse, report: (error: unknown) => void): Task<void> {
  const isOurs = !(out.content instanceof ReadableStream); // memory that a stream gives is used by what gave it
  if (out.content instanceof ReadableStream) out.content = yield* opened(exchange, out, out.content, report);
  const { content } = out;
  const whole = typeof content === 'string' || content instanceof Uint8Array ? content : undefined;
  if (whole !== undefined) out.length = typeof whole === 'string' ? yield* measured(whole) : whole.length;
  const body = yield* beginBody(exchange, out, report);
  if (body === undefined) return;
  if (whole !== undefined) {
    yield* exchange.writer.write(whole);
    if (isOurs && typeof whole !== 'string') freeBytes(whole); // the content of a response that is sent is used by nothing else
    return;
  }
  try {
    if (content instanceof OpenStream) yield* pump(content, body, report);
    yield* body.end();
  } finally {
    body.finish();
  }
}

/** Opens a stream. @returns its content if `readsAhead` and it is one piece that is there at once */
function* opened(
  exchange: Exchange,
  out: OutgoingResponse,
  content: ReadableStream<Uint8Array>,
  report: (error: unknown) => void,
): Task<OpenStream | string | Uint8Array<ArrayBuffer>> {
  const stream = new OpenStream(content);
  if (!out.readsAhead || exchange.method === 'HEAD' || isBodiless(out.status) || lengthField(out) !== undefined)
    return stream;
  let hasLooked = false;
  try {
    const chunks = yield* stream.whole();
    hasLooked = true;
    if (chunks === undefined) return stream;
    const [chunk = ''] = chunks;
    return typeof chunk === 'string' ? chunk : (bytesOf(chunk) as Uint8Array<ArrayBuffer>); // it is only read: shared memory will do
  } finally {
    if (!hasLooked) cancel(stream, new ResponseError('the response was not sent'), report);
  }
}

/** The length of a string in UTF-8. Between parts of a long string other threads run: 64 MB take about 10 ms. */
function* measured(text: string): Task<number> {
  let bytes = 0;
  for (let from = 0; from < text.length; ) {
    if (from > 0) yield* sleep(0);
    const to = endOfPiece(text, from, measuredAtOnce);
    bytes += Buffer.byteLength(text.slice(from, to));
    from = to;
  }
  return bytes;
}
