// A server with one handler that streams a GiB, in a separate process, so that its memory can be measured.

import { serve, stream } from '#sluice/index.js';
import { answering } from '../support/program.js';

export type Ask = { start: true } | { measure: true } | { close: true };
export interface Answer {
  port: number;
  /** Resident memory of the process, in bytes. */
  resident: number;
  written: number;
  waits: (string | undefined)[];
}

const piece = new Uint8Array(64 * 1024);
let written = 0;

const server = await serve({
  port: 0,
  hostname: '127.0.0.1',
  fetch: () =>
    stream(function* (out) {
      for (let sent = 0; sent < 1024 ** 3; sent += piece.length) {
        yield* out.write(piece);
        written += piece.length;
      }
    }),
});

answering<Ask, Answer>(async (message) => {
  if ('close' in message) await server.close({ deadline: 0 });
  globalThis.gc?.();
  globalThis.gc?.();
  return {
    port: server.port ?? 0,
    resident: process.memoryUsage.rss(),
    written,
    waits: [...server.active()].map(({ wait }) => wait),
  };
});
