// Gives bytes to a parser as a socket would, cut where a test says.

import type { Inflater } from '#sluice/websocket/deflate.js';
import { WebSocketError } from '#sluice/websocket/errors.js';
import type { MessageParser, PartialMessage } from '#sluice/websocket/messages.js';

/** What a peer has sent, as a socket reports it. Binary content is in hexadecimal. */
export type Heard =
  | { text: string }
  | { binary: string }
  | { ping: string }
  | { pong: string }
  | { close: number; reason: string }
  /** The socket is failed, with this code. */
  | { failed: number };

export const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

/** How bytes are cut: the length of each piece in turn; behind the last one all the rest comes at once. */
export type Cuts = Iterable<number>;

export interface FeedOptions {
  inflater?: Inflater | undefined;
  /** Whether messages are read in parts, which are put together again; by turns if it is `mixed`. */
  reading?: 'whole' | 'parts' | undefined;
  most?: number | undefined;
}

/** Feeds all bytes. Nothing is read behind a Close frame or a failure. @returns what came, and what is left in part */
export function feed(
  parser: MessageParser,
  bytes: Uint8Array,
  cuts: Cuts,
  { inflater, reading = 'whole', most }: FeedOptions = {},
): { heard: Heard[]; partial: PartialMessage | undefined } {
  const heard: Heard[] = [];
  const parts: (string | Uint8Array)[] = [];
  let partial: PartialMessage | undefined;
  const sizes = cuts[Symbol.iterator]();
  for (let start = 0; start < bytes.length; ) {
    const size = sizes.next();
    const end = size.done ? bytes.length : Math.min(bytes.length, start + size.value);
    // As an event layer does: a buffer of which only a part is this socket's, and which is another's afterwards.
    const lent = new Uint8Array(end - start + 7);
    lent.set(bytes.subarray(start, end), 3);
    const original = lent.slice();
    for (let at = 3; ; at = parser.position) {
      let received: ReturnType<MessageParser['next']>;
      try {
        received =
          reading === 'whole'
            ? parser.next(lent, at, lent.length - 4, partial, inflater)
            : parser.nextPart(lent, at, lent.length - 4, partial, inflater, most);
      } catch (error) {
        if (!(error instanceof WebSocketError)) throw error;
        heard.push({ failed: error.closeCode });
        return { heard, partial: undefined };
      }
      partial = parser.partial;
      if (received === 'none') {
        if (parser.position !== lent.length - 4) throw new Error('bytes are left, and nothing has come');
        break;
      }
      const { data } = parser;
      if (typeof data !== 'string' && data.buffer.byteLength !== data.length)
        throw new Error(`${data.length} bytes are in a buffer of ${data.buffer.byteLength}`);
      if (received === 'part') {
        parts.push(data);
        if (!parser.isLast) continue;
        heard.push(joined(parts));
        parts.length = 0;
      } else if (received === 'close') {
        const { code, reason } = parser.close;
        heard.push({ close: code, reason });
        return { heard, partial: undefined };
      } else if (received === 'text' && typeof data === 'string') heard.push({ text: data });
      else if (typeof data === 'string') throw new Error(`${received} has a text`);
      else if (received === 'ping') heard.push({ ping: hex(data) });
      else if (received === 'pong') heard.push({ pong: hex(data) });
      else heard.push({ binary: hex(data) });
    }
    if (Buffer.compare(lent, original) !== 0) throw new Error('the bytes that were lent have been changed');
    start = end;
  }
  return { heard, partial };
}

function joined(parts: (string | Uint8Array)[]): Heard {
  if (typeof parts[0] === 'string') return { text: parts.join('') };
  return { binary: parts.map((part) => (typeof part === 'string' ? part : hex(part))).join('') };
}

/** Pieces of one size. */
export function* each(size: number): Cuts {
  for (;;) yield size;
}
