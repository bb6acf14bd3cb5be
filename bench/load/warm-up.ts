// Loading a server until it is warm.

import type { Server } from './server.js';

export interface WindowFigures {
  /** CPU microseconds of the server for each request or message. */
  cpu: number;
  /** Requests or messages a second. */
  throughput: number;
}

/** A load that stands still between windows. */
export interface StandingLoad {
  window(seconds: number): Promise<WindowFigures>;
}

/** Seconds of a window of the load that warms a server up, and how many windows without improvement mean that it is warm. */
const warmWindow = 0.15;
const warmImprovement = 0.05;

/** Loads a server until what it does gets no cheaper: V8 needs up to some seconds. */
export async function untilWarm(server: Server, load: StandingLoad, quick: boolean): Promise<void> {
  const enough = quick ? 5 : 10;
  const limit = server.peer.compiled ? 1 : (quick ? 2.4 : 6) / warmWindow;
  let best = Number.POSITIVE_INFINITY;
  for (let i = 0, stable = 0; i < limit && stable < enough; i++) {
    const { cpu } = await load.window(warmWindow);
    stable = cpu > best * (1 - warmImprovement) ? stable + 1 : 0;
    best = Math.min(best, cpu);
  }
}
