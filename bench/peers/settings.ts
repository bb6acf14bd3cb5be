// What every peer in JavaScript has in common: what the bench asks of it, through the environment. No more than that, so that
// each peer stays the few lines that its own documentation shows.

declare const Bun: { gc(force: boolean): void } | undefined;

/** Where to listen, on 127.0.0.1. */
export const port = Number(process.env.PORT);

/**
 * What to answer: `hello` the same few bytes to everybody; `flood` 4 MiB in pieces at `/flood` and hello elsewhere;
 * `stream` an event stream.
 */
export const handler = process.env.HANDLER ?? 'hello';

export const hello = 'Hello, World!';
/** Of hello. */
export const headers = { 'content-type': 'text/plain' };

/** How long a connection may have nothing to do, in seconds: the same for everybody, longer than any measurement. */
export const idleSeconds = 240;

/** Of the 4 MiB of a flood. Its 256 pieces are all the same memory: a flood measures what is queued, not what is made. */
export const piece = new Uint8Array(16 * 1024).fill(120);
export const pieces = 256;

/** What a stream begins with. */
export const greeting = ': welcome\n\n';

/** A message carries the time at which it was made, in milliseconds since 1970, so that its reader knows its delay. */
export function message(): string {
  return `data: ${(performance.timeOrigin + performance.now()).toFixed(3)}\n\n`;
}

/** Calls back when a message is to go to everybody: every INTERVAL milliseconds from SIGHUP on, when all streams are there; or never. */
export function everyInterval(publish: () => void): void {
  const interval = Number(process.env.INTERVAL ?? 0);
  if (interval > 0) process.once('SIGHUP', () => setInterval(publish, interval));
}

// The bench asks for a garbage collection by SIGUSR2 before it looks at the memory. V8's usual one leaves about as much resident
// again as is in use. With RELEASE it gives back what is free, and forgets what has been compiled and is not used any more: what
// several collections have found not to have run since.
process.on('SIGUSR2', () => {
  const [flavor, times] = process.env.RELEASE ? (['last-resort', 3] as const) : (['regular', 1] as const);
  for (let i = 0; i < times; i++) globalThis.gc?.({ type: 'major', execution: 'sync', flavor });
  if (typeof Bun !== 'undefined') Bun.gc(true);
});
