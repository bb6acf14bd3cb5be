// What the scenarios with a crowd have in common. Servers of several peers stand ready with their crowds, and all are silent but the
// one that is being measured. Rounds of short windows go from one to the next: the machine is another one from second to second,
// so what is compared must be close together in time, and often.
//
// Most peers have a timeout of 60 s for slow clients. So not all peers are there at the same time, but a few, a group, and the
// floor with each group, which ratios are taken to: rounds are counted on from group to group. In a whole run each has its turn more than once,
// with servers that are started anew: two processes of the same program do not cost quite the same, and nor does the machine an hour later.

import type { Kind } from '../crowd/protocol.js';
import { Crowd } from '../load/crowd.js';
import { type Server, type ServerOptions, startServer } from '../load/server.js';
import { isShared, sharedServer } from '../load/shared.js';
import { StandingLoad, type WindowFigures } from '../load/standing.js';
import { type Delays, load } from '../load/wrk.js';
import type { Peer } from '../peers.js';
import { defaultBaseline } from '../report/markdown.js';
import { type Block, type Context, inTurn, range, type Step, twoAtATime } from '../scenario.js';
import { Enough, type Rounds } from './enough.js';

/** How many fast clients there are beside the crowd. */
export const fastClients = 64;

/** A server of which each peer has one ready. */
export interface Variant {
  name: string;
  /** What it is asked to do; or that it is the one which several scenarios have in common. */
  server: ServerOptions | 'shared';
  crowd?: { kind: Kind; clients: number };
}

/** A server that stands ready. */
export interface Subject {
  variant: Variant;
  server: Server;
  crowd: Crowd;
}

export type Figures = Record<string, number>;

export interface Plan extends Rounds {
  table: string;
  /** The figures whose ratios are to be known well enough, see enough.ts. */
  keys: string[];
  /** Delays are looked at in the rounds whose number can be divided by it; without it, in none. */
  delayEvery?: number;
  /** How many peers there are in a group, beside the floor. */
  group: number;
  variants: Variant[];
  /** About how long it takes to have a peer ready, and to measure it in a round. */
  seconds: { ready: number; round: number };
  /** Has a server and its crowd ready to be measured; and what is to be known of them before anything is. */
  prepare(subject: Subject): Promise<Figures>;
  /** Warms a server up. It comes last, when all of the peer are ready, since what has nothing to do cools down. */
  warm?(subject: Subject): Promise<void>;
  /** Has a server be silent as soon as it is ready: what it would do by itself would keep the others from getting ready. */
  silence?(subject: Subject): void;
  /** Measures a peer in a round, and leaves everything silent. Whether it is one of the rounds in which delays are looked at, too. */
  measure(ready: Ready, withDelays: boolean): Promise<Figures>;
}

/** What stands ready of a peer. */
export class Ready {
  readonly subjects = new Map<string, Subject>();
  readonly #loads = new Map<Subject, StandingLoad>();
  #problems: string[] = [];

  subject(name: string): Subject {
    const subject = this.subjects.get(name);
    if (subject === undefined) throw new Error(`nothing stands ready for ${name}`);
    return subject;
  }

  /** Loads a server with the fast clients for so long; they stay, and stand still in between. */
  async fast(subject: Subject, seconds: number): Promise<WindowFigures> {
    let load = this.#loads.get(subject);
    if (load === undefined) {
      load = await StandingLoad.start(subject.server, { connections: fastClients });
      this.#loads.set(subject, load);
    }
    return load.window(seconds);
  }

  /** Has others come for so long, to see how long they wait: of those that stay wrk does not know it. */
  async delays({ server }: Subject, seconds: number): Promise<Delays> {
    const { delays, problems } = await load(server, { connections: fastClients, seconds });
    this.#problems.push(...problems);
    return delays;
  }

  /** Has the fast clients leave. @returns what has gone wrong with them */
  async endLoads(): Promise<string[]> {
    const problems = await Promise.all([...this.#loads.values()].map((load) => load.end()));
    this.#loads.clear();
    return problems.flat();
  }

  /** What has gone wrong since it was last asked. */
  takeProblems(): string[] {
    const problems = this.#problems;
    this.#problems = [];
    return problems;
  }
}

/** The floor with every few of the others. */
export function groupsOf(peers: readonly Peer[], size: number): Peer[][] {
  const floor = peers.filter(({ name }) => name === defaultBaseline);
  const others = peers.filter(({ name }) => name !== defaultBaseline);
  const count = Math.ceil(others.length / size);
  if (count === 0) return [floor];
  // All about equally large.
  return range(count).map((i) => [...floor, ...others.filter((_, place) => place % count === i - 1)]);
}

/** A block for each group of peers in each generation of servers. */
export function inGroups(context: Context, plan: Plan): Block[] {
  const groups = groupsOf(context.peers, plan.group);
  return range(plan.generations)
    .flatMap(() => groups)
    .map((peers, i) => blockOf(context, plan, peers, i * plan.rounds));
}

function blockOf(context: Context, plan: Plan, peers: readonly Peer[], roundsBefore: number): Block {
  const { quick } = context;
  const { table, rounds, delayEvery, seconds } = plan;
  const enough = new Enough(plan, plan.keys);
  const record: Context['record'] = (sample) => {
    enough.add(sample);
    context.record(sample);
  };
  const titles = peers.map(({ title }) => title).join(', ');
  /** Those that can be measured. */
  const ready = new Map<string, Ready>();

  const getReady = async (peer: Peer): Promise<void> => {
    const stand = new Ready();
    ready.set(peer.name, stand);
    let figures: Figures = {};
    let problems: string[] = [];
    try {
      for (const variant of plan.variants) {
        const { server: wanted } = variant;
        const server = wanted === 'shared' ? await sharedServer(peer, quick) : await startServer(peer, wanted);
        const subject = { variant, server, crowd: new Crowd(server) };
        stand.subjects.set(variant.name, subject);
        figures = { ...figures, ...(await plan.prepare(subject)) };
        plan.silence?.(subject);
      }
      for (const subject of stand.subjects.values()) await plan.warm?.(subject);
    } catch (error) {
      problems = [...serverProblems(stand), messageOf(error)];
      ready.delete(peer.name);
      await letGo(stand);
    }
    record({ table, round: roundsBefore + 1, peer: peer.name, figures, problems });
  };

  const measure = async (peer: Peer, round: number): Promise<void> => {
    if (enough.isOver(round - roundsBefore, peers)) return;
    const stand = ready.get(peer.name);
    if (stand === undefined) return; // that it is not ready is known already
    let figures: Figures = {};
    const problems: string[] = [];
    try {
      figures = await plan.measure(stand, delayEvery !== undefined && (round - roundsBefore) % delayEvery === 0);
    } catch (error) {
      problems.push(messageOf(error));
    }
    problems.push(...stand.takeProblems(), ...serverProblems(stand));
    for (const { crowd } of stand.subjects.values()) problems.push(...(await crowd.problems()));
    record({ table, round, peer: peer.name, figures, problems });
  };

  const step = (label: string, seconds: number, round: number, peer: string, run: () => Promise<void>): Step => ({
    ...{ label, seconds, table, round, peer, run },
  });
  return {
    ready: [
      step(`getting ready: ${titles}`, seconds.ready * peers.length, roundsBefore + 1, '', () =>
        twoAtATime(peers, getReady),
      ),
    ],
    rounds: range(rounds).map((round) =>
      inTurn(peers, round).map((peer) =>
        step(`round ${round} of ${rounds}: ${peer.title}`, seconds.round, roundsBefore + round, peer.name, () =>
          measure(peer, roundsBefore + round),
        ),
      ),
    ),
    over: [
      step(`letting go: ${titles}`, 0.2, roundsBefore + rounds, '', async () => {
        for (const [peer, stand] of ready) {
          const problems = await stand.endLoads();
          if (problems.length > 0) record({ table, round: roundsBefore + rounds, peer, figures: {}, problems });
        }
        await Promise.all([...ready.values()].map(letGo));
      }),
    ],
  };
}

async function letGo({ subjects }: Ready): Promise<void> {
  const leave = async ({ server, crowd }: Subject): Promise<void> => {
    await crowd.leave();
    if (!(await isShared(server))) await server.stop();
  };
  await Promise.all([...subjects.values()].map(leave));
}

function serverProblems({ subjects }: Ready): string[] {
  return [...subjects.values()].flatMap(({ server }) => server.problems());
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
