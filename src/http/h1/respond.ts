// Sends heads of responses, small responses as a whole, and statuses of errors.

import { Buffer } from 'node:buffer';
import { pieceBytes } from '../../connection/duplex.js';
import type { Outlet } from '../../connection/writer.js';
import { pieceSize } from '../../event-layer/event-layer.js';
import type { Task } from '../../threads/task.js';
import { likelyByteLength, writeText } from '../../util/fast-bytes.js';
import type { OutputMemory } from '../../util/output-memory.js';
import { reasonPhrases } from '../errors.js';
import { hasField } from '../fetch/headers.js';
import { isBodiless, type OutgoingResponse } from '../outgoing.js';
import { writeHead, written } from './head-cache.js';
import { Framing } from './response-head.js';

/** The destination of a response: a connection, or on the fast path the output of a slot. */
export interface Output {
  /** See `Duplex.writable`. */
  readonly writable: number;
  /** The memory that `reserve` returns offsets into. `reserve` may replace it, so read it afterwards. */
  readonly output: OutputMemory;
  /** See `Transport.reserve`. */
  reserve(bytes: number): number;
  /** See `Transport.commit`. */
  commit(end: number): void;
}

/** The result of `respondAtOnce`: not sent, or sent, and whether the connection stays open. */
export const Sent = { not: 0, keepAlive: 1, close: 2 } as const;
export type Sent = (typeof Sent)[keyof typeof Sent];

/**
 * Sends a response without parking, if its head and content fit into one `reserve`.
 * @throws {ResponseError} if the response is not valid
 */
export function respondAtOnce(to: Output, out: OutgoingResponse, framing: number, date: string): Sent {
  const { content } = out;
  if (content !== null && typeof content !== 'string' && !(content instanceof Uint8Array)) return Sent.not;
  if (to.writable === 0) return Sent.not;
  const size = content === null ? 0 : content.length;
  if (size > pieceSize) return Sent.not;
  let length = size;
  if (typeof content === 'string') {
    // The length must be exact if the content is not written, or if the handler has set content-length.
    const isExact = (framing & Framing.isHead) !== 0 || hasField(out.fields, 'content-length');
    length = isExact ? Buffer.byteLength(content) : likelyByteLength(content);
  }
  for (;;) {
    if (!writeHead(to, out, framing, date, length, pieceSize)) return Sent.not;
    let { end } = written;
    if (content !== null && !isBodiless(out.status) && (framing & Framing.isHead) === 0) {
      if (typeof content !== 'string') {
        to.output.set(content, end);
      } else if (!writeText(content, length, to.output, end)) {
        length = Buffer.byteLength(content); // try again with the exact length: nothing has been committed
        continue;
      }
      end += length;
    }
    to.commit(end);
    return written.keepAlive ? Sent.keepAlive : Sent.close;
  }
}

/** Sends the text of a head. Those larger than a piece go out in several. */
export function* sendHead(outlet: Outlet, head: string): Task<void> {
  const { duplex } = outlet;
  for (let from = 0; from < head.length; from += pieceBytes) {
    if (duplex.writable === 0) yield* outlet.writer.drain();
    const part = head.slice(from, from + pieceBytes);
    const at = duplex.reserve(part.length);
    duplex.commit(at + duplex.output.latin1Write(part, at, part.length));
  }
}

/** The value of Retry-After with 503, in seconds. */
const retryAfter = 10;

/**
 * Sends a response for an error: a status, with its reason phrase as the body and `Connection: close`. It never parks: it is small, and the last.
 * @param wanted a status from 400 on with a reason phrase; for any other value, which an application may have put into an HttpError, 500 is sent
 * @returns the status that was sent
 */
export function sendStatus(to: Output, wanted: unknown, isHead: boolean, date: string): number {
  const status = typeof wanted === 'number' && wanted >= 400 && Object.hasOwn(reasonPhrases, wanted) ? wanted : 500;
  const phrase = reasonPhrases[status];
  // RFC 9110 §10.2.3. The limits that cause 503 are usually exceeded for some seconds.
  const later = status === 503 ? `retry-after: ${retryAfter}\r\n` : '';
  const head = `HTTP/1.1 ${status} ${phrase}\r\ncontent-type: text/plain\r\ncontent-length: ${phrase.length}\r\ndate: ${date}\r\n${later}connection: close\r\n\r\n`;
  const text = isHead ? head : head + phrase;
  const at = to.reserve(text.length);
  to.commit(at + to.output.latin1Write(text, at, text.length));
  return status;
}
