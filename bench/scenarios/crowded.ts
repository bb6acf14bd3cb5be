// What the scenarios with a crowd have in common: each sample is a server of its own, measured, then measured beside a crowd.

import { Crowd } from '../load/crowd.js';
import { type Server, type ServerOptions, startServer } from '../load/server.js';
import { type LoadFigures, load } from '../load/wrk.js';
import type { Peer } from '../peers.js';
import { type Context, inTurn, range, type Step } from '../scenario.js';

/** How many fast clients there are beside the crowd. */
export const fastClients = 64;

export interface Session {
  server: Server;
  crowd: Crowd;
  figures: Record<string, number>;
  problems: string[];
  /** Loads the server with the fast clients. */
  fast(seconds: number): Promise<LoadFigures>;
}

/** Steps that each make one sample: a fresh server, a crowd that has no clients yet, and whatever `measure` does with them. */
export function sessions(
  { peers, record }: Context,
  plan: { table: string; rounds: number; seconds: number; server: ServerOptions },
  measure: (session: Session) => Promise<void>,
): Step[] {
  const { table, rounds, seconds } = plan;
  const session = async (peer: Peer, round: number): Promise<void> => {
    const figures: Record<string, number> = {};
    const problems: string[] = [];
    const server = await startServer(peer, plan.server);
    const crowd = new Crowd(server);
    const fast: Session['fast'] = async (seconds) => {
      const result = await load(server, { connections: fastClients, seconds });
      problems.push(...result.problems);
      return result.figures;
    };
    try {
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
      seconds: seconds + 0.5,
      ...{ table, round, peer: peer.name },
      run: () => session(peer, round),
    })),
  );
}
