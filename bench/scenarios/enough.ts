// When there have been enough rounds. What one peer costs changes little from window to window, what another costs by a third, and on
// another machine it is another peer: so a whole run does not have the same number of rounds for all, but goes on until the ratios are known.

import type { Peer } from '../peers.js';
import { defaultBaseline } from '../report/markdown.js';
import { type Measured, ratioError } from '../statistics.js';

/** What the standard error of a ratio must have come down to. Two runs, each of which is as wrong as that, differ by 15 % once in a thousand times. */
const wellEnough = 0.03;

/** How many rounds there are of a generation of servers, and how many generations. */
export interface Rounds {
  generations: number;
  /** The most rounds of a generation, and the least: it is over when the ratios are known well enough. */
  rounds: number;
  least: number;
}

export class Enough {
  readonly #least: number;
  readonly #limit: number;
  readonly #keys: readonly string[];
  readonly #samples: Measured[] = [];
  #round = 0;
  #isOver = false;

  /**
   * Of one generation: each has its share of what it takes.
   * @param least so many rounds there are in any case
   * @param keys what is looked at: the ratios of these figures to the floor's
   */
  constructor({ generations, least }: Omit<Rounds, 'rounds'>, keys: readonly string[]) {
    this.#least = least;
    this.#limit = wellEnough * Math.sqrt(generations);
    this.#keys = keys;
  }

  add(sample: Measured): void {
    this.#samples.push(sample);
  }

  /** Whether there is no need for this round. Decided once for all peers of it. @param round counted from 1 */
  isOver(round: number, peers: readonly Peer[]): boolean {
    if (round > this.#round && round > this.#least) this.#isOver ||= this.#areKnown(peers);
    this.#round = round;
    return this.#isOver;
  }

  /** Ratios of which nothing is known, since a peer could not be measured, do not get better. */
  #areKnown(peers: readonly Peer[]): boolean {
    return peers.every(({ name }) =>
      this.#keys.every((key) => (ratioError(this.#samples, name, defaultBaseline, key) ?? 0) <= this.#limit),
    );
  }
}

/** How many rounds there are, in words. */
export function roundsText({ generations, rounds, least }: Rounds): string {
  if (least === rounds) return `${generations * rounds} rounds`;
  const until = `until the standard error of each ratio is ${wellEnough * 100} %`;
  return `${generations} generations of servers, ${least} to ${rounds} rounds of each (${until})`;
}
