// The clients of the crowd, in the project's own style: each is a thread that has connected and then does what its kind does
// until it is unwound. It says `here` when it has come as far as its kind says; few are on their way there at a time.

import { type Connection, sleep, type Task } from 'sluice';
import type { Histogram } from './histogram.js';
import type { Kind } from './protocol.js';

export interface Tally {
  messages: number;
  delays: Histogram;
}

/** Returns when the server has ended the connection, which it should not. */
type Client = (connection: Connection, here: () => void, tally: Tally) => Task<unknown>;

const request = (target: string, fields = '') => `GET ${target} HTTP/1.1\r\nHost: 127.0.0.1\r\n${fields}\r\n`;
const half = 'GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: cro';
/** It takes 60 s, longer than any measurement, and as long as it may take most servers' clients. */
const dripped = request('/', 'Accept: */*\r\n').slice(0, 58);
const sipBytes = 4 * 1024;
const second = 1000;

export const clients: Record<Kind, Client> = {
  *idle({ reader }, here) {
    here();
    yield* reader.read();
  },

  *half({ reader, writer }, here) {
    yield* writer.write(half);
    here();
    yield* reader.read();
  },

  *kept({ reader, writer }, here) {
    yield* writer.write(request('/'));
    const length = /\r\ncontent-length: *(\d+)/i.exec(yield* readHead(reader))?.[1];
    if (length === undefined) throw new Error('the answer has no content-length');
    yield* reader.readExactly(Number(length));
    here();
    yield* reader.read();
  },

  *stream({ reader, writer }, here, tally) {
    yield* writer.write(request('/'));
    yield* readHead(reader);
    yield* reader.peek(1);
    here();
    yield* listenIn(reader, tally);
  },

  *drip({ reader, writer }, here) {
    // Each begins somewhere else in the head, so that they do not all come to its end at the same time.
    let at = Math.floor(Math.random() * dripped.length);
    yield* writer.write(dripped.slice(0, at));
    here();
    yield* sleep(Math.random() * second);
    while (!reader.ended) {
      yield* writer.write(dripped.charAt(at));
      at = (at + 1) % dripped.length;
      yield* sleep(second);
      if (reader.buffered > 0) checkStatus(yield* reader.read());
    }
  },

  *sip({ reader, writer }, here) {
    yield* writer.write(request('/flood'));
    yield* readHead(reader);
    here();
    do yield* sleep(second);
    while ((yield* reader.skip(sipBytes)) === sipBytes);
  },
};

function* readHead(reader: Connection['reader']): Task<string> {
  const head = yield* reader.readUntil('\r\n\r\n', 16_384);
  checkStatus(head);
  return new TextDecoder().decode(head);
}

function checkStatus(bytes: Uint8Array | undefined): void {
  const line = new TextDecoder().decode(bytes?.subarray(0, 12));
  if (line !== 'HTTP/1.1 200') throw new Error(`the server answered ${JSON.stringify(line)}`);
}

const [d = 0, a, newline, point, zero] = new TextEncoder().encode('da\n.0');
const markBytes = 'data: '.length;

/**
 * Looks through what comes for `data: 1234567890123.456`, in place and across pieces: at 50,000 messages a second a string for
 * each would tell. Between messages there may be sizes of chunks, in which no `d` is followed by an `a`.
 */
function* listenIn(reader: Connection['reader'], tally: Tally): Task<void> {
  /** Bytes of a message that have been seen. */
  let seen = 0;
  let whole = 0;
  /** What the next digit counts; 1 before the point. */
  let weight = 1;
  for (let bytes: Uint8Array | undefined; (bytes = yield* reader.read()) !== undefined; ) {
    const now = performance.timeOrigin + performance.now();
    for (const byte of bytes) {
      if (seen === 0) {
        if (byte === d) seen = 1;
      } else if (seen === 1 && byte !== a) {
        seen = 0;
      } else if (byte === newline) {
        tally.messages++;
        tally.delays.add((now - whole) * 1000);
        seen = 0;
        whole = 0;
        weight = 1;
      } else if (++seen > markBytes) {
        if (byte === point) weight = 0.1;
        else if (weight === 1) whole = whole * 10 + byte - (zero ?? 0);
        else {
          whole += (byte - (zero ?? 0)) * weight;
          weight /= 10;
        }
      }
    }
  }
}
