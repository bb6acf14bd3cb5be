// What the JavaScript peers have in common: the contents of their answers, and what the bench asks of them through the environment and
// signals. Each peer serves the same routes:
//
//   GET /            13 bytes of text
//   GET /small       200 bytes of JSON; reads the URL's query and one request header
//   GET /medium      5 KB of JSON, likewise
//   GET /large       50 KB of JSON, likewise
//   GET /missing     404
//   POST /order      parses 1 KB of JSON and answers with 1 KB of JSON
//   POST /upload     reads a body of 1 MiB and answers with its length
//   GET /download    1 MiB of bytes
//   GET /flood       4 MiB in pieces of 16 KiB
//   GET /events      an event stream: one message every INTERVAL milliseconds, from SIGHUP on, and what comes on /publish
//
// Those that have WebSockets serve these, too. With DEFLATE they compress messages of 1 KiB and more.
//
//   /echo            every message is sent back
//   /topic           is sent what comes on /publish
//   /publish         every message goes to all on /topic, and as an event to all on /events

import { readFileSync } from 'node:fs';

declare const Bun: { gc(force: boolean): void } | undefined;

/** Where to listen, on 127.0.0.1. */
export const port = Number(process.env.PORT);

/** Key and certificate as PEM, if the server is to speak TLS. */
export const tls =
  process.env.TLS_KEY === undefined || process.env.TLS_CERT === undefined
    ? undefined
    : { key: readFileSync(process.env.TLS_KEY, 'utf8'), cert: readFileSync(process.env.TLS_CERT, 'utf8') };

/** How long a connection may be idle, in seconds: the same for every peer, longer than any measurement. */
export const idleSeconds = 240;

export const hello = 'Hello, World!';
export const textHeaders = { 'content-type': 'text/plain' };
export const jsonHeaders = { 'content-type': 'application/json' };
export const eventHeaders = { 'content-type': 'text/event-stream' };

/** JSON of about so many bytes: a list of records. */
function json(bytes: number): string {
  const records: object[] = [];
  for (let id = 1; JSON.stringify(records).length < bytes - 60; id++) {
    records.push({ id, name: `item ${id}`, price: id * 1.25, tags: ['a', 'b'] });
  }
  return JSON.stringify(records);
}

/** The bodies of the three routes of `mixed`, by path. */
export const documents: Readonly<Record<string, string | undefined>> = {
  '/small': json(200),
  '/medium': json(5_000),
  '/large': json(50_000),
};

/** What every route of `mixed` does with its request. @returns the status: 200 unless a value that every client sends is missing */
export function statusFor(query: string | null, header: string | null | undefined): number {
  return query === '7' && header === 'bench' ? 200 : 400;
}

/** The answer to an order: about as large as the order itself. */
export function confirm(order: { id: number; lines: { sku: string; count: number }[] }): object {
  return { id: order.id, accepted: true, lines: order.lines.map(({ sku, count }) => ({ sku, count, inStock: true })) };
}

export const download = new Uint8Array(1024 * 1024).fill(120);

/** Of the 4 MiB of a flood. All pieces are the same memory: a flood measures what is queued. */
export const piece = new Uint8Array(16 * 1024).fill(120);
export const pieces = 256;

/** The first bytes of an event stream. */
export const greeting = ': welcome\n\n';

/** A message carries the time when it was made, in milliseconds since 1970, so that its reader knows the delay. */
export function timestamp(): string {
  return (performance.timeOrigin + performance.now()).toFixed(3);
}

export function message(): string {
  return eventOf(timestamp());
}

/** Calls `publish` every INTERVAL milliseconds from SIGHUP on; never if INTERVAL is not set. */
export function everyInterval(publish: () => void): void {
  const interval = Number(process.env.INTERVAL ?? 0);
  if (interval > 0) process.once('SIGHUP', () => setInterval(publish, interval));
}

/** Whether WebSockets compress their messages. */
export const deflates = process.env.DEFLATE !== undefined;

/** A message as an event. */
export function eventOf(message: string): string {
  return `data: ${message}\n\n`;
}

// SIGUSR2 asks for a garbage collection. For measurements of memory (RELEASE) V8 also returns free memory to the system.
process.on('SIGUSR2', () => {
  const [flavor, times] = process.env.RELEASE ? (['last-resort', 3] as const) : (['regular', 1] as const);
  for (let i = 0; i < times; i++) globalThis.gc?.({ type: 'major', execution: 'sync', flavor });
  if (typeof Bun !== 'undefined') Bun.gc(true);
});
