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

/** Statements of the standard that do not hold for our classes, and why. */
export const differences: Readonly<Record<string, string>> = {
  'Set-Cookie: cookie is joined by commas':
    'RFC 6265 and RFC 9113 join Cookie with semicolons, as Node and Bun do: joined by commas it cannot be parsed',
};

export interface Comparison {
  /** How many statements hold for ours, and for the platform's. */
  readonly ours: number;
  readonly platform: number;
  /** What holds for neither. */
  readonly neither: readonly string[];
  /** What is wrong: statements that hold for the platform's classes and not for ours, and differences that there are not any more. */
  readonly failures: readonly string[];
}

export async function compare(platform: Classes, ours: Classes): Promise<Comparison> {
  const found = { ours: 0, platform: 0 };
  const neither: string[] = [];
  const failures: string[] = [];
  for (const statement of all) {
    const { name, expected } = statement;
    const [theirs, mine] = [await outcomeOf(statement, platform), await outcomeOf(statement, ours)];
    if (theirs === expected) found.platform++;
    if (mine === expected) {
      found.ours++;
      if (name in differences) failures.push(`${name}: holds, and is in the list of differences`);
    } else if (!(name in differences)) {
      const line = `${name}: expected ${expected}, ours ${mine}, the platform's ${theirs}`;
      if (theirs === expected) failures.push(line);
      else neither.push(line);
    }
  }
  const names = new Set(all.map(({ name }) => name));
  if (names.size !== all.length) failures.push('two statements have the same name');
  for (const name of Object.keys(differences))
    if (!names.has(name)) failures.push(`${name}: there is no such statement`);
  return { ...found, neither, failures };
}
