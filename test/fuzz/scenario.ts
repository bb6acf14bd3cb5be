// What one client sends, and in which manners: the same bytes are sent by several clients, cut otherwise by each.

import fc from 'fast-check';
import { commonMessages, type Message, messages } from './grammar.js';
import { type Mutation, mutate, mutation } from './mutation.js';

/**
 * What a client does when it has sent all: waits, and sends FIN long after whatever it has asked for is there; waits until the server
 * closes; sends FIN at once, to a server that takes that for leaving, or to one that does not; or breaks the connection off at once.
 */
export const endings = ['patient', 'silent', 'leaves', 'half-open', 'resets'] as const;
export type Ending = (typeof endings)[number];

export interface Scenario {
  text: string;
  /** The requests that the text was made of. */
  messages: readonly Message[];
  /** So many of them stand at the beginning of the text as they were made. */
  intact: number;
  /** Where one of the clients cuts the text, in order, and how many milliseconds it waits after each piece. */
  cuts: number[];
  delays: number[];
  /** From here on another one sends byte by byte for a while. */
  window: number;
  ending: Ending;
  /** The server has small limits. */
  small: boolean;
  /** The clients read slowly, and the network holds little. */
  slow: boolean;
}

/** How many bytes are sent one by one: each takes separate turns. */
const windowSize = 250;

/** Pieces of the text, each with a pause behind it, in milliseconds. */
export type Pieces = { text: string; pause: number }[];

export function manners({ text, cuts, delays, window }: Scenario): { whole: Pieces; cut: Pieces; dripped: Pieces } {
  const cut: Pieces = [];
  [...cuts, text.length].reduce((from, to, i) => {
    if (to > from) cut.push({ text: text.slice(from, to), pause: delays[i % Math.max(1, delays.length)] ?? 1 });
    return to;
  }, 0);
  const dripped: Pieces = [];
  if (window > 0) dripped.push({ text: text.slice(0, window), pause: 1 });
  for (const byte of text.slice(window, window + windowSize)) dripped.push({ text: byte, pause: 1 });
  if (text.length > window + windowSize) dripped.push({ text: text.slice(window + windowSize), pause: 1 });
  return { whole: [{ text, pause: 1 }], cut, dripped };
}

const manner = fc.record({
  places: fc.array(fc.nat(), { maxLength: 8 }),
  delays: fc.array(fc.integer({ min: 1, max: 1500 }), { maxLength: 8 }),
  window: fc.nat(),
  ending: fc.oneof(
    { weight: 6, arbitrary: fc.constant('patient' as const) },
    { weight: 4, arbitrary: fc.constantFrom(...endings) },
  ),
  small: fc.oneof({ weight: 5, arbitrary: fc.constant(false) }, { weight: 1, arbitrary: fc.constant(true) }),
  slow: fc.oneof({ weight: 5, arbitrary: fc.constant(false) }, { weight: 1, arbitrary: fc.constant(true) }),
});

type Manner = typeof manner extends fc.Arbitrary<infer T> ? T : never;

function make(messages: readonly Message[], mutations: readonly Mutation[], how: Manner): Scenario {
  const original = messages.map((message) => message.text).join('');
  const text = mutate(original, mutations);
  let same = 0;
  while (same < text.length && same < original.length && text[same] === original[same]) same++;
  let intact = 0;
  for (let end = 0; intact < messages.length; intact++) {
    end += messages[intact].text.length;
    if (end > same) break;
  }
  const { places, delays, window, ending, small, slow } = how;
  const cuts = places.map((place) => place % (text.length + 1)).sort((a, b) => a - b);
  // Half of the windows end where the text first differs from what was right.
  const from = window % 2 === 0 ? Math.max(0, same - (window % windowSize)) : window % (text.length + 1);
  const scenario: Scenario = {
    text,
    messages,
    intact,
    cuts,
    delays,
    window: Math.min(from, text.length),
    ending,
    small,
    slow,
  };
  return Object.defineProperty(scenario, fc.toStringMethod, { value: describe });
}

/** For the report of a failure: JSON, but for long runs of one character. */
function describe(this: Scenario): string {
  const { text, cuts, delays, window, ending, small, slow, intact } = this;
  const shown = JSON.stringify(text).replace(/([a-z])\1{99,}/g, (run, letter) => `${letter}{${run.length}}`);
  return `${shown}, ${JSON.stringify({ cuts, delays, window, ending, small, slow, intact })}`;
}

/** As RFC 9112 has it. */
export const valid: fc.Arbitrary<Scenario> = fc.tuple(messages, manner).map(([all, how]) => make(all, [], how));

/** With one to four wrongs. */
export const mutated: fc.Arbitrary<Scenario> = fc
  .tuple(messages, fc.array(mutation, { minLength: 1, maxLength: 4 }), manner)
  .map(([all, mutations, how]) => make(all, mutations, how));

/** The same of what other recipients take, too: half of them with wrongs. */
export const common: fc.Arbitrary<Scenario> = fc
  .tuple(commonMessages, fc.oneof(fc.constant([]), fc.array(mutation, { minLength: 1, maxLength: 4 })), manner)
  .map(([all, mutations, how]) => make(all, mutations, how));

/** For a test that keeps what has been found. */
export function scenarioOf(text: string, details: Partial<Scenario> = {}): Scenario {
  return {
    ...{ text, messages: [], intact: 0, cuts: [Math.floor(text.length / 2)], delays: [1], window: 0 },
    ...{ ending: 'patient', small: false, slow: false },
    ...details,
  };
}
