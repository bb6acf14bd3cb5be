// The handlers that the demo is about: four ways to be slow, each a few straight lines. The page shows this code, as compiled,
// with the number of threads that are parked at each of the lines marked below.

import { setTimeout } from 'node:timers/promises';
import { Channel, sleep, stream, type Task } from 'sluice';
import { unwound } from './departures.js';

/** A stream: a response body that is a thread. */
export function clock(request: Request): Response {
  return stream(function* (out) {
    try {
      for (let tick = 1; ; tick++) {
        yield* out.write(`tick ${tick}\n`);
        yield* sleep(2000); // parked: timer
      }
    } finally {
      unwound(request);
    }
  });
}

/** A stream for a client that reads slowly, or not at all. */
export function download(request: Request): Response {
  return stream(function* (out) {
    const piece = new Uint8Array(16_384);
    try {
      for (;;) {
        yield* out.write(piece); // parked: flooded
      }
    } finally {
      unwound(request);
    }
  });
}

/** An async function: the connection's thread waits for its promise. */
export async function report(request: Request): Promise<Response> {
  try {
    const { signal } = request;
    const rows = await slowQuery(signal); // parked: promise
    return Response.json(rows);
  } finally {
    unwound(request);
  }
}

/** A thread: a long poll, answered with the next message. */
export function* news(request: Request): Task<Response> {
  const inbox = new Channel<string>(1);
  inboxes.add(inbox);
  try {
    const message = yield* inbox.receive(); // parked: channel
    return new Response(message);
  } finally {
    inboxes.delete(inbox);
    unwound(request);
  }
}

const inboxes = new Set<Channel<string>>();

/** Answers everybody who waits in `news`. @returns how many there were */
export function publish(message: string): number {
  const waiting = inboxes.size;
  for (const inbox of inboxes) inbox.trySend(message);
  return waiting;
}

/** In place of a slow database whose queries can be cancelled. */
function slowQuery(signal: AbortSignal): Promise<{ rows: number }> {
  return setTimeout(60_000, { rows: 1 }, { signal });
}
