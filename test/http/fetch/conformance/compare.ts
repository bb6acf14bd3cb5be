// Evaluates each statement with the platform's classes and with ours.

import { bodyStatements } from './body.js';
import { headersStatements } from './headers.js';
import { requestStatements } from './request.js';
import { responseStatements } from './response.js';
import { type Classes, outcomeOf, type Statement } from './statement.js';

export const all: readonly Statement[] = [
  ...headersStatements,
  ...responseStatements,
  ...requestStatements,
  ...bodyStatements,
];

interface Difference {
  readonly statements: RegExp;
  readonly reason: string;
  /** The runtime, if it is the only one with the difference. */
  readonly on?: 'Bun';
}

/** Statements that do not hold for our classes, although they hold for the platform's or the standard asks for them. docs/guide.md has the list, too. */
export const differences: readonly Difference[] = [
  {
    statements: /^Set-Cookie: cookie is joined by commas$/,
    reason:
      'RFC 6265 and RFC 9113 join Cookie with semicolons, and so do Node and Bun: joined by commas it cannot be parsed',
  },
  {
    statements: /^a body: (?:Request of a .*|Request of an object|Response of an object), blob$/,
    reason:
      'the text bodies of Bun have a type that its headers do not show; `blob()` of ours takes the type of the headers, as the standard has it',
    on: 'Bun',
  },
];

export interface Comparison {
  /** How many statements hold for ours, and for the platform's. */
  readonly ours: number;
  readonly platform: number;
  /** Statements that hold for neither. */
  readonly neither: readonly string[];
  /** Failures: statements that hold for the platform's classes and not for ours, and listed differences that no longer exist. */
  readonly failures: readonly string[];
}

export async function compare(platform: Classes, ours: Classes): Promise<Comparison> {
  const found = { ours: 0, platform: 0 };
  const neither: string[] = [];
  const failures: string[] = [];
  const applying = differences.filter(({ on }) => on === undefined || on in globalThis);
  const seen = new Set<Difference>();
  for (const statement of all) {
    const { name, expected } = statement;
    const [theirs, mine] = [await outcomeOf(statement, platform), await outcomeOf(statement, ours)];
    if (theirs === expected) found.platform++;
    if (mine === expected) {
      found.ours++;
      continue;
    }
    const difference = applying.find(({ statements }) => statements.test(name));
    if (difference !== undefined) seen.add(difference);
    const line = `${name}: expected ${expected}, ours ${mine}, the platform's ${theirs}`;
    if (theirs !== expected) neither.push(line);
    else if (difference === undefined) failures.push(line);
  }
  if (new Set(all.map(({ name }) => name)).size !== all.length) failures.push('two statements have the same name');
  for (const difference of applying) {
    if (!seen.has(difference)) failures.push(`${difference.statements}: holds, and is in the list of differences`);
  }
  return { ...found, neither, failures };
}
