// A server is measured warm.

import type { Server } from './server.js';
import { StandingLoad } from './standing.js';

/** How a server is warmed up, in seconds: windows of so long, for at most so long altogether. */
const warmUpWindow = 0.15;
const warmUpPatience = 2.4;
/** It is warm when so many windows in a row have each been hardly better than the best before; fewer if it was warm a while ago. */
const warmWindows = 6;
const rewarmWindows = 4;
const hardlyBetter = 0.05;

/**
 * Loads a server until its requests do not get cheaper any more. To be done last before anything is measured: a garbage collection
 * that was asked for, and a while without requests, make V8 forget some of what it has compiled.
 */
export async function warmUp(server: Server, connections: number, wasWarm = false): Promise<void> {
  const load = await StandingLoad.start(server, { connections });
  let best = Number.POSITIVE_INFINITY;
  let warm = 0;
  const windows = server.peer.compiled ? 1 : warmUpPatience / warmUpWindow;
  for (let i = 0; i < windows && warm < (wasWarm ? rewarmWindows : warmWindows); i++) {
    const { cpu } = await load.window(warmUpWindow);
    warm = cpu > best * (1 - hardlyBetter) ? warm + 1 : 0;
    best = Math.min(best, cpu);
  }
  const problems = await load.end();
  if (problems.length > 0) throw new Error(problems.join('; '));
}
