// A server is measured warm.

import type { Server } from './server.js';
import { StandingLoad } from './standing.js';

/** How a server is warmed up: windows of so many seconds. */
const warmUpWindow = 0.15;
/**
 * It is warm when so many windows in a row have each been hardly better than the best before, fewer if it was warm a while ago; and counts
 * as warm after so many seconds. (One lucky window makes those that follow look no better, so a whole run asks for many.)
 */
const howWarm = (quick: boolean) =>
  quick ? { windows: 6, again: 4, patience: 2.4 } : { windows: 14, again: 6, patience: 6 };
const hardlyBetter = 0.05;

/**
 * Loads a server until its requests do not get cheaper any more. To be done last before anything is measured: a garbage collection
 * that was asked for, and a while without requests, make V8 forget some of what it has compiled.
 */
export async function warmUp(server: Server, connections: number, quick: boolean, wasWarm = false): Promise<void> {
  const { windows, again, patience } = howWarm(quick);
  const load = await StandingLoad.start(server, { connections });
  let best = Number.POSITIVE_INFINITY;
  let warm = 0;
  const most = server.peer.compiled ? 1 : patience / warmUpWindow;
  for (let i = 0; i < most && warm < (wasWarm ? again : windows); i++) {
    const { cpu } = await load.window(warmUpWindow);
    warm = cpu > best * (1 - hardlyBetter) ? warm + 1 : 0;
    best = Math.min(best, cpu);
  }
  const problems = await load.end();
  if (problems.length > 0) throw new Error(problems.join('; '));
}
