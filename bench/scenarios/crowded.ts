// What the scenarios with a crowd have in common: each sample is a server of its own, measured, then measured beside a crowd.

import { Crowd } from '../load/crowd.js';
import { type Server, type ServerOptions, startServer } from '../load/server.js';
import { type LoadFigures, load, warmUp } from '../load/wrk.js';
import type { Peer } from '../peers.js';
import { type Context, inTurn, range, type Step } from '../scenario.js';
import { summarize } from '../statistics.js';

/** How many fast clients there are beside the crowd. */
export const fastClients = 64;

/** A load is measured in so many parts, of which the median counts: what else the machine does for a moment spoils one of them. */
const windowCount = 3;

export interface Session {
  server: Server;
  crowd: Crowd;
  figures: Record<string, number>;
  problems: string[];
  /** Loads it for so long and measures. */
  fast(seconds: number): Promise<LoadFigures>;
}

/** Steps that each make one sample: a fresh server, warmed up if there are to be fast clients, a crowd that has no clients yet, and whatever `measure` does with them. */
export function sessions(
  { peers, record }: Context,
  plan: { table: string; rounds: number; seconds: number; server: ServerOptions; fast: boolean },
  measure: (session: Session) => Promise<void>,
): Step[] {
  const { table, rounds, seconds } = plan;
  const session = async (peer: Peer, round: number): Promise<void> => {
    const figures: Record<string, number> = {};
    const problems: string[] = [];
    const server = await startServer(peer, plan.server);
    const crowd = new Crowd(server);
    const fast: Session['fast'] = async (seconds) => {
      const windows: LoadFigures[] = [];
      for (let i = 0; i < windowCount; i++) {
        const result = await load(server, { connections: fastClients, seconds: seconds / windowCount });
        problems.push(...result.problems);
        windows.push(result.figures);
      }
      const median = (key: keyof LoadFigures) => summarize(windows.map((window) => window[key]))?.median ?? Number.NaN;
      return { cpu: median('cpu'), throughput: median('throughput'), p50: median('p50'), p99: median('p99') };
    };
    try {
      if (plan.fast) await warmUp(server, fastClients);
      await measure({ server, crowd, figures, problems, fast });
      problems.push(...(await crowd.problems()), ...server.problems());
    } catch (error) {
      problems.push(...server.problems(), error instanceof Error ? error.message : String(error));
    } finally {
      await crowd.leave();
      await server.stop();
    }
    record({ table, round, peer: peer.name, figures, problems });
  };
  return range(rounds).flatMap((round) =>
    inTurn(peers, round).map((peer) => ({
      label: `round ${round} of ${rounds}: ${peer.title}`,
      seconds: seconds + (plan.fast ? 1.5 : 0.5),
      ...{ table, round, peer: peer.name },
      run: () => session(peer, round),
    })),
  );
}
