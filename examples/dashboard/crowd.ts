// Viewers in great numbers: clients that read an event stream, or connect and read nothing.

import { type Connection, connect, run, type Server, sleep, type Task } from 'sluice';

/** They and the server share the descriptors of one process. */
const mostViewers = 5000;

const request = (server: Server) => `GET /events HTTP/1.1\r\nHost: 127.0.0.1:${server.port}\r\n\r\n`;

/** The time at which a reading was made stands in each. */
const time = Buffer.from('"at":');

export class Crowd {
  readonly #server: Server;
  readonly #leave = new AbortController();
  /** Viewers that read, and that do not. */
  readonly counts = { reading: 0, stalled: 0 };
  #delays: number[] = [];

  constructor(server: Server) {
    this.#server = server;
  }

  /** @returns how many have been opened: there may not be more than 5,000 */
  open(count: number, isStalled: boolean): number {
    const room = mostViewers - this.counts.reading - this.counts.stalled;
    const opened = Math.max(0, Math.min(count, room));
    for (let i = 0; i < opened; i++) run(() => this.#view(isStalled), { signal: this.#leave.signal }).catch(() => {}); // its server may have closed
    return opened;
  }

  close(): void {
    this.#leave.abort();
  }

  /** How long readings took to get to the viewers since the last call, in milliseconds: the median, and what one in a hundred exceeds. */
  delays(): { p50: number; p99: number } {
    const all = this.#delays.sort((a, b) => a - b);
    this.#delays = [];
    const at = (part: number) => Math.round(10 * (all[Math.floor(all.length * part)] ?? 0)) / 10;
    return { p50: at(0.5), p99: at(0.99) };
  }

  *#view(isStalled: boolean): Task<void> {
    const kind = isStalled ? 'stalled' : 'reading';
    this.counts[kind]++;
    try {
      const connection = yield* connect({ hostname: '127.0.0.1', port: this.#server.port });
      yield* connection.writer.write(request(this.#server));
      if (isStalled)
        yield* sleep(Infinity); // it reads nothing
      else yield* this.#read(connection);
    } finally {
      this.counts[kind]--;
    }
  }

  *#read({ reader }: Connection): Task<void> {
    for (let bytes: Uint8Array | undefined; (bytes = yield* reader.read()) !== undefined; ) {
      const piece = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
      const found = piece.lastIndexOf(time);
      if (found === -1 || this.#delays.length >= 100_000) continue;
      const at = Number.parseFloat(piece.toString('latin1', found + time.length, found + time.length + 20));
      if (at > 0) this.#delays.push(performance.timeOrigin + performance.now() - at);
    }
  }
}
