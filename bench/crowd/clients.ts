// The clients of the crowd, in the project's own style: each is a thread that has connected and then does what its kind does
// until it is unwound. It says `here` when it has come as far as its kind says; few are on their way there at a time.

import { type Connection, ConnectionError, type Task } from 'sluice';
import type { Beat } from './beat.js';
import type { Histogram } from './histogram.js';
import type { Kind } from './protocol.js';

export interface Tally {
  messages: number;
  delays: Histogram;
}

/** Returns when the server has ended the connection, which only a slow sender has to expect: some give a head 10 s. */
type Client = (connection: Connection, here: () => void, beat: Beat, tally: Tally) => Task<unknown>;

const request = (target: string, fields = '') => `GET ${target} HTTP/1.1\r\nHost: 127.0.0.1\r\n${fields}\r\n`;
const half = 'GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: cro';
/** It takes 60 s, longer than any measurement, and as long as it may take most servers' clients. */
const dripped = request('/', 'Accept: */*\r\n').slice(0, 58);
const sipBytes = 4 * 1024;

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

  *stream({ reader, writer }, here, _beat, tally) {
    yield* writer.write(request('/'));
    yield* readHead(reader);
    yield* reader.peek(1);
    here();
    yield* listenIn(reader, tally);
  },

  *drip({ reader, writer }, here, beat) {
    // Each begins somewhere else in the head, so that they do not all come to its end at the same time.
    let at = Math.floor(Math.random() * dripped.length);
    yield* writer.write(dripped.slice(0, at));
    here();
    yield* beat.first();
    try {
      while (!reader.ended) {
        yield* writer.write(dripped.charAt(at));
        at = (at + 1) % dripped.length;
        yield* beat.next();
        if (reader.buffered === 0) continue;
        const answer = yield* reader.read();
        if (statusOf(answer) === requestTimeout) return;
        checkStatus(answer);
      }
    } catch (error) {
      if (!(error instanceof ConnectionError)) throw error;
    }
  },

  *sip({ reader, writer }, here, beat) {
    yield* writer.write(request('/flood'));
    yield* readHead(reader);
    here();
    yield* beat.first();
    do yield* beat.next();
    while ((yield* reader.skip(sipBytes)) === sipBytes);
  },
};

function* readHead(reader: Connection['reader']): Task<string> {
  const head = yield* reader.readUntil('\r\n\r\n', 16_384);
  checkStatus(head);
  return new TextDecoder().decode(head);
}

const ok = 'HTTP/1.1 200';
const requestTimeout = 'HTTP/1.1 408';

function statusOf(bytes: Uint8Array | undefined): string {
  return new TextDecoder().decode(bytes?.subarray(0, ok.length));
}

function checkStatus(bytes: Uint8Array | undefined): void {
  const status = statusOf(bytes);
  if (status !== ok) throw new Error(`the server answered ${JSON.stringify(status)}`);
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
