// What is tried: each property takes what is made at random, and throws if it finds something. fuzz.test.ts tries each so many times,
// campaign.ts until it is ended.

import fc from 'fast-check';
import { damagedRecords, sealedRecords, tryDamaged, trySealed } from '../tls/records/fuzzing.js';
import { differ } from './differential.js';
import { compare, isAsMeant, isRefusal, judge, staysFor } from './judge.js';
import { readByNode } from './node.js';
import { shapes, tryResponse } from './responses.js';
import { common, manners, mutated, type Scenario, valid } from './scenario.js';
import { exchange, type Outcome } from './server.js';

/** How often what has come out. */
export class Tally {
  readonly counts = new Map<string, number>();
  /** The most bytes that were held at once of one connection. */
  readonly most = { unread: 0, queued: 0, partialHeads: 0 };

  count(what: string): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + 1);
  }
}

/** How a scenario has come out for its first client. */
function classOf({ responses, ending }: Outcome): string {
  const last = responses.at(-1);
  if (ending === 'reset') return 'reset';
  if (last !== undefined && isRefusal(last)) return `refused with ${last.status}`;
  return responses.length === 0 ? 'nothing came of it' : 'all answered';
}

/** @throws if something does not hold */
export async function tryScenario(scenario: Scenario, tally: Tally): Promise<void> {
  const { whole, cut, dripped } = manners(scenario);
  const { outcomes, watch } = await exchange([whole, cut, dripped], scenario);
  for (const outcome of outcomes) judge(outcome, scenario.ending);
  if (staysFor(scenario.ending)) {
    for (const other of outcomes.slice(1)) compare(outcomes[0], other, scenario.text);
    if (!scenario.small) isAsMeant(outcomes[0], scenario);
  }
  tally.count(staysFor(scenario.ending) ? classOf(outcomes[0]) : `the client ${scenario.ending}`);
  for (const key of ['unread', 'queued', 'partialHeads'] as const)
    tally.most[key] = Math.max(tally.most[key], watch[key]);
}

/** @throws if this server and node:http take the same bytes for something else */
export async function tryBoth({ text }: Scenario, tally: Tally): Promise<void> {
  const { outcomes } = await exchange([[{ text, pause: 1 }]], { ending: 'patient', readAll: true });
  tally.count(differ(text, outcomes[0], await readByNode(text)));
}

export interface Property {
  /** For the command line. */
  id: string;
  name: string;
  /** How often the short form tries it. */
  runs: number;
  make(tally: Tally): fc.IAsyncPropertyWithHooks<[unknown]>;
}

export const properties: readonly Property[] = [
  {
    id: 'valid',
    name: 'requests that are well-formed are taken for what they are, however they are cut',
    runs: 200,
    make: (tally) => fc.asyncProperty(valid, (scenario) => tryScenario(scenario, tally)),
  },
  {
    id: 'mutated',
    name: 'whatever is wrong with requests, it is refused or taken in one way only, however they are cut',
    runs: 500,
    make: (tally) => fc.asyncProperty(mutated, (scenario) => tryScenario(scenario, tally)),
  },
  {
    id: 'both',
    name: 'what node:http takes as well, it takes for the same',
    runs: 800,
    make: (tally) =>
      fc.asyncProperty(fc.oneof({ weight: 4, arbitrary: common }, { weight: 1, arbitrary: mutated }), (scenario) =>
        tryBoth(scenario, tally),
      ),
  },
  {
    id: 'responses',
    name: 'whatever a handler returns, what goes out is well-formed, and is what was meant or a 500',
    runs: 400,
    make: (tally) => fc.asyncProperty(shapes, async (shape) => tally.count(await tryResponse(shape))),
  },
  {
    id: 'sealed-records',
    name: 'whatever is in well-sealed TLS records, it is taken or refused as RFC 8446 says, however they are cut',
    runs: 400,
    make: (tally) => fc.asyncProperty(sealedRecords, async (sealed) => tally.count(trySealed(sealed))),
  },
  {
    id: 'damaged-records',
    name: 'of TLS records that were damaged, no more is taken than the beginning of what was sealed',
    runs: 400,
    make: (tally) => fc.asyncProperty(damagedRecords, async (damaged) => tally.count(tryDamaged(damaged))),
  },
];
