// The page's data: server-sent events, ten a second, each with what has changed since the last. It is a stream like
// any other, so the page sees its own thread among the others.

import { memoryUsage } from 'node:process';
import { currentThread, type Server, sleep, stream } from 'sluice';
import { departed, departuresSince } from './departures.js';

const period = 100;

/** One thread: its id, where it is parked, since when, and what it was asked for. Half a request has no thread yet: its id is below 0. */
type Row = [id: number, wait: string, since: number, request: string];

export function feed(server: Server): Response {
  return stream(
    function* (out) {
      const rows = new Map<number, string>(); // what the page knows
      let seen = departed();
      for (;;) {
        const changed: Row[] = [];
        const gone = new Set(rows.keys());
        for (const { thread, wait = 'running', waitingSince, peer, request } of server.active()) {
          const id = thread?.id ?? -Number(peer.slice(peer.lastIndexOf(':') + 1));
          gone.delete(id);
          const known = `${wait} ${thread !== undefined && thread === currentThread() ? '' : waitingSince}`;
          if (rows.get(id) === known) continue;
          rows.set(id, known);
          const url = request && new URL(request.url);
          changed.push([id, wait, waitingSince, url ? `${url.pathname}${url.search}` : '']);
        }
        for (const id of gone) rows.delete(id);
        const event = {
          now: currentThread()?.scheduler.now,
          changed,
          gone: [...gone],
          departures: departuresSince(seen),
          departed: departed(),
          idle: server.connections.idle,
          rss: memoryUsage.rss(),
          cpu: cpuShare(),
        };
        seen = event.departed;
        yield* out.write(`data: ${JSON.stringify(event)}\n\n`);
        yield* sleep(period);
      }
    },
    { headers: { 'content-type': 'text/event-stream', 'cache-control': 'no-store' } },
  );
}

/** What share of a core the process has used, over the last second or so. */
function cpuShare(): number {
  const now = performance.now();
  if (now - measured.at < 1000) return measured.share;
  const used = process.cpuUsage(measured.used);
  measured = {
    at: now,
    used: process.cpuUsage(),
    share: (used.user + used.system) / 1000 / (now - measured.at),
  };
  return measured.share;
}

let measured = { at: performance.now(), used: process.cpuUsage(), share: 0 };
