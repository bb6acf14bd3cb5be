// The clients of the crowd. Each is a thread that does what its kind does until its process ends. It calls `ready` when it has done what
// comes first: the number of clients that are not ready is bounded.

import { type Connection, ConnectionError, sleep, type Task } from 'sluice';
import { handshakeFor } from '../load/messages.js';
import type { Histogram } from './histogram.js';
import type { Kind } from './protocol.js';

export interface Counts {
  messages: number;
  delays: Histogram;
}

/** Returns when the server has closed the connection; only a slow sender expects that. */
type Client = (connection: Connection, ready: () => void, counts: Counts) => Task<unknown>;

const request = (target: string, fields = '') => `GET ${target} HTTP/1.1\r\nHost: 127.0.0.1\r\n${fields}\r\n`;
const half = 'GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: cro';
/** It takes 58 s: as long as most servers allow for a head. */
const dripped = request('/', 'Accept: */*\r\n').slice(0, 58);
const sipBytes = 4 * 1024;
const second = 1000;

export const clients: Record<Kind, Client> = {
  *idle({ reader }, ready) {
    ready();
    yield* reader.read();
  },

  *half({ reader, writer }, ready) {
    yield* writer.write(half);
    ready();
    yield* reader.read();
  },

  *kept({ reader, writer }, ready) {
    yield* writer.write(request('/'));
    const length = /\r\ncontent-length: *(\d+)/i.exec(yield* readHead(reader))?.[1];
    if (length === undefined) throw new Error('the answer has no content-length');
    yield* reader.readExactly(Number(length));
    ready();
    yield* reader.read();
  },

  *events({ reader, writer }, ready, counts) {
    yield* writer.write(request('/events'));
    yield* readHead(reader);
    ready();
    yield* readMessages(reader, counts);
  },

  *socket({ reader, writer }, ready) {
    yield* writer.write(handshakeFor('/echo'));
    yield* readHead(reader, 'HTTP/1.1 101');
    ready();
    yield* reader.read();
  },

  *drip({ reader, writer }, ready) {
    // Each client starts elsewhere in the head, so that they do not all complete it at the same time.
    let at = Math.floor(Math.random() * dripped.length);
    yield* writer.write(dripped.slice(0, at));
    ready();
    yield* sleep(Math.random() * second);
    try {
      while (!reader.ended) {
        yield* writer.write(dripped.charAt(at));
        at = (at + 1) % dripped.length;
        yield* sleep(second);
        if (reader.buffered === 0) continue;
        const answer = yield* reader.read();
        if (statusOf(answer) === requestTimeout) return;
        checkStatus(answer);
      }
    } catch (error) {
      if (!(error instanceof ConnectionError)) throw error;
    }
  },

  *sip({ reader, writer }, ready) {
    yield* writer.write(request('/flood'));
    yield* readHead(reader);
    ready();
    yield* sleep(Math.random() * second);
    do yield* sleep(second);
    while ((yield* reader.skip(sipBytes)) === sipBytes);
  },
};

function* readHead(reader: Connection['reader'], expected = ok): Task<string> {
  const head = yield* reader.readUntil('\r\n\r\n', 16_384);
  checkStatus(head, expected);
  return new TextDecoder().decode(head);
}

const ok = 'HTTP/1.1 200';
const requestTimeout = 'HTTP/1.1 408';

function statusOf(bytes: Uint8Array | undefined): string {
  return new TextDecoder().decode(bytes?.subarray(0, ok.length));
}

function checkStatus(bytes: Uint8Array | undefined, expected = ok): void {
  const status = statusOf(bytes);
  if (status !== expected) throw new Error(`the server answered ${JSON.stringify(status)}`);
}

const [d = 0, a, newline, point, zero = 0] = new TextEncoder().encode('da\n.0');
const prefixBytes = 'data: '.length;

/**
 * Finds `data: 1234567890123.456` in place and across pieces: at 50,000 messages a second a string for each would cost too much. Between
 * messages there may be chunk sizes, in which no `d` is followed by an `a`.
 */
function* readMessages(reader: Connection['reader'], counts: Counts): Task<void> {
  /** Bytes of the current message so far. */
  let seen = 0;
  let sentAt = 0;
  /** The weight of the next digit; 1 before the point. */
  let weight = 1;
  for (let bytes: Uint8Array | undefined; (bytes = yield* reader.read()) !== undefined; ) {
    const now = performance.timeOrigin + performance.now();
    for (const byte of bytes) {
      if (seen === 0) {
        if (byte === d) seen = 1;
      } else if (seen === 1 && byte !== a) {
        seen = 0;
      } else if (byte === newline) {
        counts.messages++;
        counts.delays.add((now - sentAt) * 1000);
        seen = 0;
        sentAt = 0;
        weight = 1;
      } else if (++seen > prefixBytes) {
        if (byte === point) weight = 0.1;
        else if (weight === 1) sentAt = sentAt * 10 + byte - zero;
        else {
          sentAt += (byte - zero) * weight;
          weight /= 10;
        }
      }
    }
  }
}
