// Who has left, and when their threads' `finally` blocks ran. Every request of the demo names its visitor: /clock?visitor=12.

import { performance } from 'node:perf_hooks';
import { currentThread } from 'sluice';

export interface Departure {
  visitor: string;
  path: string;
  /** Who ended it: the client by leaving, or the server. */
  by: 'client' | 'server';
  /** Milliseconds from then until `finally` ran; undefined if the client is not one of this process's visitors, so that the time is unknown. */
  after: number | undefined;
}

/** The last ones; `count` numbers them all, so that a page knows which it has not seen. */
const kept = 500;
const departures: Departure[] = [];
let count = 0;

/** When visitors disconnected, or their thread was to be unwound, in milliseconds; kept until it has been unwound. */
const leaving = new Map<string, { at: number; by: 'client' | 'server' }>();

/** Call it when a visitor disconnects, or when its thread is unwound. */
export function leave(visitor: string, by: 'client' | 'server'): void {
  leaving.set(visitor, { at: performance.now(), by });
}

/** Called in the `finally` block of each handler: notes that it ran, if it ran because the thread was unwound. */
export function unwound(request: Request): void {
  const now = performance.now();
  if (!currentThread()?.unwound && !request.signal.aborted) return; // it has returned
  const { pathname, searchParams } = new URL(request.url);
  const visitor = searchParams.get('visitor') ?? '';
  const left = leaving.get(visitor);
  leaving.delete(visitor);
  departures.push({ visitor, path: pathname, by: left?.by ?? 'client', after: left && now - left.at });
  count++;
  if (departures.length > kept) departures.splice(0, departures.length - kept);
}

/** How many there have been. */
export function departed(): number {
  return count;
}

/** Those after the first `seen`, as far as they are kept. */
export function departuresSince(seen: number): Departure[] {
  const missed = Math.min(count - seen, departures.length);
  return departures.slice(departures.length - missed);
}
